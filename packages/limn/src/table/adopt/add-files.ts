import { counted, LimnError, type Progress, silentProgress, type TableId } from '../../base/index.ts'
import {
  canonicalPath,
  type DataFile,
  dataFolder,
  isUnder,
  nameMappingOf,
  nameMappingProperty,
  nameMappingToText,
  partitionKey,
  type Update,
} from '../../iceberg/index.ts'
import type { ObjectInfo, StorePath } from '../../storage/index.ts'
import { changeTable, type SnapshotChange } from '../commit/commit.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from '../context.ts'
import { liveTableTasks } from '../read/read.ts'
import { against, Judge, type Judged, requireFits } from './adopt-facts.ts'
import { type Found, findFiles, readFooters } from './folder-files.ts'
import { hiveParts } from './hive-path.ts'

export interface AddFilesOptions {
  /** Columns of a file that the table lacks: an error (default), or not seen. */
  readonly extraColumns?: 'refuse' | 'ignore'
  /**
   * Files that the table has already: an error (default), passed over, or not looked for. Without the look a file may come
   * to be in the table twice, and then no engine reads it.
   */
  readonly duplicates?: 'refuse' | 'skip' | 'unchecked'
  /** Only files whose path says so, by folder name: `{ year: '2026' }`; null: the folder that stands for null. */
  readonly partition?: Readonly<Record<string, string | null>>
  readonly branch?: string
  readonly summary?: Readonly<Record<string, string>>
  readonly progress?: Progress
  /** Everything is checked, nothing is committed. */
  readonly dryRun?: boolean
}

export interface AddFilesResult {
  /** Null: there was nothing to add, or it was a dry run. */
  readonly snapshotId: bigint | null
  readonly files: number
  readonly rows: number
  readonly bytes: number
  /** Partitions that got files. */
  readonly partitions: number
  /** Files without rows, which a table needs not. */
  readonly empty: number
  /** Files that were in the table already and passed over. */
  readonly alreadyThere: number
  /** Files that were not looked at, as they are not named as Parquet files. */
  readonly skipped: number
  /** Columns of files that the table lacks and does not see. */
  readonly ignoredColumns: readonly string[]
  /** The table had no name mapping, and has one now, by which files without field ids are read. */
  readonly mapped: boolean
}

/**
 * Makes Parquet files that lie somewhere data files of a table, in one snapshot: none is read beyond its footer, moved or
 * written. Columns are found by the table's name mapping, which is set if there is none (specification, "Column
 * Projection"), or by the field ids in a file where these say what its names say. Partition values come from Hive-style
 * folder names, else from bounds when all rows must lie in one partition. From then on the files are the table's: expiry
 * deletes them when nothing reads them any more, if they lie in the warehouse.
 *
 * Throws `source/schema` for files that do not fit, `source/missing`, `source/unreadable`, `table/unsafe-change` (also for
 * files in the folder of another table of the catalog),
 * `usage/argument` for files that are there already, and as `changeTable` does. Nothing is half added.
 */
export async function addFiles(
  context: TableContext,
  table: TableId,
  found: Found,
  options: AddFilesOptions = {},
): Promise<AddFilesResult> {
  const duplicates = options.duplicates ?? 'refuse'
  const extraColumns = options.extraColumns ?? 'refuse'
  const task = (options.progress ?? silentProgress).begin(`${table} add files`)
  try {
    const listed = await findFiles(context, found)
    const files = onlyOf(listed.files, listed.base, options.partition)
    await requireNoOthers(context, table, files)
    const judgements = new Map<string, Map<StorePath, Judged>>()
    const result = await changeTable(context, table, options, async ({ pin }) => {
      const there = duplicates === 'unchecked' ? new Set<string>() : await pathsIn(context, pin)
      const fresh = files.filter((one) => !there.has(canonicalPath(one.path)))
      if (duplicates === 'refuse' && fresh.length < files.length) throw already(table, files, there)
      // When others commit meanwhile the work begins anew; footers do not change.
      const own = against(pin.metadata)
      const key = JSON.stringify([pin.metadata.currentSchemaId, pin.metadata.defaultSpecId, own.mapping])
      const known = judgements.get(key) ?? new Map<StorePath, Judged>()
      judgements.set(key, known)
      const judge = new Judge(own, { base: listed.base, extraColumns })
      const unread = fresh.filter((one) => !known.has(one.path))
      const tell = (done: number) => task.update(`${done} of ${unread.length} footers`)
      await readFooters(context, unread, (footer, file) => known.set(file.path, judge.judge(footer, file)), tell)
      const judged = fresh.flatMap((one) => known.get(one.path) ?? [])
      requireFits(judged, String(table))
      const added = judged.flatMap((one) => (one.kind === 'fits' ? [one.file] : []))
      const updates = mappingFor(pin, judged)
      const change: SnapshotChange = {
        operation: 'append',
        added,
        removed: [],
        // They are not ours to delete when the change is given up.
        written: [],
        updates,
        ...(duplicates === 'unchecked'
          ? {}
          : { checks: [{ kind: 'noAddedData', within: { kind: 'rows', predicate: { kind: 'true' } } }] }),
      }
      return {
        change: added.length === 0 || options.dryRun ? null : change,
        result: {
          ...sumOf(added),
          empty: judged.filter((one) => one.kind === 'empty').length,
          alreadyThere: files.length - fresh.length,
          skipped: listed.skipped,
          ignoredColumns: [...new Set(judged.flatMap((one) => (one.kind === 'fits' ? one.extra : [])))].sort(),
          mapped: updates.length > 0,
        },
      }
    })
    task.end(`${counted(result.rows, 'row')} in ${counted(result.files, 'file')}`)
    return result
  } catch (error) {
    task.end('failed')
    throw error
  }
}

