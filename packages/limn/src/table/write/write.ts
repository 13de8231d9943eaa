import { LimnError, randomUuid, step } from '../../base/index.ts'
import type { Compression, Session, WriteTarget, WrittenFile } from '../../engine/index.ts'
import {
  type DataFile,
  dataFolder,
  metricsModes,
  type PartitionSpec,
  partitionPath,
  type SortOrder,
  schemaById,
  specById,
  type TableMetadata,
} from '../../iceberg/index.ts'
import type { Field, Schema } from '../../schema/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import { bloomFiltersOf } from '../bloom-filters.ts'
import type { TableContext } from '../context.ts'

/** How rows are laid out in a table. */
export interface Layout {
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
  /** New files are sorted so. Default: unsorted. */
  readonly sortOrder?: SortOrder
  /** See `WriteTarget`. */
  readonly orderBy?: string
  /** The table's properties: `write.parquet.*`, `write.target-file-size-bytes`, `write.metadata.metrics.*`, … */
  readonly properties?: Readonly<Record<string, string>>
}

/** Compression and row groups of data files unless the table says otherwise; the benchmark's peer uses the same. */
export const fileFormat = { compression: 'zstd', rowGroupSize: 122_880 } as const

const targetFileSizeDefault = 512 * 1024 * 1024

/** The layout new files of a table get: its current schema, default spec and order, and its properties. */
export function layoutOf(metadata: TableMetadata): Layout {
  const sortOrder = metadata.sortOrders.find((one) => one.orderId === metadata.defaultSortOrderId)
  return {
    location: metadata.location,
    schema: schemaById(metadata, metadata.currentSchemaId),
    spec: specById(metadata, metadata.defaultSpecId),
    ...(sortOrder && sortOrder.fields.length > 0 ? { sortOrder } : {}),
    properties: metadata.properties,
  }
}

/** The reserved columns of row lineage (specification, "Row Lineage"), as a data file holds them. */
export const lineageFields: readonly Field[] = [
  { id: 2_147_483_540, name: '_row_id', required: false, type: 'long' },
  { id: 2_147_483_539, name: '_last_updated_sequence_number', required: false, type: 'long' },
]

export interface WriteRowsOptions {
  /** The query yields `_row_id` and `_last_updated_sequence_number`, and the files keep them (version 3). */
  readonly lineage?: boolean
}

/** Runs a query and writes its rows as Parquet files in a local folder, one or more per partition. Nothing is put yet. */
export function writeLocal(
  session: Session,
  sql: string,
  layout: Layout,
  folder: string,
): Promise<readonly WrittenFile[]> {
  // Whether null is allowed is judged at the gate, with the rows at fault, not by the writer.
  return session.write(sql, targetOf(layout, folder))
}

/**
 * Writes the rows of a query as data files of a table and returns them, in order; part of no snapshot yet, and durable once
 * a commit names them.
 * Rows are cast to the table's types. Throws `source/schema` when the query lacks a column, and when a required one is
 * null, before anything is put.
 */
export async function writeRows(
  context: TableContext,
  session: Session,
  sql: string,
  layout: Layout,
  folder: string,
  options: WriteRowsOptions = {},
): Promise<readonly DataFile[]> {
  const { schema } = layout
  requireNamesApart(schema)
  const kept = options.lineage ? { ...schema, fields: [...schema.fields, ...lineageFields] } : schema
  const target = { ...targetOf({ ...layout, schema: kept }, folder), requireValues: true }
  const written = await session.write(sql, target).catch(async (error: unknown) => {
    throw (await missingColumns(session, sql, kept)) ?? error
  })
  return putFiles(context, layout, written)
}

/** Says which columns a query lacks, as the reason why it could not be written; null where it has them all. */
async function missingColumns(session: Session, sql: string, { fields }: Schema): Promise<LimnError | null> {
  const described = await session.rows(`DESCRIBE ${sql}`).catch(() => null)
  if (!described) return null
  const has = new Set(described.rows.map(([name]) => String(name).toLowerCase()))
  const missing = fields.filter((field) => !has.has(field.name.toLowerCase()))
  if (missing.length === 0) return null
  return new LimnError('source/schema', {
    message: `The query lacks columns of the table: ${missing.map((field) => field.name).join(', ')}.`,
    notDone: 'Nothing was written.',
    remedy: 'Let it put out every column of the table, by name; NULL where there is no value.',
  })
}

/** DuckDB does not tell names by case: one of two such columns would be written with the values of the other. */
function requireNamesApart({ fields }: Schema): void {
  const seen = new Map<string, string>()
  for (const { name } of fields) {
    const before = seen.get(name.toLowerCase())
    seen.set(name.toLowerCase(), name)
    if (before === undefined) continue
    throw new LimnError('iceberg/unsupported', {
      message: `The columns ${before} and ${name} differ in case alone, which DuckDB cannot write.`,
      notDone: 'Nothing was written.',
      remedy: 'Rename one of them.',
    })
  }
}

/** What the table's properties say of new files. Throws `usage/argument` for a value that is none. */
function targetOf(layout: Layout, folder: string): WriteTarget {
  const { schema, spec, sortOrder, properties = {} } = layout
  const level = properties['write.parquet.compression-level']
  return {
    schema,
    spec,
    folder,
    compression: codecOf(properties['write.parquet.compression-codec']),
    ...(level === undefined ? {} : { compressionLevel: wholeNumber('write.parquet.compression-level', level) }),
    rowGroupSize: wholeNumber(
      'write.parquet.row-group-row-limit',
      properties['write.parquet.row-group-row-limit'],
      fileFormat.rowGroupSize,
    ),
    bloomFilters: bloomFiltersOf(properties, schema),
    fileSizeBytes: wholeNumber(
      'write.target-file-size-bytes',
      properties['write.target-file-size-bytes'],
      targetFileSizeDefault,
    ),
    ...(sortOrder ? { sortOrder } : {}),
    ...(layout.orderBy === undefined ? {} : { orderBy: layout.orderBy }),
    distribution: distributionOf(properties['write.distribution-mode']),
    metrics: metricsModes(properties, schema, sortOrder?.fields.map((field) => field.sourceId) ?? []),
  }
}

