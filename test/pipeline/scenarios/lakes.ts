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
 * Facts restated from tests of SQLMesh (github.com/TobikoData/sqlmesh, `tests/core/test_plan.py`, `test_snapshot.py`,
 * `integration/test_change_scenarios.py`, `integration/test_restatement.py`; Apache-2.0), over a shop of our own.
 */

export const lakeScenarios: readonly LakeScenario[] = [
  {
    origins: [change('test_model_add'), planned('test_start_inference')],
    says: 'A model that is added is built from the first day its inputs have; those that are complete are not planned.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.by_month': revenueByMonth } },
      { do: 'plan', expect: ['gold.by_month 2023-01 never-built'] },
      { do: 'run' },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_model_removed')],
    says: 'A model that nobody reads is taken away: nothing is to be built.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.best': null } },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_non_breaking_change'), change('test_auto_categorization')],
    says: 'A column added upstream rebuilds the model it was added to, and nothing that reads it.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.item': itemWithColumn } },
      { do: 'plan', expect: [`silver.item ${week} definition-changed`] },
      { do: 'rewrite', expect: [`silver.item ${week}`] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_breaking_change')],
    says: 'A changed filter reaches everything downstream.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'plan', expect: [`silver.item ${week} definition-changed`, ...below] },
    ],
  },
  {
    origins: [change('test_model_kind_change')],
    says: 'A model that is built in another way is built anew, all of it.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'gold.revenue': {
            by: 'whole',
            sql: "SELECT date_trunc('day', placed_at)::TIMESTAMP AS day, sum(price)::BIGINT AS revenue FROM silver.order_item GROUP BY ALL",
            edges: { 'silver.order_item': { reads: { kind: 'all' } } },
          },
        },
      },
      { do: 'plan', expect: ['gold.revenue whole definition-changed', 'gold.best ≤ whole input-changed'] },
      { do: 'run' },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_revert'), change('test_logical_change')],
    says: 'A definition goes back to what it was.',
    verdict: differs(
      'nothing is to be built: the table of the earlier version is still there',
      'a dataset is one table, whose rows of the earlier definition were replaced; they are built again, and what reads them only where rows differ',
    ),
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run' },
      { do: 'define', models: { 'silver.item': { sql: itemFiltered.sql.replace(' AND price > 1', '') } } },
      { do: 'plan', expect: [`silver.item ${week} definition-changed`, ...below] },
      { do: 'rewrite', expect: ['silver.item 2023-01-01', 'silver.order_item 2023-01-01', 'gold.revenue 2023-01-01'] },
    ],
  },
  {
    origins: [change('test_revert_after_downstream_change')],
    says: 'When a reader has changed meanwhile, going back is work to be done.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run' },
      { do: 'define', models: { 'silver.item': { sql: itemFiltered.sql.replace(' AND price > 1', '') } } },
      { do: 'plan', expect: [`silver.item ${week} definition-changed`, ...below] },
    ],
  },
  {
    origins: [
      change('test_indirect_non_breaking_change_after_forward_only_in_dev'),
      planned('test_forward_only_models'),
      planned('test_forward_only_plan_sets_version'),
    ],
    says: 'A change for new intervals only asks for no work; columns added afterwards rebuild the model they were added to.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'plan', wish: { forwardOnly: true }, expect: [`silver.item ${week} accepted`] },
      { do: 'rewrite', wish: { forwardOnly: true }, expect: [] },
      { do: 'plan', expect: [] },
      {
        do: 'define',
        models: {
          'gold.best': {
            sql: 'SELECT max(revenue) AS revenue, 1 AS one FROM gold.revenue',
            columns: { revenue: 'long', one: 'int' },
          },
        },
      },
      { do: 'plan', expect: ['gold.best whole definition-changed'] },
      { do: 'run' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'plan', expect: [`gold.revenue ${week} definition-changed`] },
      { do: 'rewrite', expect: [`gold.revenue ${week}`] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [
      planned('test_forward_only_plan_added_models'),
      planned('test_added_forward_only_model'),
      planned('test_added_model_with_forward_only_parent'),
    ],
    says: 'A model added beside a change for new intervals only is built all the same.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueWithColumn, 'gold.by_month': revenueByMonth } },
      {
        do: 'plan',
        wish: { forwardOnly: true },
        expect: [`gold.revenue ${week} accepted`, 'gold.by_month 2023-01 never-built'],
      },
    ],
  },
  {
    origins: [
      planned('test_forward_only_plan_categorizes_change_model_kind_as_breaking'),
      planned('test_forward_only_models_model_kind_changed'),
    ],
    says: 'A model built in another way cannot be a change for new intervals only: it is built anew.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'gold.revenue': {
            by: 'whole',
            sql: "SELECT date_trunc('day', placed_at)::TIMESTAMP AS day, sum(price)::BIGINT AS revenue FROM silver.order_item GROUP BY ALL",
            edges: { 'silver.order_item': { reads: { kind: 'all' } } },
          },
        },
      },
      {
        do: 'plan',
        wish: { forwardOnly: true },
        expect: ['gold.revenue whole definition-changed', 'gold.best ≤ whole input-changed'],
      },
    ],
  },
  {
    origins: [planned('test_forward_only_models_model_kind_changed_to_incremental_by_time_range')],
    says: 'Nor can one that is built by interval from now on.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'gold.best': {
            by: 'day',
            sql: 'SELECT day, revenue FROM gold.revenue WHERE day >= $interval_start AND day < $interval_end',
            columns: { day: 'timestamp', revenue: 'long' },
            edges: { 'gold.revenue': { reads: { kind: 'same' } } },
          },
        },
      },
      { do: 'plan', wish: { forwardOnly: true }, expect: [`gold.best ${week} never-built`] },
    ],
  },
  {
    origins: [
      change('test_no_backfill_for_model_downstream_of_metadata_change'),
      planned('test_metadata_change'),
      planned('test_forward_only_metadata_change_dev'),
      snapshot('test_fingerprint_virtual_properties'),
    ],
    says: 'Another owner, label or description rebuilds nothing, here or downstream.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.item': { owner: 'somebody else', doc: 'Other words.', tags: ['daily'] } } },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [
      change('test_plan_set_choice_is_reflected_in_missing_intervals'),
      planned('test_categorized_uncategorized'),
    ],
    says: 'A column added is non-breaking unless a person says that it breaks.',
    verdict: differs(
      'a person may say that it breaks, and readers are rebuilt',
      'nobody is asked: rows decide, and readers can be named with --restate',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'plan', expect: [`gold.revenue ${week} definition-changed`] },
      { do: 'rewrite', expect: [`gold.revenue ${week}`] },
      { do: 'plan', wish: { restate: ['gold.best'] }, expect: ['gold.best whole restated'] },
    ],
  },
  {
    origins: [change('test_full_model_change_with_plan_start_not_matching_model_start')],
    says: 'A model built whole is built whole, whatever range is asked for.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.best': { sql: 'SELECT min(revenue) AS revenue FROM gold.revenue' } } },
      { do: 'plan', wish: { range: ['2023-01-07', '2023-01-08'] }, expect: ['gold.best whole definition-changed'] },
      { do: 'rewrite', wish: { range: ['2023-01-07', '2023-01-08'] }, expect: ['gold.best whole'] },
    ],
  },
  {
    origins: [change('test_hourly_model_with_lookback_no_backfill_in_dev'), planned('test_missing_intervals_lookback')],
    says: 'A model that reads back in time is not built again because a reader of it changed, nor because time passed.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'gold.revenue': {
            sql: `SELECT $interval_start::TIMESTAMP AS day, sum(price)::BIGINT AS revenue FROM silver.order_item
              WHERE placed_at >= $interval_start - INTERVAL 1 DAY AND placed_at < $interval_end HAVING count(*) > 0`,
            edges: { 'silver.order_item': { reads: { kind: 'shift', before: 86_400_000_000, after: 0 } } },
          },
        },
      },
      { do: 'run' },
      { do: 'plan', expect: [] },
      {
        do: 'define',
        models: {
          'gold.best': {
            sql: 'SELECT max(revenue) AS revenue, 1 AS one FROM gold.revenue',
            columns: { revenue: 'long', one: 'int' },
          },
        },
      },
      { do: 'plan', expect: ['gold.best whole definition-changed'] },
    ],
  },
  {
    origins: [
      snapshot('test_lookback'),
      snapshot('test_lookback_custom_materialization'),
      snapshot('test_missing_intervals_end_bounded_with_lookback'),
      snapshot('test_missing_intervals_past_end_date_with_lookback'),
    ],
    says: 'What a model that reads back in time builds again when a day is added.',
    verdict: differs(
      'the last days within the lookback are built again with every new day, whether or not rows came',
      'an interval is built again when rows that it reads differ: the new day reaches the day after it, and no day before',
    ),
    steps: [
      {
        do: 'define',
        models: {
          'gold.revenue': {
            sql: `SELECT $interval_start::TIMESTAMP AS day, sum(price)::BIGINT AS revenue FROM silver.order_item
              WHERE placed_at >= $interval_start - INTERVAL 1 DAY AND placed_at < $interval_end HAVING count(*) > 0`,
            edges: { 'silver.order_item': { reads: { kind: 'shift', before: 86_400_000_000, after: 0 } } },
          },
        },
      },
      { do: 'run' },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,8'] },
      {
        do: 'rewrite',
        expect: [
          'bronze.order whole',
          'silver.item 2023-01-08',
          'silver.order_item 2023-01-08',
          'gold.revenue 2023-01-08 … 2023-01-09',
          'gold.best whole',
        ],
      },
    ],
  },
  {
    origins: [
      change('test_max_interval_end_per_model_not_applied_when_end_is_provided'),
      planned('test_restatement_intervals_after_updating_start'),
    ],
    says: 'A restatement covers the range that is asked for, and all of it when none is.',
    verdict: agrees,
    steps: [
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'] },
        expect: [`gold.revenue ${week} restated`, 'gold.best ≤ whole input-changed'],
      },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'], range: ['2023-01-06', '2023-01-08'] },
        expect: ['gold.revenue 2023-01-06 … 2023-01-07 restated', 'gold.best ≤ whole input-changed'],
      },
    ],
  },
  {
    origins: [change('test_plan_twice_with_star_macro_yields_no_diff')],
    says: 'A model that takes all columns of another has nothing to do when nothing changed.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'silver.order_item': {
            sql: 'SELECT * FROM silver.item WHERE placed_at >= $interval_start AND placed_at < $interval_end',
          },
        },
      },
      { do: 'rewrite', expect: [] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [planned('test_auto_categorization_missing_schema_downstream')],
    says: 'Where it cannot be told what a star takes, an added column counts as read.',
    verdict: differs(
      'the reader is rebuilt, because the columns of what it reads are not known',
      'a contract states the columns of every dataset: what a star takes is always known',
    ),
    steps: [
      {
        do: 'define',
        models: { 'gold.best': { sql: 'SELECT max(revenue) AS revenue FROM (SELECT * FROM gold.revenue)' } },
      },
      { do: 'run' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'plan', expect: [`gold.revenue ${week} definition-changed`] },
    ],
  },
  {
    origins: [planned('test_restate_models'), planned('test_restate_models_with_existing_missing_intervals')],
    says: 'What is restated is planned with all that reads it, whether or not some of it was missing; a name that is none is an error.',
    verdict: agrees,
    steps: [
      {
        do: 'plan',
        wish: { restate: ['silver.order_item'] },
        expect: [`silver.order_item ${week} restated`, ...below.slice(1)],
      },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,8'] },
      { do: 'run', wish: { select: ['bronze.order', 'silver.item', 'silver.order_item'] } },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'] },
        expect: ['gold.revenue 2023-01-01 … 2023-01-08 restated', 'gold.best ≤ whole input-changed'],
      },
      { do: 'refuse', wish: { restate: ['gold.unknown'] }, kind: 'usage/unknown-dataset' },
    ],
  },
  {
    origins: [planned('test_restate_missing_model')],
    says: 'A model that does not exist cannot be restated.',
    verdict: agrees,
    steps: [{ do: 'refuse', wish: { restate: ['gold.missing'] }, kind: 'usage/unknown-dataset' }],
  },
  {
    origins: [
      planned('test_restate_daily_to_monthly'),
      restatement('test_restatement_plan_hourly_with_downstream_daily_restates_correct_intervals'),
    ],
    says: 'What is restated is widened to whole intervals of what reads it.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: { 'gold.by_month': revenueByMonth, 'silver.hour': byHour, 'gold.day_of_hours': ofHours },
      },
      { do: 'run' },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'], range: ['2023-01-03', '2023-01-05'] },
        expect: [
          'gold.revenue 2023-01-03 … 2023-01-04 restated',
          'gold.best ≤ whole input-changed',
          'gold.by_month ≤ 2023-01 input-changed',
        ],
      },
      {
        do: 'plan',
        wish: { restate: ['silver.hour'], range: ['2023-01-03T10:00', '2023-01-03T11:00'] },
        expect: ['silver.hour 2023-01-03T10:00 restated', 'gold.day_of_hours ≤ 2023-01-03 input-changed'],
      },
    ],
  },
  {
    origins: [restatement('test_restatement_plan_ignores_changes')],
    says: 'A restatement plans what it names and what reads it, and no change elsewhere.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'plan', wish: { restate: ['gold.best'] }, expect: ['gold.best whole restated'] },
    ],
  },
  {
    origins: [restatement('test_restatement_of_full_model_with_start')],
    says: 'A model built whole is restated whole; what reads it by day, from the start of the range.',
    verdict: differs(
      'the reader is restated from the start of the range',
      'the reader reads all of it: any of its days may change, and those whose rows do are found when it is built',
    ),
    steps: [
      {
        do: 'define',
        models: {
          'silver.price': {
            name: 'silver.price',
            by: 'whole',
            sql: 'SELECT item, max(price) AS price FROM silver.item GROUP BY ALL',
            columns: { item: 'string', price: 'long' },
            edges: { 'silver.item': { reads: { kind: 'all' } } },
          },
          'silver.order_item': {
            sql: 'SELECT i.id, i.placed_at, i.item, p.price FROM silver.item AS i JOIN silver.price AS p USING (item) WHERE i.placed_at >= $interval_start AND i.placed_at < $interval_end',
            edges: { 'silver.item': { reads: { kind: 'same' } }, 'silver.price': { reads: { kind: 'all' } } },
          },
        },
      },
      { do: 'run' },
      {
        do: 'plan',
        wish: { restate: ['silver.price'], range: ['2023-01-07', '2023-01-08'] },
        expect: [
          'silver.price whole restated',
          'silver.order_item ≤ any input-changed',
          'gold.revenue ≤ any input-changed',
          'gold.best ≤ whole input-changed',
        ],
      },
      { do: 'rewrite', wish: { restate: ['silver.price'], range: ['2023-01-07', '2023-01-08'] }, expect: [] },
    ],
  },
  {
    origins: [restatement('test_restatement_shouldnt_backfill_beyond_prod_intervals')],
    says: 'A restatement does not go beyond what was built.',
    verdict: differs(
      'days not built yet are left to the next run',
      'what is missing of a dataset that is built anyway is built with it; --to leaves it out',
    ),
    steps: [
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,8'] },
      { do: 'run', wish: { select: ['bronze.order', 'silver.item', 'silver.order_item'] } },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'] },
        expect: ['gold.revenue 2023-01-01 … 2023-01-08 restated', 'gold.best ≤ whole input-changed'],
      },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'], range: ['2023-01-01', '2023-01-08'] },
        expect: [`gold.revenue ${week} restated`, 'gold.best ≤ whole input-changed'],
      },
    ],
  },
  {
    origins: [restatement('test_restatement_plan_outside_parent_date_range')],
    says: 'A day before its inputs begin can be restated.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'silver.item': { start: '2023-01-06' },
          'silver.order_item': { start: '2023-01-06' },
          'gold.revenue': { start: '2023-01-01' },
        },
      },
      { do: 'run' },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'], range: ['2023-01-01', '2023-01-02'] },
        expect: ['gold.revenue 2023-01-01 restated', 'gold.best ≤ whole input-changed'],
      },
      { do: 'rewrite', wish: { restate: ['gold.revenue'], range: ['2023-01-01', '2023-01-02'] }, expect: [] },
    ],
  },
  {
    origins: [planned('test_restate_seed_model')],
    says: 'What was delivered cannot be restated.',
    verdict: differs(
      'the restatement is empty',
      'asking for it is an error that says what to do; a selection that does nothing is never silent',
    ),
    steps: [{ do: 'refuse', wish: { restate: ['bronze.order'] }, kind: 'usage/argument' }],
  },
  {
    origins: [planned('test_end_validation')],
    says: 'A range without a restatement.',
    verdict: differs(
      'it is refused where the published tables are planned',
      'a range narrows any plan; what it leaves out stays stale, and the next plan says so',
    ),
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      {
        do: 'plan',
        wish: { range: ['2023-01-02', '2023-01-03'] },
        expect: [
          'silver.item 2023-01-02 definition-changed',
          'silver.order_item ≤ 2023-01-02 input-changed',
          'gold.revenue ≤ 2023-01-02 input-changed',
          'gold.best ≤ whole input-changed',
        ],
      },
      { do: 'run', wish: { range: ['2023-01-02', '2023-01-03'] } },
      {
        do: 'plan',
        wish: { select: ['silver.item'] },
        expect: ['silver.item 2023-01-01 definition-changed', 'silver.item 2023-01-03 … 2023-01-07 definition-changed'],
      },
    ],
  },
  {
    origins: [planned('test_broken_references')],
    says: 'A model that others read cannot be taken away.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.order_item': null } },
      { do: 'refuse', kind: 'dataset/unknown-reference' },
    ],
  },
  {
    origins: [planned('test_models_selected_for_backfill')],
    says: 'Asking for one model plans what it reads and is not built.',
    verdict: differs(
      'what it reads is planned with it',
      'a selection is what it says: +gold.revenue asks for what it reads too',
    ),
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'plan', wish: { select: ['gold.revenue'] }, expect: [] },
      {
        do: 'plan',
        wish: { select: ['+gold.revenue'] },
        expect: [`silver.item ${week} definition-changed`, ...below.slice(0, 2)],
      },
    ],
  },
  {
    origins: [snapshot('test_missing_intervals')],
    says: 'Days missing within and beyond what was built are named, whole days, and no other.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'gold.by_month': {
            ...revenueByMonth,
            name: 'gold.copy',
            by: 'day',
            at: 'day',
            sql: 'SELECT day, revenue FROM gold.revenue WHERE day >= $interval_start AND day < $interval_end',
            columns: { day: 'timestamp', revenue: 'long' },
          },
        },
      },
      { do: 'run', wish: { range: ['2023-01-01', '2023-01-02'] } },
      { do: 'run', wish: { range: ['2023-01-03', '2023-01-06'] } },
      { do: 'plan', wish: { range: ['2023-01-01', '2023-01-02'] }, expect: [] },
      { do: 'plan', wish: { range: ['2023-01-01', '2023-01-04'] }, expect: ['gold.copy 2023-01-02 gap'] },
      { do: 'plan', expect: ['gold.copy 2023-01-02 gap', 'gold.copy 2023-01-06 … 2023-01-07 never-built'] },
    ],
  },
  {
    origins: [snapshot('test_missing_intervals_node_start_end')],
    says: 'A model has the days between its start and its end, whatever range is asked for.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.revenue': { start: '2023-01-03', end: '2023-01-04' } } },
      {
        do: 'define',
        models: {
          'gold.copy': {
            name: 'gold.copy',
            by: 'day',
            sql: 'SELECT day, revenue FROM gold.revenue WHERE day >= $interval_start AND day < $interval_end',
            columns: { day: 'timestamp', revenue: 'long' },
            edges: { 'gold.revenue': { reads: { kind: 'same' } } },
            start: '2023-01-03',
            end: '2023-01-04',
          },
        },
      },
      { do: 'run', wish: { select: ['gold.revenue'] } },
      { do: 'plan', wish: { select: ['gold.copy'] }, expect: ['gold.copy 2023-01-03 never-built'] },
      {
        do: 'plan',
        wish: { select: ['gold.copy'], range: ['2023-01-01', '2023-01-31'] },
        expect: ['gold.copy 2023-01-03 never-built'],
      },
      { do: 'plan', wish: { select: ['gold.copy'], range: ['2023-01-04', '2023-01-05'] }, expect: [] },
    ],
  },
  {
    origins: [snapshot('test_missing_interval_smaller_than_interval_unit'), snapshot('test_add_interval_partial')],
    says: 'A range smaller than an interval.',
    verdict: differs(
      'no interval lies within it, so nothing is built',
      'an interval that the range touches is built whole; a part is never built',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      {
        do: 'plan',
        wish: { range: ['2023-01-03T00:00:05', '2023-01-03T23:59:59'] },
        expect: ['gold.revenue 2023-01-03 definition-changed'],
      },
    ],
  },
  {
    origins: [snapshot('test_inclusive_exclusive_monthly'), snapshot('test_inclusive_exclusive_hourly')],
    says: 'A range is widened to whole intervals; a day is twenty-four hours.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.by_month': revenueByMonth, 'silver.hour': byHour } },
      { do: 'run' },
      {
        do: 'plan',
        wish: { restate: ['gold.by_month'], range: ['2023-01-05', '2023-01-06'] },
        expect: ['gold.by_month 2023-01 restated'],
      },
      {
        do: 'plan',
        wish: { restate: ['silver.hour'], range: ['2023-01-03', '2023-01-04'] },
        expect: ['silver.hour 2023-01-03T00:00 … 2023-01-03T23:00 restated'],
      },
    ],
  },
  {
    origins: [snapshot('test_seed_intervals'), planned('test_seed_model_metadata_change_no_missing_intervals')],
    says: 'A file that was delivered is not asked for again, whatever is said about it.',
    verdict: agrees,
    steps: [{ do: 'plan', expect: [] }],
  },
  {
    origins: [snapshot('test_fingerprint'), snapshot('test_stamp')],
    says: 'What makes a model another one.',
    verdict: differs(
      'its own query and that of all it reads, comments, and a stamp that forces it',
      'its own query, contract, producer and edges: what its inputs changed is told by their rows, comments mean nothing, and --restate forces',
    ),
    steps: [
      {
        do: 'define',
        models: { 'gold.best': { sql: 'SELECT max(revenue) AS revenue -- the best\nFROM gold.revenue' } },
      },
      { do: 'plan', expect: [] },
      { do: 'define', models: { 'gold.revenue': { keys: ['day'], notNull: ['day'] } } },
      { do: 'plan', expect: [`gold.revenue ${week} contract-changed`] },
      { do: 'rewrite', expect: [] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [snapshot('test_fingerprint_builtin_audits'), snapshot('test_fingerprint_standalone_audits')],
    says: 'Another check is noticed; it judges what is there, and nothing is built.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.revenue': { mustHold: 'revenue > 0' } } },
      { do: 'plan', expect: ['gold.revenue any checks-changed'] },
      { do: 'rewrite', expect: [] },
      { do: 'plan', expect: [] },
      { do: 'define', models: { 'gold.revenue': { mustHold: 'revenue IS NOT NULL' } } },
      { do: 'plan', expect: ['gold.revenue any checks-changed'] },
      { do: 'rewrite', expect: [] },
    ],
  },
]
