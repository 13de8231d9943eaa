import {
  createEnvironment,
  diffEnvironment,
  dropEnvironmentOf,
  type EnvironmentDiff,
  type Lake,
  listEnvironments,
  promoteEnvironment,
} from '../../lake/index.ts'
import { parseWait } from '../arguments.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { formatBytes, formatCount, formatTable, toJson } from '../text.ts'
import { openProduction, textOption } from './open.ts'
import { printFailure } from './run.ts'

export default async function env(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const [verb, name = ''] = args
  await using lake = await openProduction(invocation)
  switch (verb) {
    case 'ls':
      return await list(lake, io)
    case 'create':
      return await create(lake, io, name)
    case 'diff':
      return await diff(lake, io, name, options.exitCode === true)
    case 'promote':
      return await promote(lake, io, name, {
        waitMs: parseWait(textOption(invocation, 'wait')),
        dryRun: options.dryRun === true,
      })
    default:
      return await drop(lake, io, name, options.dryRun === true)
  }
}

async function list(lake: Lake, io: Io): Promise<number> {
  const all = await listEnvironments(lake)
  if (io.json) io.out(toJson(all))
  else if (all.length === 0) io.out('There is no environment beside production. Make one: limn env create dev')
  else
    io.out(
      formatTable(
        ['environment', 'made (UTC)', 'tables', 'changed', ''],
        all.map((one) => [
          one.name,
          new Date(one.madeAtMs).toISOString().replace('T', ' ').slice(0, 19),
          one.tables,
          one.changed,
          one.doc,
        ]),
        io.width,
      ),
    )
  return 0
}

async function create(lake: Lake, io: Io, name: string): Promise<number> {
  const made = await createEnvironment(lake, name)
  if (io.json) io.out(toJson(made))
  else
    io.out(`${io.paint.green('Made')} ${name}: ${made.tables.length} tables, no file copied. Work there: --env ${name}`)
  return 0
}

async function diff(lake: Lake, io: Io, name: string, exitCode: boolean): Promise<number> {
  const all = await diffEnvironment(lake, name)
  if (io.json) io.out(toJson(all.map(diffValue)))
  else if (all.length === 0) io.out(`${name} is as production was when it was made.`)
  else io.out(diffTable(all, io))
  for (const one of io.json ? [] : all)
    if (one.obstacle !== null) io.err(`${io.paint.yellow('Cannot be promoted:')} ${one.obstacle}.`)
  return exitCode && all.length > 0 ? 4 : 0
}

function diffValue(one: EnvironmentDiff) {
  const { diff: between, ...rest } = one
  return {
    ...rest,
    columns: between && {
      added: between.columns.added.map((field) => field.name),
      removed: between.columns.removed.map((field) => field.name),
      changed: between.columns.changed.map((each) => each.to.name),
    },
    rowsAdded: between?.rows?.added ?? null,
    rowsRemoved: between?.rows?.removed ?? null,
    files: between && { added: between.data.added, removed: between.data.removed, kept: between.data.kept },
  }
}

function diffTable(all: readonly EnvironmentDiff[], io: Io): string {
  return formatTable(
    ['table', 'change', 'rows before', 'after', 'added', 'removed', 'columns', 'production'],
    all.map((one) => [
      one.table,
      one.change,
      one.rows.before,
      one.rows.after,
      one.diff?.rows?.added ?? null,
      one.diff?.rows?.removed ?? null,
      columnsText(one),
      one.productionMoved ? 'moved since' : 'as it was',
    ]),
    io.width,
  )
}

function columnsText({ diff: between }: EnvironmentDiff): string {
  if (!between) return ''
  const { added, removed, changed } = between.columns
  return [
    ...added.map((field) => `+${field.name}`),
    ...removed.map((field) => `-${field.name}`),
    ...changed.map((one) => `~${one.to.name}`),
  ].join(' ')
}

async function promote(
  lake: Lake,
  io: Io,
  name: string,
  options: { readonly waitMs: number; readonly dryRun: boolean },
): Promise<number> {
  const report = await promoteEnvironment(lake, name, options)
  if (io.json) io.out(toJson({ ...report, dryRun: options.dryRun }))
  else if (options.dryRun) {
    const names = [...report.tables.map((one) => one.table), ...report.standing.map((id) => `${id} (its standing)`)]
    io.out(names.length === 0 ? 'Nothing to promote.' : `Would publish ${names.join(', ')}.`)
  } else if (report.outcome === 'idle') io.out('Nothing to promote.')
  else {
    for (const one of report.judgements.filter((each) => each.outcome === 'failed')) printFailure(one, io)
    if (report.outcome === 'published')
      io.out(
        `${io.paint.green('Published')} run ${report.run}: ${formatCount(report.tables.length)} tables of ${name}, ${report.judgements.length} checks. ${name} is as production now.`,
      )
    else io.out(`${io.paint.red('Refused to publish')} run ${report.run}. Readers still see what they had.`)
  }
  return report.outcome === 'refused' ? 3 : 0
}

async function drop(lake: Lake, io: Io, name: string, dryRun: boolean): Promise<number> {
  const dropped = await dropEnvironmentOf(lake, name, { dryRun })
  if (io.json) io.out(toJson({ ...dropped, dryRun }))
  else {
    const what = `${name}: ${formatCount(dropped.files)} files of its own, ${formatBytes(dropped.bytes)}`
    io.out(dryRun ? `Would drop ${what}. Nothing was changed.` : `${io.paint.green('Dropped')} ${what}.`)
  }
  return 0
}