export function sumOf(added: readonly DataFile[]) {
  return {
    files: added.length,
    rows: added.reduce((sum, file) => sum + Number(file.recordCount), 0),
    bytes: added.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0),
    partitions: new Set(added.map(partitionKey)).size,
  }
}

function onlyOf(
  files: readonly ObjectInfo[],
  base: StorePath | null,
  partition: AddFilesOptions['partition'],
): readonly ObjectInfo[] {
  if (partition === undefined) return files
  const wanted = Object.entries(partition)
  const kept = files.filter(({ path }) => {
    const told = new Map(hiveParts(path, base).map((one) => [one.name, one.text]))
    return wanted.every(([name, text]) => told.has(name) && told.get(name) === text)
  })
  if (kept.length > 0) return kept
  throw new LimnError('source/missing', {
    message: `No file lies in the partition ${wanted.map(([name, text]) => `${name}=${text}`).join('/')}.`,
    notDone: 'Nothing was added.',
    remedy: 'Write values as the folder names spell them.',
  })
}

async function pathsIn(context: TableContext, pin: PinnedTable): Promise<ReadonlySet<string>> {
  return new Set((await liveTableTasks(context, pin)).map((task) => canonicalPath(task.file.path)))
}

/** Files of another table would be deleted by whichever of the two expires them first, and the other would lose rows. */
async function requireNoOthers(context: TableContext, table: TableId, files: readonly ObjectInfo[]): Promise<void> {
  const { catalog, signal } = context
  const others = (await catalog.listTables({ signal })).filter((one) => one !== table)
  for (const other of (await catalog.loadTables(others, { signal })).values()) {
    if (!other) continue
    const folders = [other.metadata.location, dataFolder(other.metadata)]
    const theirs = files.find((one) => folders.some((folder) => isUnder(one.path, folder)))
    if (theirs)
      throw new LimnError('table/unsafe-change', {
        message: `${theirs.path} lies in the folder of ${other.table}, which deletes it when it needs it no more.`,
        notDone: 'Nothing was added: no file belongs to two tables.',
        remedy: `Copy its rows: INSERT INTO ${table} SELECT * FROM ${other.table}. Or make a table over it: limn table snapshot.`,
      })
  }
}

function already(table: TableId, files: readonly ObjectInfo[], there: ReadonlySet<string>): LimnError {
  const twice = files.filter((one) => there.has(canonicalPath(one.path)))
  return new LimnError('usage/argument', {
    message: `${table} has ${twice.length} of these ${files.length} files already, ${twice[0]?.path} among them.`,
    notDone: 'Nothing was added: their rows would count twice.',
    remedy: 'Leave them out, or pass over files that are there.',
  })
}

/** Files without ids are read by names, which a table has to state. */
function mappingFor(pin: PinnedTable, judged: readonly Judged[]): readonly Update[] {
  const needed = judged.some((one) => one.kind === 'fits' && !one.hasIds)
  if (!needed || pin.metadata.properties[nameMappingProperty] !== undefined) return []
  const text = nameMappingToText(nameMappingOf(schemaOfPin(pin).fields))
  return [{ action: 'set-properties', updates: { [nameMappingProperty]: text } }]
}
