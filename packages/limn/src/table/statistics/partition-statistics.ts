import { stat } from 'node:fs/promises'
import { LimnError, randomUuid, step, type TableId } from '../../base/index.ts'
import { castSql } from '../../engine/index.ts'
import {
  type ManifestEntry,
  metadataFolder,
  type PartitionStatistics,
  type PartitionStatisticsFile,
  partitionStatistics,
  partitionStatisticsRow,
  partitionStatisticsSchema,
  type TableMetadata,
  unifiedPartitionFields,
} from '../../iceberg/index.ts'
import { type Field, isPrimitive, type Value } from '../../schema/index.ts'
import { quoteIdentifier, sqlLiteral } from '../../sql/index.ts'
import { storePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'
import { changeMetadata, loadTable } from '../shape/alter.ts'
import { ofSnapshot, snapshotOf } from './table-statistics.ts'

export interface ComputedPartitionStatistics {
  readonly snapshotId: bigint
  readonly file: PartitionStatisticsFile
  /** By partition, nulls first, then by spec. */
  readonly partitions: readonly PartitionStatistics[]
}

/**
 * Writes what is in each partition of a snapshot as a Parquet file (specification, "Partition Statistics File") that the
 * table's metadata names in place of the one the snapshot had. Reads manifests alone, all of the snapshot's. No snapshot is
 * made. Null: the table has no snapshot. Throws `usage/unknown-table`, `usage/unknown-snapshot`, `usage/argument` for a
 * table that was never partitioned.
 */
export async function computePartitionStatistics(
  context: TableContext,
  table: TableId,
  options: { readonly snapshotId?: bigint } = {},
): Promise<ComputedPartitionStatistics | null> {
  const { metadata } = await loadTable(context, table)
  const snapshot = snapshotOf(metadata, options.snapshotId)
  if (!snapshot) return null
  if (unifiedPartitionFields(metadata).length === 0)
    throw new LimnError('usage/argument', {
      message: `${table} is not partitioned.`,
      notDone: 'Nothing was computed.',
      remedy: 'Count distinct values instead, with: limn table stats NAME',
    })
  const entries: ManifestEntry[] = []
  for (const manifest of await context.manifests.manifestsOf(snapshot, context.signal))
    entries.push(...(await context.manifests.entriesOf(manifest, context.signal)))
  const partitions = partitionStatistics(metadata, entries)
  const name = `partition-stats-${snapshot.snapshotId}-${randomUuid(context.randomness)}.parquet`
  const path = storePath(`${metadataFolder(metadata)}/${name}`)
  await using scratch = await context.store.scratch({ signal: context.signal })
  const local = await writtenFile(context, metadata, partitions, scratch.folder)
  const file: PartitionStatisticsFile = {
    snapshotId: snapshot.snapshotId,
    statisticsPath: path,
    fileSizeInBytes: BigInt((await stat(local)).size),
  }
  await step(context.steps, 'file.put', path, () =>
    context.store.putFiles([{ local, path }], { signal: context.signal }),
  )
  await changeMetadata(context, table, (loaded) =>
    ofSnapshot(loaded.metadata, snapshot.snapshotId, { action: 'set-partition-statistics', partitionStatistics: file }),
  )
  return { snapshotId: snapshot.snapshotId, file, partitions }
}

async function writtenFile(
  context: TableContext,
  metadata: TableMetadata,
  partitions: readonly PartitionStatistics[],
  folder: string,
): Promise<string> {
  if (partitions.length === 0)
    throw new LimnError('usage/argument', {
      message: 'The snapshot has no files, so that it has no partitions.',
      notDone: 'Nothing was computed.',
      remedy: 'Compute those of a snapshot with rows.',
    })
  const schema = partitionStatisticsSchema(metadata)
  const rows = partitions.map((one) => {
    const values: readonly Cell[] = partitionStatisticsRow(one, metadata)
    return `(${schema.fields.map((field, i) => cellSql(field, values[i] ?? null)).join(', ')})`
  })
  const names = schema.fields.map((field) => quoteIdentifier(field.name)).join(', ')
  await using session = await context.engine.session([], { signal: context.signal })
  const [file] = await session.write(`SELECT * FROM (VALUES ${rows.join(',\n')}) AS rows(${names})`, {
    schema,
    spec: { specId: 0, fields: [] },
    folder,
    compression: 'zstd',
    rowGroupSize: 122_880,
  })
  if (file) return file.local
  throw new LimnError('internal', { message: 'Partition statistics were not written.' })
}

type Cell = Value | null | readonly (Value | null)[]

/** Cast, so that a null has the type that the other rows have. */
function cellSql({ type }: Field, value: Cell): string {
  if (isPrimitive(type)) return castSql(type, isOne(value) ? sqlLiteral(type, value) : 'NULL')
  const values = isOne(value) ? [] : value
  const members = (type.type === 'struct' ? type.fields : []).map(
    (inner, i) => `${quoteIdentifier(inner.name)} := ${cellSql(inner, values[i] ?? null)}`,
  )
  return `struct_pack(${members.join(', ')})`
}

function isOne(value: Cell): value is Value | null {
  return !Array.isArray(value)
}
