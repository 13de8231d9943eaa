import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteText } from '../../../sql/index.ts'
import { columnsOf, hasIds, type PhysicalColumn, type SchemaRow } from './physical.ts'

/** The columns of Parquet files, from their footers. Table files never change, so what was read is kept. */
export class Footers {
  private readonly known = new Map<string, FooterSchema>()
  private readonly interned = new Map<string, FooterSchema>()
  private readonly max: number

  constructor(options: { readonly filesMax?: number } = {}) {
    this.max = options.filesMax ?? 100_000
  }

  /** By local file. `keep`: the files are a table's, so the answer holds for good. */
  async of(
    connection: DuckDBConnection,
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
    const reader = await connection.runAndReadAll(footerSql([...asked.keys()]))
    for (const [json, locals] of reader.getRowsJson() as [unknown, string[]][]) {
      const schema = this.intern(json as readonly Readonly<Record<string, unknown>>[])
      for (const local of locals) {
        found.set(local, schema)
        if (asked.get(local)) this.known.set(local, schema)
      }
    }
    return found
  }

  private intern(rows: readonly Readonly<Record<string, unknown>>[]): FooterSchema {
    const key = JSON.stringify(rows)
    let schema = this.interned.get(key)
    if (!schema) {
      const columns = columnsOf(rows.map(rowOf))
      schema = { key, columns, hasIds: hasIds(columns) }
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
}

function footerSql(files: readonly string[]): string {
  const row =
    '{n: name, i: field_id, t: duckdb_type, c: num_children, r: repetition_type, v: converted_type, l: logical_type}'
  const list = `[${files.map(quoteText).join(', ')}]`
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
