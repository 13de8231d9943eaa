import { type TableId, tableId } from '../../base/index.ts'
import type { Bound, Session } from '../../engine/index.ts'
import type { Predicate } from '../../expr/index.ts'
import {
  type CommitCheck,
  type DataFile,
  type IsolationLevel,
  mightMatch,
  mustMatch,
  type ScanTask,
  specById,
} from '../../iceberg/index.ts'
import type { Field } from '../../schema/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { FileLease, StorePath } from '../../storage/index.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from '../context.ts'
import { bindFiles } from '../read/bind.ts'
import { leaseFiles, liveTableTasks } from '../read/read.ts'

/** Under this name the rows to be changed are bound, apart from the table's own name, which a subquery may read. */
export const targetTable: TableId = tableId('limn_target.rows')
export const targetName = 'limn_target.rows'

/** The name by which a condition may qualify the columns of the table. */
export function aliasOf(table: TableId): string {
  return table.slice(table.indexOf('.') + 1)
}

export type WriteMode = 'copy-on-write' | 'merge-on-read'

/** How an operation changes rows of a table: its property, else copy-on-write. Version 1 has no deletes to merge. */
export function modeOf(
  pin: PinnedTable,
  property: 'write.delete.mode' | 'write.update.mode' | 'write.merge.mode',
): WriteMode {
  return pin.metadata.properties[property] === 'merge-on-read' && pin.metadata.formatVersion >= 2
    ? 'merge-on-read'
    : 'copy-on-write'
}

export function isolationOf(
  pin: PinnedTable,
  operation: 'delete' | 'update' | 'merge',
  asked: IsolationLevel | undefined,
): IsolationLevel {
  if (asked) return asked
  return pin.metadata.properties[`write.${operation}.isolation-level`] === 'snapshot' ? 'snapshot' : 'serializable'
}

/** Data files by whether a condition surely holds for all their rows, or may for some. */
export interface Candidates {
  readonly whole: readonly ScanTask[]
  readonly some: readonly ScanTask[]
}

export async function candidates(
  context: TableContext,
  pin: PinnedTable,
  condition: { readonly atMost: Predicate; readonly atLeast: Predicate },
): Promise<Candidates> {
  const schema = schemaOfPin(pin)
  const whole: ScanTask[] = []
  const some: ScanTask[] = []
  for (const task of await liveTableTasks(context, pin)) {
    const spec = specById(pin.metadata, task.file.specId)
    if (!mightMatch(task.file, condition.atMost, schema, spec)) continue
    if (mustMatch(task.file, condition.atLeast, schema, spec)) whole.push(task)
    else some.push(task)
  }
  return { whole, some }
}

