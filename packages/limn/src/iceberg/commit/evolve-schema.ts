import { LimnError, unreachable } from '../../base/index.ts'
import {
  assignFieldIds,
  type DefaultValue,
  editField,
  editSiblings,
  elementField,
  type Field,
  isPrimitive,
  type Located,
  locateAll,
  locateById,
  type PrimitiveType,
  type Schema,
  sameType,
  siblingsOf,
  type Type,
  valueField,
} from '../../schema/index.ts'
import type { FormatVersion } from '../spec/types.ts'
import {
  type ColumnPath,
  columnOf,
  columnText,
  findColumn,
  invalidChange,
  promoteDefault,
  requireExpressible,
  requirePromotion,
  unsafeChange,
} from './evolve-columns.ts'

/** Where a column stands among the columns of its struct; the other column is named by its last name or full path. */
export type ColumnPosition =
  | { readonly at: 'first' }
  | { readonly at: 'after'; readonly column: ColumnPath }
  | { readonly at: 'before'; readonly column: ColumnPath }

/** One change of a schema. Changes of a list are applied in order, each seeing the ones before. */
export type SchemaChange =
  | {
      readonly kind: 'add-column'
      /** The struct to add to, or a list or map of structs. Default: the table. */
      readonly parent?: ColumnPath
      readonly name: string
      /** Ids in it are dropped: new ones are given. */
      readonly type: Type
      /** Default false. A required column needs a default: rows written before must hold something. */
      readonly required?: boolean
      readonly doc?: string
      /** What earlier rows hold, and later ones that state no value (version 3). */
      readonly default?: DefaultValue
      readonly position?: ColumnPosition
    }
  | { readonly kind: 'drop-column'; readonly column: ColumnPath }
  | { readonly kind: 'rename-column'; readonly column: ColumnPath; readonly to: string }
  | { readonly kind: 'move-column'; readonly column: ColumnPath; readonly position: ColumnPosition }
  | { readonly kind: 'change-type'; readonly column: ColumnPath; readonly type: PrimitiveType }
  | { readonly kind: 'make-optional'; readonly column: ColumnPath }
  /** Refused unless `allowIncompatible`, or the column was added with a default in the same list. */
  | { readonly kind: 'make-required'; readonly column: ColumnPath }
  | { readonly kind: 'set-doc'; readonly column: ColumnPath; readonly doc: string | null }
  /** What later rows get that state no value (version 3); null: nothing. Earlier rows keep theirs. */
  | { readonly kind: 'set-write-default'; readonly column: ColumnPath; readonly value: DefaultValue | null }
  | { readonly kind: 'set-identifier-fields'; readonly columns: readonly ColumnPath[] }
  /** Adds what a schema has more, widens what it has wider, makes optional what it has optional; by names, never drops. */
  | { readonly kind: 'union-by-name'; readonly fields: readonly Field[] }

export interface EvolveSchemaOptions {
  readonly formatVersion: FormatVersion
  /** The table's highest id ever given; new ids count up from it. */
  readonly lastColumnId: number
  /** Whether names in changes must be spelt exactly. Default true. */
  readonly caseSensitive?: boolean
  /** Allows a required column without default, and making a column required, though old rows may hold nulls. */
  readonly allowIncompatible?: boolean
}

export interface EvolvedSchema {
  /** `schemaId` is the old one's: the catalog gives the new one. */
  readonly schema: Schema
  readonly lastColumnId: number
  /** Ids of columns that were dropped, those inside them too. */
  readonly dropped: readonly number[]
}

/**
 * A schema after changes (specification, "Schema Evolution"): data files stay as they are and keep being readable by
 * field id. Throws `schema/unsafe-change` for what would make old rows wrong or unreadable, `schema/invalid-change` for a
 * change that does not fit the schema.
 */
export function evolveSchema(
  schema: Schema,
  changes: readonly SchemaChange[],
  options: EvolveSchemaOptions,
): EvolvedSchema {
  const evolution = new Evolution(schema, options)
  for (const change of changes) evolution.apply(change)
  return evolution.finish(schema)
}

class Evolution {
  private fields: readonly Field[]
  private identifiers: readonly number[]
  private lastColumnId: number
  private readonly dropped: number[] = []
  private readonly added = new Set<number>()
  private readonly options: EvolveSchemaOptions
  private readonly caseSensitive: boolean

  constructor(schema: Schema, options: EvolveSchemaOptions) {
    this.fields = schema.fields
    this.identifiers = schema.identifierFieldIds
    this.lastColumnId = options.lastColumnId
    this.options = options
    this.caseSensitive = options.caseSensitive ?? true
  }

