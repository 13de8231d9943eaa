import { counted, LimnError, mapConcurrently, type Progress, type TableId, tableId } from '../../base/index.ts'
import type { Pointer } from '../../catalog/index.ts'
import { ManifestReader, type TableMetadata } from '../../iceberg/index.ts'
import type { ObjectStore, StorePath } from '../../storage/index.ts'
import { outside, readPinned, type TableContext, type Transplanted, type Tree, treeOf } from '../../table/index.ts'

/** Roots of the trees of names. */
export function rootsOf(pointers: readonly Pointer[]) {
  const of = (type: Pointer['type']) => pointers.filter((one) => one.type === type).map((one) => one.metadataLocation)
  return { tables: of('table'), views: of('view') }
}

/**
 * Makes sure that what was put in another place is whole before anything goes by it: every file is there with its length,
 * the new metadata leads to no file that the old did not, and as many rows are read of every table that has deletes.
 * Throws `storage/corrupt`.
 */
export async function verifyTransplant(input: {
  readonly before: Tree
  readonly from: string
  readonly to: string
  readonly moved: Transplanted
  readonly target: ObjectStore
  /** Counts rows of the old tables; null where they are not read from where they were. */
  readonly old: TableContext | null
  readonly fresh: TableContext
  readonly progress: Progress
  readonly signal: AbortSignal
}): Promise<void> {
  const { before, moved, target, signal, progress } = input
  const task = progress.begin('verify')
  const files = [...moved.files]
  const wrong = (
    await mapConcurrently(files, 32, async ([path, bytes]) => {
      const info = await target.stat(path, { signal })
      return info?.bytes === bytes ? null : path
    })
  ).find((path) => path !== null)
  if (wrong) throw broken(`${wrong} is not as it was written`)
  const tables = [...before.tables.keys()].map((path) => requireNew(moved, path))
  const views = before.views.map((path) => requireNew(moved, path))
  const after = await treeOf(target, { tables, views }, { signal, progress })
  const names = (tree: Tree, folder: string) => [...outside(tree, folder)].sort().join('\n')
  if (names(after, input.to) !== names(before, input.from))
    throw broken('the new metadata leads to other files than the old')
  if (after.files.size !== before.files.size) throw broken('the new metadata leads to another number of files')
  if (input.old) await compareRows(input.old, input.fresh, before, after, moved)
  task.end(counted(files.length, 'file'))
}

function requireNew(moved: Transplanted, path: StorePath): StorePath {
  const to = moved.metadata.get(path)
  if (to === undefined) throw broken(`${path} was not moved`)
  return to
}

/** Rows of tables whose deletes were written anew: only they could read otherwise with every file in place. */
async function compareRows(
  old: TableContext,
  fresh: TableContext,
  before: Tree,
  after: Tree,
  moved: Transplanted,
): Promise<void> {
  if (![...before.files.values()].some((file) => file.content === 1)) return
  for (const [path, metadata] of before.tables) {
    const now = after.tables.get(requireNew(moved, path))
    if (!now) throw broken(`${path} was not moved`)
    const [a, b] = [await rowsOf(old, metadata), await rowsOf(fresh, now)]
    if (a !== b) throw broken(`${metadata.location} has ${a} rows, and ${b} where it was moved to`)
  }
}

const countedRows: TableId = tableId('limn_moved.rows')

async function rowsOf(context: TableContext, metadata: TableMetadata): Promise<string> {
  const { currentSnapshotId: snapshotId, currentSchemaId: schemaId } = metadata
  if (snapshotId === null) return '0'
  await using reading = await readPinned(context, { id: countedRows, metadata, snapshotId, schemaId })
  await using session = await context.engine.session([reading.bound], { signal: context.signal })
  return String((await session.rows(`SELECT count(*) FROM ${countedRows}`)).rows[0]?.[0])
}

/** A context that reads and writes elsewhere. */
export function contextAt(context: TableContext, store: ObjectStore): TableContext {
  return { ...context, store, manifests: new ManifestReader(store) }
}

function broken(why: string): LimnError {
  return new LimnError('storage/corrupt', {
    message: `What was put in the new place is not whole: ${why}.`,
    notDone: 'Everything goes by the old place.',
    remedy: 'Look at that disk, empty the new folder and try again.',
  })
}
