import { LimnError, unreachable } from '../../base/index.ts'
import { schemaFromJson, schemaToJson } from '../../schema/index.ts'
import {
  refFromJson,
  refToJson,
  snapshotFromJson,
  snapshotToJson,
  sortOrderFromJson,
  sortOrderToJson,
  specFromJson,
  specToJson,
} from './metadata-json.ts'
import {
  partitionStatisticsFromJson,
  partitionStatisticsToJson,
  statisticsFromJson,
  statisticsToJson,
} from './statistics-json.ts'
import type { Requirement, Update } from './types.ts'

/**
 * Requirements and updates as the REST catalog specification spells them (TableRequirement, TableUpdate). The values hold
 * bigint: write them with `stringifyJson`, read them with `parseJson`.
 */
type Json = Readonly<Record<string, unknown>>

export function updatesToJson(updates: readonly Update[]): readonly Json[] {
  return updates.map(updateToJson)
}

/** Throws `iceberg/unsupported` for an action limn does not know, `iceberg/invalid-metadata` for what is malformed. */
export function updatesFromJson(json: unknown): readonly Update[] {
  return listOf(json, 'updates').map(updateFromJson)
}

export function requirementsToJson(requirements: readonly Requirement[]): readonly Json[] {
  return requirements.map(requirementToJson)
}

/** Throws `iceberg/unsupported` for a requirement limn does not know: one that is not checked must not pass. */
export function requirementsFromJson(json: unknown): readonly Requirement[] {
  return listOf(json, 'requirements').map(requirementFromJson)
}

function updateToJson(update: Update): Json {
  const { action } = update
  switch (action) {
    case 'assign-uuid':
      return { action, uuid: update.uuid }
    case 'upgrade-format-version':
      return { action, 'format-version': update.formatVersion }
    case 'add-schema':
      return { action, schema: schemaToJson(update.schema) }
    case 'set-current-schema':
      return { action, 'schema-id': update.schemaId }
    case 'add-spec':
      return { action, spec: specToJson(update.spec) }
    case 'set-default-spec':
      return { action, 'spec-id': update.specId }
    case 'add-sort-order':
      return { action, 'sort-order': sortOrderToJson(update.sortOrder) }
    case 'set-default-sort-order':
      return { action, 'sort-order-id': update.sortOrderId }
    case 'add-snapshot':
      return { action, snapshot: snapshotToJson(update.snapshot, 3) }
    case 'set-snapshot-ref':
      return { action, 'ref-name': update.ref, ...refToJson(update.to) }
    case 'remove-snapshot-ref':
      return { action, 'ref-name': update.ref }
    case 'remove-snapshots':
      return { action, 'snapshot-ids': update.snapshotIds }
    case 'set-statistics':
      return { action, 'snapshot-id': update.statistics.snapshotId, statistics: statisticsToJson(update.statistics) }
    case 'remove-statistics':
    case 'remove-partition-statistics':
      return { action, 'snapshot-id': update.snapshotId }
    case 'set-partition-statistics':
      return { action, 'partition-statistics': partitionStatisticsToJson(update.partitionStatistics) }
    case 'remove-partition-specs':
      return { action, 'spec-ids': update.specIds }
    case 'remove-schemas':
      return { action, 'schema-ids': update.schemaIds }
    case 'set-location':
      return { action, location: update.location }
    case 'set-properties':
      return { action, updates: update.updates }
    case 'remove-properties':
      return { action, removals: update.removals }
    default:
      return unreachable(update)
  }
}

