import { unreachable } from '../../base/index.ts'
import { decimalOf, fixedLengthOf, locateAll, locateById, type Schema, type Type } from '../../schema/index.ts'
import { transformToText } from '../spec/transforms.ts'
import type { FormatVersion, PartitionField, PartitionSpec, SortField, Transform } from '../spec/types.ts'
import { type ColumnPath, columnOf, invalidChange, unsafeChange } from './evolve-columns.ts'

/** A field of the current spec: by its name, or by what it is made from. */
export type PartitionFieldName =
  | { readonly name: string }
  | { readonly column: ColumnPath; readonly transform: Transform }

/** One change of how a table is partitioned. Files already written keep the spec they were written with. */
export type SpecChange =
  | {
      readonly kind: 'add-partition-field'
      readonly column: ColumnPath
      readonly transform: Transform
      /** Default: the column's name and the transform's, for example `at_day`, `id_bucket_16`, `name_trunc_4`. */
      readonly name?: string
    }
  | { readonly kind: 'remove-partition-field'; readonly field: PartitionFieldName }
  | { readonly kind: 'rename-partition-field'; readonly name: string; readonly to: string }
  | {
      readonly kind: 'replace-partition-field'
      readonly field: PartitionFieldName
      readonly column: ColumnPath
      readonly transform: Transform
      readonly name?: string
    }

export interface EvolveSpecOptions {
  readonly formatVersion: FormatVersion
  readonly schema: Schema
  /** Every spec the table has had: an equal field gets the id it had. */
  readonly specs: readonly PartitionSpec[]
  /** The highest field id ever given, at least 999. */
  readonly lastPartitionId: number
  readonly caseSensitive?: boolean
}

/**
 * A partition spec after changes (specification, "Partition Evolution"). In version 1 a removed field stays, as void, in
 * its place; later versions drop it. Throws `schema/invalid-change`.
 */
export function evolveSpec(
  spec: PartitionSpec,
  changes: readonly SpecChange[],
  options: EvolveSpecOptions,
): PartitionSpec {
  let fields: readonly PartitionField[] = spec.fields
  let last = Math.max(999, options.lastPartitionId)
  const addedIds = new Set<number>()
  const keepVoid = options.formatVersion === 1
  const sourceOf = (column: ColumnPath) => columnOf(options.schema.fields, column, options.caseSensitive ?? true)
  const find = (wanted: PartitionFieldName): PartitionField => {
    const found =
      'name' in wanted
        ? fields.find((one) => one.name === wanted.name && !(keepVoid && one.transform.kind === 'void'))
        : fields.find(
            (one) =>
              one.sourceId === sourceOf(wanted.column).field.id && sameTransform(one.transform, wanted.transform),
          )
    if (found) return found
    const shown = 'name' in wanted ? wanted.name : transformedText(wanted.column, wanted.transform)
    throw invalidChange(
      `The table is not partitioned by ${shown}`,
      fields.length === 0
        ? 'It is not partitioned.'
        : `Its partition fields are: ${fields.map((one) => one.name).join(', ')}.`,
    )
  }
  const remove = (field: PartitionField) => {
    fields = keepVoid
      ? fields.map((one) => (one === field ? { ...one, transform: { kind: 'void' } } : one))
      : fields.filter((one) => one !== field)
  }
  const add = (column: ColumnPath, transform: Transform, given: string | undefined) => {
    const source = sourceOf(column)
    const sourceId = source.field.id
    requireTransform(options.schema, sourceId, transform)
    const name = given ?? defaultName(source.path.join('.'), transform)
    const twin = fields.find((one) => one.sourceId === sourceId && sameTransform(one.transform, transform))
    if (twin && transform.kind !== 'void')
      throw invalidChange(
        `The table is partitioned by ${transformedText(column, transform)} already, as ${twin.name}`,
        'Nothing has to be done; to change how, replace the partition field.',
      )
    if (isTime(transform)) {
      const coarse = fields.find(
        (one) => addedIds.has(one.fieldId) && one.sourceId === sourceId && isTime(one.transform),
      )
      if (coarse)
        throw invalidChange(
          `${name} is redundant: ${coarse.name} takes the time from the same column`,
          'Keep the finer of the two.',
        )
    }
    const namesake = fields.find((one) => one.name === name)
    if (namesake) {
      if (!keepVoid || namesake.transform.kind !== 'void')
        throw invalidChange(`The table has a partition field ${name} already`, 'Give the new one another name.')
      // What was removed gives its name back.
      fields = fields.map((one) => (one === namesake ? { ...one, name: `${one.name}_${one.fieldId}` } : one))
    }
    requireNameFree(options.schema, name, transform, sourceId)
    const earlier = options.specs
      .flatMap((one) => one.fields)
      .find((one) => one.sourceId === sourceId && sameTransform(one.transform, transform))
    const reuse = earlier && !keepVoid && fields.every((one) => one.fieldId !== earlier.fieldId)
    const fieldId = reuse ? earlier.fieldId : ++last
    addedIds.add(fieldId)
    const oldName = reuse && given === undefined && fields.every((one) => one.name !== earlier.name)
    fields = [...fields, { sourceId, fieldId, name: oldName ? earlier.name : name, transform }]
  }
  for (const change of changes) {
    switch (change.kind) {
      case 'add-partition-field':
        add(change.column, change.transform, change.name)
        break
      case 'remove-partition-field':
        remove(find(change.field))
        break
      case 'rename-partition-field': {
        const field = find({ name: change.name })
        if (change.to === field.name) break
        if (fields.some((one) => one.name === change.to))
          throw invalidChange(`The table has a partition field ${change.to} already`)
        requireNameFree(options.schema, change.to, field.transform, field.sourceId)
        fields = fields.map((one) => (one === field ? { ...one, name: change.to } : one))
        break
      }
      case 'replace-partition-field': {
        const field = find(change.field)
        remove(field)
        add(change.column, change.transform, change.name)
        break
      }
      default:
        unreachable(change)
    }
  }
  return { specId: spec.specId, fields }
}

