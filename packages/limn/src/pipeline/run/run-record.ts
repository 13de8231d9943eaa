import type { RunId, TableId } from '../../base/index.ts'
import type { PipelineContext } from '../context.ts'
import type { LedgerRow } from '../ledger/ledger.ts'
import type { RunRecordRows } from '../ledger/ledger-store.ts'
import type { FactBook } from '../plan/fact-book.ts'
import type { Plan } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import type { StagedDataset } from '../stage/stage.ts'
import type { Judgement } from './gate.ts'
import { runRow } from './recover.ts'

/** What the ledger will say of intervals left as they are: their inputs moved without touching them, or on purpose. */
export interface Carried {
  readonly node: Node
  readonly outcome: 'carried' | 'accepted'
  readonly intervals: readonly Pick<LedgerRow, 'interval' | 'inputs'>[]
}

/** What a run has to say of itself to the ledger. */
export interface RunFacts {
  readonly run: RunId
  readonly startedAtMs: number
  readonly book: FactBook
  readonly planned: Plan
  /** In graph order. */
  readonly staged: readonly StagedDataset[]
  readonly carried: readonly Carried[]
  readonly checksChanged: ReadonlySet<TableId>
  readonly judgements: readonly Judgement[]
  /** Why the gate refused it, or null when it is to be published. */
  readonly refused: string | null
}

type Row = Omit<LedgerRow, 'seq'>
type Common = Pick<LedgerRow, 'run' | 'judgedAtMs' | 'version' | 'host' | 'message'>

/** The ledger rows and verdicts of a run, to be committed with its data, or alone when it was refused. */
export function recordOf(context: PipelineContext, facts: RunFacts): RunRecordRows {
  const judgedAtMs = context.clock.nowMs()
  const { run, refused, judgements, book } = facts
  const common: Common = { run, judgedAtMs, version: context.version, host: context.host, message: refused ?? '' }
  const rows: Row[] = facts.staged.flatMap((staged) => stagedRows(facts, staged, common))
  if (refused === null) rows.push(...carriedRows(context, facts, common), ...checkedRows(context, facts, common))
  if (rows.length === 0) rows.push(runRow(context, wholeRun(context, facts, refused ?? ''), 'refused', judgedAtMs))
  return { run, rows, verdicts: judgements, judgedAtMs, basedOn: book.ledgerSeq }
}

/** The run as a whole, for a row that speaks of no dataset. */
export function wholeRun(
  context: PipelineContext,
  facts: { readonly run: RunId; readonly startedAtMs: number },
  message: string,
) {
  return { id: facts.run, startedAtMs: facts.startedAtMs, host: context.host, message }
}

function stagedRows(facts: RunFacts, staged: StagedDataset, common: Common): readonly Row[] {
  const { node, table } = staged
  const { book, refused } = facts
  return staged.ranges.map((range) => ({
    ...common,
    planned: plannedOf(facts.planned, node.id),
    dataset: node.id,
    outcome: refused === null ? range.outcome : 'refused',
    reason: `${range.reason}: ${range.because}`,
    interval: range.interval,
    fingerprint: node.fingerprint,
    checksHash: node.checksHash,
    deliveries: range.deliveries,
    inputs: staged.inputs,
    baseSnapshot: (table?.target.base ?? book.mains.get(node.id))?.metadata.currentSnapshotId ?? null,
    outputSnapshot: table?.snapshotId ?? book.pinOf(node.id)?.snapshotId ?? null,
    rows: range.rows,
    files: range.files,
    bytes: range.bytes,
    quarantined: range.quarantined,
    startedAtMs: range.startedAtMs,
    seconds: range.seconds,
  }))
}

function carriedRows(context: PipelineContext, facts: RunFacts, common: Common): readonly Row[] {
  return facts.carried.flatMap(({ node, outcome, intervals }) =>
    intervals.map(({ interval, inputs }) => ({
      ...runRow(context, wholeRun(context, facts, ''), outcome, common.judgedAtMs),
      ...common,
      dataset: node.id,
      reason:
        outcome === 'carried'
          ? 'input-changed: no row of it touches these'
          : 'accepted: left as an earlier definition built it',
      interval,
      fingerprint: node.fingerprint,
      checksHash: node.checksHash,
      inputs,
      outputSnapshot: facts.book.pinOf(node.id)?.snapshotId ?? null,
      seconds: 0,
    })),
  )
}

function checkedRows(context: PipelineContext, facts: RunFacts, common: Common): readonly Row[] {
  const staged = new Set(facts.staged.map((one) => one.node.id))
  return [...facts.checksChanged].flatMap((id) => {
    const node = context.project.nodes.get(id)
    if (!node || staged.has(id)) return []
    return [
      {
        ...runRow(context, wholeRun(context, facts, ''), 'checked', common.judgedAtMs),
        ...common,
        dataset: id,
        reason: 'checks-changed: its checks',
        fingerprint: node.fingerprint,
        checksHash: node.checksHash,
        outputSnapshot: facts.book.pinOf(id)?.snapshotId ?? null,
        seconds: 0,
      },
    ]
  })
}

/** What the plan said of a dataset before anything was staged: the ledger keeps it beside what was done. */
function plannedOf(planned: Plan, id: TableId): string {
  const items = planned.items.filter((item) => item.dataset === id)
  return JSON.stringify(items.map(({ interval, reason, because, atMost }) => ({ interval, reason, because, atMost })))
}
