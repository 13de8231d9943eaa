import type { DuckDBConnection } from '@duckdb/node-api'
import type { TableId } from '../../base/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { Bound } from '../bound.ts'
import type { ColumnShape } from '../engine.ts'
import { stubRows } from './filters.ts'
import { namesApart } from './read/parts.ts'
import { duckTypeOf } from './read/project.ts'

type Shapes = ReadonlyMap<TableId, readonly ColumnShape[]>

/** What makes databases for stubs. */
export interface StubPlaces {
  /** A connection with a new database of its own, in which the statements were run. */
  attached(statements: readonly string[]): Promise<{ readonly connection: DuckDBConnection; readonly database: string }>
  connect(): Promise<DuckDBConnection>
}

/** Questions that one database of stubs answers at a time: a connection answers one after the other. */
const connectionsMax = 4

/**
 * Tables that have the shapes of others and three rows: the extremes of each column, and nulls, so that no question about a
 * query is answered by their emptiness. Kept: the same shapes are asked for again and again.
 */
export class Stubs {
  private readonly places: StubPlaces
  private readonly known = new Map<string, Promise<DuckDBConnection>>()
  private readonly shared: SharedStubs[] = []

  constructor(places: StubPlaces) {
    this.places = places
  }

  /** A connection on which these tables stand and no other. `queries`: those of them that are views over the ones before. */
  alone(tables: Shapes, queries: ReadonlyMap<TableId, string> = new Map()): Promise<DuckDBConnection> {
    const shapes = [...tables].map(([id, columns]) => [id, shapeKey(columns)])
    const key = JSON.stringify([shapes, [...queries]])
    let made = this.known.get(key)
    if (!made) {
      made = this.make(tables, queries)
      this.known.set(key, made)
    }
    return made
  }

  /**
   * A connection on which these tables stand, and perhaps others: a table costs once, however many queries read it. Whoever
   * only binds needs no rows, which are most of what a table costs.
   */
  async beside(tables: Shapes, needs: 'columns' | 'rows'): Promise<DuckDBConnection> {
    const keys = new Map([...tables].map(([id, columns]) => [id, shapeKey(columns)]))
    let place = this.shared.find((one) => one.takes(keys))
    if (!place) {
      place = new SharedStubs(this.places)
      this.shared.push(place)
    }
    return place.connection(tables, keys, needs)
  }

  private async make(tables: Shapes, queries: ReadonlyMap<TableId, string>): Promise<DuckDBConnection> {
    const { connection } = await this.places.attached(
      [...tables].flatMap(([id, columns]) => {
        const query = queries.get(id)
        return query === undefined ? stubTable(id, columns) : [createSchema({ id }), viewOf(id, columns, query)]
      }),
    )
    return connection
  }
}

/** One database to which stubs are added as they are asked for. */
class SharedStubs {
  private readonly places: StubPlaces
  private readonly first: Promise<{ readonly connection: DuckDBConnection; readonly database: string }>
  private readonly others: Promise<DuckDBConnection>[] = []
  private readonly keys = new Map<TableId, string>()
  private readonly made = new Map<TableId, Promise<void>>()
  private readonly filled = new Map<TableId, Promise<void>>()
  private adding: { readonly statements: Set<string>; readonly done: Promise<void> } | null = null
  private asked = 0

  constructor(places: StubPlaces) {
    this.places = places
    this.first = places.attached([])
  }

  /** Whether it has no table of the same name and another shape. */
  takes(keys: ReadonlyMap<TableId, string>): boolean {
    return [...keys].every(([id, key]) => (this.keys.get(id) ?? key) === key)
  }

  async connection(
    tables: Shapes,
    keys: ReadonlyMap<TableId, string>,
    needs: 'columns' | 'rows',
  ): Promise<DuckDBConnection> {
    for (const [id, columns] of tables) {
      if (!this.made.has(id)) {
        this.keys.set(id, keys.get(id) ?? shapeKey(columns))
        this.made.set(id, this.add(emptyTable(id, columns)))
      }
      if (needs === 'rows' && !this.filled.has(id)) this.filled.set(id, this.add([rowsOfStub(id, columns)]))
    }
    const ready = needs === 'rows' ? this.filled : this.made
    await Promise.all([...tables.keys()].map((id) => ready.get(id)))
    const turn = this.asked++ % connectionsMax
    this.others[turn] ??= this.open()
    return this.others[turn]
  }

  /** What is asked for in one turn is made by one call. */
  private add(statements: readonly string[]): Promise<void> {
    if (!this.adding) {
      const all = new Set<string>()
      const done = new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
        this.adding = null
        const { connection } = await this.first
        await connection.run([...all].join(';\n'))
      })
      this.adding = { statements: all, done }
    }
    for (const statement of statements) this.adding.statements.add(statement)
    return this.adding.done
  }

  private async open(): Promise<DuckDBConnection> {
    const { database } = await this.first
    const connection = await this.places.connect()
    await connection.run(`USE ${database}`)
    return connection
  }
}

function shapeKey(columns: readonly ColumnShape[]): string {
  return JSON.stringify(columns.map((one) => [one.name, duckTypeOf(one.type)]))
}

export function createSchema(table: Pick<Bound, 'id'>): string {
  return `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(table.id.split('.')[0] ?? '')}`
}

export function nameOf(id: TableId): string {
  return id.split('.').map(quoteIdentifier).join('.')
}

function stubTable(id: TableId, columns: readonly ColumnShape[]): readonly string[] {
  return [...emptyTable(id, columns), rowsOfStub(id, columns)]
}

function rowsOfStub(id: TableId, columns: readonly ColumnShape[]): string {
  return `INSERT INTO ${nameOf(id)} VALUES ${stubRows(columns).join(', ')}`
}

function emptyTable(id: TableId, columns: readonly ColumnShape[]): readonly string[] {
  const names = namesApart(columns.map((column) => column.name))
  const list = columns.map((column, i) => `${quoteIdentifier(names[i] ?? column.name)} ${duckTypeOf(column.type)}`)
  return [createSchema({ id }), `CREATE TABLE ${nameOf(id)} (${list.join(', ')})`]
}

export function viewOf(id: TableId, columns: readonly Pick<ColumnShape, 'name'>[], query: string): string {
  const names = namesApart(columns.map((column) => column.name))
  return `CREATE VIEW ${nameOf(id)} (${names.map(quoteIdentifier).join(', ')}) AS ${query}`
}
