import { gunzipSync } from 'node:zlib'
import { LimnError } from '../../base/index.ts'
import { parseJson, stringifyJson } from '../../encoding/index.ts'
import { type Schema, schemaFromJson, schemaToJson } from '../../schema/index.ts'
import type { ViewLogEntry, ViewMetadata, ViewRepresentation, ViewVersion } from './types.ts'
import { invalidView, type Json, list, maybeText, object, text, texts, whole } from './wire.ts'

/** A view's metadata as a file (view specification, "View Metadata"). */
export function encodeViewMetadata(metadata: ViewMetadata): Uint8Array {
  return Buffer.from(stringifyJson(viewMetadataToJson(metadata)))
}

/** No metadata file of a view inflates to more. */
const inflatedBytesMax = 64 * 1024 * 1024

/**
 * Reads a view's metadata file, gzipped or not. Throws `iceberg/invalid-metadata` when something required is missing or
 * does not fit together (a current version or its schema that is not there, an id given twice, two queries of one
 * dialect), `iceberg/unsupported` for another format version than 1. Members and representations that limn does not know
 * are kept.
 */
export function decodeViewMetadata(bytes: Uint8Array): ViewMetadata {
  try {
    const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b
    const plain = gzipped ? gunzipSync(bytes, { maxOutputLength: inflatedBytesMax }) : bytes
    return viewMetadataFromJson(parseJson(Buffer.from(plain).toString('utf8')))
  } catch (cause) {
    if (cause instanceof LimnError) throw cause
    throw invalidView(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

const known: ReadonlySet<string> = new Set([
  'view-uuid',
  'format-version',
  'location',
  'schemas',
  'current-version-id',
  'versions',
  'version-log',
  'properties',
])

export function viewMetadataToJson(metadata: ViewMetadata): Json {
  return {
    'view-uuid': metadata.viewUuid,
    'format-version': metadata.formatVersion,
    location: metadata.location,
    properties: metadata.properties,
    schemas: metadata.schemas.map(schemaToJson),
    'current-version-id': metadata.currentVersionId,
    versions: metadata.versions.map(viewVersionToJson),
    'version-log': metadata.versionLog.map((entry) => ({
      'timestamp-ms': entry.timestampMs,
      'version-id': entry.versionId,
    })),
    ...metadata.others,
  }
}

/** Throws as `decodeViewMetadata`. */
export function viewMetadataFromJson(value: unknown): ViewMetadata {
  const json = object(value, 'the file')
  const formatVersion = whole(json['format-version'], 'format-version')
  if (formatVersion !== 1)
    throw new LimnError('iceberg/unsupported', {
      message: `The view has view format version ${formatVersion}; limn reads 1.`,
      notDone: 'The view was not read.',
    })
  const others = Object.fromEntries(Object.entries(json).filter(([key]) => !known.has(key)))
  const metadata: ViewMetadata = {
    viewUuid: text(json['view-uuid'], 'view-uuid'),
    formatVersion: 1,
    location: text(json.location, 'location'),
    schemas: list(json.schemas, 'schemas').map(viewSchemaFromJson),
    currentVersionId: whole(json['current-version-id'], 'current-version-id'),
    versions: list(json.versions, 'versions').map(viewVersionFromJson),
    versionLog: list(json['version-log'], 'version-log').map(logEntryFromJson),
    properties: texts(json.properties ?? {}, 'properties'),
    ...(Object.keys(others).length > 0 ? { others } : {}),
  }
  requireWholeView(metadata, invalidView)
  return metadata
}

/**
 * What a view names it must hold. Schemas that only former versions name may be gone: nothing reads them before such a
 * version is current again.
 */
export function requireWholeView(metadata: ViewMetadata, fail: (why: string) => LimnError): void {
  if (metadata.viewUuid === '') throw fail('it has no uuid')
  if (metadata.location === '') throw fail('it has no location')
  requireDistinct(
    metadata.schemas.map((one) => one.schemaId),
    (id) => fail(`there are two schemas ${id}`),
  )
  requireDistinct(
    metadata.versions.map((one) => one.versionId),
    (id) => fail(`there are two versions ${id}`),
  )
  for (const version of metadata.versions)
    requireDistinct(dialectsOf(version), (dialect) =>
      fail(`version ${version.versionId} has two queries of the dialect ${dialect}`),
    )
  const current = metadata.versions.find((one) => one.versionId === metadata.currentVersionId)
  if (!current) throw fail(`its current version ${metadata.currentVersionId} is not among its versions`)
  if (!metadata.schemas.some((one) => one.schemaId === current.schemaId))
    throw fail(`the schema ${current.schemaId} of its current version is not among its schemas`)
}

function requireDistinct<T>(values: readonly T[], fail: (value: T) => LimnError): void {
  const seen = new Set<T>()
  for (const value of values) {
    if (seen.has(value)) throw fail(value)
    seen.add(value)
  }
}

/** The dialects of a version's queries, in lower case, in order. */
export function dialectsOf(version: Pick<ViewVersion, 'representations'>): readonly string[] {
  return version.representations.flatMap((one) => (one.type === 'sql' ? [one.dialect.toLowerCase()] : []))
}

/** A schema whose columns have each a name and an id of their own. */
function viewSchemaFromJson(value: unknown): Schema {
  const schema = schemaFromJson(value)
  requireDistinct(
    schema.fields.map((field) => field.name),
    (name) => invalidView(`its schema ${schema.schemaId} has two columns ${name}`),
  )
  requireDistinct(
    schema.fields.map((field) => field.id),
    (id) => invalidView(`its schema ${schema.schemaId} has two columns of the id ${id}`),
  )
  return schema
}

export function viewVersionToJson(version: ViewVersion): Json {
  return {
    'version-id': version.versionId,
    'timestamp-ms': version.timestampMs,
    'schema-id': version.schemaId,
    summary: version.summary,
    ...(version.defaultCatalog === null ? {} : { 'default-catalog': version.defaultCatalog }),
    'default-namespace': version.defaultNamespace,
    representations: version.representations.map((one) =>
      one.type === 'sql' ? { type: 'sql', sql: one.sql, dialect: one.dialect } : one.json,
    ),
  }
}

/** Throws `iceberg/invalid-metadata`. */
export function viewVersionFromJson(value: unknown): ViewVersion {
  const json = object(value, 'a version')
  return {
    versionId: whole(json['version-id'], 'version-id'),
    schemaId: whole(json['schema-id'], 'schema-id'),
    timestampMs: whole(json['timestamp-ms'], 'timestamp-ms'),
    summary: texts(json.summary, 'summary'),
    representations: list(json.representations, 'representations').map(representationFromJson),
    defaultCatalog: maybeText(json['default-catalog'], 'default-catalog'),
    defaultNamespace: list(json['default-namespace'], 'default-namespace').map((one) =>
      text(one, 'a level of default-namespace'),
    ),
  }
}

function representationFromJson(value: unknown): ViewRepresentation {
  const json = object(value, 'a representation')
  if (text(json.type, 'the type of a representation') !== 'sql') return { type: 'other', json }
  const sql = text(json.sql, 'sql')
  const dialect = text(json.dialect, 'dialect')
  if (sql.trim() === '') throw invalidView('a query is empty')
  if (dialect === '') throw invalidView('a query names no dialect')
  return { type: 'sql', sql, dialect }
}

function logEntryFromJson(value: unknown): ViewLogEntry {
  const json = object(value, 'an entry of version-log')
  return {
    timestampMs: whole(json['timestamp-ms'], 'timestamp-ms'),
    versionId: whole(json['version-id'], 'version-id'),
  }
}
