/**
 * Named steps: every write that recovery has to survive passes through one, before and after. Production does nothing
 * here; fault simulation kills the process, throws or delays. A step's name is its kind, so that a simulation can cover
 * every kind, and `detail` tells instances apart.
 */
export type StepName =
  | 'file.write'
  | 'file.put'
  | 'file.delete'
  | 'manifest.write'
  | 'metadata.write'
  | 'catalog.commit'
  | 'commit.retry'
  | 'file.delete'
  | 'state.change'

export interface Steps {
  /** Called right before (`edge: 'before'`) and right after the step. May throw or never return. */
  reach(name: StepName, edge: 'before' | 'after', detail: string): void | Promise<void>
}

export const noSteps: Steps = { reach: () => undefined }

/** Runs `body` between the two edges of a step. */
export async function step<T>(steps: Steps, name: StepName, detail: string, body: () => T | Promise<T>): Promise<T> {
  await steps.reach(name, 'before', detail)
  const result = await body()
  await steps.reach(name, 'after', detail)
  return result
}
