import { LimnError } from '../../base/index.ts'
import { compareValues, decimalOf, fieldById, type PrimitiveType, type Schema, type Value } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { decodeSingleValue } from '../spec/single-value.ts'
import type { DataFile, ManifestEntry, PartitionSpec } from '../spec/types.ts'
import { canonicalPath, PathMap } from './paths.ts'

/** Field ids of the columns of position delete files (specification, "Reserved Field IDs"). */
export const deleteFilePathId = 2147483546
export const deletePositionId = 2147483545

/** A delete file that applies to some data file. */
export interface DeleteEntry {
  readonly file: DataFile
  readonly dataSequenceNumber: bigint
}

/** Whether a delete file holds positions as a deletion vector (a blob of a Puffin file; version 3). */
export function isDeletionVector(file: DataFile): boolean {
  return file.content === 1 && file.format === 'puffin'
}

/** Identifies a partition: spec and values. */
export function partitionKey(file: Pick<DataFile, 'specId' | 'partition'>): string {
  return `${file.specId}${file.partition.map(valueKey).join('')}`
}

function valueKey(value: Value | null): string {
  if (value === null) return '|-'
  if (value instanceof Uint8Array) return `|x${Buffer.from(value).toString('hex')}`
  const text = String(value)
  return `|${typeof value === 'string' ? 's' : 'n'}${text.length}:${text}`
}

/** A partition spec that puts all rows in one partition. */
export function isUnpartitioned(spec: PartitionSpec): boolean {
  return spec.fields.every((field) => field.transform.kind === 'void')
}

/**
 * The delete files of a snapshot by what they apply to (specification, "Scan Planning"):
 *
 * - a deletion vector: the file it references, data sequence number not above its own;
 * - position deletes: likewise, files of the same spec and partition, unless the file has a deletion vector;
 * - equality deletes: files of the same spec and partition (of every partition when written unpartitioned), data sequence
 *   number below its own.
 *
 * Bounds leave out what cannot apply. Throws `iceberg/invalid-metadata` for two vectors of one file.
 */
export class DeleteIndex {
  private readonly schema: Schema
  private readonly vectors = new PathMap<DeleteEntry>()
  private readonly byPath = new PathMap<DeleteEntry>()
  private readonly positions = new Map<string, DeleteEntry[]>()
  private readonly equality = new Map<string, DeleteEntry[]>()
  private readonly global: DeleteEntry[] = []
  private size = 0

  /** `entries`: live entries of delete manifests. */
  constructor(entries: readonly ManifestEntry[], schema: Schema, specOf: (specId: number) => PartitionSpec) {
    this.schema = schema
    for (const { file, dataSequenceNumber } of entries) {
      const entry: DeleteEntry = { file, dataSequenceNumber }
      this.size++
      if (file.content === 2) {
        if (isUnpartitioned(specOf(file.specId))) this.global.push(entry)
        else pushTo(this.equality, partitionKey(file), entry)
        continue
      }
      const about = referencedFile(file)
      if (isDeletionVector(file)) {
        if (about === null) throw invalid(`The deletion vector in ${file.path} names no data file.`)
        this.vectors.add(about, entry)
      } else if (about !== null) this.byPath.add(about, entry)
      else pushTo(this.positions, partitionKey(file), entry)
    }
  }

  get isEmpty(): boolean {
    return this.size === 0
  }

  /** The delete files that apply to a data file: vectors and positions first, then equality, each in order of sequence. */
  of(file: DataFile, dataSequenceNumber: bigint): readonly DeleteEntry[] {
    if (this.size === 0) return none
    const key = partitionKey(file)
    const found = this.positionsOf(file, dataSequenceNumber, key)
    for (const list of [this.global, this.equality.get(key) ?? none]) {
      for (const entry of list) {
        if (dataSequenceNumber < entry.dataSequenceNumber && mightShareKeys(file, entry.file, this.schema))
          found.push(entry)
      }
    }
    return found.length === 0 ? none : found.sort(inOrder)
  }

  private positionsOf(file: DataFile, sequence: bigint, key: string): DeleteEntry[] {
    const applies = (entry: DeleteEntry) => sequence <= entry.dataSequenceNumber
    const vectors = this.vectors.get(file.path).filter(applies)
    if (vectors.length > 1) throw invalid(`The data file ${file.path} has ${vectors.length} deletion vectors.`)
    if (vectors.length === 1) return vectors
    const byPath = this.byPath.get(file.path).filter(applies)
    const shared = (this.positions.get(key) ?? none).filter((one) => applies(one) && mightName(one.file, file.path))
    return [...byPath, ...shared]
  }
}

