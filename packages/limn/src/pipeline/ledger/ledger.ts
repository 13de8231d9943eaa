import { type TableId, tableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'

/** The lake's own tables: the record of what was done, published with the data it speaks of. */
export const ledgerTable = tableId('limn.run')
export const verdictTable = tableId('limn.check_result')

/**
 * What a ledger row says of a dataset and interval range. Published: `landed` (deliveries appended), `built` (rewritten),
 * `kept` (rebuilt, equal, files kept), `carried` (inputs moved without touching it), `checked` (only judged again), `renamed` (its
 * table, history and standing were another name's before), `edited` (rows changed by hand; the standing stays).
 * Not published: `refused` (a gate said no), `failed`, `abandoned` (the process died).
 */
export type Outcome =
  | 'landed'
  | 'built'
  | 'kept'
  | 'carried'
  | 'checked'
  | 'renamed'
  | 'edited'
  | 'refused'
  | 'failed'
  | 'abandoned'

export const publishedOutcomes: ReadonlySet<Outcome> = new Set([
  'landed',
  'built',
  'kept',
  'carried',
  'checked',
  'renamed',
  'edited',
])

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

export interface DatasetLedger {
  /** Disjoint, in order. */
  readonly built: readonly Built[]
  /** The latest delivery of each path, withdrawn ones included. */
  readonly latest: ReadonlyMap<string, Delivery>
  readonly lastOrdinal: number
  /** Of a function source: the last published cursor, parsed; null before the first. */
  readonly cursor: unknown
  /** Of the checks last judged and published. */
  readonly checksHash: string | null
  readonly outputSnapshot: bigint | null
}

export const emptyLedger: DatasetLedger = {
  built: [],
  latest: new Map(),
  lastOrdinal: 0,
  cursor: null,
  checksHash: null,
  outputSnapshot: null,
}

/** Folds ledger rows, in order of `seq`, into the standing of each dataset. */
export function foldLedger(rows: readonly LedgerRow[]): ReadonlyMap<TableId, DatasetLedger> {
  const out = new Map<TableId, DatasetLedger>()
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    if (!publishedOutcomes.has(row.outcome)) continue
    const id = tableId(row.dataset)
    if (row.outcome === 'renamed') foldRename(out, { from: tableId(row.reason.slice(renamedPrefix.length)), to: id })
    else out.set(id, foldRow(out.get(id) ?? emptyLedger, row))
  }
  return out
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

function foldRow(before: DatasetLedger, row: LedgerRow): DatasetLedger {
  const common = { checksHash: row.checksHash, outputSnapshot: row.outputSnapshot ?? before.outputSnapshot }
  if (row.outcome === 'edited') return { ...before, outputSnapshot: row.outputSnapshot ?? before.outputSnapshot }
  if (row.outcome === 'checked') return { ...before, ...common }
  if (row.outcome === 'landed') {
    const latest = new Map(before.latest)
    let { lastOrdinal, cursor } = before
    for (const delivery of row.deliveries) {
      latest.set(delivery.path, delivery)
      lastOrdinal = Math.max(lastOrdinal, delivery.ordinal)
      cursor = parseCursor(delivery.path, cursor)
    }
    return { ...before, ...common, latest, lastOrdinal, cursor }
  }
  const entry: Built = { interval: row.interval, fingerprint: row.fingerprint, inputs: row.inputs }
  return { ...before, ...common, built: overlay(before.built, entry) }
}

/** A cursor is stored as JSON; a file's path is not JSON and leaves the cursor as it was. */
function parseCursor(text: string, before: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return before
  }
}

function overlay(entries: readonly Built[], next: Built): readonly Built[] {
  const interval = next.interval
  if (interval === null) return [next]
  const hole = IntervalSet.of([interval])
  const kept = entries.flatMap((entry) =>
    entry.interval === null
      ? []
      : IntervalSet.of([entry.interval])
          .minus(hole)
          .intervals.map((part) => ({ ...entry, interval: part })),
  )
  return [...kept, next].sort((a, b) => (a.interval?.start ?? 0) - (b.interval?.start ?? 0))
}

