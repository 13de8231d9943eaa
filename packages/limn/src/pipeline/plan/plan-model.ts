import { invariant, type TableId } from '../../base/index.ts'
import {
  addUnits,
  alignTo,
  type Edge,
  followersOf,
  formatStart,
  type Interval,
  IntervalSet,
  type IntervalUnit,
} from '../../dataset/index.ts'
import type { Built } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import { type Change, reachedBy, unionOfChanges } from './change.ts'
import type { DefinitionDiff } from './definition-diff.ts'
import { counts, standsWithout } from './forward-only.ts'
import { isBuild, type Pending, type PlanFacts, type PlanItem, type Reason } from './plan.ts'
import { boundKey, impliedBy, standingOnItself, touchedKey } from './reach.ts'
import { StaleSets } from './stale-sets.ts'

/** What is stale of a model: pure, from facts about its definition, its inputs and the ledger. */
export function planModel(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  return node.shape.kind === 'interval' ? planIntervals(node, facts, pending) : planWhole(node, facts, pending)
}

interface Found {
  readonly reason: Reason
  readonly because: string
  readonly atMost: boolean
  readonly changes: Change
}

function itemOf(node: Node, interval: Interval | null, found: Found): PlanItem {
  const unit = node.shape.kind === 'interval' ? node.shape.unit : null
  const { reason, because, atMost, changes } = found
  const common = { dataset: node.id, interval, unit, reason, because, atMost }
  return changes === 'all' ? common : { ...common, changes }
}

/** Reason and reach of a definition that is no longer the one that built something. */
function redefined(node: Node, facts: PlanFacts, fingerprint: string): Found {
  const diff: DefinitionDiff | undefined = facts.diffs?.get(`${node.id} ${fingerprint}`)
  return {
    reason: diff?.contractOnly ? 'contract-changed' : 'definition-changed',
    because: diff?.contractOnly ? 'its contract' : 'its definition',
    atMost: false,
    changes: diff?.change ?? 'all',
  }
}

const anything = { atMost: false, changes: 'all' as const }

function planWhole(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  const built = facts.ledger.get(node.id)?.built[0]
  const one = (found: Found) => [itemOf(node, null, found)]
  if (facts.request.full) return one({ ...anything, reason: 'full-rebuild', because: 'asked for' })
  if (facts.request.restate?.has(node.id)) return one({ ...anything, reason: 'restated', because: 'asked for' })
  if (!built) return one({ ...anything, reason: 'never-built', because: 'first build' })
  const found: Found[] = []
  const isOld = built.fingerprint !== node.fingerprint
  // What was built by interval is no whole of anything: that cannot be accepted.
  const isWhole = built.interval === null
  if (isOld && (!isWhole || counts(node, facts, built.fingerprint)))
    found.push(redefined(node, facts, built.fingerprint))
  for (const input of node.edges.keys()) {
    if (isWhole && standsWithout(node, facts, built.fingerprint, input)) continue
    const items = pending.get(input)
    if (items) {
      const changes = reachOf(node, input, facts, items)
      if (changes !== null) found.push({ reason: 'input-changed', because: input, atMost: true, changes })
    }
    const head = facts.heads.get(input)?.snapshotId ?? null
    const before = inputBefore(facts, built, input)
    if (before === head) continue
    const touched = facts.touched.get(touchedKey(node.id, input, before, head))
    if (touched?.kind === 'times' && touched.times.isEmpty) continue
    found.push({ ...anything, reason: 'input-changed', because: input, atMost: items !== undefined })
  }
  const [first] = found
  if (first)
    return one({ ...first, changes: found.reduce<Change>((all, each) => unionOfChanges(all, each.changes), new Set()) })
  if (isOld && facts.request.forwardOnly === true)
    return one({ reason: 'accepted', because: 'built by an earlier definition', atMost: false, changes: new Set() })
  return []
}

