import { LimnError, unreachable } from '../../base/index.ts'
import { sameFields } from '../../schema/index.ts'
import { currentSchema, specById } from '../spec/lookup.ts'
import { nameMappingFromText, nameMappingProperty } from '../spec/name-mapping.ts'
import type { FormatVersion, Requirement, TableMetadata, Update } from '../spec/types.ts'
import { applyUpdates } from '../spec/update.ts'
import { propertyUpdates } from './evolve-mapping.ts'
import { evolveSchema, type SchemaChange } from './evolve-schema.ts'
import { evolveSpec, requireLayoutFits, type SortFieldChange, type SpecChange, sortFieldsOf } from './evolve-spec.ts'

/** One change of a table's shape: schema, partitioning, order, properties, place, version. No data file is touched. */
export type TableChange =
  | SchemaChange
  | SpecChange
  /** Replaces the order new files are written in; no fields: unsorted. */
  | { readonly kind: 'set-sort-order'; readonly fields: readonly SortFieldChange[] }
  | { readonly kind: 'set-properties'; readonly properties: Readonly<Record<string, string>> }
  /** Names that are not set are passed over. */
  | { readonly kind: 'unset-properties'; readonly names: readonly string[] }
  /** Where new files go. Files already written stay where they are. */
  | { readonly kind: 'set-location'; readonly location: string }
  /** To a later version only; the table's own is no change. */
  | { readonly kind: 'upgrade-format'; readonly formatVersion: FormatVersion }

export interface EvolveOptions {
  readonly caseSensitive?: boolean
  readonly allowIncompatible?: boolean
  /** The uuid an upgraded table of version 1 gets when it has none. */
  readonly tableUuid?: string
}

export interface Evolution {
  readonly requirements: readonly Requirement[]
  /** Empty when the table is already as wanted. */
  readonly updates: readonly Update[]
}

/**
 * What a catalog has to check and apply for changes of shape, in order. Pure. Requirements name the state the changes were
 * judged by, so that a concurrent change of the same kind is a conflict. Throws `schema/unsafe-change`,
 * `schema/invalid-change`, and `usage/argument` for properties that are not a user's to set.
 */
export function evolveTable(
  base: TableMetadata,
  changes: readonly TableChange[],
  options: EvolveOptions = {},
): Evolution {
  const updates: Update[] = []
  const requirements = new Map<string, Requirement>()
  let metadata = base
  for (const group of groupsOf(changes)) {
    const made = updatesFor(metadata, group, options)
    if (made.length === 0) continue
    for (const one of requirementsFor(base, group)) requirements.set(one.type, one)
    // Later changes see earlier ones; ids of -1 have meaning within one group only.
    metadata = applyUpdates(metadata, made, { timestampMs: metadata.lastUpdatedMs })
    updates.push(...made)
  }
  if (updates.length === 0) return { requirements: [], updates: [] }
  const uuid: Requirement[] = base.tableUuid === '' ? [] : [{ type: 'assert-table-uuid', uuid: base.tableUuid }]
  return { requirements: [...uuid, ...requirements.values()], updates }
}

type Group =
  | { readonly of: 'schema'; readonly changes: SchemaChange[] }
  | { readonly of: 'spec'; readonly changes: SpecChange[] }
  | { readonly of: 'other'; readonly change: Exclude<TableChange, SchemaChange | SpecChange> }

/** Neighbouring changes of one kind become one new schema or spec. */
function groupsOf(changes: readonly TableChange[]): readonly Group[] {
  const out: Group[] = []
  for (const change of changes) {
    const last = out.at(-1)
    switch (change.kind) {
      case 'add-partition-field':
      case 'remove-partition-field':
      case 'rename-partition-field':
      case 'replace-partition-field':
        if (last?.of === 'spec') last.changes.push(change)
        else out.push({ of: 'spec', changes: [change] })
        break
      case 'set-sort-order':
      case 'set-properties':
      case 'unset-properties':
      case 'set-location':
      case 'upgrade-format':
        out.push({ of: 'other', change })
        break
      default:
        if (last?.of === 'schema') last.changes.push(change)
        else out.push({ of: 'schema', changes: [change] })
    }
  }
  return out
}

function requirementsFor(base: TableMetadata, group: Group): readonly Requirement[] {
  const schema: Requirement = { type: 'assert-current-schema-id', currentSchemaId: base.currentSchemaId }
  if (group.of === 'schema')
    return [schema, { type: 'assert-last-assigned-field-id', lastAssignedFieldId: base.lastColumnId }, ...layout(base)]
  if (group.of === 'spec')
    return [
      schema,
      { type: 'assert-default-spec-id', defaultSpecId: base.defaultSpecId },
      { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: base.lastPartitionId },
    ]
  return group.change.kind === 'set-sort-order' ? [schema, ...layout(base).slice(1)] : []
}

function layout(base: TableMetadata): readonly Requirement[] {
  return [
    { type: 'assert-default-spec-id', defaultSpecId: base.defaultSpecId },
    { type: 'assert-default-sort-order-id', defaultSortOrderId: base.defaultSortOrderId },
  ]
}

function updatesFor(metadata: TableMetadata, group: Group, options: EvolveOptions): readonly Update[] {
  switch (group.of) {
    case 'schema':
      return schemaUpdates(metadata, group.changes, options)
    case 'spec':
      return specUpdates(metadata, group.changes, options)
    case 'other':
      return otherUpdates(metadata, group.change, options)
    default:
      return unreachable(group)
  }
}