const none: readonly DeleteEntry[] = []

function pushTo(map: Map<string, DeleteEntry[]>, key: string, entry: DeleteEntry): void {
  const list = map.get(key)
  if (list) list.push(entry)
  else map.set(key, [entry])
}

function inOrder(a: DeleteEntry, b: DeleteEntry): number {
  if (a.file.content !== b.file.content) return a.file.content - b.file.content
  if (a.dataSequenceNumber !== b.dataSequenceNumber) return a.dataSequenceNumber < b.dataSequenceNumber ? -1 : 1
  return a.file.path < b.file.path ? -1 : a.file.path > b.file.path ? 1 : 0
}

/** The one data file that position deletes are about: stated, or told by equal bounds of their `file_path`. */
export function referencedFile(file: DataFile): StorePath | null {
  if (file.content !== 1) return null
  if (file.referencedDataFile !== undefined) return file.referencedDataFile
  const low = file.lowerBounds.get(deleteFilePathId)
  const high = file.upperBounds.get(deleteFilePathId)
  if (!low || !high || Buffer.compare(low, high) !== 0) return null
  return Buffer.from(low).toString() as StorePath
}

const schemeAndAuthority = /^[^/]*:\/\/[^/]*/

/** Whether position deletes may name a data file: by the bounds of their paths, where all are spelled alike. */
export function mightName(deletes: DataFile, path: StorePath): boolean {
  const bound = (bytes: Uint8Array | undefined) => (bytes ? canonicalPath(Buffer.from(bytes).toString()) : null)
  const low = bound(deletes.lowerBounds.get(deleteFilePathId))
  const high = bound(deletes.upperBounds.get(deleteFilePathId))
  if (low === null || high === null) return true
  const wanted = canonicalPath(path)
  const prefix = (text: string) => schemeAndAuthority.exec(text)?.[0] ?? ''
  if (prefix(low) !== prefix(wanted) || prefix(high) !== prefix(wanted)) return true
  return compareValues('string', wanted, low) >= 0 && compareValues('string', wanted, high) <= 0
}

/** Whether a data file may hold a row equal to one of an equality delete file: by the bounds of the key columns. */
function mightShareKeys(data: DataFile, deletes: DataFile, schema: Schema): boolean {
  return deletes.equalityIds.every((id) => {
    const type = fieldById(schema, id)?.type
    if (typeof type !== 'string' || !isOrdered(type)) return true
    const mayBeNull = (file: DataFile) => (file.nullValueCounts.get(id) ?? 1n) > 0n
    // A row before the column was added has its default there, which no bound tells.
    if (!data.valueCounts.has(id) && !data.lowerBounds.has(id)) return true
    if (mayBeNull(data) && mayBeNull(deletes)) return true
    const low = (file: DataFile) => boundOf(type, file.lowerBounds.get(id))
    const high = (file: DataFile) => boundOf(type, file.upperBounds.get(id))
    return notAbove(type, low(data), high(deletes)) && notAbove(type, low(deletes), high(data))
  })
}

function notAbove(type: PrimitiveType, a: Value | null, b: Value | null): boolean {
  return a === null || b === null || compareValues(type, a, b) <= 0
}

/** Types whose bounds enclose every value: those of floats leave NaN out, and writers disagree on the order of uuids. */
function isOrdered(type: PrimitiveType): boolean {
  if (decimalOf(type)) return true
  switch (type) {
    case 'float':
    case 'double':
    case 'uuid':
    case 'unknown':
    case 'variant':
      return false
    default:
      return true
  }
}

function boundOf(type: PrimitiveType, bytes: Uint8Array | undefined): Value | null {
  if (!bytes) return null
  try {
    return decodeSingleValue(type, bytes)
  } catch {
    // Written before a promotion, in another width: it bounds nothing here.
    return null
  }
}

function invalid(message: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message,
    notDone: 'The table was not read: its deleted rows are not known.',
    remedy: 'Go back to an earlier snapshot, or repair the table with the engine that wrote it.',
  })
}
