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
  it('never takes a column for null everywhere, whatever its type', async () => {
    await using made = await temporaryEngine()
    const list = { type: 'list', elementId: 12, element: 'variant', elementRequired: false } as const
    const struct = { type: 'struct', fields: [{ id: 13, name: 'a "b"', required: false, type: list }] } as const
    const map = { type: 'map', keyId: 14, key: 'string', valueId: 15, value: struct, valueRequired: false } as const
    const types = [
      'variant',
      'timestamp_ns',
      'timestamptz_ns',
      'fixed[3]',
      'uuid',
      'decimal(38,10)',
      list,
      struct,
      map,
    ] as const
    for (const type of types) {
      const table = { id, alias: 't', columns: [{ name: 'c', type }] }
      for (const filter of ['c IS NOT NULL', 'c IS NULL'])
        expect([type, filter, (await made.engine.condition(filter, table)).atMost]).not.toEqual([type, filter, never])
    }
  })

  it('never takes a part of a column to have no values, nor only one', async () => {
    await using made = await temporaryEngine()
    const struct = (type: 'int' | 'string') =>
      ({ type: 'struct', fields: [{ id: 13, name: 'x', required: false, type }] }) as const
    const filters = [
      [struct('int'), ['c.x = 5', 'c.x IS NULL', 'c.x IS NOT NULL', 'c.x < 0']],
      [struct('string'), ["c.x = 'm'", "c.x LIKE 'a%'"]],
      [
        { type: 'list', elementId: 12, element: 'int', elementRequired: false },
        ['c[1] = 5', 'c[2] IS NULL', 'len(c) = 9'],
      ],
      [
        { type: 'map', keyId: 14, key: 'string', valueId: 15, value: 'int', valueRequired: false },
        ["c['m'] = 5", "c['m'] IS NULL", "map_contains(c, 'm')"],
      ],
    ] as const
    for (const [type, conditions] of filters)
      for (const filter of conditions) {
        const found = await made.engine.condition(filter, { id, alias: 't', columns: [{ name: 'c', type }] })
        expect([filter, found.atMost, found.atLeast]).toEqual([filter, always, never])
      }
  })

  it('is understood beside numbers that JSON has no words for', async () => {
    await using made = await temporaryEngine()
    const columns = [
      { name: 'd', type: 'double' as const },
      { name: 'i', type: 'int' as const },
    ]
    const i = { kind: 'compare', operator: 'eq', column: 'i', value: 3 }
    for (const number of ['nan', 'infinity', '-infinity']) {
      const filter = `i = 3 AND d <> '${number}'::DOUBLE`
      expect((await made.engine.condition(filter, { id, alias: 't', columns })).atMost).toEqual(i)
      const sql = `SELECT '${number}'::DOUBLE, '${number}', d FROM ${id} WHERE i = 3`
      expect((await made.engine.filters(sql, new Map([[id, { columns }]]))).get(id)).toEqual(i)
    }
  })

  it('never takes a value inside a nested column for one that cannot be', async () => {
    await using made = await temporaryEngine()
    const field = (id: number, name: string, type: 'string' | 'int' | 'double' | 'date') =>
      ({ id, name, required: false, type }) as const
    const at = { type: 'struct', fields: [field(4, 'lat', 'double'), field(5, 'n', 'int')] } as const
    const place = {
      type: 'struct',
      fields: [field(2, 'city', 'string'), { id: 3, name: 'at', required: false, type: at }, field(6, 'day', 'date')],
    } as const
    const list = { type: 'list', elementId: 8, elementRequired: false, element: place } as const
    const map = { type: 'map', keyId: 10, key: 'string', valueId: 11, value: at, valueRequired: false } as const
    const columns = [
      { name: 'id', type: 'int' as const },
      { name: 'place', type: place },
      { name: 'list', type: list },
      { name: 'map', type: map },
    ]
    for (const inner of [
      "city = 'Ribe'",
      "city < 'b'",
      'at.n = 3',
      'at.lat <= 0',
      "day = DATE '2024-01-01'",
      'at.n IS NULL',
      'at.n IS NOT NULL',
    ])
      for (const filter of [`place.${inner}`, `list[1].${inner}`, `id = 1 OR place.${inner}`])
        expect([filter, (await made.engine.condition(filter, { id, alias: 't', columns })).atMost]).toEqual([
          filter,
          expect.objectContaining({ kind: 'true' }),
        ])
    for (const filter of ["map['a'].n = 3", "map_keys(map)[1] = 'k'", 'map IS NULL', 'place IS NULL'])
      expect((await made.engine.condition(filter, { id, alias: 't', columns })).atMost).not.toEqual(never)
  })

  it('is understood on nanoseconds, and beside names that differ in case alone', async () => {
    await using made = await temporaryEngine()
    const columns = [
      { name: 'ts', type: 'timestamptz_ns' as const },
      { name: 'a', type: 'int' as const },
      { name: 'A', type: 'int' as const },
    ]
    const of = async (filter: string) => (await made.engine.condition(filter, { id, alias: 't', columns })).atMost
    const value = 1_704_067_200_000_000_001n
    expect(await of("ts >= TIMESTAMP_NS '2024-01-01 00:00:00.000000001'")).toEqual({
      kind: 'compare',
      operator: 'ge',
      column: 'ts',
      value,
    })
    expect(await of('a = 3')).toEqual({ kind: 'compare', operator: 'eq', column: 'a', value: 3 })
    expect(await of('a_1 = 3')).toEqual(always)
  })

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
