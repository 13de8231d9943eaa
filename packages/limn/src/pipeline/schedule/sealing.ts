import type { TableId } from '../../base/index.ts'
import {
  addUnits,
  alignTo,
  countUnits,
  followersOf,
  formatMicros,
  formatStart,
  type Interval,
  IntervalSet,
  type IntervalUnit,
  readsEarlier,
  type SealFacts,
  type SealState,
  sealState,
} from '../../dataset/index.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'

export interface SealingFacts {
  readonly nodes: ReadonlyMap<TableId, Node>
  readonly seals?: ReadonlyMap<TableId, SealFacts>
  readonly request: { readonly unsealed?: boolean }
}

export interface GapFacts {
  readonly ledger: ReadonlyMap<TableId, { readonly built: readonly { readonly interval: Interval | null }[] }>
  readonly domains: ReadonlyMap<TableId, Interval | null>
  readonly request: { readonly unsealed?: boolean }
}

/** Why an interval is not complete, and by whose word; of several consecutive ones, the first. */
export interface Open {
  /** When it can be built, in milliseconds; null: when what is missing comes. */
  readonly untilMs: number | null
  /** What it lacks: a file, or the watermark; null: only its time has to come. */
  readonly missing: string | null
  /** Whose seal it is. */
  readonly by: TableId
}

/**
 * Tells the intervals that are not complete from those that are to be built: their reason becomes `unsealed`. An interval is complete when its own seal says
 * so and those of all that it reads do, for the times that it reads: directly, or through datasets built by interval.
 * An input that is read without regard to time holds nothing back. Asked to build all the same, the items stay and say
 * so. Pure.
 */
export function holdUnsealed(node: Node, items: readonly PlanItem[], facts: SealingFacts): readonly PlanItem[] {
  const { shape } = node
  if (!facts.seals || facts.seals.size === 0 || shape.kind !== 'interval') return items
  const memo = new Map<string, Open | null>()
  const out: PlanItem[] = []
  for (const item of items) {
    if (item.interval === null || item.reason === 'checks-changed' || item.reason === 'accepted') {
      out.push(item)
      continue
    }
    for (const { interval, open } of partsOf(node, shape.unit, item.interval, facts, memo)) {
      if (open === null) append(out, { ...item, interval })
      else if (facts.request.unsealed)
        append(out, { ...item, interval, because: `${item.because}, ${unsealedText(open)}` })
      else append(out, { ...item, interval, reason: 'unsealed', because: unsealedText(open), atMost: false, open })
    }
  }
  return out
}

/**
 * Of a dataset that reads itself: what follows an interval that is held is held too, because it would be built without rows that
 * are yet to come.
 */
export function holdFollowers(node: Node, items: readonly PlanItem[]): readonly PlanItem[] {
  const { self, shape } = node
  const held = items.filter((item) => item.reason === 'unsealed' && item.interval !== null)
  if (!self || shape.kind !== 'interval' || held.length === 0) return items
  const setOf = (some: readonly PlanItem[]) => IntervalSet.of(some.flatMap((item) => item.interval ?? []))
  const stale = setOf(held)
  const among = setOf(items.filter((item) => item.reason !== 'checks-changed' && item.reason !== 'accepted'))
  const followers = IntervalSet.of(followersOf(self, shape.unit, stale, among).map((one) => one.interval)).minus(stale)
  const [first] = held
  const out: PlanItem[] = []
  for (const item of items) {
    if (item.interval === null || item.reason === 'unsealed' || item.reason === 'accepted') {
      out.push(item)
      continue
    }
    const own = IntervalSet.of([item.interval])
    for (const interval of own.minus(followers).intervals) out.push({ ...item, interval })
    for (const interval of own.intersect(followers).intervals) {
      const because = `reads itself: ${first?.because ?? ''}`
      out.push({
        ...item,
        interval,
        reason: 'unsealed',
        because,
        atMost: false,
        ...(first?.open ? { open: first.open } : {}),
      })
    }
  }
  return out.sort((a, b) => (a.interval?.start ?? Infinity) - (b.interval?.start ?? Infinity))
}

/**
 * Of a dataset that reads itself: what would read an interval that is not built, and is left out of this plan by a range or the like, is
 * held as well: a balance that begins in the middle is a wrong number. Asked to build all the same, the items say so. Pure.
 */
