/**
 * A table as an array of rows: what limn's tables are held against. It imports nothing from the product, keeps every
 * state it ever had, and knows only what SQL says: three-valued logic, nulls that match nothing, first clause wins.
 */
export type Scalar = number | bigint | string | boolean | null
export type Cell = Scalar | { readonly [field: string]: Cell }
export type Row = Readonly<Record<string, Cell>>

/** A condition over columns, as data: `sqlOf` prints it, `truthOf` decides it. */
export type Condition =
  | {
      readonly is: 'compare'
      readonly column: string
      readonly operator: '=' | '<>' | '<' | '<=' | '>' | '>='
      readonly value: Scalar
    }
  | { readonly is: 'null'; readonly column: string }
  | { readonly is: 'and' | 'or'; readonly of: readonly [Condition, Condition] }
  | { readonly is: 'not'; readonly of: Condition }

/** What a column is set to. */
export type Assigned =
  | { readonly to: 'value'; readonly value: Scalar }
  | { readonly to: 'column'; readonly column: string }
  | { readonly to: 'source'; readonly column: string }
  | { readonly to: 'plus'; readonly column: string; readonly by: number }

export type Assignments = Readonly<Record<string, Assigned>>

export type Clause =
  | { readonly when: 'matched'; readonly and?: Condition; readonly act: 'update'; readonly set: Assignments }
  | { readonly when: 'matched'; readonly and?: Condition; readonly act: 'delete' }
  | { readonly when: 'notMatched'; readonly and?: Condition; readonly act: 'insert' }
  | {
      readonly when: 'notMatchedBySource'
      readonly and?: Condition
      readonly act: 'update'
      readonly set: Assignments
    }
  | { readonly when: 'notMatchedBySource'; readonly and?: Condition; readonly act: 'delete' }

type Truth = boolean | null

export function truthOf(condition: Condition, row: Row): Truth {
  switch (condition.is) {
    case 'null':
      return (row[condition.column] ?? null) === null
    case 'not': {
      const inner = truthOf(condition.of, row)
      return inner === null ? null : !inner
    }
    case 'and': {
      const [a, b] = condition.of.map((one) => truthOf(one, row))
      if (a === false || b === false) return false
      return a === null || b === null ? null : true
    }
    case 'or': {
      const [a, b] = condition.of.map((one) => truthOf(one, row))
      if (a === true || b === true) return true
      return a === null || b === null ? null : false
    }
    case 'compare': {
      const left = row[condition.column] ?? null
      const right = condition.value
      if (left === null || right === null || typeof left === 'object') return null
      switch (condition.operator) {
        case '=':
          return left === right
        case '<>':
          return left !== right
        case '<':
          return left < right
        case '<=':
          return left <= right
        case '>':
          return left > right
        case '>=':
          return left >= right
      }
    }
  }
}

/** The condition as SQL. `prefix` stands before each column, `literal` prints a value as the column's type. */
export function sqlOf(condition: Condition, literal: (column: string, value: Scalar) => string, prefix = ''): string {
  const name = (column: string) => `${prefix}"${column.replaceAll('"', '""')}"`
  switch (condition.is) {
    case 'null':
      return `${name(condition.column)} IS NULL`
    case 'not':
      return `NOT (${sqlOf(condition.of, literal, prefix)})`
    case 'and':
    case 'or': {
      const [a, b] = condition.of
      return `(${sqlOf(a, literal, prefix)}) ${condition.is.toUpperCase()} (${sqlOf(b, literal, prefix)})`
    }
    case 'compare':
      return `${name(condition.column)} ${condition.operator} ${literal(condition.column, condition.value)}`
  }
}

function assigned(set: Assignments, row: Row, source: Row | null): Row {
  const out: Record<string, Cell> = { ...row }
  for (const [column, how] of Object.entries(set)) {
    switch (how.to) {
      case 'value':
        out[column] = how.value
        break
      case 'column':
        out[column] = row[how.column] ?? null
        break
      case 'source':
        out[column] = source?.[how.column] ?? null
        break
      case 'plus': {
        const before = row[how.column] ?? null
        out[column] =
          typeof before === 'number' ? before + how.by : typeof before === 'bigint' ? before + BigInt(how.by) : null
        break
      }
    }
  }
  return out
}

