import { compareValues, fieldById, type Schema, type Value } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { specById } from '../spec/lookup.ts'
import { encodeManifest } from '../spec/manifest.ts'
import { encodeSingleValue } from '../spec/single-value.ts'
import { transformResultType } from '../spec/transforms.ts'
import type {
  DataFile,
  FieldSummary,
  ManifestEntry,
  ManifestFile,
  PartitionSpec,
  TableMetadata,
} from '../spec/types.ts'

/** A file to be added. */
export interface AddedFile extends DataFile {
  /**
   * For rows rewritten as they were: the sequence number they had, so that deletes made since still apply. Absent: the
   * new snapshot's.
   */
  readonly dataSequenceNumber?: bigint
}

/** What every manifest of one new snapshot shares. */
export interface ManifestSetting {
  readonly base: TableMetadata
  readonly schema: Schema
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly formatVersion: 2 | 3
  /** `commit.manifest.target-size-bytes`. */
  readonly targetSizeBytes: number
}

/** A manifest the snapshot will write: encoded, so that its length is known, and not yet in the store. */
export interface Draft {
  readonly kind: 'draft'
  readonly content: ManifestFile['content']
  readonly spec: PartitionSpec
  /** The schema its header and partition types come from. */
  readonly schema: Schema
  readonly entries: readonly ManifestEntry[]
  readonly bytes: Uint8Array
}

/** A manifest of the parent, listed again as it is. */
export interface Carried {
  readonly kind: 'carried'
  readonly manifest: ManifestFile
}

export type Listed = Draft | Carried

/** Which file an entry is about: deletion vectors of one Puffin file share its path. */
export function fileKey(file: DataFile): string {
  return file.contentOffset === undefined ? file.path : `${file.path}#${file.contentOffset}`
}

/** Manifests of the files a snapshot adds: data apart from deletes, one spec each, stated sequence numbers apart. */
export function draftsOfAdded(setting: ManifestSetting, added: readonly AddedFile[]): readonly Draft[] {
  const groups = Map.groupBy(added, (file) =>
    [file.content === 0 ? 0 : 1, file.specId, file.dataSequenceNumber === undefined ? 0 : 1].join(),
  )
  return [...groups.values()].flatMap((files) => {
    const [first] = files
    if (!first) return []
    const entries = files.map(
      (file): ManifestEntry => ({
        status: 1,
        snapshotId: setting.snapshotId,
        dataSequenceNumber: file.dataSequenceNumber ?? setting.sequenceNumber,
        fileSequenceNumber: setting.sequenceNumber,
        file,
      }),
    )
    return draftsOf(setting, first.content === 0 ? 'data' : 'deletes', first.specId, entries)
  })
}

/** Encodes entries as one manifest, or as several of about the target size where they are more than one holds. */
export function draftsOf(
  setting: ManifestSetting,
  content: ManifestFile['content'],
  specId: number,
  entries: readonly ManifestEntry[],
): readonly Draft[] {
  const spec = specById(setting.base, specId)
  const schema = schemaFor(setting.base, spec, setting.schema)
  const encode = (part: readonly ManifestEntry[]): Draft => ({
    kind: 'draft',
    content,
    spec,
    schema,
    entries: part,
    bytes: encodeManifest({
      schema,
      spec,
      content,
      snapshotId: setting.snapshotId,
      entries: part,
      formatVersion: setting.formatVersion,
      explicitSequence: part.some((one) => one.status === 1 && one.dataSequenceNumber !== setting.sequenceNumber),
    }),
  })
  const whole = encode(entries)
  const parts = Math.min(entries.length, Math.ceil(whole.bytes.length / setting.targetSizeBytes))
  if (parts <= 1) return [whole]
  const size = Math.ceil(entries.length / parts)
  return Array.from({ length: Math.ceil(entries.length / size) }, (_part, i) =>
    encode(entries.slice(i * size, (i + 1) * size)),
  )
}

/** The snapshot's schema, or the newest one that still has every source column of the spec. */
export function schemaFor(base: TableMetadata, spec: PartitionSpec, schema: Schema): Schema {
  const candidates = [schema, ...base.schemas.toReversed()]
  return candidates.find((one) => spec.fields.every((field) => fieldById(one, field.sourceId))) ?? schema
}

/** The list's row for a draft at its final path. */
export function manifestFileOf(setting: ManifestSetting, draft: Draft, path: StorePath): ManifestFile {
  const { entries, spec, schema } = draft
  const of = (status: number) => entries.filter((entry) => entry.status === status)
  const rows = (list: readonly ManifestEntry[]) => list.reduce((sum, entry) => sum + entry.file.recordCount, 0n)
  let oldest = setting.sequenceNumber
  for (const entry of entries)
    if (entry.status !== 2 && entry.dataSequenceNumber < oldest) oldest = entry.dataSequenceNumber
  return {
    path,
    length: BigInt(draft.bytes.length),
    specId: spec.specId,
    content: draft.content,
    sequenceNumber: setting.sequenceNumber,
    minSequenceNumber: oldest,
    addedSnapshotId: setting.snapshotId,
    addedFilesCount: of(1).length,
    existingFilesCount: of(0).length,
    deletedFilesCount: of(2).length,
    addedRowsCount: rows(of(1)),
    existingRowsCount: rows(of(0)),
    deletedRowsCount: rows(of(2)),
    partitions: spec.fields.map((_field, i) => fieldSummary(spec, schema, i, entries)),
  }
}

function fieldSummary(
  spec: PartitionSpec,
  schema: Schema,
  position: number,
  entries: readonly ManifestEntry[],
): FieldSummary {
  const field = spec.fields[position]
  const source = field && fieldById(schema, field.sourceId)
  if (!field || !source) return { containsNull: true, containsNan: null, lowerBound: null, upperBound: null }
  const type = transformResultType(field.transform, source.type)
  let low: Value | null = null
  let high: Value | null = null
  let containsNull = false
  let containsNan = false
  for (const entry of entries) {
    const value = entry.file.partition[position] ?? null
    if (value === null) containsNull = true
    else if (typeof value === 'number' && Number.isNaN(value)) containsNan = true
    else {
      if (low === null || compareValues(type, value, low) < 0) low = value
      if (high === null || compareValues(type, value, high) > 0) high = value
    }
  }
  return {
    containsNull,
    containsNan,
    lowerBound: low === null ? null : encodeSingleValue(type, low),
    upperBound: high === null ? null : encodeSingleValue(type, high),
  }
}
