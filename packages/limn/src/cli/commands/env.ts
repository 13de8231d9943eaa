import { counted } from '../../base/index.ts'
import {
  createEnvironment,
  diffEnvironment,
  dropEnvironmentOf,
  type EnvironmentDiff,
  type Lake,
  listEnvironments,
  promoteEnvironment,
} from '../../lake/index.ts'
import { parseCount, parseWait } from '../arguments.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { rowDiffText } from '../row-diff-text.ts'
import { formatBytes, formatTable, toJson } from '../text.ts'
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
      return await diff(lake, io, name, {
        select: args.slice(2),
        sample: parseCount('sample', textOption(invocation, 'sample'), 0),
        exitCode: options.exitCode === true,
      })
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
        ['environment', 'made (UTC)', 'tables', 'changed', 'doc'],
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
    io.out(
      `${io.paint.green('Made')} ${name}: ${counted(made.tables.length, 'table')}, no file copied. Work there: --env ${name}`,
    )
  return 0
}

async function diff(
  lake: Lake,
  io: Io,
  name: string,
  options: { readonly select: readonly string[]; readonly sample: number | undefined; readonly exitCode: boolean },
): Promise<number> {
  const { select, sample, exitCode } = options
  const all = await diffEnvironment(lake, name, { select, ...(sample === undefined ? {} : { sample }) })
  if (io.json) io.out(toJson(all))
  else if (all.length === 0) io.out(`${name} is as production was when it was made.`)
  else
    io.out(
      all
        .flatMap((one) => diffLines(one, io))
        .join('\n')
        .trimEnd(),
    )
  for (const one of io.json ? [] : all)
    if (one.obstacle !== null) io.err(`${io.paint.yellow('Cannot be promoted:')} ${one.obstacle}.`)
  return exitCode && all.length > 0 ? 4 : 0
}

function diffLines(one: EnvironmentDiff, io: Io): readonly string[] {
  const moved = one.productionMoved ? ', production has published since' : ''
  const head = `${io.paint.bold(one.table)} ${one.change}${moved}`
  const body = one.diff ? rowDiffText(one.diff, io.width) : [`${counted(one.rows.before, 'row')} in production`]
  return [head, ...body.flatMap((part) => part.split('\n')).map((line) => `  ${line}`.trimEnd()), '']
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
        `${io.paint.green('Published')} run ${report.run}: ${counted(report.tables.length, 'table')} of ${name}, ${counted(report.judgements.length, 'check')}. ${name} is as production now.`,
      )
    else io.out(`${io.paint.red('Refused to publish')} run ${report.run}. Readers still see what they had.`)
  }
  return report.outcome === 'refused' ? 3 : 0
}

async function drop(lake: Lake, io: Io, name: string, dryRun: boolean): Promise<number> {
  const dropped = await dropEnvironmentOf(lake, name, { dryRun })
  if (io.json) io.out(toJson({ ...dropped, dryRun }))
  else {
    const what = `${name}: ${counted(dropped.files, 'file')} of its own, ${formatBytes(dropped.bytes)}`
    io.out(dryRun ? `Would drop ${what}. Nothing was changed.` : `${io.paint.green('Dropped')} ${what}.`)
  }
  return 0
}
