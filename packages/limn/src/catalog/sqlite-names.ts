import type { DatabaseSync } from 'node:sqlite'
import { LimnError, nameOf, namespaceOf, type Steps, step, type TableId } from '../base/index.ts'
import { nameTaken, type TableNames } from '../iceberg/index.ts'
import { explainSqlite, type Tx, transact } from '../state/index.ts'
import type { StorePath } from '../storage/index.ts'

/** Names of tables in a SQLite catalog, in the layout of Java's JdbcCatalog: taken away and changed, one transaction each. */
export class SqliteTableNames implements TableNames {
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

  drop(table: TableId, metadataLocation: StorePath): Promise<boolean> {
    return this.transact(`drop ${table}`, (tx) => {
      if (this.rowOf(tx, table)?.metadata_location !== metadataLocation) return false
      tx.run(`DELETE FROM iceberg_tables WHERE ${named}`, this.key(table))
      return true
    })
  }

  rename(from: TableId, to: TableId): Promise<boolean> {
    return this.transact(`rename ${from} ${to}`, (tx) => this.renameIn(tx, from, to))
  }

  /** As `rename`, within a transaction. */
  renameIn(tx: Tx, from: TableId, to: TableId): boolean {
    const row = this.rowOf(tx, from)
    if (!row || row.iceberg_type === 'VIEW') return false
    const there = this.rowOf(tx, to)
    if (there) throw nameTaken(to, there.iceberg_type === 'VIEW' ? 'view' : 'table')
    tx.run(`UPDATE iceberg_tables SET table_namespace = ?, table_name = ? WHERE ${named}`, [
      namespaceOf(to),
      nameOf(to),
      ...this.key(from),
    ])
    tx.run(
      "INSERT OR IGNORE INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true')",
      [this.catalog, namespaceOf(to)],
    )
    return true
  }

  /** Catalogs of the older layout know tables alone, and give no type. */
  private rowOf(tx: Tx, table: TableId) {
    return tx.get<{ readonly metadata_location: string; readonly iceberg_type: string | null }>(
      `SELECT metadata_location, iceberg_type FROM iceberg_tables WHERE ${named}`,
      this.key(table),
    )
  }

  private key(table: TableId): readonly [string, string, string] {
    return [this.catalog, namespaceOf(table), nameOf(table)]
  }

  private transact(detail: string, body: (tx: Tx) => boolean): Promise<boolean> {
    return step(this.steps, 'catalog.commit', detail, () => {
      try {
        return transact(this.database, body)
      } catch (cause) {
        if (cause instanceof LimnError) throw cause
        throw explainSqlite(cause, this.path, 'catalog')
      }
    })
  }
}

const named = 'catalog_name = ? AND table_namespace = ? AND table_name = ?'
