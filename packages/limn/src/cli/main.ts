import { readFileSync } from 'node:fs'
import { Command, CommanderError, Option } from 'commander'
import { LimnError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Io } from './io.ts'
import { addLifeCommands } from './life-commands.ts'
import { addBackfillCommands, addRunsCommands } from './run-commands.ts'
import { addTableCommands } from './table-commands.ts'
import { addWhyCommands } from './why-commands.ts'

/** What a command gets: its arguments and options, the terminal, and a signal that Ctrl-C aborts. */
export interface Invocation {
  readonly args: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  readonly io: Io
  readonly signal: AbortSignal
}

type Body = (invocation: Invocation) => Promise<number>
type Load = () => Promise<{ readonly default: Body }>

/** Runs the command line and sets the process's exit code. Command bodies load only when they are called. */
export async function runCli(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  const program = buildProgram(argv)
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : 2
  }
}

function buildProgram(argv: readonly string[]): Command {
  const program = new Command('limn')
    .description('A lakehouse in one npm install that refuses to publish a wrong number.')
    .version(version(), '-V, --version')
    .exitOverride()
    // Options stand after the command they belong to: `backfill` and its verbs have some of the same name.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: (text) => usageError(text, argv.includes('--json')) })
    .configureHelp({ showGlobalOptions: false })
    .addHelpText(
      'after',
      "\nExamples:\n  limn init my-lake\n  limn run\n  limn sql 'SELECT * FROM gold.daily'\n\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 a gate refused, 4 changes pending, 130 interrupted.",
    )
  program.on('command:*', (names: readonly string[]) => unknownCommand(program, names[0] ?? ''))

  add(program, 'init <folder>', 'Make a new lake with a small example in it.', () => import('./commands/init.ts'), [
    'limn init my-lake',
  ]).option('--no-install', 'do not run npm install')
  rangeOptions(
    add(
      program,
      'run [select...]',
      'Plan, build, judge and publish what is stale.',
      () => import('./commands/run.ts'),
      [
        'limn run',
        'limn run +gold.airport_day',
        'limn run silver.flight --from 2001-03-01 --to 2001-05-01',
        'limn run --restate silver.flight --date 2001-03',
        'limn run --forward-only',
        'limn run --due --wait 10m',
      ],
    ),
  )
    .option('--wait <time>', 'wait for another run to finish: 30s, 10m, 1h')
    .option('--explain', 'show what each build read and what pruning left out')
    .option('--due', 'run what is due by schedules, missed ticks in order')
  rangeOptions(
    add(
      program,
      'plan [select...]',
      'Show what a run would do, and why. Changes nothing.',
      () => import('./commands/plan.ts'),
      [
        'limn plan',
        'limn plan --exit-code',
        'limn plan --restate silver.flight --from 2001-03-01 --to 2001-05-01',
        'limn plan --since 2026-01-31T12:00',
      ],
    ),
  ).option('--exit-code', 'exit with 4 when changes are pending')
  addWhyCommands(program, add)
  add(program, 'up', 'Stay up and run what is due: a small scheduler.', () => import('./commands/up.ts'), [
    'limn up',
    'limn up --json --health /run/limn/health.json',
  ])
    .option('--poll <time>', 'look at least this often for files and publications: 30s')
    .option('--drain <time>', 'how long a run may go on when told to stop: 10m')
    .option('--health <file>', 'where to say that it is alive; .limn/up.json of the lake')
  add(
    program,
    'compile <name>',
    'Print the SQL a model runs, inputs pinned. Runs as it is in DuckDB.',
    () => import('./commands/compile.ts'),
    ['limn compile silver.flight --date 2001-06'],
  ).option('--date <date>', 'which interval')
  add(
    program,
    'sql <statement>',
    'Run one statement: a query, or a change of a table that no dataset owns.',
    () => import('./commands/sql.ts'),
    [
      "limn sql 'SELECT count(*) FROM silver.flight'",
      "limn sql --at 2026-01-31T12:00 'SELECT * FROM gold.airport_day LIMIT 5'",
      'limn sql "SELECT * FROM silver.flight FOR VERSION AS OF \'run/20260131T120000-0a1b2c\'"',
      "limn sql 'SELECT * FROM silver.flight.snapshots'",
      "limn sql 'CREATE TABLE lab.note (id BIGINT, seen_at TIMESTAMPTZ, text STRING) PARTITIONED BY (months(seen_at))'",
      'limn sql "INSERT INTO lab.note VALUES (1, now(), \'first\')"',
      'limn sql "UPDATE lab.note SET text = \'second\' WHERE id = 1"',
      "limn sql 'MERGE INTO lab.note AS n USING lab.draft AS d ON n.id = d.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *'",
      "limn sql --dry-run 'DELETE FROM lab.note WHERE id = 1'",
      "limn sql --write --break-glass --reason 'wrong sign in the delivery of May 3' 'UPDATE silver.flight SET delay_min = -delay_min WHERE id = 7'",
      "limn sql 'ALTER TABLE lab.note CREATE BRANCH try'",
      'limn sql "CALL system.rollback_to_snapshot(\'lab.note\', 5937261048315260001)"',
    ],
  )
    .option('--at <point>', 'what a query reads: a snapshot id, branch or tag, time (UTC), or run/ID')
    .option('--dry-run', 'work out a change and keep nothing')
    .option('--write', 'the statement is meant to change something: one that does not is refused')
    .option('--break-glass', 'change rows of a table that a dataset owns: judged by its checks, kept in the ledger')
    .option('--reason <text>', 'why, with --break-glass')
    .addOption(new Option('--format <format>', 'how to print').choices(['table', 'csv', 'json', 'parquet']))
    .option('--out <file>', 'write to a file')
  add(
    program,
    'check',
    'Check types, SQL and contracts without running anything.',
    () => import('./commands/check.ts'),
    ['limn check', 'limn check --deep'],
  ).option('--deep', 'also build every model twice and compare, as limn prove does')
  add(
    program,
    'maintain [select...]',
    'Compact, expire and clean tables by the policy in their contracts.',
    () => import('./commands/maintain.ts'),
    ['limn maintain --dry-run', 'limn maintain silver.flight', 'limn maintain +gold.airport_day'],
  ).option('--dry-run', 'say what would be done, and change nothing')
  addBackfillCommands(program, add)
  const table = program
    .command('table')
    .description('Look at tables, shape them and keep them in order.')
    .addHelpText(
      'after',
      "\nExamples:\n  limn table ls\n  limn table history silver.flight\n  limn table health silver.flight\n  limn table compact silver.flight --dry-run\n  limn table alter lab.note 'ADD COLUMN x INT'",
    )
  table.on('command:*', (names: readonly string[]) => unknownCommand(table, names[0] ?? ''))
  addTableCommands(table, add)
  const runs = program
    .command('runs')
    .description('Look at runs, and do something about those that were not published.')
    .addHelpText(
      'after',
      '\nExamples:\n  limn runs ls\n  limn runs show 20260131T120000-00abcd\n  limn runs retry 20260131T120000-00abcd',
    )
  runs.on('command:*', (names: readonly string[]) => unknownCommand(runs, names[0] ?? ''))
  addRunsCommands(runs, add)
  addLifeCommands(program, add, unknownCommand)
  return program
}

