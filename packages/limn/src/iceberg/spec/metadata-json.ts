import { gunzipSync } from 'node:zlib'
import { LimnError } from '../../base/index.ts'
import { parseJson, stringifyJson } from '../../encoding/index.ts'
import { schemaFromJson, schemaToJson } from '../../schema/index.ts'
import { storePath } from '../../storage/index.ts'
import {
  partitionStatisticsFromJson,
  partitionStatisticsToJson,
  statisticsFromJson,
  statisticsToJson,
} from './statistics-json.ts'
import { transformFromText, transformToText } from './transforms.ts'
import type { FormatVersion, PartitionSpec, Snapshot, SnapshotRef, SortOrder, TableMetadata } from './types.ts'
import { id, idOrNull, invalid, type Json, list, long, number, object, text } from './wire.ts'

/**
 * Metadata as a file (appendix C), in the table's own format version: a table of version 1 stays readable to what reads
 * that version only, until a commit upgrades it.
 */
export function encodeMetadata(metadata: TableMetadata): Uint8Array {
  return Buffer.from(stringifyJson(metadataToJson(metadata)))
}

/**
 * Reads a metadata file of version 1 to 3. Throws `iceberg/invalid-metadata` when something required is missing or does
 * not fit together, `iceberg/unsupported` for a later version and for what limn would read wrongly. Members of the file
 * that limn does not know are kept (`others`). A file may be gzipped, as `write.metadata.compression-codec` asks of
 * writers ("Table Metadata and Snapshots", naming); its first bytes say so.
 */
