import { LimnError, type TableId, tableId } from '../../base/index.ts'
import type { Interval } from '../../dataset/index.ts'

/** The lake's own tables: the record of what was done, published with the data it speaks of. */
export const ledgerTable = tableId('limn.run')
export const verdictTable = tableId('limn.check_result')

/**
 * What a ledger row says of a dataset and interval range. Published: `landed` (deliveries appended), `built` (rewritten),
 * `kept` (rebuilt, equal, files kept), `carried` (inputs moved without touching it), `accepted` (left as an earlier definition
 * built it, on purpose), `checked` (only judged again), `renamed` (its table, history and standing were another name's
 * before), `edited` (rows changed by hand; the standing stays).
 * Not published: `refused` (a gate said no), `failed`, `cancelled` (it was asked to stop, or interrupted), `abandoned` (the
 * process died).
 */
export type Outcome =
  | UnpublishedOutcome
  | 'landed'
  | 'built'
  | 'kept'
  | 'carried'
  | 'accepted'
  | 'checked'
  | 'renamed'
  | 'edited'

/** How a run ends that publishes nothing. */
export type UnpublishedOutcome = 'refused' | 'failed' | 'cancelled' | 'abandoned'

const unpublishedOutcomes: Readonly<Record<UnpublishedOutcome, true>> = {
  refused: true,
  failed: true,
  cancelled: true,
  abandoned: true,
}

/** Whether a word says that a run published nothing. */
export function isUnpublishedOutcome(word: string): word is UnpublishedOutcome {
  return Object.hasOwn(unpublishedOutcomes, word)
}

/** How a run ended, by its rows in the ledger. */
export function outcomeOfRun(rows: readonly Pick<LedgerRow, 'outcome'>[]): UnpublishedOutcome | 'published' {
  return rows.map((row) => row.outcome).find(isUnpublishedOutcome) ?? 'published'
}

/** How a run ends that an error ended. */
export function outcomeOfError(error: unknown): 'failed' | 'cancelled' {
  return error instanceof LimnError && error.kind === 'interrupted' ? 'cancelled' : 'failed'
}

export const publishedOutcomes: ReadonlySet<Outcome> = new Set([
  'landed',
  'built',
  'kept',
  'carried',
  'accepted',
  'checked',
  'renamed',
  'edited',
])

/** Whether a row speaks of what readers see. */
export function isPublishedOutcome(outcome: Outcome): boolean {
  return publishedOutcomes.has(outcome)
}

/** One delivery as the ledger keeps it. */
export interface Delivery {
  readonly ordinal: number
  /** Path relative to the lake, or the cursor as JSON text. */
  readonly path: string
  /** Of the file's bytes, or of the batch's rows; null marks a withdrawal. */
  readonly sha256: string | null
  /** The ordinal this one replaces as the latest of its path, or null. */
  readonly replaces: number | null
  readonly read: number
  readonly kept: number
  readonly quarantined: number
}

export interface LedgerRow {
  /** Order of publication, from 1. */
  readonly seq: number
  readonly run: string
  readonly dataset: string
  readonly outcome: Outcome
  readonly reason: string
  /** JSON: what the first plan said of the dataset, upper bounds included. */
  readonly planned: string
  readonly interval: Interval | null
  readonly fingerprint: string
  readonly checksHash: string
  readonly deliveries: readonly Delivery[]
  /** Input snapshots the rows were built from. */
  readonly inputs: Readonly<Record<string, bigint>>
  readonly baseSnapshot: bigint | null
  readonly outputSnapshot: bigint | null
  readonly rows: number
  readonly files: number
  readonly bytes: number
  readonly quarantined: number
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number
  /** When the gate had judged. */
  readonly judgedAtMs: number
  readonly seconds: number
  readonly version: string
  readonly host: string
  readonly message: string
}

/** An interval (null: the whole table) and what it was last built from. */
export interface Built {
  readonly interval: Interval | null
  readonly fingerprint: string
  readonly inputs: Readonly<Record<string, bigint>>
}

