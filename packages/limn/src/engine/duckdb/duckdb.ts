import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { LimnError, type TableId } from '../../base/index.ts'
import { parseJson } from '../../encoding/index.ts'
import type { Predicate } from '../../expr/index.ts'
import {
  canonicalTree,
  originalOffset,
  parametersOf,
  quoteIdentifier,
  quoteText,
  substituteParameters,
  tablesOf,
} from '../../sql/index.ts'
import type { BoundTable, ColumnShape, FileEngine, OutputColumn, ParsedQuery, Session, TextOrigin } from '../engine.ts'
import { duckTypeOf, viewSql } from './binding.ts'
import { explainQuery, explainRun } from './errors.ts'
import { filtersOfPlan, stubRows } from './filters.ts'
import { DuckSession } from './session.ts'

export interface DuckDbOptions {
  readonly threads: number
  /** For example `1GB`. What DuckDB's buffers may use; not a cap on the process. */
  readonly memoryLimit: string
  /** Where DuckDB spills. */
  readonly temporaryFolder: string
}

/** Opens the embedded engine. One instance per lake; sessions are isolated from each other. */
export async function openDuckDb(options: DuckDbOptions): Promise<FileEngine> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: options.memoryLimit,
    temp_directory: options.temporaryFolder,
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  return new DuckDb(instance)
}

class DuckDb implements FileEngine {
  private readonly instance: DuckDBInstance
  private names = 0
  private tools: Promise<DuckDBConnection> | null = null
  private readonly stubbed = new Map<string, Promise<DuckDBConnection>>()

  constructor(instance: DuckDBInstance) {
    this.instance = instance
  }

  async parse(sql: string, origin?: TextOrigin): Promise<ParsedQuery> {
    const connection = await this.tool()
    const json = await scalar(connection, `SELECT json_serialize_sql(${quoteText(sql)})`)
    const parsed = JSON.parse(json) as {
      error: boolean
      error_type?: string
      error_message?: string
      statements?: unknown[]
    }
    if (parsed.error) {
      if (parsed.error_type === 'parser') throw explainQuery(new Error(json), sql, { origin })
      throw notReadOnly(parsed.error_message ?? '', origin)
    }
    if (parsed.statements?.length !== 1) throw notReadOnly('There must be exactly one statement.', origin)
    return {
      canonical: canonicalTree(parsed.statements),
      tables: tablesOf(parsed.statements),
      parameters: parametersOf(sql),
    }
  }

  async describe(
    sql: string,
    tables: ReadonlyMap<TableId, readonly ColumnShape[]>,
    origin?: TextOrigin,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<readonly OutputColumn[]> {
    const prefix = 'DESCRIBE '
    const connection = await this.stubs(tables)
    try {
      const reader = await connection.runAndReadAll(prefix + substituteParameters(sql, parameters))
      return reader.getRowsJson().map((row) => ({ name: String(row[0]), type: String(row[1]) }))
    } catch (error) {
      throw explainQuery(error, sql, {
        origin,
        shift: prefix.length,
        toOriginal: (offset) => originalOffset(sql, parameters, offset),
      })
    }
  }

  async filters(
    sql: string,
    tables: ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[] }>,
  ): Promise<ReadonlyMap<TableId, Predicate>> {
    const connection = await this.stubs(new Map([...tables].map(([id, { columns }]) => [id, columns])))
    const json = await scalar(connection, `SELECT json_serialize_plan(${quoteText(sql)}::VARCHAR, optimize := true)`)
    const plan = parseJson(json) as { error: boolean; plans?: unknown }
    return plan.error ? new Map() : filtersOfPlan(plan.plans, tables)
  }

  async session(tables: readonly BoundTable[], options: { readonly signal?: AbortSignal } = {}): Promise<Session> {
    options.signal?.throwIfAborted()
    const connection = await this.connect()
    const database = await this.attach(connection)
    try {
      for (const schema of new Set(tables.map((table) => table.id.split('.')[0] ?? '')))
        await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`)
      for (const table of tables) await connection.run(viewSql(table))
    } catch (error) {
      await this.detach(connection, database)
      throw explainRun(error, '')
    }
    return new DuckSession(connection, () => this.detach(connection, database), options.signal)
  }

  viewSql(table: BoundTable): string {
    return viewSql(table)
  }

  close(): void {
    this.instance.closeSync()
  }

  /** A connection on which tables of these shapes stand as stubs. Kept: the same shapes are asked for again and again. */
  private async stubs(tables: ReadonlyMap<TableId, readonly ColumnShape[]>): Promise<DuckDBConnection> {
    const shapes = [...tables].map(([id, columns]) => [id, columns.map((one) => [one.name, duckTypeOf(one.type)])])
    const key = JSON.stringify(shapes)
    let made = this.stubbed.get(key)
    if (!made) {
      made = this.makeStubs(tables)
      this.stubbed.set(key, made)
    }
    return made
  }

  private async makeStubs(tables: ReadonlyMap<TableId, readonly ColumnShape[]>): Promise<DuckDBConnection> {
    const connection = await this.connect()
    await this.attach(connection)
    for (const [id, columns] of tables) {
      await connection.run(stubTable(id, columns))
      await connection.run(`INSERT INTO ${nameOf(id)} VALUES ${stubRows(columns).join(', ')}`)
    }
    return connection
  }

  private tool(): Promise<DuckDBConnection> {
    this.tools ??= this.connect()
    return this.tools
  }

  private async connect(): Promise<DuckDBConnection> {
    const connection = await this.instance.connect()
    await connection.run("SET errors_as_json = true; SET TimeZone = 'UTC'")
    return connection
  }

  private async attach(connection: DuckDBConnection): Promise<string> {
    const database = `limn_${this.names++}`
    await connection.run(`ATTACH ':memory:' AS ${database}; USE ${database}`)
    return database
  }

  private async detach(connection: DuckDBConnection, database: string): Promise<void> {
    await connection.run(`USE memory; DETACH ${database}`)
    connection.closeSync()
  }
}

function nameOf(id: TableId): string {
  return id.split('.').map(quoteIdentifier).join('.')
}

function stubTable(id: TableId, columns: readonly ColumnShape[]): string {
  const list = columns.map((column) => `${quoteIdentifier(column.name)} ${duckTypeOf(column.type)}`)
  return `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(id.split('.')[0] ?? '')}; CREATE TABLE ${nameOf(id)} (${list.join(', ')})`
}

async function scalar(connection: DuckDBConnection, sql: string): Promise<string> {
  const reader = await connection.runAndReadAll(sql)
  return String(reader.getRowsJson()[0]?.[0])
}

function notReadOnly(why: string, origin: TextOrigin | undefined): LimnError {
  return new LimnError('sql/not-read-only', {
    message: `Only one SELECT is allowed here. ${why}`.trim(),
    notDone: 'Nothing was run.',
    remedy: 'Datasets change through runs; write a SELECT.',
    ...(origin ? { location: origin } : {}),
  })
}
