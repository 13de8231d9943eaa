import type { Predicate } from '../../expr/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import { pinRef, readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Cell } from './append.ts'
import { type Delivery, type LedgerRow, ledgerTable, type Outcome } from './ledger.ts'

/** All ledger rows as published in a given state of `limn.run`; with `after`, those of a later `seq`. */
export async function readLedger(
  context: PipelineContext,
  loaded: LoadedTable | null,
  after = 0,
): Promise<readonly LedgerRow[]> {
  const pin = loaded && pinRef(loaded)
  if (!pin || pin.snapshotId === null) return []
  const predicate = after > 0 ? laterThan(after) : undefined
  await using reading = await readPinned(context, pin, predicate ? { predicate } : {})
  await using session = await context.engine.session([reading.bound], { signal: context.signal })
  const { rows } = await session.rows(
    `SELECT seq, run_id, dataset, outcome, reason, planned, epoch_us(interval_start), epoch_us(interval_end), fingerprint, checks_hash,
       deliveries, inputs, base_snapshot, output_snapshot, rows, files, bytes, quarantined,
       epoch_ms(started_at), epoch_ms(judged_at), seconds, limn_version, host, message
     FROM ${ledgerTable} WHERE seq > ${after} ORDER BY seq`,
  )
  return rows.map((row) => ledgerRow(row as readonly Cell[]))
}

/** Files of earlier rows alone are not opened. */
function laterThan(seq: number): Predicate {
  return { kind: 'compare', operator: 'gt', column: 'seq', value: BigInt(seq) }
}

function ledgerRow(row: readonly Cell[]): LedgerRow {
  const text = (i: number) => String(row[i] ?? '')
  const number = (i: number) => Number(row[i] ?? 0)
  const id = (i: number) => (row[i] === null ? null : BigInt(String(row[i])))
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
    inputs: revivedIds(JSON.parse(text(11)) as Record<string, string>),
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

/** Ids as JSON keeps them, as text, made numbers again. */
export function revivedIds(ids: Readonly<Record<string, string>>): Readonly<Record<string, bigint>> {
  return Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, BigInt(id)]))
}
