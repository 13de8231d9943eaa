import { counted, LimnError, type Progress, silentProgress, step, type TableId } from '../../base/index.ts'
import { isUnder, type LoadedTable } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'

/** Options that all maintenance has. */
export interface MaintenanceOptions {
  /** Plans and reports; nothing is written, committed or deleted. Default false. */
  readonly dryRun?: boolean
  readonly progress?: Progress
}

/** Runs that are at work on a table and what they rely on. Whoever knows of runs says so; nobody: there are none. */
export interface LiveRuns {
  /** Refs of live runs: their pins and branches. */
  readonly refs?: ReadonlySet<string>
  /** Snapshots that later runs tell changes from: see `ExpireOptions.toldFrom`. */
  readonly toldFrom?: ReadonlySet<bigint>
  /** How long ago the oldest of them began, in milliseconds; 0 when there is none. */
  readonly longestMs?: number
  /** States of the table that are staged and in no catalog. */
  readonly staged?: readonly LoadedTable[]
}

/** Files of one deletion: enough at once to be fast, few enough for progress and cancelling. */
const batch = 500

/** Says of a table over the files of another one, whatever `gc.enabled` says, in which environment it is. */
export const environmentProperty = 'limn.environment'

/** Tells whether files are the table's own to delete (`gc.enabled`); a table made over others' files says no. */
export function ownsItsFiles({ metadata: { properties } }: LoadedTable): boolean {
  return properties['gc.enabled']?.toLowerCase() !== 'false' && properties[environmentProperty] === undefined
}

/** Deletes files within the store; those outside are returned and left. `whose` they are is told as they go: a table, an environment. */
export async function deleteFiles(
  context: TableContext,
  whose: string,
  paths: readonly StorePath[],
  progress: Progress = silentProgress,
): Promise<{ readonly deleted: readonly StorePath[]; readonly outside: readonly StorePath[] }> {
  const inside = paths.filter((path) => isUnder(path, context.store.root))
  const outside = paths.filter((path) => !isUnder(path, context.store.root))
  if (inside.length === 0) return { deleted: [], outside }
  const task = progress.begin(`delete files of ${whose}`)
  for (let at = 0; at < inside.length; at += batch) {
    context.signal.throwIfAborted()
    const some = inside.slice(at, at + batch)
    await step(context.steps, 'file.delete', `${some[0]} × ${some.length}`, () =>
      context.store.delete(some, { signal: context.signal }),
    )
    task.update(`${at + some.length} of ${inside.length}`)
  }
  task.end(counted(inside.length, 'file'))
  return { deleted: inside, outside }
}

export function keepsConflicting(table: TableId): LimnError {
  return new LimnError('catalog/conflict', {
    message: `Others kept changing ${table} while it was maintained.`,
    notDone: 'Nothing was committed.',
    remedy: 'Run the command again when the table is quieter.',
    retryable: true,
  })
}
