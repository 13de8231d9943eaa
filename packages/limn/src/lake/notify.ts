import { setTimeout as sleep } from 'node:timers/promises'
import { LimnError, type TableId } from '../base/index.ts'
import {
  deliver,
  type Hook,
  type Incident,
  incidentsOf,
  inTimeAgain,
  lastPublished,
  lateIncidents,
  metMark,
  type Notification,
  type Notify,
  Outbox,
  type PipelineContext,
  ScheduleMarks,
} from '../pipeline/index.ts'
import type { Lake } from './lake.ts'
import { outlookOn } from './outlook.ts'
import { ledgerOf } from './tables.ts'

/** How long one try of a hook may take. */
const hookTimeoutMs = 10_000

/** What came of telling owners; a hook that failed is tried again with the next run. */
export interface Notified {
  readonly delivered: readonly string[]
  readonly failed: readonly { readonly id: string; readonly message: string }[]
}

const nothing: Notified = { delivered: [], failed: [] }

/** An error that nobody has to be told of by night: the person who typed the command reads it. */
function isOwn(error: unknown): boolean {
  if (!(error instanceof LimnError)) return error instanceof Error && error.name === 'AbortError'
  return error.kind === 'interrupted' || error.kind === 'lease/held' || error.exitCode === 2
}

/**
 * Runs `body` and tells owners what came of it, by the hooks of the configuration: what the ledger then says, and failures
 * that came before there was a run to record: thrown, or found by `failuresOf` in what `body` gives. Telling never changes
 * what `body` comes to.
 */
export async function withNotifications<T>(
  lake: Lake,
  body: () => Promise<T>,
  failuresOf: (result: T) => readonly unknown[] = () => [],
): Promise<T> {
  if (!hooksOfLake(lake)) return body()
  await beginNotifying(lake)
  try {
    const result = await body()
    await notify(lake, failuresOf(result))
    return result
  } catch (error) {
    await notify(lake, isOwn(error) ? [] : [error])
    throw error
  }
}

/** Nobody is told of what goes on in an environment: whoever works there sees it. */
function hooksOfLake(lake: Lake): Notify | null {
  return lake.environment === null ? (lake.config.notify ?? null) : null
}

/** Before the first run that can be told of: history is not told. */
async function beginNotifying(lake: Lake): Promise<void> {
  const { state, clock } = await lake.context()
  const outbox = new Outbox(state)
  if (outbox.readUpTo() !== null) return
  const rows = await ledgerOf(lake)
  await outbox.put([], Math.max(0, ...rows.map((row) => row.seq)), clock.nowMs())
}

/**
 * Puts what owners have to be told into the outbox, then delivers what is in it. Never throws: a hook's failure is no
 * failure of a run.
 */
export async function notify(lake: Lake, errors: readonly unknown[] = []): Promise<Notified> {
  const hooks = hooksOfLake(lake)
  if (!hooks) return nothing
  try {
    return await tellOwners(lake, hooks, errors)
  } catch (error) {
    const { progress } = await lake.context()
    progress.note(`Owners could not be told: ${error instanceof Error ? error.message : String(error)}`)
    return nothing
  }
}

async function tellOwners(lake: Lake, hooks: Notify, errors: readonly unknown[]): Promise<Notified> {
  const project = await lake.loadProject()
  const context = await lake.context(project)
  const nowMs = context.clock.nowMs()
  const outbox = new Outbox(context.state)
  const rows = await ledgerOf(lake)
  const last = Math.max(0, ...rows.map((row) => row.seq))
  const recorded = incidentsOf(rows, project.order, outbox.readUpTo() ?? last)
  const outlooks = await outlookOn(lake)
  const marks = new ScheduleMarks(context.state)
  const published = lastPublished(rows)
  const incidents = [
    ...recorded,
    ...errors.flatMap((error, i) => unrecorded(error, recorded, project.order, nowMs, i)),
    ...lateIncidents(outlooks, nowMs),
    ...publishedAgain(outbox, published, nowMs),
    ...inTimeAgain(toldLate(outbox), (dataset, tick) => isMet(marks, published, dataset, tick), nowMs),
  ]
  await outbox.put(lettersOf(lake, context, hooks, incidents), last, nowMs)
  return deliverAll(lake, context, hooks, outbox)
}

