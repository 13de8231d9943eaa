import { LimnError, unreachable } from '../../base/index.ts'
import { schemaFromJson, schemaToJson } from '../../schema/index.ts'
import { viewMetadataFromJson, viewMetadataToJson, viewVersionFromJson, viewVersionToJson } from './metadata-json.ts'
import type { LoadedView, ViewMetadata, ViewRequirement, ViewUpdate } from './types.ts'
import { type Json, list, object, text, texts, whole } from './wire.ts'

/** Views as the REST catalog spells them: updates, requirements (`CommitViewRequest`) and `LoadViewResult`. */
export function viewUpdatesToJson(updates: readonly ViewUpdate[]): readonly Json[] {
  return updates.map(updateToJson)
}

/** Throws `iceberg/unsupported` for an action that views do not have, `iceberg/invalid-metadata` for what is malformed. */
export function viewUpdatesFromJson(json: unknown): readonly ViewUpdate[] {
  return list(json, 'updates').map(updateFromJson)
}

/** Without `assert-create`: creating a view is a request of its own there. */
export function viewRequirementsToJson(requirements: readonly ViewRequirement[]): readonly Json[] {
  return requirements.flatMap((one) => (one.type === 'assert-create' ? [] : [{ type: one.type, uuid: one.uuid }]))
}

/** Throws `iceberg/unsupported` for a requirement limn does not know: one that is not checked must not pass. */
export function viewRequirementsFromJson(json: unknown): readonly ViewRequirement[] {
  return list(json, 'requirements').map((value) => {
    const one = object(value, 'a requirement')
    if (one.type === 'assert-view-uuid') return { type: one.type, uuid: text(one.uuid, 'uuid') }
    throw unsupported(`The requirement ${String(one.type)}`)
  })
}

export function loadViewResultToJson(loaded: Pick<LoadedView, 'metadataLocation' | 'metadata'>): Json {
  return { 'metadata-location': loaded.metadataLocation, metadata: viewMetadataToJson(loaded.metadata) }
}

/** Throws as `decodeViewMetadata`. */
export function loadViewResultFromJson(value: unknown): {
  readonly metadataLocation: string
  readonly metadata: ViewMetadata
} {
  const json = object(value, 'the result')
  return {
    metadataLocation: text(json['metadata-location'], 'metadata-location'),
    metadata: viewMetadataFromJson(json.metadata),
  }
}

function updateToJson(update: ViewUpdate): Json {
  const { action } = update
  switch (action) {
    case 'assign-uuid':
      return { action, uuid: update.uuid }
    case 'upgrade-format-version':
      return { action, 'format-version': update.formatVersion }
    case 'add-schema':
      return { action, schema: schemaToJson(update.schema) }
    case 'set-location':
      return { action, location: update.location }
    case 'set-properties':
      return { action, updates: update.updates }
    case 'remove-properties':
      return { action, removals: update.removals }
    case 'add-view-version':
      return { action, 'view-version': viewVersionToJson(update.version) }
    case 'set-current-view-version':
      return { action, 'view-version-id': update.versionId }
    default:
      return unreachable(update)
  }
}

function updateFromJson(value: unknown): ViewUpdate {
  const json = object(value, 'an update')
  const action = text(json.action, 'action') as ViewUpdate['action']
  switch (action) {
    case 'assign-uuid':
      return { action, uuid: text(json.uuid, 'uuid') }
    case 'upgrade-format-version': {
      const formatVersion = whole(json['format-version'], 'format-version')
      if (formatVersion !== 1) throw unsupported(`View format version ${formatVersion}`)
      return { action, formatVersion }
    }
    case 'add-schema':
      return { action, schema: schemaFromJson(json.schema) }
    case 'set-location':
      return { action, location: text(json.location, 'location') }
    case 'set-properties':
      return { action, updates: texts(json.updates, 'updates') }
    case 'remove-properties':
      return { action, removals: list(json.removals, 'removals').map((one) => text(one, 'a removal')) }
    case 'add-view-version':
      return { action, version: viewVersionFromJson(json['view-version']) }
    case 'set-current-view-version':
      return { action, versionId: whole(json['view-version-id'], 'view-version-id') }
    default:
      throw unsupported(`The update ${String(action)} of a view`)
  }
}

function unsupported(what: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `${what} is not known to limn.`,
    notDone: 'Nothing was changed.',
  })
}
