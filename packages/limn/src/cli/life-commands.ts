import type { Command } from 'commander'
import type { AddCommand } from './table-commands.ts'

/** Says of a word that is no verb of a group what could be meant, and ends. */
export type UnknownCommand = (parent: Command, name: string) => never

const dryRun = ['--dry-run', 'say what would be done, and change nothing'] as const

/** The verbs by which a lake lives on: environments. */
export function addLifeCommands(program: Command, add: AddCommand, unknown: UnknownCommand): void {
  addEnvironments(program, add, unknown)
  add(
    program,
    'dev',
    'Watch the project: check each change, build a sample of what it changes, and show the difference.',
    () => import('./commands/dev.ts'),
    ['limn dev', 'limn dev --sample 5% --env dev', 'limn dev --once'],
  )
    .option('--sample <share>', 'how much of what changed is built to look at (default 10%)')
    .option('--once', 'one round, then end; with 1 when something is wrong')
  add(
    program,
    'upgrade',
    'Bring a lake that an earlier limn wrote to this one: say what changes, and change it.',
    () => import('./commands/upgrade.ts'),
    ['limn upgrade --dry-run', 'limn upgrade'],
  ).option(...dryRun)
  addCare(program, add, unknown)
  add(
    program,
    'drop [name]',
    'Take away the table of a dataset that is no longer defined; without a name: list what can be had back.',
    () => import('./commands/drop.ts'),
    [
      'limn drop silver.old_flight --dry-run',
      'limn drop silver.old_flight',
      'limn drop --undo silver.old_flight',
      'limn drop',
    ],
  )
    .option('--undo', 'have it back, with its history and standing, within seven days')
    .option('--purge', 'delete its files at once; it cannot be had back')
    .option('--force', 'even though something reads it')
    .option(...dryRun)
}

function addEnvironments(program: Command, add: AddCommand, unknown: UnknownCommand): void {
  const env = program
    .command('env')
    .description('Environments: the whole lake again, without copying a file.')
    .addHelpText(
      'after',
      '\nExamples:\n  limn env create dev\n  limn run --env dev\n  limn env diff dev\n  limn env promote dev\n  limn env drop dev',
    )
  env.on('command:*', (names: readonly string[]) => unknown(env, names[0] ?? ''))
  const bodies = () => import('./commands/env.ts')
  add(env, 'ls', 'List environments.', bodies, ['limn env ls'])
  add(env, 'create <name>', 'Make an environment of what production has now. No file is copied.', bodies, [
    'limn env create dev',
  ])
  add(
    env,
    'diff <name> [select...]',
    'Show what an environment changed: rows by interval, sums, and some of the rows.',
    bodies,
    ['limn env diff dev', 'limn env diff dev gold.* --sample 3', 'limn env diff dev --exit-code'],
  )
    .option('--sample <count>', 'how many rows of each kind to show (default 10)')
    .option('--exit-code', 'exit with 4 when the environment differs')
  add(
    env,
    'promote <name>',
    'Publish what an environment changed, in one commit with its ledger rows. Checks judge it again.',
    bodies,
    ['limn env promote dev --dry-run', 'limn env promote dev'],
  )
    .option('--wait <time>', 'wait for a run to finish: 30s, 10m, 1h')
    .option(...dryRun)
  add(env, 'drop <name>', 'Take an environment away, with the files it wrote. Files of production stay.', bodies, [
    'limn env drop dev --dry-run',
    'limn env drop dev',
  ]).option(...dryRun)
}

function addCare(program: Command, add: AddCommand, unknown: UnknownCommand): void {
  const lake = program
    .command('lake')
    .description('The lake as a whole: move it, back it up, restore it.')
    .addHelpText(
      'after',
      '\nExamples:\n  limn lake backup /backup/my-lake\n  limn lake restore /backup/my-lake ../my-lake-again\n  limn lake relocate /data/warehouse\n  limn lake rebuild-state',
    )
  lake.on('command:*', (names: readonly string[]) => unknown(lake, names[0] ?? ''))
  const bodies = () => import('./commands/lake.ts')
  add(lake, 'relocate <folder>', 'Move the warehouse to another folder. The old one is left as it was.', bodies, [
    'limn lake relocate /data/warehouse --dry-run',
    'limn lake relocate /data/warehouse',
  ]).option(...dryRun)
  add(
    lake,
    'backup <folder>',
    'Copy the lake as of one instant, and of files only what the folder does not have yet.',
    bodies,
    ['limn lake backup /backup/my-lake', 'limn lake backup /backup/my-lake --no-deliveries'],
  ).option('--no-deliveries', 'leave out the files that sources have delivered')
  add(lake, 'restore <backup> <folder>', 'Restore a backup into an empty folder.', bodies, [
    'limn lake restore /backup/my-lake ../my-lake-again',
    'limn lake restore /backup/my-lake ../of-friday --backup 20260130T180000-000',
  ]).option('--backup <id>', 'which of the backups in it (default the latest)')
  add(lake, 'rebuild-state', 'Make a lost or damaged state database anew from the lake.', bodies, [
    'limn lake rebuild-state',
  ])
}
