import type { RunId, TableId } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { PipelineContext } from '../context.ts'
import { type Definition, definitionOfNode } from '../ledger/definition.ts'
import { definitionKey, definitionsOf } from '../ledger/definition-store.ts'
import { foldLedger, isPublishedOutcome, type LedgerRow } from '../ledger/ledger.ts'
import { diffRemembered, unknownDiff } from '../plan/definition-diff.ts'
import { type PrintedChange, printDiff } from '../plan/print-diff.ts'
import { columnsOf } from '../project/reads.ts'

/** What rows were made by: a definition, and the limn that carried it out. */
export interface CodeVersion {
  readonly fingerprint: string
  /** Version of limn; null: no ledger row says. */
  readonly limn: string | null
}

/** By what the rows of a dataset were made on both sides of a run. */
export interface CodeVersions {
  /** Of what stood in the intervals that the run wrote, oldest first: none before they were first built. */
  readonly before: readonly CodeVersion[]
  /** Where none of these intervals stood: of what other intervals were last built by. Null: it is the dataset's first build. */
  readonly others: CodeVersion | null
  readonly after: CodeVersion
  /** How the definitions differ, from the earliest of `before` on, else from `others`; empty when they do not, or there was none. */
  readonly changes: readonly PrintedChange[]
}

/** A dataset that a run wrote, and which intervals of it; null: the whole. */
export interface Written {
  readonly dataset: TableId
  readonly fingerprint: string
  readonly intervals: readonly (Interval | null)[]
}

/** The code versions of what a run wrote, from the whole ledger and the definitions that it remembers. */
export async function codeVersionsOf(
  context: PipelineContext,
  run: RunId,
  ledger: readonly LedgerRow[],
  written: readonly Written[],
): Promise<ReadonlyMap<TableId, CodeVersions>> {
  const own = ledger.filter((row) => row.run === run)
  const first = Math.min(Number.POSITIVE_INFINITY, ...own.map((row) => row.seq))
  const earlier = ledger.filter((row) => row.seq < first && isPublishedOutcome(row.outcome))
  const standing = foldLedger(earlier)
  const before = new Map<TableId, readonly string[]>()
  const others = new Map<TableId, string>()
  for (const { dataset, intervals } of written) {
    const built = standing.get(dataset)?.built ?? []
    const times = IntervalSet.of(intervals.flatMap((one) => one ?? []))
    const replaced = built.filter(({ interval }) => interval === null || times.isEmpty || times.overlaps(interval))
    const rows = earlier.filter((row) => row.dataset === dataset)
    const used = new Set(replaced.map((one) => one.fingerprint))
    const landed = rows.findLast((row) => row.outcome === 'landed')
    if (built.length === 0 && landed) used.add(landed.fingerprint)
    const latest = rows.findLast((row) => built.some((one) => one.fingerprint === row.fingerprint))
    // After a rename the rows of what was built bear another name.
    const other = latest?.fingerprint ?? built.at(-1)?.fingerprint
    if (used.size === 0 && other !== undefined) others.set(dataset, other)
    const order = [...new Set(rows.map((row) => row.fingerprint))]
    before.set(
      dataset,
      [...used].sort((a, b) => order.indexOf(a) - order.indexOf(b)),
    )
  }
  const keys = written.flatMap(({ dataset, fingerprint }) =>
    [...(before.get(dataset) ?? []), others.get(dataset) ?? fingerprint, fingerprint].map((one) => ({
      dataset,
      fingerprint: one,
    })),
  )
  const definitions = await definitionsOf(context, keys)
  const out = new Map<TableId, CodeVersions>()
  for (const { dataset, fingerprint } of written) {
    const version = (rows: readonly LedgerRow[], one: string): CodeVersion => ({
      fingerprint: one,
      limn: rows.findLast((row) => row.dataset === dataset && row.fingerprint === one)?.version ?? null,
    })
    const former = before.get(dataset) ?? []
    const other = others.get(dataset)
    const [oldest] = [...former, ...(other === undefined ? [] : [other])].filter((one) => one !== fingerprint)
    out.set(dataset, {
      before: former.map((one) => version(earlier, one)),
      others: other === undefined ? null : version(earlier, other),
      after: { fingerprint, limn: version(own, fingerprint).limn ?? own[0]?.version ?? context.version },
      changes: oldest === undefined ? [] : await changesBetween(context, definitions, dataset, oldest, fingerprint),
    })
  }
  return out
}

async function changesBetween(
  context: PipelineContext,
  definitions: ReadonlyMap<string, Definition>,
  dataset: TableId,
  before: string,
  after: string,
): Promise<readonly PrintedChange[]> {
  const node = context.project.nodes.get(dataset)
  const old = definitions.get(definitionKey({ dataset, fingerprint: before }))
  // What a run that failed was to build by is remembered by nobody, unless it is the definition still.
  const present = node?.fingerprint === after ? definitionOfNode(node) : undefined
  const next = definitions.get(definitionKey({ dataset, fingerprint: after })) ?? present
  if (!old || !next) return printDiff(context.engine, unknownDiff('the lake does not remember it'))
  const tables = columnsOf(new Map([...context.project.nodes].map(([id, one]) => [id, one.contract])))
  return printDiff(context.engine, diffRemembered(old, next, tables))
}
