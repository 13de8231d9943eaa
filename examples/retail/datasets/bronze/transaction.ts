import { files, ingest } from 'limn'

export const transaction = ingest('bronze.transaction', {
  doc: 'One row per line of an invoice, as exported; a file per week.',
  owner: 'sales',
  from: files('inbox/*.csv', { format: 'csv' }),
  columns: {
    InvoiceNo: { type: 'string', doc: 'Number of the invoice; those of cancellations begin with C.' },
    StockCode: { type: 'string', doc: 'The product.' },
    Description: { type: 'string', doc: 'Its name.', nulls: 'not stated' },
    Quantity: { type: 'int', doc: 'Pieces; negative where they were returned.', additivity: 'additive' },
    InvoiceDate: { type: 'timestamp', doc: 'When it was written, local.' },
    UnitPrice: { type: 'decimal(12,3)', doc: 'Price of one piece.', unit: 'GBP', additivity: 'non-additive' },
    CustomerID: { type: 'string', doc: 'The customer.', nulls: 'sold without an account' },
    Country: { type: 'string', doc: 'Of the customer.' },
  },
})
