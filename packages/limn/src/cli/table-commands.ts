import type { Command } from 'commander'
import type { Invocation } from './main.ts'

/** Adds one command with its examples; its body loads when it is called. */
export type AddCommand = (
  parent: Command,
  usage: string,
  description: string,
  load: () => Promise<{ readonly default: (invocation: Invocation) => Promise<number> }>,
  examples: readonly string[],
) => Command

/** The verbs of `limn table`. */
export function addTableCommands(table: Command, add: AddCommand): void {
  addLooks(table, add)
  addShapes(table, add)
  addRefs(table, add)
  addAdoption(table, add)
  addUpkeep(table, add)
}

const dryRun = ['--dry-run', 'say what would be done, and change nothing'] as const
const onBranch = ['--branch <name>', 'another branch than main'] as const

function addLooks(table: Command, add: AddCommand): void {
  const look = () => import('./commands/table/look.ts')
  add(table, 'ls', 'List all tables.', look, ['limn table ls'])
  add(table, 'show <name>', 'Show a table: schema, partitioning, properties, refs.', look, [
    'limn table show silver.flight',
  ])
  add(table, 'history <name>', 'List the snapshots main has had, latest first.', look, [
    'limn table history silver.flight',
  ])
  add(table, 'files <name>', 'List the data files.', look, ['limn table files silver.flight'])
  add(table, 'partitions <name>', 'List the partitions.', look, ['limn table partitions gold.airport_day'])
  add(
    table,
    'diff <name> <from> <to>',
    'Compare two states of a table: schema, files, rows. A state is a snapshot, branch, tag or time.',
    () => import('./commands/table/diff.ts'),
    ['limn table diff lab.note 4512398745 main', 'limn table diff lab.note 2026-01-31 main --no-rows'],
  ).option('--no-rows', 'leave the rows alone, which have to be read')
  add(
    table,
    'inspect <file>',
    'Lay open a file: Parquet footer, Avro, manifest, manifest list, Puffin, metadata.json.',
    () => import('./commands/table/inspect.ts'),
    ['limn table inspect warehouse/lab/note/data/x.parquet', 'limn table inspect snap-1.avro --limit 5'],
  ).option('--limit <count>', 'rows of Avro files and entries of manifests to show (default 20)')
}

function addShapes(table: Command, add: AddCommand): void {
  const statement = () => import('./commands/table/statement.ts')
  add(table, 'create <name> <definition>', 'Create a table: what stands behind CREATE TABLE.', statement, [
    "limn table create lab.note '(id BIGINT, seen_at TIMESTAMPTZ, text STRING) PARTITIONED BY (months(seen_at))'",
  ]).option(...dryRun)
  add(table, 'alter <name> <action>', 'Change a table: what stands behind ALTER TABLE.', statement, [
    "limn table alter lab.note 'ADD COLUMN author STRING'",
    "limn table alter lab.note 'RENAME COLUMN text TO body' --dry-run",
  ]).option(...dryRun)
}

function addRefs(table: Command, add: AddCommand): void {
  const refs = () => import('./commands/table/refs.ts')
  for (const type of ['branch', 'tag'] as const) {
    const command = add(
      table,
      `${type} <name> [${type}]`,
      `List ${type === 'tag' ? 'tags' : 'branches'}, or make, move, rename or drop one.`,
      refs,
      [
        `limn table ${type} lab.note`,
        `limn table ${type} lab.note audit --at 4512398745 --max-age 30d`,
        `limn table ${type} lab.note audit --drop`,
      ],
    )
      .option('--at <point>', 'a snapshot, branch or tag to make it at (default main)')
      .option('--replace', 'move it when it is there already')
      .option('--rename <name>', 'give it another name')
      .option('--drop', 'drop it; its snapshots stay until they expire')
      .option('--max-age <age>', 'when it goes itself: 12h, 30d')
      .option(...dryRun)
    if (type === 'branch')
      command
        .option('--fast-forward <ref>', 'move it to where another ref is')
        .option('--keep <count>', 'how many of its snapshots stay whatever their age')
        .option('--snapshot-age <age>', 'how old its snapshots become: 12h, 30d')
  }
  add(table, 'rollback <name> <point>', 'Take a branch back to a snapshot it has had, or to a time.', refs, [
    'limn table rollback lab.note 4512398745',
    'limn table rollback lab.note 2026-01-31T12:00 --dry-run',
  ])
    .option(...onBranch)
    .option(...dryRun)
  add(table, 'cherry-pick <name> <snapshot>', 'Repeat on a branch what another snapshot did.', refs, [
    'limn table cherry-pick lab.note 4512398745',
  ])
    .option(...onBranch)
    .option(...dryRun)
}

