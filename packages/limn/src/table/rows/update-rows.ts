import { join } from 'node:path'
import { LimnError, nearest, type TableId } from '../../base/index.ts'
import { type Bound, castSql } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { type Field, isPrimitive, type Type } from '../../schema/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { type ChangeOptions, changeTable, type Worked, type Working } from '../commit/commit.ts'
import { schemaOfPin, type TableContext } from '../context.ts'
import { writeRows } from '../write/write.ts'
import { writePositionDeletes } from '../write/write-deletes.ts'
import {
  aliasOf,
  type ChangedFiles,
  candidates,
  changedFiles,
  columnList,
  isolationOf,
  modeOf,
  openTarget,
  rowChecks,
  sharedTable,
  targetName,
} from './target-rows.ts'

/** New values by column: SQL expressions over the row as it was. A field of a struct is named with dots. */
export type SetClause = Readonly<Record<string, string>>

export interface UpdateRowsInput {
  /** An SQL condition over the table's columns: rows for which it is true change. */
  readonly filter: string
  readonly set: SetClause
  /** Qualifies columns. Default: the table's name without its namespace. */
  readonly alias?: string
  /** Tables that subqueries read. */
  readonly tables?: readonly Bound[]
}

export interface UpdateRowsResult extends ChangedFiles {
  /** Null when no row was to be changed: nothing was committed. */
  readonly snapshotId: bigint | null
  readonly updated: number
  /** Rows that stayed as they were and were written again. */
  readonly copied: number
}

/**
 * Updates rows in one snapshot: files with a matching row are written again (`write.update.mode` = `copy-on-write`, the
 * default), or keep their place and the changed rows are deleted by position and written anew (`merge-on-read`). Values
 * are cast to the column's type; one that does not fit, or a null where the table requires a value, is an error and
 * nothing is written. In version 3 a row keeps its id.
 */
export function updateRows(
  context: TableContext,
  table: TableId,
  input: UpdateRowsInput,
  options: ChangeOptions = {},
): Promise<UpdateRowsResult> {
  return changeTable(context, table, options, (working) => work(context, table, input, options, working))
}

type Result = Omit<UpdateRowsResult, 'snapshotId'>

async function work(
  context: TableContext,
  table: TableId,
  input: UpdateRowsInput,
  options: ChangeOptions,
  { pin, layout, folder }: Working,
): Promise<Worked<Result>> {
  const alias = input.alias ?? aliasOf(table)
  const { fields } = schemaOfPin(pin)
  const tables = input.tables ?? []
  const values = assignedColumns(fields, input.set, `${quoteIdentifier(alias)}.`)
  const condition = await context.engine.condition(
    input.filter,
    { id: table, alias, columns: fields },
    new Map(tables.map((one) => [one.id, one.schema.fields])),
  )
  const { whole, some } = await candidates(context, pin, condition)
  const tasks = [...whole, ...some]
  const lineage = pin.metadata.formatVersion >= 3
  const merged = modeOf(pin, 'write.update.mode') === 'merge-on-read'
  const row = quoteIdentifier(alias)
  await using target = await openTarget(context, pin, tasks, tables)
  const { session } = target
  // Merged on read, the rows themselves are needed, and nothing else of the files: one scan finds and keeps them.
  const kept = merged ? `${columnList(fields, `${row}.`)}${lineage ? ', _row_id' : ''}, _file, _pos` : '_file, _pos'
  await session.exec(`CREATE TABLE limn_hits AS SELECT ${kept} FROM ${targetName} AS ${row} WHERE (${input.filter})`)
  const { rows } = await session.rows('SELECT _file, count(*) FROM limn_hits GROUP BY _file')
  const hits = new Map(rows.map(([file, count]) => [String(file), Number(count)]))
  const touched = tasks.filter((task) => hits.has(task.file.path))
  const updated = [...hits.values()].reduce((sum, count) => sum + count, 0)
  if (touched.length === 0) return { change: null, result: { updated: 0, copied: 0, ...changedFiles([], []) } }
  const added: DataFile[] = []
  const removed: DataFile[] = []
  const written: StorePath[] = []
  const whenChanged = (field: Field) => {
    const name = `${row}.${quoteIdentifier(field.name)}`
    const value = values.get(field.name)
    if (value === undefined) return name
    const text = merged ? value : `CASE WHEN limn_hit.limn_pos IS NOT NULL THEN ${value} ELSE ${name} END`
    return `${text} AS ${quoteIdentifier(field.name)}`
  }
  const since = merged ? 'NULL::BIGINT' : 'CASE WHEN limn_hit.limn_pos IS NULL THEN _last_updated_sequence_number END'
  const extra = lineage ? `, _row_id, ${since} AS _last_updated_sequence_number` : ''
  const found = `SELECT _file AS limn_file, _pos AS limn_pos FROM ${await sharedTable(session, 'limn_hits')}`
  const from = merged
    ? `limn_hits AS ${row}`
    : `${targetName} AS ${row} LEFT JOIN (${found}) AS limn_hit ON limn_file = ${row}._file AND limn_pos = ${row}._pos`
  const sql = `SELECT ${fields.map(whenChanged).join(', ')}${extra} FROM ${from}`
  await using again = merged ? undefined : await openTarget(context, pin, touched, tables)
  const source = again ?? target
  const data = await writeRows(context, source.session, sql, layout, join(folder, 'rows'), { lineage })
  added.push(...data)
  written.push(...data.map((file) => file.path))
  if (merged) {
    const deletes = await writePositionDeletes(context, {
      metadata: pin.metadata,
      layout,
      session,
      from: 'limn_hits',
      tasks: touched,
      folder: join(folder, 'deletes'),
    })
    added.push(...deletes.added)
    removed.push(...deletes.removed)
    written.push(...deletes.written)
  } else removed.push(...touched.map((task) => task.file))
  const rowsWritten = data.reduce((sum, file) => sum + Number(file.recordCount), 0)
  const checks = rowChecks({
    isolation: isolationOf(pin, 'update', options.isolation),
    predicate: condition.atMost,
    rewritten: merged ? [] : touched,
    referenced: merged ? touched : [],
    vectors: lineage,
    keepsRows: true,
  })
  return {
    change: { operation: 'overwrite', added, removed, written, checks },
    result: { updated, copied: merged ? 0 : rowsWritten - updated, ...changedFiles(added, removed) },
  }
}