export function holdAfterGaps(node: Node, items: readonly PlanItem[], facts: GapFacts): readonly PlanItem[] {
  const { self, shape } = node
  const domain = facts.domains.get(node.id) ?? null
  if (!self || shape.kind !== 'interval' || domain === null || items.some((item) => item.interval === null))
    return items
  const setOf = (some: readonly { readonly interval: Interval | null }[]) =>
    IntervalSet.of(some.flatMap((one) => one.interval ?? []))
  const built = setOf(facts.ledger.get(node.id)?.built ?? [])
  const missing = IntervalSet.of([domain]).minus(built).minus(setOf(items))
  if (missing.isEmpty) return items
  return items.map((item) => {
    const { interval } = item
    if (!interval || item.reason === 'checks-changed' || item.reason === 'accepted') return item
    const last = missing.intervals.findLast((one) => readsEarlier(self, interval, IntervalSet.of([one])))
    if (!last) return item
    const lacks = formatStart(shape.unit, addUnits(shape.unit, last.end, -1))
    const open: Open = { untilMs: null, missing: `its own ${lacks}, which is not built`, by: node.id }
    if (facts.request.unsealed) return { ...item, because: `${item.because}, ${unsealedText(open)}` }
    return { ...item, reason: 'unsealed', because: unsealedText(open), atMost: false, open }
  })
}

/** `not complete until 2026-01-04T02:00:00 UTC`, `not complete without inbox/2026-01-03/_SUCCESS`. */
export function unsealedText(open: { readonly untilMs: number | null; readonly missing: string | null }): string {
  const until = open.untilMs === null ? '' : ` until ${formatMicros(open.untilMs * 1000)} UTC`
  const without = open.missing === null ? '' : ` without ${open.missing}`
  return `not complete${until}${without}`
}

/** Consecutive intervals of one item, planned alike, are one again; held ones when they wait for the same dataset. */
function append(out: PlanItem[], next: PlanItem): void {
  const last = out.at(-1)
  const joins =
    last?.interval &&
    next.interval &&
    last.interval.end === next.interval.start &&
    last.reason === next.reason &&
    (last.because === next.because || next.reason === 'unsealed') &&
    last.atMost === next.atMost &&
    last.open?.by === next.open?.by
  if (joins && last.interval && next.interval)
    out[out.length - 1] = { ...last, interval: { start: last.interval.start, end: next.interval.end } }
  else out.push(next)
}

type Memo = Map<string, Open | null>

/**
 * A range cut where it is complete and where it is not, in order; parts that are not are single intervals. A range that is
 * complete as a whole is so in all its parts, so that years of it are asked for once.
 */
function* partsOf(
  node: Node,
  unit: IntervalUnit,
  range: Interval,
  facts: SealingFacts,
  memo: Memo,
): Generator<{ readonly interval: Interval; readonly open: Open | null }> {
  const open = openBy(node, range, facts, memo)
  const count = countUnits(unit, range)
  if (open === null || count <= 1) {
    yield { interval: range, open }
    return
  }
  const middle = addUnits(unit, range.start, Math.floor(count / 2))
  yield* partsOf(node, unit, { start: range.start, end: middle }, facts, memo)
  yield* partsOf(node, unit, { start: middle, end: range.end }, facts, memo)
}

/** What keeps times of a dataset open, or null when all of them are complete. Of several, what lasts longest. */
function openBy(node: Node, interval: Interval, facts: SealingFacts, memo: Memo): Open | null {
  const key = `${node.id} ${interval.start} ${interval.end}`
  const known = memo.get(key)
  if (known !== undefined) return known
  let found = ownState(node, interval, facts)
  for (const [input, edge] of node.edges) {
    const other = facts.nodes.get(input)
    const reads = readInterval(edge, interval)
    if (!other || reads === null) continue
    if (other.shape.kind === 'whole') continue
    const needed = other.shape.kind === 'interval' ? alignTo(other.shape.unit, reads) : reads
    found = longer(found, openBy(other, needed, facts, memo))
  }
  memo.set(key, found)
  return found
}

/** The input times an interval needs to be complete; null when the input is read without regard to time. */
function readInterval(edge: NonNullable<ReturnType<Node['edges']['get']>>, interval: Interval): Interval | null {
  switch (edge.reads.kind) {
    case 'same':
      return interval
    case 'shift':
      return { start: interval.start - edge.reads.before, end: interval.end + edge.reads.after }
    case 'all':
      return edge.touches === null ? null : interval
    // Of itself: what of it is held is told by `holdFollowers`.
    case 'earlier':
      return null
  }
}

function ownState(node: Node, interval: Interval, facts: SealingFacts): Open | null {
  const { seal } = node.timing
  const known = facts.seals?.get(node.id)
  if (seal === null || known === undefined) return null
  const state: SealState = sealState(seal, known, interval)
  switch (state.kind) {
    case 'sealed':
    case 'sealed-by-grace':
      return null
    case 'open':
      return { untilMs: state.untilMs, missing: state.missing, by: node.id }
  }
}

function longer(a: Open | null, b: Open | null): Open | null {
  if (a === null || b === null) return a ?? b
  return (b.untilMs ?? Number.POSITIVE_INFINITY) > (a.untilMs ?? Number.POSITIVE_INFINITY) ? b : a
}
