import { childrenOf as fieldsIn, type NameMapping, nameMappingOf } from '../../../iceberg/index.ts'
import type { Field } from '../../../schema/index.ts'
import { quoteIdentifier } from '../../../sql/index.ts'

/** A column as a file stores it, in DuckDB's words: its types are what `read_parquet` yields. */
export interface PhysicalColumn {
  readonly name: string
  /** The Iceberg field id in the file, or one given by name mapping or position; null for a column that stands for none. */
  readonly id: number | null
  readonly type: PhysicalType
}

export type PhysicalType =
  | { readonly kind: 'leaf'; readonly duck: string }
  | { readonly kind: 'struct'; readonly fields: readonly PhysicalColumn[] }
  | { readonly kind: 'list'; readonly element: PhysicalColumn }
  | { readonly kind: 'map'; readonly key: PhysicalColumn; readonly value: PhysicalColumn }

/** A file's columns, and how they are addressed: by the ids that the file itself carries, or by name. */
export interface PhysicalSchema {
  readonly by: 'id' | 'name'
  readonly columns: readonly PhysicalColumn[]
  /** Equal for equal schemas. */
  readonly key: string
}

/** The type as DuckDB spells it. */
export function physicalTypeText(type: PhysicalType): string {
  switch (type.kind) {
    case 'leaf':
      return type.duck
    case 'struct':
      return `STRUCT(${type.fields.map((one) => `${quoteIdentifier(one.name)} ${physicalTypeText(one.type)}`).join(', ')})`
    case 'list':
      return `${physicalTypeText(type.element.type)}[]`
    case 'map':
      return `MAP(${physicalTypeText(type.key.type)}, ${physicalTypeText(type.value.type)})`
  }
}

/** One row of `parquet_schema`, in file order. */
export interface SchemaRow {
  readonly name: string
  readonly fieldId: number | null
  readonly duckType: string | null
  readonly children: number
  readonly repetition: string | null
  readonly converted: string | null
  readonly logical: string | null
}

/** The columns of a Parquet file from its flattened schema, whose first row is the root. */
export function columnsOf(rows: readonly SchemaRow[]): readonly PhysicalColumn[] {
  let at = 0
  const node = (): Node => {
    const row = rows[at++]
    if (!row) throw new RangeError('the schema is cut off')
    return { row, children: Array.from({ length: row.children }, node) }
  }
  return node().children.map(columnOf)
}

interface Node {
  readonly row: SchemaRow
  readonly children: readonly Node[]
}

/** Backward compatible nesting (Parquet format, LogicalTypes, "Nested Types"). */
function columnOf(node: Node): PhysicalColumn {
  const type = unrepeated(node)
  return {
    name: node.row.name,
    id: node.row.fieldId,
    // A repeated field outside an annotated group is a list of itself.
    type: node.row.repetition === 'REPEATED' ? { kind: 'list', element: { name: 'element', id: null, type } } : type,
  }
}

function unrepeated(node: Node): PhysicalType {
  const { row, children } = node
  if (row.children === 0) return { kind: 'leaf', duck: row.duckType ?? 'BLOB' }
  const [only] = children
  if (only && children.length === 1 && only.row.repetition === 'REPEATED') {
    if (row.converted === 'LIST' || row.logical?.startsWith('ListType'))
      return { kind: 'list', element: elementOf(node, only) }
    if (row.converted === 'MAP' || row.converted === 'MAP_KEY_VALUE' || row.logical?.startsWith('MapType')) {
      const [key, value] = only.children
      if (key && value && only.children.length === 2) return { kind: 'map', key: columnOf(key), value: columnOf(value) }
    }
  }
  return { kind: 'struct', fields: children.map(columnOf) }
}

function elementOf(list: Node, repeated: Node): PhysicalColumn {
  const [only] = repeated.children
  const { name } = repeated.row
  const isElement = repeated.children.length !== 1 || name === 'array' || name === `${list.row.name}_tuple`
  if (isElement || !only) return { name: 'element', id: repeated.row.fieldId, type: unrepeated(repeated) }
  return { ...columnOf(only), name: 'element' }
}

/** Whether a group has the fields by which a variant is stored. */
function isVariantGroup(type: PhysicalType): boolean {
  if (type.kind !== 'struct') return false
  const isBlob = (name: string) =>
    type.fields.some((one) => one.name === name && one.type.kind === 'leaf' && one.type.duck === 'BLOB')
  return isBlob('metadata') && isBlob('value')
}

export function mightHoldVariant(column: PhysicalColumn): boolean {
  return isVariantGroup(column.type) || childrenOf(column.type).some(mightHoldVariant)
}

/** The column with every such group as a variant. */
export function asVariants(column: PhysicalColumn): PhysicalColumn {
  if (isVariantGroup(column.type)) return { ...column, type: { kind: 'leaf', duck: 'VARIANT' } }
  const { type } = column
  switch (type.kind) {
    case 'leaf':
      return column
    case 'struct':
      return { ...column, type: { kind: 'struct', fields: type.fields.map(asVariants) } }
    case 'list':
      return { ...column, type: { kind: 'list', element: asVariants(type.element) } }
    case 'map':
      return { ...column, type: { kind: 'map', key: asVariants(type.key), value: asVariants(type.value) } }
  }
}

/** Whether a file carries field ids at all. */
export function hasIds(columns: readonly PhysicalColumn[]): boolean {
  return columns.some((column) => column.id !== null || hasIds(childrenOf(column.type)))
}

function childrenOf(type: PhysicalType): readonly PhysicalColumn[] {
  switch (type.kind) {
    case 'leaf':
      return []
    case 'struct':
      return type.fields
    case 'list':
      return [type.element]
    case 'map':
      return [type.key, type.value]
  }
}

/** Gives the columns of a file without ids those of a name mapping (specification, "Column Projection"). */
export function mapNames(columns: readonly PhysicalColumn[], mapping: NameMapping): readonly PhysicalColumn[] {
  return columns.map((column) => mapName(column, column.name, mapping))
}

function mapName(column: PhysicalColumn, name: string, mapping: NameMapping): PhysicalColumn {
  const found = mapping.find((one) => one.names.includes(name))
  const inner = found?.fields ?? []
  return { ...column, id: found?.fieldId ?? null, type: mapInside(column.type, inner) }
}

function mapInside(type: PhysicalType, mapping: NameMapping): PhysicalType {
  switch (type.kind) {
    case 'leaf':
      return type
    case 'struct':
      return { kind: 'struct', fields: mapNames(type.fields, mapping) }
    case 'list':
      return { kind: 'list', element: mapName(type.element, 'element', mapping) }
    case 'map':
      return { kind: 'map', key: mapName(type.key, 'key', mapping), value: mapName(type.value, 'value', mapping) }
  }
}

/**
 * Ids for a file without any in a table without a name mapping: top-level columns count from 1, as the Java reader has it.
 * Nested fields are found by name below the column of that id.
 */
export function numberByPosition(
  columns: readonly PhysicalColumn[],
  fields: readonly Field[],
): readonly PhysicalColumn[] {
  return columns.map((column, i) => {
    const field = fields.find((one) => one.id === i + 1)
    return {
      ...column,
      id: i + 1,
      type: field ? mapInside(column.type, nameMappingOf(fieldsIn(field.type))) : column.type,
    }
  })
}
