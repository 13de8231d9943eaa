import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import {
  alterTable,
  append,
  type DivergenceSide,
  deleteRows,
  divergence,
  pinRef,
  snapshotFolder,
  updateRows,
} from '../../packages/limn/src/table/index.ts'
import { bareDuck } from '../support/hive-folder.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('lab.t')

/** A folder, and a table over a copy of its rows. */
async function lab(sql: readonly (readonly [path: string, sql: string])[]) {
  const made = await temporaryTables()
  const { context } = made
  const outside = join(made.folder, 'delivered')
  mkdirSync(outside)
  const duck = await bareDuck()
  for (const [path, query] of sql) await duck.file(outside, path, query)
  const folder = { kind: 'folder', folder: storePath(`file://${outside}`) } as const
  await snapshotFolder(context, id, folder.folder)
  const side = async (table = id): Promise<DivergenceSide> => {
    const loaded = (await context.catalog.loadTables([table])).get(table)
    const pin = loaded ? pinRef(loaded) : null
    if (!pin) throw new Error('it was not made')
    return { kind: 'table', pin }
  }
  return {
    context,
    duck,
    outside,
    folder,
    side,
    async [Symbol.asyncDispose]() {
      duck[Symbol.dispose]()
      await made[Symbol.asyncDispose]()
    },
  }
}

const two = [
  ['p=1/a.parquet', "SELECT range AS id, 'v' || range AS v FROM range(10)"],
  ['p=__HIVE_DEFAULT_PARTITION__/a.parquet', 'SELECT 100 + range AS id, NULL::VARCHAR AS v FROM range(3)'],
] as const

