import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'

const id = tableId('silver.t')
const columns = [
  { name: 'id', type: 'long' as const },
  { name: 'day', type: 'date' as const },
  { name: 'name', type: 'string' as const },
]
const day = { kind: 'compare', operator: 'eq', column: 'day', value: 20_454 }
const always = { kind: 'true' }
const never = { kind: 'false' }

describe('a condition on a table, from both sides,', () => {
  it('is the same from both where it is understood, and else true above and false below', async () => {
    await using made = await temporaryEngine()
    const table = { id, alias: 't', columns }
    const of = (filter: string) => made.engine.condition(filter, table)
    expect(await of("day = DATE '2026-01-01'")).toEqual({ atMost: day, atLeast: day })
    expect(await of("t.day = DATE '2026-01-01' AND length(name) > 3")).toEqual({ atMost: day, atLeast: never })
    const either = await of("day = DATE '2026-01-01' OR length(name) > 3")
    expect(either).toEqual({ atMost: always, atLeast: day })
    expect(await of('TRUE')).toEqual({ atMost: always, atLeast: always })
    expect(await of('id = 1 AND FALSE')).toEqual({ atMost: never, atLeast: never })
    const each = [1n, 5n, 9n].map((value) => ({ kind: 'compare', operator: 'eq', column: 'id', value }))
    const listed = { kind: 'or', of: each }
    expect(await of('id IN (1, 5, 9)')).toEqual({
      atMost: { kind: 'and', of: [{ kind: 'in', column: 'id', values: [1n, 5n, 9n] }, listed] },
      atLeast: listed,
    })
    expect(await of('id IS NULL OR id > 3')).toMatchObject({ atLeast: { kind: 'or' } })
  })

  it('is never certain where a subquery decides', async () => {
    await using made = await temporaryEngine()
    const other = tableId('silver.other')
    const found = await made.engine.condition(
      'id IN (SELECT id FROM silver.other WHERE id > 5)',
      { id, alias: 't', columns },
      new Map([[other, columns]]),
    )
    expect(found.atLeast).toEqual(never)
    const self = await made.engine.condition(
      "day = DATE '2026-01-01' AND id = (SELECT max(id) FROM silver.t)",
      { id, alias: 't', columns },
      new Map([[id, columns]]),
    )
    expect(self.atLeast).toEqual(never)
  })

  it('throws for a column that is not there', async () => {
    await using made = await temporaryEngine()
    await expect(made.engine.condition('nope = 1', { id, alias: 't', columns })).rejects.toMatchObject({
      kind: 'sql/unknown-column',
    })
  })
})
