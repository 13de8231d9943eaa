import { existsSync, rmSync } from 'node:fs'
import { LimnError, namespaceOf, silentProgress, type TableId } from '../base/index.ts'
import { type EnvironmentName, environmentName, nameOutOf, production } from '../catalog/index.ts'
import { type LoadedTable, snapshotById } from '../iceberg/index.ts'
import {
  type ChangedTable,
  changedTables,
  type DroppedEnvironment,
  diffRows,
  dropEnvironment,
  type Forked,
  forkEnvironment,
  obstacleTo,
  originState,
  type PipelineContext,
  type PromoteReport,
  pipelineMigrations,
  promote,
  type RowDiff,
  tableLocation,
  unknownEnvironment,
  viewOf,
} from '../pipeline/index.ts'
import { StateDatabase } from '../state/index.ts'
import { type PinnedTable, pinRef, pinSnapshot, schemaOfPin } from '../table/index.ts'
import { Lake, type OpenLakeOptions, statePath } from './lake.ts'
import { observedPromotion } from './observed.ts'

export interface EnvironmentSummary {
  readonly name: EnvironmentName
  readonly madeAtMs: number
  readonly doc: string
  readonly tables: number
  /** Tables that differ from what they stand on. */
  readonly changed: number
}

/** The environments of a lake opened in production, in order of names. */
export async function listEnvironments(lake: Lake): Promise<readonly EnvironmentSummary[]> {
  const out: EnvironmentSummary[] = []
  for (const { name, madeAtMs } of lake.base.environments.list()) {
    await using there = await openEnvironment(lake, name)
    const changes = await changedTables(await lake.context(), await there.context(), name)
    const all = await lake.base.listTables()
    out.push({
      name,
      madeAtMs,
      doc: lake.config.environments?.[name]?.doc ?? '',
      tables: all.filter((table) => isOwn(nameOutOf(name, table))).length,
      changed: changes.filter((one) => one.change.kind !== 'same').length,
    })
  }
  return out
}

function isOwn(table: TableId | null): boolean {
  return table !== null && namespaceOf(table) !== 'limn'
}

/** Makes an environment of what production has now, and names its tables but limn's own. Throws `usage/environment-exists`. */
export async function createEnvironment(lake: Lake, name: string): Promise<Forked> {
  const forked = await forkEnvironment(await lake.context(), lake.base.environments, environmentName(name))
  return { ...forked, tables: forked.tables.filter(isOwn) }
}

/** What differs between an environment's table and the state of production it stands on. */
export interface EnvironmentDiff {
  readonly table: TableId
  readonly change: ChangedTable['change']['kind']
  /** Production has published to the table since. */
  readonly productionMoved: boolean
  /** Why it cannot be promoted; null: it can. */
  readonly obstacle: string | null
  readonly rows: { readonly before: number; readonly after: number }
  /** Interval by interval where the dataset is built so; null where the table is gone. */
  readonly diff: RowDiff | null
}

/** What an environment changed, table by table in order of names; unchanged ones are left out. */
export async function diffEnvironment(
  lake: Lake,
  name: string,
  options: { readonly select?: readonly string[]; readonly sample?: number } = {},
): Promise<readonly EnvironmentDiff[]> {
  const wanted = options.select && options.select.length > 0 ? await lake.select(options.select) : null
  const environment = environmentName(name)
  await using there = await openEnvironment(lake, environment)
  const [ours, theirs] = [await there.context(await there.loadProject()), await lake.context(await lake.loadProject())]
  const out: EnvironmentDiff[] = []
  for (const one of await changedTables(theirs, ours, environment)) {
    if (one.change.kind === 'same' || (wanted && !wanted.has(one.table))) continue
    const obstacle = await obstacleTo(theirs, ours, environment, one)
    const before = stateBefore(one)
    const after = one.there && pinRef(one.there)
    out.push({
      table: one.table,
      change: one.change.kind,
      productionMoved: one.productionMoved,
      obstacle: obstacle?.why ?? null,
      rows: { before: rowsOf(before, before?.snapshotId ?? null), after: rowsOf(one.there, after?.snapshotId) },
      diff: after ? await rowsApart(theirs, ours, before, after, options.sample) : null,
    })
  }
  return out
}

/** What the readers of a dataset would see otherwise, told by its keys. */
function rowsApart(
  theirs: PipelineContext,
  ours: PipelineContext,
  before: PinnedTable | null,
  after: PinnedTable,
  sample: number | undefined,
): Promise<RowDiff> {
  const node = ours.project.nodes.get(after.id)
  const keys = node ? (node.contract.keys.length > 0 ? node.contract.keys : node.contract.grain) : []
  const known = new Set(before ? schemaOfPin(before).fields.map((field) => field.name) : [])
  const side = (pin: PinnedTable) => ({ kind: 'table', pin, keep: viewOf(node, pin).keep }) as const
  // Columns of the two have the same ids, as in two states of one table.
  const same = before && { ...after, metadata: { ...after.metadata, tableUuid: before.metadata.tableUuid } }
  return diffRows(theirs, before ? side(before) : { kind: 'none' }, side(same ?? after), {
    ...(keys.every((key) => known.has(key)) ? { keys } : {}),
    ...(node?.shape.kind === 'interval' && (before === null || known.has(node.shape.column))
      ? { column: node.shape.column, unit: node.shape.unit }
      : {}),
    ...(sample === undefined ? {} : { sample }),
  })
}