describe('divergence', () => {
  it('finds a folder and the table over it the same, whichever stands left', async () => {
    await using made = await lab(two)
    const table = await made.side()
    for (const [left, right] of [
      [table, made.folder],
      [made.folder, table],
      [table, table],
    ] as const)
      expect(await divergence(made.context, left, right, { keys: ['id'] })).toMatchObject({
        same: true,
        by: ['p'],
        rows: { left: 13n, right: 13n },
        partitions: { compared: 2, differing: 0 },
        changed: { rows: 0n },
      })
  })

  it('names rows that only one side has, as often as it has them, and those that were changed', async () => {
    await using made = await lab(two)
    const before = await made.side()
    await append(made.context, id, { sql: "SELECT 200::BIGINT AS id, 'new' AS v, 2::BIGINT AS p FROM range(2)" })
    await deleteRows(made.context, id, { filter: 'id = 101' })
    await updateRows(made.context, id, { filter: 'id = 5', set: { v: "'other'" } })
    const found = await divergence(made.context, before, await made.side(), { keys: ['id'] })
    expect(found).toMatchObject({
      same: false,
      columns: ['id', 'v', 'p'],
      rows: { left: 13n, right: 14n },
      partitions: { compared: 3, differing: 3 },
      onlyLeft: { rows: 1n, shown: [{ values: ['101', null, null], times: 1n }] },
      onlyRight: { rows: 2n, shown: [{ values: ['200', 'new', '2'], times: 2n }] },
      changed: { rows: 1n, shown: [{ key: ['5'], columns: [{ name: 'v', left: 'v5', right: 'other' }] }] },
    })
    expect(found.partitions.shown.map((one) => [one.values, one.left.rows, one.right.rows])).toEqual([
      [[null], 3n, 2n],
      [['1'], 10n, 10n],
      [['2'], 0n, 2n],
    ])
    const without = await divergence(made.context, await made.side(), made.folder, { by: [], limit: 1 })
    expect(without).toMatchObject({
      partitions: { compared: 1, differing: 1 },
      onlyLeft: { rows: 3n },
      onlyRight: { rows: 2n },
      changed: null,
    })
    expect(without.onlyLeft.shown).toHaveLength(1)
  })

  it('sees a row that is there once too often, which sums of sets would not', async () => {
    await using made = await lab([['a.parquet', 'SELECT 1 AS x FROM range(3)']])
    const before = await made.side()
    await append(made.context, id, { sql: 'SELECT 1 AS x FROM range(2)' })
    expect(await divergence(made.context, before, await made.side())).toMatchObject({
      same: false,
      onlyLeft: { rows: 0n },
      onlyRight: { rows: 2n, shown: [{ values: ['1'], times: 2n }] },
    })
  })

  it('tells columns that differ, and compares rows by those that both have', async () => {
    await using made = await lab([['a.parquet', 'SELECT 1::INTEGER AS x, 2 AS y']])
    await alterTable(made.context, id, [
      { kind: 'change-type', column: 'x', type: 'long' },
      { kind: 'drop-column', column: 'y' },
      { kind: 'add-column', name: 'z', type: 'string' },
    ])
    expect(await divergence(made.context, await made.side(), made.folder)).toMatchObject({
      same: false,
      schema: {
        onlyLeft: [{ name: 'z', type: 'VARCHAR' }],
        onlyRight: [{ name: 'y', type: 'INTEGER' }],
        types: [{ name: 'x', left: 'BIGINT', right: 'INTEGER', compared: 'BIGINT' }],
      },
      partitions: { differing: 0 },
      columns: ['x'],
    })
    await expect(divergence(made.context, await made.side(), made.folder, { keys: ['y'] })).rejects.toThrow(
      /The key "y" is not a column of both sides/,
    )
  })

  it('compares nested values, zeros of either sign and NaN as DuckDB groups them', async () => {
    await using made = await lab([
      [
        'a.parquet',
        "SELECT 0.0::DOUBLE AS d, [1, NULL] AS l, {a: 'x'} AS s, MAP {'k': 1} AS m UNION ALL SELECT 'NaN'::DOUBLE, [], NULL, MAP {}",
      ],
    ])
    const other = join(made.outside, '../other')
    await made.duck.file(
      other,
      'a.parquet',
      "SELECT -0.0::DOUBLE AS d, [1, NULL] AS l, {a: 'x'} AS s, MAP {'k': 1} AS m UNION ALL SELECT 'NaN'::DOUBLE, [], NULL, MAP {}",
    )
    const right = { kind: 'folder', folder: storePath(`file://${other}`) } as const
    expect(await divergence(made.context, await made.side(), right)).toMatchObject({ same: true })
    await made.duck.file(
      other,
      'b.parquet',
      "SELECT 1.5::DOUBLE AS d, [NULL, 1] AS l, {a: 'y'} AS s, MAP {'k': 2} AS m",
    )
    expect((await divergence(made.context, await made.side(), right)).onlyRight.shown).toEqual([
      { values: ['1.5', '[NULL, 1]', "{'a': y}", '{k=2}'], times: 1n },
    ])
  })

  it('gives the difference of the two bags of rows', { timeout: 60_000 }, async () => {
    await using made = await lab([['a.parquet', 'SELECT 1 AS x']])
    const row = fc.record({
      k: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null }),
      v: fc.option(fc.constantFrom('a', 'b', 'NULL', ''), { nil: null }),
    })
    type Row = { readonly k: number | null; readonly v: string | null }
    const key = (one: Row) => JSON.stringify([one.k === null ? null : String(one.k), one.v])
    let runs = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 8 }),
        fc.array(row, { minLength: 1, maxLength: 8 }),
        async (left, right) => {
          const write = async (name: string, rows: readonly Row[]) => {
            const folder = join(made.outside, `../${name}-${runs}`)
            const list = rows.map(
              (one) => `(${one.k ?? 'NULL'}::INTEGER, ${one.v === null ? 'NULL' : `'${one.v}'`}::VARCHAR)`,
            )
            await made.duck.file(folder, 'a.parquet', `SELECT * FROM (VALUES ${list.join(', ')}) AS t(k, v)`)
            return { kind: 'folder', folder: storePath(`file://${folder}`) } as const
          }
          const found = await divergence(made.context, await write('l', left), await write('r', right), { by: ['k'] })
          runs++
          const counts = new Map<string, bigint>()
          for (const one of left) counts.set(key(one), (counts.get(key(one)) ?? 0n) + 1n)
          for (const one of right) counts.set(key(one), (counts.get(key(one)) ?? 0n) - 1n)
          const bag = (sign: bigint) =>
            [...counts].flatMap(([one, n]) => (n * sign > 0n ? [`${one} ${n * sign}`] : [])).sort()
          const shown = (list: typeof found.onlyLeft.shown) =>
            list.map((one) => `${JSON.stringify(one.values)} ${one.times}`).sort()
          expect(shown(found.onlyLeft.shown)).toEqual(bag(1n))
          expect(shown(found.onlyRight.shown)).toEqual(bag(-1n))
          expect(found.same).toBe(bag(1n).length + bag(-1n).length === 0)
        },
      ),
      { numRuns: 40, seed: 20261126 },
    )
  })
})
