import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { LimnError, type TableId } from '../../base/index.ts'
import { parseJson } from '../../encoding/index.ts'
import { always, never, type Predicate } from '../../expr/index.ts'
import {
  canonicalTree,
  originalOffset,
  parametersOf,
  quoteFile,
  quoteIdentifier,
  quoteText,
  substituteParameters,
  tablesOf,
} from '../../sql/index.ts'
import type { Bound, BoundTable } from '../bound.ts'
import type { ColumnShape, FileEngine, OutputColumn, ParsedQuery, Session, TextOrigin } from '../engine.ts'
import { explainQuery, isInvalidated } from './errors.ts'
import { certainFilterOfPlan, filtersOfPlan, isEmptyPlan } from './filters.ts'
import { loadRows } from './load.ts'
import { Parser } from './parser.ts'
import { AvroFiles } from './read/avro.ts'
import { Binder } from './read/bind.ts'
import { explainRead, filesRead } from './read/damage.ts'
import { Footers } from './read/footers.ts'
import { ZonedNanos } from './read/zoned-nanos.ts'
import { DuckSession } from './session.ts'
import { createSchema, nameOf, Stubs, viewOf } from './stubs.ts'
import { usedColumns } from './used-columns.ts'

export interface DuckDbOptions {
  readonly threads: number
  /** For example `1GB`. What DuckDB's buffers may use; not a cap on the process. */
  readonly memoryLimit: string
  /** Where DuckDB spills. */
  readonly temporaryFolder: string
  /** The most it may spill at a time, for example `50GB`. Default: nine tenths of what is free. */
  readonly temporarySize?: string
  /** Keeps what was read of files, within `memoryLimit`. Default false. */
  readonly fileCache?: boolean
}

/** Opens the embedded engine. One instance per lake; sessions are isolated from each other. */
export async function openDuckDb(options: DuckDbOptions): Promise<FileEngine> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const make = async () => {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: String(options.threads),
      memory_limit: options.memoryLimit,
      temp_directory: options.temporaryFolder,
      preserve_insertion_order: 'false',
      ...(options.temporarySize === undefined ? {} : { max_temp_directory_size: options.temporarySize }),
      // Files are local, where the operating system keeps them already; a copy of ten thousand small ones is 280 MB.
      enable_external_file_cache: String(options.fileCache ?? false),
      allocator_background_threads: 'true',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
    // Every connection begins with them.
    const connection = await instance.connect()
    await connection.run("SET GLOBAL errors_as_json = true; SET GLOBAL TimeZone = 'UTC'")
    // By default the allocator keeps what was freed till it is 128 MB in a task or 512 MB at a stroke, which is no limit to a limit of 256 MB.
    const share = Math.max(1, Math.floor((await memoryLimitOf(connection)) / keptShare / 1e6))
    const kept = (most: number) => quoteText(`${Math.min(share, most)}MB`)
    await connection.run(
      `SET GLOBAL allocator_flush_threshold = ${kept(128)}; SET GLOBAL allocator_bulk_deallocation_flush_threshold = ${kept(512)}`,
    )
    connection.closeSync()
    return instance
  }
  return new DuckDb(await make(), make, options.temporaryFolder)
}

/** Of the limit, this part may lie freed in the allocator before pages are given back. */
const keptShare = 64

/** Bytes of the limit as the engine understood it, which takes shares of the machine's memory too. */
async function memoryLimitOf(connection: DuckDBConnection): Promise<number> {
  const text = await scalar(connection, "SELECT current_setting('memory_limit')")
  const [, number = '', unit = ''] = /^([\d.]+) (bytes|[KMGTP]iB)$/.exec(text) ?? []
  if (unit === '') throw new Error(`memory_limit reads "${text}"`)
  return Number(number) * 1024 ** ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].indexOf(unit)
}

class DuckDb implements FileEngine {
  private instance: DuckDBInstance
  private readonly make: () => Promise<DuckDBInstance>
  private renewal: Promise<void> | null = null
  readonly footers = new Footers()
  readonly avro: AvroFiles
  readonly nanos: ZonedNanos
  private readonly parser = new Parser(() => this.tool())
  private names = 0
  private tools: Promise<DuckDBConnection> | null = null
  private stubs = this.newStubs()

  constructor(instance: DuckDBInstance, make: () => Promise<DuckDBInstance>, temporaryFolder: string) {
    this.instance = instance
    this.make = make
    this.avro = new AvroFiles(temporaryFolder)
    this.nanos = new ZonedNanos(temporaryFolder)
  }

