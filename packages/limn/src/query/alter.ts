import { LimnError, unreachable } from '../base/index.ts'
import {
  columnOf,
  currentSchema,
  findColumn,
  type LoadedTable,
  type SortFieldChange,
  specById,
  type TableChange,
} from '../iceberg/index.ts'
import { type DefaultValue, locateById, type Type } from '../schema/index.ts'
import type { AddedColumn, AlterAction, ColumnChange, ColumnPlace, Path, SqlText, Term } from '../sql/index.ts'
import { transformOf } from './transforms.ts'
import { typeOf, typeText } from './types.ts'

/** Works out the value of a default for a type. */
export type EvaluateDefault = (value: SqlText, type: Type) => Promise<DefaultValue | null>

/** Actions that change a table's metadata and nothing else. */
export type ShapeAction = Exclude<AlterAction, { kind: 'rename' | 'createRef' | 'dropRef' }>

/** What an ALTER TABLE asks of a table as it stands. */
export async function changesOf(
  action: ShapeAction,
  loaded: LoadedTable,
  evaluate: EvaluateDefault,
): Promise<readonly TableChange[]> {
  switch (action.kind) {
    case 'addColumns': {
      const changes: TableChange[] = []
      for (const column of action.columns) changes.push(await addedOf(column, evaluate))
      return changes
    }
    case 'renameColumn':
      return [{ kind: 'rename-column', column: action.column.parts, to: action.to.text }]
    case 'alterColumn':
      return [await columnChangeOf(action.column.parts, action.change, loaded, evaluate)]
    case 'dropColumns':
      return action.columns
        .filter((column) => !action.ifExists || hasColumn(loaded, column.parts))
        .map((column) => ({ kind: 'drop-column', column: column.parts }))
    case 'setProperties':
      return propertyChanges(action.properties)
    case 'unsetProperties': {
      const missing = action.keys.find((key) => !Object.hasOwn(loaded.metadata.properties, key))
      if (missing !== undefined && !action.ifExists)
        throw new LimnError('usage/argument', {
          message: `${loaded.table} has no property ${missing}.`,
          notDone: 'The table is unchanged.',
          remedy: 'Write UNSET TBLPROPERTIES IF EXISTS to pass over it.',
        })
      return [{ kind: 'unset-properties', names: action.keys }]
    }
    case 'setLocation':
      return [{ kind: 'set-location', location: action.location }]
    case 'addPartitionField':
      return [
        {
          kind: 'add-partition-field',
          column: action.term.column.parts,
          transform: transformOf(action.term),
          ...(action.name ? { name: action.name.text } : {}),
        },
      ]
    case 'dropPartitionField':
      return [{ kind: 'remove-partition-field', field: fieldNamed(action.term, loaded) }]
    case 'replacePartitionField':
      return [
        {
          kind: 'replace-partition-field',
          field: fieldNamed(action.term, loaded),
          column: action.by.column.parts,
          transform: transformOf(action.by),
          ...(action.name ? { name: action.name.text } : {}),
        },
      ]
    case 'writeOrder':
      return [
        { kind: 'set-sort-order', fields: action.order.map(sortOf) },
        { kind: 'set-properties', properties: { 'write.distribution-mode': action.distribution } },
      ]
    case 'setIdentifierFields':
      return [{ kind: 'set-identifier-fields', columns: action.columns.map((one) => one.parts) }]
    case 'dropIdentifierFields':
      return [{ kind: 'set-identifier-fields', columns: identifiersWithout(loaded, action.columns) }]
    default:
      return unreachable(action)
  }
}

async function addedOf(added: AddedColumn, evaluate: EvaluateDefault): Promise<TableChange> {
  const parent = added.column.parts.slice(0, -1)
  const type = typeOf(added.type)
  const value = added.defaultValue ? await evaluate(added.defaultValue, type) : null
  return {
    kind: 'add-column',
    ...(parent.length > 0 ? { parent } : {}),
    name: added.column.parts.at(-1) ?? '',
    type,
    required: added.required,
    ...(added.comment === null ? {} : { doc: added.comment }),
    ...(value === null ? {} : { default: value }),
    ...(added.place ? { position: positionOf(added.place) } : {}),
  }
}

