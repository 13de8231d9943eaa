import type { Branded } from '../base/index.ts'

/** A location as it stands in table metadata: a URI such as `file:///data/warehouse/silver/flight/data/x.parquet`, never percent-encoded. */
export type StorePath = Branded<'StorePath'>

export function storePath(uri: string): StorePath {
  return uri as StorePath
}

/** Bytes `[start, end)` of an object. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface ObjectInfo {
  readonly path: StorePath
  readonly bytes: number
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number
}

/** Local names for objects, held until disposed: leased files are never evicted. */
export interface FileLease extends AsyncDisposable {
  /** The local file for a leased path. */
  localOf(path: StorePath): string
  /** The leased path a local file stands for, or undefined. */
  pathOf(local: string): StorePath | undefined
}

export interface Cancel {
  readonly signal?: AbortSignal
}

/** How a file is written. */
export interface WriteOptions extends Cancel {
  /**
   * It is durable when `settle` returns, not before: for files that nobody knows of until a commit names them, because a
   * catalog settles the store before a pointer moves. Until then a power failure may leave less than the file. Default: false.
   */
  readonly later?: boolean
}

/**
 * The only door to bytes, for DuckDB too. `write` and `putFile` are durable when they return unless told `later`: file and
 * folder are synced before any commit can name the file. Errors: `storage/missing`, `storage/not-writable`, `storage/full`, `storage/failed`.
 */
export interface ObjectStore {
  /** Root location under which this store may write, without trailing slash. */
  readonly root: StorePath
  read(path: StorePath, range?: ByteRange, options?: Cancel): Promise<Uint8Array>
  write(
    path: StorePath,
    bytes: Uint8Array,
    options?: WriteOptions & { ifAbsent?: boolean },
  ): Promise<'written' | 'exists'>
  /** Moves a local file (made by `scratchFile`) to `path`. */
  putFile(local: string, path: StorePath, options?: WriteOptions): Promise<void>
  /** `putFile` for many files at once: synced in parallel, each folder once. All or an error; leftovers are orphans. */
  putFiles(
    files: readonly { readonly local: string; readonly path: StorePath }[],
    options?: WriteOptions,
  ): Promise<void>
  /** Makes durable what was written for later before it was called. Calls that meet share the work. */
  settle(): Promise<void>
  /**
   * Gives objects, which never change, a second place: without moving their bytes where the store can. Durable when it
   * returns; one that is there already stays. Deleting either place leaves the other. `copy`: two sets of bytes, whatever it
   * costs, so that damage to one is not damage to both.
   */
  linkFiles(
    files: readonly { readonly from: StorePath; readonly to: StorePath }[],
    options?: Cancel & { readonly copy?: boolean },
  ): Promise<void>
  /** A new local folder, on the store's own device where it is local, for files that will be put; disposing removes it. */
  scratch(options?: Cancel): Promise<AsyncDisposable & { readonly folder: string }>
  /** All or none. */
  lease(paths: readonly StorePath[], options?: Cancel): Promise<FileLease>
  stat(path: StorePath, options?: Cancel): Promise<ObjectInfo | null>
  /** In byte order of paths; a missing prefix is empty. */
  list(prefix: StorePath, options?: Cancel): AsyncIterable<ObjectInfo>
  /** Deleting what is not there is no error. */
  delete(paths: readonly StorePath[], options?: Cancel): Promise<void>
}
