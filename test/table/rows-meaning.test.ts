import { rm } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import type { LimnError } from '../../packages/limn/src/base/index.ts'
import type { Field } from '../../packages/limn/src/schema/index.ts'
import { localFile } from '../../packages/limn/src/storage/index.ts'
import {
  alterTable,
  append,
  createTable,
  deleteRows,
  liveTableFiles,
  mergeRows,
  overwrite,
  type TableContext,
  updateRows,
  upsertRows,
} from '../../packages/limn/src/table/index.ts'
import { rowsSql } from '../support/histories.ts'
import { bagOf } from '../support/naive-table.ts'
import {
  makeEmpty,
  makeFull,
  type RowShape,
  row,
  rowColumns,
  rowShapes,
  rowsOf,
  select,
  rowTable as table,
} from '../support/row-tables.ts'
import { temporaryTables } from '../support/tables.ts'

const plain: RowShape = { formatVersion: 3, mode: 'copy-on-write', layout: 'unpartitioned' }
const modes = [plain, { ...plain, mode: 'merge-on-read' }] as const
const lazily: RowShape = modes[1]
const source = (...rows: ReturnType<typeof row>[]) => ({ sql: rowsSql(rowColumns, rows) })
const on = 'target.id = source.id'

async function many(context: TableContext, shape: RowShape): Promise<void> {
  await makeEmpty(context, shape)
  await append(context, table, {
    sql: "SELECT range AS id, 0 AS n, 'x' AS s, range AS big FROM range(3000)",
  })
}

async function state(context: TableContext) {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  if (!loaded) throw new Error('no table')
  return loaded
}

async function filesIn(made: { readonly store: TableContext['store'] }): Promise<readonly string[]> {
  const out: string[] = []
  for await (const one of made.store.list(made.store.root)) out.push(one.path)
  return out.sort()
}

/** The error of something that must leave the table and its folder as they were. */
async function refused(made: Awaited<ReturnType<typeof temporaryTables>>, act: () => Promise<unknown>) {
  const before = [(await state(made.context)).metadataLocation, await filesIn(made)]
  const error = await act().then(
    () => null,
    (failed: LimnError) => failed,
  )
  expect([(await state(made.context)).metadataLocation, await filesIn(made)]).toEqual(before)
  return error
}

