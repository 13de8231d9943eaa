import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { RunId } from '../../packages/limn/src/base/index.ts'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { parseMicros } from '../../packages/limn/src/dataset/index.ts'
import { approve, backfill, Lake, parseAt, query, resume } from '../../packages/limn/src/lake/index.ts'
import { type BackfillReport, BackfillState } from '../../packages/limn/src/pipeline/index.ts'
import { append, rewriteDataFiles } from '../../packages/limn/src/table/index.ts'
import { limn, temporaryFolder } from './lake.ts'
import { bronzeEvent, deliver, goldDay, silverEvent, writeLake } from './small-lake.ts'

/**
 * A lake whose silver was wrong for a month: thirty days are to be built anew by a corrected definition, while a daily run of
 * the newest day, a compaction and a person's append go on. All in this process, with a lake opened for each process there
 * would be; a process dies by never coming back from a named step, and its leases are marked as a dead one's.
 */

export const dayCount = 30
const first = Date.UTC(2026, 0, 1)
const dayMs = 86_400_000

export const dayText = (day: number) => new Date(first + day * dayMs).toISOString().slice(0, 10)
const atNoon = (day: number) => `${dayText(day)} 12:00:00`

/** The corrected definition doubles what the first one copied. */
const corrected = silverEvent.replace(', amount FROM', ', amount * 2 AS amount FROM')

export type Edge = 'before' | 'after'
export type Hook = (name: string, edge: Edge, detail: string) => void | Promise<void>

/** Built once and copied for each case: the first definition published, the corrected one in its place. */
export async function makeWorld(name: string): Promise<ReturnType<typeof temporaryFolder>> {
  const lake = temporaryFolder(name)
  writeLake(lake.folder, {
    'limn.config.ts':
      "import { defineLake } from 'limn'\nexport default defineLake({ name: 'small', engine: { threads: 1 } })\n",
    'datasets/bronze/event.ts': bronzeEvent,
    'datasets/silver/event.ts': silverEvent,
    'datasets/gold/day.ts': goldDay,
  })
  // Day 0 is before the range and day 31 after it.
  deliver(
    lake.folder,
    'a',
    Array.from({ length: dayCount + 2 }, (_, day) => [String(day), atNoon(day), String(day + 1)]),
  )
  // In a process of its own: this one would remember the first definition.
  const ran = await limn(lake.folder, 'run')
  if (ran.code !== 0) throw new Error(ran.stderr)
  writeLake(lake.folder, { 'datasets/silver/event.ts': corrected })
  return lake
}

export const range = { start: parseMicros(dayText(1)), end: parseMicros(dayText(dayCount + 1)) }

export async function withLake<T>(
  folder: string,
  reach: Hook | undefined,
  body: (lake: Lake) => Promise<T>,
): Promise<T> {
  await using lake = await Lake.open({ cwd: folder, ...(reach ? { steps: { reach } } : {}) })
  return await body(lake)
}

/** The backfill of the month, or what is left of it; `approved` in advance or not at all. */
export async function goOn(folder: string, approved: boolean, reach?: Hook): Promise<BackfillReport> {
  return withLake(folder, reach, async (lake) => {
    const id = await openBackfill(lake)
    if (id !== null) return resume(lake, id)
    return backfill(lake, { select: ['silver.event+'], range, parallel: 3, approved })
  })
}

async function openBackfill(lake: Lake): Promise<RunId | null> {
  const { state } = await lake.context()
  return new BackfillState(state).all().find((one) => one.ended === null)?.id ?? null
}

export async function approveIt(folder: string): Promise<BackfillReport> {
  return withLake(folder, undefined, async (lake) => approve(lake, (await openBackfill(lake)) ?? ''))
}

/** Every process that holds a lease is taken for dead, as if the machine had been switched off. */
export function bury(folder: string): void {
  using database = new DatabaseSync(join(folder, '.limn', 'state.db'))
  database.exec('UPDATE lease SET pid = 4194305 WHERE holder IS NOT NULL')
}

