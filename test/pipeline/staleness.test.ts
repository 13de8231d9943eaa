import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { type EarlierReads, type Interval, IntervalSet, noTiming } from '../../packages/limn/src/dataset/index.ts'
import { emptyLedger, type FoldedRow, foldLedger } from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import type { DefinitionDiff } from '../../packages/limn/src/pipeline/plan/definition-diff.ts'
import {
  boundKey,
  certainTimes,
  isBuild,
  isDue,
  type Plan,
  type PlanFacts,
  type PlanItem,
  plan,
  planOf,
  type Touched,
  touchedKey,
} from '../../packages/limn/src/pipeline/plan/plan.ts'
import type { Node, Shape } from '../../packages/limn/src/pipeline/project/node.ts'
import type { QueryLineage } from '../../packages/limn/src/sql/index.ts'
import { Chooser } from '../support/query-specs.ts'
import {
  around,
  buildAll,
  type ColumnName,
  columnNames,
  columnsRead,
  dayCount,
  dayOf,
  differingDays,
  dueDays,
  editModel,
  editSource,
  equalTables,
  inWindow,
  type ModelSpec,
  makeModels,
  type Reading,
  readsOwn,
  type SelfSpec,
  source,
  type Table,
} from '../support/staleness-world.ts'

const micros = 86_400_000_000
const span = (day: number, end = day + 1): Interval => ({ start: day * micros, end: end * micros })
const daysOf = (interval: Interval) =>
  Array.from({ length: (interval.end - interval.start) / micros }, (_, i) => interval.start / micros + i)
const id = (name: string): TableId => tableId(name)

const fingerprintOf = ({ columns, even, keys, self }: ModelSpec) => JSON.stringify({ columns, even, keys, self })

function nodeOf(model: ModelSpec): Node {
  const shape: Shape =
    model.by === 'whole'
      ? { kind: 'whole' }
      : { kind: 'interval', column: 't', columnType: 'timestamp', unit: 'day', batch: 'day', start: null, end: null }
  const { self } = model
  const uses = (name: ColumnName) => {
    const { input, column } = model.columns[name]
    const own = self?.into === name ? [[model.name, new Set<string>([self.column])] as const] : []
    return new Map([[model.inputs[input]?.of ?? '', new Set<string>([column])], ...own])
  }
  const rows = new Map(model.even === null ? [] : [[model.inputs[0]?.of ?? '', new Set<string>([model.even])]])
  const lineage: QueryLineage = {
    columns: columnNames.map((name) => ({ name, hash: '', uses: uses(name), tree: null })),
    open: false,
    rows: { hash: '', uses: rows },
    facets: [],
    uses: new Map(),
    tables: new Set(),
    starred: new Set(),
    unresolved: [],
  }
  return {
    ...bare(model.name, shape),
    edges: new Map(
      model.inputs.map(({ of, reads }) => [
        id(of),
        { reads: edgeReads(reads), touches: of === source && reads.kind !== 'all' ? 't' : null },
      ]),
    ),
    ...(self ? { self: earlierOf(self) } : {}),
    reads: new Map([
      ...model.inputs.map(({ of }, i) => [id(of), { columns: columnsRead(model, i), starred: false }] as const),
      ...(self ? [[id(model.name), { columns: new Set([self.column]), starred: false }] as const] : []),
    ]),
    lineage,
    fingerprint: fingerprintOf(model),
  }
}

function earlierOf({ back }: SelfSpec): EarlierReads {
  return { kind: 'earlier', back: back === null ? null : { count: back, unit: 'day' } }
}

function edgeReads(reads: Reading) {
  return reads.kind === 'shift'
    ? { kind: reads.kind, before: reads.before * micros, after: reads.after * micros }
    : reads
}

function bare(name: string, shape: Shape): Node {
  const isSource = shape.kind === 'files'
  const csv = { delimiter: ',', header: true, quote: '"' }
  return {
    id: id(name),
    file: '',
    shape,
    query: null,
    fingerprint: '',
    checksHash: 'c',
    checkInputs: [],
    edges: new Map(),
    reads: new Map(),
    lineage: null,
    timing: noTiming,
    contract: {
      id: id(name),
      doc: '',
      owner: '',
      grain: [],
      keys: [],
      columns: { u: { type: 'long' }, v: { type: 'long' } },
      partition: [],
      checks: [],
      rejects: [],
      rejectBudget: {},
      tags: [],
    },
    producer: isSource
      ? { kind: 'source', input: { kind: 'files', glob: '', format: 'csv', withdrawn: 'error', csv } }
      : { kind: 'model', build: { kind: 'whole', query: () => ({ kind: 'sql', text: '' }) }, edges: {} },
  }
}

