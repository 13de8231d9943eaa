import { compareValues, fieldById, type Schema, type Type, type Value } from '../../schema/index.ts'
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
  readonly bytes: Uint8Array
  /** Its row in the list, but for where it will stand. */
  readonly manifest: Omit<ManifestFile, 'path'>
  /** Rows of live entries that state no first row id. */
  readonly rowsWithoutId: bigint
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
    return draftsOf(setting, first.content === 0 ? 'data' : 'deletes', first.specId, () => entries)
  })
}

/**
 * Encodes entries as one manifest, or as several of about the target size where they are more than one holds; none
 * without entries. They are gone through once, or twice where they are cut, and never held.
 */
export function draftsOf(
  setting: ManifestSetting,
  content: ManifestFile['content'],
  specId: number,
  entries: () => Iterable<ManifestEntry>,
): readonly Draft[] {
  const spec = specById(setting.base, specId)
  const schema = schemaFor(setting.base, spec, setting.schema)
  const encode = (part: Iterable<ManifestEntry>): Draft => {
    const facts = new ManifestFacts(setting, spec, schema)
    const bytes = encodeManifest({
      schema,
      spec,
      content,
      snapshotId: setting.snapshotId,
      entries: facts.tap(part),
      formatVersion: setting.formatVersion,
      sequenceNumber: setting.sequenceNumber,
    })
    return {
      kind: 'draft',
      bytes,
      manifest: facts.manifest(content, bytes.length),
      rowsWithoutId: facts.rowsWithoutId,
    }
  }
  const whole = encode(entries())
  const count = entriesOfDraft(whole.manifest)
  if (count === 0) return []
  const parts = Math.min(count, Math.ceil(whole.bytes.length / setting.targetSizeBytes))
  if (parts <= 1) return [whole]
  const size = Math.ceil(count / parts)
  const rest = Iterator.from(entries())
  return Array.from({ length: Math.ceil(count / size) }, () => encode(next(rest, size)))
}

/** The next items of an iterator, which stays open for those after them. */
function* next<T>(rest: Iterator<T>, count: number): Generator<T, void> {
  for (let i = 0; i < count; i++) {
    const one = rest.next()
    if (one.done) return
    yield one.value
  }
}

/** Entries of a draft of every status. */
export function entriesOfDraft(manifest: Draft['manifest']): number {
  return manifest.addedFilesCount + manifest.existingFilesCount + manifest.deletedFilesCount
}

/** The snapshot's schema, or the newest one that still has every source column of the spec. */
export function schemaFor(base: TableMetadata, spec: PartitionSpec, schema: Schema): Schema {
  const candidates = [schema, ...base.schemas.toReversed()]
  return candidates.find((one) => spec.fields.every((field) => fieldById(one, field.sourceId))) ?? schema
}

/** Counts what the list says of a manifest while its entries are written. */
class ManifestFacts {
  rowsWithoutId = 0n
  private readonly setting: ManifestSetting
  private readonly spec: PartitionSpec
  private readonly ranges: readonly FieldRange[]
  private readonly files: [number, number, number] = [0, 0, 0]
  private readonly rows: [bigint, bigint, bigint] = [0n, 0n, 0n]
  private oldest: bigint

  constructor(setting: ManifestSetting, spec: PartitionSpec, schema: Schema) {
    this.setting = setting
    this.spec = spec
    this.oldest = setting.sequenceNumber
    this.ranges = spec.fields.map(({ transform, sourceId }) => {
      const source = fieldById(schema, sourceId)
      return new FieldRange(source ? transformResultType(transform, source.type) : null)
    })
  }

  *tap(entries: Iterable<ManifestEntry>): Generator<ManifestEntry, void> {
    for (const entry of entries) {
      this.add(entry)
      yield entry
    }
  }

  private add({ status, dataSequenceNumber, file }: ManifestEntry): void {
    this.files[status]++
    this.rows[status] += file.recordCount
    if (status !== 2) {
      if (dataSequenceNumber < this.oldest) this.oldest = dataSequenceNumber
      if (file.firstRowId === undefined) this.rowsWithoutId += file.recordCount
    }
    for (const [i, range] of this.ranges.entries()) range.add(file.partition[i] ?? null)
  }

  manifest(content: ManifestFile['content'], length: number): Draft['manifest'] {
    return {
      length: BigInt(length),
      specId: this.spec.specId,
      content,
      sequenceNumber: this.setting.sequenceNumber,
      minSequenceNumber: this.oldest,
      addedSnapshotId: this.setting.snapshotId,
      existingFilesCount: this.files[0],
      addedFilesCount: this.files[1],
      deletedFilesCount: this.files[2],
      existingRowsCount: this.rows[0],
      addedRowsCount: this.rows[1],
      deletedRowsCount: this.rows[2],
      partitions: this.ranges.map((range) => range.summary()),
    }
  }
}

/** The values that entries have for one partition field; of a source column that is gone (null) nothing is known. */
class FieldRange {
  private readonly type: Type | null
  private low: Value | null = null
  private high: Value | null = null
  private containsNull = false
  private containsNan = false

  constructor(type: Type | null) {
    this.type = type
  }

  add(value: Value | null): void {
    if (this.type === null) return
    if (value === null) this.containsNull = true
    else if (typeof value === 'number' && Number.isNaN(value)) this.containsNan = true
    else {
      if (this.low === null || compareValues(this.type, value, this.low) < 0) this.low = value
      if (this.high === null || compareValues(this.type, value, this.high) > 0) this.high = value
    }
  }

  summary(): FieldSummary {
    if (this.type === null) return { containsNull: true, containsNan: null, lowerBound: null, upperBound: null }
    return {
      containsNull: this.containsNull,
      containsNan: this.containsNan,
      lowerBound: this.low === null ? null : encodeSingleValue(this.type, this.low),
      upperBound: this.high === null ? null : encodeSingleValue(this.type, this.high),
    }
  }
}
