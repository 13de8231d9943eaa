import { invariant, LimnError, unreachable } from '../../base/index.ts'
import { parseJson, stringifyJson } from '../../encoding/index.ts'
import { highestFieldId, locateAll, type Schema, sameFields, schemaFromJson, schemaToJson } from '../../schema/index.ts'
import { snapshotById, snapshotOfRef } from './lookup.ts'
import { partitionFieldsToJson, sortOrderToJson } from './metadata-json.ts'
import type { PartitionSpec, Requirement, Snapshot, SnapshotRef, SortOrder, TableMetadata, Update } from './types.ts'

/** The updates that make a new, empty table. `formatVersion` is 2 unless stated; `sortOrder` unsorted. */
export function createTableUpdates(table: {
  readonly tableUuid: string
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly properties: Readonly<Record<string, string>>
  readonly formatVersion?: 2 | 3
  readonly sortOrder?: SortOrder
}): readonly Update[] {
  return [
    { action: 'assign-uuid', uuid: table.tableUuid },
    { action: 'upgrade-format-version', formatVersion: table.formatVersion ?? 2 },
    { action: 'set-location', location: table.location },
    { action: 'add-schema', schema: table.schema },
    { action: 'set-current-schema', schemaId: -1 },
    { action: 'add-spec', spec: table.spec },
    { action: 'set-default-spec', specId: -1 },
    { action: 'add-sort-order', sortOrder: table.sortOrder ?? { orderId: 0, fields: [] } },
    { action: 'set-default-sort-order', sortOrderId: -1 },
    { action: 'set-properties', updates: table.properties },
  ]
}

/** The first requirement that does not hold, or null. `base` is null for a table that does not exist. */
export function checkRequirements(
  base: TableMetadata | null,
  requirements: readonly Requirement[],
): Requirement | null {
  return requirements.find((requirement) => !holds(base, requirement)) ?? null
}

function holds(base: TableMetadata | null, requirement: Requirement): boolean {
  if (requirement.type === 'assert-create') return base === null
  if (base === null) return false
  switch (requirement.type) {
    case 'assert-table-uuid':
      return base.tableUuid === requirement.uuid
    case 'assert-ref-snapshot-id':
      return snapshotOfRef(base, requirement.ref) === requirement.snapshotId
    case 'assert-last-assigned-field-id':
      return base.lastColumnId === requirement.lastAssignedFieldId
    case 'assert-current-schema-id':
      return base.currentSchemaId === requirement.currentSchemaId
    case 'assert-last-assigned-partition-id':
      return base.lastPartitionId === requirement.lastAssignedPartitionId
    case 'assert-default-spec-id':
      return base.defaultSpecId === requirement.defaultSpecId
    case 'assert-default-sort-order-id':
      return base.defaultSortOrderId === requirement.defaultSortOrderId
    default:
      return unreachable(requirement)
  }
}

const emptyMetadata: TableMetadata = {
  formatVersion: 2,
  tableUuid: '',
  location: '',
  lastSequenceNumber: 0n,
  lastUpdatedMs: 0,
  lastColumnId: 0,
  schemas: [],
  currentSchemaId: -1,
  partitionSpecs: [],
  defaultSpecId: -1,
  lastPartitionId: 999,
  sortOrders: [],
  defaultSortOrderId: 0,
  properties: {},
  currentSnapshotId: null,
  snapshots: [],
  snapshotLog: [],
  metadataLog: [],
  refs: {},
  nextRowId: 0n,
  statistics: [],
  partitionStatistics: [],
}

/** Former metadata files a table remembers, unless its property says otherwise. */
const metadataLogMax = 100

export interface ApplyOptions {
  /** When the commit happens: the time of the snapshot log and of `last-updated-ms`. */
  readonly timestampMs: number
  /** The metadata file that `base` was read from, to be remembered. */
  readonly previousMetadataLocation?: string
}

/**
 * Applies updates in order to metadata (null: a new table). Pure. An id of -1 is the one added last in this list. All or
 * nothing: an update that would leave the table naming a schema, spec, sort order or snapshot it does not hold, change
 * its uuid or lower its format version throws `iceberg/invalid-metadata`; a new schema that could not be read back (two
 * fields of one id, an unknown type, a default value of another type) throws `schema/invalid-change`, and so does a spec
 * or sort order over a column that there is not.
 */
