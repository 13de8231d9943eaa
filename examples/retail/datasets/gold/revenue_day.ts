import { byInterval, model, same, sql } from 'limn'
import { sale } from '../silver/sale.ts'

export const revenueDay = model('gold.revenue_day', {
  doc: 'One row per day and country with sales.',
  owner: 'finance',
  grain: ['day', 'country'],
  keys: ['day', 'country'],
  columns: {
    day: { type: 'date', doc: 'The day.' },
    country: { type: 'string', doc: 'Of the customer.' },
    invoices: { type: 'long', doc: 'Invoices written, cancellations included.', additivity: 'additive' },
    revenue: { type: 'decimal(18,3)', doc: 'Sum of amounts.', unit: 'GBP', additivity: 'additive' },
  },
  build: byInterval(
    'day',
    'day',
    { batch: 'month' },
    ({ interval }) => sql`
      SELECT sold_at::DATE AS day, country, count(DISTINCT invoice_no) AS invoices, sum(amount)::DECIMAL(18, 3) AS revenue
      FROM ${sale}
      WHERE sold_at >= ${interval.start} AND sold_at < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'silver.sale': { reads: same } },
  checks: (check) => [check.reconcile('sum(revenue)', { with: sale, right: 'sum(amount)' })],
})
