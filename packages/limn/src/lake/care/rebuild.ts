import { existsSync, renameSync } from 'node:fs'
import { LimnError } from '../../base/index.ts'
import { environmentName, production } from '../../catalog/index.ts'
import { pipelineMigrations, type RebuiltState, rebuildState } from '../../pipeline/index.ts'
import { StateDatabase } from '../../state/index.ts'
import { Lake, type OpenLakeOptions, statePath } from '../lake.ts'
import { findLake, loadConfig } from '../load.ts'

export interface RebuiltLake extends RebuiltState {
  /** Where a damaged state database was put aside; null: there was none, or it was sound. */
  readonly aside: string | null
}

/**
 * Makes the state database of a lake anew from the lake, or fills one that is there. A damaged file is put aside, never
 * deleted. Throws `config/newer-lake` for one that a newer limn wrote, and `lease/held` while a run or backfill is at work.
 */
export async function rebuildLakeState(options: OpenLakeOptions): Promise<RebuiltLake> {
  const folder = findLake(options.cwd ?? process.cwd())
  const config = await loadConfig(folder)
  const wanted = options.environment ?? config.environment ?? production
  const path = statePath(folder, config, wanted === production ? null : environmentName(wanted))
  const aside = putAside(path)
  await using lake = await Lake.open(options)
  await using _held = await lake.hold('limn lake rebuild-state')
  return { ...(await rebuildState(await lake.context(await lake.loadProject()))), aside }
}

function putAside(path: string): string | null {
  if (!existsSync(path)) return null
  try {
    new StateDatabase({ path, migrations: pipelineMigrations }).close()
    return null
  } catch (error) {
    if (!(error instanceof LimnError && error.kind === 'storage/corrupt')) throw error
    let n = 1
    while (existsSync(`${path}.damaged-${n}`)) n++
    for (const end of ['', '-wal', '-shm'])
      if (existsSync(`${path}${end}`)) renameSync(`${path}${end}`, `${path}.damaged-${n}${end}`)
    return `${path}.damaged-${n}`
  }
}
