import type { TableId } from '../../base/index.ts'
import { type Edge, type Interval, IntervalSet } from '../../dataset/index.ts'
import { ancestorsOf } from '../../iceberg/index.ts'
import { diffRows, rowsApart } from '../diff/diff-rows.ts'
import type { Measure, RowDiff } from '../diff/row-diff.ts'
import { type Code, type Point, timesOf, type WhyBook } from './book.ts'
import { codeFindings } from './code-change.ts'
import { conditionsFor } from './conditions.ts'
import type { DeliveryAsk } from './delivered-rows.ts'
import { type DeliveriesApart, deliveryFindings } from './deliveries.ts'
import type { DeliveryChange } from './delivery-changes.ts'
import { type Finding, noEvidence } from './finding.ts'
import { beganAt, firstOf } from './itself.ts'
import { deliveryAsk, nothingAsked, relabelled, touchesAreLists } from './reader.ts'
import { conditionOf, everything, readsOf, type Scope, sideOf } from './scope.ts'
import { type Candidate, type Pair, Trial } from './trial.ts'

/** One dataset that two states were compared at, in the order in which they were come by. */
export interface Step {
  readonly dataset: TableId
  readonly before: bigint | null
  readonly after: bigint | null
  /** Rows in scope that one state has and the other lacks, of either; null: not compared row by row. */
  readonly rows: number | null
  readonly intervals: readonly Interval[]
  /** Where the search went on, or why it ended. */
  readonly verdict: string
}

export interface Walk {
  readonly steps: Step[]
  /** Of sources met on the way: deliveries with the rows they had, which are another delivery or path now. */
  readonly relabelled: Map<TableId, Omit<DeliveriesApart, 'findings'>>
  /** What could not be known. */
  readonly unknown: string[]
  /** Of findings of deliveries: what they were found in. */
  readonly changes: WeakMap<Finding, DeliveryChange>
  /** Inputs that were looked at in more rows than were asked for, and why. */
  readonly wider: string[]
}

export interface WalkAsk {
  readonly scope: Scope
  /** Only intervals in which this differs are followed; null: those in which rows do. */
  readonly measure: Measure | null
  /** Of a source: what its reader wants to know. */
  readonly delivery: Omit<DeliveryAsk, 'where'>
}

export const wholeWalk: WalkAsk = { scope: everything, measure: null, delivery: nothingAsked }

/**
 * Goes from a dataset at two states to the first layer where the two part: inputs equal and outputs not (code), or inputs
 * that part themselves (data), restricted to the intervals that part. Where several things differ, each is tried alone on
 * the former state, and those that change nothing are let go. Null: the rows in scope are the same.
 */
export async function walk(
  book: WhyBook,
  before: Point,
  after: Point,
  ask: WalkAsk,
  out: Walk,
): Promise<readonly Finding[] | null> {
  const { dataset } = after
  const step = (rows: number | null, intervals: readonly Interval[], verdict: string) =>
    out.steps.push({ dataset, before: before.pin.snapshotId, after: after.pin.snapshotId, rows, intervals, verdict })
  if (before.pin.snapshotId === after.pin.snapshotId) {
    step(null, [], 'the same snapshot')
    return null
  }
  const node = book.context.project.nodes.get(dataset)
  if (node?.producer.kind === 'source') {
    const where = conditionOf(ask.scope, null)
    const asked = { ...ask.delivery, where }
    const { findings, renames, again, delivered } = await deliveryFindings(book, before, after, asked, out.changes)
    const direct = findings.length === 0 ? await directWrites(book, before, after, ask, out) : null
    if (direct) {
      step(null, [], 'rows were written past the runs')
      return direct
    }
    const apart = findings.length > 0 ? 'its deliveries differ' : 'no delivery that matters differs'
    step(
      null,
      [],
      [
        apart,
        ...renames.slice(0, 3).map((one) => `${one.from} is now ${one.to}`),
        ...moreRenames(renames.length - 3),
      ].join('; '),
    )
    if (renames.length + again.length > 0) out.relabelled.set(dataset, { renames, again, delivered })
    return findings.length > 0 ? findings : null
  }
  const detail = once(() => compare(book, before, after, ask))
  const found = ask.measure ? summaryOf(await detail(), ask.measure) : await quickly(book, before, after, ask)
  if (found.rows === 0) {
    step(0, [], 'the same rows')
    return null
  }
  // What was asked for may be less than an interval of this dataset.
  const times = found.times && ask.scope.times ? found.times.intersect(ask.scope.times) : found.times
  const direct = await directWrites(book, before, after, ask, out)
  if (direct) {
    step(found.rows, times?.intervals ?? [], 'rows were written past the runs')
    return direct
  }
  const findings: Finding[] = []
  const at = out.steps.length
  for (const pair of pairsOf(book, before, after, firstOf(node, times)))
    findings.push(...(await walkPair(book, before, after, pair, detail, ask, out)))
  const verdict = findings.some((one) => one.dataset === dataset) ? 'its rows part here' : 'its inputs part'
  out.steps.splice(at, 0, {
    dataset,
    before: before.pin.snapshotId,
    after: after.pin.snapshotId,
    rows: found.rows,
    intervals: times?.intervals ?? [],
    verdict,
  })
  return findings.length > 0 ? merged(findings) : [unexplained(dataset, await detail(), times)]
}

