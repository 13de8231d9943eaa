import { LimnError } from '../../base/index.ts'
import type { BoundDelete, BoundFile, BoundTable } from '../../engine/index.ts'
import {
  type DataFile,
  type DeleteEntry,
  isDeletionVector,
  isUnpartitioned,
  partitionKey,
  type ScanTask,
  specById,
  type TableMetadata,
  usableNameMapping,
} from '../../iceberg/index.ts'
import { fieldById, type Value } from '../../schema/index.ts'
import type { FileLease, StorePath } from '../../storage/index.ts'
import { type PinnedTable, schemaOfPin } from '../context.ts'

/** A data file to bind: one of a scan, with its deletes, or one without any. */
export type BindableFile = DataFile | ScanTask

/** Every file that binding some tasks needs: data files, and the delete files that apply to them, each once. */
export function pathsOf(files: readonly BindableFile[]): readonly StorePath[] {
  const paths = new Set<StorePath>()
  for (const one of files) {
    if (!isTask(one)) paths.add(one.path)
    else {
      paths.add(one.file.path)
      for (const entry of one.deletes) paths.add(entry.file.path)
    }
  }
  return [...paths]
}

/** Binds chosen files of a table under its name. Deletes that came with a task are applied; a bare data file has none. */
export function bindFiles(
  pin: PinnedTable,
  files: readonly BindableFile[],
  lease: FileLease,
  options: { readonly metadataColumns?: boolean } = {},
): BoundTable {
  const { metadata } = pin
  const known = new Map<DeleteEntry['file'], BoundDelete>()
  const specs = new Set(files.map((one) => (isTask(one) ? one.file : one).specId))
  const bindDelete = (entry: DeleteEntry): BoundDelete => {
    let bound = known.get(entry.file)
    if (!bound) {
      bound = boundDelete(pin, entry, lease.localOf(entry.file.path), specs)
      known.set(entry.file, bound)
    }
    return bound
  }
  return {
    id: pin.id,
    schema: schemaOfPin(pin),
    files: files.map((one) => {
      const file = isTask(one) ? one.file : one
      const deletes = isTask(one) ? one.deletes.map(bindDelete) : []
      const sequence = isTask(one) ? { dataSequenceNumber: one.dataSequenceNumber } : {}
      return {
        ...boundFile(pin, file, lease.localOf(file.path)),
        ...sequence,
        ...(deletes.length > 0 ? { deletes } : {}),
      }
    }),
    nameMapping: usableNameMapping(metadata, schemaOfPin(pin)),
    olderSchemas: metadata.schemas.filter((one) => one.schemaId !== pin.schemaId),
    ...(options.metadataColumns ? { metadataColumns: true } : {}),
  }
}

function isTask(one: BindableFile): one is ScanTask {
  return 'deletes' in one
}

function boundFile(pin: PinnedTable, file: DataFile, local: string): BoundFile {
  const constants = constantsOf(pin.metadata, file)
  return {
    local,
    path: file.path,
    format: formatOf(pin, file),
    specId: file.specId,
    recordCount: file.recordCount,
    scope: partitionKey(file),
    ...(file.firstRowId === undefined ? {} : { firstRowId: file.firstRowId }),
    ...(constants ? { constants } : {}),
  }
}

function boundDelete(pin: PinnedTable, entry: DeleteEntry, local: string, specs: ReadonlySet<number>): BoundDelete {
  const { file } = entry
  const { path } = file
  if (isDeletionVector(file)) {
    if (file.contentOffset === undefined || file.contentSizeInBytes === undefined) {
      throw new LimnError('iceberg/invalid-metadata', {
        message: `A deletion vector of ${pin.id} does not say where in ${path} it stands.`,
        notDone: 'The table was not read: its deleted rows are not known.',
      })
    }
    return {
      kind: 'vector',
      local,
      path,
      offset: Number(file.contentOffset),
      length: Number(file.contentSizeInBytes),
      cardinality: file.recordCount,
    }
  }
  const format = formatOf(pin, file)
  const { recordCount } = file
  if (file.content === 1) return { kind: 'positions', local, path, format, recordCount }
  return {
    kind: 'equality',
    local,
    path,
    format,
    recordCount,
    equalityIds: [...file.equalityIds].sort((a, b) => a - b),
    dataSequenceNumber: entry.dataSequenceNumber,
    partition: partitionKey(file),
    scope: reachesAll(pin, file, specs) ? null : partitionKey(file),
  }
}

/**
 * Whether an equality delete may be compared with the rows of every partition: it is of none, or its key tells the
 * partition, so that no row of another has it. `specs` are those of the data files.
 */
function reachesAll(pin: PinnedTable, file: DataFile, specs: ReadonlySet<number>): boolean {
  const spec = specById(pin.metadata, file.specId)
  if (isUnpartitioned(spec)) return true
  if (specs.size > 1 || !specs.has(file.specId)) return false
  const schemas = [schemaOfPin(pin), ...pin.metadata.schemas]
  return spec.fields.every(({ sourceId }) => {
    const type = schemas.map((schema) => fieldById(schema, sourceId)?.type).find((one) => one !== undefined)
    // Zeros of either sign are equal, and partitions of their own.
    return file.equalityIds.includes(sourceId) && type !== undefined && type !== 'float' && type !== 'double'
  })
}

/** Specification, "Column Projection": a column that a file leaves out may be told by its identity partition. */
function constantsOf(metadata: TableMetadata, file: DataFile): ReadonlyMap<number, Value | null> | null {
  const { fields } = specById(metadata, file.specId)
  if (!fields.some((field) => field.transform.kind === 'identity')) return null
  const constants = new Map<number, Value | null>()
  for (const [i, field] of fields.entries())
    if (field.transform.kind === 'identity') constants.set(field.sourceId, file.partition[i] ?? null)
  return constants
}

function formatOf(pin: PinnedTable, file: DataFile): 'parquet' | 'avro' {
  if (file.format === 'parquet' || file.format === 'avro') return file.format
  throw new LimnError('iceberg/unsupported', {
    message: `${pin.id} has a ${file.content === 0 ? 'data' : 'delete'} file in ${file.format}.`,
    notDone: 'The table was not read.',
    remedy: 'limn reads Parquet and Avro files. Rewrite the table with the engine that wrote it.',
  })
}
