import type { DrawnModel } from '../../support/drawn-lake.ts'
import { agrees, change, differs, type LakeScenario, planned, snapshot } from './scenario.ts'
import { copyOf, week } from './shop.ts'

/**
 * Facts about models that read themselves, restated from tests of SQLMesh (github.com/TobikoData/sqlmesh, `tests/core/test_plan.py`,
 * `test_snapshot.py`, `integration/test_change_scenarios.py`; Apache-2.0), over a shop of our own.
 */

/** What was earned until the end of each day. */
const balance: DrawnModel = {
  name: 'gold.balance',
  by: 'day',
  sql: `SELECT $interval_start::TIMESTAMP AS day, (coalesce((SELECT max_by(balance, day) FROM gold.balance), 0)
    + coalesce((SELECT sum(revenue) FROM gold.revenue WHERE day >= $interval_start AND day < $interval_end), 0))::BIGINT AS balance`,
  columns: { day: 'timestamp', balance: 'long' },
  edges: {
    'gold.revenue': { reads: { kind: 'same' } },
    'gold.balance': { reads: { kind: 'earlier', back: { count: 1, unit: 'day' } } },
  },
}
const chain = {
  'gold.balance': balance,
  'gold.high': copyOf('gold.high', 'gold.balance', 'balance'),
  'gold.copy': copyOf('gold.copy', 'gold.revenue', 'revenue'),
}
const firstDay: readonly [string, string] = ['2023-01-01', '2023-01-02']
const fromThird: readonly [string, string] = ['2023-01-03', '2023-01-08']
const dev = { env: 'dev' } as const
const balances = 'SELECT balance FROM gold.balance ORDER BY day'

export const itselfScenarios: readonly LakeScenario[] = [
  {
    origins: [planned('test_add_restatements')],
    says: 'A day that is restated above or in a model that reads itself reaches all later days of it and of what reads it, and of nothing else.',
    verdict: agrees,
    steps: [
      { do: 'define', models: chain },
      { do: 'run' },
      {
        do: 'plan',
        wish: { restate: ['gold.revenue'], range: firstDay },
        expect: [
          'gold.revenue 2023-01-01 restated',
          'gold.balance ≤ 2023-01-01 input-changed',
          'gold.balance ≤ 2023-01-02 … 2023-01-07 reads-itself',
          'gold.best ≤ whole input-changed',
          'gold.copy ≤ 2023-01-01 input-changed',
          `gold.high ≤ ${week} input-changed`,
        ],
      },
      {
        do: 'plan',
        wish: { restate: ['gold.balance', 'gold.copy'], range: firstDay },
        expect: [
          'gold.balance 2023-01-01 restated',
          'gold.balance ≤ 2023-01-02 … 2023-01-07 reads-itself',
          'gold.copy 2023-01-01 restated',
          `gold.high ≤ ${week} input-changed`,
        ],
      },
      { do: 'plan', wish: { restate: ['gold.high'], range: firstDay }, expect: ['gold.high 2023-01-01 restated'] },
    ],
  },
  {
    origins: [snapshot('test_incremental_time_self_reference')],
    says: 'What is taken away from a day of a model that reads itself leaves all later days to be built, and no earlier one.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.balance': balance } },
      { do: 'run' },
      {
        do: 'plan',
        wish: { restate: ['gold.balance'], range: ['2023-01-05', '2023-01-06'] },
        expect: ['gold.balance 2023-01-05 restated', 'gold.balance ≤ 2023-01-06 … 2023-01-07 reads-itself'],
      },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-05 11:00:00,tea,100'] },
      { do: 'run', wish: { select: ['+gold.revenue'] } },
      { do: 'rewrite', wish: { select: ['gold.balance'] }, expect: ['gold.balance 2023-01-05 … 2023-01-07'] },
      { do: 'rows', sql: balances, expect: ['1', '3', '6', '10', '115', '121', '128'] },
    ],
  },
  {
    origins: [planned('test_dev_plan_depends_past_non_deployable')],
    says: 'A model that reads itself and is changed, one added that reads it, and one that has nothing to do with it: all of them from the start.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.balance': balance } },
      { do: 'run' },
      { do: 'create', env: 'dev' },
      {
        do: 'define',
        models: {
          ...chain,
          'gold.balance': { ...balance, sql: balance.sql.replace('sum(revenue)', '2 * sum(revenue)') },
        },
      },
      {
        do: 'plan',
        wish: dev,
        expect: [
          `gold.balance ${week} definition-changed`,
          `gold.copy ${week} never-built`,
          `gold.high ≤ ${week} never-built`,
        ],
      },
      { do: 'run', wish: dev },
      { do: 'rows', sql: balances, ...dev, expect: ['2', '6', '12', '20', '30', '42', '56'] },
      { do: 'rows', sql: balances, expect: ['1', '3', '6', '10', '15', '21', '28'] },
    ],
  },
  {
    origins: [
      planned('test_dev_plan_depends_past'),
      snapshot('test_is_valid_start'),
      change('test_unaligned_start_snapshots'),
    ],
    says: 'A model that reads itself is planned from a day on, and the days before it are not built.',
    verdict: differs(
      'the start counts as not valid: what is built from there is for its environment alone',
      'it is held, there as in production, because its numbers would be wrong; --unsealed builds it all the same, and what follows the days before is built again with them',
    ),
    steps: [
      { do: 'define', models: chain },
      {
        do: 'plan',
        wish: { range: fromThird, select: ['gold.balance', 'gold.copy'] },
        expect: ['gold.balance 2023-01-03 … 2023-01-07 unsealed', 'gold.copy 2023-01-03 … 2023-01-07 never-built'],
      },
      { do: 'create', env: 'dev' },
      { do: 'rewrite', wish: { ...dev, range: fromThird }, expect: ['gold.copy 2023-01-03 … 2023-01-07'] },
      { do: 'run', wish: { ...dev, range: fromThird, unsealed: true } },
      { do: 'rows', sql: balances, ...dev, expect: ['3', '7', '12', '18', '25'] },
      {
        do: 'plan',
        wish: dev,
        expect: [
          'gold.balance 2023-01-01 … 2023-01-02 never-built',
          'gold.balance ≤ 2023-01-03 … 2023-01-07 reads-itself',
          'gold.copy 2023-01-01 … 2023-01-02 never-built',
          `gold.high ≤ ${week} input-changed`,
        ],
      },
      { do: 'run', wish: dev },
      { do: 'rows', sql: balances, ...dev, expect: ['1', '3', '6', '10', '15', '21', '28'] },
    ],
  },
  {
    origins: [change('test_annotated_self_referential_model')],
    says: 'A model that is built whole and reads itself.',
    verdict: differs(
      'it is built from nothing the first time, and from its own rows afterwards',
      'it is refused: it would read the rows that the build replaces, and come out otherwise each time',
    ),
    steps: [
      { do: 'define', models: { 'gold.balance': { ...balance, by: 'whole' } } },
      { do: 'refuse', kind: 'dataset/invalid' },
    ],
  },
]