  async parse(sql: string, origin?: TextOrigin): Promise<ParsedQuery> {
    const json = await this.parser.serialize(sql)
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

  async printExpression(tree: Readonly<Record<string, unknown>>): Promise<string> {
    const connection = await this.tool()
    const select = JSON.parse(await scalar(connection, "SELECT json_serialize_sql('SELECT 1')")) as {
      readonly statements: readonly { readonly node: Record<string, unknown> }[]
    }
    for (const { node } of select.statements) node.select_list = [tree]
    // Positions do not fit a number here, and are not needed.
    const json = JSON.stringify(select, (key, value: unknown) => (key === 'query_location' ? undefined : value))
    const text = await scalar(connection, `SELECT json_deserialize_sql(${quoteText(json)}::JSON)`)
    return text.replace(/^SELECT /, '')
  }

  async describe(
    sql: string,
    tables: ReadonlyMap<TableId, readonly ColumnShape[]>,
    origin?: TextOrigin,
    parameters: Readonly<Record<string, string>> = {},
    options: DescribeOptions = {},
  ): Promise<readonly OutputColumn[]> {
    const prefix = 'DESCRIBE '
    const before = options.before ?? 0
    const connection = await (options.parsed ? this.stubs.beside(tables, 'columns') : this.stubs.alone(tables))
    try {
      const reader = await connection.runAndReadAll(prefix + substituteParameters(sql, parameters))
      return reader.getRowsJson().map((row) => ({ name: String(row[0]), type: String(row[1]) }))
    } catch (error) {
      throw explainQuery(error, sql, {
        origin,
        shift: prefix.length + before,
        toOriginal: (offset) => originalOffset(sql, parameters, offset + before) - before,
        text: sql.slice(before),
      })
    }
  }

  async filters(
    sql: string,
    tables: ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[]; readonly query?: string }>,
  ): Promise<ReadonlyMap<TableId, Predicate>> {
    if (!mayFilter.test(sql)) return new Map()
    const plan = await this.planOf(sql, tables, true)
    return plan.error ? new Map() : filtersOfPlan(plan.plans, tables)
  }