describe.each(modes.map((shape) => [shape.mode, shape] as const))('a change of rows, %s', (_mode, shape) => {
  it('decides once for each row, where its condition is a matter of chance', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await many(context, shape)
    const { updated } = await updateRows(context, table, { filter: 'random() < 0.5', set: { n: '1' } })
    expect(updated).toBeGreaterThan(1000)
    expect(await select(context, ['count(*)', 'count(DISTINCT id)', 'sum(n)'])).toMatchObject([
      { 'count(*)': 3000n, 'count(DISTINCT id)': 3000n, 'sum(n)': BigInt(updated) },
    ])
    const { deleted } = await deleteRows(context, table, { filter: 'random() < 0.5' })
    expect(await select(context, ['count(*)'])).toEqual([{ 'count(*)': BigInt(3000 - deleted) }])
    await overwrite(context, table, 'random() < 0.5', source())
    const [left] = await select(context, ['count(*)', 'count(DISTINCT id)'])
    expect(left?.['count(*)']).toBe(left?.['count(DISTINCT id)'])
  })

  it('reads a source once, whatever rows it would have a second time', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await many(context, shape)
    const merged = await mergeRows(context, table, {
      source: { sql: "SELECT range AS id, 7 AS n, 's' AS s, 0 AS big FROM range(2000, 5000) WHERE random() < 0.5" },
      on,
      clauses: [
        { when: 'matched', and: 'random() < 0.5', action: { kind: 'updateAll' } },
        { when: 'notMatched', action: { kind: 'insertAll' } },
        { when: 'notMatchedBySource', and: 'random() < 0.1', action: { kind: 'delete' } },
      ],
    })
    const [found] = await select(context, ['count(*)', 'count(DISTINCT id)', 'count(*) FILTER (n = 7)'])
    const count = BigInt(3000 + merged.inserted - merged.deleted)
    expect(found).toEqual({
      'count(*)': count,
      'count(DISTINCT id)': count,
      'count(*) FILTER (n = 7)': BigInt(merged.updated + merged.inserted),
    })
  })

  it('leaves values alone that a wider type of a new one would blur', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, shape)
    const big = naive.rows.map((one) => String(one.big)).sort()
    await updateRows(context, table, { filter: 'id = 1', set: { big: 'sqrt(big) * 0 + 1' } })
    await mergeRows(context, table, {
      source: { sql: 'SELECT 3::BIGINT AS id, 2.0::DOUBLE AS big UNION ALL SELECT 200, 3.0' },
      on,
      clauses: [
        { when: 'matched', action: { kind: 'update', set: { big: 'source.big' } } },
        { when: 'notMatched', action: { kind: 'insert', values: { id: 'source.id', big: 'source.big' } } },
      ],
    })
    const found = await rowsOf(context)
    const others = found.filter((one) => one.id !== 1n && one.id !== 3n && one.id !== 200n)
    for (const one of others) expect(big).toContain(String(one.big))
    expect(found.filter((one) => !others.includes(one)).map((one) => one.big)).toEqual(
      expect.arrayContaining([1n, 2n, 3n]),
    )
  })

  it('fails, and writes nothing, for a value that does not fit its column', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, shape)
    const tries = [
      () => updateRows(context, table, { filter: 'id = 1', set: { n: "'seven'" } }),
      () => updateRows(context, table, { filter: 'id = 1', set: { n: '3000000000' } }),
      () =>
        mergeRows(context, table, {
          source: { sql: "SELECT 1 AS id, 'seven' AS n" },
          on,
          clauses: [{ when: 'matched', action: { kind: 'update', set: { n: 'source.n' } } }],
        }),
      () =>
        upsertRows(context, table, { source: { sql: "SELECT 'one' AS id, 1 AS n, 's' AS s, 1 AS big" }, keys: ['id'] }),
    ]
    for (const one of tries) expect(await refused(made, one)).toMatchObject({ name: 'LimnError' })
  })

  it('fails, and writes nothing, where a required column would be null', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const fields: readonly Field[] = [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 'n', required: false, type: 'int' },
    ]
    await createTable(context, table, {
      location: `${context.store.root}/silver/t`,
      schema: { schemaId: 0, identifierFieldIds: [], fields },
      spec: { specId: 0, fields: [] },
      properties: { 'write.update.mode': shape.mode, 'write.merge.mode': shape.mode },
    })
    await append(context, table, { sql: 'SELECT range AS id, 1 AS n FROM range(5)' })
    const tries = [
      () => updateRows(context, table, { filter: 'id = 1', set: { id: 'NULL' } }),
      () =>
        mergeRows(context, table, {
          source: { sql: 'SELECT 9 AS id' },
          on,
          clauses: [{ when: 'notMatched', action: { kind: 'insert', values: { n: '1' } } }],
        }),
    ]
    for (const one of tries) expect(await refused(made, one)).toMatchObject({ kind: 'source/schema' })
  })

  it('names the key of a row that several rows of the source match, and writes nothing', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, shape)
    const error = await refused(made, () =>
      mergeRows(context, table, {
        source: source(row(4, 1, 'x'), row(5, 1, 'x'), row(4, 2, 'y'), row(60, 1, 'new')),
        on,
        clauses: [
          { when: 'matched', action: { kind: 'updateAll' } },
          { when: 'notMatched', action: { kind: 'insertAll' } },
        ],
      }),
    )
    expect(error).toMatchObject({ kind: 'table/ambiguous-merge' })
    expect(error?.message).toContain('id = 4')
  })

  it('sets fields inside structs and leaves the others', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const inner: readonly Field[] = [
      { id: 3, name: 'a', required: false, type: 'int' },
      {
        id: 4,
        name: 'deep',
        required: false,
        type: {
          type: 'struct',
          fields: [
            { id: 5, name: 'x', required: false, type: 'long' },
            { id: 6, name: 'y', required: false, type: 'string' },
          ],
        },
      },
    ]
    await createTable(context, table, {
      location: `${context.store.root}/silver/t`,
      schema: {
        schemaId: 0,
        identifierFieldIds: [],
        fields: [
          { id: 1, name: 'id', required: false, type: 'long' },
          { id: 2, name: 'info', required: false, type: { type: 'struct', fields: inner } },
        ],
      },
      spec: { specId: 0, fields: [] },
      properties: { 'write.update.mode': shape.mode, 'write.merge.mode': shape.mode },
    })
    await append(context, table, {
      sql: "SELECT 1 AS id, {a: 1, deep: {x: 10, y: 'p'}} AS info UNION ALL SELECT 2, {a: 2, deep: {x: 20, y: 'q'}} UNION ALL SELECT 3, NULL",
    })
    await updateRows(context, table, {
      filter: 'id IN (1, 3)',
      set: { 'info.deep.x': 'id + 100', 'info.a': 'info.a + 1' },
    })
    await mergeRows(context, table, {
      source: { sql: "SELECT 2 AS id, 'merged' AS y" },
      on,
      clauses: [{ when: 'matched', action: { kind: 'update', set: { 'info.deep.y': 'source.y' } } }],
    })
    expect(await select(context, ['id', 'info.a', 'info.deep.x', 'info.deep.y'])).toEqual(
      expect.arrayContaining([
        { id: 1n, 'info.a': 2, 'info.deep.x': 101n, 'info.deep.y': 'p' },
        { id: 2n, 'info.a': 2, 'info.deep.x': 20n, 'info.deep.y': 'merged' },
        { id: 3n, 'info.a': null, 'info.deep.x': 103n, 'info.deep.y': null },
      ]),
    )
    const twice = () => updateRows(context, table, { filter: 'id = 1', set: { info: 'NULL', 'info.a': '1' } })
    expect(await refused(made, twice)).toMatchObject({ kind: 'sql/invalid' })
    const unknown = () => updateRows(context, table, { filter: 'id = 1', set: { 'info.b': '1' } })
    expect(await refused(made, unknown)).toMatchObject({ kind: 'sql/unknown-column' })
  })

  it('keeps the ids of rows, and tells which were changed', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, shape)
    const lineage = ['id', 'n', 's', '_row_id', '_last_updated_sequence_number']
    const idOf = async () => new Map((await select(context, lineage)).map((one) => [String(one._row_id), one] as const))
    const check = async (act: () => Promise<unknown>, changed: (s: unknown) => boolean) => {
      const before = await idOf()
      await act()
      const after = await idOf()
      const sequence = (await state(context)).metadata.lastSequenceNumber
      for (const [id, now] of after) {
        const was = before.get(id)
        if (changed(now.s)) expect(now._last_updated_sequence_number).toBe(sequence)
        else expect(now).toEqual(was)
      }
      return { before, after }
    }
    const updated = await check(
      () => updateRows(context, table, { filter: "s = 'a'", set: { s: "'changed'" } }),
      (s) => s === 'changed',
    )
    expect([...updated.after.keys()].sort()).toEqual([...updated.before.keys()].sort())
    const merged = await check(
      () =>
        mergeRows(context, table, {
          source: source(row(3, 5, 'merged'), row(11, 5, 'merged'), row(500, 1, 'merged')),
          on,
          clauses: [
            { when: 'matched', action: { kind: 'updateAll' } },
            { when: 'notMatched', action: { kind: 'insertAll' } },
          ],
        }),
      (s) => s === 'merged',
    )
    const fresh = [...merged.after].filter(([id]) => !merged.before.has(id))
    expect(fresh.map(([, one]) => one.id)).toEqual([500n])
    expect(merged.after.size).toBe(merged.before.size + 1)
    const deleted = await check(
      () => deleteRows(context, table, { filter: 'n = 5' }),
      () => false,
    )
    expect(deleted.after.size).toBeLessThan(deleted.before.size)
  })
})

