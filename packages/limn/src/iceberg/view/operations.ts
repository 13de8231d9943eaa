import {
  type Clock,
  isTableId,
  LimnError,
  nearest,
  type Randomness,
  randomUuid,
  type TableId,
} from '../../base/index.ts'
import type { Schema } from '../../schema/index.ts'
import type { ObjectStore } from '../../storage/index.ts'
import type { Catalog } from '../spec/index.ts'
import type { LoadedView, ViewCatalog, ViewCommit, ViewRequirement, ViewUpdate, ViewVersion } from './types.ts'

/** What operations on views need; `lake.context()` has it. Names are `namespace.name`, lower case. */
export interface ViewContext {
  readonly catalog: Pick<Catalog, 'views'>
  readonly store: Pick<ObjectStore, 'root'>
  readonly clock: Clock
  readonly randomness: Randomness
  readonly signal?: AbortSignal
}

/** What a view is to be. */
export interface ViewDefinition {
  /** Names, types and documentation of the columns, in the order the queries put them out. */
  readonly schema: Schema
  /** One query for each dialect; all must mean the same. limn reads `duckdb`. */
  readonly representations: readonly { readonly dialect: string; readonly sql: string }[]
  /** Where single words in the queries are looked up. Default: the view's own namespace. */
  readonly defaultNamespace?: readonly string[]
  /** Default: the catalog that holds the view. */
  readonly defaultCatalog?: string
  /** Facts about the version, such as `engine-name`. Default: none. */
  readonly summary?: Readonly<Record<string, string>>
  /** Set on top of the properties a view has. */
  readonly properties?: Readonly<Record<string, string>>
}

/**
 * Creates a view, seen whole or not at all. `location` defaults to a folder of its own under the store's root. Throws
 * `usage/table-exists` when a view or a table has the name.
 */
export async function createView(
  context: ViewContext,
  name: string,
  definition: ViewDefinition,
  options: { readonly location?: string } = {},
): Promise<LoadedView> {
  const view = idOf(name)
  const unique = Buffer.from(context.randomness.bytes(4)).toString('hex')
  const outcome = await commit(context, {
    view,
    requirements: [{ type: 'assert-create' }],
    updates: [
      { action: 'assign-uuid', uuid: randomUuid(context.randomness) },
      { action: 'upgrade-format-version', formatVersion: 1 },
      {
        action: 'set-location',
        location: options.location ?? `${context.store.root}/${view.replace('.', '/')}-${unique}`,
      },
      ...definitionUpdates(context, view, definition),
    ],
  })
  if (outcome) return outcome
  throw nameTaken(view, 'view')
}

/** A view as it is now; null when there is none, also where a table has the name. */
export async function findView(
  context: Pick<ViewContext, 'catalog' | 'signal'>,
  name: string,
): Promise<LoadedView | null> {
  const view = idOf(name)
  return (await viewsOf(context.catalog).loadViews([view], cancel(context))).get(view) ?? null
}

/** A view as it is now. Throws `usage/unknown-view` with the nearest name. */
export async function loadView(context: Pick<ViewContext, 'catalog' | 'signal'>, name: string): Promise<LoadedView> {
  const view = idOf(name)
  const found = await findView(context, view)
  if (found) return found
  throw await unknownView(context, view)
}

/** Names of all views, or of those in one namespace, in byte order. */
export async function listViews(
  context: Pick<ViewContext, 'catalog' | 'signal'>,
  options: { readonly namespace?: string } = {},
): Promise<readonly TableId[]> {
  const all = await viewsOf(context.catalog).listViews(cancel(context))
  const { namespace } = options
  return namespace === undefined ? all : all.filter((id) => id.startsWith(`${namespace}.`))
}

/**
 * Gives a view a new current version; an equal one that is kept becomes current again. Definitions in other dialects are
 * added by giving them along: `representations` are all the version has. Others may change the view meanwhile: the new
 * version comes after theirs. Throws `usage/unknown-view`, and `table/unsafe-change` when a dialect would be lost without
 * the property `replace.drop-dialect.allowed`.
 */
export function replaceView(context: ViewContext, view: string, definition: ViewDefinition): Promise<LoadedView> {
  return change(context, view, (now) => definitionUpdates(context, now.view, definition))
}

/**
 * Makes a former version current again. Throws `usage/argument` when the view does not keep it, and `table/unsafe-change`
 * as `replaceView` does.
 */
export function rollbackView(context: ViewContext, view: string, versionId: number): Promise<LoadedView> {
  return change(context, view, ({ metadata }) => {
    if (metadata.versions.some((one) => one.versionId === versionId))
      return [{ action: 'set-current-view-version', versionId }]
    throw new LimnError('usage/argument', {
      message: `${view} keeps no version ${versionId}.`,
      notDone: 'The view is unchanged.',
      remedy: `It keeps: ${metadata.versions.map((one) => one.versionId).join(', ')}.`,
    })
  })
}

/** Sets and removes properties; a key in both is set. The version stays. Throws `usage/unknown-view`. */
export function alterViewProperties(
  context: ViewContext,
  view: string,
  changes: { readonly set?: Readonly<Record<string, string>>; readonly remove?: readonly string[] },
): Promise<LoadedView> {
  const updates: ViewUpdate[] = []
  if (changes.remove?.length) updates.push({ action: 'remove-properties', removals: changes.remove })
  if (changes.set) updates.push({ action: 'set-properties', updates: changes.set })
  return change(context, view, () => updates)
}

