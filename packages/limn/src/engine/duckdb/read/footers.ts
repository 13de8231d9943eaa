import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteFile } from '../../../sql/index.ts'
import { schemaBytes, schemaBytesNow } from './damage.ts'
import { asVariants, columnsOf, hasIds, mightHoldVariant, type PhysicalColumn, type SchemaRow } from './physical.ts'

/** Footers that one query reads: it holds a row for each column of each file. */
const filesAtOnce = 1000

/** Up to so many files are looked at one after the other, at once. */
const readNowMax = 32

/** The columns of Parquet files, from their footers. Table files never change, so what was read is kept. */
export class Footers {
  private readonly known = new Map<string, FooterSchema>()
  private readonly interned = new Map<string, FooterSchema>()
  /** By the bytes that decide it: files of one writer and schema are asked for once. */
  private readonly byBytes = new Map<string, FooterSchema>()
  private readonly max: number

  constructor(options: { readonly filesMax?: number } = {}) {
    this.max = options.filesMax ?? 100_000
  }

  /** By local file. `keep`: the files are a table's, so the answer holds for good. */
  async of(
    connect: () => Promise<DuckDBConnection>,
    files: readonly { readonly local: string; readonly keep: boolean }[],
  ): Promise<ReadonlyMap<string, FooterSchema>> {
    const found = new Map<string, FooterSchema>()
    const asked = new Map<string, boolean>()
    for (const { local, keep } of files) {
      const known = keep ? this.known.get(local) : undefined
      if (known) found.set(local, known)
      else asked.set(local, keep)
    }
    if (asked.size === 0) return found
    if (this.known.size + asked.size > this.max) this.known.clear()
    const locals = [...asked.keys()]
    for (let at = 0; at < locals.length; at += filesAtOnce)
      await this.read(connect, locals.slice(at, at + filesAtOnce), asked, found)
    return found
  }

  private async read(
    connect: () => Promise<DuckDBConnection>,
    files: readonly string[],
    asked: ReadonlyMap<string, boolean>,
    found: Map<string, FooterSchema>,
  ): Promise<void> {
    const bytesOf = new Map<string, string>()
    const few = files.length <= readNowMax
    await eachOf(files, async (local) => {
      const bytes = few ? schemaBytesNow({ local }) : await schemaBytes({ local })
      if (bytes !== null) bytesOf.set(local, bytes)
    })
    const learn = (local: string, schema: FooterSchema) => {
      found.set(local, schema)
      if (asked.get(local)) this.known.set(local, schema)
    }
    /** Files alike: one of them is asked for. */
    const unknown = new Map<string, string[]>()
    for (const local of files) {
      const bytes = bytesOf.get(local)
      const known = bytes === undefined ? undefined : this.byBytes.get(bytes)
      if (known) learn(local, known)
      else {
        const key = bytes ?? `file ${local}`
        const alike = unknown.get(key)
        if (alike) alike.push(local)
        else unknown.set(key, [local])
      }
    }
    if (unknown.size === 0) return
    const firsts = [...unknown.values()].flatMap((alike) => alike[0] ?? [])
    await this.ask(await connect(), firsts, bytesOf, learn)
    for (const [first = '', ...others] of unknown.values()) {
      const schema = found.get(first)
      if (schema) for (const local of others) learn(local, schema)
    }
  }

  private async ask(
    connection: DuckDBConnection,
    files: readonly string[],
    bytesOf: ReadonlyMap<string, string>,
    learn: (local: string, schema: FooterSchema) => void,
  ): Promise<void> {
    if (this.byBytes.size > 1000) this.byBytes.clear()
    const reader = await connection.runAndReadAll(footerSql(files))
    for (const [json, locals] of reader.getRowsJson() as [unknown, string[]][]) {
      const schema = this.intern(json as readonly Readonly<Record<string, unknown>>[])
      for (const local of locals) {
        const own = schema.columns.some(mightHoldVariant) ? await this.withVariants(connection, local, schema) : schema
        learn(local, own)
        const bytes = bytesOf.get(local)
        if (bytes !== undefined) this.byBytes.set(bytes, own)
      }
    }
  }

  /**
   * DuckDB reads a group as VARIANT when the file annotates it as such, which `parquet_schema` does not show; binding the
   * file does.
   */
  private async withVariants(connection: DuckDBConnection, local: string, schema: FooterSchema): Promise<FooterSchema> {
    const reader = await connection.runAndReadAll(
      `DESCRIBE SELECT * FROM read_parquet([${quoteFile(local)}], hive_partitioning = false)`,
    )
    const types = reader.getRowsJson().map((row) => String(row[1]))
    const annotated = schema.columns.map((column, i) => mightHoldVariant(column) && /\bVARIANT\b/.test(types[i] ?? ''))
    if (!annotated.includes(true)) return schema
    const key = `${schema.key} variants ${annotated.join()}`
    const known = this.interned.get(key)
    if (known) return known
    const columns = schema.columns.map((column, i) => (annotated[i] ? asVariants(column) : column))
    const made = { ...schema, key, columns }
    this.interned.set(key, made)
    return made
  }

  private intern(rows: readonly Readonly<Record<string, unknown>>[]): FooterSchema {
    const key = JSON.stringify(rows)
    let schema = this.interned.get(key)
    if (!schema) {
      const columns = columnsOf(rows.map(rowOf))
      const zonedNanos = rows.some((row) => /isAdjustedToUTC=(1|true).*NANOS=NanoSeconds/.test(String(row.l ?? '')))
      schema = { key, columns, hasIds: hasIds(columns), zonedNanos }
      if (this.interned.size > 1000) this.interned.clear()
      this.interned.set(key, schema)
    }
    return schema
  }
}

export interface FooterSchema {
  readonly key: string
  readonly columns: readonly PhysicalColumn[]
  readonly hasIds: boolean
  /** Some column holds nanoseconds in UTC, for which DuckDB has no type. */
  readonly zonedNanos: boolean
}

/** A few at a time. */
async function eachOf(locals: readonly string[], check: (local: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < locals.length; at += 32) await Promise.all(locals.slice(at, at + 32).map(check))
}

function footerSql(files: readonly string[]): string {
  const row =
    '{n: name, i: field_id, t: duckdb_type, c: num_children, r: repetition_type, v: converted_type, l: logical_type}'
  const list = `[${files.map(quoteFile).join(', ')}]`
  return `SELECT s, list(file_name) FROM (
    SELECT file_name, list(${row} ORDER BY column_id) AS s FROM parquet_schema(${list}) GROUP BY file_name) GROUP BY s`
}

function rowOf(json: Readonly<Record<string, unknown>>): SchemaRow {
  const text = (value: unknown) => (value === null || value === undefined ? null : String(value))
  return {
    name: String(json.n),
    fieldId: json.i === null || json.i === undefined ? null : Number(json.i),
    duckType: text(json.t),
    children: Number(json.c ?? 0),
    repetition: text(json.r),
    converted: text(json.v),
    logical: text(json.l),
  }
}
