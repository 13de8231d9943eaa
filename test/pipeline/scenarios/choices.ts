import type { DrawnModel } from '../../support/drawn-lake.ts'
import { agrees, change, differs, type LakeScenario, planned, snapshot } from './scenario.ts'
import { below, byHour, copyOf, itemFiltered, revenueWithColumn, week, within } from './shop.ts'

/**
 * Facts about how a change counts and who decides it, restated from tests of SQLMesh (github.com/TobikoData/sqlmesh,
 * `tests/core/test_plan.py`, `test_snapshot.py`, `integration/test_change_scenarios.py`; Apache-2.0), over a shop of our own.
 */

const dev = { env: 'dev' } as const
const filtered = `silver.item ${week} definition-changed`
const orderItemFiltered = {
  sql: `SELECT id, placed_at, item, price FROM silver.item WHERE ${within('placed_at')} AND price > 2`,
}
const revenue = (expression: string) => ({
  sql: `SELECT date_trunc('day', placed_at)::TIMESTAMP AS day, ${expression}::BIGINT AS revenue FROM silver.order_item WHERE ${within('placed_at')} GROUP BY ALL`,
})
/** Every row is as it was. */
const itemSame = { sql: itemFiltered.sql.replace('price > 1', 'price > 0') }
/** Prices of items and of what reads them, as one type or another. */
const priced = (type: 'int' | 'long'): Readonly<Record<string, DrawnModel>> => {
  const model = (name: string, from: string): DrawnModel => ({
    name,
    by: 'day',
    at: 'placed_at',
    sql: `SELECT id, placed_at, price::${type === 'int' ? 'INT' : 'BIGINT'} AS price FROM ${from} WHERE ${within('placed_at')}`,
    columns: { id: 'long', placed_at: 'timestamp', price: type },
    edges: { [from]: { reads: { kind: 'same' } } },
  })
  return { 'silver.price': model('silver.price', 'silver.item'), 'silver.paid': model('silver.paid', 'silver.price') }
}

