import { describe, expect, it } from 'vitest'
import {
  deleteRows,
  mergeRows,
  overwrite,
  overwritePartitions,
  replaceTable,
  truncateTable,
  updateRows,
  upsertRows,
} from '../../packages/limn/src/table/index.ts'
import { applyNaively, applyToTable, fieldsOf, type Operation, rowsSql } from '../support/histories.ts'
import { bagOf, type Clause, type Condition, NaiveTable, type Row } from '../support/naive-table.ts'
import {
  copyOf,
  makeEmpty,
  makeFull,
  nameOf,
  row,
  rowColumns,
  rowShapes,
  rowsOf,
  rowTable as table,
} from '../support/row-tables.ts'
import { temporaryTables } from '../support/tables.ts'

const is = (column: string, operator: '=' | '<>' | '<' | '>', value: number | bigint | string): Condition => ({
  is: 'compare',
  column,
  operator,
  value,
})
const noId: Condition = { is: 'null', column: 'id' }
const every: Condition = { is: 'or', of: [noId, { is: 'not', of: noId }] }

const updateMatched: Clause = {
  when: 'matched',
  act: 'update',
  set: { n: { to: 'source', column: 'n' }, s: { to: 'source', column: 's' } },
}
const allClauses: readonly Clause[] = [
  { when: 'matched', and: is('n', '=', 1), act: 'delete' },
  updateMatched,
  { when: 'notMatched', and: is('n', '>', 0), act: 'insert' },
  {
    when: 'notMatchedBySource',
    and: is('s', '=', 'a'),
    act: 'update',
    set: { n: { to: 'plus', column: 'n', by: 100 } },
  },
  { when: 'notMatchedBySource', and: noId, act: 'delete' },
]
const source: readonly Row[] = [
  row(1, -1, 'new'),
  row(3, 33, null),
  row(10, 5, 'x'),
  row(99, 1, 'in'),
  row(98, -5, 'out'),
  row(null, 2, 'null'),
]

const operations: Readonly<Record<string, Operation>> = {
  'delete of some rows': { kind: 'delete', where: is('n', '=', 1) },
  'delete where a value is null': { kind: 'delete', where: { is: 'null', column: 'n' } },
  'delete where null is neither true nor false': { kind: 'delete', where: { is: 'not', of: is('n', '=', 1) } },
  'delete of a key with duplicates': { kind: 'delete', where: is('id', '=', 6n) },
  'delete of what is not there': { kind: 'delete', where: is('id', '=', 50n) },
  'delete of every row': { kind: 'delete', where: every },
  'update of some rows': {
    kind: 'update',
    where: is('s', '=', 'a'),
    set: { n: { to: 'plus', column: 'n', by: 10 }, s: { to: 'value', value: 'changed' } },
  },
  'update to null and of the key': {
    kind: 'update',
    where: is('id', '>', 5n),
    set: { n: { to: 'value', value: null }, id: { to: 'plus', column: 'id', by: 100 } },
  },
  'update of every row': { kind: 'update', where: every, set: { s: { to: 'value', value: 'same' } } },
  'overwrite by a filter': { kind: 'overwrite', where: is('n', '<', 3), rows: [row(1, 1, 'again'), row(80, 2, null)] },
  'merge with clauses of every kind': { kind: 'merge', source, clauses: allClauses },
  'merge that updates and inserts': {
    kind: 'merge',
    source,
    clauses: [updateMatched, { when: 'notMatched', act: 'insert' }],
  },
  'merge that deletes': { kind: 'merge', source, clauses: [{ when: 'matched', act: 'delete' }] },
  'merge that inserts alone': {
    kind: 'merge',
    source: [...source, row(1, 5, 'second')],
    clauses: [{ when: 'notMatched', act: 'insert' }],
  },
  // No clause is about matched rows, so that several matches of one row are no error, and make no more rows of it.
  'merge that deletes what the source lacks': {
    kind: 'merge',
    source: [row(1, 1, 'x'), row(1, 2, 'y'), row(5, 2, 'y'), row(5, 3, 'z')],
    clauses: [{ when: 'notMatchedBySource', and: is('n', '=', 1), act: 'delete' }],
  },
  'merge of nothing': { kind: 'merge', source: [], clauses: [updateMatched, { when: 'notMatched', act: 'insert' }] },
  'merge of nothing that deletes what the source lacks': {
    kind: 'merge',
    source: [],
    clauses: [{ when: 'notMatchedBySource', act: 'delete' }],
  },
  upsert: {
    kind: 'upsert',
    rows: [row(1, 11, 'up'), row(6, 66, null), row(13, 0, 'up'), row(null, 0, 'no key'), row(77, 7, 'new')],
  },
}

/** `LIMN_ROWS=all`: every kind of table; else each mode, version and layout with some of the others. */
const shapes = rowShapes.filter((_shape, i) => process.env.LIMN_ROWS === 'all' || [1, 5, 6, 11].includes(i))

