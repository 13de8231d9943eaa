import { isDeepStrictEqual } from 'node:util'
import { LimnError, unreachable } from '../../base/index.ts'
import { type Schema, sameFields } from '../../schema/index.ts'
import { dialectsOf, requireWholeView } from './metadata-json.ts'
import type { ViewMetadata, ViewRequirement, ViewUpdate, ViewVersion } from './types.ts'

/** Names of properties that views heed. */
export const viewProperties = {
  /** Versions that are kept, at least 1. Default 10. */
  historyEntries: 'version.history.num-entries',
  /** `true`: a new version may leave out a dialect that the one before it had. Default `false`. */
  dropDialectAllowed: 'replace.drop-dialect.allowed',
  comment: 'comment',
} as const

const historyEntriesDefault = 10

/** The first requirement that does not hold, or null. `base` is null where there is no view. */
export function checkViewRequirements(
  base: ViewMetadata | null,
  requirements: readonly ViewRequirement[],
): ViewRequirement | null {
  const holds = (one: ViewRequirement): boolean => {
    switch (one.type) {
      case 'assert-create':
        return base === null
      case 'assert-view-uuid':
        return base?.viewUuid.toLowerCase() === one.uuid.toLowerCase()
      default:
        return unreachable(one)
    }
  }
  return requirements.find((one) => !holds(one)) ?? null
}

/** The last added ids of one list of updates, which -1 stands for, and all versions it added. */
interface Added {
  schemaId: number | null
  versionId: number | null
  readonly versions: Set<number>
}

const emptyView: ViewMetadata = {
  viewUuid: '',
  formatVersion: 1,
  location: '',
  schemas: [],
  currentVersionId: -1,
  versions: [],
  versionLog: [],
  properties: {},
}

/**
 * Applies updates in order to a view's metadata (null: a new view), as the view specification and Java's builder do.
 * Pure; all or nothing. A schema or version equal to one that is there is that one: nothing is added, and its id is used.
 * The version log tells the last change of the current version; versions beyond `version.history.num-entries` go, oldest
 * first, never the current one nor one added here, and with them the log up to where it names them. A new version's id is
 * above those of all that are kept; one that was given to a version long gone may be given again, as Java does.
 *
 * Throws `table/unsafe-change` when the current version would lose a dialect without `replace.drop-dialect.allowed`,
 * `usage/argument` for a history that keeps nothing, `iceberg/invalid-metadata` for what would damage the view.
 */
export function applyViewUpdates(
  base: ViewMetadata | null,
  updates: readonly ViewUpdate[],
  options: { readonly timestampMs: number },
): ViewMetadata {
  const added: Added = { schemaId: null, versionId: null, versions: new Set() }
  let metadata = base ?? emptyView
  for (const update of updates) metadata = applyOne(metadata, update, added)
  const logged = withLogEntry(metadata, base, added, options.timestampMs)
  requireWholeView(logged, refused)
  requireDialects(base, logged)
  return withoutOldVersions(logged, added)
}

