import {
  childrenOf,
  type FormatVersion,
  type MappedField,
  type NameMapping,
  type Shape,
  type ShapeField,
} from '../../iceberg/index.ts'
import { canPromote, type Field, isPrimitive, type Type } from '../../schema/index.ts'

/** How a file's columns answer to a table's. */
export interface Fit {
  /** The table's columns that the file has, under the names they have in the file. */
  readonly fields: readonly Field[]
  /** Top-level ids among them. */
  readonly present: ReadonlySet<number>
  /** Columns the table requires and the file may hold null in: fine when one of these leaves has no null. */
  readonly mustBeFull: readonly { readonly column: string; readonly leaves: readonly number[] }[]
  /** The file states field ids, and is read by them. */
  readonly hasIds: boolean
  /** Columns of the file that the table does not have. */
  readonly extra: readonly string[]
  /** Why the file cannot be read as the table's; empty: it can. */
  readonly misfits: readonly string[]
}

export interface FitOptions {
  readonly formatVersion: FormatVersion
  readonly mapping: NameMapping
  /** Top-level columns that folder names tell of: the file may lack them. */
  readonly told: ReadonlySet<number>
  readonly extraColumns: 'refuse' | 'ignore'
}

/**
 * Holds the columns of a Parquet file against those of a table. A file with field ids is read by them by every engine, so
 * they have to say what its names say; one without is read by the name mapping.
 */
export function fitOf(shapes: readonly ShapeField[], fields: readonly Field[], options: FitOptions): Fit {
  const level = new Level(options, statesIds(shapes))
  const kept = level.fit(shapes, fields, options.mapping, '', options.told)
  return {
    fields: kept,
    present: new Set(kept.map((field) => field.id)),
    mustBeFull: level.mustBeFull,
    hasIds: level.byId,
    extra: level.extra,
    misfits: level.misfits,
  }
}

/** Whether a file states a field id anywhere. */
export function statesIds(shapes: readonly ShapeField[]): boolean {
  return shapes.some((one) => one.fieldId !== null || statesIds(insideShape(one.shape)))
}

export function insideShape(shape: Shape): readonly ShapeField[] {
  switch (shape.kind) {
    case 'primitive':
    case 'variant':
      return []
    case 'struct':
      return shape.fields
    case 'list':
      return [shape.element]
    case 'map':
      return [shape.key, shape.value]
  }
}

class Level {
  readonly misfits: string[] = []
  readonly extra: string[] = []
  readonly mustBeFull: { column: string; leaves: readonly number[] }[] = []
  readonly byId: boolean
  private readonly options: FitOptions

  constructor(options: FitOptions, byId: boolean) {
    this.options = options
    this.byId = byId
  }

  fit(
    shapes: readonly ShapeField[],
    fields: readonly Field[],
    mapping: readonly MappedField[],
    above: string,
    told: ReadonlySet<number>,
  ): readonly Field[] {
    const kept: Field[] = []
    for (const shape of shapes) {
      const column = `${above}${shape.name}`
      const named = mapping.find((one) => one.names.includes(shape.name))
      const field = this.byId
        ? this.byItsId(shape, fields, named, column)
        : fields.find((one) => one.id === named?.fieldId)
      if (!field) {
        this.leaveOut(shape, fields, column)
        continue
      }
      if (kept.some((one) => one.id === field.id)) {
        this.misfits.push(`it has two columns that are ${field.name} in the table`)
        continue
      }
      const inner = mapping.find((one) => one.fieldId === field.id)?.fields ?? []
      const type = this.fitType(shape.shape, field.type, inner, column)
      if (type === null) continue
      const one = { ...field, name: shape.name, type }
      kept.push(one)
      if (field.required && !shape.required) this.mustBeFull.push({ column, leaves: leafIds(one) })
    }
    for (const field of fields) {
      const lacks = !kept.some((one) => one.id === field.id) && !told.has(field.id)
      if (
        lacks &&
        field.required &&
        field.initialDefault === undefined &&
        !this.misfits.some((one) => one.startsWith(`${above}${field.name} `))
      )
        this.misfits.push(`it lacks the column ${above}${field.name}, which the table requires`)
    }
    return kept
  }

  private byItsId(
    shape: ShapeField,
    fields: readonly Field[],
    named: MappedField | undefined,
    column: string,
  ): Field | undefined {
    if (shape.fieldId === null) {
      this.misfits.push(`${column} states no field id, though other columns of the file do`)
      return undefined
    }
    const field = fields.find((one) => one.id === shape.fieldId)
    if (named && named.fieldId !== null && named.fieldId !== shape.fieldId) {
      const other = field ? `is ${field.name}` : 'is no column'
      this.misfits.push(`${column} states the field id ${shape.fieldId}, which ${other} in the table`)
      return undefined
    }
    if (field && !named) {
      this.misfits.push(`${column} states the field id ${shape.fieldId}, which is ${field.name} in the table`)
      return undefined
    }
    return field
  }

  private leaveOut(shape: ShapeField, fields: readonly Field[], column: string): void {
    if (this.misfits.some((one) => one.startsWith(`${column} states`))) return
    this.extra.push(column)
    if (this.options.extraColumns === 'ignore') return
    const close = fields.find((one) => one.name.toLowerCase() === shape.name.toLowerCase())
    const hint = close ? ` (which has ${close.name}: names are told by case)` : ''
    this.misfits.push(`it has a column ${column} that the table lacks${hint}`)
  }

  /** The type with the file's names; null: it does not fit, which is said. */
  private fitType(shape: Shape, type: Type, mapping: readonly MappedField[], column: string): Type | null {
    if (shape.kind === 'primitive') {
      if (isPrimitive(type) && isReadable(shape, type, this.options.formatVersion)) return type
      return this.wrong(column, shape.type, type)
    }
    if (shape.kind === 'variant') return type === 'variant' ? type : this.wrong(column, 'variant', type)
    if (isPrimitive(type) || type.type !== shape.kind) return this.wrong(column, shape.kind, type)
    const inside = this.fit(insideShape(shape), childrenOf(type), mapping, `${column}.`, new Set())
    switch (type.type) {
      case 'struct':
        return { ...type, fields: inside }
      case 'list': {
        const [element] = inside
        return element ? { ...type, element: element.type } : null
      }
      case 'map': {
        const [key, value] = inside
        return key && value ? { ...type, key: key.type, value: value.type } : null
      }
    }
  }

  private wrong(column: string, from: string, to: Type): null {
    this.misfits.push(`${column} is ${from} and the table's ${isPrimitive(to) ? to : to.type}`)
    return null
  }
}

/** Whether stored values may be read as the table's: equal, or promoted as the specification allows. */
function isReadable(shape: Extract<Shape, { kind: 'primitive' }>, to: Type, formatVersion: FormatVersion): boolean {
  // Instants of 96 bits say nothing of a zone.
  if (shape.leaf.physical === 'int96') return to === 'timestamp' || to === 'timestamptz'
  return canPromote(shape.type, to, formatVersion)
}

function leafIds(field: Field): readonly number[] {
  return isPrimitive(field.type) ? [field.id] : childrenOf(field.type).flatMap(leafIds)
}
