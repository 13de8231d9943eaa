import { dirname } from 'node:path'
import { mapConcurrently } from '../base/index.ts'

/** Syncs asked for at once: the file system answers those that wait together. */
const syncsAtOnce = 16

/**
 * Local files and folders that are written and not yet synced. Many are synced together at a small part of what each would
 * cost when it is written: the file system writes its journal once for all of them, and a folder is synced once for all the
 * files that came into it.
 */
export class Unsynced {
  private readonly sync: (path: string) => Promise<void>
  private added = 0
  /** With when each was added last: what is added again while it is synced is synced again. */
  private readonly files = new Map<string, number>()
  private readonly folders = new Map<string, number>()
  private working: Promise<void> = Promise.resolve()
  private next: Promise<void> | null = null

  constructor(sync: (path: string) => Promise<void>) {
    this.sync = sync
  }

  addFile(path: string): void {
    this.files.set(path, ++this.added)
    this.folders.set(dirname(path), ++this.added)
  }

  addFolder(path: string): void {
    this.folders.set(path, ++this.added)
  }

  /** A file that is deleted need not last. */
  forget(path: string): void {
    this.files.delete(path)
  }

  /** Everything added so far is synced when it returns. What comes while others wait is synced with theirs. */
  settle(): Promise<void> {
    if (this.next) return this.next
    const next = this.working
      .catch(() => undefined)
      .then(() => {
        this.next = null
        this.working = this.flush()
        return this.working
      })
    this.next = next
    return next
  }

  /** Folders above a path, which a sync of the file itself does not reach. */
  async settleAbove(path: string): Promise<void> {
    for (let at = dirname(path); at !== dirname(at); at = dirname(at)) {
      if (this.folders.has(at)) await this.syncOf(this.folders, at)
    }
  }

  private async syncOf(kind: Map<string, number>, path: string): Promise<void> {
    const seen = kind.get(path)
    try {
      await this.sync(path)
    } catch (error) {
      if (isGone(error) && kind.get(path) === seen) kind.delete(path)
      throw error
    }
    if (kind.get(path) === seen) kind.delete(path)
  }

  /**
   * What fails stays: no later commit passes over it. A file that somebody else has deleted fails the commits that wait now, one of
   * which may name it, and no others: it will never be synced.
   */
  private async flush(): Promise<void> {
    for (const kind of [this.files, this.folders]) {
      await mapConcurrently([...kind.keys()], syncsAtOnce, (path) => this.syncOf(kind, path))
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