export function applyUpdates(
  base: TableMetadata | null,
  updates: readonly Update[],
  options: ApplyOptions,
): TableMetadata {
  const last = { schemaId: -1, specId: -1, orderId: -1 }
  let metadata = base ?? emptyMetadata
  for (const update of updates) metadata = applyOne(metadata, update, options.timestampMs, last)
  requireWhole(metadata)
  const previous = options.previousMetadataLocation
  const keep = Number(metadata.properties['write.metadata.previous-versions-max'] ?? metadataLogMax)
  return {
    ...metadata,
    lastUpdatedMs: Math.max(options.timestampMs, metadata.lastUpdatedMs),
    metadataLog:
      base && previous !== undefined
        ? [...metadata.metadataLog, { timestampMs: base.lastUpdatedMs, metadataFile: previous }].slice(
            -Math.max(1, keep),
          )
        : metadata.metadataLog,
  }
}

/** What a table names it must hold: others read these ids without asking. */
function requireWhole(metadata: TableMetadata): void {
  const { currentSchemaId, defaultSpecId, defaultSortOrderId } = metadata
  if (metadata.location === '') throw refused('the table has no location')
  if (metadata.formatVersion >= 2 && metadata.tableUuid === '') throw refused('the table has no uuid')
  if (!metadata.schemas.some((one) => one.schemaId === currentSchemaId))
    throw refused(`the current schema is ${currentSchemaId}, which the table does not have`)
  if (!metadata.partitionSpecs.some((one) => one.specId === defaultSpecId))
    throw refused(`the default partition spec is ${defaultSpecId}, which the table does not have`)
  if (!metadata.sortOrders.some((one) => one.orderId === defaultSortOrderId))
    throw refused(`the default sort order is ${defaultSortOrderId}, which the table does not have`)
  const held = new Set(metadata.snapshots.map((one) => one.snapshotId))
  for (const [name, ref] of Object.entries(metadata.refs))
    if (!held.has(ref.snapshotId))
      throw refused(`${name} points at snapshot ${ref.snapshotId}, which the table does not have`)
}