/** Failures that no run recorded, and whose datasets have published since. */
function publishedAgain(outbox: Outbox, published: ReadonlyMap<string, number>, atMs: number): readonly Incident[] {
  const told = outbox.ofKind('failed ').map((letter) => JSON.parse(letter.payload) as Notification)
  return told.flatMap((one): Incident[] => {
    const since = Math.max(0, ...[...published].flatMap(([id, at]) => (one.datasets.includes(id) ? [at] : [])))
    if (one.run !== null || since < Date.parse(one.at)) return []
    const message = `Published again: ${one.datasets.join(', ')}.`
    return [
      {
        id: `recovered ${one.id}`,
        on: 'recovered',
        datasets: one.datasets,
        run: null,
        atMs,
        message,
        predicted: false,
      },
    ]
  })
}

function toldLate(outbox: Outbox): readonly Notification[] {
  return outbox.ofKind('late ').map((letter) => JSON.parse(letter.payload) as Notification)
}

function isMet(
  marks: ScheduleMarks,
  published: ReadonlyMap<string, number>,
  dataset: string,
  tick: NonNullable<Incident['tick']>,
): boolean {
  return (marks.get(metMark(tick.schedule)) ?? 0) >= tick.atMs || (published.get(dataset) ?? 0) >= tick.atMs
}

/** A failure that came before the run was recorded: a file that is missing, a source that cannot be read. */
function unrecorded(
  error: unknown,
  recorded: readonly Incident[],
  known: readonly TableId[],
  atMs: number,
  i: number,
): readonly Incident[] {
  const message = error instanceof Error ? error.message : String(error)
  if (recorded.some((one) => one.on === 'failed' && one.message === message)) return []
  const datasets = known.filter((id) => message.includes(id))
  return [
    {
      id: `failed ${new Date(atMs).toISOString()} ${i}`,
      on: 'failed',
      datasets,
      run: null,
      atMs,
      message,
      predicted: false,
    },
  ]
}

function lettersOf(lake: Lake, context: PipelineContext, hooks: Notify, incidents: readonly Incident[]) {
  const ownerOf = (dataset: string) => context.project.nodes.get(dataset as TableId)?.contract.owner
  const owners = new Set([...context.project.nodes.values()].map((node) => node.contract.owner))
  return incidents.flatMap((incident) =>
    [...owners].flatMap((owner) => {
      const datasets = incident.datasets.filter((dataset) => ownerOf(dataset) === owner)
      if (incident.datasets.length > 0 && datasets.length === 0) return []
      return hooksOf(hooks, owner)
        .filter(({ hook }) => hook.on.includes(incident.on))
        .map(({ place }) => {
          const { atMs, ...rest } = incident
          const notification: Notification = {
            ...rest,
            lake: lake.name,
            owner,
            datasets,
            at: new Date(atMs).toISOString(),
          }
          return { id: `${incident.id}\n${owner}\n${place}`, payload: JSON.stringify(notification) }
        })
    }),
  )
}

/** An owner's hooks, and those of everybody, each with the place it has in the configuration. */
function hooksOf(hooks: Notify, owner: string): readonly { readonly hook: Hook; readonly place: string }[] {
  return [owner, '*'].flatMap((name) => (hooks[name] ?? []).map((hook, i) => ({ hook, place: `${name} ${i}` })))
}

async function deliverAll(lake: Lake, context: PipelineContext, hooks: Notify, outbox: Outbox): Promise<Notified> {
  const delivered: string[] = []
  const failed: { id: string; message: string }[] = []
  const unheard = new Map<string, number>()
  for (const letter of outbox.waiting(context.clock.nowMs())) {
    const [, owner = '', place = ''] = letter.id.split('\n')
    const hook = hooksOf(hooks, owner).find((one) => one.place === place)?.hook
    const notification = JSON.parse(letter.payload) as Notification
    // The hook was taken out of the configuration meanwhile.
    if (!hook) continue
    try {
      await deliver(hook, notification, {
        // A run that was interrupted tells that it was, too.
        signal: new AbortController().signal,
        sleep: async (ms, signal) => void (await sleep(ms, undefined, { signal })),
        variables: process.env,
        timeoutMs: hookTimeoutMs,
        cwd: lake.folder,
      })
      await outbox.delivered(letter.id, context.clock.nowMs())
      delivered.push(notification.id)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      await outbox.failed(letter.id, message, context.clock.nowMs())
      failed.push({ id: notification.id, message })
      const line = `${owner} could not be told (${notification.on}): ${message} It is tried again with the next run.`
      unheard.set(line, (unheard.get(line) ?? 0) + 1)
    }
  }
  // A hook that is down has a line of its own, however much waits for it.
  for (const [line, times] of unheard) context.progress.note(times === 1 ? line : `${line} (${times} such)`)
  return { delivered, failed }
}
