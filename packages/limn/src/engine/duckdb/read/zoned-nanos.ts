import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setZones } from '../write/zone-flags.ts'

/**
 * Files with nanoseconds in UTC, as DuckDB reads them without losing digits: each is copied once with the zone taken off in
 * its footer. Copies live in the engine's own folder and go when it closes.
 */
export class ZonedNanos {
  private readonly folder: string
  private readonly copies = new Map<string, Promise<string>>()
  private made = 0

  constructor(temporaryFolder: string) {
    this.folder = join(temporaryFolder, `nanos-${randomUUID()}`)
  }

  copyOf(local: string): Promise<string> {
    let copy = this.copies.get(local)
    if (!copy) {
      copy = this.write(local)
      this.copies.set(local, copy)
      copy.catch(() => this.copies.delete(local))
    }
    return copy
  }

  close(): void {
    if (this.made > 0) rmSync(this.folder, { recursive: true, force: true })
  }

  private async write(local: string): Promise<string> {
    const target = join(this.folder, `${this.made++}.parquet`)
    await mkdir(this.folder, { recursive: true })
    await copyFile(local, target)
    await setZones(target, { of: () => true, utc: false })
    return target
  }
}
