import { resolve } from 'node:path'
import { counted } from '../../base/index.ts'
import { backupLake, type LeftOut, rebuildLakeState, relocateLake, restoreLake } from '../../lake/index.ts'
import { makeProgress } from '../io.ts'
import type { Invocation } from '../main.ts'
import { formatBytes, formatCount, toJson } from '../text.ts'
import { environmentOption, openProduction, textOption } from './open.ts'

export default async function lakeCommand(invocation: Invocation): Promise<number> {
  switch (invocation.args[0]) {
    case 'relocate':
      return await relocate(invocation)
    case 'backup':
      return await backup(invocation)
    case 'restore':
      return await restore(invocation)
    default:
      return await rebuild(invocation)
  }
}

async function relocate(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const [, folder = ''] = args
  const dryRun = options.dryRun === true
  await using lake = await openProduction(invocation)
  const done = await relocateLake(lake, folder, { dryRun })
  if (io.json) {
    io.out(toJson({ ...done, dryRun }))
    return 0
  }
  const what = `${counted(done.tables, 'table')}, ${counted(done.files, 'file')}, ${formatBytes(done.bytes)}`
  if (done.outside > 0)
    io.err(
      `${counted(done.outside, 'file lies', 'files lie')} outside the warehouse, and ${done.outside === 1 ? 'stays where it is' : 'stay where they are'}.`,
    )
  tellGone(invocation, done.gone)
  if (dryRun) {
    io.out(`Would move ${what} to ${localPath(done.to)}. Nothing was changed.`)
    return 0
  }
  io.out(`${io.paint.green('Moved')} ${what} to ${localPath(done.to)}.`)
  io.out(
    done.config?.changed
      ? `limn.config.ts says so: ${done.config.line}`
      : `Write it into limn.config.ts now: ${done.config?.line}`,
  )
  io.out('The old folder is as it was; delete it when nobody reads it any more.')
  return 0
}

async function backup(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const [, folder = ''] = args
  await using lake = await openProduction(invocation)
  const { record, copied } = await backupLake(lake, folder, { deliveries: options.deliveries !== false })
  const project = record.project ?? []
  if (io.json) {
    const { files, ...rest } = record
    io.out(toJson({ ...rest, files: files.length, project: project.length, copied }))
    return 0
  }
  for (const { path, why } of summed(record.leftOut ?? [])) io.err(`${io.paint.dim('left out')} ${path}: ${why}`)
  tellGone(invocation, record.gone?.length ?? 0)
  if (record.outside.length > 0)
    io.err(
      `${io.paint.yellow('Not in it:')} ${counted(record.outside.length, 'file')} outside the warehouse, ${record.outside[0]} among them.`,
    )
  io.out(
    `${io.paint.green('Backed up')} ${counted(record.tables, 'table')} as ${record.id}: ${counted(record.files.length, 'file')} and ${formatCount(project.length)} of the project, of which ${formatCount(copied.files)} (${formatBytes(copied.bytes)}) were new.`,
  )
  return 0
}

/** What was left out, where many for one reason as their number. */
function summed(all: readonly LeftOut[]): readonly LeftOut[] {
  return [...Map.groupBy(all, (one) => one.why)].flatMap(([why, own]) =>
    own.length <= 3 ? own : [{ path: `${own[0]?.path} and ${formatCount(own.length - 1)} more`, why }],
  )
}

function tellGone({ io }: Invocation, gone: number): void {
  if (gone === 0) return
  const states = gone === 1 ? 'One former state' : `${formatCount(gone)} former states`
  io.err(
    `${io.paint.yellow('Gone:')} ${states} of tables of environments, expired where they were kept for it. Its rows of now are whole.`,
  )
}

async function restore(invocation: Invocation): Promise<number> {
  const { io, args, signal } = invocation
  const [, from = '', to = ''] = args
  const id = textOption(invocation, 'backup')
  const progress = io.json ? {} : { progress: makeProgress(io) }
  const done = await restoreLake(from, to, { signal, ...progress, ...(id === undefined ? {} : { id }) })
  const state = await rebuildLakeState({ cwd: done.folder, signal }).catch((error: unknown) => error)
  if (io.json) {
    io.out(toJson(done))
    return 0
  }
  io.out(
    `${io.paint.green('Restored')} ${done.backup} to ${resolve(to)}: ${counted(done.tables, 'table')}, ${counted(done.files, 'file')}, ${formatBytes(done.bytes)}.`,
  )
  if (done.outside.length > 0)
    io.err(
      `${counted(done.outside.length, 'file')} outside the warehouse ${done.outside.length === 1 ? 'was' : 'were'} not in it.`,
    )
  for (const { path, why } of summed(done.leftOut)) io.err(`${io.paint.dim('was left out')} ${path}: ${why}`)
  if (done.config && !done.config.changed) io.err(`Write it into limn.config.ts now: ${done.config.line}`)
  if (state instanceof Error) io.err('Its project does not load here yet. When it does: limn lake rebuild-state')
  return 0
}

async function rebuild(invocation: Invocation): Promise<number> {
  const { io, signal } = invocation
  const environment = environmentOption(invocation)
  const done = await rebuildLakeState({ signal, ...(environment === undefined ? {} : { environment }) })
  if (io.json) {
    io.out(toJson(done))
    return 0
  }
  if (done.aside !== null) io.err(`The damaged database was put aside: ${done.aside}`)
  io.out(
    `${io.paint.green('Rebuilt')} the state: ${counted(done.recorded, 'run')} of the ledger, ${counted(done.refs, 'branch or pin', 'branches and pins')}, ${counted(done.staged, 'staged table')}.`,
  )
  for (const run of done.inDoubt) io.out(`In doubt: run ${run}; the next limn run settles it.`)
  return 0
}

function localPath(root: string): string {
  return root.replace(/^file:\/\//, '')
}