/**
 * The new value of each column that is set, as SQL. Fields of structs are put together; a struct that was null becomes
 * one whose other fields are null. Throws `sql/unknown-column`, `sql/invalid` where a column is set twice.
 */
export function assignedColumns(fields: readonly Field[], set: SetClause, prefix: string): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  const nested = new Map<string, Record<string, string>>()
  for (const [path, value] of Object.entries(set)) {
    const whole = fields.find((field) => field.name === path)
    if (whole) {
      out.set(whole.name, castSql(whole.type, value))
      continue
    }
    const dot = path.indexOf('.')
    const top = dot < 0 ? undefined : fields.find((field) => field.name === path.slice(0, dot))
    if (!top) throw unknownColumn(path, fields)
    nested.set(top.name, { ...nested.get(top.name), [path.slice(dot + 1)]: value })
  }
  for (const [name, inside] of nested) {
    if (out.has(name)) throw twice(name)
    const field = fields.find((one) => one.name === name)
    if (field) out.set(name, structValue(field.type, `${prefix}${quoteIdentifier(name)}`, inside, name))
  }
  return out
}

function structValue(type: Type, value: string, set: Readonly<Record<string, string>>, path: string): string {
  if (isPrimitive(type) || type.type !== 'struct') {
    throw new LimnError('sql/invalid', {
      message: `${path} is no struct: nothing inside it can be set.`,
      notDone: 'Nothing was written.',
      remedy: 'Set the column as a whole.',
    })
  }
  const inner = assignedColumns(type.fields, set, `${value}.`)
  const members = type.fields.map(
    (field) =>
      `${quoteIdentifier(field.name)} := ${inner.get(field.name) ?? `${value}.${quoteIdentifier(field.name)}`}`,
  )
  return `struct_pack(${members.join(', ')})`
}

function unknownColumn(path: string, fields: readonly Field[]): LimnError {
  const close = nearest(
    path,
    fields.map((field) => field.name),
  )
  return new LimnError('sql/unknown-column', {
    message: `The table has no column ${path}.`,
    notDone: 'Nothing was written.',
    ...(close ? { remedy: `Did you mean ${close}?` } : {}),
  })
}

function twice(name: string): LimnError {
  return new LimnError('sql/invalid', { message: `${name} is set twice.`, notDone: 'Nothing was written.' })
}