describe('a change of rows', () => {
  it.each(['delete', 'merge'])(
    'reads no file that cannot hold a row of it, nor one that goes whole: %s',
    async (what) => {
      await using made = await temporaryTables()
      const { context } = made
      await createTable(context, table, {
        location: `${context.store.root}/silver/t`,
        schema: {
          schemaId: 0,
          identifierFieldIds: [],
          fields: [
            { id: 1, name: 'id', required: false, type: 'long' },
            { id: 2, name: 'day', required: false, type: 'date' },
          ],
        },
        spec: { specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'day', transform: { kind: 'identity' } }] },
        properties: { 'write.merge.mode': 'merge-on-read' },
      })
      const rowsAt = (from: number, day: string) => ({
        sql: `SELECT range AS id, DATE '${day}' AS day FROM range(${from}, ${from + 5})`,
      })
      for (const [i, day] of ['2026-01-01', '2026-01-02', '2026-01-03'].entries())
        await append(context, table, rowsAt(i * 100, day))
      const files = await liveTableFiles(context, await state(context))
      const lost = what === 'delete' ? files : files.filter((file) => file.partition[0] !== 20455)
      for (const file of lost) await rm(localFile(file.path))
      if (what === 'delete') {
        const { deleted, copied } = await deleteRows(context, table, { filter: "day <= DATE '2026-01-02'" })
        expect([deleted, copied]).toEqual([10, 0])
        return
      }
      expect(lost).toHaveLength(2)
      const merged = await mergeRows(context, table, {
        source: { sql: "SELECT 102 AS id, DATE '2026-01-02' AS day UNION ALL SELECT 777, DATE '2026-01-05'" },
        on: 'source.id = target.id AND target.day = source.day',
        clauses: [
          { when: 'matched', action: { kind: 'delete' } },
          { when: 'notMatched', action: { kind: 'insertAll' } },
        ],
      })
      expect(merged).toMatchObject({ deleted: 1, inserted: 1, updated: 0 })
    },
  )

  it('matches by what the condition compares, also where a cast of the key would not find it', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeEmpty(context, plain)
    await append(context, table, source(row(1, 1, '007'), row(2, 2, '8')))
    await mergeRows(context, table, {
      source: { sql: 'SELECT 7 AS code' },
      on: 'target.s = source.code',
      clauses: [{ when: 'matched', action: { kind: 'delete' } }],
    })
    expect((await rowsOf(context)).map((one) => one.id)).toEqual([2n])
  })

  it('sees subqueries of other tables, and of the table itself as it was', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeEmpty(context, lazily)
    await append(context, table, source(row(1, 1, 'a'), row(2, 5, 'b'), row(3, 9, 'c')))
    const { readPinned, pinRef } = await import('../../packages/limn/src/table/index.ts')
    const pin = pinRef(await state(context))
    if (!pin) throw new Error('no main')
    await using reading = await readPinned(context, pin)
    const tables = [reading.bound]
    await deleteRows(context, table, { filter: `n > (SELECT avg(n) FROM ${table})`, tables })
    expect((await rowsOf(context)).map((one) => one.id).sort()).toEqual([1n, 2n])
    await updateRows(context, table, { filter: 'id = 1', set: { n: `(SELECT max(n) FROM ${table})` }, tables })
    expect((await rowsOf(context)).map((one) => one.n).sort()).toEqual([5, 9])
  })

  it('refuses clauses that do not fit, and says what a condition names that is not there', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, plain)
    const merge = (clauses: Parameters<typeof mergeRows>[2]['clauses']) => async () =>
      mergeRows(context, table, { source: source(row(1, 1, 'a')), on, clauses })
    expect(await refused(made, merge([{ when: 'matched', action: { kind: 'insertAll' } }]))).toMatchObject({
      kind: 'sql/invalid',
    })
    expect(await refused(made, merge([{ when: 'notMatched', action: { kind: 'delete' } }]))).toMatchObject({
      kind: 'sql/invalid',
    })
    expect(await refused(made, merge([{ when: 'notMatchedBySource', action: { kind: 'updateAll' } }]))).toMatchObject({
      kind: 'sql/invalid',
    })
    const speaks = merge([{ when: 'notMatchedBySource', and: 'source.n = 1', action: { kind: 'delete' } }])
    expect((await refused(made, speaks))?.kind).toMatch(/^sql\//)
    const unknown = await refused(made, () => deleteRows(context, table, { filter: 'm = 1' }))
    expect(unknown).toMatchObject({ kind: 'sql/unknown-column' })
  })

  it('refuses to write columns that differ in case alone', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await createTable(context, table, {
      location: `${context.store.root}/silver/t`,
      schema: {
        schemaId: 0,
        identifierFieldIds: [],
        fields: [
          { id: 1, name: 'id', required: false, type: 'long' },
          { id: 2, name: 'ID', required: false, type: 'long' },
        ],
      },
      spec: { specId: 0, fields: [] },
    })
    const error = await refused(made, () => append(context, table, { sql: 'SELECT 1 AS id, 2 AS "ID"' }))
    expect(error).toMatchObject({ kind: 'iceberg/unsupported' })
  })
})