/** What goes on beside the backfill. Each is done once per case, by a lake of its own. */
export const neighbours = {
  /** A late row of a day inside the range, and one of the newest day; the daily run builds the newest day alone. */
  daily: (folder: string) => {
    deliver(folder, 'b', [
      ['100', atNoon(7), '1000'],
      ['101', atNoon(dayCount + 1), '5'],
    ])
    return withLake(folder, undefined, (lake) =>
      lake.run({
        range: { start: parseMicros(dayText(dayCount + 1)), end: parseMicros(dayText(dayCount + 2)) },
        waitMs: 5_000,
      }),
    )
  },
  compaction: (folder: string) =>
    withLake(folder, undefined, async (lake) =>
      rewriteDataFiles(await lake.context(), tableId('silver.event'), { all: true, minInputFiles: 1 }),
    ),
  /** By hand, into a day before the range. */
  append: (folder: string) =>
    withLake(folder, undefined, async (lake) =>
      append(await lake.context(), tableId('silver.event'), {
        sql: `SELECT 200::BIGINT AS id, TIMESTAMP '${atNoon(0)}' AS happened_at, 7::INTEGER AS amount`,
      }),
    ),
} as const

export type Neighbour = keyof typeof neighbours

/** Which definition each day's amounts follow: `old`, `new` or `mixed`. */
export async function definitionsSeen(folder: string): Promise<readonly string[]> {
  const sql = `SELECT list(CASE WHEN amount = id + 1 THEN 'old' WHEN amount = 2 * (id + 1) THEN 'new' ELSE 'other' END ORDER BY id)[1]
    FROM silver.event WHERE id BETWEEN 1 AND ${dayCount} GROUP BY date_trunc('day', happened_at) ORDER BY date_trunc('day', happened_at)`
  return (await rowsOf(folder, sql)).map((row) => String(row[0]))
}

export async function rowsOf(folder: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  return withLake(folder, undefined, async (lake) => (await query(lake, sql, parseAt(undefined))).rows)
}

/** Silver and gold as they are, day by day: what an oracle without limn is compared with. */
export async function contents(
  folder: string,
): Promise<{ readonly silver: readonly string[]; readonly gold: readonly string[] }> {
  const silver = await rowsOf(folder, 'SELECT id, happened_at::DATE::VARCHAR, amount FROM silver.event ORDER BY ALL')
  const gold = await rowsOf(folder, 'SELECT day::DATE::VARCHAR, events, amount FROM gold.day ORDER BY ALL')
  const text = (rows: readonly (readonly unknown[])[]) => rows.map((row) => row.join(' '))
  return { silver: text(silver), gold: text(gold) }
}

/** What has to be published in the end, from the deliveries alone. */
export function oracle(done: readonly Neighbour[]): {
  readonly silver: readonly string[]
  readonly gold: readonly string[]
} {
  const rows: { id: number; day: number; amount: number }[] = []
  for (let day = 0; day < dayCount + 2; day++) rows.push({ id: day, day, amount: 2 * (day + 1) })
  if (done.includes('daily')) rows.push({ id: 100, day: 7, amount: 2000 }, { id: 101, day: dayCount + 1, amount: 10 })
  // The append is no delivery: the day's own build does not have it, and the last run builds every day by the new definition.
  const gold = new Map<number, { events: number; amount: number }>()
  for (const { day, amount } of rows) {
    const one = gold.get(day) ?? { events: 0, amount: 0 }
    gold.set(day, { events: one.events + 1, amount: one.amount + amount })
  }
  return {
    silver: rows
      .toSorted((a, b) => a.id - b.id || a.day - b.day)
      .map((row) => `${row.id} ${dayText(row.day)} ${row.amount}`),
    gold: [...gold].sort(([a], [b]) => a - b).map(([day, one]) => `${dayText(day)} ${one.events} ${one.amount}`),
  }
}

