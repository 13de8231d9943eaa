import { counted } from '../../base/index.ts'
import { dropFromLake, listDropped, undoDropInLake } from '../../lake/index.ts'
import { usage } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { formatTable, toJson } from '../text.ts'
import { openLake } from './open.ts'

export default async function drop(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const [name] = args
  const [undo, purge, force, dryRun] = ['undo', 'purge', 'force', 'dryRun'].map((key) => options[key] === true)
  if (name === undefined && (undo || purge || force || dryRun))
    throw usage('Which table?', `Name it: limn drop${undo ? ' --undo' : ''} silver.old_flight`)
  if (undo && (purge || force || dryRun)) throw usage('--undo stands alone.', 'limn drop --undo silver.old_flight')
  await using lake = await openLake(invocation)
  if (name === undefined) {
    const all = await listDropped(lake)
    if (io.json) io.out(toJson(all))
    else if (all.length === 0) io.out('Nothing was dropped that could be had back.')
    else
      io.out(
        formatTable(
          ['table', 'dropped (UTC)', 'undo until (UTC)', 'called meanwhile'],
          all.map((one) => [one.from, minute(one.droppedAtMs), minute(one.undoUntilMs), one.table]),
          io.width,
        ),
      )
    return 0
  }
  if (undo) {
    const back = await undoDropInLake(lake, name)
    if (io.json) io.out(toJson(back))
    else io.out(`${io.paint.green('Had back')} ${back.map((one) => one.from).join(', ')}, with history and standing.`)
    return 0
  }
  const report = await dropFromLake(lake, name, {
    force: force === true,
    purge: purge === true,
    dryRun: dryRun === true,
  })
  if (io.json) {
    io.out(toJson({ ...report, dryRun }))
    return 0
  }
  for (const one of report.consumers) io.err(`${io.paint.yellow('Broken by it:')} ${one.what} ${one.how}.`)
  if (dryRun) io.out(`Would drop ${name}. Nothing was changed.`)
  else if (purge) io.out(`${io.paint.green('Dropped')} ${name} and deleted ${counted(report.files, 'file')}.`)
  else {
    const until = report.dropped[0]?.undoUntilMs ?? 0
    io.out(
      `${io.paint.green('Dropped')} ${name}. Until ${minute(until)} UTC it can be had back: limn drop --undo ${name}`,
    )
  }
  return 0
}

function minute(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 16)
}
