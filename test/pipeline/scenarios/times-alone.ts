import type { Origin } from './scenario.ts'

/**
 * Tests of SQLMesh (github.com/TobikoData/sqlmesh, Apache-2.0) that need no lake: their facts stand in `scenarios.test.ts`.
 */

/** Sets of times grow, join and are cut. */
export const intervalOrigins: readonly { readonly origin: Origin; readonly kind: 'agrees' }[] = [
  'test_add_interval',
  'test_remove_intervals',
  'test_contiguous_intervals',
].map((test) => ({ origin: { file: 'test_snapshot.py', test }, kind: 'agrees' }))

/** When something is next to be done, and which ranges can be asked for. */
export const clockOrigins: readonly (
  | { readonly origin: Origin; readonly kind: 'agrees' }
  | {
      readonly origin: Origin
      readonly kind: 'differs'
      readonly says: string
      readonly theirs: string
      readonly why: string
    }
)[] = [
  { origin: { file: 'test_snapshot.py', test: 'test_get_next_model_interval_start' }, kind: 'agrees' },
  {
    origin: { file: 'test_plan.py', test: 'test_plan_dates_relative_to_execution_time' },
    kind: 'differs',
    says: 'How the range of a plan is told.',
    theirs:
      'in words too, as of the time of the plan, from yesterday until now where nothing is said; an end before the start or in the future is refused',
    why: 'as dates, so that a command means the same when it is repeated; all that is stale where nothing is said; an end that is not after the start is refused, and of days to come there is nothing to build',
  },
]