  async columnsUsed(
    sql: string,
    tables: ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[]; readonly query?: string }>,
  ): Promise<ReadonlyMap<TableId, ReadonlySet<string>>> {
    const plan = await this.planOf(sql, tables, false)
    return plan.error ? new Map() : usedColumns(plan.plans)
  }

  private async planOf(
    sql: string,
    tables: ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[]; readonly query?: string }>,
    optimize: boolean,
  ): Promise<{ readonly error: boolean; readonly plans?: unknown }> {
    const shapes = new Map([...tables].map(([id, { columns }]) => [id, columns]))
    const queries = new Map(
      [...tables].flatMap(([id, { query }]) => (query === undefined ? [] : [[id, query] as const])),
    )
    const connection = await (queries.size > 0 ? this.stubs.alone(shapes, queries) : this.stubs.beside(shapes, 'rows'))
    const call = `json_serialize_plan(${quoteText(sql)}::VARCHAR, optimize := ${optimize})`
    return parsePlan(await scalar(connection, `SELECT ${call}`))
  }

  async condition(
    filter: string,
    table: { readonly id: TableId; readonly alias: string; readonly columns: readonly ColumnShape[] },
    tables: ReadonlyMap<TableId, readonly ColumnShape[]> = new Map(),
  ): Promise<{ readonly atMost: Predicate; readonly atLeast: Predicate }> {
    // Under a name of its own: a subquery may scan the same table, and its filters are others.
    const own = 'limn_condition.target' as TableId
    const known = new Map([...tables, [own, table.columns] as const])
    const head = `SELECT * FROM ${nameOf(own)} AS ${quoteIdentifier(table.alias)} WHERE (`
    const sql = `${head}${filter}\n)`
    await this.describe(sql, known, undefined, {}, { before: head.length })
    const connection = await this.stubs.alone(known)
    const json = await scalar(connection, `SELECT json_serialize_plan(${quoteText(sql)}::VARCHAR, optimize := true)`)
    const plan = parsePlan(json)
    if (plan.error) return { atMost: always, atLeast: never }
    const shapes = new Map([[own, { columns: table.columns }]])
    return {
      atMost: filtersOfPlan(plan.plans, shapes).get(own) ?? (isEmptyPlan(plan.plans) ? never : always),
      atLeast: certainFilterOfPlan(plan.plans, own, shapes),
    }
  }

  async session(tables: readonly Bound[], options: { readonly signal?: AbortSignal } = {}): Promise<Session> {
    options.signal?.throwIfAborted()
    const explain = async (error: unknown, sql: string | null) => {
      if (isInvalidated(error)) await this.renew()
      return explainRead(error, sql, filesRead(tables), (local) => this.canRead(local))
    }
    const database = `limn_${this.names++}`
    const connection = await this.instance.connect()
    try {
      const before = attaching(database, tables.map(createSchema))
      await this.bindAll(new Binder(connection, this, { before }), database, tables)
    } catch (error) {
      await this.detach(connection, database)
      throw await explain(error, null)
    }
    return new DuckSession(connection, {
      end: () => this.detach(connection, database),
      signal: options.signal,
      explain,
    })
  }

  /** Whether every name and value of a Parquet file can be decoded. */
  private async canRead(local: string): Promise<boolean> {
    const connection = await this.connect()
    try {
      await connection.runAndReadAll(`SELECT * FROM parquet_schema(${quoteFile(local)})`)
      await connection.run(`SELECT max(hash(t)) FROM read_parquet(${quoteFile(local)}, hive_partitioning = false) AS t`)
      return true
    } catch (error) {
      if (isInvalidated(error)) await this.renew()
      return false
    } finally {
      connection.closeSync()
    }
  }

  /** Another instance in place of one that gave itself up; sessions of the former one go on failing. */
  private renew(): Promise<void> {
    this.renewal ??= (async () => {
      const former = this.instance
      this.instance = await this.make()
      this.tools = null
      this.stubs = this.newStubs()
      this.renewal = null
      former.closeSync()
    })()
    return this.renewal
  }

  async viewSql(table: BoundTable): Promise<string> {
    const { connection, database } = await this.attached([createSchema(table)])
    try {
      const binder = new Binder(connection, this, { portable: true })
      await binder.bind(table)
      await binder.flush()
      return binder.statements.join(';\n')
    } finally {
      await this.detach(connection, database)
    }
  }

  private async bindAll(binder: Binder, database: string, tables: readonly Bound[]): Promise<void> {
    for (const table of tables) {
      if ('rows' in table) {
        await binder.flush()
        await loadRows(binder.connection, database, table)
      } else if ('query' in table) await binder.run(viewOf(table.id, table.schema.fields, table.query))
      else await binder.bind(table)
    }
    await binder.flush()
  }

  close(): void {
    this.instance.closeSync()
    this.avro.close()
    this.nanos.close()
  }

  private newStubs(): Stubs {
    return new Stubs({ attached: async (statements) => await this.attached(statements), connect: () => this.connect() })
  }

  private tool(): Promise<DuckDBConnection> {
    this.tools ??= this.connect()
    return this.tools
  }

  private connect(): Promise<DuckDBConnection> {
    return this.instance.connect()
  }

  /** A connection with a database of its own, in which the statements were run: in one call, each costs a round trip. */
  private async attached(
    statements: readonly string[],
  ): Promise<{ readonly connection: DuckDBConnection; readonly database: string }> {
    const database = `limn_${this.names++}`
    const connection = await this.instance.connect()
    try {
      await connection.run(attaching(database, statements).join(';\n'))
      return { connection, database }
    } catch (error) {
      await this.detach(connection, database)
      throw error
    }
  }

  private async detach(connection: DuckDBConnection, database: string): Promise<void> {
    try {
      await connection.run(`USE memory; DETACH DATABASE IF EXISTS ${database}`)
    } catch (error) {
      if (!isInvalidated(error)) throw error
    } finally {
      connection.closeSync()
    }
  }
}

/** Words without one of which no query leaves rows of a table out. One that stands in a text or a comment costs a plan. */
const mayFilter = /\b(where|having|qualify|filter|join|in|any|all|exists|intersect|except|semi|anti|limit|sample)\b/i

interface DescribeOptions {
  /** See `FileEngine.describe`. */
  readonly parsed?: boolean
  /** Characters that are not the asker's: places are told from behind them. */
  readonly before?: number
}

/** Statements that give a connection a database of its own. */
function attaching(database: string, statements: readonly string[]): readonly string[] {
  return [`ATTACH ':memory:' AS ${database}`, `USE ${database}`, ...new Set(statements)]
}

async function scalar(connection: DuckDBConnection, sql: string): Promise<string> {
  const reader = await connection.runAndReadAll(sql)
  return String(reader.getRowsJson()[0]?.[0])
}

/** DuckDB writes constants such as NaN as they are, which is no JSON: null stands for them, and no condition is made of it. */
function parsePlan(json: string): { readonly error: boolean; readonly plans?: unknown } {
  const given = json.replace(/"(?:[^"\\]|\\.)*"|-?(?:nan|inf(?:inity)?)\b/gi, (token) =>
    token.startsWith('"') ? token : 'null',
  )
  return parseJson(given) as { error: boolean; plans?: unknown }
}

function notReadOnly(why: string, origin: TextOrigin | undefined): LimnError {
  return new LimnError('sql/not-read-only', {
    message: `Only one SELECT is allowed here. ${why}`.trim(),
    notDone: 'Nothing was run.',
    remedy: 'Datasets change through runs; write a SELECT.',
    ...(origin ? { location: origin } : {}),
  })
}