/** A session in which chosen files of a table are bound as `targetName`, with metadata columns. */
export async function openTarget(
  context: TableContext,
  pin: PinnedTable,
  tasks: readonly ScanTask[],
  tables: readonly Bound[],
): Promise<{ readonly session: Session } & AsyncDisposable> {
  const stack = new AsyncDisposableStack()
  try {
    const lease: FileLease = stack.use(await leaseFiles(context, tasks))
    const bound = { ...bindFiles(pin, tasks, lease, { metadataColumns: true }), id: targetTable }
    const session = stack.use(await context.engine.session([...tables, bound], { signal: context.signal }))
    return { session, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

/**
 * The full name of a table that a session made: other sessions of the engine find it by that name. So that a condition is
 * decided once for a row: a second answer could be another one, where it calls a clock or chance.
 */
export async function sharedTable(session: Session, name: string): Promise<string> {
  const { rows } = await session.rows('SELECT current_database()')
  return `${quoteIdentifier(String(rows[0]?.[0]))}.main.${quoteIdentifier(name)}`
}

/** Rows of the bound target that are not among those a table names by `_file` and `_pos`. */
export function rowsWithout(hits: string, alias: string, columns: string): string {
  const row = quoteIdentifier(alias)
  return `SELECT ${columns} FROM ${targetName} AS ${row} ANTI JOIN ${hits} AS limn_hit ON limn_hit._file = ${row}._file AND limn_hit._pos = ${row}._pos`
}

/** The columns of a table, quoted, behind a qualifier that ends in a dot or is empty. */
export function columnList(fields: readonly Field[], prefix = ''): string {
  return fields.map((field) => `${prefix}${quoteIdentifier(field.name)}`).join(', ')
}

/** Rows of a task that are there: its records without those deleted, as far as counting deletes is exact; else null. */
export function liveRows(task: ScanTask): bigint | null {
  return task.deletes.length === 0 ? task.file.recordCount : null
}

/** What a change of rows relied on: the files it changed, and, serializable, that no other row would have been met. */
export function rowChecks(input: {
  readonly isolation: IsolationLevel
  readonly predicate: Predicate
  readonly rewritten: readonly ScanTask[]
  readonly referenced: readonly ScanTask[]
  readonly vectors: boolean
  /** Rows were updated, not deleted: others' deletes of the same rows are in the way, not their updates alone. */
  readonly keepsRows: boolean
}): readonly CommitCheck[] {
  const { isolation, predicate, rewritten, referenced } = input
  const within = { kind: 'rows', predicate } as const
  const checks: CommitCheck[] = []
  if (rewritten.length > 0)
    checks.push({
      kind: 'noDeletesFor',
      files: rewritten.map(({ file, dataSequenceNumber }) => ({ file, dataSequenceNumber })),
    })
  if (referenced.length > 0) {
    checks.push({ kind: 'stillLive', files: referenced.map((task) => task.file) })
    if (input.vectors)
      checks.push({ kind: 'noVectorsFor', paths: new Set<StorePath>(referenced.map((task) => task.file.path)) })
  }
  if (!input.keepsRows) checks.push({ kind: 'noAddedDeletes', within, deleted: 'ignore' })
  else if (referenced.length > 0) checks.push({ kind: 'noAddedDeletes', within })
  if (isolation === 'serializable') checks.push({ kind: 'noAddedData', within })
  return checks
}

export function totalBytes(files: readonly DataFile[]): number {
  return files.reduce((sum, file) => sum + Number(file.contentSizeInBytes ?? file.fileSizeInBytes), 0)
}

/** Files together: their records and bytes. */
export interface FileSums {
  readonly files: number
  readonly rows: number
  readonly bytes: number
}

/** What a change of rows did to files. */
export interface ChangedFiles {
  readonly files: { readonly added: number; readonly removed: number; readonly deletes: number }
  readonly bytes: {
    /** New rows and delete files. */
    readonly written: number
    /** Files that were read to be replaced. */
    readonly rewritten: number
  }
  /** Data files, and delete files apart. */
  readonly sums: {
    readonly added: FileSums
    readonly removed: FileSums
    readonly deletesAdded: FileSums
    readonly deletesRemoved: FileSums
  }
}

export function changedFiles(added: readonly DataFile[], removed: readonly DataFile[]): ChangedFiles {
  const data = (files: readonly DataFile[]) => files.filter((file) => file.content === 0)
  const deletes = (files: readonly DataFile[]) => files.filter((file) => file.content !== 0)
  return {
    files: {
      added: data(added).length,
      removed: data(removed).length,
      deletes: deletes(added).length,
    },
    bytes: { written: totalBytes(added), rewritten: totalBytes(data(removed)) },
    sums: {
      added: sumsOf(data(added)),
      removed: sumsOf(data(removed)),
      deletesAdded: sumsOf(deletes(added)),
      deletesRemoved: sumsOf(deletes(removed)),
    },
  }
}

export function sumsOf(files: readonly DataFile[]): FileSums {
  return {
    files: files.length,
    rows: files.reduce((sum, file) => sum + Number(file.recordCount), 0),
    bytes: totalBytes(files),
  }
}
