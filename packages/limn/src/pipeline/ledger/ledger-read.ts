import type { Predicate } from '../../expr/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import { readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Cell } from './append.ts'
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

/** So many rows are in memory at once while a ledger is folded. */
const rowsPerPage = 5000

/**
 * What the standing of datasets is folded from, in order of `seq`, of published rows after one: a page at a time. Equal texts
 * of inputs become one object, because thousands of rows say the same.
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
  const extent = await session.rows(`SELECT min(seq), max(seq) FROM ${ledgerTable} WHERE seq > ${after}`)
  const [first, last] = extent.rows[0] ?? []
  if (first === null || first === undefined) return
  const inputs = new Map<string, Readonly<Record<string, bigint>>>()
  for (let from = Number(first); from <= Number(last); from += rowsPerPage) {
    const { rows } = await session.rows(
      `SELECT seq, dataset, outcome, epoch_us(interval_start), epoch_us(interval_end), fingerprint, checks_hash, deliveries, inputs,
         output_snapshot, rows, bytes, run_id, epoch_ms(started_at), seconds, CASE WHEN outcome = 'renamed' THEN reason ELSE '' END
       FROM ${ledgerTable} WHERE seq >= ${from} AND seq < ${from + rowsPerPage} ORDER BY seq`,
    )
    yield rows.map((row) => foldedRow(row as readonly Cell[], inputs))
  }
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
