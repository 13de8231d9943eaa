import type { Predicate } from '../../expr/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import type { Session } from '../../engine/index.ts'
import { readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Cell } from './append.ts'
import { CountingRows } from './counting-rows.ts'
import { type Delivery, type FoldedRow, type LedgerRow, ledgerTable, type Outcome } from './ledger.ts'
import { ledgerContract } from './ledger-contracts.ts'
import { pinOwn } from './own-tables.ts'

/** All ledger rows as published in a given state of `limn.run`; with `after`, those of a later `seq`. */
export async function readLedger(
  context: PipelineContext,
  loaded: LoadedTable | null,
  after = 0,
): Promise<readonly LedgerRow[]> {
  const pin = pinOwn(context, ledgerContract, loaded)
  if (!pin || pin.snapshotId === null) return []
  await using reading = await readPinned(context, pin, laterThan(after))
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
function laterThan(seq: number): { readonly predicate?: Predicate } {
  return seq > 0 ? { predicate: { kind: 'compare', operator: 'gt', column: 'seq', value: BigInt(seq) } } : {}
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

/** Up to so many rows are all read: then looking first which of them count costs more than it saves. */
const allReadMax = 5000

const foldedColumns = `l.seq::DOUBLE, l.dataset, l.outcome, epoch_us(l.interval_start)::DOUBLE, epoch_us(l.interval_end)::DOUBLE,
  l.fingerprint, l.checks_hash, l.deliveries, l.inputs, l.output_snapshot, l.rows::DOUBLE, l.bytes::DOUBLE, l.run_id,
  epoch_ms(l.started_at)::DOUBLE, l.seconds, CASE WHEN l.outcome = 'renamed' THEN l.reason ELSE '' END`

/**
 * What the standing of datasets is folded from, in order of `seq`, of published rows after one: some thousands at a time. Of
 * many rows only those that count are read whole; which do is told by a few narrow columns. Equal texts of inputs become one
 * object, because thousands of rows say the same.
 */
export async function* readFoldedRows(
  context: PipelineContext,
  loaded: LoadedTable,
  after: number,
): AsyncGenerator<readonly FoldedRow[]> {
  const pin = pinOwn(context, ledgerContract, loaded)
  if (!pin || pin.snapshotId === null) return
  await using reading = await readPinned(context, pin, laterThan(after))
  await using session = await context.engine.session([reading.bound], { signal: context.signal })
  const { rows } = await session.rows(`SELECT count(*)::DOUBLE FROM ${ledgerTable} WHERE seq > ${after}`)
  const only = Number(rows[0]?.[0] ?? 0) > allReadMax ? await countingRows(session, after) : ''
  const inputs = new Map<string, Readonly<Record<string, bigint>>>()
  const wide = `SELECT ${foldedColumns} FROM ${ledgerTable} AS l ${only} WHERE l.seq > ${after} ORDER BY l.seq`
  for await (const part of session.parts(wide)) yield part.map((row) => foldedRow(row as readonly Cell[], inputs))
}

/** Looks which rows count, and gives the join that leaves the others out. */
async function countingRows(session: Session, after: number): Promise<string> {
  const counting = new CountingRows()
  const narrow = `SELECT seq::DOUBLE, dataset, outcome, epoch_us(interval_start)::DOUBLE, epoch_us(interval_end)::DOUBLE,
      output_snapshot IS NOT NULL, CASE WHEN outcome = 'renamed' THEN reason ELSE '' END
    FROM ${ledgerTable} WHERE seq > ${after} ORDER BY seq`
  for await (const part of session.parts(narrow))
    for (const row of part)
      counting.add({
        seq: Number(row[0]),
        dataset: String(row[1]),
        outcome: row[2] as Outcome,
        interval: row[3] === null ? null : { start: Number(row[3]), end: Number(row[4]) },
        hasOutput: row[5] === true,
        reason: String(row[6]),
      })
  const columns = [{ name: 'seq', type: 'long' as const }]
  await session.ingest(
    'limn_counting',
    columns,
    counting.seqs().map((seq) => [seq]),
  )
  return 'SEMI JOIN temp.main.limn_counting AS c ON l.seq = c.seq'
}

function foldedRow(row: readonly Cell[], known: Map<string, Readonly<Record<string, bigint>>>): FoldedRow {
  const text = (i: number) => String(row[i] ?? '')
  const number = (i: number) => Number(row[i] ?? 0)
  let inputs = known.get(text(8))
  if (!inputs) {
    inputs = revivedIds(JSON.parse(text(8)) as Record<string, string>)
    known.set(text(8), inputs)
  }
  return {
    seq: number(0),
    dataset: text(1),
    outcome: text(2) as Outcome,
    reason: text(15),
    interval: row[3] === null ? null : { start: number(3), end: number(4) },
    fingerprint: text(5),
    checksHash: text(6),
    deliveries: text(7) === '[]' ? [] : (JSON.parse(text(7)) as Delivery[]),
    inputs,
    outputSnapshot: row[9] === null || row[9] === undefined ? null : BigInt(String(row[9])),
    rows: number(10),
    bytes: number(11),
    run: text(12),
    startedAtMs: number(13),
    seconds: number(14),
  }
}
