import { LimnError, nearest, type TableId } from '../../base/index.ts'
import { type EnvironmentName, nameIn, type SqliteEnvironments } from '../../catalog/index.ts'
import { isUnder, type LoadedTable, reachableFiles, type TableCommit } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { deleteFiles } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { environmentFolder, environmentLease, environmentRef } from './standing.ts'

export interface DroppedEnvironment {
  readonly environment: EnvironmentName
  /** Of production: those that no longer keep a state for the environment. */
  readonly released: readonly TableId[]
  readonly files: number
  readonly bytes: number
}

const attemptsMax = 10

/**
 * Takes an environment away: its names in one transaction, then the branches that kept production's states for it, then every
 * file under its own folder, and no other. A crash in between leaves branches and files that nothing names; dropping it again
 * finishes. With `dryRun` it says what would go. Throws `usage/unknown-environment`, `lease/held`,
 * `table/unsafe-change` where a table that stays reads a file of it.
 */
export async function dropEnvironment(
  context: PipelineContext,
  environments: SqliteEnvironments,
  environment: EnvironmentName,
  options: { readonly dryRun?: boolean } = {},
): Promise<DroppedEnvironment> {
  await using _lease = await environmentLease(context, environment)
  const folder = environmentFolder(context.store.root, environment)
  const files: StorePath[] = []
  let bytes = 0
  for await (const info of context.store.list(folder, { signal: context.signal })) {
    files.push(info.path)
    bytes += info.bytes
  }
  const held = await heldTables(context, environment)
  const there = environments.list().some((one) => one.name === environment)
  if (!there && files.length === 0 && held.length === 0) throw unknownEnvironment(environments, environment, 'used')
  await requireUnread(context, environments, environment, folder)
  const released = held.map((one) => one.table)
  if (options.dryRun) return { environment, released, files: files.length, bytes }
  await environments.forget(environment)
  await releaseTables(context, environment)
  await deleteFiles(context, environment, files, context.progress)
  return { environment, released, files: files.length, bytes }
}

async function heldTables(
  { catalog, signal }: PipelineContext,
  environment: EnvironmentName,
): Promise<readonly LoadedTable[]> {
  const ids = await catalog.listTables({ signal })
  const loaded = await catalog.loadTables(ids, { signal })
  return ids.flatMap((id) => {
    const one = loaded.get(id)
    return one?.metadata.refs[environmentRef(environment)] ? [one] : []
  })
}

async function releaseTables(context: PipelineContext, environment: EnvironmentName): Promise<void> {
  const ref = environmentRef(environment)
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const commits = (await heldTables(context, environment)).map(
      ({ table }): TableCommit => ({ table, requirements: [], updates: [{ action: 'remove-snapshot-ref', ref }] }),
    )
    if (commits.length === 0) return
    const outcome = await context.catalog.commit(commits, {
      timestampMs: context.clock.nowMs(),
      signal: context.signal,
    })
    if (outcome.kind === 'committed') return
  }
  throw new LimnError('catalog/conflict', {
    message: `Others kept changing the lake while ${environment} was dropped.`,
    notDone: 'Its names are gone; its files and what production kept for it are still there.',
    remedy: `Drop it again: limn env drop ${environment}`,
    retryable: true,
  })
}

/** A table that was made over files of the environment by hand would lose them. */
async function requireUnread(
  context: PipelineContext,
  environments: SqliteEnvironments,
  environment: EnvironmentName,
  folder: StorePath,
): Promise<void> {
  const { catalog, manifests, signal } = context
  const own = await catalog.listTables({ signal })
  const others = environments.list().filter((one) => one.name !== environment)
  const foreign = others.flatMap((one) => own.map((table) => nameIn(one.name, table)))
  for (const [table, loaded] of await catalog.loadTables([...own, ...foreign], { signal })) {
    if (!loaded) continue
    const { files } = await reachableFiles(loaded.metadata, manifests, { signal })
    const read = [...files.values()].find((path) => isUnder(path, folder))
    if (read === undefined) continue
    throw new LimnError('table/unsafe-change', {
      message: `${table} reads ${read}, a file of the environment ${environment}.`,
      notDone: 'The environment is still there.',
      remedy: `Rewrite the table first: limn table compact ${table} --all, then limn table expire ${table}`,
    })
  }
}

/** Who wants to work in an environment may make it; who wants to end one has nothing to make. */
export function unknownEnvironment(environments: SqliteEnvironments, name: string, wanted: 'work' | 'used'): LimnError {
  const known = environments.list().map((one) => one.name)
  const close = nearest(name, known)
  return new LimnError('usage/unknown-environment', {
    message: `There is no environment ${name}.`,
    notDone: 'Nothing was run.',
    remedy: close
      ? `Did you mean ${close}?`
      : `${wanted === 'work' ? `Make it: limn env create ${name}. ` : ''}${known.length === 0 ? 'There is none yet.' : `Those there are: ${known.join(', ')}.`}`,
  })
}