function moreRenames(count: number): readonly string[] {
  return count > 0 ? [`${count.toLocaleString('en')} more came under another name`] : []
}

/** Computed when it is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null
  return () => {
    made ??= make()
    return made
  }
}

interface Summary {
  readonly rows: number
  /** The intervals that part; null: the dataset has none, or rows without a time part. */
  readonly times: IntervalSet | null
}

function summaryOf(diff: RowDiff, measure: Measure): Summary {
  const { added, removed, changed } = diff.total
  const moved = diff.intervals.filter((one) =>
    one.measures.some((each) => each.name === measure.name && each.before !== each.after),
  )
  const parting = moved.length > 0 ? moved : diff.intervals
  return {
    rows: added + removed + 2 * changed,
    times: diff.unit === null ? null : timesOf(parting.map((one) => one.interval)),
  }
}

/** Whether and when rows part, without saying which: layers in between are only passed through. */
async function quickly(book: WhyBook, before: Point, after: Point, ask: WalkAsk): Promise<Summary> {
  const { shape } = after
  const where = conditionOf(ask.scope, shape)
  const found = await rowsApart(
    book.context,
    sideOf(book.viewOf(before), shape, ask.scope),
    sideOf(book.viewOf(after), shape, ask.scope),
    {
      ...(shape?.kind === 'interval' ? { column: shape.column, unit: shape.unit } : {}),
      ...(where === null ? {} : { where }),
    },
  )
  const times = shape?.kind === 'interval' && found.intervals ? IntervalSet.of(found.intervals) : null
  return { rows: found.rows, times }
}

/** The rows in scope of two states of a dataset, compared. */
export async function compare(book: WhyBook, before: Point, after: Point, ask: WalkAsk): Promise<RowDiff> {
  const { shape } = after
  const contract = book.context.project.nodes.get(after.dataset)?.contract
  const where = conditionOf(ask.scope, shape)
  return diffRows(
    book.context,
    sideOf(book.viewOf(before), shape, ask.scope),
    sideOf(book.viewOf(after), shape, ask.scope),
    {
      keys: keysOf(contract?.keys ?? [], before, after),
      measures: ask.measure ? [ask.measure] : [],
      sample: 5,
      ...(shape?.kind === 'interval' ? { column: shape.column, unit: shape.unit } : {}),
      ...(where === null ? {} : { where }),
    },
  )
}

/** Keys that both states have. */
function keysOf(keys: readonly string[], before: Point, after: Point): readonly string[] {
  const has = ({ pin }: Point, name: string) =>
    pin.metadata.schemas.find((one) => one.schemaId === pin.schemaId)?.fields.some((field) => field.name === name)
  return keys.every((name) => has(before, name) && has(after, name)) ? keys : []
}

