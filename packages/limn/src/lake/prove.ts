import { availableParallelism } from 'node:os'
import { LimnError } from '../base/index.ts'
import type { Interval } from '../dataset/index.ts'
import { checkProject, type Proof, prove } from '../pipeline/index.ts'
import type { Lake } from './lake.ts'
import { openEngine } from './open-engine.ts'

export interface ProveOptions {
  /** Which datasets; none: all models. */
  readonly select?: readonly string[]
  readonly range?: Interval | null
}

/** Builds models twice under other conditions, and says what came out otherwise. Publishes nothing. */
export async function proveModels(lake: Lake, options: ProveOptions = {}): Promise<readonly Proof[]> {
  const project = await lake.loadProject()
  const selected = await lake.select(options.select ?? [])
  if (![...selected].some((id) => project.nodes.get(id)?.producer.kind === 'model'))
    throw new LimnError('usage/empty-selection', {
      message: 'No model is selected: a source is not built.',
      notDone: 'Nothing was built.',
      remedy: 'Name a model, or leave the selection out.',
    })
  const [problem] = await checkProject(project, lake.engine, selected)
  if (problem) throw problem
  const threads = lake.config.engine?.threads ?? availableParallelism()
  const other = await openEngine(lake.folder, { ...lake.config.engine, threads: threads === 1 ? 2 : threads + 1 })
  try {
    return await prove(await lake.context(project), { selected, range: options.range ?? null, other })
  } finally {
    other.close()
  }
}
