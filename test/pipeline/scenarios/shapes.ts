import { agrees, differs, type LakeScenario, type Origin } from './scenario.ts'
import { firstOrders, itemFiltered, revenueWithColumn } from './shop.ts'

/**
 * Facts about columns that come and go, files that are delivered again, and days that go on, restated from tests of SQLMesh
 * (github.com/TobikoData/sqlmesh, `tests/core/test_plan.py`, `test_snapshot.py`; Apache-2.0), over a shop of our own.
 */

const planned = (test: string): Origin => ({ file: 'test_plan.py', test })
const snapshot = (test: string): Origin => ({ file: 'test_snapshot.py', test })

const week = '2023-01-01 … 2023-01-07'
const within = 'placed_at >= $interval_start AND placed_at < $interval_end'
const revenueTyped = {
  sql: `SELECT date_trunc('day', placed_at)::TIMESTAMP AS day, sum(price)::INTEGER AS revenue FROM silver.order_item WHERE ${within} GROUP BY ALL`,
  columns: { day: 'timestamp', revenue: 'int' },
} as const
const itemWithout = {
  sql: 'SELECT id, "at" AS placed_at, price FROM bronze.order WHERE "at" >= $interval_start AND "at" < $interval_end',
  columns: { id: 'long', placed_at: 'timestamp', price: 'long' },
} as const
const orderItemWithout = {
  sql: `SELECT id, placed_at, price FROM silver.item WHERE ${within}`,
  columns: { id: 'long', placed_at: 'timestamp', price: 'long' },
} as const

