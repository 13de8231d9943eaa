import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LimnError } from '../../base/index.ts'
import { type PartitionSpec, transformResultType } from '../../iceberg/index.ts'
import { fieldById, isPrimitive, type PrimitiveType, type Schema, type Value } from '../../schema/index.ts'
import { duckType, quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { WriteTarget, WrittenFile } from '../engine.ts'
import { readStats } from './stats.ts'

const partitionColumn = (position: number) => `__limn_partition_${position}`

/** The COPY that writes a query's rows: cast to the schema, in its order, with field ids, one file per partition. */
export function copySql(sql: string, target: WriteTarget): string {
  const { schema, spec } = target
  const columns = schema.fields.map((field) => {
    if (!isPrimitive(field.type)) throw nested(field.name)
    const name = quoteIdentifier(field.name)
    return `CAST(${name} AS ${duckType(field.type)}) AS ${name}`
  })
  const ids = schema.fields.map((field) => `${quoteIdentifier(field.name)}: ${field.id}`).join(', ')
  const options = [
    'FORMAT parquet',
    `COMPRESSION ${target.compression}`,
    `ROW_GROUP_SIZE ${target.rowGroupSize}`,
    `FIELD_IDS {${ids}}`,
    'RETURN_STATS',
  ]
  if (spec.fields.length === 0) {
    return `COPY (SELECT ${columns.join(', ')} FROM (${sql}\n)) TO ${quoteText(join(target.folder, 'data.parquet'))} (${options.join(', ')})`
  }
  const parts = spec.fields.map((field, i) => {
    const source = fieldById(schema, field.sourceId)
    if (!source || !isPrimitive(source.type)) throw nested(field.name)
    return `${transformSql(field.transform, quoteIdentifier(source.name), source.type)} AS ${partitionColumn(i)}`
  })
  const names = spec.fields.map((_field, i) => partitionColumn(i)).join(', ')
  options.push(`PARTITION_BY (${names})`, 'WRITE_PARTITION_COLUMNS false', 'OVERWRITE_OR_IGNORE')
  return `COPY (SELECT *, ${parts.join(', ')} FROM (SELECT ${columns.join(', ')} FROM (${sql}\n))) TO ${quoteText(target.folder)} (${options.join(', ')})`
}

function nested(name: string): LimnError {
  return new LimnError('iceberg/unsupported', { message: `${name} is nested: limn does not write nested columns yet.` })
}

/** A partition transform as SQL, giving the value Iceberg stores (integers since 1970 for the time units). */
function transformSql(
  transform: PartitionSpec['fields'][number]['transform'],
  column: string,
  type: PrimitiveType,
): string {
  const timestamp = `(${column})::TIMESTAMP`
  const months = `((year(${timestamp}) - 1970) * 12 + month(${timestamp}) - 1)`
  switch (transform.kind) {
    case 'identity':
      return type === 'string' || type === 'int' || type === 'long' ? column : `(${column})::VARCHAR`
    case 'year':
      return `(year(${timestamp}) - 1970)`
    case 'month':
      return months
    case 'day':
      return `(${timestamp}::DATE - DATE '1970-01-01')`
    case 'hour':
      return `floor(epoch_us(${timestamp}) / 3600000000)::BIGINT`
    case 'void':
      return 'NULL::INTEGER'
    case 'truncate':
      if (type === 'string') return `array_to_string(string_split(${column}, '')[1:${transform.width}], '')`
      if (type === 'int' || type === 'long')
        return `(${column} - ((${column} % ${transform.width}) + ${transform.width}) % ${transform.width})`
      break
    case 'bucket':
    case 'unknown':
      break
  }
  throw new LimnError('iceberg/unsupported', {
    message: `limn cannot write a table partitioned by ${transform.kind} of a ${type} yet.`,
    notDone: 'Nothing was written.',
    remedy: 'Partition by a time unit, an identity or a truncated string or integer.',
  })
}

type StatsRow = readonly [
  file: string,
  count: string,
  bytes: string,
  footer: string,
  columns: readonly {
    readonly key: string
    readonly value: readonly { readonly key: string; readonly value: string }[]
  }[],
  partitions: readonly { readonly key: string; readonly value: string | null }[] | null,
]

/** Files of a COPY from its returned statistics, in order of paths. A file without rows is left out. */
export function writtenFiles(rows: readonly unknown[], target: WriteTarget): readonly WrittenFile[] {
  return (rows as readonly StatsRow[])
    .filter((row) => row[1] !== '0')
    .map((row) => ({
      local: row[0],
      partition: partitionOf(row[5] ?? [], target.spec, target.schema),
      recordCount: BigInt(row[1]),
      fileSizeInBytes: BigInt(row[2]),
      ...readStats(row[4], target.schema),
      splitOffsets: [4n],
    }))
    .sort((a, b) => (a.local < b.local ? -1 : 1))
}

function partitionOf(keys: NonNullable<StatsRow[5]>, spec: PartitionSpec, schema: Schema): readonly (Value | null)[] {
  const byName = new Map(keys.map((one) => [one.key, one.value]))
  return spec.fields.map((field, i) => {
    const text = byName.get(partitionColumn(i))
    const source = fieldById(schema, field.sourceId)
    if (text === null || text === undefined || !source) return null
    return partitionValue(transformResultType(field.transform, source.type), text)
  })
}

function partitionValue(type: PrimitiveType, text: string): Value {
  switch (type) {
    case 'int':
      return Number(text)
    case 'date':
      return /^-?\d+$/.test(text) ? Number(text) : Date.parse(`${text}T00:00:00Z`) / 86_400_000
    case 'long':
      return BigInt(text)
    case 'boolean':
      return text === 'true'
    case 'string':
      return text
    case 'uuid':
      return text.toLowerCase()
    default:
      throw new LimnError('iceberg/unsupported', { message: `limn cannot write a table partitioned by a ${type} yet.` })
  }
}

export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
}
