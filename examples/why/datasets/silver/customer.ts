import { model, sql, whole } from 'limn'
import { customerReport } from '../bronze/customer.ts'

// No keys are promised: nothing stops a customer from being here twice.
export const customer = model('silver.customer', {
  doc: 'One row per customer.',
  owner: 'crm',
  grain: ['customer_id'],
  keys: [],
  columns: {
    customer_id: { type: 'int', doc: 'Number of the customer.' },
    name: { type: 'string', doc: 'Name.' },
    region: { type: 'string', doc: 'Sales region.' },
  },
  build: whole(() => sql`SELECT customer_id, name, region FROM ${customerReport}`),
})