/** What a change of some intervals can do to later ones of a dataset that reads itself. */
function throughItself(node: Node, changes: Change): Change {
  const reached = node.self ? reachedBy(node, node.id, node, changes) : null
  const all = reached === null ? changes : unionOfChanges(changes, reached)
  return all === changes ? changes : throughItself(node, all)
}

/** What pending items of an input can do to a reader, taken together; null: nothing. */
function reachOf(node: Node, input: TableId, facts: PlanFacts, items: readonly PlanItem[]): Change | null {
  let all: Change | null = null
  for (const { reason, changes } of items) {
    if (!isBuild({ reason })) continue
    const reached = reachedBy(node, input, facts.nodes.get(input), changes ?? 'all')
    if (reached !== null) all = all === null ? reached : unionOfChanges(all, reached)
  }
  return all
}

function inputBefore(facts: PlanFacts, entry: Built, input: TableId): bigint | null {
  const before = entry.inputs[input] ?? null
  return facts.since ? facts.since.inputThen(input, before) : before
}

function timesOf(built: readonly Built[]): IntervalSet {
  return IntervalSet.of(built.flatMap((entry) => (entry.interval ? [entry.interval] : [])))
}

/** The times of built entries, by a key of each. */
function timesBy<K>(built: readonly Built[], keyOf: (entry: Built) => K): ReadonlyMap<K, IntervalSet> {
  const found = new Map<K, Interval[]>()
  for (const entry of built) {
    if (!entry.interval) continue
    const key = keyOf(entry)
    const intervals = found.get(key)
    if (intervals) intervals.push(entry.interval)
    else found.set(key, [entry.interval])
  }
  return new Map([...found].map(([key, intervals]) => [key, IntervalSet.of(intervals)]))
}