function refused(why: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The change would damage the table: ${why}.`,
    notDone: 'The table is unchanged.',
  })
}

function applyOne(
  metadata: TableMetadata,
  update: Update,
  timestampMs: number,
  last: { schemaId: number; specId: number; orderId: number },
): TableMetadata {
  switch (update.action) {
    case 'assign-uuid':
      if (metadata.tableUuid !== '' && metadata.tableUuid !== update.uuid)
        throw refused(`its uuid ${metadata.tableUuid} would become ${update.uuid}`)
      return { ...metadata, tableUuid: update.uuid }
    case 'upgrade-format-version':
      if (update.formatVersion < metadata.formatVersion)
        throw refused(`format version ${metadata.formatVersion} would become ${update.formatVersion}`)
      return { ...metadata, formatVersion: update.formatVersion }
    case 'set-location':
      return { ...metadata, location: update.location }
    case 'add-schema':
      return addSchema(metadata, update.schema, last)
    case 'set-current-schema': {
      const schemaId = update.schemaId === -1 ? last.schemaId : update.schemaId
      return { ...metadata, currentSchemaId: schemaId }
    }
    case 'add-spec':
      return addSpec(metadata, update.spec, last)
    case 'set-default-spec':
      return { ...metadata, defaultSpecId: update.specId === -1 ? last.specId : update.specId }
    case 'add-sort-order':
      return addSortOrder(metadata, update.sortOrder, last)
    case 'set-default-sort-order':
      return { ...metadata, defaultSortOrderId: update.sortOrderId === -1 ? last.orderId : update.sortOrderId }
    case 'add-snapshot': {
      const { snapshot } = update
      invariant(!snapshotById(metadata, snapshot.snapshotId), `snapshot ${snapshot.snapshotId} is new`)
      return {
        ...metadata,
        nextRowId: nextRowIdAfter(metadata, snapshot),
        snapshots: [...metadata.snapshots, snapshot],
        lastSequenceNumber: laterOf(snapshot.sequenceNumber, metadata.lastSequenceNumber),
        lastUpdatedMs: Math.max(metadata.lastUpdatedMs, snapshot.timestampMs),
      }
    }
    case 'set-snapshot-ref':
      return setRef(metadata, update.ref, update.to, timestampMs)
    case 'remove-snapshot-ref': {
      const { [update.ref]: _gone, ...refs } = metadata.refs
      // Without main the table has no present, and a log that ended would still claim one.
      return update.ref === 'main'
        ? { ...metadata, refs, currentSnapshotId: null, snapshotLog: [] }
        : { ...metadata, refs }
    }
    case 'remove-snapshots':
      return removeSnapshots(metadata, new Set(update.snapshotIds))
    case 'set-statistics': {
      const { statistics } = update
      const rest = metadata.statistics.filter((one) => one.snapshotId !== statistics.snapshotId)
      return { ...metadata, statistics: [...rest, statistics] }
    }
    case 'remove-statistics':
      return { ...metadata, statistics: metadata.statistics.filter((one) => one.snapshotId !== update.snapshotId) }
    case 'set-partition-statistics': {
      const { partitionStatistics } = update
      const rest = metadata.partitionStatistics.filter((one) => one.snapshotId !== partitionStatistics.snapshotId)
      return { ...metadata, partitionStatistics: [...rest, partitionStatistics] }
    }
    case 'remove-partition-statistics': {
      const rest = metadata.partitionStatistics.filter((one) => one.snapshotId !== update.snapshotId)
      return { ...metadata, partitionStatistics: rest }
    }
    case 'remove-partition-specs': {
      const gone = new Set(update.specIds)
      return { ...metadata, partitionSpecs: metadata.partitionSpecs.filter((one) => !gone.has(one.specId)) }
    }
    case 'remove-schemas': {
      const gone = new Set(update.schemaIds)
      return { ...metadata, schemas: metadata.schemas.filter((one) => !gone.has(one.schemaId)) }
    }
    case 'set-properties':
      return { ...metadata, properties: { ...metadata.properties, ...update.updates } }
    case 'remove-properties': {
      const gone = new Set(update.removals)
      return {
        ...metadata,
        properties: Object.fromEntries(Object.entries(metadata.properties).filter(([key]) => !gone.has(key))),
      }
    }
    default:
      return unreachable(update)
  }
}

/**
 * The log keeps only what follows the last removed snapshot (specification, "Table Metadata Fields"): with a gap it would
 * say that an earlier snapshot was current when it was not. Statistics of removed snapshots go with them.
 */
function removeSnapshots(metadata: TableMetadata, gone: ReadonlySet<bigint>): TableMetadata {
  const lastGone = metadata.snapshotLog.findLastIndex((entry) => gone.has(entry.snapshotId))
  const kept = <T extends { readonly snapshotId: bigint }>(list: readonly T[]) =>
    list.filter((one) => !gone.has(one.snapshotId))
  return {
    ...metadata,
    snapshots: kept(metadata.snapshots),
    snapshotLog: metadata.snapshotLog.slice(lastGone + 1),
    statistics: kept(metadata.statistics),
    partitionStatistics: kept(metadata.partitionStatistics),
  }
}

/** A snapshot takes its row ids from the table's counter: one that starts below it would give an id twice. */
function nextRowIdAfter(metadata: TableMetadata, snapshot: Snapshot): bigint {
  if (metadata.formatVersion < 3) return metadata.nextRowId
  const { firstRowId, addedRows } = snapshot
  if (firstRowId === undefined || addedRows === undefined)
    throw refused(`snapshot ${snapshot.snapshotId} states no row ids`)
  if (firstRowId < metadata.nextRowId)
    throw refused(`snapshot ${snapshot.snapshotId} takes row ids from ${firstRowId}, given before`)
  return firstRowId + addedRows
}

function laterOf(a: bigint, b: bigint): bigint {
  if (a > b) return a
  return b
}

/** A schema in metadata that cannot be read back would take the whole table with it: it is refused before. */
function requireReadable(schema: Schema): void {
  const ids = new Set<number>()
  for (const { field } of locateAll(schema.fields)) {
    if (!Number.isInteger(field.id) || field.id < 0) throw invalidShape(`${field.name} has the id ${field.id}`)
    if (ids.has(field.id)) throw invalidShape(`the id ${field.id} is given twice, to ${field.name} too`)
    ids.add(field.id)
  }
  try {
    schemaFromJson(parseJson(stringifyJson(schemaToJson(schema))))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\.$/, '') : 'it has no JSON'
    throw invalidShape(`it could not be read back: ${why}`, cause)
  }
}

/** Throws where a partition or sort field is of a column that no schema of the table has. */
function requireSources(metadata: TableMetadata, sourceIds: readonly number[]): void {
  const known = new Set(metadata.schemas.flatMap(({ fields }) => locateAll(fields).map(({ field }) => field.id)))
  const missing = sourceIds.find((id) => !known.has(id))
  if (missing !== undefined) throw invalidShape(`it partitions or sorts by column ${missing}, which there is not`)
}

function invalidShape(why: string, cause?: unknown): LimnError {
  return new LimnError('schema/invalid-change', {
    message: `The table cannot have this shape: ${why}.`,
    notDone: 'The table is unchanged.',
    remedy: 'Give each column an id of its own, a type of the specification, and defaults of that type.',
    cause,
  })
}

function addSchema(metadata: TableMetadata, schema: Schema, last: { schemaId: number }): TableMetadata {
  const known = metadata.schemas.find((one) => sameFields(one, schema))
  if (known) {
    last.schemaId = known.schemaId
    return metadata
  }
  requireReadable(schema)
  const taken = metadata.schemas.some((one) => one.schemaId === schema.schemaId)
  const schemaId = taken ? Math.max(...metadata.schemas.map((one) => one.schemaId)) + 1 : schema.schemaId
  last.schemaId = schemaId
  return {
    ...metadata,
    schemas: [...metadata.schemas, { ...schema, schemaId }],
    lastColumnId: Math.max(metadata.lastColumnId, highestFieldId(schema.fields)),
  }
}

function addSpec(metadata: TableMetadata, spec: PartitionSpec, last: { specId: number }): TableMetadata {
  const text = (one: PartitionSpec) => JSON.stringify(partitionFieldsToJson(one))
  const known = metadata.partitionSpecs.find((one) => text(one) === text(spec))
  if (known) {
    last.specId = known.specId
    return metadata
  }
  requireSources(
    metadata,
    spec.fields.filter((field) => field.transform.kind !== 'void').map((field) => field.sourceId),
  )
  const taken = metadata.partitionSpecs.some((one) => one.specId === spec.specId)
  const specId = taken ? Math.max(...metadata.partitionSpecs.map((one) => one.specId)) + 1 : spec.specId
  last.specId = specId
  return {
    ...metadata,
    partitionSpecs: [...metadata.partitionSpecs, { ...spec, specId }],
    lastPartitionId: Math.max(metadata.lastPartitionId, ...spec.fields.map((field) => field.fieldId)),
  }
}

function addSortOrder(metadata: TableMetadata, order: SortOrder, last: { orderId: number }): TableMetadata {
  const text = (one: SortOrder) => JSON.stringify(sortOrderToJson(one).fields)
  const known = metadata.sortOrders.find((one) => text(one) === text(order))
  if (known) {
    last.orderId = known.orderId
    return metadata
  }
  requireSources(
    metadata,
    order.fields.map((field) => field.sourceId),
  )
  const taken = metadata.sortOrders.some((one) => one.orderId === order.orderId)
  const orderId = taken ? Math.max(...metadata.sortOrders.map((one) => one.orderId)) + 1 : order.orderId
  last.orderId = orderId
  return { ...metadata, sortOrders: [...metadata.sortOrders, { ...order, orderId }] }
}

function setRef(metadata: TableMetadata, name: string, ref: SnapshotRef, timestampMs: number): TableMetadata {
  if (!snapshotById(metadata, ref.snapshotId)) {
    throw refused(`${name} would point at snapshot ${ref.snapshotId}, which the table does not have`)
  }
  if (name === 'main' && ref.type !== 'branch') throw refused('main would become a tag')
  const refs = { ...metadata.refs, [name]: ref }
  if (name !== 'main' || metadata.currentSnapshotId === ref.snapshotId) return { ...metadata, refs }
  // The log's times never go back, whatever the clock does.
  const at = Math.max(timestampMs, metadata.snapshotLog.at(-1)?.timestampMs ?? 0)
  return {
    ...metadata,
    refs,
    currentSnapshotId: ref.snapshotId,
    snapshotLog: [...metadata.snapshotLog, { timestampMs: at, snapshotId: ref.snapshotId }],
  }
}
