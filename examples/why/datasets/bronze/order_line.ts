import { files, ingest } from 'limn'

export const orderLine = ingest('bronze.order_line', {
  doc: 'One row per line of an order, as the shop delivers them by month.',
  owner: 'shop',
  from: files('inbox/orders/*.csv', { format: 'csv' }),
  columns: {
    order_id: { type: 'long', doc: 'The order.' },
    ordered_at: { type: 'timestamp', doc: 'When it was placed, UTC.' },
    customer_id: { type: 'int', doc: 'Who placed it.' },
    amount: { type: 'decimal(12,2)', doc: 'Price paid.', unit: 'EUR', additivity: 'additive' },
  },
})