/** Rows that a snapshot made by no run brought; null when there is none that matters. */
async function directWrites(
  book: WhyBook,
  before: Point,
  after: Point,
  ask: WalkAsk,
  out: Walk,
): Promise<readonly Finding[] | null> {
  const found: Finding[] = []
  let [old, fresh] = [before, after]
  for (const point of [before, after]) {
    if (point.direct.length === 0 || point.pin.snapshotId === null) continue
    const line = [...ancestorsOf(point.pin.metadata, point.pin.snapshotId)]
    const made = line.find((one) => !point.direct.includes(one.snapshotId) && one.operation !== 'replace')
    if (!made) continue
    const former = await book.at(point.dataset, made.snapshotId)
    if (!former) continue
    const diff = await compare(book, former, point, ask)
    if (point === before) old = former
    else fresh = former
    if (diff.total.added + diff.total.removed + diff.total.changed === 0) continue
    found.push({
      kind: 'direct-write',
      dataset: point.dataset,
      origin: { kind: 'state', input: point.dataset, before: made.snapshotId, after: point.pin.snapshotId },
      column: diff.total.columns[0]?.name ?? null,
      sentence: `${point.dataset} was written past the runs: ${diff.total.added} rows added, ${diff.total.removed} removed, ${diff.total.changed} changed by snapshot ${point.direct.join(', ')}.`,
      rows: diff.total.added + diff.total.removed + diff.total.changed,
      intervals: diff.intervals.flatMap((one) => (one.interval ? [one.interval] : [])),
      evidence: noEvidence,
    })
  }
  if (found.length === 0) return null
  const rest = old.pin.snapshotId === fresh.pin.snapshotId ? null : await walk(book, old, fresh, ask, out)
  return [...found, ...(rest ?? [])]
}

/** What the parting intervals were built from on either side, together where it is the same for both. */
function pairsOf(book: WhyBook, before: Point, after: Point, times: IntervalSet | null): readonly Pair[] {
  const [olds, news] = [book.builtFrom(before, times), book.builtFrom(after, times)]
  const latest = before.rows.findLast((row) => Object.keys(row.inputs).length > 0)
  const out: Pair[] = []
  for (const fresh of news) {
    let rest = fresh.times
    for (const old of olds) {
      const both =
        fresh.times === null || old.times === null ? (fresh.times ?? old.times) : fresh.times.intersect(old.times)
      if (both?.isEmpty) continue
      out.push({ times: both, before: old, after: fresh })
      if (rest && both) rest = rest.minus(both)
    }
    // Intervals that had not been built: as of what the others were last built from.
    if (rest && !rest.isEmpty)
      out.push({
        times: rest,
        before: { times: rest, fingerprint: latest?.fingerprint ?? fresh.fingerprint, inputs: latest?.inputs ?? {} },
        after: fresh,
      })
  }
  let gone = times
  for (const { times: seen } of news) if (gone && seen) gone = gone.minus(seen)
  for (const old of olds) {
    const lost = old.times && gone ? old.times.intersect(gone) : null
    const last = after.rows.findLast((row) => Object.keys(row.inputs).length > 0)
    if (lost && !lost.isEmpty)
      out.push({
        times: lost,
        before: old,
        after: { times: lost, fingerprint: last?.fingerprint ?? old.fingerprint, inputs: last?.inputs ?? {} },
      })
  }
  return out
}

async function walkPair(
  book: WhyBook,
  before: Point,
  after: Point,
  pair: Pair,
  detail: () => Promise<RowDiff>,
  ask: WalkAsk,
  out: Walk,
): Promise<readonly Finding[]> {
  const { dataset } = after
  const [old, fresh] = [
    await book.code(dataset, pair.before.fingerprint),
    await book.code(dataset, pair.after.fingerprint),
  ]
  const candidates: Candidate[] = []
  const edges: ReadonlyMap<TableId, Edge> = fresh?.edges ?? old?.edges ?? new Map()
  const [pointsBefore, pointsAfter] = [new Map<TableId, Point>(), new Map<TableId, Point>()]
  for (const [input, edge] of edges) {
    const [was, is] = [pair.before.inputs[input], pair.after.inputs[input]]
    const a = was === undefined ? null : await book.at(input, was)
    const b = is === undefined ? null : await book.at(input, is)
    if (a) pointsBefore.set(input, a)
    if (b) pointsAfter.set(input, b)
    if (was === is && was !== undefined) continue
    // An input that only one definition reads is a matter of the code.
    if ((was === undefined || is === undefined) && pair.before.fingerprint !== pair.after.fingerprint) continue
    if (!a || !b) {
      out.unknown.push(`A state of ${input} that ${dataset} was built from is gone: snapshot ${String(a ? is : was)}.`)
      continue
    }
    const lists = edge.touches !== null && (await touchesAreLists(book, input, edge.touches))
    const shape = fresh?.shape ?? after.shape
    const read = shape ? readsOf(edge, shape, b.shape, pair.times, lists) : everything
    const reads = input === dataset && shape ? beganAt(edge, shape, read, await earlierApart(book, a, b, read)) : read
    const scope = { ...reads, conditions: await narrowed(book, input, [old, fresh], ask.scope.conditions, out) }
    const reader = { before, after, code: fresh, times: pair.times }
    const delivery = deliveryAsk(book, reader, input, edge.touches, lists)
    const findings = (await walk(book, a, b, { scope, measure: null, delivery }, out)) ?? relabelled(reader, input, out)
    if (findings !== null) candidates.push({ what: input, findings: async () => findings })
  }
  if (pair.before.fingerprint !== pair.after.fingerprint) {
    const scope = pair.times === null ? ask.scope : { ...ask.scope, times: pair.times }
    const sides = { before: old, after: fresh, inputs: pointsAfter }
    candidates.push({
      what: 'code',
      findings: async () => codeFindings(book, before, after, sides, await detail(), scope),
    })
  }
  const trial = new Trial(book, before, { old, fresh, before: pointsBefore, after: pointsAfter }, pair, ask, out)
  const chosen = candidates.length > 1 ? await trial.responsible(candidates) : candidates
  const found: Finding[] = []
  for (const one of chosen) {
    const own = await one.findings()
    found.push(...(one.what === 'code' ? own : await trial.deliveriesThatMatter(one.what, own)))
  }
  if (candidates.length === 0 && out.unknown.length === 0)
    found.push(notDeterministic(dataset, await detail(), pair.times))
  return found
}

