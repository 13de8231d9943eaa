import { DatabaseSync } from 'node:sqlite'
import { LimnError, noSteps, type Steps, step } from '../base/index.ts'
import { explainSqlite, type Tx, transact } from '../state/index.ts'
import { type StorePath, storePath } from '../storage/index.ts'

/** A name in the catalog and the metadata file it stands for. */
export interface Pointer {
  readonly namespace: string
  readonly name: string
  readonly type: 'table' | 'view'
  readonly metadataLocation: StorePath
}

/** Every name of a SQLite catalog, of tables and views of all environments, at one instant, and moved as a whole. */
export class SqlitePointers {
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
  list(): readonly Pointer[] {
    return this.guarded(() => transact(this.database, (tx) => this.read(tx)))
  }

  /** As `list`, of a database that may be read only. */
  snapshot(): readonly Pointer[] {
    return this.guarded(() =>
      this.read({ all: (sql, params = []) => this.database.prepare(sql).all(...params) as never }),
    )
  }

  /** Moves every name to another metadata file, if all still stand where they did. False: one does not. */
  move(expected: readonly Pointer[], next: ReadonlyMap<StorePath, StorePath>): Promise<boolean> {
    return step(this.steps, 'catalog.commit', `move ${expected.length} names`, () =>
      this.guarded(() =>
        transact(this.database, (tx) => {
          if (JSON.stringify(this.read(tx)) !== JSON.stringify(expected)) return false
          for (const one of expected) {
            const location = next.get(one.metadataLocation)
            if (location === undefined) continue
            tx.run(
              'UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = NULL WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?',
              [location, this.catalog, one.namespace, one.name],
            )
          }
          return true
        }),
      ),
    )
  }

  /** A whole copy of the catalog as of one instant, in a file that is not there yet. */
  copyTo(path: string): void {
    this.guarded(() => this.database.prepare('VACUUM INTO ?').run(path))
  }

  private read(tx: Pick<Tx, 'all'>): readonly Pointer[] {
    return tx
      .all<{ ns: string; name: string; type: string | null; at: string }>(
        'SELECT table_namespace AS ns, table_name AS name, iceberg_type AS type, metadata_location AS at FROM iceberg_tables WHERE catalog_name = ? ORDER BY table_namespace, table_name',
        [this.catalog],
      )
      .map((row) => ({
        namespace: row.ns,
        name: row.name,
        type: row.type === 'VIEW' ? 'view' : 'table',
        metadataLocation: storePath(row.at),
      }))
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

/** The names in a catalog file that nobody else uses, as in a copy of a catalog. */
export function pointersIn(path: string, catalog: string): readonly Pointer[] {
  try {
    const database = new DatabaseSync(path, { readOnly: true })
    try {
      return new SqlitePointers({ name: catalog, path }, database, noSteps).snapshot()
    } finally {
      database.close()
    }
  } catch (cause) {
    throw explainSqlite(cause, path, 'catalog')
  }
}
