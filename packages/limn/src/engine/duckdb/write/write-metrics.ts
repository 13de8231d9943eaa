import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type ParquetFooter, readParquetFooter } from '../../../encoding/index.ts'
import {
  type ColumnMetrics,
  defaultMetricsMode,
  keepsBounds,
  lowerBoundOf,
  type MetricsMode,
  parquetMetrics,
  upperBoundOf,
} from '../../../iceberg/index.ts'
import { type Field, isPrimitive, type PrimitiveType, type Schema } from '../../../schema/index.ts'
import { quoteFile } from '../../../sql/index.ts'
import { columnSql } from './write-columns.ts'
import { valueOfText, valueText } from './write-values.ts'

/** Runs a statement; the rows as JSON values. */
export type RunSql = (sql: string) => Promise<readonly (readonly unknown[])[]>

/** What `RETURN_STATS` says of a file's columns: the quoted path of each, and facts by name. */
export type ReturnedStats = readonly {
  readonly key: string
  readonly value: readonly { readonly key: string; readonly value: string }[]
}[]

/**
 * The metrics of a written file: from its footer, and, where the footer does not state what the mode of a column keeps,
 * from the rows. DuckDB's footer counts no NaNs, bounds no column that has one, and leaves out long text.
 */
export async function metricsOf(
  run: RunSql,
  local: string,
  returned: ReturnedStats,
  schema: Schema,
  mode: ((fieldId: number) => MetricsMode) | undefined,
): Promise<ColumnMetrics & { readonly fileSizeInBytes: bigint }> {
  const { footer, size } = await footerOf(local)
  const metrics = parquetMetrics(footer, schema, { match: 'field-id', ...(mode ? { mode } : {}) })
  const nanCounts = new Map(metrics.nanValueCounts)
  const lower = new Map(metrics.lowerBounds)
  const upper = new Map(metrics.upperBounds)
  const facts = new Map(returned.map((one) => [one.key, new Map(one.value.map((fact) => [fact.key, fact.value]))]))
  const open: { readonly leaf: Leaf; readonly sql: string; readonly mode: MetricsMode }[] = []
  for (const leaf of leavesOf(schema.fields, [])) {
    const wanted = mode?.(leaf.id) ?? defaultMetricsMode
    const values = metrics.valueCounts.get(leaf.id)
    if (wanted.kind === 'none' || values === undefined || leaf.type === 'variant' || leaf.type === 'unknown') continue
    const floating = leaf.type === 'float' || leaf.type === 'double'
    const hasNan = facts.get(leaf.path)?.get('has_nan')
    if (floating && hasNan === 'false') nanCounts.set(leaf.id, 0n)
    const noValues = metrics.nullValueCounts.get(leaf.id) === values
    const unbounded = keepsBounds(wanted) && !noValues && !(lower.has(leaf.id) && upper.has(leaf.id))
    const sql = columnSql(schema, leaf.id)?.sql
    if (sql !== undefined && ((floating && hasNan !== 'false' && !noValues) || unbounded))
      open.push({ leaf, sql, mode: wanted })
  }
  if (open.length > 0) {
    const [row = []] = await run(
      `SELECT ${open.map((one) => factsSql(one.leaf.type, one.sql, one.mode)).join(', ')} FROM read_parquet(${quoteFile(local)})`,
    )
    for (const [i, { leaf, mode: wanted }] of open.entries()) {
      const [nans, low, high] = row.slice(i * 3, i * 3 + 3)
      if (leaf.type === 'float' || leaf.type === 'double') nanCounts.set(leaf.id, BigInt(String(nans ?? 0)))
      const value = (cell: unknown) => valueOfText(leaf.type, decoded(leaf.type, String(cell)))
      const lowest = low === null || low === undefined ? null : lowerBoundOf(wanted, leaf.type, value(low))
      const highest = high === null || high === undefined ? null : upperBoundOf(wanted, leaf.type, value(high))
      if (lowest !== null) lower.set(leaf.id, lowest)
      if (highest !== null) upper.set(leaf.id, highest)
    }
  }
  const bounds = { lowerBounds: lower, upperBounds: upper }
  return { ...metrics, nanValueCounts: nanCounts, ...bounds, fileSizeInBytes: BigInt(size) }
}

/** The footer of a file that was written just now, and its size. */
async function footerOf(local: string): Promise<{ readonly footer: ParquetFooter; readonly size: number }> {
  const file = openSync(local, 'r')
  try {
    const { size } = fstatSync(file)
    const footer = await readParquetFooter(async (start, end) => {
      const buffer = Buffer.alloc(end - start)
      readSync(file, buffer, 0, end - start, start)
      return buffer
    }, size)
    return { footer, size }
  } finally {
    closeSync(file)
  }
}

interface Leaf {
  readonly id: number
  readonly type: PrimitiveType
  /** As RETURN_STATS spells it. */
  readonly path: string
}

/** Primitive columns, those inside structs too; not what repeats. */
function leavesOf(fields: readonly Field[], above: readonly string[]): readonly Leaf[] {
  return fields.flatMap((field) => {
    const path = [...above, `"${field.name.replaceAll('"', '""')}"`]
    if (isPrimitive(field.type)) return [{ id: field.id, type: field.type, path: path.join('.') }]
    return field.type.type === 'struct' ? leavesOf(field.type.fields, path) : []
  })
}

/** NaNs, minimum and maximum of the rest. Text goes as hexadecimal, cut one code point after the mode's length. */
function factsSql(type: PrimitiveType, column: string, mode: MetricsMode): string {
  const floating = type === 'float' || type === 'double'
  const rest = floating ? ` FILTER (NOT isnan(${column}))` : ''
  const shown = (value: string) => {
    const cut = mode.kind === 'truncate' && type === 'string' ? `substring(${value}, 1, ${mode.length + 1})` : value
    const text = valueText(type, cut)
    return type === 'string' ? `hex(encode(${text}))` : text
  }
  const nans = floating ? `count_if(isnan(${column}))` : '0'
  return `${nans}, ${shown(`min(${column})${rest}`)}, ${shown(`max(${column})${rest}`)}`
}

function decoded(type: PrimitiveType, text: string): string {
  return type === 'string' ? Buffer.from(text, 'hex').toString('utf8') : text
}