/** Days that anything of a drawn lake can have. */
const allDays = Array.from({ length: dayCount + 40 }, (_, i) => i - 20)

/** Plays runs over a naive lake with the planner and the ledger as they are, and keeps what each table then holds. */
class Player {
  models: readonly ModelSpec[]
  /** What the source would hand over. */
  delivered: Table
  private readonly snapshots = new Map<string, { readonly id: bigint; readonly table: Table }[]>()
  private rows: FoldedRow[] = []
  private nextId = 1n

  constructor(models: readonly ModelSpec[], delivered: Table) {
    this.models = models
    this.delivered = delivered
  }

  stored(name: string): Table {
    return this.snapshots.get(name)?.at(-1)?.table ?? new Map()
  }

  private publish(name: string, table: Table): void {
    const log = this.snapshots.get(name) ?? []
    if (log.length > 0 && equalTables(log.at(-1)?.table ?? new Map(), table)) return
    this.snapshots.set(name, [...log, { id: this.nextId++, table }])
  }

  private head(name: string): bigint | null {
    return this.snapshots.get(name)?.at(-1)?.id ?? null
  }

  private at(name: string, snapshot: bigint | null): Table {
    return this.snapshots.get(name)?.find((one) => one.id === snapshot)?.table ?? new Map()
  }

  /** Facts as they would be gathered, worked out by the naive lake. `settled`: datasets this run has dealt with. */
  facts(settled: ReadonlySet<string>, range: Interval | null, pendingSource: boolean): PlanFacts {
    const ledger = foldLedger(this.rows)
    const touched = new Map<string, Touched>()
    const domains = new Map<TableId, Interval | null>()
    const diffs = new Map<string, DefinitionDiff>()
    const bounds = new Map<string, IntervalSet>()
    for (const model of this.models) {
      const built = ledger.get(id(model.name))?.built ?? []
      for (const [i, input] of model.inputs.entries()) {
        for (const { inputs } of built) {
          const from = inputs[input.of] ?? null
          const days = differingDays(this.at(input.of, from), this.stored(input.of), columnsRead(model, i))
          touched.set(
            touchedKey(id(model.name), id(input.of), from, this.head(input.of)),
            this.reached(model, input.reads, days),
          )
        }
        if (pendingSource && input.of === source && input.reads.kind !== 'all')
          bounds.set(
            boundKey(id(model.name), id(source)),
            this.times(around(input.reads, differingDays(this.stored(source), this.delivered, columnNames))),
          )
      }
      const { self, name } = model
      for (const { inputs } of self ? built : []) {
        const from = inputs[name]
        if (!self || from === undefined) continue
        const days = differingDays(this.at(name, from), this.stored(name), [self.column])
        const readers = allDays.filter((day) => [...days].some((of) => readsOwn(self, day, of)))
        touched.set(touchedKey(id(name), id(name), from, this.head(name)), {
          kind: 'times',
          times: this.times(readers),
        })
      }
      domains.set(id(model.name), this.domain(model))
      for (const { fingerprint } of built) {
        const old = JSON.parse(fingerprint) as Pick<ModelSpec, 'columns' | 'even' | 'keys' | 'self'>
        const changed = columnNames.filter(
          (name) => JSON.stringify(old.columns[name]) !== JSON.stringify(model.columns[name]),
        )
        const same = old.even === model.even && JSON.stringify(old.self) === JSON.stringify(model.self)
        const change = same ? new Set<string>(changed) : ('all' as const)
        diffs.set(`${model.name} ${fingerprint}`, { changes: [], change, contractOnly: false })
      }
    }
    const nodes = [bare(source, { kind: 'files' }), ...this.models.map(nodeOf)]
    const candidates = pendingSource ? [{ path: 'a', sha256: 'h', bytes: 1, change: 'changed' as const }] : []
    return {
      order: nodes.map((node) => node.id),
      nodes: new Map(nodes.map((node) => [node.id, node])),
      selected: new Set(nodes.map((node) => node.id)),
      ledger,
      heads: new Map(nodes.map((node) => [node.id, { snapshotId: this.head(node.id), staged: settled.has(node.id) }])),
      probes: new Map([[id(source), { candidates, withdrawn: [] }]]),
      touched,
      bounds,
      domains,
      diffs,
      request: { full: false, range },
    }
  }

  private times(days: Iterable<number>): IntervalSet {
    return IntervalSet.of([...days].sort((a, b) => a - b).map((day) => span(day)))
  }

  private reached(model: ModelSpec, reads: Reading, days: ReadonlySet<number>): Touched {
    if (days.size === 0) return { kind: 'times', times: IntervalSet.empty }
    if (model.by === 'whole' || reads.kind === 'all') return { kind: 'all' }
    return { kind: 'times', times: this.times(around(reads, days)) }
  }

