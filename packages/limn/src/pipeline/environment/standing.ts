import type { TableId } from '../../base/index.ts'
import { type EnvironmentName, environmentPrefix } from '../../catalog/index.ts'
import type { TableMetadata } from '../../iceberg/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import { environmentProperty } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'

/**
 * What an environment's table keeps of where it came from, as properties of it: the table and snapshot it stands on, and
 * the shape that one had. Whether production has moved since is told from these alone.
 */
export interface ForkOrigin {
  readonly tableUuid: string
  readonly snapshotId: bigint | null
  readonly schemaId: number
  readonly specId: number
  readonly lastColumnId: number
  readonly lastPartitionId: number
  /** Of the ledger: the last row that is production's. */
  readonly lastSeq: number
}

const names = {
  uuid: 'limn.environment.of-uuid',
  snapshot: 'limn.environment.of-snapshot',
  schema: 'limn.environment.of-schema',
  spec: 'limn.environment.of-spec',
  column: 'limn.environment.last-column-id',
  partition: 'limn.environment.last-partition-id',
  seq: 'limn.environment.last-seq',
} as const

export function originProperties(environment: EnvironmentName, origin: ForkOrigin): Readonly<Record<string, string>> {
  return {
    [environmentProperty]: environment,
    [names.uuid]: origin.tableUuid,
    [names.snapshot]: origin.snapshotId === null ? '' : String(origin.snapshotId),
    [names.schema]: String(origin.schemaId),
    [names.spec]: String(origin.specId),
    [names.column]: String(origin.lastColumnId),
    [names.partition]: String(origin.lastPartitionId),
    [names.seq]: String(origin.lastSeq),
  }
}

/** Null for a table that was made in the environment. */
export function forkOriginOf({ properties }: TableMetadata): ForkOrigin | null {
  const tableUuid = properties[names.uuid]
  if (tableUuid === undefined) return null
  const snapshot = properties[names.snapshot] ?? ''
  return {
    tableUuid,
    snapshotId: snapshot === '' ? null : BigInt(snapshot),
    schemaId: Number(properties[names.schema]),
    specId: Number(properties[names.spec]),
    lastColumnId: Number(properties[names.column]),
    lastPartitionId: Number(properties[names.partition]),
    lastSeq: Number(properties[names.seq]),
  }
}

/** Whether a table has another shape than it had then. */
export function hasReshaped(origin: ForkOrigin, now: TableMetadata): boolean {
  return (
    now.currentSchemaId !== origin.schemaId ||
    now.defaultSpecId !== origin.specId ||
    now.lastColumnId !== origin.lastColumnId ||
    now.lastPartitionId !== origin.lastPartitionId
  )
}

/** Properties of a table without those that say it is an environment's. */
export function ownProperties({ properties }: TableMetadata): Readonly<Record<string, string>> {
  const foreign = (name: string) => name.startsWith(environmentProperty) || name === 'gc.enabled'
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !foreign(name)))
}

/**
 * The branch by which production keeps what an environment stands on from expiring. Its own retention says how many of its
 * snapshots stay, so that other engines keep them too.
 */
export function environmentRef(environment: EnvironmentName): string {
  return `env/${environment}`
}

/** Everything an environment writes lies under this folder. No namespace has a dot, so it is no table's of production. */
export function environmentFolder(root: StorePath, environment: EnvironmentName): StorePath {
  return storePath(`${root}/env.${environment}`)
}

/** The folder of an environment's table. */
export function folderIn(root: StorePath, environment: EnvironmentName, table: TableId): StorePath {
  return storePath(`${environmentFolder(root, environment)}/${table.replace('.', '/')}`)
}

/** The lease that whoever makes, promotes or drops an environment holds meanwhile. */
export function environmentLease(context: PipelineContext, environment: EnvironmentName): Promise<AsyncDisposable> {
  const { state, pid, host, signal } = context
  return state
    .acquire(`environment ${environmentPrefix(environment)}`, `limn (process ${pid} on ${host})`, { waitMs: 0, signal })
    .then((lease) => ({ [Symbol.asyncDispose]: () => lease.release() }))
}
