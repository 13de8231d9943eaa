import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import type { Transform } from '../../packages/limn/src/iceberg/index.ts'
import {
  alterTable,
  append,
  createTable,
  deleteRows,
  pinRef,
  readPinned,
  type TableContext,
  upsertRows,
} from '../../packages/limn/src/table/index.ts'
import { type Column, fieldsOf, rowsSql } from './histories.ts'
import { type Cell, NaiveTable, type Row } from './naive-table.ts'

/** Tables of every kind that a change of rows may meet, each with the naive table that says what is in it. */
export interface RowShape {
  readonly formatVersion: 2 | 3
  readonly mode: 'copy-on-write' | 'merge-on-read'
  readonly layout: 'unpartitioned' | 'partitioned' | 'evolved spec'
}

export const rowShapes: readonly RowShape[] = ([2, 3] as const).flatMap((formatVersion) =>
  (['copy-on-write', 'merge-on-read'] as const).flatMap((mode) =>
    (['unpartitioned', 'partitioned', 'evolved spec'] as const).map((layout) => ({ formatVersion, mode, layout })),
  ),
)

export function nameOf({ formatVersion, mode, layout }: RowShape): string {
  return `version ${formatVersion}, ${mode}, ${layout}`
}

export const rowTable: TableId = tableId('silver.t')

export const rowColumns: readonly Column[] = [
  { name: 'id', type: 'long' },
  { name: 'n', type: 'int' },
  { name: 's', type: 'string' },
  { name: 'big', type: 'long' },
]

/** A row. `big` is beyond what a double can hold, so that a value that goes through one is caught. */
export function row(id: number | null, n: number | null, s: string | null): Row {
  return { id: id === null ? null : BigInt(id), n, s, big: 9_007_199_254_740_993n + BigInt((id ?? 0) * 2) }
}

const first = [row(1, 1, 'a'), row(2, 2, 'b'), row(3, null, 'c'), row(4, 4, null), row(5, 5, 'a'), row(6, 1, 'zz')]
const second = [
  row(5, 6, 'a'),
  row(6, 1, 'zz'),
  row(6, 1, 'zz'),
  row(7, 7, 'g'),
  row(null, 1, 'n'),
  row(null, null, null),
]
const third = [row(10, 1, 'a'), row(11, 2, 'b'), row(12, null, null), row(13, 3, 'd'), row(14, 5, 'é')]

const bucket: Transform = { kind: 'bucket', count: 3 }

export async function makeEmpty(context: TableContext, shape: RowShape, table = rowTable): Promise<void> {
  const { formatVersion, mode, layout } = shape
  await createTable(context, table, {
    location: `${context.store.root}/${table.replace('.', '/')}`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(rowColumns) },
    spec: {
      specId: 0,
      fields: layout === 'unpartitioned' ? [] : [{ sourceId: 1, fieldId: 1000, name: 'id_bucket', transform: bucket }],
    },
    formatVersion,
    properties: {
      'write.delete.mode': mode,
      'write.update.mode': mode,
      'write.merge.mode': mode,
      'commit.retry.min-wait-ms': '0',
      'commit.retry.max-wait-ms': '1',
    },
  })
}

/**
 * Three appends; duplicates, null keys and null values; a row deleted as the mode has it and one by an equality delete;
 * with an evolved spec the last append is of another one than the others.
 */
export async function makeFull(context: TableContext, shape: RowShape, table = rowTable): Promise<NaiveTable> {
  await makeEmpty(context, shape, table)
  const naive = new NaiveTable()
  for (const rows of [first, second, third]) {
    if (rows === third && shape.layout === 'evolved spec')
      await alterTable(context, table, [
        { kind: 'remove-partition-field', field: { name: 'id_bucket' } },
        { kind: 'add-partition-field', column: 'id', transform: { kind: 'truncate', width: 4 } },
      ])
    await append(context, table, { sql: rowsSql(rowColumns, rows) })
    naive.append(rows)
    if (rows !== second) continue
    await deleteRows(context, table, { filter: 'id = 2' })
    naive.remove({ is: 'compare', column: 'id', operator: '=', value: 2n })
    const anew = row(7, 70, 'upserted')
    await upsertRows(context, table, { source: { sql: rowsSql(rowColumns, [anew]) }, keys: ['id'] })
    naive.upsert(['id'], [anew])
  }
  return naive
}

export function copyOf(table: NaiveTable): NaiveTable {
  const copy = new NaiveTable()
  copy.append(table.rows)
  return copy
}

/** The rows of a branch as limn reads them now. */
export async function rowsOf(context: TableContext, branch = 'main', table = rowTable): Promise<readonly Row[]> {
  return select(
    context,
    rowColumns.map((one) => one.name),
    branch,
    table,
  )
}

/** Columns of a branch, also those that are no field: `_row_id` and the like. */
export async function select(
  context: TableContext,
  names: readonly string[],
  branch = 'main',
  table = rowTable,
): Promise<readonly Row[]> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const pin = loaded && pinRef(loaded, branch)
  if (!pin) throw new Error(`no branch ${branch} of ${table}`)
  await using reading = await readPinned(context, pin, { metadataColumns: true })
  await using session = await context.engine.session([reading.bound])
  const { rows } = await session.rows(`SELECT ${names.join(', ')} FROM ${table}`)
  return rows.map((cells) => Object.fromEntries(names.map((name, i) => [name, (cells[i] ?? null) as Cell])))
}