  private domain(model: ModelSpec): Interval | null {
    const days = dueDays(model, new Map(model.inputs.map(({ of }) => [of, this.stored(of)])))
    return days.length === 0 ? null : span(Math.min(...days), Math.max(...days) + 1)
  }

  /** Whether anything a day was built from has changed since, by plain comparison. */
  private hasCause(model: ModelSpec, day: number, before: Remembered, began: Table): boolean {
    const built = before.get(`${model.name} ${model.by === 'whole' ? 0 : day}`)
    if (!built || built.fingerprint !== fingerprintOf(model)) return true
    const { self } = model
    // What changed of its own days before this run counts, too, also where this run undoes it.
    for (const own of self ? [began, this.stored(model.name)] : [])
      if (
        self &&
        [...differingDays(built.inputs.get(model.name) ?? new Map(), own, columnNames)].some((of) =>
          readsOwn(self, day, of),
        )
      )
        return true
    return model.inputs.some(({ of, reads }, i) =>
      [...differingDays(built.inputs.get(of) ?? new Map(), this.stored(of), columnsRead(model, i))].some(
        (at) => model.by === 'whole' || inWindow(reads, day, at),
      ),
    )
  }

  /** What each day was last built from, kept by the naive lake for itself. */
  readonly remembered: Remembered = new Map()

  /** One run. Checks that what it builds has a cause, that its first plan covered it, and what items say of columns. */
  run(range: Interval | null, said: string): void {
    const first = plan(this.facts(new Set(), range, !equalTables(this.stored(source), this.delivered)))
    const before = new Map([...this.models].map((model) => [model.name, this.stored(model.name)]))
    this.publish(source, this.delivered)
    const settled = new Set<string>([source])
    for (const model of this.models) {
      const items = planOf(id(model.name), this.facts(settled, range, false), new Map()).filter(isBuild)
      const days = this.build(model, items)
      for (const day of days) {
        expect(
          this.hasCause(model, day, this.remembered, before.get(model.name) ?? new Map()),
          `${said}: ${model.name} day ${day} is built for no reason`,
        ).toBe(true)
        expect(covers(first, model.name, day), `${said}: the first plan leaves out ${model.name} day ${day}`).toBe(true)
      }
      this.requireColumns(first, model, before.get(model.name) ?? new Map(), days, said)
      this.carry(model, days, range, settled)
      for (const day of days) {
        const read = [...model.inputs.map(({ of }) => of), model.name]
        const inputs = new Map(read.map((of) => [of, this.stored(of)]))
        this.remembered.set(`${model.name} ${day}`, { fingerprint: fingerprintOf(model), inputs })
      }
      settled.add(model.name)
    }
  }

  private build(model: ModelSpec, items: readonly PlanItem[]): ReadonlySet<number> {
    const daysIn = (some: readonly PlanItem[]) => some.flatMap((item) => (item.interval ? daysOf(item.interval) : [0]))
    const planned = daysIn(items).sort((a, b) => a - b)
    const certain = certainTimes(items)
    const tables = new Map([source, ...this.models.map((one) => one.name)].map((name) => [name, this.stored(name)]))
    const next = new Map(this.stored(model.name))
    const self = nodeOf(model).self
    const days = new Set<number>()
    let changed = IntervalSet.empty
    for (const day of planned) {
      if (self && !isDue(self, span(day), certain, changed)) continue
      days.add(day)
      const rows = dayOf(model, day, tables.set(model.name, next))
      if (differingDays(new Map([[day, next.get(day) ?? []]]), new Map([[day, rows]]), columnNames).size > 0)
        changed = changed.union(IntervalSet.of([span(day)]))
      if (rows.length === 0) next.delete(day)
      else next.set(day, rows)
    }
    if (days.size > 0) this.publish(model.name, next)
    for (const interval of model.by === 'whole' ? (days.size > 0 ? [null] : []) : this.times(days).intervals)
      this.record(model, 'built', interval)
    return days
  }

  private record(model: ModelSpec, outcome: 'built' | 'carried', interval: Interval | null): void {
    const inputs = Object.fromEntries(
      [...model.inputs.map(({ of }) => of), ...(model.self ? [model.name] : [])].flatMap((of) => {
        const head = this.head(of)
        return head === null ? [] : [[of, head] as const]
      }),
    )
    this.rows.push({
      seq: this.rows.length + 1,
      run: 'r',
      dataset: model.name,
      outcome,
      reason: '',
      interval,
      fingerprint: fingerprintOf(model),
      checksHash: 'c',
      deliveries: [],
      inputs,
      outputSnapshot: this.head(model.name),
      rows: 0,
      bytes: 0,
      startedAtMs: 0,
      seconds: 0,
    })
  }

