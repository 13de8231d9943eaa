import type { TableId } from '../../base/index.ts'
import {
  type HealthThresholds,
  type RewriteFilesOptions,
  readInventory,
  snapshotOfRef,
  type TableHealth,
  tableHealth,
} from '../../iceberg/index.ts'
import type { TableContext } from '../context.ts'
import { loadTable } from '../shape/alter.ts'
import type { LiveRuns } from './removal.ts'

export interface HealthOptions {
  /** Default `main`. */
  readonly branch?: string
  readonly thresholds?: Partial<HealthThresholds>
  readonly rewrite?: RewriteFilesOptions
  /** As `expireSnapshots` would be asked. */
  readonly maxSnapshotAgeMs?: number
  readonly minSnapshotsToKeep?: number
  readonly live?: LiveRuns
}

/** Measures a branch of a table from its metadata alone, and says what maintenance to run and why. Changes nothing. */
export async function healthOf(
  context: TableContext,
  table: TableId,
  options: HealthOptions = {},
): Promise<TableHealth> {
  const { metadata, metadataLocation } = await loadTable(context, table)
  const { manifests, signal } = context
  const snapshotId = snapshotOfRef(metadata, options.branch ?? 'main')
  return tableHealth({
    metadata,
    inventory: await readInventory({ manifests, metadata, snapshotId, statistics: false, signal }),
    metadataBytes: (await context.store.stat(metadataLocation, { signal }))?.bytes ?? null,
    expire: {
      nowMs: context.clock.nowMs(),
      ...(options.maxSnapshotAgeMs === undefined ? {} : { maxSnapshotAgeMs: options.maxSnapshotAgeMs }),
      ...(options.minSnapshotsToKeep === undefined ? {} : { minSnapshotsToKeep: options.minSnapshotsToKeep }),
      ...(options.live?.refs ? { liveRefs: options.live.refs } : {}),
      ...(options.live?.toldFrom ? { toldFrom: options.live.toldFrom } : {}),
    },
    ...(options.rewrite ? { rewrite: options.rewrite } : {}),
    ...(options.thresholds ? { thresholds: options.thresholds } : {}),
  })
}