/** The contract of `limn.run`: analysts may read it like any table. */
export const ledgerContract: Contract = {
  id: ledgerTable,
  doc: 'The ledger: one row per run, dataset and interval range, committed together with the data it speaks of.',
  owner: 'limn',
  grain: ['seq'],
  keys: [],
  columns: {
    seq: { type: 'long', doc: 'Order of publication, from 1.' },
    run_id: { type: 'string', doc: 'The run.' },
    dataset: { type: 'string', doc: 'The dataset, or * for the run as a whole.' },
    outcome: {
      type: 'string',
      doc: 'landed, built, kept, carried, checked, renamed or edited when published; refused, failed or abandoned when not.',
    },
    reason: { type: 'string', doc: 'Why it was planned.' },
    planned: { type: 'string', doc: 'JSON list: what the plan said of the dataset before anything was staged.' },
    interval_start: { type: 'timestamp', doc: 'Start of the interval range, inclusive.', nulls: 'the whole dataset' },
    interval_end: { type: 'timestamp', doc: 'End of the interval range, exclusive.', nulls: 'the whole dataset' },
    fingerprint: { type: 'string', doc: 'Hash of everything that decided the result.' },
    checks_hash: { type: 'string', doc: 'Hash of the checks that judged it.' },
    deliveries: { type: 'string', doc: 'JSON list of the deliveries landed.' },
    inputs: { type: 'string', doc: 'JSON object: input dataset to the snapshot id read.' },
    base_snapshot: { type: 'long', doc: 'Snapshot of main before.', nulls: 'the table did not exist' },
    output_snapshot: { type: 'long', doc: 'Snapshot of main after.', nulls: 'nothing was published' },
    rows: { type: 'long', doc: 'Rows written.', unit: 'row', additivity: 'additive' },
    files: { type: 'long', doc: 'Data files written.', unit: 'file', additivity: 'additive' },
    bytes: { type: 'long', doc: 'Bytes of data files written.', unit: 'byte', additivity: 'additive' },
    quarantined: { type: 'long', doc: 'Rows rejected into quarantine.', unit: 'row', additivity: 'additive' },
    started_at: { type: 'timestamptz', doc: 'When the work on this range began.' },
    judged_at: { type: 'timestamptz', doc: 'When the gate had judged the run.' },
    seconds: { type: 'double', doc: 'Time spent on this range up to the gate.', unit: 's', additivity: 'additive' },
    limn_version: { type: 'string', doc: 'Version of limn.' },
    host: { type: 'string', doc: 'Host that ran it.' },
    message: { type: 'string', doc: 'What went wrong, or empty.' },
  },
  partition: ['month(started_at)'],
  checks: [],
  rejects: [],
  rejectBudget: {},
  tags: [],
}

export const verdictContract: Contract = {
  id: verdictTable,
  doc: 'One row per run and check: what was judged, on which snapshot, and what was found.',
  owner: 'limn',
  grain: ['run_id', 'dataset', 'check_name'],
  keys: [],
  columns: {
    run_id: { type: 'string', doc: 'The run.' },
    dataset: { type: 'string', doc: 'The dataset judged.' },
    check_name: { type: 'string', doc: 'The check.' },
    kind: { type: 'string', doc: 'Kind of check.' },
    severity: { type: 'string', doc: 'hard or soft.' },
    scope: { type: 'string', doc: 'interval: the staged rows; table: all rows.' },
    outcome: { type: 'string', doc: 'passed or failed.' },
    failures: { type: 'long', doc: 'Rows or groups at fault.', unit: 'row', additivity: 'additive' },
    judged: { type: 'long', doc: 'Rows or groups judged.', unit: 'row', additivity: 'additive' },
    judged_snapshot: { type: 'long', doc: 'Snapshot judged.', nulls: 'the table had no snapshot' },
    explanation: { type: 'string', doc: 'What was found, in one sentence.' },
    sample: { type: 'string', doc: 'JSON: some of the rows at fault.' },
    judged_at: { type: 'timestamptz', doc: 'When it was judged.' },
  },
  partition: ['month(judged_at)'],
  checks: [],
  rejects: [],
  rejectBudget: {},
  tags: [],
}