  /** What is not stale after a run, though its inputs moved, is said to be built from the present ones. */
  private carry(
    model: ModelSpec,
    built: ReadonlySet<number>,
    range: Interval | null,
    settled: ReadonlySet<string>,
  ): void {
    const ledger = foldLedger(this.rows).get(id(model.name)) ?? emptyLedger
    const stale =
      range === null ? [] : planOf(id(model.name), this.facts(settled, null, false), new Map()).filter(isBuild)
    if (stale.some((item) => item.interval === null)) return
    const left = IntervalSet.of(stale.flatMap((item) => (item.interval ? [item.interval] : [])))
    for (const entry of ledger.built) {
      if (entry.fingerprint !== fingerprintOf(model)) continue
      const read = [
        ...model.inputs.map(({ of }) => of),
        ...(entry.inputs[model.name] === undefined ? [] : [model.name]),
      ]
      if (read.every((of) => (entry.inputs[of] ?? null) === this.head(of))) continue
      if (entry.interval === null) {
        if (built.size === 0) this.record(model, 'carried', null)
        continue
      }
      for (const part of IntervalSet.of([entry.interval]).minus(left).minus(this.times(built)).intervals)
        this.record(model, 'carried', part)
    }
  }

  /** Columns that no item names are as they were, on days whose items all name some. */
  private requireColumns(first: Plan, model: ModelSpec, before: Table, days: ReadonlySet<number>, said: string): void {
    for (const day of days) {
      const items = first.items.filter(
        (item) => item.dataset === id(model.name) && (item.interval === null || daysOf(item.interval).includes(day)),
      )
      if (items.length === 0 || items.some((item) => item.changes === undefined)) continue
      const named = new Set(
        items.flatMap((item) => (item.changes === undefined || item.changes === 'all' ? [] : [...item.changes])),
      )
      const others = columnNames.filter((name) => !named.has(name))
      const differing = differingDays(before, this.stored(model.name), others)
      expect(
        differing.has(day),
        `${said}: ${model.name} day ${day} changes beyond ${[...named].join(', ') || 'nothing'}`,
      ).toBe(false)
    }
  }

  requireWhole(said: string): void {
    const tables = new Map<string, Table>([[source, this.delivered]])
    for (const model of this.models) {
      const built = [...this.remembered.keys()].filter((key) => key.startsWith(`${model.name} `))
      const whole = buildAll(
        model,
        tables,
        built.map((key) => Number(key.split(' ')[1])),
      )
      expect(shown(this.stored(model.name)), `${said}: ${model.name}`).toEqual(shown(whole))
      tables.set(model.name, this.stored(model.name))
    }
    const facts = this.facts(new Set(), null, false)
    expect(plan(facts).items, `${said}: something is stale right after a run`).toEqual([])
  }
}

type Remembered = Map<string, { readonly fingerprint: string; readonly inputs: ReadonlyMap<string, Table> }>

function covers(first: Plan, name: string, day: number): boolean {
  return first.items.some(
    (item) => item.dataset === id(name) && (item.interval === null || daysOf(item.interval).includes(day)),
  )
}

const shown = (table: Table) => [...table].sort(([a], [b]) => a - b)

/** Plays one drawn history; throws with the history's name. */
function play(seed: string): { readonly runs: number; readonly narrowed: number } {
  const choose = new Chooser(seed)
  const player = new Player(makeModels(choose), editSource(choose, editSource(choose, new Map())))
  let runs = 0
  let narrowed = 0
  for (let step = 0; step < 7; step++) {
    const said = `${seed}, step ${step}`
    if (choose.chance(2)) player.delivered = editSource(choose, player.delivered)
    if (!choose.chance(3)) {
      const at = choose.below(player.models.length)
      player.models = player.models.map((model, i) => (i === at ? editModel(choose, model) : model))
    }
    if (choose.chance(4)) {
      const from = choose.below(dayCount)
      player.run(span(from, from + 1 + choose.below(4)), said)
      narrowed++
    }
    if (choose.chance(3)) continue
    player.run(null, said)
    player.requireWhole(said)
    runs++
  }
  return { runs, narrowed }
}

describe('staleness', () => {
  const seed = process.env.LIMN_SEED ?? 'mm'
  it(`builds what a full rebuild would change, for a reason, and covers it in the first plan (seed ${seed})`, () => {
    const total = { runs: 0, narrowed: 0 }
    for (let i = 0; i < (process.env.LIMN_SEED === undefined ? 80 : 1500); i++) {
      const { runs, narrowed } = play(`${seed} ${i}`)
      total.runs += runs
      total.narrowed += narrowed
    }
    expect(total.runs).toBeGreaterThan(160)
    expect(total.narrowed).toBeGreaterThan(40)
  })
})