/** A spec from scratch, its fields numbered from 1000. Throws as `evolveSpec` does. */
export function newSpec(
  schema: Schema,
  fields: readonly { readonly column: ColumnPath; readonly transform: Transform; readonly name?: string }[],
  options: { readonly formatVersion?: FormatVersion; readonly caseSensitive?: boolean } = {},
): PartitionSpec {
  return evolveSpec(
    { specId: 0, fields: [] },
    fields.map((field) => ({ kind: 'add-partition-field', ...field })),
    { schema, specs: [], lastPartitionId: 999, formatVersion: options.formatVersion ?? 2, ...options },
  )
}

function sameTransform(a: Transform, b: Transform): boolean {
  return transformToText(a) === transformToText(b)
}

function isTime(transform: Transform): boolean {
  return ['year', 'month', 'day', 'hour'].includes(transform.kind)
}

function transformedText(column: ColumnPath, transform: Transform): string {
  const name = typeof column === 'string' ? column : column.join('.')
  return transform.kind === 'identity' ? name : `${transformToText(transform)} of ${name}`
}

function defaultName(column: string, transform: Transform): string {
  switch (transform.kind) {
    case 'identity':
      return column
    case 'bucket':
      return `${column}_bucket_${transform.count}`
    case 'truncate':
      return `${column}_trunc_${transform.width}`
    case 'void':
      return `${column}_null`
    case 'unknown':
      return `${column}_${transform.text}`
    default:
      return `${column}_${transform.kind}`
  }
}

/** A partition field may be named as a column only when it is that column, unchanged or void. */
function requireNameFree(schema: Schema, name: string, transform: Transform, sourceId: number): void {
  const column = locateAll(schema.fields).find((one) => one.path.join('.') === name)
  if (!column) return
  if (column.field.id === sourceId && (transform.kind === 'identity' || transform.kind === 'void')) return
  throw invalidChange(`The partition field ${name} would have the name of a column`, 'Give it another name.')
}

const singleValue = 'Name a column, or a field of a struct, that has one value per row.'
const takenBy =
  'Years, months and days are of dates and timestamps, hours of timestamps; truncate is of int, long, decimal, string and binary.'

/** Throws `schema/invalid-change` unless a transform is one limn writes and takes the column of an id. */
export function requireTransform(schema: Schema, sourceId: number, transform: Transform): void {
  const source = locateById(schema.fields, sourceId)
  if (!source) throw invalidChange(`There is no column with id ${sourceId}`)
  const name = source.path.join('.')
  const outer = [...source.ancestors, source].find((one) => one.role !== 'column')
  if (outer) throw invalidChange(`${name} lies in a list or map: it has no one value per row`, singleValue)
  const { type } = source.field
  if (typeof type !== 'string') throw invalidChange(`${name} is a ${type.type}, not a single value`, singleValue)
  if (!takes(transform, type))
    throw invalidChange(`${transformToText(transform)} does not take a ${type} (${name})`, takenBy)
  if (transform.kind === 'bucket' && transform.count < 1) throw invalidChange('A bucket transform needs a bucket')
  if (transform.kind === 'truncate' && transform.width < 1) throw invalidChange('A width is at least 1')
}