function planIntervals(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  const shape = node.shape
  invariant(shape.kind === 'interval', 'an interval dataset')
  const { request } = facts
  const built = facts.ledger.get(node.id)?.built ?? []
  const everything = timesOf(built)
  const unsettled = [...node.edges.keys()].filter((input) => pending.has(input))
  const domainKnown = unsettled.length === 0 && facts.domains.has(node.id)
  const domainHull = facts.domains.get(node.id) ?? null
  const domain = domainKnown ? IntervalSet.of(domainHull ? [domainHull] : []) : everything
  const range = request.restate && !request.restate.has(node.id) ? null : request.range
  const clip = (times: IntervalSet) => clipToRequest(times, shape.unit, range)
  const stale = new StaleSets()
  const add = (times: IntervalSet, found: Found) => stale.add({ ...found, times: clip(times) })

  const all = domain.union(everything)
  if (request.full) add(all, { ...anything, reason: 'full-rebuild', because: 'asked for' })
  if (request.restate?.has(node.id)) add(all, { ...anything, reason: 'restated', because: 'asked for' })
  let old = IntervalSet.empty
  for (const [fingerprint, times] of timesBy(built, (entry) => entry.fingerprint)) {
    if (fingerprint === node.fingerprint) continue
    if (counts(node, facts, fingerprint)) add(times, redefined(node, facts, fingerprint))
    else old = old.union(times)
  }
  if (domainKnown) addMissing(node, facts, domain.minus(everything), everything.hull, add)
  // An interval that fell out of the domain has no input rows left; it is rebuilt, to be empty.
  let unbounded = null as Found | null
  // Until the inputs are settled the domain is at least what it is over their present state.
  let reach = everything.union(IntervalSet.of(domainHull ? [domainHull] : []))
  const possible = possibleTimes(shape).union(everything)
  for (const [input, edge] of node.edges) {
    const items = pending.get(input)
    const reading = built.filter((entry) => !standsWithout(node, facts, entry.fingerprint, input))
    // What stands as it was built without this input is not reached by it.
    const without = reading.length === built.length ? IntervalSet.empty : everything.minus(timesOf(reading))
    if (items) {
      const reason: Reason = built.length === 0 ? 'never-built' : 'input-changed'
      const bound = boundOf(node, input, edge, facts, items)
      // Nothing stands on it, and it gives no interval that is not there.
      const reachesNone = built.length > 0 && reading.length === 0 && edge.touches === null && edge.reads.kind === 'all'
      if (bound === 'any' && reachesNone) continue
      if (bound === 'any')
        unbounded = {
          reason,
          because: unbounded?.because ?? input,
          atMost: true,
          changes: throughItself(
            node,
            unionOfChanges(unbounded?.changes ?? new Set(), reachOf(node, input, facts, items) ?? new Set()),
          ),
        }
      else
        for (const { times, changes } of bound) {
          reach = reach.union(times.intersect(possible))
          add(times.intersect(possible).minus(without), { reason, because: input, atMost: true, changes })
        }
    }
    // What it changed before this run counts too, as far as it is not undone.
    const head = facts.heads.get(input)?.snapshotId ?? null
    for (const [before, own] of timesBy(reading, (entry) => inputBefore(facts, entry, input))) {
      if (before === head) continue
      const touched = facts.touched.get(touchedKey(node.id, input, before, head))
      const times = !touched || touched.kind === 'all' ? own : touched.times.intersect(own)
      add(times, {
        reason: 'input-changed',
        because: input,
        atMost: touched === undefined || items !== undefined,
        changes: 'all',
      })
    }
  }
  // What an input that is pending adds may widen the domain: all between becomes due, too.
  if (!domainKnown) {
    const widened = IntervalSet.of([widenedBy(shape, reach.hull)].filter((one) => one !== null))
    const missing = widened.minus(everything)
    if (unbounded === null)
      addMissing(node, facts, missing, everything.hull, (times, found) => add(times, { ...found, atMost: true }))
    // All of an interval that was not there before is new.
    else if (!missing.isEmpty) unbounded = { ...unbounded, changes: 'all' }
  }
  addOwnChanges(node, facts, built, add)
  // A restatement's range bounds what is restated, not what follows from it.
  addFollowers(node, stale, all.union(reach), old, request.restate?.has(node.id) ? (times) => times : clip)
  const items = stale.parts().map(({ interval, ...found }) => itemOf(node, interval, found))
  if (unbounded) items.push(itemOf(node, range ? alignTo(shape.unit, range) : null, unbounded))
  if (request.forwardOnly === true) {
    const accepted: Found = {
      reason: 'accepted',
      because: 'built by an earlier definition',
      atMost: false,
      changes: new Set(),
    }
    for (const interval of clip(old).minus(stale.times).intervals) items.push(itemOf(node, interval, accepted))
  }
  return items.sort((a, b) => (a.interval?.start ?? Infinity) - (b.interval?.start ?? Infinity))
}

/** Intervals of the domain that were never built: gaps between those that were, and what lies beyond. */
function addMissing(
  node: Node,
  facts: PlanFacts,
  missing: IntervalSet,
  hull: Interval | null,
  add: (times: IntervalSet, found: Found) => void,
): void {
  const then = facts.since?.domains.get(node.id) ?? null
  const fresh = facts.since ? missing.minus(IntervalSet.of(then ? [then] : [])) : missing
  const inside = IntervalSet.of(hull ? [hull] : [])
  add(fresh.intersect(inside), { ...anything, reason: 'gap', because: 'between intervals that were built' })
  add(fresh.minus(inside), { ...anything, reason: 'never-built', because: 'in the domain, not yet built' })
}

