import { LimnError, type RunId } from '../../base/index.ts'
import type { DataFile, TableCommit } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Judgement } from '../run/gate.ts'
import { type Cell, prepareAppend } from './append.ts'
import { definitionTable } from './definition.ts'
import { prepareDefinitions } from './definition-store.ts'
import { type LedgerRow, ledgerTable, verdictTable } from './ledger.ts'
import { ledgerContract, verdictContract } from './ledger-contracts.ts'
import { standingOf } from './standing.ts'

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
 * Writes the files of a ledger append and prepares its commit: to `limn.run`, to `limn.check_result` when there are
 * verdicts, and to `limn.definition` when a fingerprint or checks appear for the first time. Prepared anew for every attempt, because `seq` follows what others have published.
 */
export async function prepareRecord(context: PipelineContext, record: RunRecordRows): Promise<PreparedRecord> {
  const own = [ledgerTable, verdictTable, definitionTable]
  const tables = await context.catalog.loadTables(own, { signal: context.signal })
  const ledger = tables.get(ledgerTable) ?? null
  const first = (await standingOf(context, ledger)).lastSeq + 1
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
  const definitions = await prepareDefinitions(context, tables.get(definitionTable) ?? null, record)
  if (definitions) parts.push(definitions)
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