  apply(change: SchemaChange): void {
    switch (change.kind) {
      case 'add-column':
        this.add(change)
        break
      case 'drop-column':
        this.drop(this.column(change.column))
        break
      case 'rename-column':
        this.rename(this.column(change.column), change.to)
        break
      case 'move-column':
        this.move(this.column(change.column), change.position)
        break
      case 'change-type':
        this.changeType(this.column(change.column), change.type)
        break
      case 'make-optional':
        this.makeOptional(this.column(change.column))
        break
      case 'make-required':
        this.makeRequired(this.column(change.column))
        break
      case 'set-doc':
        this.setDoc(this.column(change.column), change.doc)
        break
      case 'set-write-default':
        this.setWriteDefault(this.column(change.column), change.value)
        break
      case 'set-identifier-fields':
        this.identifiers = [...new Set(change.columns.map((one) => this.column(one).field.id))].sort((a, b) => a - b)
        break
      case 'union-by-name':
        this.union(null, change.fields)
        break
      default:
        unreachable(change)
    }
  }

  finish(before: Schema): EvolvedSchema {
    for (const id of this.identifiers) requireIdentifier(this.fields, id)
    if (this.fields.length === 0) throw invalidChange('The table would have no columns')
    const empty = locateAll(this.fields).find(
      ({ field }) => typeof field.type === 'object' && field.type.type === 'struct' && field.type.fields.length === 0,
    )
    if (empty) throw invalidChange(`The struct ${empty.path.join('.')} would have no fields`, 'Drop it whole.')
    return {
      schema: { schemaId: before.schemaId, fields: this.fields, identifierFieldIds: this.identifiers },
      lastColumnId: this.lastColumnId,
      dropped: this.dropped,
    }
  }

  private column(path: ColumnPath): Located {
    return columnOf(this.fields, path, this.caseSensitive)
  }

  private edit(id: number, edit: (field: Field) => Field): void {
    this.fields = editField(this.fields, id, edit)
  }

  private add(change: Extract<SchemaChange, { kind: 'add-column' }>): void {
    const parentId = change.parent === undefined ? null : structOf(this.column(change.parent))
    const shown = change.parent === undefined ? change.name : `${columnText(change.parent)}.${change.name}`
    this.requireFree(parentId, change.name)
    const given = change.default
    if (change.required && given === undefined && !this.options.allowIncompatible)
      throw unsafeChange(
        `The new column ${shown} cannot be required: rows written before hold no value for it`,
        'Add it with a default value (format version 3), or as an optional column.',
      )
    const [field] = this.withIds([
      {
        id: 0,
        name: change.name,
        required: change.required ?? false,
        type: change.type,
        ...(change.doc === undefined ? {} : { doc: change.doc }),
        ...(given === undefined ? {} : { initialDefault: given, writeDefault: given }),
      },
    ])
    if (!field) return
    requireExpressible(field, this.options.formatVersion)
    this.added.add(field.id)
    this.fields = editSiblings(this.fields, parentId, (siblings) => [...siblings, field])
    if (change.position) this.place(field, parentId, change.position)
  }

  /** A name that a struct already has is refused; another case of it too where names are matched without case. */
  private requireFree(structId: number | null, name: string, except?: number): void {
    if (name === '') throw invalidChange('A column needs a name')
    const fold = (text: string) => (this.caseSensitive ? text : text.toLowerCase())
    const taken = siblingsOf(this.fields, structId).find((one) => one.id !== except && fold(one.name) === fold(name))
    if (taken) throw invalidChange(`There is a column ${taken.name} already`, 'Choose another name, or drop it first.')
    // `a.b` beside a struct `a` with a field `b`: every reader that goes by full names would mix them up.
    const within = structId === null ? undefined : locateById(this.fields, structId)
    const full = [...(within?.path ?? []), name].join('.')
    const clash = locateAll(this.fields).find((one) => one.field.id !== except && one.path.join('.') === full)
    if (clash) throw invalidChange(`The name ${full} would mean two columns`, 'Choose another name.')
  }

  private withIds(fields: readonly Field[]): readonly Field[] {
    const assigned = assignFieldIds(fields, this.lastColumnId)
    this.lastColumnId = assigned.lastColumnId
    return assigned.fields
  }

  private drop(column: Located): void {
    requireNamed(column, 'dropped')
    requireOutsideKey(column, 'dropped')
    const inside = locateAll([column.field]).map((one) => one.field.id)
    const identifier = inside.find((id) => this.identifiers.includes(id))
    if (identifier !== undefined)
      throw unsafeChange(
        `${column.path.join('.')} cannot be dropped: it identifies rows`,
        'Set other identifier fields first.',
      )
    this.dropped.push(...inside)
    this.fields = editSiblings(this.fields, parentOf(column), (all) => all.filter((one) => one.id !== column.field.id))
  }

