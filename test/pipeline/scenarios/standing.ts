import { agrees, change, differs, type LakeScenario, planned, restatement, snapshot } from './scenario.ts'
import { below, copyOf, firstOrders, itemFiltered, revenueByMonth, revenueWithColumn, week, within } from './shop.ts'

/**
 * Facts about what an environment or production stands on, what of it is published, and what becomes of it when a record or a table is
 * gone, restated from tests of SQLMesh (github.com/TobikoData/sqlmesh, `tests/core/test_plan.py`, `test_snapshot.py`,
 * `integration/test_change_scenarios.py`, `integration/test_restatement.py`; Apache-2.0), over a shop of our own.
 */

const dev = { env: 'dev' } as const
const filtered = `silver.item ${week} definition-changed`
const orderItemFiltered = {
  sql: `SELECT id, placed_at, item, price FROM silver.item WHERE ${within('placed_at')} AND price > 2`,
}
const changedOrder = firstOrders.map((row) => row.replace(/^2,(.*),2$/, '2,$1,20'))

export const standingScenarios: readonly LakeScenario[] = [
  {
    origins: [planned('test_plan_start_when_preview_enabled')],
    says: 'From when a model is built in an environment whose changes are for new intervals only.',
    verdict: differs(
      'from a day that is set for previews, whatever the model says',
      'one that is new from its first interval, as in production; one that is changed not at all; `limn dev` builds samples',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.copy': copyOf('gold.copy', 'gold.revenue', 'revenue') } },
      { do: 'rewrite', wish: { ...dev, forwardOnly: true }, expect: [`gold.copy ${week}`] },
      { do: 'define', models: { 'gold.copy': copyOf('gold.copy', 'gold.revenue', 'revenue + 1') } },
      { do: 'rewrite', wish: { ...dev, forwardOnly: true }, expect: [] },
    ],
  },
  {
    origins: [planned('test_unaligned_start_model_with_forward_only_preview')],
    says: 'In an environment a model is added below a change for new intervals only.',
    verdict: differs(
      'both are built there to look at, and neither is used in production',
      'the change is accepted, the model is built on what is there, and both are published as they are',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered, 'gold.by_month': revenueByMonth } },
      { do: 'rewrite', wish: { ...dev, forwardOnly: true }, expect: ['gold.by_month 2023-01'] },
      { do: 'promote', ...dev, expect: 'published' },
      { do: 'plan', expect: [] },
      { do: 'rows', sql: 'SELECT revenue FROM gold.by_month', expect: ['28'] },
    ],
  },
  {
    origins: [change('test_unaligned_start_snapshot_with_non_deployable_downstream')],
    says: 'In an environment a model is added, and one whose changes are for new intervals only is made to read it.',
    verdict: differs(
      'both are built there for the last day, to look at, and earlier days of the other stay',
      'the added one is built whole, as in production; the other stays as it is, its last day too, until the new input changes; `limn dev` builds samples',
    ),
    steps: [
      { do: 'define', models: { 'gold.copy': copyOf('gold.copy', 'gold.revenue', 'revenue') } },
      { do: 'run' },
      { do: 'create', env: 'dev' },
      {
        do: 'define',
        models: {
          'gold.other': {
            ...copyOf('gold.other', 'gold.revenue', '2 * revenue'),
            columns: { day: 'timestamp', value: 'long' },
          },
          'gold.copy': copyOf('gold.copy', 'gold.other', 'value'),
        },
      },
      {
        do: 'plan',
        wish: { ...dev, forwardOnly: true },
        expect: [`gold.other ${week} never-built`, `gold.copy ${week} accepted`],
      },
      {
        do: 'rewrite',
        wish: { ...dev, forwardOnly: true },
        expect: [`gold.other ${week}`],
      },
      { do: 'plan', wish: dev, expect: [] },
    ],
  },
  {
    origins: [snapshot('test_deployability_index_unpaused_forward_only')],
    says: 'On a change for new intervals only that production has, an environment builds what production can use.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: { forwardOnly: true } },
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: dev },
      { do: 'promote', ...dev, expect: 'published' },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [snapshot('test_deployability_index_uncategorized_forward_only_model')],
    says: 'A model is changed and not built yet, and what reads it is built in an environment.',
    verdict: differs(
      'what was built there is not used in production, as it is not known how the change counts',
      'it stands on the rows that production has, and is published; the change is still to be built, there as here',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered, 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: { ...dev, select: ['gold.revenue'] } },
      { do: 'promote', ...dev, expect: 'published' },
      { do: 'plan', expect: [filtered, ...below] },
    ],
  },
  {
    origins: [snapshot('test_deployability_index_missing_parent')],
    says: 'What stands on a model that is not there is not published.',
    verdict: differs(
      'it counts as not to be used in production',
      'the project is refused as a whole, before anything of it is looked at',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: { ...dev, forwardOnly: true } },
      { do: 'define', models: { 'silver.order_item': null } },
      { do: 'promote', ...dev, expect: 'dataset/unknown-reference' },
    ],
  },
  {
    origins: [restatement('test_prod_restatement_plan_includes_related_unpromoted_snapshots')],
    says: 'Models of an environment have gone through several definitions when production builds again what they read.',
    verdict: differs(
      'intervals of every version that ever was are cleared, those that no environment shows among them',
      'there is one version of each in the environment, and it stands on the production it was made from',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run', wish: dev },
      {
        do: 'define',
        models: {
          'gold.revenue': { sql: revenueWithColumn.sql.replace('1 AS one', '2 AS one') },
          'gold.by_month': revenueByMonth,
        },
      },
      { do: 'run', wish: dev },
      { do: 'define', models: { 'gold.copy': copyOf('gold.copy', 'gold.revenue', 'one') } },
      { do: 'run', wish: dev },
      { do: 'plan', wish: dev, expect: [] },
      { do: 'deliver', file: 'a', rows: changedOrder },
      { do: 'run', wish: { select: ['bronze.order', 'silver.item', 'silver.order_item'] } },
      { do: 'plan', wish: { ...dev, select: ['silver.item+'] }, expect: [] },
      { do: 'rows', sql: "SELECT value FROM gold.copy WHERE day = DATE '2023-01-02'", ...dev, expect: ['2'] },
    ],
  },
  {
    origins: [restatement('test_restatement_plan_interval_external_visibility')],
    says: 'While production restates, others see what was there; an environment that is made meanwhile stands on it.',
    verdict: differs(
      'the environment that was made meanwhile has its intervals cleared when the restatement is done',
      'it stands on the state it was made from until it is made anew; what overlaps is not promoted',
    ),
    steps: [
      { do: 'deliver', file: 'a', rows: changedOrder },
      {
        do: 'during',
        wish: {},
        steps: [
          { do: 'rows', sql: 'SELECT sum(revenue) FROM gold.revenue', expect: ['28'] },
          { do: 'create', env: 'late' },
          { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
          {
            do: 'plan',
            wish: { env: 'late', select: ['gold.revenue'] },
            expect: [`gold.revenue ${week} definition-changed`],
          },
          { do: 'run', wish: { env: 'late', select: ['gold.revenue'] } },
        ],
      },
      { do: 'rows', sql: 'SELECT sum(revenue) FROM gold.revenue', expect: ['46'] },
      { do: 'rows', sql: 'SELECT sum(revenue) FROM gold.revenue', env: 'late', expect: ['28'] },
      { do: 'promote', env: 'late', expect: 'environment/conflict' },
    ],
  },
  {
    origins: [change('test_plan_snapshot_table_exists_for_promoted_snapshot')],
    says: 'The table of a model was taken away by somebody else, past the planner: the next plan has it again.',
    verdict: agrees,
    steps: [
      { do: 'lose table', table: 'gold.revenue' },
      {
        do: 'plan',
        expect: [`gold.revenue ${week} never-built`, 'gold.best ≤ whole input-changed'],
      },
      { do: 'run' },
      { do: 'rows', sql: 'SELECT sum(revenue) FROM gold.revenue', expect: ['28'] },
      { do: 'plan', expect: [] },
      { do: 'lose table', table: 'bronze.order' },
      { do: 'run' },
      { do: 'rows', sql: 'SELECT count(*) FROM bronze.order', expect: ['7'] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_plan_repairs_unrenderable_snapshot_state')],
    says: 'What is recorded of a model beside its table cannot be read any more.',
    verdict: differs(
      'a new version of the model has to be made, which repairs the record',
      'nothing is to be repaired: the record is published with the rows, and what lies beside them is a cache',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run' },
      { do: 'lose state' },
      { do: 'plan', expect: [] },
      { do: 'define', models: { 'silver.order_item': orderItemFiltered } },
      { do: 'plan', expect: [`silver.order_item ${week} definition-changed`, ...below.slice(1)] },
      { do: 'run' },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_indirect_non_breaking_view_is_updated_with_new_table_references')],
    says: 'A view reads a model that was built anew, after what was there before is cleaned away.',
    verdict: agrees,
    steps: [
      { do: 'sql', sql: 'CREATE VIEW gold.top AS SELECT max(revenue) AS top FROM gold.revenue' },
      { do: 'define', models: { 'gold.revenue': revenueWithColumn } },
      { do: 'run' },
      { do: 'clean', table: 'gold.revenue' },
      { do: 'rows', sql: 'SELECT top FROM gold.top', expect: ['7'] },
    ],
  },
  {
    origins: [
      snapshot('test_qualified_view_name'),
      snapshot('test_display_name'),
      snapshot('test_table_name_virtual_environment_mode'),
    ],
    says: 'Under which names models of production and of an environment are read.',
    verdict: differs(
      'a suffix of the schema, the table or the catalog, as configured, on views over tables with names of their own',
      'production: the name of the model; an environment: that name there, and its name before the namespace elsewhere; no views between',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: { ...dev, select: ['silver.item'] } },
      { do: 'rows', sql: 'SELECT count(*) FROM silver.item', expect: ['7'] },
      { do: 'rows', sql: 'SELECT count(*) FROM dev__silver.item', expect: ['6'] },
      { do: 'rows', sql: 'SELECT count(*) FROM silver.item', ...dev, expect: ['6'] },
      { do: 'plan', expect: [filtered, ...below] },
    ],
  },
]