/** Takes a view's name away; its metadata files stay. False: there was no such view. */
export async function dropView(context: Pick<ViewContext, 'catalog' | 'signal'>, view: string): Promise<boolean> {
  return viewsOf(context.catalog).dropView(idOf(view), cancel(context))
}

/**
 * Gives a view another name; views that name it are not changed. Throws `usage/unknown-view`, and `usage/table-exists`
 * when a view or table has the new name.
 */
export async function renameView(
  context: Pick<ViewContext, 'catalog' | 'signal'>,
  from: string,
  to: string,
): Promise<void> {
  const view = idOf(from)
  if (await viewsOf(context.catalog).renameView(view, idOf(to), cancel(context))) return
  throw await unknownView(context, view)
}

/** A name as an id. */
function idOf(name: string): TableId {
  if (isTableId(name)) return name
  throw new LimnError('usage/argument', {
    message: `"${name}" names no view.`,
    notDone: 'Nothing was run.',
    remedy: 'Write namespace.name in lower-case letters, digits and underscores, for example gold.recent.',
  })
}

/** The views of a catalog. Throws `iceberg/unsupported` where it holds none. */
export function viewsOf(catalog: Pick<Catalog, 'views'>): ViewCatalog {
  if (catalog.views) return catalog.views
  throw new LimnError('iceberg/unsupported', {
    message: 'This catalog holds no views.',
    notDone: 'Nothing was changed.',
  })
}

/** A name that a view or table cannot be given: something has it. */
export function nameTaken(name: TableId, by: 'view' | 'table'): LimnError {
  return new LimnError('usage/table-exists', {
    message: `There is a ${by} ${name} already; tables and views share their names.`,
    notDone: 'Nothing was changed.',
    remedy: 'Choose another name, or drop or rename what has this one.',
  })
}

async function unknownView(context: Pick<ViewContext, 'catalog' | 'signal'>, view: TableId): Promise<LimnError> {
  const close = nearest(view, await listViews(context))
  return new LimnError('usage/unknown-view', {
    message: `There is no view ${view}.`,
    notDone: 'Nothing was run.',
    remedy: close ? `Did you mean ${close}?` : "List the views with: limn sql 'SHOW VIEWS'",
  })
}

function definitionUpdates(
  context: ViewContext,
  view: TableId,
  { properties, ...definition }: ViewDefinition,
): readonly ViewUpdate[] {
  if (definition.representations.length === 0)
    throw new LimnError('usage/argument', {
      message: `${view} has no query.`,
      notDone: 'Nothing was changed.',
      remedy: 'Give one for at least one dialect.',
    })
  const version: ViewVersion = {
    versionId: 1,
    schemaId: -1,
    timestampMs: context.clock.nowMs(),
    summary: definition.summary ?? {},
    representations: definition.representations.map((one) => ({ type: 'sql', ...one })),
    defaultCatalog: definition.defaultCatalog ?? null,
    defaultNamespace: definition.defaultNamespace ?? [view.slice(0, view.indexOf('.'))],
  }
  return [
    ...(properties && Object.keys(properties).length > 0
      ? [{ action: 'set-properties', updates: properties } as const]
      : []),
    { action: 'add-schema', schema: definition.schema },
    { action: 'add-view-version', version },
    { action: 'set-current-view-version', versionId: -1 },
  ]
}

async function change(
  context: ViewContext,
  name: string,
  updatesOf: (now: LoadedView) => readonly ViewUpdate[],
): Promise<LoadedView> {
  const now = await loadView(context, name)
  const { view } = now
  const requirements: readonly ViewRequirement[] = [{ type: 'assert-view-uuid', uuid: now.metadata.viewUuid }]
  const changed = await commit(context, { view, requirements, updates: updatesOf(now) })
  if (changed) return changed
  throw conflict(view, 'it was dropped, or replaced by another of its name')
}

/** Null: a requirement does not hold. */
async function commit(context: ViewContext, change: ViewCommit): Promise<LoadedView | null> {
  const timestampMs = context.clock.nowMs()
  const outcome = await viewsOf(context.catalog).commitView(change, { timestampMs, ...cancel(context) })
  switch (outcome.kind) {
    case 'committed':
      return outcome.view
    case 'conflict':
      if (outcome.requirement.type === 'pointer-moved') throw conflict(change.view, 'others kept changing it')
      return null
    case 'unknown':
      throw new LimnError('catalog/unknown-outcome', {
        message: `Whether ${change.view} changed is not known: the catalog failed while committing.`,
        notDone: 'Nothing more was done.',
        remedy: 'Look at the view, and repeat the change if it did not happen.',
        cause: outcome.cause,
      })
  }
}

function conflict(view: TableId, why: string): LimnError {
  return new LimnError('catalog/conflict', {
    message: `${view} could not be changed: ${why}.`,
    notDone: 'Nothing was changed.',
    remedy: 'Try again.',
    retryable: true,
  })
}

function cancel({ signal }: { readonly signal?: AbortSignal }): { readonly signal?: AbortSignal } {
  return signal ? { signal } : {}
}