  private rename(column: Located, to: string): void {
    requireNamed(column, 'renamed')
    if (column.field.name === to) return
    this.requireFree(parentOf(column), to, column.field.id)
    this.edit(column.field.id, (field) => ({ ...field, name: to }))
  }

  private move(column: Located, position: ColumnPosition): void {
    requireNamed(column, 'moved')
    this.place(column.field, parentOf(column), position)
  }

  private place(field: Field, structId: number | null, position: ColumnPosition): void {
    const siblings = siblingsOf(this.fields, structId)
    const moving = siblings.find((one) => one.id === field.id) ?? field
    const rest = siblings.filter((one) => one.id !== field.id)
    let at = 0
    if (position.at !== 'first') {
      const name = position.column
      const fold = (text: string) => (this.caseSensitive ? text : text.toLowerCase())
      const byName = siblings.find((one) => fold(one.name) === fold(columnText(name)))
      const other = byName ?? findColumn(this.fields, name, this.caseSensitive)?.field
      if (other?.id === field.id) throw invalidChange(`${field.name} cannot stand ${position.at} itself`)
      const index = rest.findIndex((one) => one.id === other?.id)
      if (index < 0)
        throw invalidChange(
          `${field.name} cannot stand ${position.at} ${columnText(name)}, which is not in the same struct`,
          `Beside it are: ${rest.map((one) => one.name).join(', ')}.`,
        )
      at = position.at === 'after' ? index + 1 : index
    }
    this.fields = editSiblings(this.fields, structId, () => rest.toSpliced(at, 0, moving))
  }

  private changeType(column: Located, to: PrimitiveType): void {
    const { field } = column
    if (field.type === to) return
    requireOutsideKey(column, 'of another type')
    requirePromotion(column.path.join('.'), field.type, to, this.options.formatVersion)
    const promoted = (name: 'initialDefault' | 'writeDefault') =>
      field[name] === undefined ? {} : { [name]: promoteDefault(field[name], field.type, to) }
    const next = { type: to, ...promoted('initialDefault'), ...promoted('writeDefault') }
    requireExpressible({ ...field, ...next }, this.options.formatVersion)
    this.edit(field.id, (now) => ({ ...now, ...next }))
  }

  private makeOptional(column: Located): void {
    if (!column.field.required) return
    requireOutsideKey(column, 'optional')
    if (column.role === 'key') throw unsafeChange(`${column.path.join('.')} is a map's key`, 'Keys are never null.')
    this.edit(column.field.id, (field) => ({ ...field, required: false }))
  }

  private makeRequired(column: Located): void {
    const { field } = column
    if (field.required) return
    const filled = this.added.has(field.id) && field.initialDefault !== undefined
    if (!filled && !this.options.allowIncompatible)
      throw unsafeChange(
        `${column.path.join('.')} cannot become required: rows written before may hold nulls`,
        'Make sure that no row holds one, then allow the incompatible change.',
      )
    if (field.type === 'unknown') throw invalidChange(`${column.path.join('.')} has no type yet and holds only nulls`)
    this.edit(field.id, (one) => ({ ...one, required: true }))
  }

  private setDoc(column: Located, doc: string | null): void {
    requireNamed(column, 'documented')
    this.edit(column.field.id, ({ doc: _old, ...field }) => (doc === null ? field : { ...field, doc }))
  }

  private setWriteDefault(column: Located, value: DefaultValue | null): void {
    requireNamed(column, 'given a default')
    if (value === null && column.field.required && column.field.initialDefault !== undefined)
      throw unsafeChange(
        `${column.path.join('.')} is required and cannot default to null`,
        'Set another default, or make the column optional first.',
      )
    this.edit(column.field.id, ({ writeDefault: _old, ...field }) =>
      value === null ? field : { ...field, writeDefault: value },
    )
    requireExpressible(locateById(this.fields, column.field.id)?.field ?? column.field, this.options.formatVersion)
  }

  private union(structId: number | null, wanted: readonly Field[]): void {
    const fold = (text: string) => (this.caseSensitive ? text : text.toLowerCase())
    for (const field of wanted) {
      const known = siblingsOf(this.fields, structId).find((one) => fold(one.name) === fold(field.name))
      if (known) this.unionField(known.id, field)
      else {
        // What a union adds is optional: rows written before have none of it.
        const [made] = this.withIds([{ ...field, required: false }])
        if (!made) continue
        requireExpressible(made, this.options.formatVersion)
        this.fields = editSiblings(this.fields, structId, (siblings) => [...siblings, made])
      }
    }
  }

