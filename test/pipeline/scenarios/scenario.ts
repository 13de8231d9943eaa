import type { DrawnModel, DrawnSource, RunWish } from '../../support/drawn-lake.ts'

/** Cases of another planner as facts in our own form: what is done to a lake, and what then has to be built. */

/** What was looked at: `file` names the test file, `test` the test there. */
export interface Origin {
  readonly file: 'test_plan.py' | 'test_snapshot.py' | 'test_change_scenarios.py' | 'test_restatement.py'
  readonly test: string
}

/** `agrees`: limn does as the fact says. `differs`: it does otherwise on purpose, which is what the scenario then holds. */
export type Verdict =
  | { readonly kind: 'agrees' }
  | { readonly kind: 'differs'; readonly theirs: string; readonly why: string }

export const agrees: Verdict = { kind: 'agrees' }
export const differs = (theirs: string, why: string): Verdict => ({ kind: 'differs', theirs, why })

/** One fact about how a change of a query counts: columns that change, and whether the rows may. */
export interface CategoryFact {
  readonly says: string
  readonly before: string
  readonly after: string
  readonly expect: { readonly changed: readonly string[]; readonly rows: boolean }
  readonly verdict: Verdict
}

export type Step =
  /** Changes definitions by name; null takes one away. */
  | { readonly do: 'define'; readonly models: Readonly<Record<string, Partial<DrawnModel> | null>> }
  /** Rows of `bronze.order`: id, time, item, price. */
  | { readonly do: 'deliver'; readonly file: string; readonly rows: readonly string[] }
  | { readonly do: 'run'; readonly wish?: RunWish }
  /**
   * What a plan says, a line for each item: `dataset range reason`, with `≤` before the range where it is at most. A range is
   * both ends of days, months or hours as people say them; `whole` and `any` stand for themselves.
   */
  | { readonly do: 'plan'; readonly wish?: RunWish; readonly expect: readonly string[] }
  /** An error of this kind, at planning. */
  | { readonly do: 'refuse'; readonly wish?: RunWish; readonly kind: string }
  | { readonly do: 'create' | 'drop'; readonly env: string }
  /** Publishes what an environment changed: how that ends, or the kind of the error that it ends with. */
  | { readonly do: 'promote'; readonly env: string; readonly expect: string }
  | { readonly do: 'rows'; readonly sql: string; readonly env?: string; readonly expect: readonly string[] }
  | { readonly do: 'failed run'; readonly wish?: RunWish; readonly kind: string }
  /** A run that a check refuses. */
  | { readonly do: 'refused run'; readonly wish?: RunWish }
  /** What a run rewrites: `dataset range`, at most one line a range. */
  | { readonly do: 'rewrite'; readonly wish?: RunWish; readonly expect: readonly string[] }
  /** What a plan says each dataset is planned for: `dataset: because, because`. */
  | { readonly do: 'causes'; readonly wish?: RunWish; readonly expect: readonly string[] }
  /** Changes the definition of what lands orders. */
  | { readonly do: 'source'; readonly change: Partial<DrawnSource> }
  /** It is a later time from now on. Scenarios begin on 2023-01-08 at noon. */
  | { readonly do: 'time'; readonly now: string }
  | { readonly do: 'file'; readonly path: string }
  /** A run, and what others do when it is about to publish. */
  | { readonly do: 'during'; readonly wish: RunWish; readonly steps: readonly Step[] }
  /** Somebody takes the name of a table out of the catalog, past limn. */
  | { readonly do: 'lose table'; readonly table: string }
  /** The state database is gone. */
  | { readonly do: 'lose state' }
  | { readonly do: 'sql'; readonly sql: string }
  /** All snapshots but the last of a table are expired, and files that nothing names deleted. */
  | { readonly do: 'clean'; readonly table: string }

export interface LakeScenario {
  readonly origins: readonly Origin[]
  readonly says: string
  readonly verdict: Verdict
  /** After a first run of the shop. */
  readonly steps: readonly Step[]
}

export const change = (test: string): Origin => ({ file: 'test_change_scenarios.py', test })
export const restatement = (test: string): Origin => ({ file: 'test_restatement.py', test })
export const planned = (test: string): Origin => ({ file: 'test_plan.py', test })
export const snapshot = (test: string): Origin => ({ file: 'test_snapshot.py', test })