function positionOf(place: ColumnPlace) {
  return place.kind === 'first' ? ({ at: 'first' } as const) : ({ at: 'after', column: place.column.text } as const)
}

async function columnChangeOf(
  column: readonly string[],
  change: ColumnChange,
  loaded: LoadedTable,
  evaluate: EvaluateDefault,
): Promise<TableChange> {
  switch (change.kind) {
    case 'type': {
      const type = typeOf(change.type)
      if (typeof type === 'string') return { kind: 'change-type', column, type }
      throw new LimnError('schema/unsafe-change', {
        message: `${column.join('.')} cannot become ${typeText(type)}: only plain types widen.`,
        notDone: 'The table is unchanged.',
        remedy: 'Change the columns within it one by one: ALTER COLUMN a.b TYPE BIGINT.',
      })
    }
    case 'comment':
      return { kind: 'set-doc', column, doc: change.comment }
    case 'place':
      return { kind: 'move-column', column, position: positionOf(change.place) }
    case 'setNotNull':
      return { kind: 'make-required', column }
    case 'dropNotNull':
      return { kind: 'make-optional', column }
    case 'setDefault': {
      const field = columnOf(currentSchema(loaded.metadata).fields, column, false).field
      return { kind: 'set-write-default', column, value: await evaluate(change.value, field.type) }
    }
    case 'dropDefault':
      return { kind: 'set-write-default', column, value: null }
  }
}

function hasColumn(loaded: LoadedTable, column: readonly string[]): boolean {
  return findColumn(currentSchema(loaded.metadata).fields, column, false) !== undefined
}

/** `format-version` is no property in the table's metadata: setting it upgrades the table. */
function propertyChanges(
  properties: readonly { readonly key: string; readonly value: string }[],
): readonly TableChange[] {
  const version = properties.find((one) => one.key === 'format-version')
  const rest = properties.filter((one) => one !== version)
  const set: readonly TableChange[] =
    rest.length > 0
      ? [{ kind: 'set-properties', properties: Object.fromEntries(rest.map((one) => [one.key, one.value])) }]
      : []
  if (!version) return set
  if (version.value !== '1' && version.value !== '2' && version.value !== '3')
    throw new LimnError('usage/argument', {
      message: `There is no format version ${version.value}.`,
      notDone: 'The table is unchanged.',
      remedy: "Use '2' or '3'.",
    })
  const formatVersion = version.value === '3' ? 3 : version.value === '2' ? 2 : 1
  return [{ kind: 'upgrade-format', formatVersion }, ...set]
}

/** A bare name is a partition field's name if there is one, a column otherwise. */
function fieldNamed(term: Term, loaded: LoadedTable) {
  const { metadata } = loaded
  const [name = '', ...more] = term.column.parts
  const bare = term.transform === 'identity' && more.length === 0
  const named = specById(metadata, metadata.defaultSpecId).fields.find((one) => one.name === name)
  if (bare && named) return { name }
  return { column: term.column.parts, transform: transformOf(term) }
}

function sortOf(sort: Extract<AlterAction, { kind: 'writeOrder' }>['order'][number]): SortFieldChange {
  return {
    column: sort.term.column.parts,
    transform: transformOf(sort.term),
    direction: sort.direction,
    nullOrder: sort.nulls === 'first' ? 'nulls-first' : 'nulls-last',
  }
}

/** The identifier fields that stay. */
function identifiersWithout(loaded: LoadedTable, columns: readonly Path[]): readonly (readonly string[])[] {
  const { fields, identifierFieldIds } = currentSchema(loaded.metadata)
  const dropped = new Set<number>()
  for (const { parts } of columns) {
    const { id } = columnOf(fields, parts, false).field
    if (!identifierFieldIds.includes(id))
      throw new LimnError('schema/invalid-change', {
        message: `${parts.join('.')} is no identifier field of ${loaded.table}.`,
        notDone: 'The table is unchanged.',
        remedy: 'Name the fields that SET IDENTIFIER FIELDS named.',
      })
    dropped.add(id)
  }
  return identifierFieldIds.flatMap((id) => {
    const found = dropped.has(id) ? undefined : locateById(fields, id)
    return found ? [found.path] : []
  })
}