/** What one build or landing took: what estimates are made of. */
export interface BuildSample {
  readonly run: string
  readonly interval: Interval | null
  readonly outcome: 'built' | 'kept' | 'landed'
  readonly rows: number
  readonly bytes: number
  readonly deliveries: number
  /** Builds of several ranges at once share both. */
  readonly startedAtMs: number
  readonly seconds: number
}

/** So many of a dataset's latest samples are kept. */
export const samplesMax = 20

export interface DatasetLedger {
  /** Disjoint, in order; neighbours built from the same are one. */
  readonly built: readonly Built[]
  /** The latest delivery of each path, withdrawn ones included. */
  readonly latest: ReadonlyMap<string, Delivery>
  readonly lastOrdinal: number
  /** Of a function source: the last published cursor, parsed; null before the first. */
  readonly cursor: unknown
  /** Of the checks last judged and published. */
  readonly checksHash: string | null
  readonly outputSnapshot: bigint | null
  /** Of published work, oldest first. */
  readonly samples: readonly BuildSample[]
}

export const emptyLedger: DatasetLedger = {
  built: [],
  latest: new Map(),
  lastOrdinal: 0,
  cursor: null,
  checksHash: null,
  outputSnapshot: null,
  samples: [],
}

/** What folding looks at of a ledger row. */
export type FoldedRow = Pick<
  LedgerRow,
  | 'seq'
  | 'run'
  | 'dataset'
  | 'outcome'
  | 'reason'
  | 'interval'
  | 'fingerprint'
  | 'checksHash'
  | 'deliveries'
  | 'inputs'
  | 'outputSnapshot'
  | 'rows'
  | 'bytes'
  | 'startedAtMs'
  | 'seconds'
>

/**
 * Folds ledger rows, in order of `seq`, into the standing of each dataset; `before` is what earlier rows gave. Linear in
 * the rows where each says something of the end of what was built, as daily runs do.
 */
export function foldLedger(
  rows: readonly FoldedRow[],
  before: ReadonlyMap<TableId, DatasetLedger> = new Map(),
): ReadonlyMap<TableId, DatasetLedger> {
  const open = new Map<TableId, OpenLedger>()
  /** Names that `before` knows and that were given up since. */
  const gone = new Set<TableId>()
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    if (!publishedOutcomes.has(row.outcome)) continue
    const id = tableId(row.dataset)
    if (row.outcome === 'renamed') {
      const from = tableId(row.reason.slice(renamedPrefix.length))
      const standing = new Map<TableId, DatasetLedger>([...before].filter(([one]) => !gone.has(one)))
      for (const [one, ledger] of open) standing.set(one, ledger)
      foldRename(standing, { from, to: id })
      open.clear()
      for (const [one, ledger] of standing) open.set(one, opened(ledger))
      gone.add(from)
      continue
    }
    let ledger = open.get(id)
    if (!ledger) {
      ledger = opened((gone.has(id) ? undefined : before.get(id)) ?? emptyLedger)
      open.set(id, ledger)
    }
    foldRow(ledger, row)
  }
  return new Map([...[...before].filter(([id]) => !gone.has(id)), ...open])
}

/** Before the former name, in the reason of a row that says a dataset was renamed. */
export const renamedPrefix = 'renamed-from: '

/** Before the reason a person gave, in the reason of a row that says rows were changed by hand. */
export const editPrefix = 'break-glass: '

/** A dataset's standing under another name, its own and as an input of others. */
export function foldRename(
  standing: Map<TableId, DatasetLedger>,
  { from, to }: { readonly from: TableId; readonly to: TableId },
): void {
  const own = standing.get(from)
  standing.delete(from)
  if (own) standing.set(to, own)
  for (const [id, ledger] of standing)
    standing.set(id, { ...ledger, built: ledger.built.map((entry) => withInput(entry, from, to)) })
}

function withInput(entry: Built, from: TableId, to: TableId): Built {
  const { [from]: snapshotId, ...rest } = entry.inputs
  return snapshotId === undefined ? entry : { ...entry, inputs: { ...rest, [to]: snapshotId } }
}

