import type { TableId } from '../../base/index.ts'
import { counted } from '../../base/index.ts'
import { allChecks, type Check, scopeOf } from '../../contract/index.ts'
import { IntervalSet, splitBy } from '../../dataset/index.ts'
import type { BoundTable } from '../../engine/index.ts'
import { snapshotById } from '../../iceberg/index.ts'
import { countTogether, type EvaluateInput, evaluateChecks, type Verdict } from '../../quality/index.ts'
import { bindFiles, type PinnedTable, readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { FactBook } from '../plan/fact-book.ts'
import type { Node } from '../project/node.ts'
import type { StagedDataset, StageInputs } from '../stage/stage.ts'
import type { StagedTable } from '../stage/staged-table.ts'
import { stagedRows, viewOf } from '../stage/view.ts'
import { bytesSize, Lanes, smallAtOnce } from './lanes.ts'

/** A verdict and the snapshot it holds for. */
export interface Judgement extends Verdict {
  readonly dataset: TableId
  readonly snapshotId: bigint | null
}

/** What the gate judges of one dataset: everything, or (when only an input of its checks changed) the table-wide checks. */
interface Case {
  readonly node: Node
  readonly staged: StagedDataset | null
  readonly checks: readonly Check[]
  /** The checks are others than those it was judged by before: all its rows are judged, not only those that were written. */
  readonly anew: boolean
}

/**
 * Judges what a run staged: all checks of datasets that were written, and the table-wide checks of datasets whose check
 * inputs were. `checksChanged` are judged on all their rows. Verdicts in `carried` hold and are not judged again.
 */
export async function judge(
  context: PipelineContext,
  inputs: StageInputs,
  book: FactBook,
  staged: ReadonlyMap<TableId, StagedDataset>,
  checksChanged: ReadonlySet<TableId>,
  carried: readonly Judgement[] = [],
): Promise<readonly Judgement[]> {
  const held = new Set(carried.map((one) => `${one.dataset} ${one.check}`))
  const out: Judgement[] = [...carried]
  const cases = casesOf(context, staged, checksChanged).flatMap((one) => {
    const checks = one.checks.filter((check) => !held.has(`${one.node.id} ${check.name}`))
    return checks.length > 0 ? [{ ...one, checks }] : []
  })
  const task = context.progress.begin('checks')
  const lanes = new Lanes()
  const ended = await Promise.allSettled(
    groupsOf(book, cases).map(({ size, group }) =>
      lanes.run(size, () => {
        context.signal.throwIfAborted()
        return judgeGroup(context, inputs, book, group, (id) => task.update(id))
      }),
    ),
  )
  for (const one of ended) {
    if (one.status === 'rejected') throw one.reason
    out.push(...one.value)
  }
  const count = cases.reduce((sum, one) => sum + one.checks.length, 0)
  const failed = out.filter((one) => one.outcome === 'failed')
  task.end(`${counted(count, 'check')}, ${failed.length === 0 ? 'all passed' : `${failed.length} failed`}`)
  return out
}

/** So many small datasets are judged in one session at most: a good part of what each costs is to make one. */
const judgedTogetherMax = 16

/** Cases in order; neighbours that are small, and whose rows go by the name of their table, together. */
function groupsOf(
  book: FactBook,
  cases: readonly Case[],
): readonly { readonly size: 'small' | 'large'; readonly group: readonly Case[] }[] {
  const groups: { size: 'small' | 'large'; group: Case[]; open: boolean }[] = []
  const groupMax = Math.min(judgedTogetherMax, Math.ceil(cases.length / smallAtOnce))
  for (const one of cases) {
    const size = sizeOfCase(book, one)
    const open = size === 'small' && !standsApart(one)
    const last = groups.at(-1)
    if (open && last?.open && last.group.length < groupMax) last.group.push(one)
    else groups.push({ size, group: [one], open })
  }
  return groups
}

/** What is judged reads the dataset itself and what its checks compare it with. */
function sizeOfCase(book: FactBook, { node }: Case): 'small' | 'large' {
  return bytesSize([node.id, ...node.checkInputs].map((id) => book.pinOf(id)))
}

/** Whether the rows to judge are those that were staged, which are not all of the table. */
function standsApart({ staged, anew }: Case): boolean {
  return !anew && staged !== null && staged.table !== null && !isWhole(staged.table)
}

function casesOf(
  context: PipelineContext,
  staged: ReadonlyMap<TableId, StagedDataset>,
  checksChanged: ReadonlySet<TableId>,
): readonly Case[] {
  const written = new Set([...staged.values()].filter((one) => one.table !== null).map((one) => one.node.id))
  const out: Case[] = []
  for (const id of context.project.order) {
    const node = context.project.nodes.get(id)
    if (!node) continue
    const own = staged.get(id) ?? null
    const checks = allChecks(node.contract)
    const anew = checksChanged.has(id)
    if (anew || written.has(id)) out.push({ node, staged: own, checks, anew })
    else if (node.checkInputs.some((input) => written.has(input))) {
      out.push({
        node,
        staged: own,
        checks: checks.filter((check) => scopeOf(check) === 'table' && check.kind !== 'unique'),
        anew,
      })
    }
  }
  return out
}

async function judgeGroup(
  context: PipelineContext,
  inputs: StageInputs,
  book: FactBook,
  cases: readonly Case[],
  begins: (dataset: TableId) => void,
): Promise<readonly Judgement[]> {
  const stack = new AsyncDisposableStack()
  await using _all = stack
  const tables = new Map<TableId, BoundTable>()
  const judged: { readonly pin: PinnedTable; readonly one: Case; readonly input: EvaluateInput }[] = []
  for (const one of cases) {
    const { node, staged } = one
    const pin = await inputs.pinOf(node.id)
    if (!pin || pin.snapshotId === null) continue
    for (const id of new Set([node.id, ...node.checkInputs])) {
      const other = tables.has(id) ? null : id === node.id ? pin : await inputs.pinOf(id)
      if (!other) continue
      const view = viewOf(context.project.nodes.get(id), other)
      tables.set(id, stack.use(await readPinned(context, other, { keep: view.keep })).bound)
    }
    if (standsApart(one)) tables.set(stagedRows, await stagedTable(context, stack, pin, staged))
    judged.push({ pin, one, input: await evaluationOf(context, book, one) })
  }
  if (judged.length === 0) return []
  const session = stack.use(await context.engine.session([...tables.values()], { signal: context.signal }))
  const inOrder = judged.map(({ input }) => input)
  const counted = await countTogether(session, inOrder)
  const out: Judgement[] = []
  for (const [i, { pin, one, input }] of judged.entries()) {
    begins(one.node.id)
    const verdicts = await evaluateChecks(session, input, counted[i])
    for (const verdict of verdicts) out.push({ ...verdict, dataset: one.node.id, snapshotId: pin.snapshotId })
  }
  return out
}

async function evaluationOf(context: PipelineContext, book: FactBook, one: Case): Promise<EvaluateInput> {
  const { node, staged, checks } = one
  const fresh = await freshOf(context, book, node, staged)
  return {
    contract: node.contract,
    checks: checks.filter((check) => check.kind !== 'reconcile' || fresh.comparable(check.with)),
    fresh: { own: fresh.own, of: fresh.of },
    table: node.id,
    staged: {
      view: standsApart(one) ? stagedRows : node.id,
      ...(node.shape.kind === 'interval' ? { interval: { column: node.shape.column, unit: node.shape.unit } } : {}),
    },
    stagedIntervals: stagedIntervals(node, staged),
  }
}

/**
 * Where a dataset can be compared with its inputs. Intervals that this run was not asked to build are stale: what they
 * hold is older than the input, so a reconcile leaves their times out, on both sides.
 */
interface Fresh {
  /** SQL conditions; null: all rows. */
  readonly own: string | null
  of(input: TableId): string | null
  comparable(input: TableId): boolean
}

async function freshOf(
  context: PipelineContext,
  book: FactBook,
  node: Node,
  staged: StagedDataset | null,
): Promise<Fresh> {
  const everything: Fresh = { own: null, of: () => null, comparable: () => true }
  // A dataset that this run built, asked for no range, has nothing stale left.
  const all = staged !== null && book.request.range === null && !book.leavesStale(node.id)
  if (node.producer.kind === 'source' || all) return everything
  const found = await book.staleOf(node)
  const shape = node.shape
  if (shape.kind !== 'interval') return { ...everything, comparable: () => staged !== null || !found.whole }
  const rebuilt = IntervalSet.of(staged?.items.flatMap((item) => (item.interval ? [item.interval] : [])) ?? [])
  const stale = found.times.minus(rebuilt)
  if (stale.isEmpty) return everything
  const outside = (time: string) => {
    const parts = stale.intervals.map(
      ({ start, end }) =>
        `(${time})::TIMESTAMP >= make_timestamp(${start}) AND (${time})::TIMESTAMP < make_timestamp(${end})`,
    )
    return `(${parts.join(' OR ')}) IS NOT TRUE`
  }
  const timeIn = (input: TableId): string | null => {
    const edge = node.edges.get(input)
    if (edge?.touches) return edge.touches
    const other = context.project.nodes.get(input)?.shape
    return edge?.reads.kind === 'same' && other?.kind === 'interval' ? `"${other.column}"` : null
  }
  return {
    own: outside(`"${shape.column}"`),
    of: (input) => {
      const time = timeIn(input)
      return time === null ? null : outside(time)
    },
    comparable: (input) => timeIn(input) !== null,
  }
}

/** Whether a table as staged has the files that this run wrote and no others: its rows need no name of their own. */
function isWhole({ pin, added }: StagedTable): boolean {
  const summary = pin.snapshotId === null ? undefined : snapshotById(pin.metadata, pin.snapshotId)?.summary
  return summary?.['total-data-files'] === String(added.length) && summary['total-delete-files'] === '0'
}

/** The rows a run wrote to a dataset, under their own name. */
async function stagedTable(
  context: PipelineContext,
  stack: AsyncDisposableStack,
  pin: PinnedTable,
  staged: StagedDataset | null,
): Promise<BoundTable> {
  const files = staged?.table?.added ?? []
  const lease = stack.use(
    await context.store.lease(
      files.map((file) => file.path),
      { signal: context.signal },
    ),
  )
  return { ...bindFiles(pin, files, lease), id: stagedRows }
}

function stagedIntervals(node: Node, staged: StagedDataset | null) {
  const { shape } = node
  if (shape.kind !== 'interval' || !staged) return []
  const built = staged.ranges.flatMap((range) => (range.outcome === 'built' && range.interval ? [range.interval] : []))
  return IntervalSet.of(built).intervals.flatMap((interval) => splitBy(shape.unit, interval))
}

/** What stops a publish. */
export function refusals(judgements: readonly Judgement[]): readonly Judgement[] {
  return judgements.filter((one) => one.outcome === 'failed' && one.severity === 'hard')
}