function rangeOptions(command: Command): Command {
  return command
    .option('--from <date>', 'build intervals from here (inclusive)')
    .option('--to <date>', 'to here (exclusive)')
    .option('--date <date>', 'one day, month or year: 2001-06-14, 2001-06, 2001')
    .option('--full', 'rebuild silver and gold from bronze')
    .option('--restate <select>', 'rebuild these although fresh, and what is downstream; may be repeated', repeated, [])
    .option('--forward-only', 'let a changed definition apply to new intervals only')
    .option('--since <time>', 'only what became stale through changes after this time (UTC)')
    .option('--unsealed', 'build intervals that are not complete yet')
}

function repeated(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

function add(parent: Command, usage: string, description: string, load: Load, examples: readonly string[]): Command {
  const command = parent
    .command(usage)
    .description(description)
    .option('--json', 'print JSON')
    .option('--env <name>', 'where to work: an environment, or prod (default: LIMN_ENV, else the configuration)')
    .exitOverride()
    .addHelpText(
      'after',
      `\nExample${examples.length > 1 ? 's' : ''}:\n${examples.map((example) => `  ${example}`).join('\n')}`,
    )
  command.action(async (...given: unknown[]) => {
    const positional = given
      .slice(0, -2)
      .flat()
      .filter((value): value is string => typeof value === 'string')
    const name = parent.name() === 'limn' ? [] : [command.name()]
    process.exitCode = await invoke(load, { args: [...name, ...positional], options: command.opts() })
  })
  return command
}

async function invoke(load: Load, given: Pick<Invocation, 'args' | 'options'>): Promise<number> {
  const { makeIo } = await import('./io.ts')
  const io = makeIo({ json: given.options.json === true })
  const abort = new AbortController()
  const stop = () =>
    abort.abort(
      new LimnError('interrupted', {
        message: 'Interrupted.',
        notDone: 'Nothing was published.',
        remedy: 'Run again: limn run',
      }),
    )
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const body = await load()
    return await body.default({ ...given, io, signal: abort.signal })
  } catch (error) {
    const { reportError } = await import('./errors.ts')
    return reportError(error, io)
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

function unknownCommand(parent: Command, name: string): never {
  const known = parent.commands.map((command) => command.name())
  const close = nearest(name, known)
  process.stderr.write(
    `error[usage/argument]\n  There is no command "${name}".\n  To do: ${close ? `Did you mean ${close}?` : `The commands are ${known.join(', ')}.`}\n`,
  )
  throw new CommanderError(2, 'limn.unknownCommand', name)
}

/** What is wrong with the words of a command, told like any other error. */
function usageError(text: string, json: boolean): void {
  const [first = '', ...more] = text.trim().split('\n')
  const said = first.replace(/^error: /, '').replace(/\.$/, '')
  const message = `${said.charAt(0).toUpperCase()}${said.slice(1)}.`
  const hint = more.join(' ').replace(/^\((.*)\)$/, '$1')
  const remedy = hint === '' ? 'The command with --help says what it takes.' : hint
  const notDone = 'Nothing was run.'
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ error: { kind: 'usage/argument', message, notDone, remedy, context: {} } })}\n`,
    )
    return
  }
  process.stderr.write(`error[usage/argument]\n  ${message}\n  Not done: ${notDone}\n  To do: ${remedy}\n`)
}

function version(): string {
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version
}
