import type { DatabaseSync } from 'node:sqlite'
import { LimnError, nameOf, namespaceOf, type Steps, step } from '../base/index.ts'
import type { LoadedTable } from '../iceberg/index.ts'
import { explainSqlite, type Tx, transact } from '../state/index.ts'
import { type EnvironmentName, environmentPrefix } from './environment-names.ts'

/** An environment as the catalog remembers it. */
export interface EnvironmentRecord {
  readonly name: EnvironmentName
  readonly madeAtMs: number
}

const property = 'limn.environment'

/**
 * Which environments a SQLite catalog has. The record is a property of the namespace that holds the environment's ledger,
 * so that it stands where the names of its tables stand, and comes and goes with them in one transaction.
 */
export class SqliteEnvironments {
  private readonly catalog: string
  private readonly path: string
  private readonly steps: Steps
  private readonly database: DatabaseSync

  constructor(options: { readonly name: string; readonly path: string }, database: DatabaseSync, steps: Steps) {
    this.catalog = options.name
    this.path = options.path
    this.steps = steps
    this.database = database
  }

  /** In order of names. */
  list(): readonly EnvironmentRecord[] {
    return this.guarded(() =>
      this.database
        .prepare(
          'SELECT property_value FROM iceberg_namespace_properties WHERE catalog_name = ? AND property_key = ? ORDER BY namespace',
        )
        .all(this.catalog, property)
        .map((row) => JSON.parse(String(row.property_value)) as EnvironmentRecord),
    )
  }

  /** Gives an environment and all its tables their names, or nothing. False: there is an environment of that name. */
  make(record: EnvironmentRecord, tables: readonly LoadedTable[]): Promise<boolean> {
    return this.transact(`environment ${record.name} made`, (tx) => {
      if (this.isThere(tx, record.name)) return false
      this.requireFree(tx, record.name)
      for (const { table, metadataLocation } of tables) {
        tx.run(
          "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type) VALUES (?, ?, ?, ?, NULL, 'TABLE')",
          [this.catalog, namespaceOf(table), nameOf(table), metadataLocation],
        )
        this.set(tx, namespaceOf(table), 'exists', 'true')
      }
      this.set(tx, `${environmentPrefix(record.name)}limn`, property, JSON.stringify(record))
      return true
    })
  }

  /** Takes away the names of an environment and of all its tables in one transaction. False: there is none. */
  forget(name: EnvironmentName): Promise<boolean> {
    return this.transact(`environment ${name} forgotten`, (tx) => {
      const there = this.isThere(tx, name)
      this.clear(tx, name)
      return there
    })
  }

  private isThere(tx: Tx, name: EnvironmentName): boolean {
    return (
      tx.get(
        'SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ? AND property_key = ?',
        [this.catalog, `${environmentPrefix(name)}limn`, property],
      ) !== undefined
    )
  }

  /** Tables whose names only look like an environment's are somebody's. */
  private requireFree(tx: Tx, name: EnvironmentName): void {
    const prefix = environmentPrefix(name)
    const taken = tx.get<{ readonly table_namespace: string; readonly table_name: string }>(
      'SELECT table_namespace, table_name FROM iceberg_tables WHERE catalog_name = ? AND substr(table_namespace, 1, ?) = ? LIMIT 1',
      [this.catalog, prefix.length, prefix],
    )
    if (!taken) return
    throw new LimnError('usage/environment-exists', {
      message: `${taken.table_namespace}.${taken.table_name} and others whose names begin with ${prefix} are there already.`,
      notDone: 'Nothing was made.',
      remedy: `Choose another name for the environment, or give those tables other ones first.`,
    })
  }

  private clear(tx: Tx, name: EnvironmentName): void {
    const prefix = environmentPrefix(name)
    const own = [this.catalog, prefix.length, prefix] as const
    tx.run('DELETE FROM iceberg_tables WHERE catalog_name = ? AND substr(table_namespace, 1, ?) = ?', own)
    tx.run('DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND substr(namespace, 1, ?) = ?', own)
  }

  private set(tx: Tx, namespace: string, key: string, value: string): void {
    tx.run(
      'INSERT OR IGNORE INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) VALUES (?, ?, ?, ?)',
      [this.catalog, namespace, key, value],
    )
  }

  private transact(detail: string, body: (tx: Tx) => boolean): Promise<boolean> {
    return step(this.steps, 'catalog.commit', detail, () => this.guarded(() => transact(this.database, body)))
  }

  private guarded<T>(body: () => T): T {
    try {
      return body()
    } catch (cause) {
      if (cause instanceof LimnError) throw cause
      throw explainSqlite(cause, this.path, 'catalog')
    }
  }
}