function orderOf(metadata: TableMetadata) {
  return metadata.sortOrders.find((one) => one.orderId === metadata.defaultSortOrderId)?.fields ?? []
}

function schemaUpdates(
  metadata: TableMetadata,
  changes: readonly SchemaChange[],
  options: EvolveOptions,
): readonly Update[] {
  const before = currentSchema(metadata)
  const { schema: after } = evolveSchema(before, changes, { ...options, ...metadata })
  if (sameFields(before, after)) return []
  requireLayoutFits(before, after, {
    spec: specById(metadata, metadata.defaultSpecId),
    specs: metadata.partitionSpecs,
    sortFields: orderOf(metadata),
  })
  const schemaId = Math.max(...metadata.schemas.map((one) => one.schemaId)) + 1
  return [
    { action: 'add-schema', schema: { ...after, schemaId } },
    { action: 'set-current-schema', schemaId: -1 },
    ...propertyUpdates(metadata.properties, before.fields, after.fields),
  ]
}

function specUpdates(
  metadata: TableMetadata,
  changes: readonly SpecChange[],
  options: EvolveOptions,
): readonly Update[] {
  const before = specById(metadata, metadata.defaultSpecId)
  const after = evolveSpec(before, changes, {
    ...options,
    schema: currentSchema(metadata),
    specs: metadata.partitionSpecs,
    formatVersion: metadata.formatVersion,
    lastPartitionId: metadata.lastPartitionId,
  })
  const text = (fields: typeof after.fields) => JSON.stringify(fields)
  if (text(before.fields) === text(after.fields)) return []
  const specId = Math.max(...metadata.partitionSpecs.map((one) => one.specId)) + 1
  return [
    { action: 'add-spec', spec: { ...after, specId } },
    { action: 'set-default-spec', specId: -1 },
  ]
}

function otherUpdates(
  metadata: TableMetadata,
  change: Extract<Group, { of: 'other' }>['change'],
  options: EvolveOptions,
): readonly Update[] {
  switch (change.kind) {
    case 'set-sort-order': {
      const fields = sortFieldsOf(currentSchema(metadata), change.fields, options.caseSensitive)
      if (JSON.stringify(fields) === JSON.stringify(orderOf(metadata))) return []
      const orderId = fields.length === 0 ? 0 : Math.max(0, ...metadata.sortOrders.map((one) => one.orderId)) + 1
      return [
        { action: 'add-sort-order', sortOrder: { orderId, fields } },
        { action: 'set-default-sort-order', sortOrderId: -1 },
      ]
    }
    case 'set-properties': {
      for (const [name, value] of Object.entries(change.properties)) requireSettable(name, value)
      const updates = Object.fromEntries(
        Object.entries(change.properties).filter(([name, value]) => metadata.properties[name] !== value),
      )
      return Object.keys(updates).length === 0 ? [] : [{ action: 'set-properties', updates }]
    }
    case 'unset-properties': {
      for (const name of change.names) requireSettable(name, null)
      const removals = change.names.filter((name) => name in metadata.properties)
      return removals.length === 0 ? [] : [{ action: 'remove-properties', removals }]
    }
    case 'set-location': {
      const location = change.location.replace(/\/+$/, '')
      if (location === '') throw refusedProperty('A table needs a location', 'Name a folder.')
      return location === metadata.location ? [] : [{ action: 'set-location', location }]
    }
    case 'upgrade-format': {
      const { formatVersion } = change
      if (formatVersion === metadata.formatVersion) return []
      if (formatVersion < metadata.formatVersion)
        throw new LimnError('schema/unsafe-change', {
          message: `The table has format version ${metadata.formatVersion} and cannot go back to ${formatVersion}.`,
          notDone: 'The table is unchanged.',
          remedy: 'Write its rows to a new table of that version.',
        })
      const uuid = metadata.tableUuid === '' ? options.tableUuid : undefined
      return [
        ...(uuid === undefined ? [] : [{ action: 'assign-uuid', uuid } as const]),
        { action: 'upgrade-format-version', formatVersion },
      ]
    }
    default:
      return unreachable(change)
  }
}

/** Names that Java's implementation keeps for itself: what they would say stands elsewhere in the metadata. */
const reserved: Readonly<Record<string, string>> = {
  'format-version': 'Upgrade the format version instead.',
  uuid: 'A table keeps the uuid it was made with.',
  'snapshot-count': 'It is counted.',
  'current-snapshot-id': 'Roll back to, or set, a current snapshot instead.',
  'current-snapshot-summary': 'It belongs to the snapshot.',
  'current-snapshot-timestamp-ms': 'It belongs to the snapshot.',
  'current-schema': 'Change columns instead.',
  'default-partition-spec': 'Change partition fields instead.',
  'default-sort-order': 'Set the sort order instead.',
}

/** Throws `usage/argument` for a reserved name, and for a name mapping that is none. */
export function requireSettable(name: string, value: string | null): void {
  const why = Object.hasOwn(reserved, name) ? reserved[name] : undefined
  if (why !== undefined) throw refusedProperty(`The property ${name} is reserved`, why)
  if (name === nameMappingProperty && value !== null) nameMappingFromText(value)
}

function refusedProperty(what: string, remedy: string): LimnError {
  return new LimnError('usage/argument', { message: `${what}.`, notDone: 'The table is unchanged.', remedy })
}
