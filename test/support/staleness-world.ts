import type { Chooser } from './query-specs.ts'

/**
 * A lake as a naive person would think of it: days, rows and definitions in plain arrays. It decides what every table should
 * hold, and what has a cause to be built again. Nothing of limn is used.
 */

export const dayCount = 10
export type ColumnName = 'u' | 'v'
export const columnNames: readonly ColumnName[] = ['u', 'v']

export type Row = Readonly<Record<ColumnName, number>>
/** Rows by day. */
export type Table = ReadonlyMap<number, readonly Row[]>

export type Reading =
  | { readonly kind: 'same' }
  | { readonly kind: 'shift'; readonly before: number; readonly after: number }
  | { readonly kind: 'all' }

export interface Input {
  readonly of: string
  readonly reads: Reading
}

export interface ModelSpec {
  readonly name: string
  readonly by: 'day' | 'whole'
  readonly inputs: readonly Input[]
  /** Each column: a multiple of the sum of one column of one input. */
  readonly columns: Readonly<
    Record<ColumnName, { readonly input: number; readonly column: ColumnName; readonly times: number }>
  >
  /** Only rows of the first input of which this column is even count. */
  readonly even: ColumnName | null
  /** Something that changes no value: a key of the contract. */
  readonly keys: number
  /** Of a model by day that reads its own earlier days. */
  readonly self?: SelfSpec
}

/** How a day reads earlier ones: the sum of a column, as far back as so many days (null: all), counts in another, modulo 7. */
export interface SelfSpec {
  readonly back: number | null
  readonly column: ColumnName
  readonly into: ColumnName
}

/** Whether a day of a model that reads itself reads another of its days. */
export function readsOwn({ back }: SelfSpec, day: number, of: number): boolean {
  return of < day && (back === null || of >= day - back)
}

export const source = 'bronze.s'

export function inWindow(reads: Reading, day: number, of: number): boolean {
  switch (reads.kind) {
    case 'all':
      return true
    case 'same':
      return of === day
    case 'shift':
      return of >= day - reads.before && of <= day + reads.after
  }
}

function counted(model: ModelSpec, input: number, row: Row): boolean {
  return input !== 0 || model.even === null || row[model.even] % 2 === 0
}

/** What one day (or, built whole, the one place 0) of a model holds, given its inputs. */
export function dayOf(model: ModelSpec, day: number, tables: ReadonlyMap<string, Table>): readonly Row[] {
  const rows = model.inputs.map(({ of, reads }, i) =>
    [...(tables.get(of) ?? [])].flatMap(([at, list]) =>
      model.by === 'whole' || inWindow(reads, day, at) ? list.filter((row) => counted(model, i, row)) : [],
    ),
  )
  const { self } = model
  const own = self
    ? [...(tables.get(model.name) ?? [])].flatMap(([at, list]) => (readsOwn(self, day, at) ? list : []))
    : []
  if (own.length === 0 && rows.every((list) => list.length === 0)) return []
  const value = (name: ColumnName) => {
    const { input, column, times } = model.columns[name]
    const read = times * (rows[input] ?? []).reduce((sum, row) => sum + row[column], 0)
    return self?.into === name ? read + (own.reduce((sum, row) => sum + row[self.column], 0) % 7) : read
  }
  return [{ u: value('u'), v: value('v') }]
}

/**
 * All of a model, as a full rebuild of a lake that knows `built` days makes it: from the first day that a row of an input reaches
 * to the last, and those days.
 */
export function buildAll(model: ModelSpec, tables: ReadonlyMap<string, Table>, built: Iterable<number>): Table {
  const days = model.by === 'whole' ? [0] : [...new Set([...dueDays(model, tables), ...built])]
  const whole = new Map<number, readonly Row[]>()
  for (const day of days.sort((a, b) => a - b)) {
    const rows = dayOf(model, day, new Map(tables).set(model.name, whole))
    if (rows.length > 0) whole.set(day, rows)
  }
  return whole
}

