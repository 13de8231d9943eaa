import { resolve } from 'node:path'
import { LimnError } from '../../base/index.ts'
import { isUnder, type Move } from '../../iceberg/index.ts'
import type { PipelineContext } from '../../pipeline/index.ts'
import { LocalStore, type ObjectStore, storePath } from '../../storage/index.ts'
import { outside, type Transplanted, type Tree, transplant, treeOf } from '../../table/index.ts'
import { Lake } from '../lake.ts'
import { type ConfigEdit, writeWarehouse } from './config-file.ts'
import { contextAt, rootsOf, verifyTransplant } from './verify.ts'

export interface Relocated {
  readonly from: string
  readonly to: string
  readonly tables: number
  readonly files: number
  readonly bytes: number
  /** Files outside the warehouse that tables name: they stay where they are. */
  readonly outside: number
  /** Former states of environments' tables that were gone. */
  readonly gone: number
  /** Null in a dry run. */
  readonly config: ConfigEdit | null
}

const marker = '.limn-moving.json'
const attemptsMax = 5

/**
 * Moves the warehouse of a lake and of all its environments to another folder. Files are put there while the lake goes on;
 * then runs are kept from beginning, what has come meanwhile is put there too, everything is verified, and all names of
 * the catalog move in one transaction that holds only if none of them moved. The old folder is left as it was. A crash
 * before that transaction leaves the lake as it was, and relocating again goes on. Throws `usage/folder-not-empty`,
 * `usage/argument`, `lease/held`, `storage/corrupt`, `catalog/conflict`.
 */
export async function relocateLake(
  lake: Lake,
  folder: string,
  options: { readonly dryRun?: boolean; readonly cwd?: string } = {},
): Promise<Relocated> {
  const context = await lake.context()
  const { store, signal, progress } = context
  const path = resolve(options.cwd ?? process.cwd(), folder)
  const target: ObjectStore = new LocalStore(path, { steps: context.steps })
  const move: Move = { from: store.root, to: target.root }
  if (isUnder(move.to, move.from) || isUnder(move.from, move.to)) throw nested(path)
  if ((await isBegun(target, move)) && isMoved(lake, move)) return await settle(lake, context, target, move, path)
  await requireFree(target, move)
  const read = async () => {
    const pointers = lake.base.pointers.list()
    return { pointers, tree: await treeOf(store, rootsOf(pointers), { signal, progress }) }
  }
  let { pointers, tree } = await read()
  const report = (files: ReadonlyMap<unknown, number>) => ({
    from: move.from,
    to: move.to,
    tables: tree.tables.size,
    files: files.size,
    bytes: [...files.values()].reduce((sum, one) => sum + one, 0),
    outside: outside(tree, move.from).length,
    gone: tree.gone.length,
  })
  if (options.dryRun) return { ...report(await sizesOf(context, tree)), config: null }
  await target.write(storePath(`${target.root}/${marker}`), Buffer.from(JSON.stringify(move)), { signal })
  let moved = await put(context, tree, move, target)
  await using _held = await holdAll(lake)
  for (let attempt = 1; ; attempt++) {
    const now = lake.base.pointers.list()
    if (JSON.stringify(now) !== JSON.stringify(pointers)) {
      ;({ pointers, tree } = await read())
      moved = await put(context, tree, move, target)
    }
    const fresh = contextAt(context, target)
    await verifyTransplant({ before: tree, ...move, moved, target, old: context, fresh, progress, signal })
    if (await lake.base.pointers.move(pointers, moved.metadata)) break
    if (attempt >= attemptsMax)
      throw new LimnError('catalog/conflict', {
        message: 'Others kept changing tables while the warehouse was to be moved.',
        notDone: 'Everything goes by the old place.',
        remedy: 'Try again when it is quieter: what was put in the new place is kept.',
        retryable: true,
      })
  }
  await context.runs.dropPointers()
  const config = writeWarehouse(lake.folder, path)
  await target.delete([storePath(`${target.root}/${marker}`)], { signal })
  return { ...report(moved.files), config }
}

function put(context: PipelineContext, tree: Tree, move: Move, target: ObjectStore): Promise<Transplanted> {
  const { store, engine, steps, signal, progress } = context
  return transplant({
    tree,
    move,
    source: store,
    placeOf: (path) => path,
    target,
    engine,
    steps,
    signal,
    progress,
    copy: false,
  })
}

async function sizesOf({ store, signal }: PipelineContext, tree: Tree): Promise<ReadonlyMap<string, number>> {
  const out = new Map<string, number>()
  for (const path of [
    ...tree.files.keys(),
    ...tree.statistics,
    ...tree.manifests.keys(),
    ...tree.lists,
    ...tree.former,
  ])
    if (isUnder(path, store.root)) out.set(path, (await store.stat(path, { signal }))?.bytes ?? 0)
  return out
}

/** No run begins in production or in an environment meanwhile. */
async function holdAll(lake: Lake): Promise<AsyncDisposable> {
  const held = new AsyncDisposableStack()
  try {
    held.use(await lake.hold('limn lake relocate'))
    for (const { name } of lake.base.environments.list()) {
      const there = held.use(await Lake.open({ ...lake.openedWith, cwd: lake.folder, environment: name }))
      held.use(await there.hold('limn lake relocate'))
    }
    return held
  } catch (error) {
    await held.disposeAsync()
    throw error
  }
}

/** Whether the names moved already, by one that died before it had written the configuration. */
function isMoved(lake: Lake, move: Move): boolean {
  const pointers = lake.base.pointers.list()
  return pointers.length > 0 && pointers.every((one) => isUnder(one.metadataLocation, move.to))
}

/** What is left to do once all names have moved. */
async function settle(
  lake: Lake,
  context: PipelineContext,
  target: ObjectStore,
  move: Move,
  path: string,
): Promise<Relocated> {
  await using _held = await holdAll(lake)
  await context.runs.dropPointers()
  const config = writeWarehouse(lake.folder, path)
  await target.delete([storePath(`${target.root}/${marker}`)], { signal: context.signal })
  const tables = lake.base.pointers.list().length
  return { from: move.from, to: move.to, tables, files: 0, bytes: 0, outside: 0, gone: 0, config }
}

/** Whether the same move began to fill the folder. */
async function isBegun(target: ObjectStore, move: Move): Promise<boolean> {
  const begun = storePath(`${target.root}/${marker}`)
  if (!(await target.stat(begun))) return false
  const said = JSON.parse(Buffer.from(await target.read(begun)).toString()) as Move
  return said.from === move.from && said.to === move.to
}

/** An empty folder, or one that the same move began to fill. */
async function requireFree(target: ObjectStore, move: Move): Promise<void> {
  if (await isBegun(target, move)) return
  for await (const info of target.list(target.root))
    throw new LimnError('usage/folder-not-empty', {
      message: `${target.root} has files already: ${info.path}.`,
      notDone: 'Nothing was moved.',
      remedy: 'Name a new or empty folder.',
    })
}

function nested(path: string): LimnError {
  return new LimnError('usage/argument', {
    message: `${path} is the warehouse, within it or around it.`,
    notDone: 'Nothing was moved.',
    remedy: 'Name a folder beside it.',
  })
}