export interface MergeCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

export class NaiveTable {
  rows: readonly Row[] = []
  /** Every state there was, oldest first. */
  readonly states: (readonly Row[])[] = []

  commit(): void {
    this.states.push(this.rows)
  }

  append(rows: readonly Row[]): void {
    this.rows = [...this.rows, ...rows]
  }

  /** Rows for which the condition is true go; false and null stay. */
  remove(condition: Condition): number {
    const kept = this.rows.filter((row) => truthOf(condition, row) !== true)
    const gone = this.rows.length - kept.length
    this.rows = kept
    return gone
  }

  update(condition: Condition, set: Assignments): number {
    let count = 0
    this.rows = this.rows.map((row) => {
      if (truthOf(condition, row) !== true) return row
      count++
      return assigned(set, row, null)
    })
    return count
  }

  replace(condition: Condition, rows: readonly Row[]): void {
    this.remove(condition)
    this.append(rows)
  }

  /** The latest row of each key replaces those of the table. Null keys equal each other here. */
  upsert(keys: readonly string[], rows: readonly Row[]): void {
    const keyOf = (row: Row) => JSON.stringify(keys.map((key) => String(row[key] ?? null)))
    const latest = new Map(rows.map((row) => [keyOf(row), row]))
    this.rows = [...this.rows.filter((row) => !latest.has(keyOf(row))), ...latest.values()]
  }

  /** Throws when a row of the table matches several of the source and a matched clause applies. */
  merge(source: readonly Row[], keys: readonly string[], clauses: readonly Clause[]): MergeCounts {
    const counts = { inserted: 0, updated: 0, deleted: 0 }
    const equal = (a: Row, b: Row) =>
      keys.every((key) => (a[key] ?? null) !== null && (b[key] ?? null) !== null && a[key] === b[key])
    const hits = new Set<Row>()
    const out: Row[] = []
    for (const row of this.rows) {
      const matches = source.filter((one) => equal(row, one))
      for (const match of matches) hits.add(match)
      const [match = null] = matches
      const clause = clauses.find(
        (one) =>
          one.when === (match ? 'matched' : 'notMatchedBySource') && (!one.and || truthOf(one.and, row) === true),
      )
      if (match && matches.length > 1 && clauses.some((one) => one.when === 'matched'))
        throw new Error('several source rows match one row')
      if (!clause || clause.act === 'insert') {
        out.push(row)
      } else if (clause.act === 'update') {
        counts.updated++
        out.push(assigned(clause.set, row, match))
      } else {
        counts.deleted++
      }
    }
    for (const one of source) {
      if (hits.has(one)) continue
      const clause = clauses.find(
        (each) => each.when === 'notMatched' && (!each.and || truthOf(each.and, one) === true),
      )
      if (!clause) continue
      counts.inserted++
      out.push(one)
    }
    this.rows = out
    return counts
  }

  addColumn(name: string, initial: Cell): void {
    this.mapRows((row) => ({ ...row, [name]: initial }))
  }

  dropColumn(name: string): void {
    this.mapRows(({ [name]: _gone, ...rest }) => rest)
  }

  renameColumn(from: string, to: string): void {
    this.mapRows((row) => Object.fromEntries(Object.entries(row).map(([key, cell]) => [key === from ? to : key, cell])))
  }

  widenColumn(name: string): void {
    this.mapRows((row) => ({ ...row, [name]: typeof row[name] === 'number' ? BigInt(row[name]) : (row[name] ?? null) }))
  }

  private mapRows(change: (row: Row) => Row): void {
    this.rows = this.rows.map(change)
  }
}

/** Rows as sorted text, so that two bags of rows can be compared. */
export function bagOf(rows: readonly Row[]): readonly string[] {
  return rows.map(textOf).sort()
}

function textOf(cell: Cell): string {
  if (cell === null) return '∅'
  if (typeof cell === 'object')
    return `{${Object.keys(cell)
      .sort()
      .map((key) => `${key}=${textOf(cell[key] ?? null)}`)
      .join(';')}}`
  return String(cell)
}
