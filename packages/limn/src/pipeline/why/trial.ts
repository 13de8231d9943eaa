import type { TableId } from '../../base/index.ts'
import type { Interval, IntervalSet } from '../../dataset/index.ts'
import { liveTableTasks } from '../../table/index.ts'
import { diffRows } from '../diff/diff-rows.ts'
import { deliveryOf } from '../stage/view.ts'
import { type BuiltFrom, type Code, type Point, timesOf, type WhyBook } from './book.ts'
import { deliveriesSeen } from './deliveries.ts'
import type { DeliveryChange } from './delivery-changes.ts'
import type { Finding } from './finding.ts'
import { conditionOf, type Scope, sideOf } from './scope.ts'
import { buildsMax, buildsOf, buildVariant, type Variant } from './variant.ts'
import type { Walk, WalkAsk } from './walk.ts'

/** Intervals of a dataset, and what they were built from on either side. */
export interface Pair {
  readonly times: IntervalSet | null
  readonly before: BuiltFrom
  readonly after: BuiltFrom
}

/** One thing that differs and may be responsible. */
export interface Candidate {
  readonly what: 'code' | TableId
  readonly findings: () => Promise<readonly Finding[]>
}

export interface Sides {
  readonly old: Code | null
  readonly fresh: Code | null
  readonly before: ReadonlyMap<TableId, Point>
  readonly after: ReadonlyMap<TableId, Point>
}

/** Builds with some deliveries taken over and others not; what is left then is told without being tried. */
const trialsMax = 16

/** Tries what differs, some of it at a time, on the former state of a dataset in a scratch folder. */
export class Trial {
  private readonly book: WhyBook
  private readonly before: Point
  private readonly sides: Sides
  private readonly pair: Pair
  private readonly ask: WalkAsk
  private readonly out: Walk

  constructor(book: WhyBook, before: Point, sides: Sides, pair: Pair, ask: WalkAsk, out: Walk) {
    this.book = book
    this.before = before
    this.sides = sides
    this.pair = pair
    this.ask = ask
    this.out = out
  }

  /** Tries each candidate alone: those that change nothing are not responsible. All of them when none changes anything. */
  async responsible(candidates: readonly Candidate[]): Promise<readonly Candidate[]> {
    const { old, fresh, before, after } = this.sides
    if (!old) {
      this.out.unknown.push(
        `Which of ${candidates.map((one) => one.what).join(', ')} is responsible: the former definition of ${this.before.dataset} is not remembered.`,
      )
      return candidates
    }
    const builds = this.builds(old)
    const chosen: Candidate[] = []
    for (const candidate of candidates) {
      const isCode = candidate.what === 'code'
      const inputs = isCode ? [...after, ...before] : [...before, ...[...after].filter(([id]) => id === candidate.what)]
      const names = isCode ? after : before
      const variant: Variant = {
        code: isCode ? (fresh ?? old) : old,
        inputs: new Map(inputs.map(([id, point]) => [id, calledAs(point, names.get(id))])),
      }
      if (await this.changes(variant, builds, candidates.length === 1)) chosen.push(candidate)
    }
    return chosen.length > 0 ? chosen : candidates
  }

