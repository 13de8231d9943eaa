import { invariant, LimnError, type Randomness, randomUuid, type Steps, step } from '../../base/index.ts'
import { compareValues, fieldById, type Schema, type Value } from '../../schema/index.ts'
import { type ObjectStore, type StorePath, storePath } from '../../storage/index.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { schemaById, snapshotById, snapshotOfRef, specById } from '../spec/lookup.ts'
import { encodeManifest, encodeManifestList } from '../spec/manifest.ts'
import { encodeSingleValue } from '../spec/single-value.ts'
import { transformResultType } from '../spec/transforms.ts'
import type {
  DataFile,
  FieldSummary,
  ManifestEntry,
  ManifestFile,
  PartitionSpec,
  Requirement,
  Snapshot,
  SnapshotOperation,
  SnapshotRef,
  TableMetadata,
  Update,
} from '../spec/types.ts'

/** Manifests without a removed file are carried over; when a snapshot would list more than this, they are merged. */
const manifestsMax = 100

export interface StageSnapshotInput {
  readonly store: ObjectStore
  readonly manifests: ManifestReader
  readonly steps: Steps
  readonly randomness: Randomness
  readonly base: TableMetadata
  /** The snapshot whose files the new one starts from; null for none. */
  readonly parentSnapshotId: bigint | null
  /** The ref to move. */
  readonly ref: string
  readonly operation: SnapshotOperation
  readonly added: readonly DataFile[]
  /** Live files of the parent that the snapshot no longer has. */
  readonly removed: readonly DataFile[]
  readonly snapshotId: bigint
  readonly timestampMs: number
  /** Default: the table's current schema. */
  readonly schemaId?: number
  readonly summary?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface StagedSnapshot {
  readonly requirements: readonly Requirement[]
  readonly updates: readonly Update[]
  readonly written: readonly StorePath[]
  readonly snapshot: Snapshot
}

/**
 * Writes the manifests and the manifest list of a new snapshot and returns what a catalog has to check and apply. The
 * snapshot becomes visible with that commit only; on a conflict the written files are debris.
 */
export async function stageSnapshot(input: StageSnapshotInput): Promise<StagedSnapshot> {
  const { base, snapshotId, randomness } = input
  const schema = schemaById(base, input.schemaId ?? base.currentSchemaId)
  const ref = branchOf(base, input.ref)
  invariant(new Set(input.added.map((file) => file.path)).size === input.added.length, 'an added file is named once')
  const sequenceNumber = base.lastSequenceNumber + 1n
  const uuid = randomUuid(randomness)
  const written: StorePath[] = []
  let count = 0
  const write = async (specId: number, entries: readonly ManifestEntry[]): Promise<ManifestFile> => {
    const spec = specById(base, specId)
    const described = schemaFor(base, spec, schema)
    const bytes = encodeManifest({ schema: described, spec, content: 'data', snapshotId, entries })
    const path = storePath(`${base.location}/metadata/${snapshotId}-m${count++}-${uuid}.avro`)
    await put(input, path, bytes)
    written.push(path)
    return manifestFile(path, bytes.length, spec, described, entries, snapshotId, sequenceNumber)
  }
  const manifests: ManifestFile[] = []
  for (const [specId, files] of groupBySpec(input.added)) {
    manifests.push(
      await write(
        specId,
        files.map((file) => ({
          status: 1,
          snapshotId,
          dataSequenceNumber: sequenceNumber,
          fileSequenceNumber: sequenceNumber,
          file,
        })),
      ),
    )
  }
  const parent = input.parentSnapshotId === null ? undefined : snapshotById(base, input.parentSnapshotId)
  invariant(input.parentSnapshotId === null || parent, 'the parent snapshot is in the metadata')
  const before = parent ? await input.manifests.manifestsOf(parent, input.signal) : []
  manifests.push(...(await carryOver(input, before, write)))
  const merged = await mergeSmall(input, manifests, written, write)
  const list = encodeManifestList({
    snapshotId,
    parentSnapshotId: input.parentSnapshotId,
    sequenceNumber,
    manifests: merged,
  })
  const manifestList = storePath(`${base.location}/metadata/snap-${snapshotId}-1-${uuid}.avro`)
  await put(input, manifestList, list)
  written.push(manifestList)
  const snapshot: Snapshot = {
    snapshotId,
    parentSnapshotId: input.parentSnapshotId,
    sequenceNumber,
    timestampMs: Math.max(input.timestampMs, base.lastUpdatedMs),
    manifestList,
    operation: input.operation,
    summary: summaryOf(input, await totalsBefore(input, parent, before)),
    schemaId: schema.schemaId,
  }
  return {
    snapshot,
    written,
    requirements: [
      { type: 'assert-table-uuid', uuid: base.tableUuid },
      { type: 'assert-ref-snapshot-id', ref: input.ref, snapshotId: snapshotOfRef(base, input.ref) },
    ],
    updates: [
      // The manifests above are of version 2, and so are sequence numbers.
      ...(base.formatVersion === 1 ? [{ action: 'upgrade-format-version', formatVersion: 2 } as const] : []),
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', ref: input.ref, to: { ...ref, type: 'branch', snapshotId } },
    ],
  }
}

/** The branch as it is, with how long it keeps snapshots; nothing for a new one. A tag never moves. */
function branchOf(base: TableMetadata, name: string): Partial<SnapshotRef> {
  const known = base.refs[name]
  if (known?.type !== 'tag') return known ?? {}
  throw new LimnError('usage/argument', {
    message: `"${name}" is a tag of the table, and a tag never moves.`,
    notDone: 'Nothing was written.',
    remedy: 'Name a branch.',
  })
}

/** The snapshot's schema, or the newest one that still has every source column of the spec. */
function schemaFor(base: TableMetadata, spec: PartitionSpec, schema: Schema): Schema {
  const candidates = [schema, ...base.schemas.toReversed()]
  return candidates.find((one) => spec.fields.every((field) => fieldById(one, field.sourceId))) ?? schema
}

function put(input: StageSnapshotInput, path: StorePath, bytes: Uint8Array): Promise<unknown> {
  const options = input.signal ? { signal: input.signal } : {}
  return step(input.steps, 'manifest.write', path, () => input.store.write(path, bytes, options))
}

function groupBySpec(files: readonly DataFile[]): ReadonlyMap<number, readonly DataFile[]> {
  return Map.groupBy(files, (file) => file.specId)
}

type WriteManifest = (specId: number, entries: readonly ManifestEntry[]) => Promise<ManifestFile>

/** The parent's manifests; those that list a removed file are written anew. Entries deleted earlier are dropped. */
async function carryOver(
  input: StageSnapshotInput,
  before: readonly ManifestFile[],
  write: WriteManifest,
): Promise<readonly ManifestFile[]> {
  const removed = new Set(input.removed.map((file) => file.path))
  const found = new Set<string>()
  const out: ManifestFile[] = []
  for (const manifest of before) {
    if (manifest.content === 'deletes') {
      out.push(manifest)
      continue
    }
    const live = (await input.manifests.entriesOf(manifest, input.signal)).filter((entry) => entry.status !== 2)
    const hit = live.filter((entry) => removed.has(entry.file.path))
    if (hit.length === 0) {
      if (live.length > 0) out.push(manifest)
      continue
    }
    for (const entry of hit) found.add(entry.file.path)
    out.push(
      await write(
        manifest.specId,
        live.map((entry) =>
          removed.has(entry.file.path)
            ? { ...entry, status: 2, snapshotId: input.snapshotId }
            : { ...entry, status: 0 },
        ),
      ),
    )
  }
  const missing = input.removed.find((file) => !found.has(file.path))
  invariant(!missing, `removed file ${missing?.path} is live in the parent snapshot`)
  return out
}

/** Joins live entries of small manifests per spec when there are too many. This snapshot's own manifests stay. */
async function mergeSmall(
  input: StageSnapshotInput,
  manifests: readonly ManifestFile[],
  written: readonly StorePath[],
  write: WriteManifest,
): Promise<readonly ManifestFile[]> {
  if (manifests.length <= manifestsMax) return manifests
  const own = new Set<string>(written)
  const kept = manifests.filter((one) => own.has(one.path) || one.content === 'deletes')
  const old = manifests.filter((one) => !own.has(one.path) && one.content === 'data')
  const out = [...kept]
  for (const [specId, group] of Map.groupBy(old, (one) => one.specId)) {
    const entries: ManifestEntry[] = []
    for (const manifest of group) {
      const all = await input.manifests.entriesOf(manifest, input.signal)
      entries.push(
        ...all.filter((entry) => entry.status !== 2).map((entry): ManifestEntry => ({ ...entry, status: 0 })),
      )
    }
    out.push(await write(specId, entries))
  }
  return out
}

function manifestFile(
  path: StorePath,
  length: number,
  spec: PartitionSpec,
  schema: Schema,
  entries: readonly ManifestEntry[],
  snapshotId: bigint,
  sequenceNumber: bigint,
): ManifestFile {
  const of = (status: number) => entries.filter((entry) => entry.status === status)
  const rows = (list: readonly ManifestEntry[]) => list.reduce((sum, entry) => sum + entry.file.recordCount, 0n)
  const live = entries.filter((entry) => entry.status !== 2)
  const oldest = live.map((entry) => entry.dataSequenceNumber).sort(byValue)[0] ?? sequenceNumber
  return {
    path,
    length: BigInt(length),
    specId: spec.specId,
    content: 'data',
    sequenceNumber,
    minSequenceNumber: oldest,
    addedSnapshotId: snapshotId,
    addedFilesCount: of(1).length,
    existingFilesCount: of(0).length,
    deletedFilesCount: of(2).length,
    addedRowsCount: rows(of(1)),
    existingRowsCount: rows(of(0)),
    deletedRowsCount: rows(of(2)),
    partitions: spec.fields.map((_field, i) => fieldSummary(spec, schema, i, entries)),
  }
}

function byValue(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
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

const totalNames = [
  'total-data-files',
  'total-records',
  'total-files-size',
  'total-delete-files',
  'total-position-deletes',
  'total-equality-deletes',
] as const

type Totals = Readonly<Record<(typeof totalNames)[number], bigint>>

/** What files come to. Delete files are in the size, not among the data files and records. */
function totalsOf(files: readonly DataFile[]): Totals {
  const of = (...contents: readonly number[]) => files.filter((file) => contents.includes(file.content))
  const rows = (list: readonly DataFile[]) => list.reduce((sum, file) => sum + file.recordCount, 0n)
  return {
    'total-data-files': BigInt(of(0).length),
    'total-records': rows(of(0)),
    'total-files-size': files.reduce((sum, file) => sum + file.fileSizeInBytes, 0n),
    'total-delete-files': BigInt(of(1, 2).length),
    'total-position-deletes': rows(of(1)),
    'total-equality-deletes': rows(of(2)),
  }
}

/**
 * Totals before the change, as the parent states them; counted from its manifests when its writer stated none, or fewer
 * than are removed now.
 */
async function totalsBefore(
  input: StageSnapshotInput,
  parent: Snapshot | undefined,
  manifests: readonly ManifestFile[],
): Promise<Totals> {
  if (!parent) return totalsOf([])
  const stated = (name: keyof Totals) => parent.summary[name] ?? ''
  const least = totalsOf(input.removed)
  if (totalNames.every((name) => /^\d+$/.test(stated(name)) && BigInt(stated(name)) >= least[name])) {
    return Object.fromEntries(totalNames.map((name) => [name, BigInt(stated(name))])) as Totals
  }
  const files: DataFile[] = []
  for (const manifest of manifests) {
    const entries = await input.manifests.entriesOf(manifest, input.signal)
    for (const entry of entries) if (entry.status !== 2) files.push(entry.file)
  }
  return totalsOf(files)
}

/**
 * The caller's entries, the change's counts and the totals after it, under the specification's names (appendix F). A
 * count is never taken from the caller.
 */
function summaryOf(input: StageSnapshotInput, before: Totals): Record<string, string> {
  const added = totalsOf(input.added)
  const removed = totalsOf(input.removed)
  const partitions = new Set([...input.added, ...input.removed].map(partitionKey))
  const counts: Record<string, bigint> = {
    'added-data-files': added['total-data-files'],
    'added-records': added['total-records'],
    'added-files-size': added['total-files-size'],
    'deleted-data-files': removed['total-data-files'],
    'deleted-records': removed['total-records'],
    'removed-files-size': removed['total-files-size'],
    'changed-partition-count': BigInt(partitions.size),
  }
  const out: Record<string, string> = {}
  for (const [name, text] of Object.entries(input.summary ?? {})) if (!(name in counts)) out[name] = text
  for (const [name, count] of Object.entries(counts)) if (count > 0n) out[name] = String(count)
  for (const name of totalNames) out[name] = String(before[name] + added[name] - removed[name])
  return out
}

function partitionKey(file: DataFile): string {
  const text = (value: Value | null) =>
    value === null ? null : value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
  return JSON.stringify([file.specId, ...file.partition.map(text)])
}
