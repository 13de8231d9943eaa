import type { ObjectStore, StorePath } from '../../storage/index.ts'
import { decodeManifest, scanManifest } from '../spec/manifest.ts'
import { decodeManifestList, inlineManifest } from '../spec/manifest-list.ts'
import type { ManifestEntry, ManifestFile, Snapshot } from '../spec/types.ts'

/** Files whose bytes are held for their first reader, and how large one of them may be. */
const writtenMax = 64
const writtenBytesMax = 64 * 1024

/** `statistics: false`: those of the entries are not wanted (they can be there all the same). */
export type EntryScan = (options?: { readonly statistics?: boolean }) => Iterable<ManifestEntry>

/**
 * Reads manifest lists and manifests, which never change, and keeps the latest decoded ones: as many as have
 * `entriesMax` rows together (default 20 000). A manifest with more rows than that is decoded anew each time.
 */
export class ManifestReader {
  private readonly store: Pick<ObjectStore, 'read'>
  private readonly max: number
  private readonly cache = new Map<string, { readonly rows: readonly unknown[] }>()
  private kept = 0
  /** The bytes of files written a moment ago, which are read next as a rule. */
  private readonly written = new Map<StorePath, Uint8Array>()

  constructor(store: Pick<ObjectStore, 'read'>, options: { readonly entriesMax?: number } = {}) {
    this.store = store
    this.max = options.entriesMax ?? 20_000
  }

  /** The file at a path has these bytes: it was just written, and need not be read. */
  remember(path: StorePath, bytes: Uint8Array): void {
    for (const [oldest] of this.written) {
      if (this.written.size < writtenMax) break
      this.written.delete(oldest)
    }
    if (bytes.length <= writtenBytesMax) this.written.set(path, bytes)
  }

  private read(path: StorePath, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const bytes = this.written.get(path)
    if (bytes === undefined) return this.store.read(path, undefined, signal ? { signal } : {})
    this.written.delete(path)
    return Promise.resolve(bytes)
  }

  /** The manifests of a snapshot, in the list's order. */
  async manifestsOf(snapshot: Snapshot, signal?: AbortSignal): Promise<readonly ManifestFile[]> {
    const { manifestList, manifests } = snapshot
    if (manifestList === null) {
      const inline = (manifests ?? []).map((path) =>
        this.cached(`list of ${path}`, true, async () => [
          inlineManifest(await this.read(path, signal), path, snapshot.snapshotId),
        ]),
      )
      return (await Promise.all(inline)).flat()
    }
    return this.cached(manifestList, true, async () => decodeManifestList(await this.read(manifestList, signal)))
  }

  /**
   * All entries of a manifest, deleted ones included. `keep: false` for one of more manifests than can be kept: reading
   * them would push out everything else, and then each other.
   */
  entriesOf(
    manifest: ManifestFile,
    signal?: AbortSignal,
    { keep = true }: { readonly keep?: boolean } = {},
  ): Promise<readonly ManifestEntry[]> {
    return this.cached(
      entriesKey(manifest),
      keep,
      async () => decodeManifest(await this.read(manifest.path, signal), manifest).entries,
    )
  }

  /**
   * The entries of a manifest, decoded as they are taken: for work over all files of a table, which would not fit. They
   * are not kept, unless they are already. Each call of what is returned begins anew.
   */
  async scan(manifest: ManifestFile, signal?: AbortSignal): Promise<EntryScan> {
    const known = this.cache.get(entriesKey(manifest))
    if (known !== undefined) return () => known.rows as readonly ManifestEntry[]
    const bytes = await this.read(manifest.path, signal)
    return (options) => scanManifest(bytes, manifest, options).entries
  }

  /** Whether the entries of these manifests can be kept together. */
  canKeep(manifests: readonly ManifestFile[]): boolean {
    let rows = 0
    for (const one of manifests) rows += one.addedFilesCount + one.existingFilesCount + one.deletedFilesCount
    return rows <= this.max
  }

  private async cached<T>(path: string, keep: boolean, load: () => Promise<readonly T[]>): Promise<readonly T[]> {
    const known = this.cache.get(path)
    if (known !== undefined) return known.rows as readonly T[]
    const rows = await load()
    if (!keep || rows.length > this.max || this.cache.has(path)) return rows
    for (const [oldest, { rows: gone }] of this.cache) {
      if (this.kept + rows.length + 1 <= this.max) break
      this.cache.delete(oldest)
      this.kept -= gone.length + 1
    }
    this.cache.set(path, { rows })
    // An empty list takes room too.
    this.kept += rows.length + 1
    return rows
  }
}

/** What entries inherit is part of them, and a list of before an upgrade to version 3 gives no row ids to inherit. */
function entriesKey(manifest: ManifestFile): string {
  return manifest.firstRowId === undefined ? manifest.path : `${manifest.path} ${manifest.firstRowId}`
}
