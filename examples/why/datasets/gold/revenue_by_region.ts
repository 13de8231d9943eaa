import { byInterval, model, same, sql } from 'limn'
import { customer } from '../silver/customer.ts'
import { order } from '../silver/order.ts'

export const revenueByRegion = model('gold.revenue_by_region', {
  doc: 'One row per month and sales region: what the sales team reads.',
  owner: 'sales',
  grain: ['month', 'region'],
  keys: ['month', 'region'],
  columns: {
    month: { type: 'timestamp', doc: 'First day of the month.' },
    region: { type: 'string', doc: 'Sales region of the customer.' },
    orders: { type: 'long', doc: 'Orders placed.', unit: 'order', additivity: 'additive' },
    revenue: { type: 'decimal(18,2)', doc: 'Revenue.', unit: 'EUR', additivity: 'additive' },
  },
  build: byInterval(
    'month',
    'month',
    ({ interval }) => sql`
      SELECT date_trunc('month', o.ordered_at)::TIMESTAMP AS month, c.region, count(*) AS orders,
        sum(o.revenue)::DECIMAL(18,2) AS revenue
      FROM ${order} AS o
      JOIN ${customer} AS c ON c.customer_id = o.customer_id
      WHERE o.ordered_at >= ${interval.start} AND o.ordered_at < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'silver.order': { reads: same } },
})
