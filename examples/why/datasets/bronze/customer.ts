import { files, ingest } from 'limn'

export const customerReport = ingest('bronze.customer', {
  doc: 'One row per customer, as the customer system delivers them, all of them each time.',
  owner: 'crm',
  from: files('inbox/customers.csv', { format: 'csv' }),
  columns: {
    customer_id: { type: 'int', doc: 'Number of the customer.' },
    name: { type: 'string', doc: 'Name.' },
    region: { type: 'string', doc: 'Sales region.' },
  },
})
