import type { ObjectStore } from '../../storage/index.ts'
import { decodeManifest, decodeManifestList, inlineManifest } from '../spec/manifest.ts'
import type { ManifestEntry, ManifestFile, Snapshot } from '../spec/types.ts'

/** Reads manifest lists and manifests, which never change, and keeps the latest decoded ones. */
export class ManifestReader {
  private readonly store: ObjectStore
  private readonly max: number
  private readonly cache = new Map<string, unknown>()

  constructor(store: ObjectStore, options: { readonly entriesMax?: number } = {}) {
    this.store = store
    this.max = options.entriesMax ?? 2000
  }

  /** The manifests of a snapshot, in the list's order. */
  manifestsOf(snapshot: Snapshot, signal?: AbortSignal): Promise<readonly ManifestFile[]> {
    const { manifestList, manifests } = snapshot
    if (manifestList === null) {
      const inline = (manifests ?? []).map((path) =>
        this.cached(`list of ${path}`, async () =>
          inlineManifest(await this.store.read(path, undefined, options(signal)), path, snapshot.snapshotId),
        ),
      )
      return Promise.all(inline)
    }
    return this.cached(manifestList, async () =>
      decodeManifestList(await this.store.read(manifestList, undefined, options(signal))),
    )
  }

  /** All entries of a manifest, deleted ones included. */
  entriesOf(manifest: ManifestFile, signal?: AbortSignal): Promise<readonly ManifestEntry[]> {
    return this.cached(
      manifest.path,
      async () => decodeManifest(await this.store.read(manifest.path, undefined, options(signal)), manifest).entries,
    )
  }

  private async cached<T>(path: string, load: () => Promise<T>): Promise<T> {
    const known = this.cache.get(path) as T | undefined
    if (known !== undefined) return known
    const value = await load()
    if (this.cache.size >= this.max) {
      const oldest = this.cache.keys().next()
      if (!oldest.done) this.cache.delete(oldest.value)
    }
    this.cache.set(path, value)
    return value
  }
}

function options(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {}
}
