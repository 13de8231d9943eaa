import { LimnError } from '../../base/index.ts'
import type { ParquetField, ParquetFooter, ParquetGroup, ParquetLeaf } from '../../encoding/index.ts'
import { assignFieldIds, type Field, type PrimitiveType, type Schema, type Type } from '../../schema/index.ts'

/**
 * A Parquet file's columns as Iceberg sees them (specification, "Parquet" in appendix A; lists and maps by the
 * compatibility rules of parquet-format's LogicalTypes): levels that only encode repetition are gone.
 */
export interface ShapeField {
  /** `element`, `key` and `value` inside lists and maps. */
  readonly name: string
  /** The field id in the file; null where its writer knew none. */
  readonly fieldId: number | null
  readonly required: boolean
  readonly shape: Shape
}
export type Shape =
  | { readonly kind: 'primitive'; readonly type: PrimitiveType; readonly leaf: ParquetLeaf }
  | { readonly kind: 'variant'; readonly leaves: readonly ParquetLeaf[] }
  | { readonly kind: 'struct'; readonly fields: readonly ShapeField[] }
  | { readonly kind: 'list'; readonly element: ShapeField }
  | { readonly kind: 'map'; readonly key: ShapeField; readonly value: ShapeField }

/** Throws `iceberg/unsupported`, naming the column, for a type that Iceberg does not have. */
export function shapeOf(footer: Pick<ParquetFooter, 'fields'>): readonly ShapeField[] {
  return footer.fields.map((field) => shapeField(field, []))
}

/** Whether every column of the file says which field it is. */
export function hasFieldIds(fields: readonly ShapeField[]): boolean {
  return fields.every((field) => field.fieldId !== null && within(field.shape))
}

function within(shape: Shape): boolean {
  switch (shape.kind) {
    case 'primitive':
    case 'variant':
      return true
    case 'struct':
      return hasFieldIds(shape.fields)
    case 'list':
      return hasFieldIds([shape.element])
    case 'map':
      return hasFieldIds([shape.key, shape.value])
  }
}

/**
 * The file's schema: with the field ids that stand in it (`file`; throws `iceberg/invalid-metadata` when one is missing),
 * or with ids counted up from 1 (`fresh`). A column that is required in the file is required here.
 */
export function schemaOfParquet(
  footer: Pick<ParquetFooter, 'fields'>,
  options: { readonly ids: 'file' | 'fresh'; readonly schemaId?: number },
): Schema {
  const shape = shapeOf(footer)
  if (options.ids === 'file' && !hasFieldIds(shape)) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: 'A Parquet file states no field ids.',
      notDone: 'No schema was made from it.',
    })
  }
  const fields = shape.map(fieldOf)
  return {
    schemaId: options.schemaId ?? 0,
    fields: options.ids === 'file' ? fields : assignFieldIds(fields).fields,
    identifierFieldIds: [],
  }
}

function fieldOf(field: ShapeField): Field {
  return { id: field.fieldId ?? 0, name: field.name, required: field.required, type: typeOf(field.shape) }
}

function typeOf(shape: Shape): Type {
  switch (shape.kind) {
    case 'primitive':
      return shape.type
    case 'variant':
      return 'variant'
    case 'struct':
      return { type: 'struct', fields: shape.fields.map(fieldOf) }
    case 'list': {
      const { fieldId, required, shape: element } = shape.element
      return { type: 'list', elementId: fieldId ?? 0, elementRequired: required, element: typeOf(element) }
    }
    case 'map': {
      const { key, value } = shape
      return {
        type: 'map',
        keyId: key.fieldId ?? 0,
        key: typeOf(key.shape),
        valueId: value.fieldId ?? 0,
        valueRequired: value.required,
        value: typeOf(value.shape),
      }
    }
  }
}

function shapeField(field: ParquetField, above: readonly string[]): ShapeField {
  const path = [...above, field.name]
  const plain = { name: field.name, fieldId: field.fieldId, required: field.repetition === 'required' }
  // A repeated field outside a list annotation is a list of its own.
  if (field.repetition === 'repeated') {
    const element = { name: 'element', fieldId: null, required: true, shape: shape(field, path) }
    return { ...plain, required: true, shape: { kind: 'list', element } }
  }
  return { ...plain, shape: shape(field, path) }
}

