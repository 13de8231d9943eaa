import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { LimnError, makeFolder, noSteps, systemClock, systemRandomness } from '../base/index.ts'
import { SqliteCatalog } from '../catalog/index.ts'
import { openDuckDb, type ResultSet } from '../engine/index.ts'
import { ManifestReader } from '../iceberg/index.ts'
import { parseStatement } from '../sql/index.ts'
import { LocalStore } from '../storage/index.ts'
import type { TableContext } from '../table/index.ts'
import { executeStatement, isReadOnly, runStatement } from './execute.ts'
import type { StatementResult } from './result.ts'

export interface OpenIcebergOptions {
  /** The folder that tables lie in, made when it is not there. */
  readonly warehouse: string
  /** The SQLite file of the catalog, in the JDBC layout that Java and Python share. Default: `catalog.db` in the warehouse. */
  readonly catalog?: string
  /** The catalog's name within the file. Default `limn`. */
  readonly name?: string
  /** Threads of the engine. Default: as many as the machine runs at once. */
  readonly threads?: number
  /** What the engine may hold before it spills, as DuckDB writes it. Default `1GB`. */
  readonly memoryLimit?: string
  /** Ends what runs. */
  readonly signal?: AbortSignal
}

/** Tables of one catalog, for every operation of `limn/iceberg`; closed by `await using` or `Symbol.asyncDispose`. */
export interface IcebergTables extends TableContext, AsyncDisposable {
  /** Runs one statement of limn's SQL; a change is one commit, whole or not at all. Throws as `executeStatement` does. */
  sql(text: string, options?: { readonly dryRun?: boolean }): Promise<StatementResult>
  /** The rows of a query. Throws `sql/not-read-only` for a statement that would change something. */
  query(text: string): Promise<ResultSet>
}

/**
 * Opens tables without a project: a catalog in SQLite, files in a folder, the engine in this process. Several processes may
 * have the same tables open; commits are settled by the catalog. Nothing is created but the warehouse folder and the
 * catalog's file. Throws `usage/argument`, `storage/not-writable` and `catalog/corrupt`.
 */
export async function openIceberg(options: OpenIcebergOptions): Promise<IcebergTables> {
  const warehouse = resolve(options.warehouse)
  requireOptions(options)
  try {
    makeFolder(warehouse)
  } catch (cause) {
    throw new LimnError('storage/not-writable', {
      message: `The warehouse ${warehouse} is not there and cannot be made: ${cause instanceof Error ? cause.message : cause}`,
      notDone: 'Nothing was opened.',
      remedy: 'Name a folder that this user may write to.',
      cause,
    })
  }
  const spill = join(tmpdir(), `limn-${randomUUID()}`)
  mkdirSync(spill)
  const store = new LocalStore(warehouse)
  const catalog = new SqliteCatalog({
    path: resolve(options.catalog ?? join(warehouse, 'catalog.db')),
    name: options.name ?? 'limn',
    store,
    randomness: systemRandomness,
  })
  const engine = await openDuckDb({
    threads: options.threads ?? availableParallelism(),
    memoryLimit: options.memoryLimit ?? '1GB',
    temporaryFolder: spill,
  })
  const context: TableContext = {
    catalog,
    store,
    engine,
    manifests: new ManifestReader(store),
    clock: systemClock,
    randomness: systemRandomness,
    steps: noSteps,
    signal: options.signal ?? new AbortController().signal,
  }
  const owner = () => null
  return {
    ...context,
    sql: (text, how = {}) => executeStatement(context, text, { owner, ...how }),
    async query(text) {
      const statement = parseStatement(text)
      const result = isReadOnly(statement) ? await runStatement(context, statement, { owner }) : null
      if (result?.kind === 'rows') return result.result
      throw new LimnError('sql/not-read-only', {
        message: 'Only a query is allowed here.',
        notDone: 'Nothing was run.',
        remedy: 'Write a SELECT, or run the statement with sql().',
      })
    },
    async [Symbol.asyncDispose]() {
      engine.close()
      catalog.close()
      await rm(spill, { recursive: true, force: true })
    },
  }
}

/** Throws `usage/argument` for what the engine would refuse without saying why. */
function requireOptions({ threads, memoryLimit }: OpenIcebergOptions): void {
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1))
    throw notOpened(`threads is ${threads}`, 'Give a whole number, 1 or more.')
  if (memoryLimit !== undefined && !/^\d+(\.\d+)?\s*([KMGT]i?B|B|%)$/i.test(memoryLimit.trim()))
    throw notOpened(`memoryLimit is "${memoryLimit}"`, 'Write it as 512MB or 4GB.')
}

function notOpened(what: string, remedy: string): LimnError {
  return new LimnError('usage/argument', { message: `${what}.`, notDone: 'Nothing was opened.', remedy })
}
