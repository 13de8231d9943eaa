import { randomUuid, step } from '../base/index.ts'
import type { Session, WrittenFile } from '../engine/index.ts'
import { type DataFile, type PartitionSpec, partitionPath } from '../iceberg/index.ts'
import type { Schema } from '../schema/index.ts'
import { type StorePath, storePath } from '../storage/index.ts'
import type { TableContext } from './context.ts'

/** How rows are laid out in a table. */
export interface Layout {
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
}

/** Compression and row groups of every data file limn writes; the benchmark's peer uses the same. */
export const fileFormat = { compression: 'zstd', rowGroupSize: 122_880 } as const

/** Runs a query and writes its rows as Parquet files in a local folder, one or more per partition. Nothing is put yet. */
export function writeLocal(
  session: Session,
  sql: string,
  layout: Layout,
  folder: string,
): Promise<readonly WrittenFile[]> {
  return session.write(sql, { schema: optional(layout.schema), spec: layout.spec, folder, ...fileFormat })
}

/** Whether null is allowed is judged at the gate, with the rows at fault, not by the writer. */
function optional(schema: Schema): Schema {
  return { ...schema, fields: schema.fields.map((field) => ({ ...field, required: false })) }
}

/** Puts written files into the table's data folder and returns them as Iceberg data files, in order. Durable on return. */
export async function putFiles(
  context: TableContext,
  layout: Layout,
  written: readonly WrittenFile[],
): Promise<readonly DataFile[]> {
  const placed = written.map((file) => {
    // One flat folder: a folder per partition would cost a sync each, and Iceberg does not read meaning into paths.
    const partition = partitionPath(layout.spec, layout.schema, file.partition).replaceAll('/', ',')
    const name = `${partition === '' ? '' : `${partition.slice(0, 100)}-`}${randomUuid(context.randomness)}.parquet`
    const path = storePath(`${layout.location}/data/${name}`)
    return { local: file.local, path, file: dataFileOf(file, path, layout.spec.specId) }
  })
  const detail = `${layout.location}/data × ${placed.length}`
  await step(context.steps, 'file.put', detail, () => context.store.putFiles(placed, { signal: context.signal }))
  return placed.map((one) => one.file)
}

/** The manifest entry's file for a written Parquet file at its final path. */
export function dataFileOf(file: WrittenFile, path: StorePath, specId: number): DataFile {
  return {
    content: 0,
    path,
    format: 'parquet',
    specId,
    partition: file.partition,
    recordCount: file.recordCount,
    fileSizeInBytes: file.fileSizeInBytes,
    columnSizes: file.columnSizes,
    valueCounts: file.valueCounts,
    nullValueCounts: file.nullValueCounts,
    nanValueCounts: file.nanValueCounts,
    lowerBounds: file.lowerBounds,
    upperBounds: file.upperBounds,
    splitOffsets: file.splitOffsets,
    equalityIds: [],
    sortOrderId: null,
  }
}