  /**
   * Of several deliveries that differ in rows that were read, those that change what was made of them: all are tried
   * together, then each half, and halves that change nothing are let go. Those that only do something together are kept, and
   * all of them where there are more intervals to build than are tried.
   */
  async deliveriesThatMatter(input: TableId, findings: readonly Finding[]): Promise<readonly Finding[]> {
    const { old } = this.sides
    const node = this.book.context.project.nodes.get(input)
    const [was, is] = [this.sides.before.get(input), this.sides.after.get(input)]
    const units = [...new Set(findings.flatMap((one) => this.out.changes.get(one) ?? []))]
    if (units.length < 2 || node?.producer.kind !== 'source' || !old || !was || !is) return findings
    // What was not tried everywhere is not let go.
    if (buildsOf(old, this.pair.times).length > buildsMax) return findings
    if (!(await holdsAll(this.book, is, [...deliveriesSeen(was).keys(), ...deliveriesSeen(is).keys()]))) return findings
    const builds = this.builds(old)
    const seen = new Set(deliveriesSeen(was).keys())
    let trials = 0
    const matter = async (list: readonly DeliveryChange[]): Promise<boolean> => {
      trials++
      const only = new Set(seen)
      for (const one of list) for (const gone of one.old) only.delete(gone.ordinal)
      for (const one of list) for (const come of one.fresh) only.add(come.ordinal)
      const mixed = { ...calledAs(is, was), only }
      return this.changes({ code: old, inputs: new Map([...this.sides.before, [input, mixed]]) }, builds, false)
    }
    const kept = new Set<DeliveryChange>()
    const search = async (list: readonly DeliveryChange[]): Promise<boolean> => {
      const [only] = list
      const isTried = trials < trialsMax
      if (isTried && !(await matter(list))) return false
      if (list.length === 1 && only) kept.add(only)
      else if (!isTried) for (const one of list) kept.add(one)
      else {
        const middle = Math.ceil(list.length / 2)
        const [a, b] = [await search(list.slice(0, middle)), await search(list.slice(middle))]
        if (!a && !b) for (const one of list) kept.add(one)
      }
      return true
    }
    if (!(await search(units))) return findings
    return findings.filter((one) => {
      const change = this.out.changes.get(one)
      return change === undefined || kept.has(change)
    })
  }

  private builds(code: Code): readonly (Interval | null)[] {
    const builds = buildsOf(code, this.pair.times)
    if (builds.length > buildsMax)
      this.out.unknown.push(`Of ${builds.length} builds of ${this.before.dataset}, ${buildsMax} were tried again.`)
    return builds.slice(0, buildsMax)
  }

  /** Whether a variant gives other rows than the former state has, or another number where one was asked for. */
  private async changes(variant: Variant, builds: readonly (Interval | null)[], anyRow: boolean): Promise<boolean> {
    const { book, before, ask } = this
    const scope: Scope = { ...ask.scope, times: timesOf(builds) }
    const where = conditionOf(scope, before.shape)
    await using scratch = await book.context.store.scratch({ signal: book.context.signal })
    const side = await buildVariant(book, variant, builds, before, `${scratch.folder}/variant`)
    const diff = await diffRows(book.context, sideOf(book.viewOf(before), before.shape, scope), side, {
      keys: book.context.project.nodes.get(before.dataset)?.contract.keys ?? [],
      measures: ask.measure ? [ask.measure] : [],
      sample: 0,
      ...(where === null ? {} : { where }),
    })
    const [measure] = diff.total.measures
    const rows = diff.total.added + diff.total.removed + diff.total.changed
    return rows > 0 && (anyRow || measure === undefined || measure.before !== measure.after)
  }
}

/** Whether a state still has the files of some deliveries, so that it can be read as if others had been landed. */
async function holdsAll(book: WhyBook, { pin, rows }: Point, ordinals: readonly number[]): Promise<boolean> {
  const ordinalOf = deliveryOf(pin)
  const there = new Set((await liveTableTasks(book.context, pin)).map((task) => ordinalOf(task.file)))
  const empty = new Set(rows.flatMap((row) => row.deliveries.flatMap((one) => (one.kept === 0 ? [one.ordinal] : []))))
  return ordinals.every((one) => there.has(one) || empty.has(one))
}

/** A state with its columns under the names they have in another, which its reader's definition uses. */
function calledAs(point: Point, other: Point | undefined): Point {
  const { metadata } = point.pin
  const schemaId = other?.pin.schemaId
  if (schemaId === undefined || other?.pin.metadata.tableUuid !== metadata.tableUuid) return point
  return metadata.schemas.some((one) => one.schemaId === schemaId)
    ? { ...point, pin: { ...point.pin, schemaId } }
    : point
}