function updateFromJson(value: unknown): Update {
  const json = objectOf(value, 'an update')
  const action = json.action as Update['action']
  switch (action) {
    case 'assign-uuid':
      return { action, uuid: textOf(json, 'uuid') }
    case 'upgrade-format-version': {
      const formatVersion = numberOf(json, 'format-version')
      if (formatVersion !== 1 && formatVersion !== 2 && formatVersion !== 3)
        throw unsupported(`An upgrade to format version ${formatVersion}`)
      return { action, formatVersion }
    }
    case 'add-schema':
      return { action, schema: schemaFromJson(json.schema) }
    case 'set-current-schema':
      return { action, schemaId: numberOf(json, 'schema-id') }
    case 'add-spec':
      return { action, spec: specFromJson(json.spec) }
    case 'set-default-spec':
      return { action, specId: numberOf(json, 'spec-id') }
    case 'add-sort-order':
      return { action, sortOrder: sortOrderFromJson(json['sort-order']) }
    case 'set-default-sort-order':
      return { action, sortOrderId: numberOf(json, 'sort-order-id') }
    case 'add-snapshot':
      return { action, snapshot: snapshotFromJson(json.snapshot) }
    case 'set-snapshot-ref':
      return { action, ref: textOf(json, 'ref-name'), to: refFromJson(json) }
    case 'remove-snapshot-ref':
      return { action, ref: textOf(json, 'ref-name') }
    case 'remove-snapshots':
      return {
        action,
        snapshotIds: listOf(json['snapshot-ids'], 'snapshot-ids').map((id) => longOf(id, 'snapshot-ids')),
      }
    case 'set-statistics':
      return { action, statistics: statisticsFromJson(json.statistics) }
    case 'remove-statistics':
    case 'remove-partition-statistics':
      return { action, snapshotId: longOf(json['snapshot-id'], 'snapshot-id') }
    case 'set-partition-statistics':
      return { action, partitionStatistics: partitionStatisticsFromJson(json['partition-statistics']) }
    case 'remove-partition-specs':
      return { action, specIds: listOf(json['spec-ids'], 'spec-ids').map(Number) }
    case 'remove-schemas':
      return { action, schemaIds: listOf(json['schema-ids'], 'schema-ids').map(Number) }
    case 'set-location':
      return { action, location: textOf(json, 'location') }
    case 'set-properties': {
      const updates = objectOf(json.updates, 'updates')
      return { action, updates: Object.fromEntries(Object.keys(updates).map((key) => [key, textOf(updates, key)])) }
    }
    case 'remove-properties':
      return { action, removals: listOf(json.removals, 'removals').map(String) }
    default:
      throw unknownName('update', action)
  }
}

function requirementToJson(requirement: Requirement): Json {
  const { type } = requirement
  switch (type) {
    case 'assert-create':
      return { type }
    case 'assert-table-uuid':
      return { type, uuid: requirement.uuid }
    case 'assert-ref-snapshot-id':
      return { type, ref: requirement.ref, 'snapshot-id': requirement.snapshotId }
    case 'assert-last-assigned-field-id':
      return { type, 'last-assigned-field-id': requirement.lastAssignedFieldId }
    case 'assert-current-schema-id':
      return { type, 'current-schema-id': requirement.currentSchemaId }
    case 'assert-last-assigned-partition-id':
      return { type, 'last-assigned-partition-id': requirement.lastAssignedPartitionId }
    case 'assert-default-spec-id':
      return { type, 'default-spec-id': requirement.defaultSpecId }
    case 'assert-default-sort-order-id':
      return { type, 'default-sort-order-id': requirement.defaultSortOrderId }
    default:
      return unreachable(requirement)
  }
}

function requirementFromJson(value: unknown): Requirement {
  const json = objectOf(value, 'a requirement')
  const type = json.type as Requirement['type']
  switch (type) {
    case 'assert-create':
      return { type }
    case 'assert-table-uuid':
      return { type, uuid: textOf(json, 'uuid') }
    case 'assert-ref-snapshot-id': {
      const id = json['snapshot-id'] ?? null
      return { type, ref: textOf(json, 'ref'), snapshotId: id === null ? null : longOf(id, 'snapshot-id') }
    }
    case 'assert-last-assigned-field-id':
      return { type, lastAssignedFieldId: numberOf(json, 'last-assigned-field-id') }
    case 'assert-current-schema-id':
      return { type, currentSchemaId: numberOf(json, 'current-schema-id') }
    case 'assert-last-assigned-partition-id':
      return { type, lastAssignedPartitionId: numberOf(json, 'last-assigned-partition-id') }
    case 'assert-default-spec-id':
      return { type, defaultSpecId: numberOf(json, 'default-spec-id') }
    case 'assert-default-sort-order-id':
      return { type, defaultSortOrderId: numberOf(json, 'default-sort-order-id') }
    default: {
      throw unknownName('requirement', type)
    }
  }
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw malformed(`${what} is not an object`)
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw malformed(`${what} is not a list`)
}

function textOf(json: Json, key: string): string {
  const value = json[key]
  if (typeof value === 'string') return value
  throw malformed(`${key} is not text`)
}

function numberOf(json: Json, key: string): number {
  const value = json[key]
  if (typeof value === 'number') return value
  throw malformed(`${key} is not a number`)
}

function longOf(value: unknown, what: string): bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value as bigint | number)
  throw malformed(`${what} is not a whole number`)
}

function malformed(why: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `A catalog request is malformed: ${why}.`,
    notDone: 'The table is unchanged.',
  })
}

/** `name` is `never` to the compiler, so that a new member of the union is noticed. */
function unknownName(what: string, name: never): LimnError {
  return unsupported(`The ${what} ${String(name)}`)
}

function unsupported(what: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `${what} is not known to limn.`,
    notDone: 'The table is unchanged.',
  })
}
