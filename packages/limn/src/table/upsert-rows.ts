import { join } from 'node:path'
import { LimnError, type TableId } from '../base/index.ts'
import type { Field } from '../schema/index.ts'
import { quoteIdentifier } from '../sql/index.ts'
import type { RowSource } from './change.ts'
import { type ChangeOptions, changeTable } from './commit.ts'
import { schemaOfPin, type TableContext } from './context.ts'
import { type ChangedFiles, changedFiles, columnList } from './target-rows.ts'
import { writeRows } from './write.ts'
import { writeEqualityDeletes } from './write-deletes.ts'

export interface UpsertRowsInput {
  /** Rows with the table's columns, and what `orderBy` and `deleteWhen` name. */
  readonly source: RowSource
  /** Columns that identify a row. The columns the table is partitioned by have to be among them. */
  readonly keys: readonly string[]
  /** SQL: of several rows with one key the one that is greatest by it counts. Default: any one. */
  readonly orderBy?: string
  /** SQL: rows for which it is true delete their key and are not written. */
  readonly deleteWhen?: string
}

export interface UpsertRowsResult extends ChangedFiles {
  /** Null when the source was empty: nothing was committed. */
  readonly snapshotId: bigint | null
  /** Rows written; those that replace one of the table are not told from new ones. */
  readonly written: number
  /** Keys whose earlier rows are gone. */
  readonly keys: number
}

/**
 * Puts rows in place of those with the same key, without reading the table: the rows and equality deletes of their keys in
 * one snapshot, as streams do it. Null keys equal each other. Reading pays for it until the table is compacted.
 * Throws `usage/argument` for keys the table does not have or that leave out a partition column, and what `changeTable` does.
 */
export function upsertRows(
  context: TableContext,
  table: TableId,
  input: UpsertRowsInput,
  options: ChangeOptions = {},
): Promise<UpsertRowsResult> {
  return changeTable(context, table, options, async ({ pin, layout, folder }) => {
    const { fields } = schemaOfPin(pin)
    const keys = keyFields(fields, input.keys)
    const partitionedBy = layout.spec.fields.filter((field) => field.transform.kind !== 'void')
    const outside = partitionedBy.find((part) => !keys.some((key) => key.id === part.sourceId))
    if (outside) throw needsKey(table, fields.find((field) => field.id === outside.sourceId)?.name ?? outside.name)
    await using session = await context.engine.session(input.source.tables ?? [], { signal: context.signal })
    const by = keys.map((key) => quoteIdentifier(key.name)).join(', ')
    const order = input.orderBy === undefined ? '' : ` ORDER BY ${input.orderBy} DESC NULLS LAST`
    const gone = input.deleteWhen === undefined ? 'FALSE' : `coalesce((${input.deleteWhen}), FALSE)`
    await session.exec(
      `CREATE TEMP TABLE limn_latest AS SELECT *, ${gone} AS limn_gone FROM (${input.source.sql}\n) QUALIFY row_number() OVER (PARTITION BY ${by}${order}) = 1`,
    )
    const kept = `SELECT ${columnList(fields)} FROM limn_latest WHERE NOT limn_gone`
    const data = await writeRows(context, session, kept, layout, join(folder, 'rows'))
    const empty = pin.snapshotId === null
    const deletes = empty
      ? []
      : await writeEqualityDeletes(
          context,
          session,
          `SELECT ${by} FROM limn_latest`,
          keys.map((key) => key.id),
          layout,
          join(folder, 'deletes'),
        )
    const added = [...data, ...deletes]
    const sum = (files: typeof data) => files.reduce((total, file) => total + Number(file.recordCount), 0)
    const result = { written: sum(data), keys: sum(deletes), ...changedFiles(added, []) }
    if (added.length === 0) return { change: null, result }
    const operation = deletes.length === 0 ? 'append' : data.length === 0 ? 'delete' : 'overwrite'
    const written = added.map((file) => file.path)
    return { change: { operation, added, removed: [], written }, result }
  })
}

function keyFields(fields: readonly Field[], names: readonly string[]): readonly Field[] {
  const found = names.map((name) => {
    const field = fields.find((one) => one.name === name)
    if (field && typeof field.type === 'string' && field.type !== 'float' && field.type !== 'double') return field
    throw new LimnError('usage/argument', {
      message: field
        ? `${name} cannot be a key: it is of type ${describe(field)}.`
        : `The table has no column ${name}.`,
      notDone: 'Nothing was written.',
      remedy: 'Name the columns that identify a row.',
    })
  })
  if (found.length > 0) return found
  throw new LimnError('usage/argument', { message: 'An upsert needs a key.', notDone: 'Nothing was written.' })
}

function describe(field: Field): string {
  return typeof field.type === 'string' ? field.type : field.type.type
}

function needsKey(table: TableId, column: string): LimnError {
  return new LimnError('usage/argument', {
    message: `${table} is partitioned by ${column}, which is not among the keys: an earlier row in another partition would stay.`,
    notDone: 'Nothing was written.',
    remedy: `Add ${column} to the keys, or use a merge.`,
  })
}