/** Specification, "Partition Transforms". */
function takes(transform: Transform, type: Type): boolean {
  const isTimestamp = String(type).startsWith('timestamp')
  switch (transform.kind) {
    case 'void':
      return true
    case 'identity':
      return type !== 'variant' && type !== 'unknown'
    case 'bucket':
      if (decimalOf(type) || fixedLengthOf(type) !== null || isTimestamp) return true
      return ['int', 'long', 'date', 'time', 'string', 'uuid', 'binary'].includes(String(type))
    case 'truncate':
      return decimalOf(type) !== null || ['int', 'long', 'string', 'binary'].includes(String(type))
    case 'year':
    case 'month':
    case 'day':
      return type === 'date' || isTimestamp
    case 'hour':
      return isTimestamp
    case 'unknown':
      return false
  }
}

export interface SortFieldChange {
  readonly column: ColumnPath
  /** Default identity. */
  readonly transform?: Transform
  /** Default ascending. */
  readonly direction?: 'asc' | 'desc'
  /** Default: first when ascending, last when descending. */
  readonly nullOrder?: 'nulls-first' | 'nulls-last'
}

/** Sort fields of a table; throws `schema/invalid-change` for a column that is missing or cannot be ordered. */
export function sortFieldsOf(
  schema: Schema,
  fields: readonly SortFieldChange[],
  caseSensitive = true,
): readonly SortField[] {
  return fields.map((field) => {
    const source = columnOf(schema.fields, field.column, caseSensitive)
    const transform = field.transform ?? { kind: 'identity' }
    requireTransform(schema, source.field.id, transform)
    const direction = field.direction ?? 'asc'
    return {
      sourceId: source.field.id,
      transform,
      direction,
      nullOrder: field.nullOrder ?? (direction === 'asc' ? 'nulls-first' : 'nulls-last'),
    }
  })
}

/**
 * Throws `schema/unsafe-change` when a schema no longer fits how the table is laid out: the current spec or order names a
 * dropped column, a partition field would have a column's name, or a promotion changes what a transform gives.
 */
export function requireLayoutFits(
  before: Schema,
  after: Schema,
  layout: {
    readonly spec: PartitionSpec
    readonly specs: readonly PartitionSpec[]
    readonly sortFields: readonly SortField[]
  },
): void {
  const nameOf = (id: number) => locateById(before.fields, id)?.path.join('.') ?? `column ${id}`
  for (const field of layout.spec.fields) {
    if (field.transform.kind === 'void') continue
    if (!locateById(after.fields, field.sourceId))
      throw unsafeChange(
        `${nameOf(field.sourceId)} cannot be dropped: the table is partitioned by it (${field.name})`,
        'Remove the partition field first.',
      )
    requireNameStaysFree(before, after, field)
  }
  for (const field of layout.sortFields) {
    if (!locateById(after.fields, field.sourceId))
      throw unsafeChange(
        `${nameOf(field.sourceId)} cannot be dropped: the table is sorted by it`,
        'Set another sort order first.',
      )
  }
  for (const field of layout.specs.flatMap((one) => one.fields)) {
    const was = locateById(before.fields, field.sourceId)?.field.type
    const now = locateById(after.fields, field.sourceId)?.field.type
    const changes =
      was === 'date' &&
      now !== undefined &&
      now !== 'date' &&
      !['void', 'year', 'month', 'day'].includes(field.transform.kind)
    if (changes)
      throw unsafeChange(
        `${nameOf(field.sourceId)} cannot become ${String(now)}: ${transformToText(field.transform)} of it, by which files are partitioned (${field.name}), would give other values`,
        'Add a column of the new type instead.',
      )
  }
}

function requireNameStaysFree(before: Schema, after: Schema, field: PartitionField): void {
  const had = locateAll(before.fields).some((one) => one.path.join('.') === field.name)
  if (!had) requireNameFree(after, field.name, field.transform, field.sourceId)
}
