import { LimnError } from '../../../base/index.ts'
import { type PartitionField, type PartitionSpec, type SortOrder, transformResultType } from '../../../iceberg/index.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type Schema, type Value } from '../../../schema/index.ts'
import { columnSql } from './write-columns.ts'
import { transformSql } from './write-transforms.ts'
import { valueOfText, valueText } from './write-values.ts'

/**
 * The partition columns of a COPY. Folders are named by values, so text and bytes go as hexadecimal, and those that no
 * folder name could hold as a hash; the value is then read from the file.
 */
export interface PartitionColumn {
  readonly name: string
  readonly field: PartitionField
  readonly position: number
  /** The type of the partition value. */
  readonly type: PrimitiveType
  /** The value as text, null for null, over the columns of the file. */
  readonly text: string
  /** What names the folder. */
  readonly sql: string
}

/** Hexadecimal digits that a folder is named by; longer values are hashed. */
const folderDigitsMax = 120
const hashMark = 'hash-'

/** One per field whose value can be other than null, in the spec's order. */
export function partitionColumns(spec: PartitionSpec, schema: Schema): readonly PartitionColumn[] {
  return spec.fields.flatMap((field, position) => {
    if (field.transform.kind === 'void') return []
    const { sql, type: source } = primitiveOf(schema, field.sourceId, field.name)
    const type = transformResultType(field.transform, source)
    const value = transformSql(field.transform, sql, source)
    // A day is a date in manifests and a count in SQL; a truncated decimal is its unscaled integer already.
    const counted =
      field.transform.kind === 'day' || (field.transform.kind === 'truncate' && decimalOf(source) !== null)
    const text = counted ? `(${value})::VARCHAR` : valueText(type, value)
    const hex = type === 'string' ? `hex(encode(${text}))` : text
    const folder = isBytes(type)
      ? `CASE WHEN length(${hex}) > ${folderDigitsMax} THEN ${`'${hashMark}' || sha256(${hex})`} ELSE ${hex} END`
      : text
    return [{ name: `__limn_partition_${position}`, field, position, type, text: hex, sql: folder }]
  })
}

function isBytes(type: PrimitiveType): boolean {
  return type === 'string' || type === 'binary' || type.startsWith('fixed')
}

function primitiveOf(schema: Schema, sourceId: number, name: string): { sql: string; type: PrimitiveType } {
  const found = columnSql(schema, sourceId)
  if (found && isPrimitive(found.type) && found.type !== 'variant' && found.type !== 'unknown')
    return { sql: found.sql, type: found.type }
  throw new LimnError('iceberg/unsupported', {
    message: `${name} is of a column ${found ? 'whose values have no order' : 'that the table no longer has'}.`,
    notDone: 'Nothing was written.',
    remedy: 'Give the table a partition spec and a sort order of columns it has.',
  })
}

/** A partition's value from the text of `PartitionColumn.text`. */
export function partitionValue(column: PartitionColumn, text: string): Value {
  if (column.type === 'string') return Buffer.from(text, 'hex').toString('utf8')
  return valueOfText(column.type, text)
}

/** Whether a folder's name stands for a value that has to be read from the file. */
export function isHashed(column: PartitionColumn, text: string): boolean {
  return isBytes(column.type) && text.startsWith(hashMark)
}

/** ORDER BY's list for a sort order: strings by bytes, NaN last, nulls where the order says. */
export function orderSql(order: SortOrder, schema: Schema): string {
  return order.fields
    .map((field) => {
      const { sql, type } = primitiveOf(schema, field.sourceId, 'The sort order')
      const nulls = field.nullOrder === 'nulls-first' ? 'NULLS FIRST' : 'NULLS LAST'
      return `${transformSql(field.transform, sql, type)} ${field.direction === 'asc' ? 'ASC' : 'DESC'} ${nulls}`
    })
    .join(', ')
}