export function dueDays(model: ModelSpec, tables: ReadonlyMap<string, Table>): readonly number[] {
  const reached = model.inputs.flatMap(({ of, reads }) =>
    reads.kind === 'all' ? [] : around(reads, new Set(tables.get(of)?.keys() ?? [])),
  )
  if (reached.length === 0) return []
  const [first, last] = [Math.min(...reached), Math.max(...reached)]
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/** Days of a reader that days of an input reach. */
export function around(reads: Reading, days: ReadonlySet<number>): readonly number[] {
  return Array.from({ length: dayCount + 40 }, (_, i) => i - 20).filter((day) =>
    [...days].some((one) => inWindow(reads, day, one)),
  )
}

/** Columns of an input that a model's rows depend on. */
export function columnsRead(model: ModelSpec, input: number): ReadonlySet<ColumnName> {
  const found = new Set<ColumnName>(
    columnNames.flatMap((name) => (model.columns[name].input === input ? [model.columns[name].column] : [])),
  )
  if (input === 0 && model.even !== null) found.add(model.even)
  return found
}

/** Days on which two states of a table differ in some columns; a row more or less always differs. */
export function differingDays(a: Table, b: Table, columns: Iterable<ColumnName>): ReadonlySet<number> {
  const names = [...columns]
  const text = (rows: readonly Row[] | undefined) =>
    (rows ?? [])
      .map((row) => names.map((name) => row[name]).join(','))
      .sort()
      .join(';') + (rows ?? []).length
  return new Set([...new Set([...a.keys(), ...b.keys()])].filter((day) => text(a.get(day)) !== text(b.get(day))))
}

export function equalTables(a: Table, b: Table): boolean {
  return differingDays(a, b, columnNames).size === 0
}

function makeReads(choose: Chooser, of: string, byDay: ReadonlySet<string>): Reading {
  if (of !== source && !byDay.has(of)) return { kind: 'all' }
  switch (choose.below(5)) {
    case 0:
      return { kind: 'all' }
    case 1:
      return { kind: 'shift', before: choose.below(3), after: choose.below(2) }
    default:
      return { kind: 'same' }
  }
}

export function makeModels(choose: Chooser): readonly ModelSpec[] {
  const models: ModelSpec[] = []
  const byDay = new Set<string>()
  const count = 3 + choose.below(4)
  for (let i = 0; i < count; i++) {
    const before = [source, ...models.map((model) => model.name)]
    const first = choose.one(before)
    const second = choose.one(before)
    const inputs = [...new Set([first, second])].map((of) => ({ of, reads: makeReads(choose, of, byDay) }))
    // A model by day knows its days by some input that it does not read whole.
    const by = !choose.chance(5) && inputs.some((one) => one.reads.kind !== 'all') ? 'day' : 'whole'
    const name = `m.d${i}`
    if (by === 'day') byDay.add(name)
    models.push({
      name,
      by,
      inputs,
      columns: makeColumns(choose, inputs.length),
      even: choose.chance(2) ? choose.one(columnNames) : null,
      keys: 0,
      ...(by === 'day' && choose.chance(2) ? { self: makeSelf(choose) } : {}),
    })
  }
  return models
}

function makeColumns(choose: Chooser, inputs: number): ModelSpec['columns'] {
  const one = () => ({ input: choose.below(inputs), column: choose.one(columnNames), times: 1 + choose.below(3) })
  return { u: one(), v: one() }
}

function makeSelf(choose: Chooser): SelfSpec {
  return { back: choose.one([null, 1, 1, 2, 3]), column: choose.one(columnNames), into: choose.one(columnNames) }
}

/** An edit of one definition. */
export function editModel(choose: Chooser, model: ModelSpec): ModelSpec {
  switch (choose.below(5)) {
    case 4:
      return model.self ? { ...model, self: makeSelf(choose) } : model
    case 0:
      return { ...model, keys: model.keys + 1 }
    case 1:
      return { ...model, even: model.even === null ? choose.one(columnNames) : null }
    default: {
      const name = choose.one(columnNames)
      const { input, column, times } = model.columns[name]
      return { ...model, columns: { ...model.columns, [name]: { input, column, times: times + 1 } } }
    }
  }
}

/** Late rows, corrected rows, rows withdrawn: the source's next state. */
export function editSource(choose: Chooser, table: Table): Table {
  const next = new Map([...table].map(([day, rows]) => [day, [...rows]] as const))
  for (let i = 0; i < 1 + choose.below(2); i++) {
    const day = choose.below(dayCount)
    const rows = next.get(day) ?? []
    const value = () => choose.below(6)
    const how = choose.below(3)
    if (how === 0 || rows.length === 0) next.set(day, [...rows, { u: value(), v: value() }])
    else if (how === 1)
      next.set(
        day,
        rows.map((row, at) => (at === 0 ? { ...row, [choose.one(columnNames)]: value() } : row)),
      )
    else next.set(day, rows.slice(1))
  }
  return new Map([...next].filter(([, rows]) => rows.length > 0))
}
