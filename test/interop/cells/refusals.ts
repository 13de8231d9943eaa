import type { SeenAt } from '../../support/seen.ts'

/** The engines that may refuse; the Java reference may not. */
export type Engine = 'pyiceberg' | 'duckdb'

/** A cell that an engine does not read, and its words. A cell that starts to be read, or refuses otherwise, fails. */
export interface Refusal {
  readonly engine: Engine
  readonly cell: RegExp
  readonly at?: (at: SeenAt) => boolean
  readonly message: RegExp
}

export const refusals: readonly Refusal[] = []