interface OpenLedger extends DatasetLedger {
  readonly built: Built[]
  readonly latest: Map<string, Delivery>
  readonly samples: BuildSample[]
  lastOrdinal: number
  cursor: unknown
  checksHash: string | null
  outputSnapshot: bigint | null
}

function opened(ledger: DatasetLedger): OpenLedger {
  return { ...ledger, built: [...ledger.built], latest: new Map(ledger.latest), samples: [...ledger.samples] }
}

/** Whether a row is one that estimates are made of. */
export function isSample(outcome: Outcome): outcome is BuildSample['outcome'] {
  return outcome === 'built' || outcome === 'kept' || outcome === 'landed'
}

function foldRow(ledger: OpenLedger, row: FoldedRow): void {
  if (row.outcome === 'edited') {
    ledger.outputSnapshot = row.outputSnapshot ?? ledger.outputSnapshot
    return
  }
  ledger.checksHash = row.checksHash
  ledger.outputSnapshot = row.outputSnapshot ?? ledger.outputSnapshot
  if (isSample(row.outcome)) {
    const { run, interval, bytes, startedAtMs, seconds } = row
    const outcome: BuildSample['outcome'] = row.outcome
    ledger.samples.push({
      run,
      interval,
      outcome,
      rows: row.rows,
      bytes,
      deliveries: row.deliveries.length,
      startedAtMs,
      seconds,
    })
    if (ledger.samples.length > samplesMax) ledger.samples.shift()
  }
  if (row.outcome === 'checked') return
  if (row.outcome === 'landed') {
    for (const delivery of row.deliveries) {
      ledger.latest.set(delivery.path, delivery)
      ledger.lastOrdinal = Math.max(ledger.lastOrdinal, delivery.ordinal)
      ledger.cursor = parseCursor(delivery.path, ledger.cursor)
    }
    return
  }
  overlay(ledger.built, { interval: row.interval, fingerprint: row.fingerprint, inputs: row.inputs }, sameOrigin)
}

/** A cursor is stored as JSON; a file's path is not JSON and leaves the cursor as it was. */
function parseCursor(text: string, before: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return before
  }
}

/** Puts an entry over those it covers, wholly or in part, and joins it with neighbours that are the same. */
export function overlay<Entry extends { readonly interval: Interval | null }>(
  entries: Entry[],
  next: Entry,
  same: (a: Entry, b: Entry) => boolean,
): void {
  const { interval } = next
  if (interval !== null && interval.start >= interval.end) return
  if (interval === null || entries[0]?.interval === null) {
    entries.splice(0, entries.length, next)
    return
  }
  const first = firstIndex(entries, (entry) => entry.end >= interval.start)
  const last = firstIndex(entries, (entry) => entry.start > interval.end)
  let joined = { start: interval.start, end: interval.end }
  const kept: { readonly before: Entry[]; readonly after: Entry[] } = { before: [], after: [] }
  for (const entry of entries.slice(first, last)) {
    if (!entry.interval) continue
    const { start, end } = entry.interval
    if (same(entry, next)) {
      joined = { start: Math.min(joined.start, start), end: Math.max(joined.end, end) }
      continue
    }
    if (start < interval.start) kept.before.push({ ...entry, interval: { start, end: Math.min(end, interval.start) } })
    if (end > interval.end) kept.after.push({ ...entry, interval: { start: Math.max(start, interval.end), end } })
  }
  entries.splice(first, last - first, ...kept.before, { ...next, interval: joined }, ...kept.after)
}

function firstIndex(
  entries: readonly { readonly interval: Interval | null }[],
  test: (interval: Interval) => boolean,
): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const interval = entries[middle]?.interval
    if (interval && test(interval)) high = middle
    else low = middle + 1
  }
  return low
}

function sameOrigin(a: Built, b: Built): boolean {
  if (a.fingerprint !== b.fingerprint) return false
  if (a.inputs === b.inputs) return true
  const names = Object.keys(a.inputs)
  return names.length === Object.keys(b.inputs).length && names.every((name) => a.inputs[name] === b.inputs[name])
}