function addUpkeep(table: Command, add: AddCommand): void {
  add(
    table,
    'compact <name>',
    'Rewrite small, large and much-deleted data files, then deletes. Rows stay as they are.',
    () => import('./commands/table/compact.ts'),
    [
      'limn table compact silver.flight --dry-run',
      'limn table compact lab.note --sort "day, id desc" --where "day >= DATE \'2026-01-01\'"',
      'limn table compact lab.note --z-order lat,lon --commits 10',
    ],
  )
    .option('--sort [columns]', "sort rows: by the table's order, or by columns")
    .option('--z-order <columns>', 'interleave rows by several columns')
    .option('--where <condition>', 'only files that may hold such rows')
    .option('--target-size <size>', "how large files become (default: the table's, else 512MiB)")
    .option('--min-files <count>', 'leave groups of fewer files alone (default 5)')
    .option('--delete-ratio <share>', 'rewrite files with this share of rows deleted (default 10%)')
    .option('--deletes-per-file <count>', 'rewrite files with this many delete files')
    .option('--commits <count>', 'commit as it goes, at most this often (default 1)')
    .option('--all', 'rewrite every file')
    .option('--other-specs', "also move files of other partition specs into the table's own")
    .option(...onBranch)
    .option(...dryRun)
  const clean = () => import('./commands/table/clean.ts')
  add(
    table,
    'expire <name>',
    'Expire snapshots and refs past their retention, and delete files only they need.',
    clean,
    ['limn table expire silver.flight --dry-run', 'limn table expire silver.flight --older-than 7d --keep 10'],
  )
    .option('--older-than <age>', "snapshots older than this go (default: the table's, else 5d)")
    .option('--keep <count>', 'how many latest snapshots of a branch stay (default 1)')
    .option('--snapshot <id...>', 'snapshots that go whatever their age')
    .option('--drop-unused', 'also drop schemas and specs that nothing names')
    .option(...dryRun)
  add(table, 'orphans <name>', 'Delete files in its folders that nothing of the table leads to.', clean, [
    'limn table orphans silver.flight --dry-run',
    'limn table orphans silver.flight --older-than 7d',
  ])
    .option('--older-than <age>', 'files younger than this stay (default 3d, at least 1h)')
    .option(...dryRun)
  add(table, 'rewrite-manifests <name>', 'Write manifests anew so that planning reads less.', clean, [
    'limn table rewrite-manifests silver.flight',
  ])
    .option('--target-size <size>', 'how large a manifest becomes (default 8MiB)')
    .option(...onBranch)
    .option(...dryRun)
  add(table, 'health <name>', 'Measure a table, and say what to run and why. Changes nothing.', clean, [
    'limn table health silver.flight',
  ]).option(...onBranch)
  const stats = () => import('./commands/table/stats.ts')
  add(table, 'stats <name>', "Count distinct values and leave them, as sketches, for the table's readers.", stats, [
    'limn table stats silver.flight',
    'limn table stats silver.flight --columns carrier,origin',
  ])
    .option('--columns <names>', 'of these columns (default: all that are not nested)')
    .option('--snapshot <id>', "of another snapshot than main's")
  add(table, 'partition-stats <name>', 'Write down what is in each partition, for engines that plan by it.', stats, [
    'limn table partition-stats silver.flight',
  ]).option('--snapshot <id>', "of another snapshot than main's")
}

function addAdoption(table: Command, add: AddCommand): void {
  const adopt = () => import('./commands/table/adopt.ts')
  const skipOthers = ['--skip-others', 'pass over files that are not named .parquet'] as const
  const type = ['--type <name=type...>', 'types of columns that folder names tell of (default: as they look)'] as const
  add(table, 'register <name> <metadata>', 'Make a table that is there already one of this catalog.', adopt, [
    'limn table register lab.note warehouse/lab/note/metadata/00003-0a1b.metadata.json',
    'limn table register lab.note /data/note --dry-run',
  ])
    .option('--no-files', 'do not look whether every data file is there')
    .option(...dryRun)
  add(
    table,
    'add-files <name> <source...>',
    'Make Parquet files, or those below a folder, part of a table without rewriting them.',
    adopt,
    [
      'limn table add-files lab.note /data/note --dry-run',
      'limn table add-files lab.note /data/note --partition day=2026-01-31 --skip-present',
      'limn table add-files lab.note a.parquet b.parquet',
    ],
  )
    .option('--partition <name=value...>', 'only files in these folders')
    .option('--base <folder>', 'of single files: the folder below which name=value folders count')
    .option('--ignore-columns', 'do not see columns that the table lacks (default: an error)')
    .option('--skip-present', 'pass over files that the table has (default: an error)')
    .option(...skipOthers)
    .option(...onBranch)
    .option(...dryRun)
  add(
    table,
    'snapshot <name> <source>',
    'Make a new table over the files of a folder or of another table. It never deletes one of them.',
    adopt,
    [
      'limn table snapshot lab.note /data/note',
      'limn table snapshot lab.try silver.flight',
      'limn table snapshot lab.old /other/warehouse/note --at 4512398745',
    ],
  )
    .option('--at <snapshot>', 'of a table: which snapshot (default the current one)')
    .option(...type)
    .option(...skipOthers)
    .option(...dryRun)
  add(
    table,
    'migrate <name> <folder>',
    'Make a folder of Parquet files within the warehouse a table, which owns it then.',
    adopt,
    ['limn table migrate lab.note warehouse/landed/note --dry-run'],
  )
    .option(...type)
    .option(...skipOthers)
    .option(...dryRun)
  add(
    table,
    'diverge <left> <right>',
    'Compare two places that should hold the same rows: tables, Iceberg folders, Parquet folders. Ends with 3 when they do not.',
    () => import('./commands/table/diverge.ts'),
    ['limn table diverge /data/note lab.note --keys id', 'limn table diverge lab.note lab.copy --by day --limit 5'],
  )
    .option('--keys <columns>', 'columns that tell rows apart: rows of one key are shown as changed')
    .option('--by <columns>', "columns to sum rows up by first (default: the left side's partitions)")
    .option('--limit <count>', 'how many rows and partitions to show of each kind (default 20)')
}
