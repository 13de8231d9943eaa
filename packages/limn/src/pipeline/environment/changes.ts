import { namespaceOf, type TableId } from '../../base/index.ts'
import type { EnvironmentName } from '../../catalog/index.ts'
import { IntervalSet } from '../../dataset/index.ts'
import {
  type DataFile,
  fileKey,
  type LoadedTable,
  readInventory,
  schemaById,
  snapshotById,
  type TableMetadata,
} from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node } from '../project/node.ts'
import { droppedNamespace } from '../rename/orphans.ts'
import { quarantineOf } from '../stage/quarantine.ts'
import { timesOfFiles } from '../stage/view.ts'
import { environmentRef, type ForkOrigin, forkOriginOf, hasReshaped } from './standing.ts'

/** A table as an environment and production have it. */
export interface TableStates {
  readonly table: TableId
  readonly there: LoadedTable | null
  readonly production: LoadedTable | null
  /** What the environment's table stands on; null where it was made in the environment, or is gone. */
  readonly origin: ForkOrigin | null
}

/** Files that came and went between two states of a table. */
export interface FilesMoved {
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  readonly deletesAdded: readonly DataFile[]
  readonly deletesRemoved: readonly DataFile[]
}

/** What an environment did to a table. */
export type TableChange =
  | { readonly kind: 'same' }
  /** Made in the environment. */
  | { readonly kind: 'new' }
  /** Taken away in the environment. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'changed' }

export interface ChangedTable extends TableStates {
  readonly change: TableChange
  /** Production has published to the table, or changed its shape, since the environment was made. */
  readonly productionMoved: boolean
}

/** Where limn keeps tables of its own. */
export const ownNamespaces: ReadonlySet<string> = new Set(['limn', droppedNamespace])

/** Every table that the environment or production has, in order of names; the lake's own are left out. */
export async function changedTables(
  production: PipelineContext,
  there: PipelineContext,
  environment: EnvironmentName,
): Promise<readonly ChangedTable[]> {
  const { signal } = production
  const [ours, theirs] = [await there.catalog.listTables({ signal }), await production.catalog.listTables({ signal })]
  const ids = [...new Set([...ours, ...theirs])].filter((id) => !ownNamespaces.has(namespaceOf(id))).sort()
  const [here, prod] = [
    await there.catalog.loadTables(ids, { signal }),
    await production.catalog.loadTables(ids, { signal }),
  ]
  return ids.flatMap((table) => {
    const states: TableStates = {
      table,
      there: here.get(table) ?? null,
      production: prod.get(table) ?? null,
      origin: originIn(here.get(table) ?? null),
    }
    // Made in production after the environment was: the environment knows nothing of it.
    if (!states.there && !states.production?.metadata.refs[environmentRef(environment)]) return []
    return [{ ...states, change: changeOf(states), productionMoved: hasMoved(states) }]
  })
}

function originIn(loaded: LoadedTable | null): ForkOrigin | null {
  return loaded && forkOriginOf(loaded.metadata)
}

function changeOf({ there, origin }: TableStates): TableChange {
  if (!there) return { kind: 'gone' }
  if (!origin) return { kind: 'new' }
  const { metadata } = there
  const same = metadata.currentSnapshotId === origin.snapshotId && !hasReshaped(origin, metadata)
  return { kind: same ? 'same' : 'changed' }
}

function hasMoved({ production, origin }: TableStates): boolean {
  if (!origin || !production) return (origin === null) !== (production === null)
  const { metadata } = production
  return (
    metadata.tableUuid !== origin.tableUuid ||
    metadata.currentSnapshotId !== origin.snapshotId ||
    hasReshaped(origin, metadata)
  )
}

/**
 * The metadata that has the state an environment's table stands on: production's, which keeps it, or else the environment's. Null
 * where both have let it go.
 */
export function originState({ there, production, origin }: TableStates): TableMetadata | null {
  const id = origin?.snapshotId ?? null
  const both = [production?.metadata, there?.metadata].flatMap((one) => one ?? [])
  return both.find((one) => id === null || snapshotById(one, id) !== undefined) ?? null
}