/** Some place in a backfill where a process can die. */
export interface Place {
  readonly index: number
  readonly kind: string
  /** Which of its kind it is, from 0: what else goes on adds steps before it. */
  readonly nth: number
}

/** Every step a whole backfill reaches, each named by its kind: what it does and to what, ids and numbers aside. */
export async function placesOf(folder: string, approved: boolean): Promise<readonly Place[]> {
  const places: Place[] = []
  const counts = new Map<string, number>()
  await goOn(folder, approved, (name, edge, detail) => {
    const kind = kindOf(name, edge, detail)
    const nth = counts.get(kind) ?? 0
    counts.set(kind, nth + 1)
    places.push({ index: places.length, kind, nth })
  })
  return places
}

function kindOf(name: string, edge: Edge, detail: string): string {
  return `${name} ${edge} ${shortened(detail)}`
}

function shortened(detail: string): string {
  return (
    detail
      .replaceAll(/\S*\//g, '')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|\d{8}T\d{6}-[0-9a-f]{6}|\d+/g, '#')
      .replaceAll(/m#-#/g, 'manifest')
      // A definition is written down once, by whoever publishes it first.
      .replace(' limn.definition', '')
  )
}

/** One place of each kind, anywhere. */
export function oneOfEach(places: readonly Place[], draw: (below: number) => number): readonly Place[] {
  return [...Map.groupBy(places, (place) => place.kind).values()].flatMap((group) => group[draw(group.length)] ?? [])
}

/** When neighbours come by: each once, before a given step. */
export function visits(before: number, draw: (below: number) => number): ReadonlyMap<number, Neighbour> {
  const names: readonly Neighbour[] = ['daily', 'compaction', 'append']
  return new Map(
    names.map((name, i) => [(draw(Math.max(1, Math.floor(before / 3))) * 3 + i) % Math.max(3, before), name]),
  )
}

/** A process that goes on with the backfill, met by others at given steps, and that ends at one: dead, or only paused. */
export async function meet(
  folder: string,
  options: {
    readonly approved: boolean
    readonly end: { readonly at: Place; readonly how: 'dies' | 'pauses' }
    readonly others: ReadonlyMap<number, Neighbour>
  },
): Promise<Meeting> {
  let index = 0
  let left = options.end.at.nth
  let busy: Promise<unknown> = Promise.resolve()
  let wake: () => void = () => undefined
  const awake = new Promise<void>((resolve) => {
    wake = resolve
  })
  let stop: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  const done: Neighbour[] = []
  let gone = false
  const body = goOn(folder, options.approved, async (name, edge, detail) => {
    const at = index++
    if (kindOf(name, edge, detail) === options.end.at.kind && left-- === 0) gone = true
    const other = options.others.get(at)
    if (other && !gone) {
      busy = busy.then<unknown>(() => neighbours[other](folder))
      done.push(other)
    }
    // While a neighbour is at work the backfill stands still, so that a seed gives one history.
    await busy
    if (gone) {
      stop()
      await (options.end.how === 'dies' ? new Promise(() => undefined) : awake)
    }
  })
  const ended = body.then(
    (report): Meeting['result'] => ({ kind: 'ended', report }),
    (error: unknown): Meeting['result'] => ({ kind: 'threw', error }),
  )
  const first = await Promise.race([ended, stopped.then((): Meeting['result'] => ({ kind: 'stopped' }))])
  return { result: first, done, wake, ended }
}

export interface Meeting {
  readonly result:
    | { readonly kind: 'ended'; readonly report: BackfillReport }
    | { readonly kind: 'threw'; readonly error: unknown }
    | { readonly kind: 'stopped' }
  /** Who came by, in order. */
  readonly done: readonly Neighbour[]
  /** Lets a paused process go on. */
  readonly wake: () => void
  readonly ended: Promise<Meeting['result']>
}