/** What an environment's table stands on; null where it was made there. Throws `environment/conflict` where that is gone. */
function stateBefore(one: ChangedTable): PinnedTable | null {
  const { production, there, origin, table } = one
  const metadata = originState(one)
  const holder = [production, there].find((each) => each?.metadata === metadata)
  if (!origin) return null
  if (!metadata || !holder)
    throw new LimnError('environment/conflict', {
      message: `The state of ${table} that the environment stands on was expired by hand.`,
      notDone: 'Nothing was compared.',
      remedy: 'Read the table itself with --env, or make the environment anew: limn env drop NAME',
      context: { table },
    })
  return origin.snapshotId === null ? pinSnapshotless(holder) : pinSnapshot(holder, origin.snapshotId)
}

function pinSnapshotless({ table, metadata }: LoadedTable) {
  return { id: table, metadata, snapshotId: null, schemaId: metadata.currentSchemaId }
}

function rowsOf(loaded: Pick<LoadedTable, 'metadata'> | null, snapshotId: bigint | null | undefined): number {
  const snapshot = loaded && snapshotId ? snapshotById(loaded.metadata, snapshotId) : undefined
  return Number(snapshot?.summary['total-records'] ?? 0)
}

/**
 * Publishes what an environment changed, then makes the environment anew of what production has by then: the two are equal.
 * Throws as `promote` does, and `lease/held` while a run is at work in the environment. A crash between the two leaves an environment whose changes are published already.
 */
export async function promoteEnvironment(
  lake: Lake,
  name: string,
  options: { readonly waitMs?: number; readonly dryRun?: boolean } = {},
): Promise<PromoteReport> {
  const environment = environmentName(name)
  const context = await lake.context(await lake.loadProject())
  const path = statePath(lake.folder, lake.config, environment)
  // From what is looked at to what is made anew nothing may be published there: it would go with the old environment.
  return withRunsHeld(lake, environment, path, 'limn env promote', async (requireHeld) => {
    const report = await inEnvironment(lake, environment, async (there) => {
      const theirs = await there.context(await there.loadProject())
      const work = () => promote(context, theirs, environment, { ...options, requireHeld })
      if (options.dryRun) return work()
      const { name, folder, config } = lake
      const told = { name, folder, lineage: config.lineage }
      return observedPromotion(told, context, (id) => tableLocation(theirs, id), work)
    })
    if (report.outcome !== 'published') return report
    // Runs there that began when this process was taken for dead would lose what they published.
    requireHeld()
    await dropEnvironment({ ...context, progress: silentProgress }, lake.base.environments, environment)
    await forkEnvironment(context, lake.base.environments, environment)
    return report
  })
}

async function inEnvironment<T>(lake: Lake, name: EnvironmentName, body: (there: Lake) => Promise<T>): Promise<T> {
  await using there = await openEnvironment(lake, name)
  return await body(there)
}

/**
 * Drops an environment: its names, its files and what the state database knows of its runs. Throws
 * `usage/unknown-environment`, and `lease/held` while a run is at work in it.
 */
export async function dropEnvironmentOf(
  lake: Lake,
  name: string,
  options: { readonly dryRun?: boolean } = {},
): Promise<DroppedEnvironment> {
  const environment = environmentName(name)
  const context = await lake.context()
  const path = statePath(lake.folder, lake.config, environment)
  const dropped = await withRunsHeld(lake, environment, path, 'limn env drop', () =>
    dropEnvironment(context, lake.base.environments, environment, options),
  )
  if (!options.dryRun) for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true })
  return dropped
}

/** Nobody begins a run in the environment meanwhile, its first included; `requireHeld` throws `lease/lost` when somebody could. */
async function withRunsHeld<T>(
  lake: Lake,
  environment: EnvironmentName,
  path: string,
  what: string,
  body: (requireHeld: () => void) => Promise<T>,
): Promise<T> {
  const isThere = lake.base.environments.list().some((one) => one.name === environment)
  if (!isThere && !existsSync(path)) return await body(() => undefined)
  const { pid, host, signal } = await lake.context()
  const state = new StateDatabase({ path, migrations: pipelineMigrations })
  try {
    const holder = `${what} (process ${pid} on ${host})`
    const lease = await state.acquireAll(['run', 'backfill'], holder, { waitMs: 0, signal })
    try {
      return await body(() => lease.assertHeld())
    } finally {
      await lease.release()
    }
  } finally {
    state.close()
  }
}

/** The lake again, in an environment that has to be there. */
async function openEnvironment(lake: Lake, environment: EnvironmentName): Promise<Lake> {
  if (!lake.base.environments.list().some((one) => one.name === environment))
    throw unknownEnvironment(lake.base.environments, environment, 'used')
  return Lake.open({ ...lake.openedWith, cwd: lake.folder, environment, makeEnvironment: false })
}

/** Options to open a lake in production, whatever its configuration says. */
export function inProduction(options: OpenLakeOptions): OpenLakeOptions {
  return { ...options, environment: production }
}

/** Throws `usage/argument` for a lake that was opened in an environment. */
export function requireProduction(lake: Lake, verb: string): void {
  if (lake.environment === null) return
  throw new LimnError('usage/argument', {
    message: `${verb} is of the whole lake, and this is ${lake.environment}.`,
    notDone: 'Nothing was changed.',
    remedy: `Say so: --env ${production}`,
  })
}