const modes = ['copy-on-write', 'merge-on-read'] as const
const levels = ['serializable', 'snapshot'] as const
/** A mistyped `false` would mean true: of the first, that files are deleted. */
const switches = ['gc.enabled', 'commit.manifest-merge.enabled']
const numbers = [
  'commit.retry.num-retries',
  'commit.retry.min-wait-ms',
  'commit.retry.max-wait-ms',
  'commit.retry.total-timeout-ms',
  'commit.manifest.target-size-bytes',
  'commit.manifest.min-count-to-merge',
  'history.expire.max-snapshot-age-ms',
  'history.expire.min-snapshots-to-keep',
  'history.expire.max-ref-age-ms',
]

/**
 * Throws `usage/argument` for a property that limn reads and cannot make sense of. Asked when properties are set: found out
 * by the next writer, the mistake would stop everyone's writes, or silently mean the default.
 */
export function requireUsableProperties(schema: Schema, properties: Readonly<Record<string, string>>): void {
  targetOf({ location: '', schema, spec: { specId: 0, fields: [] }, properties }, '')
  for (const operation of ['delete', 'update', 'merge']) {
    requireOneOf(properties, `write.${operation}.mode`, modes)
    requireOneOf(properties, `write.${operation}.isolation-level`, levels)
  }
  for (const name of switches) {
    const value = properties[name]
    if (value !== undefined && !['true', 'false'].includes(value.toLowerCase()))
      throw badProperty(name, value, 'true or false')
  }
  for (const name of numbers) {
    const value = properties[name]
    if (value !== undefined && !(Number.isSafeInteger(Number(value)) && Number(value) >= 0 && value.trim() !== ''))
      throw badProperty(name, value, 'a whole number, 0 or more')
  }
}

function requireOneOf(properties: Readonly<Record<string, string>>, name: string, words: readonly string[]): void {
  const value = properties[name]
  if (value !== undefined && !words.includes(value)) throw badProperty(name, value, words.join(' or '))
}

const codecs: Readonly<Record<string, Compression>> = {
  zstd: 'zstd',
  snappy: 'snappy',
  gzip: 'gzip',
  lz4: 'lz4_raw',
  lz4_raw: 'lz4_raw',
  brotli: 'brotli',
  uncompressed: 'uncompressed',
}

function codecOf(text: string | undefined): Compression {
  if (text === undefined) return fileFormat.compression
  const codec = codecs[text.toLowerCase()]
  if (codec) return codec
  throw badProperty('write.parquet.compression-codec', text, `one of ${Object.keys(codecs).join(', ')}`)
}

function distributionOf(text: string | undefined): NonNullable<WriteTarget['distribution']> {
  if (text === undefined) return 'hash'
  if (text === 'none' || text === 'hash' || text === 'range') return text
  throw badProperty('write.distribution-mode', text, 'none, hash or range')
}

function wholeNumber(name: string, text: string | undefined, fallback?: number): number {
  if (text === undefined && fallback !== undefined) return fallback
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw badProperty(name, String(text), 'a whole number above 0')
}

function badProperty(name: string, value: string, wanted: string): LimnError {
  return new LimnError('usage/argument', {
    message: `The table's property ${name} is "${value}".`,
    notDone: 'Nothing was written.',
    remedy: `Set it to ${wanted}.`,
  })
}

/** Puts written files into the table's data folder and returns them as Iceberg data files, in order. Durable once a commit names them. */
export async function putFiles(
  context: TableContext,
  layout: Layout,
  written: readonly WrittenFile[],
): Promise<readonly DataFile[]> {
  const folder = dataFolder({ location: layout.location, properties: layout.properties ?? {} })
  const placed = written.map((file) => {
    // One flat folder: a folder per partition would cost a sync each, and Iceberg does not read meaning into paths.
    const partition = partitionPath(layout.spec, layout.schema, file.partition).replaceAll('/', ',')
    const name = `${partition === '' ? '' : `${partition.slice(0, 100)}-`}${randomUuid(context.randomness)}.parquet`
    const path = storePath(`${folder}/${name}`)
    return { local: file.local, path, file: dataFileOf(file, path, layout.spec.specId) }
  })
  const detail = `${folder} × ${placed.length}`
  await step(context.steps, 'file.put', detail, () =>
    context.store.putFiles(placed, { later: true, signal: context.signal }),
  )
  return placed.map((one) => one.file)
}

/** The manifest entry's file for a written Parquet file at its final path. */
export function dataFileOf(file: WrittenFile, path: StorePath, specId: number): DataFile {
  return {
    content: 0,
    path,
    format: 'parquet',
    specId,
    partition: file.partition,
    recordCount: file.recordCount,
    fileSizeInBytes: file.fileSizeInBytes,
    columnSizes: file.columnSizes,
    valueCounts: file.valueCounts,
    nullValueCounts: file.nullValueCounts,
    nanValueCounts: file.nanValueCounts,
    lowerBounds: file.lowerBounds,
    upperBounds: file.upperBounds,
    splitOffsets: file.splitOffsets,
    equalityIds: [],
    sortOrderId: file.sortOrderId,
  }
}