/** Intervals whose own earlier rows changed since they were built, as far as they are not undone. */
function addOwnChanges(
  node: Node,
  facts: PlanFacts,
  built: readonly Built[],
  add: (times: IntervalSet, found: Found) => void,
): void {
  const { id, self, shape } = node
  if (!self || shape.kind !== 'interval') return
  const head = facts.heads.get(id)?.snapshotId ?? null
  for (const [before, own] of timesBy(standingOnItself(node, built), (entry) => inputBefore(facts, entry, id))) {
    if (before === head) continue
    const touched = facts.touched.get(touchedKey(id, id, before, head))
    const times = !touched || touched.kind === 'all' ? own : touched.times.intersect(own)
    const first = touched?.kind === 'times' ? touched.times.intervals.find((one) => own.overlaps(one)) : undefined
    const changed = first ? formatStart(shape.unit, addUnits(shape.unit, first.start, -1)) : 'what it holds'
    add(times, { ...anything, reason: 'reads-itself', because: `${changed} changed`, atMost: touched === undefined })
  }
}

/**
 * Intervals that read those that are stale, directly or through each other: built again as far as rows of those change. Those
 * of an earlier definition (`old`), which would else be accepted as they are, are built in any case.
 */
function addFollowers(
  node: Node,
  stale: StaleSets,
  among: IntervalSet,
  old: IntervalSet,
  clip: (times: IntervalSet) => IntervalSet,
): void {
  const { self, shape } = node
  if (!self || shape.kind !== 'interval') return
  for (const { interval, because } of followersOf(self, shape.unit, stale.times, among)) {
    const times = clip(IntervalSet.of([interval]))
    const found = {
      reason: 'reads-itself',
      because: `${formatStart(shape.unit, because.start)} is built again`,
    } as const
    stale.add({ ...anything, ...found, times: times.intersect(old) })
    stale.add({ ...anything, ...found, times: times.minus(old), atMost: true })
  }
}

type IntervalShape = Extract<Node['shape'], { kind: 'interval' }>

/** Times that a dataset can have intervals for, as its definition states. */
function possibleTimes(shape: IntervalShape): IntervalSet {
  return IntervalSet.of([
    { start: shape.start ?? Number.NEGATIVE_INFINITY, end: shape.end ?? Number.POSITIVE_INFINITY },
  ])
}

/** The domain as it would be when input rows reach these times at most. */
function widenedBy(shape: IntervalShape, reach: Interval | null): Interval | null {
  const start = shape.start ?? reach?.start
  const end = shape.end ?? reach?.end
  return start === undefined || end === undefined ? null : { start, end }
}

type Bound = readonly { readonly times: IntervalSet; readonly changes: Change }[]

/** What an input that is itself pending can reach at most; `any` when nothing bounds it. */
function boundOf(node: Node, input: TableId, edge: Edge, facts: PlanFacts, items: readonly PlanItem[]): Bound | 'any' {
  const shape = node.shape
  invariant(shape.kind === 'interval', 'an interval dataset')
  const known = facts.bounds.get(boundKey(node.id, input))
  if (known) return [{ times: known.map((interval) => alignTo(shape.unit, interval)), changes: 'all' }]
  const reaching = new Map<string, { readonly changes: Change; readonly intervals: Interval[] }>()
  for (const one of items) {
    if (!isBuild(one)) continue
    const changes = reachedBy(node, input, facts.nodes.get(input), one.changes ?? 'all')
    if (changes === null) continue
    if (edge.reads.kind === 'all' || one.interval === null) return 'any'
    const key = changes === 'all' ? '*' : [...changes].sort().join('\n')
    const found = reaching.get(key)
    if (found) found.intervals.push(one.interval)
    else reaching.set(key, { changes, intervals: [one.interval] })
  }
  return [...reaching.values()].map(({ changes, intervals }) => ({
    changes,
    times: impliedBy(edge, shape.unit, IntervalSet.of(intervals)) ?? IntervalSet.empty,
  }))
}

/** Whole units inside the requested range: a unit the range covers only in part is built whole. */
function clipToRequest(times: IntervalSet, unit: IntervalUnit, range: Interval | null): IntervalSet {
  return range ? times.intersect(IntervalSet.of([alignTo(unit, range)])) : times
}