describe('an upsert', () => {
  it('takes of several rows the one that the order says, null least, equal ones once', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, lazily)
    const rows = source(
      row(1, 1, 'a'),
      row(1, 2, 'b'),
      row(1, 2, 'c'),
      row(1, null, 'z'),
      row(2, 1, 'd'),
      row(2, 1, 'd'),
    )
    await upsertRows(context, table, { source: rows, keys: ['id'], orderBy: ['n', 's'] })
    expect(
      (await rowsOf(context))
        .filter((one) => one.id === 1n || one.id === 2n)
        .map((one) => one.s)
        .sort(),
    ).toEqual(['c', 'd'])
    const open = () => upsertRows(context, table, { source: rows, keys: ['id'], orderBy: 'n' })
    expect(await refused(made, open)).toMatchObject({
      kind: 'table/ambiguous-merge',
      message: expect.stringContaining('id = 1'),
    })
  })

  it('deletes the keys of rows that say so, in every spec the table has files of', async () => {
    for (const shape of rowShapes) {
      await using made = await temporaryTables()
      const { context } = made
      const naive = await makeFull(context, shape)
      const keys = [1n, 6n, 10n, null]
      const result = await upsertRows(context, table, {
        source: source(row(1, 0, 'x'), row(6, 0, 'x'), row(10, 0, 'x'), row(null, 0, 'x'), row(5, 1, 'stays')),
        keys: ['id'],
        deleteWhen: 'n = 0',
      })
      expect(result).toMatchObject({ written: 1, keys: 5 })
      const expected = naive.rows.filter((one) => !keys.includes(one.id as bigint | null) && one.id !== 5n)
      expect(bagOf(await rowsOf(context))).toEqual(bagOf([...expected, row(5, 1, 'stays')]))
    }
  })

  it('refuses keys that leave out a column by which rows are partitioned, or were', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, { ...plain, layout: 'partitioned' })
    const bySome = () => upsertRows(context, table, { source: source(row(1, 1, 'a')), keys: ['s'] })
    expect(await refused(made, bySome)).toMatchObject({ kind: 'usage/argument' })
    await alterTable(context, table, [{ kind: 'remove-partition-field', field: { name: 'id_bucket' } }])
    expect(await refused(made, bySome)).toBeNull
    const none = () => upsertRows(context, table, { source: source(row(1, 1, 'a')), keys: [] })
    expect(await refused(made, none)).toMatchObject({ kind: 'usage/argument' })
    const unknown = () => upsertRows(context, table, { source: source(row(1, 1, 'a')), keys: ['nope'] })
    expect(await refused(made, unknown)).toMatchObject({ kind: 'usage/argument' })
  })
})
