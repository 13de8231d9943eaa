import { type Command, Option } from 'commander'
import type { AddCommand } from './table-commands.ts'

/** `limn backfill` with its verbs: a selection builds, a verb looks after what was begun. */
export function addBackfillCommands(program: Command, add: AddCommand): void {
  const begin = () => import('./commands/backfill.ts')
  const backfill = add(
    program,
    'backfill [select...]',
    'Build intervals on a branch, compare, and publish them when that is approved.',
    begin,
    [
      'limn backfill silver.flight+ --from 2001-03-01 --to 2001-05-01 --diff',
      'limn backfill gold.airport_day --from 2001 --to 2002 --parallel 4 --approve',
      'limn backfill silver.flight --from 2001-01 --to 2001-07 --sample 10%',
      'limn backfill ls',
      'limn backfill approve 20260131T120000-00abcd',
    ],
  ).enablePositionalOptions()
  backfill
    .option('--from <date>', 'build intervals from here (inclusive)')
    .option('--to <date>', 'to here (exclusive)')
    .option('--date <date>', 'one day, month or year: 2001-06-14, 2001-06, 2001')
    .option('--sample <share>', 'build a share of the intervals, 10% or 0.1, only to look at')
  tuning(backfill)
  const verbs = () => import('./commands/backfills.ts')
  add(backfill, 'ls', 'List backfills, latest first.', verbs, ['limn backfill ls'])
  add(backfill, 'show <id>', 'Show how far a backfill is, and what it changes with --diff.', verbs, [
    'limn backfill show 20260131T120000-00abcd',
    'limn backfill show 20260131T120000-00abcd --diff',
  ]).option('--diff', 'compare what is built with what is published')
  tuning(
    add(backfill, 'resume <id>', 'Go on with a backfill where it stopped.', verbs, [
      'limn backfill resume 20260131T120000-00abcd',
      'limn backfill resume 20260131T120000-00abcd --budget-rows 5000000',
    ]),
  )
  add(backfill, 'approve <id>', 'Publish what a backfill has built, as you have seen it.', verbs, [
    'limn backfill approve 20260131T120000-00abcd',
  ]).option('--wait <time>', 'wait for another backfill of these datasets: 30s, 10m, 1h')
  add(backfill, 'discard <id>', 'Drop what a backfill has built. Nothing published changes.', verbs, [
    'limn backfill discard 20260131T120000-00abcd',
  ])
}

function tuning(command: Command): Command {
  return command
    .option('--parallel <count>', 'steps of a dataset built at once (default 2)')
    .option('--throttle <time>', 'pause between steps: 30s, 1m')
    .addOption(new Option('--fail-fast', 'stop at the first step that fails (default)').conflicts('keepGoing'))
    .addOption(new Option('--keep-going', 'build the other steps too, and end as failed'))
    .option('--budget-rows <count>', 'stop before more rows than this are written')
    .option('--diff', 'compare every interval with what is published')
    .option('--approve', 'publish when it is built, whatever it changes')
    .option('--wait <time>', 'wait for another backfill of these datasets: 30s, 10m, 1h')
}

/** The verbs of `limn runs`. */
export function addRunsCommands(runs: Command, add: AddCommand): void {
  const look = () => import('./commands/runs.ts')
  const act = () => import('./commands/runs-act.ts')
  const example = '20260131T120000-00abcd'
  add(runs, 'ls', 'List runs, latest first, with those that are at work.', look, ['limn runs ls'])
  add(
    runs,
    'show <id>',
    'Show a run: the intervals rewritten and why, the verdicts, and how to see rows at fault.',
    look,
    [`limn runs show ${example}`],
  )
  add(
    runs,
    'path [id]',
    'Show what decided when a run ended, and whether the next will be in time.',
    () => import('./commands/path.ts'),
    ['limn runs path', `limn runs path ${example}`],
  )
  add(runs, 'logs <id>', 'Print what a run or backfill told while it went on.', act, [`limn runs logs ${example}`])
  add(runs, 'diff <id>', 'Show the rows that a run changed; of one that did not publish, what it would have.', act, [
    `limn runs diff ${example}`,
  ])
  add(runs, 'retry <id>', 'Run again, taking over what an unpublished run staged where that still holds.', act, [
    `limn runs retry ${example}`,
  ]).option('--wait <time>', 'wait for another run of these datasets: 30s, 10m, 1h')
  add(runs, 'discard <id>', 'Drop what an unpublished run staged, now instead of in a week.', act, [
    `limn runs discard ${example}`,
  ])
  add(runs, 'cancel <id>', 'Ask a run or backfill that is at work to stop. It publishes nothing.', act, [
    `limn runs cancel ${example}`,
  ])
}
