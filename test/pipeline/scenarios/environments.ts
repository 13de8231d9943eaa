import { agrees, change, differs, type LakeScenario, planned, restatement, snapshot } from './scenario.ts'
import {
  below,
  byHour,
  itemFiltered,
  itemWithColumn,
  ofHours,
  revenueByMonth,
  revenueWithColumn,
  week,
} from './shop.ts'

/**
 * Facts about environments, restated from tests of SQLMesh (github.com/TobikoData/sqlmesh, `tests/core/test_plan.py`, `test_snapshot.py`,
 * `integration/test_change_scenarios.py`, `integration/test_restatement.py`; Apache-2.0), over a shop of our own.
 */

const filtered = `silver.item ${week} definition-changed`
const items = 'SELECT count(*) FROM silver.item'
const dev = { env: 'dev' } as const
const before = { sql: itemFiltered.sql.replace(' AND price > 1', '') }

export const environmentScenarios: readonly LakeScenario[] = [
  {
    origins: [change('test_environment_isolation'), snapshot('test_add_interval_dev')],
    says: 'What is built in an environment is not built in production, and production reads none of it.',
    verdict: agrees,
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: dev },
      { do: 'plan', wish: dev, expect: [] },
      { do: 'plan', expect: [filtered, ...below] },
      { do: 'rows', sql: items, ...dev, expect: ['6'] },
      { do: 'rows', sql: items, expect: ['7'] },
    ],
  },
  {
    origins: [planned('test_new_environment_no_changes')],
    says: 'An environment is made without any change.',
    verdict: differs(
      'it is refused unless it is said that unchanged models are to be in it',
      'an environment copies nothing, so that making one costs nothing; it is often made before the change',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'plan', wish: dev, expect: [] },
    ],
  },
  {
    origins: [planned('test_new_environment_with_changes')],
    says: 'A new environment has what changed to build, and what reads it, and nothing else.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'silver.order_item': {
            sql: 'SELECT id, placed_at, item, price FROM silver.item WHERE placed_at >= $interval_start AND placed_at < $interval_end AND price > 2',
          },
        },
      },
      { do: 'create', env: 'dev' },
      { do: 'plan', wish: dev, expect: [`silver.order_item ${week} definition-changed`, ...below.slice(1)] },
    ],
  },
  {
    origins: [planned('test_forward_only_dev')],
    says: 'A change for new intervals only, in an environment.',
    verdict: differs(
      'the latest interval is built there all the same, as a preview',
      'nothing is built, as it would not be in production; --restate with a range builds what is to be looked at',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'plan', wish: { ...dev, forwardOnly: true }, expect: [`silver.item ${week} accepted`] },
      { do: 'rewrite', wish: { ...dev, forwardOnly: true }, expect: [] },
      {
        do: 'plan',
        wish: { ...dev, restate: ['silver.item'], range: ['2023-01-07', '2023-01-08'] },
        expect: [
          'silver.item 2023-01-07 restated',
          'silver.order_item ≤ 2023-01-07 input-changed',
          'gold.revenue ≤ 2023-01-07 input-changed',
          'gold.best ≤ whole input-changed',
        ],
      },
    ],
  },
  {
    origins: [
      change('test_environment_promotion'),
      snapshot('test_deployability_index'),
      snapshot('test_deployability_index_categorized_forward_only_model'),
    ],
    says: 'What an environment built is published: production has nothing left to build.',
    verdict: differs(
      'what was built there on top of a change for new intervals only is thrown away and built anew',
      'what was judged there is what is published, to the file; there is no second build that could differ',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: { ...dev, forwardOnly: true } },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'rewrite', wish: dev, expect: [`gold.revenue ${week}`] },
      { do: 'promote', ...dev, expect: 'published' },
      { do: 'plan', expect: [] },
      { do: 'plan', wish: dev, expect: [] },
      { do: 'rows', sql: 'SELECT count(one), sum(revenue) FROM gold.revenue', expect: ['7 28'] },
    ],
  },
  {
    origins: [planned('test_environment_previous_finalized_snapshots')],
    says: 'After an attempt that failed, an environment is compared with what it last had whole.',
    verdict: agrees,
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered, 'gold.revenue': { mustHold: 'revenue > 2' } } },
      { do: 'refused run', wish: dev },
      { do: 'rows', sql: items, ...dev, expect: ['7'] },
      { do: 'define', models: { 'gold.revenue': { mustHold: 'revenue > 1' } } },
      {
        do: 'plan',
        wish: dev,
        expect: [filtered, below[0] ?? '', below[1] ?? '', below[2] ?? ''],
      },
      { do: 'run', wish: dev },
      { do: 'plan', wish: dev, expect: [] },
    ],
  },
  {
    origins: [change('test_plan_against_expired_environment')],
    says: 'An environment that is gone and made again.',
    verdict: differs(
      'changes are found, and nothing is to be built: the tables of its versions are still there',
      'its files went with it; it begins with what production has',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: dev },
      { do: 'plan', wish: dev, expect: [] },
      { do: 'drop', env: 'dev' },
      { do: 'create', env: 'dev' },
      { do: 'plan', wish: dev, expect: [`gold.revenue ${week} definition-changed`] },
    ],
  },
  {
    origins: [change('test_rebase_two_changed_parents')],
    says: 'Two changes from two environments, one published after the other.',
    verdict: differs(
      'the second is planned in production, where both together decide how it counts',
      'the second is published where it touches other tables; what both reach is refused, and the environment is made anew',
    ),
    steps: [
      { do: 'create', env: 'one' },
      { do: 'create', env: 'two' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: { env: 'one' } },
      {
        do: 'define',
        models: { 'silver.item': before, 'gold.best': { sql: 'SELECT min(revenue) AS revenue FROM gold.revenue' } },
      },
      { do: 'run', wish: { env: 'two' } },
      {
        do: 'define',
        models: {
          'gold.best': { sql: 'SELECT max(revenue) AS revenue FROM gold.revenue' },
          'silver.item': itemFiltered,
        },
      },
      { do: 'promote', env: 'one', expect: 'published' },
      { do: 'define', models: { 'gold.best': { sql: 'SELECT min(revenue) AS revenue FROM gold.revenue' } } },
      { do: 'promote', env: 'two', expect: 'published' },
      { do: 'plan', expect: ['gold.best whole input-changed'] },
      { do: 'run' },
      { do: 'rows', sql: 'SELECT revenue FROM gold.best', expect: ['2'] },
    ],
  },
  {
    origins: [planned('test_restate_production_model_in_dev')],
    says: 'A restatement, in an environment, of a model that production has.',
    verdict: differs(
      'it is left out with a warning: the environment shares the table with production',
      'it is built there and seen there alone: an environment never writes to a table of production',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      {
        do: 'plan',
        wish: { ...dev, restate: ['gold.revenue'], range: ['2023-01-03', '2023-01-04'] },
        expect: ['gold.revenue 2023-01-03 restated', 'gold.best ≤ whole input-changed'],
      },
      { do: 'run', wish: { ...dev, restate: ['gold.revenue'] } },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [restatement('test_dev_restatement_of_prod_model')],
    says: 'A restatement in an environment names what was changed there and what reads it.',
    verdict: agrees,
    steps: [
      { do: 'create', env: 'dev' },
      {
        do: 'define',
        models: {
          'silver.order_item': {
            sql: 'SELECT id, placed_at, item, price FROM silver.item WHERE placed_at >= $interval_start AND placed_at < $interval_end AND price > 0',
          },
        },
      },
      { do: 'run', wish: dev },
      {
        do: 'plan',
        wish: { ...dev, restate: ['silver.order_item'] },
        expect: [`silver.order_item ${week} restated`, ...below.slice(1)],
      },
    ],
  },
  {
    origins: [
      restatement('test_restatement_plan_clears_correct_intervals_across_environments'),
      restatement('test_restatement_plan_across_environments_snapshot_with_shared_version'),
      restatement('test_prod_restatement_plan_clears_correct_intervals_in_derived_dev_tables'),
      restatement('test_prod_restatement_plan_causes_dev_intervals_to_be_processed_in_next_dev_plan'),
    ],
    says: 'What is restated in production, seen from an environment that stands on it; and the other way round.',
    verdict: differs(
      'the same intervals of the environment’s own tables are cleared, and its next plan builds them',
      'an environment stands on one state of production, so that what is looked at there holds still; what overlaps is not promoted, and made anew',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: dev },
      // Rows are taken out of what was delivered: what is restated differs.
      { do: 'deliver', file: 'a', rows: ['2,2023-01-02 10:00:00,tea,20'] },
      { do: 'run', wish: { select: ['bronze.order', 'silver.item', 'silver.order_item'] } },
      { do: 'plan', wish: { ...dev, select: ['silver.item+'] }, expect: [] },
      { do: 'rows', sql: 'SELECT sum(revenue) FROM gold.revenue', ...dev, expect: ['28'] },
      { do: 'rows', sql: 'SELECT sum(price) FROM silver.item', expect: ['20'] },
      { do: 'rows', sql: 'SELECT sum(price) FROM silver.item', ...dev, expect: ['28'] },
      // In the environment the same is restated, and production sees nothing of it.
      { do: 'run', wish: { ...dev, restate: ['gold.revenue'], range: ['2023-01-02', '2023-01-03'] } },
      { do: 'plan', wish: { select: ['gold.best'] }, expect: [] },
    ],
  },
  {
    origins: [
      restatement('test_prod_restatement_plan_clears_unaligned_intervals_in_derived_dev_tables'),
      restatement('test_prod_restatement_plan_causes_dev_intervals_to_be_widened_on_full_restatement_only_model'),
    ],
    says: 'The same with an hourly model in production and a daily and a whole one of the environment alone.',
    verdict: differs(
      'the whole days of the environment’s own models are cleared',
      'they read the environment’s state of the hours, which is as it was',
    ),
    steps: [
      { do: 'define', models: { 'silver.hour': byHour } },
      { do: 'run' },
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.day_of_hours': ofHours } },
      { do: 'run', wish: dev },
      { do: 'run', wish: { restate: ['silver.hour'], range: ['2023-01-03T10:00', '2023-01-03T11:00'] } },
      { do: 'plan', wish: dev, expect: [] },
      {
        do: 'plan',
        wish: { ...dev, restate: ['silver.hour'], range: ['2023-01-03T10:00', '2023-01-03T11:00'] },
        expect: ['silver.hour 2023-01-03T10:00 restated', 'gold.day_of_hours ≤ 2023-01-03 input-changed'],
      },
    ],
  },
  {
    origins: [restatement('test_prod_restatement_plan_missing_model_in_dev')],
    says: 'A model of production that an environment does not have is restated all the same.',
    verdict: agrees,
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.by_month': revenueByMonth } },
      { do: 'run' },
      { do: 'rewrite', wish: { restate: ['gold.by_month'] }, expect: [] },
      { do: 'plan', wish: dev, expect: ['gold.by_month 2023-01 never-built'] },
    ],
  },
  {
    origins: [restatement('test_restatement_plan_detects_prod_deployment_during_restatement')],
    says: 'Production changes while something is prepared on what it was.',
    verdict: agrees,
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: dev },
      { do: 'define', models: { 'silver.item': itemWithColumn } },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-03 11:00:00,tea,8'] },
      { do: 'run' },
      { do: 'promote', ...dev, expect: 'environment/conflict' },
      { do: 'rows', sql: 'SELECT sum(revenue) FROM gold.revenue', expect: ['36'] },
    ],
  },
]