  private unionField(id: number, wanted: Field): void {
    const known = locateById(this.fields, id)
    if (!known) return
    if (known.field.required && !wanted.required && known.role !== 'key') this.makeOptional(known)
    if (known.role === 'column' && wanted.doc !== undefined && wanted.doc !== known.field.doc)
      this.setDoc(known, wanted.doc)
    const have = known.field.type
    const want = wanted.type
    if (isPrimitive(have) && isPrimitive(want)) {
      if (!wider(have, want, this.options.formatVersion)) this.changeType(known, want)
    } else if (isPrimitive(have) || isPrimitive(want)) {
      throw differs(known, want)
    } else if (have.type === 'struct' && want.type === 'struct') {
      this.union(id, want.fields)
    } else if (have.type === 'list' && want.type === 'list') {
      this.unionField(have.elementId, elementField(want))
    } else if (have.type === 'map' && want.type === 'map') {
      if (!sameShape(have.key, want.key)) throw unsafeChange(`The keys of ${known.path.join('.')} differ`, keyRemedy)
      this.unionField(have.valueId, valueField(want))
    } else {
      throw differs(known, want)
    }
  }
}

function differs(known: Located, want: Type): LimnError {
  const shown = (type: Type) => (typeof type === 'string' ? type : type.type)
  return unsafeChange(
    `${known.path.join('.')} is ${shown(known.field.type)} and cannot become ${shown(want)}`,
    'Give one of the two another name.',
  )
}

const keyRemedy = 'A map is found again by its keys: make a new column.'

/** Whether a column may keep its type when values of `want` are written to it. */
function wider(have: PrimitiveType, want: PrimitiveType, formatVersion: FormatVersion): boolean {
  try {
    requirePromotion('', want, have, formatVersion)
    return true
  } catch (error) {
    if (error instanceof LimnError && error.kind === 'schema/unsafe-change') return false
    throw error
  }
}

function sameShape(a: Type, b: Type): boolean {
  const bare = (type: Type) => assignFieldIds([{ id: 0, name: 'key', required: true, type }]).fields[0]?.type ?? type
  return sameType(bare(a), bare(b))
}

/** The struct a new column goes into: the column's own, or that of its elements or values. */
function structOf(column: Located): number {
  let { field } = column
  for (;;) {
    if (typeof field.type === 'string')
      throw invalidChange(`${column.path.join('.')} is ${field.type} and holds no columns`)
    switch (field.type.type) {
      case 'struct':
        requireOutsideKey({ ...column, field }, 'extended')
        if (column.role === 'key') throw unsafeChange(`${column.path.join('.')} is a map's key`, keyRemedy)
        return field.id
      case 'list':
        field = { id: field.type.elementId, name: 'element', required: true, type: field.type.element }
        break
      case 'map':
        field = { id: field.type.valueId, name: 'value', required: true, type: field.type.value }
    }
  }
}

/** The id of the field whose struct a column stands in; null at the top. */
function parentOf(column: Located): number | null {
  return column.ancestors.at(-1)?.field.id ?? null
}

function requireNamed(column: Located, what: string): void {
  if (column.role === 'column') return
  const role = column.role === 'element' ? "a list's element" : `a map's ${column.role}`
  throw invalidChange(`${column.path.join('.')} is ${role} and cannot be ${what}`)
}

/** What lies in a map's key never changes: equal keys would no longer be found equal. */
function requireOutsideKey(column: Located, what: string): void {
  if (column.role !== 'key' && column.ancestors.every((one) => one.role !== 'key')) return
  throw unsafeChange(`${column.path.join('.')} lies in a map's key and cannot be ${what}`, keyRemedy)
}

/** Specification, "Identifier Field IDs". */
function requireIdentifier(fields: readonly Field[], id: number): void {
  const found = locateById(fields, id)
  const name = found?.path.join('.') ?? `field ${id}`
  const cannot = (why: string) =>
    invalidChange(
      `${name} cannot identify rows: ${why}`,
      'Name required columns of single values, such as ids and dates.',
    )
  if (!found) throw cannot('it is not in the schema')
  const { type, required } = found.field
  if (!isPrimitive(type)) throw cannot(`it is a ${type.type}`)
  if (type === 'float' || type === 'double' || type === 'variant' || type === 'unknown')
    throw cannot(`values of type ${type} are not compared for equality`)
  if (!required) throw cannot('it is optional')
  for (const outer of found.ancestors) {
    const kind = typeof outer.field.type === 'string' ? outer.field.type : outer.field.type.type
    if (kind !== 'struct') throw cannot(`it lies in the ${kind} ${outer.path.join('.')}`)
    if (!outer.field.required) throw cannot(`it lies in ${outer.path.join('.')}, which is optional`)
  }
}
