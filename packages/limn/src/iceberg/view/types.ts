import type { TableId } from '../../base/index.ts'
import type { Schema } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'

/** How a version of a view says what it is ("Representations"). */
export type ViewRepresentation =
  /** A SELECT in one dialect; the dialect's case is ignored. */
  | { readonly type: 'sql'; readonly sql: string; readonly dialect: string }
  /** Of a type this version of the specification does not know: kept as it was read. */
  | { readonly type: 'other'; readonly json: Readonly<Record<string, unknown>> }

/** One definition of a view. Immutable: whatever changes is a new version. */
export interface ViewVersion {
  readonly versionId: number
  readonly schemaId: number
  /** When it was made; milliseconds since 1970. */
  readonly timestampMs: number
  readonly summary: Readonly<Record<string, string>>
  readonly representations: readonly ViewRepresentation[]
  /** The catalog of names that spell none; null: the one that holds the view. */
  readonly defaultCatalog: string | null
  /** The namespace of names that are a single word, level by level. */
  readonly defaultNamespace: readonly string[]
}

export interface ViewLogEntry {
  readonly timestampMs: number
  readonly versionId: number
}

/** A view's metadata, format version 1. */
export interface ViewMetadata {
  readonly viewUuid: string
  readonly formatVersion: 1
  readonly location: string
  readonly schemas: readonly Schema[]
  readonly currentVersionId: number
  readonly versions: readonly ViewVersion[]
  /** Every change of the current version, oldest first. */
  readonly versionLog: readonly ViewLogEntry[]
  readonly properties: Readonly<Record<string, string>>
  /** Members of the file that limn does not know, kept. */
  readonly others?: Readonly<Record<string, unknown>>
}

/** Changes of a view's metadata, by the names of the REST catalog (ViewUpdate). */
export type ViewUpdate =
  | { readonly action: 'assign-uuid'; readonly uuid: string }
  | { readonly action: 'upgrade-format-version'; readonly formatVersion: 1 }
  | { readonly action: 'add-schema'; readonly schema: Schema }
  | { readonly action: 'set-location'; readonly location: string }
  | { readonly action: 'set-properties'; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: 'remove-properties'; readonly removals: readonly string[] }
  /** A schema id of -1 is the schema added last. */
  | { readonly action: 'add-view-version'; readonly version: ViewVersion }
  /** -1 is the version added last. */
  | { readonly action: 'set-current-view-version'; readonly versionId: number }

/** What must hold of a view when its pointer moves. `assert-create`: nothing has the name yet. */
export type ViewRequirement =
  | { readonly type: 'assert-create' }
  | { readonly type: 'assert-view-uuid'; readonly uuid: string }

export interface LoadedView {
  readonly view: TableId
  readonly metadataLocation: StorePath
  readonly metadata: ViewMetadata
}

export interface ViewCommit {
  readonly view: TableId
  readonly requirements: readonly ViewRequirement[]
  readonly updates: readonly ViewUpdate[]
}

export type ViewCommitOutcome =
  | { readonly kind: 'committed'; readonly view: LoadedView }
  | { readonly kind: 'conflict'; readonly requirement: ViewRequirement | { readonly type: 'pointer-moved' } }
  /** The catalog may or may not have committed: load the view to see. */
  | { readonly kind: 'unknown'; readonly cause: unknown }

interface Cancel {
  readonly signal?: AbortSignal
}

/** Views of a catalog. A view and a table never share a name. `catalog/` implements it. */
export interface ViewCatalog {
  /** The catalog's own name, as versions of views and SQL may spell it. */
  readonly name: string
  /** Every view, in byte order of ids. */
  listViews(options?: Cancel): Promise<readonly TableId[]>
  /** Null for a view that does not exist, also where a table has the name. Pointers are of one instant. */
  loadViews(ids: readonly TableId[], options?: Cancel): Promise<ReadonlyMap<TableId, LoadedView | null>>
  /**
   * Applies a change to the metadata the view has when its pointer moves: compare and swap, tried again while the
   * requirements hold. Throws `usage/table-exists` when a table has the name.
   */
  commitView(change: ViewCommit, options: { readonly timestampMs: number } & Cancel): Promise<ViewCommitOutcome>
  /** Takes the name away; metadata files stay. False: there was no such view. */
  dropView(view: TableId, options?: Cancel): Promise<boolean>
  /** Gives a view another name. False: there is no such view. Throws `usage/table-exists` when `to` is taken. */
  renameView(from: TableId, to: TableId, options?: Cancel): Promise<boolean>
}
