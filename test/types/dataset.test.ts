import { describe, expectTypeOf, it } from 'vitest'
import { byInterval, files, ingest, model, type Row, sql, whole } from '../../packages/limn/src/index.ts'

const flight = model('silver.flight', {
  doc: 'x',
  owner: 'x',
  grain: ['id'],
  keys: ['id'],
  columns: {
    id: { type: 'long' },
    at: { type: 'timestamp' },
    seen: { type: 'timestamptz', nulls: 'never seen' },
    price: { type: 'decimal(18,2)' },
    note: { type: 'string', nulls: 'none' },
    day: { type: 'date' },
  },
  partition: ['month(at)', 'bucket(4, id)'],
  build: byInterval('at', 'month', () => sql`SELECT 1`),
  checks: (check) => [check.unique('id'), check.between('price', 0, 1)],
})

describe('the types of a definition', () => {
  it('give the row that a contract describes', () => {
    expectTypeOf<Row<typeof flight>>().toEqualTypeOf<{
      readonly id: bigint
      readonly at: Temporal.PlainDateTime
      readonly seen: Temporal.Instant | null
      readonly price: string
      readonly note: string | null
      readonly day: Temporal.PlainDate
    }>()
    const bronze = ingest('bronze.x', {
      doc: 'x',
      owner: 'x',
      from: files('x', { format: 'csv' }),
      columns: { n: { type: 'int' } },
    })
    expectTypeOf<Row<typeof bronze>>().toEqualTypeOf<{
      readonly n: number
      readonly _delivery: number
      readonly _path: string
      readonly _run: string
    }>()
  })

  it('know only the columns of the contract', () => {
    const shared = { doc: 'x', owner: 'x', columns: { id: { type: 'long' } } } as const
    const build = whole(() => sql`SELECT 1 AS id`)
    // @ts-expect-error no such column in the grain
    model('a.b', { ...shared, grain: ['di'], keys: [], build })
    // @ts-expect-error no such column in the keys
    model('a.b', { ...shared, grain: ['id'], keys: ['di'], build })
    // @ts-expect-error no such column to partition by
    model('a.b', { ...shared, grain: ['id'], keys: [], partition: ['month(di)'], build })
    // @ts-expect-error no such column to build by
    model('a.b', { ...shared, grain: ['id'], keys: [], build: byInterval('di', 'day', () => sql`SELECT 1`) })
    // @ts-expect-error no such column to check
    model('a.b', { ...shared, grain: ['id'], keys: [], build, checks: (check) => [check.notNull('di')] })
    // @ts-expect-error no such type
    model('a.b', { ...shared, columns: { id: { type: 'bigint' } }, grain: ['id'], keys: [], build })
  })
})
