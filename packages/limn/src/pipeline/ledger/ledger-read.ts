import { giveBackMemory } from '../../base/index.ts'
import type { Session } from '../../engine/index.ts'
import type { Predicate } from '../../expr/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import { quoteText } from '../../sql/index.ts'
import { readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Cell } from './append.ts'
import { CountingRows } from './counting-rows.ts'
import {
  type Delivery,
  type FoldedRow,
  type LedgerRow,
  ledgerTable,
  type Outcome,
  publishedOutcomes,
} from './ledger.ts'
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

const foldedColumns = `l.seq, l.dataset, l.outcome, epoch_us(l.interval_start), epoch_us(l.interval_end), l.fingerprint,
  l.checks_hash, l.deliveries, l.inputs, l.output_snapshot::VARCHAR, l.rows, l.bytes, l.run_id, epoch_ms(l.started_at), l.seconds,
  CASE WHEN l.outcome = 'renamed' THEN l.reason ELSE '' END`

/**
 * What the standing of datasets is folded from, in order of `seq`, of published rows after one: some at a time. Of many rows
 * only those that count are read whole; which do is told by numbers alone.
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
  const many = Number(rows[0]?.[0] ?? 0) > allReadMax
  if (many) await giveBackMemory()
  const only = many ? await countingRows(session, after) : ''
  const texts = new Texts()
  // One text a row: each text that is handed over costs more than its characters.
  const wide = `SELECT json_array(${foldedColumns})::VARCHAR FROM ${ledgerTable} AS l ${only} WHERE l.seq > ${after} ORDER BY l.seq`
  for await (const part of session.parts(wide))
    yield Array.from({ length: part.rowCount }, (_, i) =>
      foldedRow(JSON.parse(String(part.cell(i, 0))) as FoldedCells, texts),
    )
}

/** Looks which rows count, and gives the join that leaves the others out. */
async function countingRows(session: Session, after: number): Promise<string> {
  const where = `FROM ${ledgerTable} WHERE seq > ${after}`
  await session.exec(`CREATE TEMP TYPE limn_dataset AS ENUM (SELECT DISTINCT dataset ${where})`)
  const named = await session.rows('SELECT unnest(enum_range(NULL::limn_dataset))::VARCHAR')
  const renamed = await session.rows(`SELECT seq::DOUBLE, reason ${where} AND outcome = 'renamed'`)
  const names = named.rows.map(([name]) => String(name))
  const reasons = new Map(renamed.rows.map(([seq, reason]) => [Number(seq), String(reason)]))
  const said = [...publishedOutcomes]
  const narrow = `SELECT seq::DOUBLE, enum_code(dataset::limn_dataset)::DOUBLE,
      list_position([${said.map(quoteText).join(', ')}], outcome)::DOUBLE, epoch_us(interval_start)::DOUBLE, epoch_us(interval_end)::DOUBLE,
      (output_snapshot IS NOT NULL)::DOUBLE ${where} ORDER BY seq`
  const counting = new CountingRows()
  for await (const part of session.parts(narrow))
    for (let i = 0; i < part.rowCount; i++) {
      const [seq, start] = [Number(part.cell(i, 0)), part.cell(i, 3)]
      const outcome = said[Number(part.cell(i, 2) ?? 0) - 1]
      if (outcome === undefined) continue
      counting.add({
        seq,
        dataset: names[Number(part.cell(i, 1))] ?? '',
        outcome,
        interval: start === null ? null : { start: Number(start), end: Number(part.cell(i, 4)) },
        hasOutput: part.cell(i, 5) === 1,
        reason: reasons.get(seq) ?? '',
      })
    }
  const columns = [{ name: 'seq', type: 'long' as const }]
  const seqs = counting.seqs().map((seq) => [seq])
  await session.ingest('limn_counting', columns, seqs)
  return 'SEMI JOIN temp.main.limn_counting AS c ON l.seq = c.seq'
}

/** `foldedColumns`, as JSON has them. */
type FoldedCells = readonly [
  seq: number,
  dataset: string,
  outcome: Outcome,
  start: number | null,
  end: number | null,
  fingerprint: string,
  checksHash: string,
  deliveries: string,
  inputs: string,
  outputSnapshot: string | null,
  rows: number | null,
  bytes: number | null,
  run: string,
  startedAtMs: number,
  seconds: number | null,
  reason: string,
]

/** Equal texts become one, and equal texts of inputs one object: thousands of rows say the same. */
class Texts {
  private readonly texts = new Map<string, string>()
  private readonly inputs = new Map<string, Readonly<Record<string, bigint>>>()

  one(text: string): string {
    const known = this.texts.get(text)
    if (known !== undefined) return known
    this.texts.set(text, text)
    return text
  }

  inputsOf(text: string): Readonly<Record<string, bigint>> {
    let inputs = this.inputs.get(text)
    if (!inputs) {
      inputs = revivedIds(JSON.parse(text) as Record<string, string>)
      this.inputs.set(text, inputs)
    }
    return inputs
  }
}

function foldedRow(row: FoldedCells, texts: Texts): FoldedRow {
  const [seq, dataset, outcome, start, end, fingerprint, checksHash, deliveries, inputs, output, ...rest] = row
  const [rows, bytes, run, startedAtMs, seconds, reason] = rest
  return {
    seq,
    dataset: texts.one(dataset),
    outcome,
    reason,
    interval: start === null || end === null ? null : { start, end },
    fingerprint: texts.one(fingerprint),
    checksHash: texts.one(checksHash),
    deliveries: deliveries === '[]' ? [] : (JSON.parse(deliveries) as Delivery[]),
    inputs: texts.inputsOf(inputs),
    outputSnapshot: output === null ? null : BigInt(output),
    rows: rows ?? 0,
    bytes: bytes ?? 0,
    run: texts.one(run),
    startedAtMs,
    seconds: seconds ?? 0,
  }
}
