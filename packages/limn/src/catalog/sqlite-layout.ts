import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { explainSqlite, openSqlite } from '../state/index.ts'

/** The layout of a JDBC catalog: `V0` knows tables alone, `V1` also says of what type a name is. */
export type CatalogLayout = 'V0' | 'V1'

/** Looks at a catalog file without changing it; null: there is none. Throws `catalog/corrupt`. */
export function catalogLayout(path: string): CatalogLayout | null {
  if (!existsSync(path)) return null
  try {
    const database = new DatabaseSync(path, { readOnly: true })
    try {
      const columns = database.prepare("SELECT name FROM pragma_table_info('iceberg_tables')").all()
      if (columns.length === 0) return null
      return columns.some((row) => row.name === 'iceberg_type') ? 'V1' : 'V0'
    } finally {
      database.close()
    }
  } catch (cause) {
    throw explainSqlite(cause, path, 'catalog')
  }
}

/** Brings a catalog file to `V1`, as Java's JdbcCatalog does: names without a type are tables. */
export function upgradeCatalogLayout(path: string): void {
  try {
    const database = openSqlite(path, 'catalog')
    try {
      database.exec('ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)')
    } finally {
      database.close()
    }
  } catch (cause) {
    throw explainSqlite(cause, path, 'catalog')
  }
}
