import { LimnError } from '../../base/index.ts'
import type { Shape, ShapeField } from '../../iceberg/index.ts'
import {
  assignFieldIds,
  canPromote,
  type Field,
  isPrimitive,
  type PrimitiveType,
  type Type,
} from '../../schema/index.ts'
import { statesIds } from './file-fit.ts'

/**
 * The columns of many files as one schema: every column of any file, by name, in the order first met; types widened where
 * values can be read so without loss. Columns are optional, as files may lack them.
 */
export class UnionSchema {
  private fields: readonly Field[] = []
  private ids: boolean | null = null
  private first = ''

  /** Throws `source/schema`, naming both files, when a column cannot be of one type, or field ids disagree. */
  add(shapes: readonly ShapeField[], path: string): void {
    const ids = shapes.length > 0 && statesIds(shapes)
    if (this.ids !== null && this.ids !== ids)
      throw clash(this.first, path, 'one states field ids and the other does not', 'Take only files of one writer.')
    if (this.ids === null) this.first = path
    this.ids = ids
    this.fields = this.union(this.fields, shapes, path, '')
  }

  /** With the ids of the files where they state them, else counted up from 1; `more` come last. */
  finished(more: readonly (readonly [name: string, type: PrimitiveType])[]): readonly Field[] {
    const extra = more.map(([name, type]): Field => ({ id: 0, name, required: false, type }))
    if (this.ids !== true) return assignFieldIds([...this.fields, ...extra]).fields
    let last = Math.max(0, ...idsIn(this.fields))
    return [...this.fields, ...extra.map((field) => ({ ...field, id: ++last }))]
  }

  private union(
    fields: readonly Field[],
    shapes: readonly ShapeField[],
    path: string,
    above: string,
  ): readonly Field[] {
    const out = [...fields]
    for (const shape of shapes) {
      const column = `${above}${shape.name}`
      const id = shape.fieldId ?? 0
      if (this.ids && id === 0)
        throw clash(path, path, `${column} states no field id, though others do`, 'Write the file again.')
      const at = out.findIndex((one) => one.name === shape.name)
      const known = out[at]
      if (out.some((one) => one !== known && this.ids && one.id === id) || (known && known.id !== id))
        throw clash(this.first, path, `they give ${column} other field ids`, 'Take only files of one writer.')
      const type = this.typeOf(known?.type, shape.shape, path, column)
      const field: Field = { id, name: shape.name, required: false, type }
      if (known) out[at] = field
      else out.push(field)
    }
    return out
  }

  private typeOf(known: Type | undefined, shape: Shape, path: string, column: string): Type {
    const inner = (field: Field | undefined, one: ShapeField) => {
      const [merged] = this.union(field ? [field] : [], [one], path, `${column}.`)
      return merged ?? { id: 0, name: one.name, required: false, type: 'unknown' as const }
    }
    switch (shape.kind) {
      case 'primitive':
        return this.wider(known, shape.type, path, column)
      case 'variant':
        return this.wider(known, 'variant', path, column)
      case 'struct': {
        const before = this.nested(known, 'struct', path, column)
        return { type: 'struct', fields: this.union(before?.fields ?? [], shape.fields, path, `${column}.`) }
      }
      case 'list': {
        const before = this.nested(known, 'list', path, column)
        const element = inner(
          before && { id: before.elementId, name: 'element', required: false, type: before.element },
          shape.element,
        )
        return { type: 'list', elementId: element.id, elementRequired: false, element: element.type }
      }
      case 'map': {
        const before = this.nested(known, 'map', path, column)
        const key = inner(before && { id: before.keyId, name: 'key', required: true, type: before.key }, shape.key)
        const value = inner(
          before && { id: before.valueId, name: 'value', required: false, type: before.value },
          shape.value,
        )
        return { type: 'map', keyId: key.id, key: key.type, valueId: value.id, valueRequired: false, value: value.type }
      }
    }
  }

  private nested<K extends 'struct' | 'list' | 'map'>(
    known: Type | undefined,
    kind: K,
    path: string,
    column: string,
  ): Extract<Type, { readonly type: K }> | undefined {
    if (known === undefined || known === 'unknown') return undefined
    if (!isPrimitive(known) && known.type === kind) return known as Extract<Type, { readonly type: K }>
    throw this.otherType(known, kind, path, column)
  }

  private wider(known: Type | undefined, type: PrimitiveType, path: string, column: string): PrimitiveType {
    if (known === undefined || known === 'unknown') return type
    if (type === 'unknown' && isPrimitive(known)) return known
    if (isPrimitive(known)) {
      if (canPromote(type, known)) return known
      if (canPromote(known, type)) return type
    }
    throw this.otherType(known, type, path, column)
  }

  private otherType(known: Type, type: string, path: string, column: string): LimnError {
    const before = isPrimitive(known) ? known : known.type
    return clash(this.first, path, `${column} is ${before} in files before and ${type} in it`, 'Adopt them apart.')
  }
}

function idsIn(fields: readonly Field[]): readonly number[] {
  return fields.flatMap(({ id, type }) => [id, ...idsOfType(type)])
}

function idsOfType(type: Type): readonly number[] {
  if (isPrimitive(type)) return []
  switch (type.type) {
    case 'struct':
      return idsIn(type.fields)
    case 'list':
      return [type.elementId, ...idsOfType(type.element)]
    case 'map':
      return [type.keyId, ...idsOfType(type.key), type.valueId, ...idsOfType(type.value)]
  }
}

function clash(first: string, path: string, why: string, remedy: string): LimnError {
  return new LimnError('source/schema', {
    message: `${path} does not go together with ${first === path ? 'itself' : first}: ${why}.`,
    notDone: 'No table was made.',
    remedy,
    context: { path },
  })
}
