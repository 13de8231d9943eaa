import { tableId } from '../../base/index.ts'
import { type DataFile, fileKey, readInventory, type ScanTask } from '../../iceberg/index.ts'
import { type Field, sameType } from '../../schema/index.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from '../context.ts'
import { bindFiles } from '../read/bind.ts'
import { leaseFiles, liveTableTasks, sumBytes } from '../read/read.ts'

export interface FilesDiffer {
  readonly added: FilesSum
  readonly removed: FilesSum
  /** Files that both states have. */
  readonly kept: number
}

export interface FilesSum {
  readonly files: number
  readonly bytes: number
  readonly rows: number
}

export interface TableDiff {
  readonly from: bigint | null
  readonly to: bigint | null
  readonly columns: {
    readonly added: readonly Field[]
    readonly removed: readonly Field[]
    /** Columns of the same id whose name, type, doc or requiredness differ. */
    readonly changed: readonly { readonly from: Field; readonly to: Field }[]
  }
  readonly data: FilesDiffer
  readonly deletes: FilesDiffer
  /**
   * Rows of one state that the other lacks, each as often as it is there, read with the columns of `to`; a changed row is
   * one of each. Null when rows were not asked for.
   */
  readonly rows: { readonly added: bigint; readonly removed: bigint } | null
}

/**
 * What differs between two states of a table. Only files that are not the same in both, their deletes among them, are
 * read; a file that was merely rewritten differs, its rows do not.
 */
export async function diffTables(
  context: TableContext,
  from: PinnedTable,
  to: PinnedTable,
  options: { readonly rows?: boolean } = {},
): Promise<TableDiff> {
  const { manifests, signal } = context
  const read = ({ metadata, snapshotId }: PinnedTable) =>
    readInventory({ manifests, metadata, snapshotId, statistics: false, signal })
  const [before, after] = [await read(from), await read(to)]
  const files = (list: typeof before.data) => list.map((entry) => entry.file)
  return {
    from: from.snapshotId,
    to: to.snapshotId,
    columns: columnsDiffer(schemaOfPin(from).fields, schemaOfPin(to).fields),
    data: filesDiffer(files(before.data), files(after.data)),
    deletes: filesDiffer(files(before.deletes), files(after.deletes)),
    rows: options.rows === false ? null : await rowsDiffer(context, from, to),
  }
}

function columnsDiffer(from: readonly Field[], to: readonly Field[]): TableDiff['columns'] {
  const before = new Map(from.map((field) => [field.id, field]))
  const after = new Map(to.map((field) => [field.id, field]))
  return {
    added: to.filter((field) => !before.has(field.id)),
    removed: from.filter((field) => !after.has(field.id)),
    changed: from.flatMap((one) => {
      const other = after.get(one.id)
      return other === undefined || sameField(one, other) ? [] : [{ from: one, to: other }]
    }),
  }
}

function sameField(a: Field, b: Field): boolean {
  return a.name === b.name && a.required === b.required && a.doc === b.doc && sameType(a.type, b.type)
}

function filesDiffer(from: readonly DataFile[], to: readonly DataFile[]): FilesDiffer {
  const before = new Set(from.map(fileKey))
  const after = new Set(to.map(fileKey))
  return {
    added: sumOf(to.filter((file) => !before.has(fileKey(file)))),
    removed: sumOf(from.filter((file) => !after.has(fileKey(file)))),
    kept: to.filter((file) => before.has(fileKey(file))).length,
  }
}

function sumOf(files: readonly DataFile[]): FilesSum {
  return {
    files: files.length,
    bytes: sumBytes(files),
    rows: files.reduce((sum, file) => sum + Number(file.recordCount), 0),
  }
}

async function rowsDiffer(context: TableContext, from: PinnedTable, to: PinnedTable): Promise<TableDiff['rows']> {
  const [before, after] = [await liveTableTasks(context, from), await liveTableTasks(context, to)]
  const [known, now] = [new Set(before.map(taskKey)), new Set(after.map(taskKey))]
  const gone = before.filter((task) => !now.has(taskKey(task)))
  const come = after.filter((task) => !known.has(taskKey(task)))
  await using lease = await leaseFiles(context, [...gone, ...come])
  const [old, next] = [tableId('limn_diff.before'), tableId('limn_diff.after')]
  const pin = { ...from, id: old, metadata: to.metadata, schemaId: to.schemaId }
  const bound = [bindFiles(pin, gone, lease), bindFiles({ ...to, id: next }, come, lease)]
  await using session = await context.engine.session(bound, { signal: context.signal })
  const without = (a: string, b: string) => `(SELECT count(*) FROM (SELECT * FROM ${a} EXCEPT ALL SELECT * FROM ${b}))`
  const { rows } = await session.rows(`SELECT ${without(next, old)}, ${without(old, next)}`)
  const [added = 0, removed = 0] = rows[0] ?? []
  return { added: BigInt(String(added)), removed: BigInt(String(removed)) }
}

/** Two tasks of one key have the same rows: the same file with the same deletes. */
export function taskKey(task: ScanTask): string {
  return JSON.stringify([task.file.path, ...task.deletes.map((one) => fileKey(one.file)).sort()])
}