/** Files that came and went in a table since a snapshot of it, which need not be an ancestor, and may be in another's metadata. */
export async function filesMoved(
  { manifests, signal }: PipelineContext,
  { metadata }: LoadedTable,
  from: bigint | null,
  fromIn: TableMetadata = metadata,
): Promise<FilesMoved> {
  const read = (of: TableMetadata, snapshotId: bigint | null) =>
    readInventory({ manifests, metadata: of, snapshotId, statistics: true, signal })
  const [before, after] = [await read(fromIn, from), await read(metadata, metadata.currentSnapshotId)]
  const without = (list: typeof before.data, other: typeof before.data) => {
    const known = new Set(other.map((entry) => fileKey(entry.file)))
    return list.map((entry) => entry.file).filter((file) => !known.has(fileKey(file)))
  }
  return {
    added: without(after.data, before.data),
    removed: without(before.data, after.data),
    deletesAdded: without(after.deletes, before.deletes),
    deletesRemoved: without(before.deletes, after.deletes),
  }
}

/** Why what an environment did to a table cannot be published as it is; null: it can. */
export interface Obstacle {
  readonly why: string
  readonly remedy: string
}

/**
 * Judges by the rule of a run that finds main moved: what was done there is applied again as it is when no file came or
 * went meanwhile within its intervals and the table's shape is unchanged. An environment builds nothing while it is
 * promoted, so all else is an obstacle.
 */
export async function obstacleTo(
  production: PipelineContext,
  there: PipelineContext,
  environment: EnvironmentName,
  one: ChangedTable,
): Promise<Obstacle | null> {
  const anew = `Make it anew and run there: limn env drop ${environment}, then limn run --env ${environment}`
  const { table, origin } = one
  switch (one.change.kind) {
    case 'same':
    case 'gone':
      return null
    case 'new':
      return one.production ? { why: `${table} was made in production too`, remedy: anew } : null
    case 'changed': {
      const { there: own, production: main } = one
      if (!origin || !own) return null
      if (!main || main.metadata.tableUuid !== origin.tableUuid)
        return { why: `${table} was dropped or made anew in production`, remedy: anew }
      if (hasReshaped(origin, main.metadata))
        return { why: `${table} has another shape in production by now`, remedy: anew }
      const state = originState(one)
      if (!state)
        return { why: `the state of ${table} that ${environment} stands on was expired by hand`, remedy: anew }
      const mine = await filesMoved(there, own, origin.snapshotId, state)
      if (mine.deletesAdded.length > 0)
        return {
          why: `${table} has row-level deletes in ${environment}`,
          remedy: `Write its files anew there: limn table compact ${table} --all --env ${environment}`,
        }
      if (!one.productionMoved) return null
      const node = production.project.nodes.get(ownerOf(production, table))
      const others = await filesMoved(production, main, origin.snapshotId, state)
      if (apart(node, own, main, mine, others)) return null
      return {
        why: `production published to ${table} since, within what ${environment} changed`,
        remedy: anew,
      }
    }
  }
}

/** Whether two changes of one table are of different intervals, so that both can stand. */
function apart(
  node: Node | undefined,
  own: LoadedTable,
  main: LoadedTable,
  mine: FilesMoved,
  others: FilesMoved,
): boolean {
  if (node?.shape.kind !== 'interval' || mine.deletesRemoved.length > 0) return false
  const { shape } = node
  const times = ({ metadata }: LoadedTable, moved: FilesMoved) => {
    const files = [...moved.added, ...moved.removed, ...moved.deletesAdded, ...moved.deletesRemoved]
    return timesOfFiles(files, metadata, schemaById(metadata, metadata.currentSchemaId), shape)
  }
  const [a, b] = [times(own, mine), times(main, others)]
  return a !== null && b !== null && a.intersect(b).isEmpty
}

/** Times of a table's changed intervals, for what is shown; null where it has none. */
export function changedTimes(node: Node | undefined, own: LoadedTable, mine: FilesMoved): IntervalSet | null {
  if (node?.shape.kind !== 'interval') return null
  const { metadata } = own
  const files = [...mine.added, ...mine.removed]
  return timesOfFiles(files, metadata, schemaById(metadata, metadata.currentSchemaId), node.shape) ?? IntervalSet.empty
}

/** The dataset a table belongs to: itself, or the one whose rejected rows it holds. */
export function ownerOf(context: PipelineContext, table: TableId): TableId {
  return [...context.project.nodes.keys()].find((id) => quarantineOf(id) === table) ?? table
}