function shape(field: ParquetField, path: readonly string[]): Shape {
  if (field.kind === 'leaf') return { kind: 'primitive', type: primitive(field, path), leaf: field }
  switch (field.logical?.kind) {
    case 'list':
      return { kind: 'list', element: element(field, path) }
    case 'map':
      return map(field, path)
    case 'variant':
      return { kind: 'variant', leaves: leavesOf(field) }
    default:
      return { kind: 'struct', fields: field.children.map((child) => shapeField(child, path)) }
  }
}

function leavesOf(field: ParquetField): readonly ParquetLeaf[] {
  return field.kind === 'leaf' ? [field] : field.children.flatMap(leavesOf)
}

function element(list: ParquetGroup, path: readonly string[]): ShapeField {
  const [middle, ...more] = list.children
  if (!middle || more.length > 0 || middle.repetition !== 'repeated')
    throw refused(path, 'is a list without its repeated level')
  const only = middle.kind === 'group' && middle.children.length === 1 ? middle.children[0] : undefined
  // Two-level lists of older writers: the repeated level is the element itself.
  if (!only || only.repetition === 'repeated' || middle.name === 'array' || middle.name === `${list.name}_tuple`)
    return { name: 'element', fieldId: middle.fieldId, required: true, shape: shape(middle, path) }
  return { ...shapeField(only, path), name: 'element' }
}

function map(group: ParquetGroup, path: readonly string[]): Shape {
  const [pair, ...more] = group.children
  if (!pair || more.length > 0 || pair.kind !== 'group' || pair.repetition !== 'repeated')
    throw refused(path, 'is a map without its repeated level')
  const [key, value] = pair.children
  if (!key || !value || pair.children.length !== 2) throw refused(path, 'is a map without keys and values')
  return {
    kind: 'map',
    key: { ...shapeField(key, path), name: 'key', required: true },
    value: { ...shapeField(value, path), name: 'value' },
  }
}

function primitive(leaf: ParquetLeaf, path: readonly string[]): PrimitiveType {
  const { physical, logical, length } = leaf
  switch (logical?.kind) {
    case 'decimal':
      if (logical.precision > 38) throw refused(path, `is a decimal of ${logical.precision} digits`)
      return `decimal(${logical.precision},${logical.scale})`
    case 'date':
      return 'date'
    case 'time':
      if (logical.unit === 'nanos') throw refused(path, 'is a time of nanoseconds')
      return 'time'
    case 'timestamp': {
      const zone = logical.utc ? 'timestamptz' : 'timestamp'
      return logical.unit === 'nanos' ? `${zone}_ns` : zone
    }
    case 'integer':
      if (!logical.signed && logical.bits === 64) throw refused(path, 'is an unsigned integer of 64 bits')
      return logical.bits === 64 || (logical.bits === 32 && !logical.signed) ? 'long' : 'int'
    case 'string':
    case 'enum':
    case 'json':
      return 'string'
    case 'uuid':
      return 'uuid'
    case 'null':
      return 'unknown'
    case 'float16':
    case 'interval':
    case 'geometry':
    case 'geography':
      throw refused(path, `is of the type ${logical.kind}`)
    default:
      break
  }
  switch (physical) {
    case 'boolean':
    case 'float':
    case 'double':
      return physical
    case 'int32':
      return 'int'
    case 'int64':
      return 'long'
    // Hive and Spark keep instants so.
    case 'int96':
      return 'timestamptz'
    case 'byte-array':
      return 'binary'
    case 'fixed-len-byte-array':
      return `fixed[${length ?? 0}]`
  }
}

function refused(path: readonly string[], why: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `The column ${path.join('.')} of a Parquet file ${why}, which limn has no Iceberg type for.`,
    notDone: 'No schema was made from it.',
    remedy: 'Write the file again with a type that Iceberg has.',
  })
}
