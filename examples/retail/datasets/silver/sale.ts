import { byInterval, model, same, sql } from 'limn'
import { transaction } from '../bronze/transaction.ts'

export const sale = model('silver.sale', {
  doc: 'One row per invoice, time, product and price: lines that agree in these are one sale.',
  owner: 'sales',
  grain: ['invoice_no', 'sold_at', 'stock_code', 'unit_price'],
  keys: ['invoice_no', 'sold_at', 'stock_code', 'unit_price'],
  columns: {
    invoice_no: { type: 'string', doc: 'Number of the invoice.' },
    sold_at: { type: 'timestamp', doc: 'When it was written, local.' },
    stock_code: { type: 'string', doc: 'The product.' },
    unit_price: { type: 'decimal(12,3)', doc: 'Price of one piece.', unit: 'GBP', additivity: 'non-additive' },
    quantity: { type: 'long', doc: 'Pieces, returns taken off.', additivity: 'additive' },
    lines: { type: 'long', doc: 'Lines of the invoice.', additivity: 'additive' },
    amount: { type: 'decimal(18,3)', doc: 'quantity × unit_price.', unit: 'GBP', additivity: 'additive' },
    customer_id: { type: 'long', doc: 'The customer.', nulls: 'sold without an account' },
    country: { type: 'string', doc: 'Of the customer.' },
  },
  partition: ['day(sold_at)'],
  build: byInterval(
    'sold_at',
    'day',
    { batch: 'month' },
    ({ interval }) => sql`
      SELECT InvoiceNo AS invoice_no, InvoiceDate AS sold_at, StockCode AS stock_code, UnitPrice AS unit_price,
        sum(Quantity)::BIGINT AS quantity, count(*) AS lines, sum(Quantity * UnitPrice)::DECIMAL(18, 3) AS amount,
        max(CustomerID::DOUBLE::BIGINT) AS customer_id, max(Country) AS country
      FROM ${transaction}
      WHERE InvoiceDate >= ${interval.start} AND InvoiceDate < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'bronze.transaction': { reads: same, touches: 'InvoiceDate' } },
  checks: (check) => [check.reconcile('sum(lines)', { with: transaction, right: 'count(*)' })],
})