function refused(why: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The change would damage the view: ${why}.`,
    notDone: 'The view is unchanged.',
  })
}

function applyOne(metadata: ViewMetadata, update: ViewUpdate, added: Added): ViewMetadata {
  switch (update.action) {
    case 'assign-uuid':
      if (metadata.viewUuid !== '' && metadata.viewUuid !== update.uuid) throw refused('its uuid would change')
      return { ...metadata, viewUuid: update.uuid }
    case 'upgrade-format-version':
      return metadata
    case 'add-schema': {
      const { schemas, schemaId } = addSchema(metadata.schemas, update.schema)
      added.schemaId = schemaId
      return { ...metadata, schemas }
    }
    case 'set-location':
      return { ...metadata, location: update.location }
    case 'set-properties':
      return { ...metadata, properties: { ...metadata.properties, ...update.updates } }
    case 'remove-properties': {
      const gone = new Set(update.removals)
      const kept = Object.entries(metadata.properties).filter(([key]) => !gone.has(key))
      return { ...metadata, properties: Object.fromEntries(kept) }
    }
    case 'add-view-version':
      return addVersion(metadata, update.version, added)
    case 'set-current-view-version': {
      const versionId = update.versionId === -1 ? added.versionId : update.versionId
      if (versionId === null) throw refused('the last added version is asked for, and none was added')
      return { ...metadata, currentVersionId: versionId }
    }
    default:
      return unreachable(update)
  }
}

function addSchema(schemas: readonly Schema[], schema: Schema) {
  const same = schemas.find((one) => sameFields(one, schema))
  if (same) return { schemas, schemaId: same.schemaId }
  const schemaId = schemas.reduce((next, one) => Math.max(next, one.schemaId + 1), 0)
  return { schemas: [...schemas, { ...schema, schemaId }], schemaId }
}

function addVersion(metadata: ViewMetadata, given: ViewVersion, added: Added): ViewMetadata {
  const schemaId = given.schemaId === -1 ? added.schemaId : given.schemaId
  if (schemaId === null) throw refused('a version asks for the last added schema, and none was added')
  if (!metadata.schemas.some((one) => one.schemaId === schemaId))
    throw refused(`version ${given.versionId} has the schema ${schemaId}, which the view does not have`)
  const same = metadata.versions.find((one) => behavesAs(one, { ...given, schemaId }))
  const versionId =
    same?.versionId ?? metadata.versions.reduce((next, one) => Math.max(next, one.versionId + 1), given.versionId)
  added.versionId = versionId
  if (same) return metadata
  added.versions.add(versionId)
  return { ...metadata, versions: [...metadata.versions, { ...given, versionId, schemaId }] }
}

/** Equal but for the id and the time. */
function behavesAs(one: ViewVersion, other: ViewVersion): boolean {
  return isDeepStrictEqual({ ...one, versionId: 0, timestampMs: 0 }, { ...other, versionId: 0, timestampMs: 0 })
}

/** A version added now is logged with its own time, one that comes back with the time of the commit. */
function withLogEntry(
  metadata: ViewMetadata,
  base: ViewMetadata | null,
  added: Added,
  timestampMs: number,
): ViewMetadata {
  const versionId = metadata.currentVersionId
  if (versionId === (base?.currentVersionId ?? null)) return metadata
  const version = metadata.versions.find((one) => one.versionId === versionId)
  const entry = {
    versionId,
    timestampMs: version && added.versions.has(versionId) ? version.timestampMs : timestampMs,
  }
  return { ...metadata, versionLog: [...metadata.versionLog, entry] }
}

function requireDialects(base: ViewMetadata | null, metadata: ViewMetadata): void {
  if (!base || metadata.properties[viewProperties.dropDialectAllowed]?.toLowerCase() === 'true') return
  const kept = new Set(dialectsOf(currentViewVersion(metadata)))
  const lost = dialectsOf(currentViewVersion(base)).filter((dialect) => !kept.has(dialect))
  if (lost.length === 0) return
  throw new LimnError('table/unsafe-change', {
    message: `The view would lose its definition in ${lost.join(', ')}: the new version is in ${[...kept].join(', ') || 'no dialect'}.`,
    notDone: 'The view is unchanged.',
    remedy: `Give a query for every dialect (replaceView), or allow it: SET TBLPROPERTIES ('${viewProperties.dropDialectAllowed}' = 'true').`,
    context: { lost, kept: [...kept] },
  })
}

/** Versions a view keeps. Throws `usage/argument` for a property that is no positive whole number. */
export function historyEntriesOf(properties: ViewMetadata['properties']): number {
  const given = properties[viewProperties.historyEntries]
  if (given === undefined) return historyEntriesDefault
  const count = Number(given)
  if (given.trim() !== '' && Number.isSafeInteger(count) && count > 0) return count
  throw new LimnError('usage/argument', {
    message: `The property ${viewProperties.historyEntries} is ${JSON.stringify(given)}, not a positive whole number.`,
    notDone: 'The view is unchanged.',
    remedy: `Set it to how many versions are to be kept: SET TBLPROPERTIES ('${viewProperties.historyEntries}' = '10').`,
  })
}

function withoutOldVersions(metadata: ViewMetadata, added: Added): ViewMetadata {
  const { currentVersionId } = metadata
  const fixed = new Set([...added.versions, currentVersionId])
  const keep = Math.max(fixed.size, historyEntriesOf(metadata.properties))
  if (metadata.versions.length <= keep) return metadata
  // Ids are given in order: the highest are the latest. What must stay comes first.
  const ranked = metadata.versions
    .map((one) => one.versionId)
    .sort((a, b) => Number(fixed.has(b)) - Number(fixed.has(a)) || b - a)
  const kept = new Set(ranked.slice(0, keep))
  const gap = metadata.versionLog.findLastIndex((entry) => !kept.has(entry.versionId))
  return {
    ...metadata,
    versions: metadata.versions.filter((one) => kept.has(one.versionId)),
    versionLog: metadata.versionLog.slice(gap + 1),
  }
}

/** The version a view has now. Throws `iceberg/invalid-metadata`, which no decoded view does. */
export function currentViewVersion(metadata: ViewMetadata): ViewVersion {
  const version = metadata.versions.find((one) => one.versionId === metadata.currentVersionId)
  if (!version) throw refused(`its current version ${metadata.currentVersionId} is not among its versions`)
  return version
}

/** The schema of a version. Throws `iceberg/invalid-metadata` when a former version's is gone. */
export function schemaOfViewVersion(metadata: ViewMetadata, version: ViewVersion): Schema {
  const schema = metadata.schemas.find((one) => one.schemaId === version.schemaId)
  if (!schema) throw refused(`the schema ${version.schemaId} of version ${version.versionId} is gone`)
  return schema
}
