import { byInterval, model, same, sql } from 'limn'
import { orderLine } from '../bronze/order_line.ts'

export const order = model('silver.order', {
  doc: 'One row per order.',
  owner: 'shop',
  grain: ['order_id'],
  keys: ['order_id'],
  columns: {
    order_id: { type: 'long', doc: 'The order.' },
    ordered_at: { type: 'timestamp', doc: 'When it was placed, UTC.' },
    customer_id: { type: 'int', doc: 'Who placed it.' },
    revenue: { type: 'decimal(18,2)', doc: 'Sum of its lines.', unit: 'EUR', additivity: 'additive' },
  },
  partition: ['month(ordered_at)'],
  build: byInterval(
    'ordered_at',
    'month',
    ({ interval }) => sql`
      SELECT order_id, min(ordered_at) AS ordered_at, min(customer_id) AS customer_id, sum(amount)::DECIMAL(18,2) AS revenue
      FROM ${orderLine}
      WHERE ordered_at >= ${interval.start} AND ordered_at < ${interval.end}
      GROUP BY order_id`,
  ),
  edges: { 'bronze.order_line': { reads: same, touches: 'ordered_at' } },
})
