import type { Command } from 'commander'
import type { AddCommand } from './table-commands.ts'

/** `limn why` and `limn prove`. */
export function addWhyCommands(program: Command, add: AddCommand): void {
  add(
    program,
    'why <table>',
    'Say where a number comes from, or with --against why it is not the same as another.',
    () => import('./commands/why.ts'),
    [
      'limn why gold.airport_day --date 2001-06-14',
      'limn why silver.dim_airport --key ORD',
      'limn why gold.airport_day --column delayed',
      "limn why gold.revenue --against gold.revenue_by_customer --measure 'sum(revenue)' --by month",
      'limn why gold.airport_day --against 2026-01-31T12:00',
      'limn why gold.airport_day --against run/20260131T120000-0a1b2c',
    ],
  )
    .option('--date <date>', 'only this interval: 2001-06, 2001-06-14')
    .option('--from <date>', 'first interval, inclusive')
    .option('--to <date>', 'last interval, exclusive')
    .option('--key <values>', 'one row: values of its keys in their order, with commas between')
    .option('--column <name>', 'how one column is computed, layer by layer')
    .option('--where <sql>', 'only rows of which this is true')
    .option(
      '--against <state>',
      'a snapshot, run, branch, tag or time of the table, another table, or in an environment prod',
    )
    .option('--at <state>', 'the state asked about; default: now')
    .option('--measure <sql>', 'the number to compare: an aggregate; default: the sum of the first additive column')
    .option('--measure-against <sql>', 'the same number of the other table, where its columns are called otherwise')
    .option('--by <columns>', 'groups to tell apart; given, those that differ are followed alone; default: the keys')

  add(
    program,
    'prove [select...]',
    'Build models twice under other conditions and compare. Publishes nothing; ends with 3 when they differ, with 2 when nothing was proven.',
    () => import('./commands/prove.ts'),
    ['limn prove', 'limn prove gold.airport_day --interval 2001-06'],
  ).option('--interval <date>', 'which interval: 2001-06, 2001-06-14; default: the latest built')
}
