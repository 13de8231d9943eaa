import { byInterval, model, same, sql } from 'limn'
import { order } from '../silver/order.ts'

export const revenue = model('gold.revenue', {
  doc: 'One row per month: what the finance team reads.',
  owner: 'finance',
  grain: ['month'],
  keys: ['month'],
  columns: {
    month: { type: 'timestamp', doc: 'First day of the month.' },
    orders: { type: 'long', doc: 'Orders placed.', unit: 'order', additivity: 'additive' },
    revenue: { type: 'decimal(18,2)', doc: 'Revenue.', unit: 'EUR', additivity: 'additive' },
  },
  build: byInterval(
    'month',
    'month',
    ({ interval }) => sql`
      SELECT date_trunc('month', ordered_at)::TIMESTAMP AS month, count(*) AS orders, sum(revenue)::DECIMAL(18,2) AS revenue
      FROM ${order}
      WHERE ordered_at >= ${interval.start} AND ordered_at < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'silver.order': { reads: same } },
})
