import { LimnError, type RunId, randomPositiveLong } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import {
  type DataFile,
  type LoadedTable,
  partitionKey,
  type Requirement,
  type ScanTask,
  stageSnapshot,
  type TableCommit,
  type Update,
} from '../../iceberg/index.ts'
import { bindFiles, leaseFiles, liveTableTasks, pinRef, putFiles, readPinned, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Judgement } from '../run/gate.ts'
import { targetOf } from '../stage/staged-table.ts'
import {
  type Delivery,
  foldLedger,
  foldRename,
  type LedgerRow,
  ledgerContract,
  ledgerTable,
  type Outcome,
  verdictContract,
  verdictTable,
} from './ledger.ts'

/** A month of a ledger table is rewritten into one file when it has more files than this. */
const filesPerMonthMax = 100

type Cell = string | number | bigint | boolean | null

/** All ledger rows as published in a given state of `limn.run`. */
export async function readLedger(context: PipelineContext, loaded: LoadedTable | null): Promise<readonly LedgerRow[]> {
  const pin = loaded && pinRef(loaded)
  if (!pin || pin.snapshotId === null) return []
  const known = context.runs.fact(`ledger ${pin.metadata.tableUuid} ${pin.snapshotId}`)
  if (known !== null) return (JSON.parse(known) as StoredRow[]).map(revive)
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound], { signal: context.signal })
  const { rows } = await session.rows(
    `SELECT seq, run_id, dataset, outcome, reason, planned, epoch_us(interval_start), epoch_us(interval_end), fingerprint, checks_hash,
       deliveries, inputs, base_snapshot, output_snapshot, rows, files, bytes, quarantined,
       epoch_ms(started_at), epoch_ms(judged_at), seconds, limn_version, host, message
     FROM ${ledgerTable} ORDER BY seq`,
  )
  const stored = rows.map((row) => storedRow(row as readonly Cell[]))
  context.runs.rememberFact(`ledger ${pin.metadata.tableUuid} ${pin.snapshotId}`, JSON.stringify(stored))
  return stored.map(revive)
}

/** A ledger row as JSON: 64-bit ids as text. */
interface StoredRow extends Omit<LedgerRow, 'inputs' | 'baseSnapshot' | 'outputSnapshot'> {
  readonly inputs: Readonly<Record<string, string>>
  readonly baseSnapshot: string | null
  readonly outputSnapshot: string | null
}

function storedRow(row: readonly Cell[]): StoredRow {
  const text = (i: number) => String(row[i] ?? '')
  const number = (i: number) => Number(row[i] ?? 0)
  const id = (i: number) => (row[i] === null ? null : String(row[i]))
  return {
    seq: number(0),
    run: text(1),
    dataset: text(2),
    outcome: text(3) as Outcome,
    reason: text(4),
    planned: text(5),
    interval: row[6] === null ? null : { start: number(6), end: number(7) },
    fingerprint: text(8),
    checksHash: text(9),
    deliveries: JSON.parse(text(10)) as Delivery[],
    inputs: JSON.parse(text(11)) as Record<string, string>,
    baseSnapshot: id(12),
    outputSnapshot: id(13),
    rows: number(14),
    files: number(15),
    bytes: number(16),
    quarantined: number(17),
    startedAtMs: number(18),
    judgedAtMs: number(19),
    seconds: number(20),
    version: text(21),
    host: text(22),
    message: text(23),
  }
}

function revive(row: StoredRow): LedgerRow {
  return {
    ...row,
    inputs: Object.fromEntries(Object.entries(row.inputs).map(([name, id]) => [name, BigInt(id)])),
    baseSnapshot: row.baseSnapshot === null ? null : BigInt(row.baseSnapshot),
    outputSnapshot: row.outputSnapshot === null ? null : BigInt(row.outputSnapshot),
  }
}

/** Where each dataset stands, as published. */
export async function standing(context: PipelineContext, loaded: LoadedTable | null) {
  const folded = new Map(foldLedger(await readLedger(context, loaded)))
  for (const rename of context.renames ?? []) foldRename(folded, rename)
  return folded
}

/** Ledger rows and verdicts to be committed, `seq` still to be given. */
export interface RunRecordRows {
  readonly rows: readonly Omit<LedgerRow, 'seq'>[]
  readonly verdicts: readonly Judgement[]
  readonly judgedAtMs: number
  readonly run: RunId
}

/** What a ledger commit is made of, on the state of the ledger tables it was prepared for. */
export interface PreparedRecord {
  readonly commits: readonly TableCommit[]
  /** Files to delete once it is certain that the commit did not happen. */
  readonly files: readonly DataFile[]
}

/**
 * Writes the files of a ledger append and prepares its commit: to `limn.run`, and to `limn.check_result` when there are
 * verdicts. Prepared anew for every attempt, because `seq` follows what others have published.
 */
export async function prepareRecord(context: PipelineContext, record: RunRecordRows): Promise<PreparedRecord> {
  const tables = await context.catalog.loadTables([ledgerTable, verdictTable], { signal: context.signal })
  const ledger = tables.get(ledgerTable) ?? null
  const before = await readLedger(context, ledger)
  const first = before.reduce((max, row) => Math.max(max, row.seq), 0) + 1
  const parts = [
    await prepareAppend(
      context,
      ledgerContract,
      ledger,
      record.rows.map((row, i) => ledgerCells({ ...row, seq: first + i })),
      'started_at',
    ),
  ]
  if (record.verdicts.length > 0) {
    const cells = record.verdicts.map((one) => verdictCells(one, record))
    parts.push(await prepareAppend(context, verdictContract, tables.get(verdictTable) ?? null, cells, 'judged_at'))
  }
  return { commits: parts.map((part) => part.commit), files: parts.flatMap((part) => part.files) }
}

