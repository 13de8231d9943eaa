import { limiter } from '../../base/index.ts'
import { snapshotById } from '../../iceberg/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import type { Node } from '../project/node.ts'

/** Inputs of up to this many bytes make a dataset a small one: its time goes into waiting for the disk. */
const smallBytesMax = 32 * 1024 * 1024

/** Large ones at once: the engine's memory is shared among them. */
const largeAtOnce = 2

/** Small ones at once: their waits for the disk, which the file system answers together, are what is shared. */
export const smallAtOnce = 8

/** Where datasets that do not read each other are worked on side by side: few where there is much to read, more where little. */
export class Lanes {
  private readonly small = limiter(smallAtOnce)
  private readonly large = limiter(largeAtOnce)

  run<T>(size: 'small' | 'large', body: () => Promise<T>): Promise<T> {
    return size === 'small' ? this.small(body) : this.large(body)
  }
}

/** How much a dataset has to read. What a source brings is not known before. */
export function sizeOf(node: Node, inputs: readonly (PinnedTable | null)[]): 'small' | 'large' {
  return node.producer.kind === 'source' ? 'large' : bytesSize(inputs)
}

/** By the totals that the tables' snapshots state. */
export function bytesSize(tables: readonly (PinnedTable | null)[]): 'small' | 'large' {
  let bytes = 0
  for (const pin of tables) {
    if (!pin || pin.snapshotId === null) continue
    bytes += Number(snapshotById(pin.metadata, pin.snapshotId)?.summary['total-files-size'] ?? Number.POSITIVE_INFINITY)
  }
  return bytes <= smallBytesMax ? 'small' : 'large'
}