export const shapeScenarios: readonly LakeScenario[] = [
  {
    origins: [
      planned('test_plan_builder_additive_change_allow_permits_plan'),
      planned('test_plan_builder_additive_change_ignore_skips_validation'),
      planned('test_forward_only_plan_allow_additive_models'),
    ],
    says: 'A column may be added for new intervals only: older rows have nothing in it.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'plan', wish: { forwardOnly: true }, expect: [`gold.revenue ${week} accepted`] },
      { do: 'rewrite', wish: { forwardOnly: true }, expect: [] },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,8'] },
      { do: 'run' },
      { do: 'rows', sql: 'SELECT count(*), count(one) FROM gold.revenue', expect: ['8 1'] },
    ],
  },
  {
    origins: [
      planned('test_plan_builder_additive_change_error_blocks_plan'),
      planned('test_plan_builder_additive_change_warn_allows_plan'),
      planned('test_plan_builder_allow_additive_models_flag'),
      planned('test_plan_builder_allow_additive_models_pattern_matching'),
    ],
    says: 'Whether a column that is added for new intervals only is an error, a warning or allowed.',
    verdict: differs(
      'each model, or the plan, says which',
      'it is allowed: older rows have nothing there, and what the contract promises of it holds for rows built from then on',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': { ...revenueWithColumn, notNull: ['one'] } } },
      { do: 'plan', wish: { forwardOnly: true }, expect: [`gold.revenue ${week} accepted`] },
      { do: 'run', wish: { forwardOnly: true } },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,8'] },
      { do: 'run' },
      { do: 'rows', sql: 'SELECT count(*), count(one) FROM gold.revenue', expect: ['8 1'] },
    ],
  },
  {
    origins: [
      planned('test_forward_only_model_on_destructive_change'),
      planned('test_forward_only_plan_allow_destructive_models'),
      planned('test_plan_builder_mixed_destructive_and_additive_changes'),
    ],
    says: 'A column taken away for new intervals only.',
    verdict: differs(
      'it is refused unless it is allowed for the model, for its values would be lost',
      'it goes from what is read, and stays in files and in earlier snapshots: nothing is lost',
    ),
    steps: [
      { do: 'define', models: { 'silver.item': itemWithout, 'silver.order_item': orderItemWithout } },
      {
        do: 'plan',
        wish: { forwardOnly: true },
        expect: [`silver.item ${week} accepted`, `silver.order_item ${week} accepted`],
      },
      { do: 'rewrite', wish: { forwardOnly: true }, expect: [] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [planned('test_forward_only_model_on_destructive_change_no_column_types')],
    says: 'A type that old rows cannot follow.',
    verdict: differs(
      'where the types of columns are not known nothing is said',
      'a contract states every type: a narrower one is refused before anything is run',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueTyped } },
      { do: 'refuse', wish: { forwardOnly: true }, kind: 'contract/breaking-change' },
      { do: 'failed run', wish: { forwardOnly: true }, kind: 'contract/breaking-change' },
    ],
  },
  {
    origins: [planned('test_forward_only_plan_seed_models'), snapshot('test_fingerprint_seed_model')],
    says: 'A file with other contents is another delivery, also in a plan for new intervals only; what reads its rows follows.',
    verdict: agrees,
    steps: [
      { do: 'deliver', file: 'a', rows: firstOrders },
      { do: 'plan', expect: [] },
      { do: 'deliver', file: 'a', rows: [...firstOrders.slice(0, 6), '7,2023-01-07 10:00:00,tea,70'] },
      {
        do: 'rewrite',
        wish: { forwardOnly: true },
        expect: [
          'bronze.order whole',
          'silver.item 2023-01-07',
          'silver.order_item 2023-01-07',
          'gold.revenue 2023-01-07',
          'gold.best whole',
        ],
      },
    ],
  },
  {
    origins: [snapshot('test_categorize_change_seed')],
    says: 'How a changed file counts: rows added, taken away, changed.',
    verdict: differs(
      'a column added breaks nothing; rows that come, go or change break all readers',
      'rows are compared: what reads days that are as they were is not built; another column is an error until the contract says so',
    ),
    steps: [
      { do: 'deliver', file: 'a', rows: [...firstOrders.slice(1), '8,2023-01-05 11:00:00,tea,1'] },
      {
        do: 'rewrite',
        expect: [
          'bronze.order whole',
          'silver.item 2023-01-01',
          'silver.item 2023-01-05',
          'silver.order_item 2023-01-01',
          'silver.order_item 2023-01-05',
          'gold.revenue 2023-01-01',
          'gold.revenue 2023-01-05',
        ],
      },
    ],
  },
  {
    origins: [planned('test_effective_from'), snapshot('test_effective_from')],
    says: 'A change that holds from a day on: what is before stays, what is after is built by the new definition.',
    verdict: differs(
      'the day is stated with the change, and restated with the plan that accepts it',
      'two commands: accept the change for what there is, then restate from the day on',
    ),
    steps: [
      { do: 'define', models: { 'silver.item': { sql: itemFiltered.sql.replace('price > 1', 'price > 4') } } },
      { do: 'run', wish: { forwardOnly: true } },
      {
        do: 'plan',
        wish: { restate: ['silver.item'], range: ['2023-01-04', '2023-01-08'] },
        expect: [
          'silver.item 2023-01-04 … 2023-01-07 restated',
          'silver.order_item ≤ 2023-01-04 … 2023-01-07 input-changed',
          'gold.revenue ≤ 2023-01-04 … 2023-01-07 input-changed',
          'gold.best ≤ whole input-changed',
        ],
      },
      { do: 'run', wish: { restate: ['silver.item'], range: ['2023-01-04', '2023-01-08'] } },
      { do: 'rows', sql: "SELECT string_agg(price, ',' ORDER BY id) FROM silver.item", expect: ['1,2,3,5,6,7'] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [snapshot('test_missing_intervals_partial')],
    says: 'A day that goes on is built as far as it is, and again when more of it came.',
    verdict: agrees,
    steps: [
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 09:00:00,tea,8'] },
      { do: 'run' },
      { do: 'plan', expect: [] },
      { do: 'deliver', file: 'c', rows: ['9,2023-01-08 18:00:00,tea,1'] },
      {
        do: 'rewrite',
        expect: [
          'bronze.order whole',
          'silver.item 2023-01-08',
          'silver.order_item 2023-01-08',
          'gold.revenue 2023-01-08',
          'gold.best whole',
        ],
      },
    ],
  },
  {
    origins: [
      snapshot('test_get_removal_intervals_full_history_restatement_model'),
      snapshot('test_get_removal_intervals_warns_when_requested_range_automatically_widened'),
    ],
    says: 'A range of a model that can only be built whole.',
    verdict: agrees,
    steps: [
      {
        do: 'plan',
        wish: { restate: ['gold.best'], range: ['2023-01-03', '2023-01-04'] },
        expect: ['gold.best whole restated'],
      },
    ],
  },
  {
    origins: [snapshot('test_earliest_start_date'), snapshot('test_missing_intervals_start_override_per_model')],
    says: 'From when a model is built that states no start, and one that states it.',
    verdict: differs(
      'from yesterday, unless it or the plan states a start',
      'from the first interval that rows of its inputs reach; from its start where it states one, empty intervals too',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': { start: '2022-12-30' } } },
      {
        do: 'plan',
        expect: [
          'gold.revenue 2022-12-30 … 2022-12-31 never-built',
          `gold.revenue ${week} definition-changed`,
          'gold.best ≤ whole input-changed',
        ],
      },
      { do: 'run' },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [snapshot('test_model_custom_interval_unit'), snapshot('test_multi_interval_merge')],
    says: 'A model is built by another unit from now on.',
    verdict: differs(
      'of what was built those intervals count that hold whole units of the new length',
      'the unit is part of the definition: all of it is built by the new one',
    ),
    steps: [
      {
        do: 'define',
        models: {
          'gold.revenue': {
            by: 'month',
            sql: `SELECT date_trunc('day', placed_at)::TIMESTAMP AS day, sum(price)::BIGINT AS revenue FROM silver.order_item WHERE ${within} GROUP BY ALL`,
          },
        },
      },
      {
        do: 'plan',
        expect: [
          'gold.revenue 2023-01 definition-changed',
          'gold.revenue 2023-01 never-built',
          'gold.best ≤ whole input-changed',
        ],
      },
      { do: 'run' },
      { do: 'plan', expect: [] },
    ],
  },
]
