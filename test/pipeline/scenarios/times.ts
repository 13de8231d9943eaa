import { agrees, differs, type LakeScenario, planned, restatement, snapshot } from './scenario.ts'
import { byHour, copyOf, firstOrders, ofHours } from './shop.ts'

/**
 * Facts about late rows, ends, and intervals that are not complete yet, restated from tests of SQLMesh (github.com/TobikoData/sqlmesh,
 * `tests/core/test_plan.py`, `test_snapshot.py`, `integration/test_restatement.py`; Apache-2.0), over a shop of our own.
 */

const without3 = firstOrders.filter((row) => !row.startsWith('3,'))

export const timeScenarios: readonly LakeScenario[] = [
  {
    origins: [snapshot('test_get_next_auto_restatement_interval'), snapshot('test_apply_auto_restatements')],
    says: 'Rows come late, to intervals that were built long ago.',
    verdict: differs(
      'a model builds its last intervals again by a schedule, and whole intervals of what reads it, whether rows came or not',
      'a late row is noticed when it comes: the hour it falls in is built again, and the day that reads it',
    ),
    steps: [
      { do: 'define', models: { 'silver.hour': byHour, 'gold.day_of_hours': ofHours } },
      { do: 'run' },
      { do: 'time', now: '2023-01-09T10:01' },
      { do: 'plan', expect: [] },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-03 10:30:00,tea,1'] },
      {
        do: 'rewrite',
        wish: { select: ['bronze.order', 'silver.hour', 'gold.day_of_hours'] },
        expect: ['bronze.order whole', 'silver.hour 2023-01-03T10:00', 'gold.day_of_hours 2023-01-03'],
      },
    ],
  },
  {
    origins: [snapshot('test_auto_restatement_triggers')],
    says: 'Of what is built again it is said what set it off.',
    verdict: differs(
      'the models that restated themselves, however far above',
      'what it reads directly, each with its own reason, as a tree',
    ),
    steps: [
      { do: 'define', models: { 'gold.copy': copyOf('gold.copy', 'gold.revenue', 'revenue') } },
      { do: 'run' },
      {
        do: 'causes',
        wish: { restate: ['gold.revenue', 'silver.order_item'] },
        expect: [
          'silver.order_item: asked for',
          'gold.revenue: asked for',
          'gold.best: gold.revenue',
          'gold.copy: gold.revenue',
        ],
      },
    ],
  },
  {
    origins: [
      planned('test_disable_restatement'),
      restatement('test_restatement_plan_respects_disable_restatements'),
      snapshot('test_apply_auto_restatements_disable_restatement_downstream'),
    ],
    says: 'A row is taken out of what was delivered, and a model below is to keep its rows.',
    verdict: differs(
      'a model may say that it is never restated: it keeps rows that what it reads no longer has',
      'what is published follows from what was delivered: no dataset keeps rows that its inputs do not have',
    ),
    steps: [
      { do: 'deliver', file: 'a', rows: without3 },
      {
        do: 'rewrite',
        expect: [
          'bronze.order whole',
          'silver.item 2023-01-03',
          'silver.order_item 2023-01-03',
          'gold.revenue 2023-01-03',
        ],
      },
      { do: 'rows', sql: 'SELECT count(*) FROM gold.revenue', expect: ['6'] },
    ],
  },
  {
    origins: [planned('test_end_override_per_model'), snapshot('test_missing_intervals_end_override_per_model')],
    says: 'Models of one plan end at times of their own; a range that is asked for goes before.',
    verdict: agrees,
    steps: [
      {
        do: 'define',
        models: {
          'gold.copy': { ...copyOf('gold.copy', 'gold.revenue', 'revenue'), end: '2023-01-07' },
          'gold.other': { ...copyOf('gold.other', 'gold.revenue', 'revenue'), end: '2023-01-04' },
        },
      },
      {
        do: 'plan',
        expect: ['gold.copy 2023-01-01 … 2023-01-06 never-built', 'gold.other 2023-01-01 … 2023-01-03 never-built'],
      },
      {
        do: 'plan',
        wish: { range: ['2023-01-06', '2023-01-07'] },
        expect: ['gold.copy 2023-01-06 never-built'],
      },
    ],
  },
  {
    origins: [
      snapshot('test_model_custom_cron'),
      planned('test_plan_ignore_cron_flag'),
      snapshot('test_missing_intervals_end_bounded_with_ignore_cron'),
    ],
    says: 'A day is built from five hours after its end, and before that where it is said to.',
    verdict: agrees,
    steps: [
      { do: 'define', models: { 'gold.revenue': { seal: { after: '5h' } } } },
      { do: 'deliver', file: 'b', rows: ['8,2023-01-08 10:00:00,tea,8'] },
      { do: 'run', wish: { select: ['bronze.order', 'silver.item', 'silver.order_item'] } },
      { do: 'time', now: '2023-01-09T04:59' },
      { do: 'plan', wish: { select: ['gold.revenue'] }, expect: ['gold.revenue 2023-01-08 unsealed'] },
      {
        do: 'plan',
        wish: { select: ['gold.revenue'], unsealed: true },
        expect: ['gold.revenue 2023-01-08 never-built'],
      },
      { do: 'time', now: '2023-01-09T05:00' },
      { do: 'rewrite', wish: { select: ['gold.revenue'] }, expect: ['gold.revenue 2023-01-08'] },
    ],
  },
  {
    origins: [snapshot('test_check_ready_intervals')],
    says: 'Of intervals that are missing those are built that are said to be ready: none, some, all.',
    verdict: agrees,
    steps: [
      { do: 'file', path: 'ready/2023-01-07' },
      { do: 'define', models: { 'gold.revenue': { seal: { marker: 'ready/%Y-%m-%d' } } } },
      {
        do: 'deliver',
        file: 'b',
        rows: ['8,2023-01-08 10:00:00,tea,8', '9,2023-01-09 10:00:00,tea,9', '10,2023-01-10 10:00:00,tea,10'],
      },
      { do: 'run', wish: { select: ['bronze.order', 'silver.item', 'silver.order_item'] } },
      { do: 'time', now: '2023-01-12T00:00' },
      { do: 'rewrite', wish: { select: ['gold.revenue'] }, expect: [] },
      { do: 'file', path: 'ready/2023-01-08' },
      { do: 'file', path: 'ready/2023-01-10' },
      {
        do: 'rewrite',
        wish: { select: ['gold.revenue'] },
        expect: ['gold.revenue 2023-01-08', 'gold.revenue 2023-01-10'],
      },
      { do: 'file', path: 'ready/2023-01-09' },
      { do: 'rewrite', wish: { select: ['gold.revenue'] }, expect: ['gold.revenue 2023-01-09'] },
    ],
  },
]