describe.each(shapes.map((shape) => [nameOf(shape), shape] as const))('rows of a table of %s', (_name, shape) => {
  it('are what a naive table has after each operation, and on main they stay as they were', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const full = await makeFull(context, shape)
    expect(bagOf(await rowsOf(context))).toEqual(bagOf(full.rows))
    for (const [name, operation] of Object.entries(operations)) {
      const expected = copyOf(full)
      applyNaively(expected, operation)
      const branch = name.replaceAll(' ', '-')
      await applyToTable(context, table, rowColumns, operation, { branch })
      // Where nothing was to be changed there is no branch either.
      const loaded = (await context.catalog.loadTables([table])).get(table)
      const seen = loaded?.metadata.refs[branch] ? branch : 'main'
      expect([name, bagOf(await rowsOf(context, seen))]).toEqual([name, bagOf(expected.rows)])
    }
    expect(bagOf(await rowsOf(context))).toEqual(bagOf(full.rows))
  })

  it('are what a naive table has when the operations follow one another', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, shape)
    for (const name of [
      'merge with clauses of every kind',
      'update of some rows',
      'upsert',
      'delete of some rows',
      'merge that updates and inserts',
      'overwrite by a filter',
      'update of every row',
      'delete of every row',
      'merge that updates and inserts',
    ]) {
      const operation = operations[name]
      if (!operation) throw new Error(name)
      applyNaively(naive, operation)
      await applyToTable(context, table, rowColumns, operation)
      expect([name, bagOf(await rowsOf(context))]).toEqual([name, bagOf(naive.rows)])
    }
  })

  it('come to nothing in a table without rows, but for those that are put in', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeEmpty(context, shape)
    const where = 'n = 1'
    expect(await deleteRows(context, table, { filter: where })).toMatchObject({ snapshotId: null, deleted: 0 })
    expect(await updateRows(context, table, { filter: where, set: { n: '2' } })).toMatchObject({
      snapshotId: null,
      updated: 0,
    })
    expect(await truncateTable(context, table)).toMatchObject({ snapshotId: null, deleted: 0 })
    const clauses = [
      { when: 'matched', action: { kind: 'delete' } },
      { when: 'notMatched', action: { kind: 'insertAll' } },
    ] as const
    const on = 'target.id = source.id'
    const none = await mergeRows(context, table, { source: { sql: rowsSql(rowColumns, []) }, on, clauses })
    expect(none).toMatchObject({ snapshotId: null, inserted: 0, updated: 0, deleted: 0 })
    const empty = await upsertRows(context, table, { source: { sql: rowsSql(rowColumns, []) }, keys: ['id'] })
    expect(empty).toMatchObject({ snapshotId: null, written: 0, keys: 0 })
    const merged = await mergeRows(context, table, { source: { sql: rowsSql(rowColumns, source) }, on, clauses })
    expect(merged).toMatchObject({ inserted: source.length, updated: 0, deleted: 0, copied: 0 })
    expect(bagOf(await rowsOf(context))).toEqual(bagOf(source))
  })

  it('are counted by what happened to them', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, shape)
    const merged = shape.mode === 'merge-on-read'
    const branch = (name: string) => ({ branch: name })
    const deleted = await deleteRows(context, table, { filter: 'n = 1' }, branch('d'))
    expect(deleted.deleted).toBe(copyOf(naive).remove(is('n', '=', 1)))
    const updated = await updateRows(context, table, { filter: 'n = 1', set: { s: "'x'" } }, branch('u'))
    expect(updated.updated).toBe(deleted.deleted)
    expect([deleted.copied === 0, updated.copied === 0]).toEqual([merged, merged])
    expect(deleted.files.deletes > 0).toBe(merged)
    const gone = await truncateTable(context, table, branch('t'))
    expect(gone).toMatchObject({ deleted: naive.rows.length, copied: 0, files: { added: 0, deletes: 0 } })
    expect(await rowsOf(context, 't')).toEqual([])
    const written = await upsertRows(
      context,
      table,
      { source: { sql: rowsSql(rowColumns, source) }, keys: ['id'], deleteWhen: 'n < 0' },
      branch('s'),
    )
    expect(written).toMatchObject({ written: 4, keys: 6 })
  })

  it('are replaced by partition, or all at once under a new shape', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, shape)
    const fresh = [row(3, 0, 'in its place')]
    await overwritePartitions(context, table, { sql: rowsSql(rowColumns, fresh) }, { branch: 'p' })
    const partitions = await rowsOf(context, 'p')
    const expected = new NaiveTable()
    if (shape.layout !== 'unpartitioned') {
      // Only rows in the partition of the new one are gone: for an evolved spec those of the files it was written under.
      const kept = bagOf(partitions.filter((one) => one.s !== 'in its place'))
      const before = bagOf(naive.rows)
      for (const one of kept) expect(before).toContain(one)
      if (shape.layout === 'evolved spec') expect(kept).toEqual(before)
      else expect(kept.length).toBeLessThan(before.length)
      expected.append(partitions.filter((one) => one.s === 'in its place'))
    } else expected.append(partitions)
    expect(bagOf(expected.rows)).toEqual(bagOf(fresh))
    const loaded = (await context.catalog.loadTables([table])).get(table)
    const head = loaded?.metadata.currentSnapshotId
    await replaceTable(
      context,
      table,
      {
        schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(rowColumns) },
        spec: { specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'n', transform: { kind: 'identity' } }] },
      },
      { sql: rowsSql(rowColumns, source) },
    )
    expect(bagOf(await rowsOf(context))).toEqual(bagOf(source))
    const after = (await context.catalog.loadTables([table])).get(table)
    expect(after?.metadata.tableUuid).toBe(loaded?.metadata.tableUuid)
    expect(after?.metadata.snapshots.some((one) => one.snapshotId === head)).toBe(true)
    await overwrite(context, table, 'TRUE', { sql: rowsSql(rowColumns, fresh) })
    expect(bagOf(await rowsOf(context))).toEqual(bagOf(fresh))
  })
})