export const choiceScenarios: readonly LakeScenario[] = [
  {
    origins: [planned('test_revert_to_previous_value')],
    says: 'A model goes back to what it was, while another that it reads is changed.',
    verdict: differs(
      'its earlier version comes back as it was built and as it counted then',
      'its rows were replaced: it is built again by what is said now, once, for both reasons',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenue('max(price)') } },
      { do: 'run' },
      { do: 'define', models: { 'gold.revenue': revenue('sum(price)'), 'silver.item': itemFiltered } },
      {
        do: 'plan',
        expect: [
          filtered,
          below[0] ?? '',
          `gold.revenue ${week} definition-changed`,
          'gold.best ≤ whole input-changed',
        ],
      },
      { do: 'run' },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [change('test_no_override')],
    says: 'The types of a column of two models are widened, and one of the changes is said to break and the other not to.',
    verdict: differs(
      'a reader is built again if the one above all is said to break, whatever is said of the other',
      'nobody says anything: both are built, no value differs, and the reader is left as it is',
    ),
    steps: [
      {
        do: 'define',
        models: {
          ...priced('int'),
          'gold.paid': {
            name: 'gold.paid',
            by: 'whole',
            sql: 'SELECT sum(price)::BIGINT AS paid FROM silver.paid',
            columns: { paid: 'long' },
            edges: { 'silver.paid': { reads: { kind: 'all' } } },
          },
        },
      },
      { do: 'run' },
      { do: 'define', models: priced('long') },
      { do: 'rewrite', expect: [`silver.price ${week}`, `silver.paid ${week}`] },
      { do: 'plan', expect: [] },
    ],
  },
  {
    origins: [planned('test_set_choice_for_forward_only_model')],
    says: 'A change for new intervals only of which somebody says that it breaks.',
    verdict: differs(
      'it is noted as breaking, and stays one for new intervals only',
      'what is to follow it is named: the change is accepted, and the reader restated, by one command each',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenue('max(price)') } },
      { do: 'plan', wish: { forwardOnly: true }, expect: [`gold.revenue ${week} accepted`] },
      { do: 'rewrite', wish: { forwardOnly: true }, expect: [] },
      { do: 'plan', wish: { restate: ['gold.best'] }, expect: ['gold.best whole restated'] },
    ],
  },
  {
    origins: [planned('test_user_provided_flags')],
    says: 'What was asked for is on record with what was done.',
    verdict: differs(
      'the options of the command, on the plan',
      'why each range was built, in the ledger, in the commit that published it',
    ),
    steps: [
      { do: 'run', wish: { restate: ['gold.revenue'], range: ['2023-01-03', '2023-01-04'] } },
      {
        do: 'rows',
        sql: "SELECT outcome, reason FROM limn.run WHERE dataset = 'gold.revenue' ORDER BY seq DESC LIMIT 1",
        expect: ['kept restated: asked for'],
      },
    ],
  },
  {
    origins: [planned('test_paused_forward_only_parent')],
    says: 'Below a change for new intervals only that production does not have yet, a change without that word counts for all intervals.',
    verdict: agrees,
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: { ...dev, forwardOnly: true } },
      { do: 'define', models: { 'silver.order_item': orderItemFiltered } },
      { do: 'plan', wish: dev, expect: [`silver.order_item ${week} definition-changed`, ...below.slice(1)] },
    ],
  },
  {
    origins: [snapshot('test_has_paused_forward_only')],
    says: 'A change for new intervals only waits for production until production accepts it.',
    verdict: agrees,
    steps: [
      { do: 'plan', wish: { forwardOnly: true }, expect: [] },
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      { do: 'run', wish: { ...dev, forwardOnly: true } },
      { do: 'plan', wish: { ...dev, forwardOnly: true }, expect: [] },
      { do: 'plan', wish: { forwardOnly: true }, expect: [`silver.item ${week} accepted`] },
      { do: 'run', wish: { forwardOnly: true } },
      { do: 'plan', wish: { forwardOnly: true }, expect: [] },
    ],
  },
  {
    origins: [snapshot('test_physical_version_pin_for_new_forward_only_models')],
    says: 'A model whose changes are for new intervals only, until it says otherwise.',
    verdict: differs(
      'a property of the model: its table is kept from change to change, and given up when the property is',
      'a word said with each plan: what was accepted stays accepted, and a change without the word is for all intervals',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenue('max(price)') } },
      { do: 'rewrite', wish: { forwardOnly: true }, expect: [] },
      { do: 'define', models: { 'gold.revenue': revenue('min(price)') } },
      { do: 'rewrite', wish: { forwardOnly: true }, expect: [] },
      { do: 'plan', expect: [] },
      { do: 'define', models: { 'gold.revenue': revenue('count(*)') } },
      { do: 'plan', expect: [`gold.revenue ${week} definition-changed`, 'gold.best ≤ whole input-changed'] },
    ],
  },
  {
    origins: [planned('test_indirectly_modified_forward_only_model')],
    says: 'A changed model, those that it reaches through others, and one of them whose changes are for new intervals only.',
    verdict: differs(
      'the one counts as reached and is not built again for earlier intervals',
      'the word is said of a plan and of changed definitions: what reads changed rows follows them',
    ),
    steps: [
      {
        do: 'define',
        models: {
          'gold.both': {
            name: 'gold.both',
            by: 'day',
            sql: `SELECT date_trunc('day', i.placed_at)::TIMESTAMP AS day, sum(i.price + o.price)::BIGINT AS both FROM silver.item AS i JOIN silver.order_item AS o USING (id)
              WHERE ${within('i.placed_at')} GROUP BY ALL`,
            columns: { day: 'timestamp', both: 'long' },
            edges: { 'silver.item': { reads: { kind: 'same' } }, 'silver.order_item': { reads: { kind: 'same' } } },
          },
        },
      },
      { do: 'run' },
      { do: 'define', models: { 'silver.item': itemFiltered } },
      {
        do: 'causes',
        expect: [
          'silver.item: its definition',
          'silver.order_item: silver.item',
          'gold.both: silver.item',
          'gold.revenue: silver.order_item',
          'gold.best: gold.revenue',
        ],
      },
    ],
  },
  {
    origins: [change('test_breaking_only_impacts_immediate_children')],
    says: 'Below a change that breaks stands a model to which a column was added.',
    verdict: differs(
      'what reads that one is not built again, though its rows may be others: its own change broke nothing',
      'rows decide: it is built again when the rows that it reads came out otherwise, and only then',
    ),
    steps: [
      { do: 'create', env: 'dev' },
      { do: 'define', models: { 'silver.item': itemSame, 'gold.revenue': revenueWithColumn } },
      { do: 'rewrite', wish: dev, expect: [`gold.revenue ${week}`] },
      { do: 'plan', wish: dev, expect: [] },
      { do: 'promote', ...dev, expect: 'published' },
      { do: 'plan', expect: [] },
      { do: 'define', models: { 'silver.item': { sql: itemSame.sql.replace('price > 0', 'price < 7') } } },
      {
        do: 'rewrite',
        expect: [
          'silver.item 2023-01-07',
          'silver.order_item 2023-01-07',
          'gold.revenue 2023-01-07',
          'gold.best whole',
        ],
      },
    ],
  },
  {
    origins: [snapshot('test_fingerprint_jinja_macros'), snapshot('test_fingerprint_jinja_macros_global_objs')],
    says: 'A part that several queries share is changed.',
    verdict: differs(
      'any change of a macro, or of a value that macros see, makes another version of all that may use it',
      'the query that comes out counts: where the part means the same, or is not used, nothing is to be built',
    ),
    steps: [
      { do: 'define', models: { 'gold.revenue': revenue('(SELECT sum(x) FROM unnest(list(price)) AS u(x))') } },
      { do: 'run' },
      { do: 'define', models: { 'gold.revenue': revenue('(select sum( x ) from unnest(list(price)) as u(x))') } },
      { do: 'plan', expect: [] },
      { do: 'define', models: { 'gold.revenue': revenue('(SELECT max(x) FROM unnest(list(price)) AS u(x))') } },
      { do: 'plan', expect: [`gold.revenue ${week} definition-changed`, 'gold.best ≤ whole input-changed'] },
    ],
  },
  {
    origins: [snapshot('test_external_model_audits')],
    says: 'What comes from outside is judged like what is built here.',
    verdict: agrees,
    steps: [
      { do: 'source', change: { mustHold: 'price < 100' } },
      { do: 'plan', expect: ['bronze.order whole checks-changed'] },
      { do: 'run' },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,100'] },
      { do: 'refused run' },
      { do: 'rows', sql: 'SELECT count(*) FROM silver.item', expect: ['7'] },
    ],
  },
  {
    origins: [planned('test_broken_references_external_model')],
    says: 'A model reads a table that the project does not speak of.',
    verdict: differs(
      'it may: nothing is known of it, and nothing follows its changes',
      'a table outside is a source of its own (`iceberg(…)`): what is read is pinned, and its changes are followed',
    ),
    steps: [
      { do: 'define', models: { 'gold.outside': copyOf('gold.outside', 'raw.outside', 'amount') } },
      { do: 'refuse', kind: 'dataset/unknown-reference' },
    ],
  },
  {
    origins: [snapshot('test_partitioned_by_roundtrip')],
    says: 'A partitioning by value, bucket, prefix and time is remembered as it was said.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'silver.hour': byHour,
          'silver.kept': {
            name: 'silver.kept',
            by: 'day',
            at: 'placed_at',
            sql: `SELECT id, placed_at, item, price FROM silver.item WHERE ${within('placed_at')}`,
            columns: { id: 'long', placed_at: 'timestamp', item: 'string', price: 'long' },
            edges: { 'silver.item': { reads: { kind: 'same' } } },
            partition: ['day(placed_at)', 'price', 'bucket(4, id)', 'truncate(3, item)'],
          },
        },
      },
      { do: 'run' },
      { do: 'plan', expect: [] },
      { do: 'rows', sql: 'SELECT count(*), sum(price) FROM silver.kept', expect: ['7 28'] },
      {
        do: 'define',
        models: { 'silver.kept': { partition: ['day(placed_at)', 'price', 'bucket(8, id)', 'truncate(3, item)'] } },
      },
      { do: 'plan', expect: [`silver.kept ${week} contract-changed`] },
    ],
  },
]