function timestamp(ms: number): bigint {
  return BigInt(ms) * 1000n
}

function ledgerCells(row: LedgerRow): readonly Cell[] {
  const ids = Object.fromEntries(Object.entries(row.inputs).map(([name, id]) => [name, String(id)]))
  return [
    BigInt(row.seq),
    row.run,
    row.dataset,
    row.outcome,
    row.reason,
    row.planned,
    row.interval && BigInt(row.interval.start),
    row.interval && BigInt(row.interval.end),
    row.fingerprint,
    row.checksHash,
    JSON.stringify(row.deliveries),
    JSON.stringify(ids),
    row.baseSnapshot,
    row.outputSnapshot,
    BigInt(row.rows),
    BigInt(row.files),
    BigInt(row.bytes),
    BigInt(row.quarantined),
    timestamp(row.startedAtMs),
    timestamp(row.judgedAtMs),
    row.seconds,
    row.version,
    row.host,
    row.message,
  ]
}

function verdictCells(one: Judgement, record: RunRecordRows): readonly Cell[] {
  return [
    record.run,
    one.dataset,
    one.check,
    one.kind,
    one.severity,
    one.scope,
    one.outcome,
    BigInt(one.failures),
    BigInt(one.judged),
    one.snapshotId,
    one.explanation,
    JSON.stringify(one.sample),
    timestamp(record.judgedAtMs),
  ]
}

async function prepareAppend(
  context: PipelineContext,
  contract: Contract,
  loaded: LoadedTable | null,
  rows: readonly (readonly Cell[])[],
  timeColumn: string,
): Promise<{ readonly commit: TableCommit; readonly files: readonly DataFile[] }> {
  const target = targetOf(context, contract, loaded)
  const columns = Object.entries(contract.columns).map(([name, column]) => ({ name, type: column.type }))
  await using scratch = await context.store.scratch({ signal: context.signal })
  const crowded = loaded ? await crowdedMonths(context, loaded) : []
  const pin = loaded && pinRef(loaded)
  await using lease = await leaseFiles(context, crowded)
  const bound = pin && crowded.length > 0 ? [bindFiles(pin, crowded, lease)] : []
  await using session = await context.engine.session(bound, { signal: context.signal })
  await session.ingest('limn_rows', columns, rows)
  const names = columns.map((column) => `"${column.name}"`).join(', ')
  const old = bound.length > 0 ? ` UNION ALL SELECT ${names} FROM ${contract.id}` : ''
  const written = await writeLocal(
    session,
    `SELECT ${names} FROM limn_rows${old} ORDER BY "${timeColumn}"`,
    target.layout,
    scratch.folder,
  )
  const files = await putFiles(context, target.layout, written)
  const staged = await stageSnapshot({
    store: context.store,
    manifests: context.manifests,
    steps: context.steps,
    randomness: context.randomness,
    base: target.evolved,
    parentSnapshotId: target.evolved.currentSnapshotId,
    ref: 'main',
    operation: crowded.length > 0 ? 'overwrite' : 'append',
    added: files,
    removed: crowded.map((task) => task.file),
    snapshotId: randomPositiveLong(context.randomness),
    timestampMs: context.clock.nowMs(),
    schemaId: target.layout.schema.schemaId,
    summary: {},
    signal: context.signal,
  })
  const requirements: readonly Requirement[] = loaded ? staged.requirements : [{ type: 'assert-create' }]
  const current: readonly Update[] = target.evolves
    ? [
        { action: 'set-current-schema', schemaId: target.layout.schema.schemaId },
        { action: 'set-default-spec', specId: target.layout.spec.specId },
      ]
    : []
  const updates: readonly Update[] = [...target.updates, ...staged.updates, ...current]
  return { commit: { table: contract.id, requirements, updates }, files }
}

/** Live files of months that have too many. */
async function crowdedMonths(context: PipelineContext, loaded: LoadedTable): Promise<readonly ScanTask[]> {
  const pin = pinRef(loaded)
  const months = new Map<string, ScanTask[]>()
  for (const task of pin ? await liveTableTasks(context, pin) : []) {
    const key = partitionKey(task.file)
    months.set(key, [...(months.get(key) ?? []), task])
  }
  return [...months.values()].filter((month) => month.length > filesPerMonthMax).flat()
}

/** Commits ledger rows and verdicts alone: how a refused, failed or abandoned run is remembered. */
export async function commitRecord(context: PipelineContext, record: RunRecordRows): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const prepared = await prepareRecord(context, record)
    const outcome = await context.catalog.commit(prepared.commits, {
      timestampMs: context.clock.nowMs(),
      signal: context.signal,
    })
    if (outcome.kind === 'committed') return
    if (outcome.kind === 'conflict' && attempt < 5) {
      await context.store.delete(prepared.files.map((file) => file.path))
      continue
    }
    throw new LimnError('catalog/conflict', {
      message: 'The record of the run could not be committed.',
      notDone: 'No dataset was changed.',
      remedy: 'Run again; the state database remembers the run.',
      retryable: true,
    })
  }
}
