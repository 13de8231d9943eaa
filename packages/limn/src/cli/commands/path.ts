import { counted, LimnError, nearest } from '../../base/index.ts'
import { formatDuration } from '../../dataset/index.ts'
import { ledgerOf, outlookOn } from '../../lake/index.ts'
import { type Outlook, type Project, pathOfRun, type RunPath, workOf } from '../../pipeline/index.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { formatTable, toJson } from '../text.ts'
import { openLake } from './open.ts'

/** `limn runs path [RUN]`: the chain that decided a run's finish, the slack of the rest, and what is to come. */
export default async function path(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  await using lake = await openLake(invocation)
  const project = await lake.loadProject()
  const rows = await ledgerOf(lake)
  const worked = [...Map.groupBy(rows, (row) => row.run)].filter(([, own]) => workOf(project, own).length > 0)
  const id = args[1] ?? worked.at(-1)?.[0]
  const own = rows.filter((row) => row.run === id)
  if (args[1] !== undefined && own.length === 0) throw unknownRun(args[1], new Set(rows.map((row) => row.run)))
  const found = pathOfRun(project, own)
  const outlooks = await outlookOn(lake)
  if (io.json) {
    io.out(toJson({ run: id ?? null, path: found && pathValue(found), outlook: outlooks.map(outlookValue) }))
    return 0
  }
  if (found && id !== undefined) printPath(io, project, id, found)
  else io.out(id === undefined ? 'No run has done any work yet.' : `Run ${id} worked on nothing.`)
  if (outlooks.length > 0) printOutlook(io, outlooks)
  return 0
}

function unknownRun(id: string, known: ReadonlySet<string>): LimnError {
  const close = nearest(id, known)
  return new LimnError('usage/unknown-run', {
    message: `The ledger has no run ${id}.`,
    remedy: close ? `Did you mean ${close}?` : 'List the runs with: limn runs ls',
  })
}

function printPath(io: Io, project: Project, id: string, found: RunPath): void {
  const { path, work, waitedMs } = found
  const total = seconds(found.judgedMs - found.beganMs)
  io.out(
    `run ${id}: ${total} from the first dataset to the verdict, decided by ${path.chain.length} of ${counted(work.length, 'dataset')}`,
  )
  const onPath = new Set(path.chain)
  const rows = project.order.flatMap((dataset) => {
    const one = work.find((each) => each.dataset === dataset)
    if (!one) return []
    const waited = waitedMs.get(dataset) ?? 0
    return [
      [
        onPath.has(dataset) ? '→' : '',
        dataset,
        seconds(one.endedMs - one.beganMs),
        onPath.has(dataset) ? '' : seconds(path.slackMs.get(dataset) ?? 0),
        waited > 0 ? seconds(waited) : '',
      ],
    ]
  })
  io.out(formatTable(['', 'dataset', 'took', 'slack', 'waited'], rows, io.width))
  io.out(`Judging and publishing: ${seconds(found.judgingMs)}.`)
}

function seconds(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(2)} s` : formatDuration(ms)
}

function printOutlook(io: Io, outlooks: readonly Outlook[]): void {
  io.out('')
  io.out(
    formatTable(
      ['dataset', 'tick (UTC)', 'promise', 'by', 'expected', 'when slow', '', 'decided by'],
      outlooks.map((one) => [
        one.dataset,
        one.schedule === null ? '' : minuteText(one.tickMs),
        one.promise,
        minuteText(one.byMs),
        one.expectedMs === null ? 'unknown' : minuteText(one.expectedMs),
        one.slowMs === null ? 'unknown' : minuteText(one.slowMs),
        one.verdict,
        one.chain.join(' → '),
      ]),
      io.width,
    ),
  )
}

function minuteText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}

function pathValue(found: RunPath) {
  return {
    chain: found.path.chain,
    totalSeconds: found.path.totalMs / 1000,
    judgingSeconds: found.judgingMs / 1000,
    datasets: found.work.map((one) => ({
      dataset: one.dataset,
      began: new Date(one.firstMs).toISOString(),
      seconds: (one.endedMs - one.beganMs) / 1000,
      slackSeconds: (found.path.slackMs.get(one.dataset) ?? 0) / 1000,
      waitedSeconds: (found.waitedMs.get(one.dataset) ?? 0) / 1000,
    })),
  }
}

function outlookValue(one: Outlook) {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    dataset: one.dataset,
    schedule: one.schedule,
    tick: one.schedule === null ? null : iso(one.tickMs),
    promise: one.promise,
    by: iso(one.byMs),
    expected: iso(one.expectedMs),
    slow: iso(one.slowMs),
    chain: one.chain,
    verdict: one.verdict,
  }
}