/** When own rows of before some times part. */
async function earlierApart(book: WhyBook, before: Point, after: Point, read: Scope): Promise<IntervalSet> {
  const hull = read.times?.hull
  const times = hull && IntervalSet.of([{ start: Number.MIN_SAFE_INTEGER, end: hull.end }])
  if (!times) return IntervalSet.empty
  const found = await quickly(book, before, after, {
    scope: { times, where: null, conditions: [] },
    measure: null,
    delivery: nothingAsked,
  })
  return found.times ?? IntervalSet.empty
}

/** What was asked of a dataset's rows, in the words of an input; what cannot be said so is noted. */
export async function narrowed(
  book: WhyBook,
  input: TableId,
  codes: readonly (Code | null)[],
  conditions: readonly string[],
  out: Walk,
): Promise<readonly string[]> {
  const known = codes.filter((one) => one !== null)
  const found = await conditionsFor(book, input, known.length === codes.length ? known : [], conditions)
  const kept: string[] = []
  for (const one of found)
    if (one.to === null)
      out.wider.push(`${input} by ${one.from.replace(/\s+/g, ' ').replaceAll(' )', ')')}: ${one.why}.`)
    else kept.push(one.to)
  return kept
}

function notDeterministic(dataset: TableId, diff: RowDiff, times: IntervalSet | null): Finding {
  return {
    kind: 'not-deterministic',
    dataset,
    origin: { kind: 'unknown' },
    column: diff.total.columns[0]?.name ?? null,
    sentence: `${dataset} came out otherwise of the same inputs and the same definition; limn prove says by which expression.`,
    rows: diff.total.added + diff.total.removed + diff.total.changed,
    intervals: times?.intervals ?? [],
    evidence: noEvidence,
  }
}

function unexplained(dataset: TableId, diff: RowDiff, times: IntervalSet | null): Finding {
  return {
    ...notDeterministic(dataset, diff, times),
    kind: 'unexplained',
    sentence: `${dataset} differs, and what it was built from is not known well enough to say why.`,
  }
}

/** One finding for each thing, however many ways led to it. */
export function merged(findings: readonly Finding[]): readonly Finding[] {
  const out = new Map<string, Finding>()
  for (const one of findings) {
    const { origin } = one
    const what =
      origin.kind === 'delivery'
        ? `${origin.ordinal}`
        : origin.kind === 'code'
          ? `${origin.before} ${origin.after}`
          : ''
    const key = [one.kind, one.dataset, origin.kind, what, one.column ?? ''].join('\n')
    const known = out.get(key)
    out.set(
      key,
      known
        ? {
            ...known,
            rows: Math.max(known.rows, one.rows),
            intervals: IntervalSet.of([...known.intervals, ...one.intervals]).intervals,
          }
        : one,
    )
  }
  return [...out.values()]
}