export function decodeMetadata(bytes: Uint8Array): TableMetadata {
  try {
    return metadataFromJson(parseJson(Buffer.from(inflated(bytes)).toString('utf8')))
  } catch (cause) {
    if (cause instanceof LimnError) throw cause
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

/** No metadata file inflates to more: a bomb ends here. */
const inflatedBytesMax = 512 * 1024 * 1024

function inflated(bytes: Uint8Array): Uint8Array {
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b
  return gzipped ? gunzipSync(bytes, { maxOutputLength: inflatedBytesMax }) : bytes
}

/** Members limn reads; the rest is kept as it is. The last two are version 1's, written anew from the others. */
const known: ReadonlySet<string> = new Set([
  'format-version',
  'table-uuid',
  'location',
  'last-sequence-number',
  'last-updated-ms',
  'last-column-id',
  'schemas',
  'current-schema-id',
  'partition-specs',
  'default-spec-id',
  'last-partition-id',
  'sort-orders',
  'default-sort-order-id',
  'properties',
  'current-snapshot-id',
  'snapshots',
  'snapshot-log',
  'metadata-log',
  'refs',
  'next-row-id',
  'statistics',
  'partition-statistics',
  'schema',
  'partition-spec',
])

function metadataToJson(metadata: TableMetadata): Json {
  const { formatVersion, currentSchemaId, defaultSpecId } = metadata
  const first = formatVersion === 1
  const schema = metadata.schemas.find((one) => one.schemaId === currentSchemaId)
  const spec = metadata.partitionSpecs.find((one) => one.specId === defaultSpecId)
  return {
    'format-version': formatVersion,
    ...(metadata.tableUuid === '' ? {} : { 'table-uuid': metadata.tableUuid }),
    location: metadata.location,
    ...(first ? {} : { 'last-sequence-number': metadata.lastSequenceNumber }),
    'last-updated-ms': metadata.lastUpdatedMs,
    'last-column-id': metadata.lastColumnId,
    ...(first && schema ? { schema: schemaToJson(schema) } : {}),
    schemas: metadata.schemas.map(schemaToJson),
    'current-schema-id': currentSchemaId,
    ...(first && spec ? { 'partition-spec': partitionFieldsToJson(spec) } : {}),
    'partition-specs': metadata.partitionSpecs.map(specToJson),
    'default-spec-id': defaultSpecId,
    'last-partition-id': metadata.lastPartitionId,
    'sort-orders': metadata.sortOrders.map(sortOrderToJson),
    'default-sort-order-id': metadata.defaultSortOrderId,
    properties: metadata.properties,
    'current-snapshot-id': metadata.currentSnapshotId ?? -1,
    snapshots: metadata.snapshots.map((snapshot) => snapshotToJson(snapshot, formatVersion)),
    'snapshot-log': metadata.snapshotLog.map((entry) => ({
      'timestamp-ms': entry.timestampMs,
      'snapshot-id': entry.snapshotId,
    })),
    'metadata-log': metadata.metadataLog.map((entry) => ({
      'timestamp-ms': entry.timestampMs,
      'metadata-file': entry.metadataFile,
    })),
    refs: Object.fromEntries(Object.entries(metadata.refs).map(([name, ref]) => [name, refToJson(ref)])),
    ...(formatVersion >= 3 ? { 'next-row-id': metadata.nextRowId } : {}),
    statistics: metadata.statistics.map(statisticsToJson),
    'partition-statistics': metadata.partitionStatistics.map(partitionStatisticsToJson),
    ...metadata.others,
  }
}

function metadataFromJson(value: unknown): TableMetadata {
  const json = object(value, 'the file')
  const version = number(json['format-version'], 'format-version')
  if (version !== 1 && version !== 2 && version !== 3) {
    throw new LimnError('iceberg/unsupported', {
      message: `The table has Iceberg format version ${version}; limn reads 1 to 3.`,
      notDone: 'The table was not read.',
    })
  }
  // Version 1 leaves these out; in version 2 a missing one is damage.
  const later = (key: string, before: unknown) => json[key] ?? (version === 1 ? before : undefined)
  const schemas = list(later('schemas', [json.schema]), 'schemas').map(schemaFromJson)
  const specs = list(
    later('partition-specs', [{ 'spec-id': 0, fields: json['partition-spec'] ?? [] }]),
    'partition-specs',
  ).map(specFromJson)
  const usedPartitionId = Math.max(999, ...specs.flatMap((spec) => spec.fields.map((field) => field.fieldId)))
  const current = idOrNull(json['current-snapshot-id'])
  const refs = Object.fromEntries(
    Object.entries(object(json.refs ?? {}, 'refs')).map(([name, ref]): [string, SnapshotRef] => [
      name,
      refFromJson(ref),
    ]),
  )
  if (current !== null && !refs.main) refs.main = { type: 'branch', snapshotId: current }
  if ((refs.main?.snapshotId ?? null) !== current) throw invalid('main is not the current snapshot')
  const others = Object.fromEntries(Object.entries(json).filter(([key]) => !known.has(key)))
  const currentSchemaId = number(later('current-schema-id', schemas[0]?.schemaId ?? 0), 'current-schema-id')
  if (!schemas.some((schema) => schema.schemaId === currentSchemaId))
    throw invalid(`its current schema ${currentSchemaId} is not among its schemas`)
  const latestSpecId = Math.max(...specs.map((spec) => spec.specId))
  const defaultSpecId = number(later('default-spec-id', latestSpecId), 'default-spec-id')
  if (!specs.some((spec) => spec.specId === defaultSpecId))
    throw invalid(`its default spec ${defaultSpecId} is not among its partition specs`)
  return {
    formatVersion: version,
    tableUuid: text(later('table-uuid', ''), 'table-uuid'),
    location: text(json.location, 'location'),
    lastSequenceNumber: long(later('last-sequence-number', 0), 'last-sequence-number'),
    lastUpdatedMs: number(json['last-updated-ms'], 'last-updated-ms'),
    lastColumnId: number(json['last-column-id'], 'last-column-id'),
    schemas,
    currentSchemaId,
    partitionSpecs: specs,
    defaultSpecId,
    lastPartitionId: number(later('last-partition-id', usedPartitionId), 'last-partition-id'),
    sortOrders: list(later('sort-orders', [{ 'order-id': 0, fields: [] }]), 'sort-orders').map(sortOrderFromJson),
    defaultSortOrderId: number(later('default-sort-order-id', 0), 'default-sort-order-id'),
    properties: Object.fromEntries(
      Object.entries(object(json.properties ?? {}, 'properties')).map(([key, one]) => [key, String(one)]),
    ),
    currentSnapshotId: current,
    snapshots: list(json.snapshots ?? [], 'snapshots').map(snapshotFromJson),
    snapshotLog: list(json['snapshot-log'] ?? [], 'snapshot-log').map((one) => {
      const entry = object(one, 'snapshot-log')
      return { timestampMs: number(entry['timestamp-ms'], 'timestamp-ms'), snapshotId: id(entry['snapshot-id']) }
    }),
    metadataLog: list(json['metadata-log'] ?? [], 'metadata-log').map((one) => {
      const entry = object(one, 'metadata-log')
      return {
        timestampMs: number(entry['timestamp-ms'], 'timestamp-ms'),
        metadataFile: text(entry['metadata-file'], 'metadata-file'),
      }
    }),
    refs,
    nextRowId: nextRowIdOf(version, json),
    statistics: list(json.statistics ?? [], 'statistics').map(statisticsFromJson),
    partitionStatistics: list(json['partition-statistics'] ?? [], 'partition-statistics').map(
      partitionStatisticsFromJson,
    ),
    ...(Object.keys(others).length > 0 ? { others } : {}),
  }
}

/** Required from version 3; a table without snapshots that leaves it out has given no id yet. */
function nextRowIdOf(version: FormatVersion, json: Json): bigint {
  if (version < 3) return 0n
  const fresh = list(json.snapshots ?? [], 'snapshots').length === 0
  return long(json['next-row-id'] ?? (fresh ? 0 : undefined), 'next-row-id')
}

export function specToJson(spec: PartitionSpec): Json {
  return { 'spec-id': spec.specId, fields: partitionFieldsToJson(spec) }
}

/** The list alone, as manifest headers carry it. */
export function partitionFieldsToJson(spec: PartitionSpec): readonly Json[] {
  return spec.fields.map((field) => ({
    'source-id': field.sourceId,
    'field-id': field.fieldId,
    name: field.name,
    transform: transformToText(field.transform),
  }))
}

export function specFromJson(value: unknown): PartitionSpec {
  const json = object(value, 'a partition spec')
  return {
    specId: Number(json['spec-id'] ?? 0),
    fields: list(json.fields, 'partition fields').map((one, i) => {
      const field = object(one, 'a partition field')
      return {
        sourceId: sourceIdOf(field),
        fieldId: Number(field['field-id'] ?? 1000 + i),
        name: text(field.name, 'name'),
        transform: transformFromText(text(field.transform, 'transform')),
      }
    }),
  }
}

/** Version 3 may name the source as a list; more than one is a transform of several columns, which none yet is. */
function sourceIdOf(field: Json): number {
  const several = field['source-ids']
  if (field['source-id'] === undefined && Array.isArray(several)) {
    if (several.length === 1) return number(several[0], 'source-ids')
    throw new LimnError('iceberg/unsupported', {
      message: `The table has a transform of ${several.length} columns, which limn does not know.`,
      notDone: 'The table was not read.',
    })
  }
  return number(field['source-id'], 'source-id')
}

export function sortOrderToJson(order: SortOrder): Json {
  return {
    'order-id': order.orderId,
    fields: order.fields.map((field) => ({
      transform: transformToText(field.transform),
      'source-id': field.sourceId,
      direction: field.direction,
      'null-order': field.nullOrder,
    })),
  }
}

export function sortOrderFromJson(value: unknown): SortOrder {
  const json = object(value, 'a sort order')
  return {
    orderId: number(json['order-id'], 'order-id'),
    fields: list(json.fields, 'sort fields').map((one) => {
      const field = object(one, 'a sort field')
      return {
        transform: transformFromText(text(field.transform, 'transform')),
        sourceId: sourceIdOf(field),
        direction: field.direction === 'desc' ? 'desc' : 'asc',
        nullOrder: field['null-order'] === 'nulls-last' ? 'nulls-last' : 'nulls-first',
      }
    }),
  }
}

/** A snapshot on the wire; version 1 has no sequence numbers, version 3 has row ids. */
export function snapshotToJson(snapshot: Snapshot, formatVersion: FormatVersion): Json {
  return {
    'snapshot-id': snapshot.snapshotId,
    ...(snapshot.parentSnapshotId === null ? {} : { 'parent-snapshot-id': snapshot.parentSnapshotId }),
    ...(formatVersion === 1 ? {} : { 'sequence-number': snapshot.sequenceNumber }),
    'timestamp-ms': snapshot.timestampMs,
    ...(snapshot.manifestList === null
      ? { manifests: snapshot.manifests ?? [] }
      : { 'manifest-list': snapshot.manifestList }),
    summary: { operation: snapshot.operation, ...snapshot.summary },
    ...(snapshot.schemaId === null ? {} : { 'schema-id': snapshot.schemaId }),
    ...(snapshot.firstRowId === undefined ? {} : { 'first-row-id': snapshot.firstRowId }),
    ...(snapshot.addedRows === undefined ? {} : { 'added-rows': snapshot.addedRows }),
    ...(snapshot.keyId === undefined ? {} : { 'key-id': snapshot.keyId }),
  }
}

export function snapshotFromJson(value: unknown): Snapshot {
  const json = object(value, 'a snapshot')
  const { operation, ...summary } = object(json.summary ?? {}, 'a summary')
  return {
    snapshotId: id(json['snapshot-id']),
    parentSnapshotId: idOrNull(json['parent-snapshot-id']),
    sequenceNumber: long(json['sequence-number'] ?? 0, 'sequence-number'),
    timestampMs: number(json['timestamp-ms'], 'timestamp-ms'),
    ...manifestsFromJson(json),
    operation: operation === 'replace' || operation === 'overwrite' || operation === 'delete' ? operation : 'append',
    summary: Object.fromEntries(Object.entries(summary).map(([key, one]) => [key, String(one)])),
    schemaId:
      json['schema-id'] === undefined || json['schema-id'] === null ? null : number(json['schema-id'], 'schema-id'),
    ...optionalLong(json, 'first-row-id', 'firstRowId'),
    ...optionalLong(json, 'added-rows', 'addedRows'),
    ...(typeof json['key-id'] === 'string' ? { keyId: json['key-id'] } : {}),
  }
}

/** The list, or, in tables of version 1 that have none, the manifests themselves. */
function manifestsFromJson(json: Json): Pick<Snapshot, 'manifestList' | 'manifests'> {
  if (json['manifest-list'] !== undefined)
    return { manifestList: storePath(text(json['manifest-list'], 'manifest-list')) }
  const paths = list(json.manifests, 'manifest-list').map((path) => storePath(text(path, 'manifests')))
  return { manifestList: null, manifests: paths }
}

function optionalLong(json: Json, key: string, name: 'firstRowId' | 'addedRows'): Partial<Snapshot> {
  return json[key] === undefined || json[key] === null ? {} : { [name]: long(json[key], key) }
}

export function refToJson(ref: SnapshotRef): Json {
  return {
    'snapshot-id': ref.snapshotId,
    type: ref.type,
    ...(ref.minSnapshotsToKeep === undefined ? {} : { 'min-snapshots-to-keep': ref.minSnapshotsToKeep }),
    ...(ref.maxSnapshotAgeMs === undefined ? {} : { 'max-snapshot-age-ms': ref.maxSnapshotAgeMs }),
    ...(ref.maxRefAgeMs === undefined ? {} : { 'max-ref-age-ms': ref.maxRefAgeMs }),
  }
}

export function refFromJson(value: unknown): SnapshotRef {
  const json = object(value, 'a ref')
  const optional = (key: string, name: string) =>
    json[key] === undefined || json[key] === null ? {} : { [name]: number(json[key], key) }
  return {
    snapshotId: id(json['snapshot-id']),
    type: json.type === 'tag' ? 'tag' : 'branch',
    ...optional('min-snapshots-to-keep', 'minSnapshotsToKeep'),
    ...optional('max-snapshot-age-ms', 'maxSnapshotAgeMs'),
    ...optional('max-ref-age-ms', 'maxRefAgeMs'),
  }
}
