import { invariant, LimnError, type RunId, randomPositiveLong, randomUuid, type TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import { partitionSpecOf, schemaOf, specEquals } from '../../dataset/index.ts'
import {
  applyUpdates,
  createTableUpdates,
  type DataFile,
  decodeMetadata,
  type LoadedTable,
  type Requirement,
  schemaById,
  specById,
  stageSnapshot,
  type TableMetadata,
  type Update,
} from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import type { ObjectStore, StorePath } from '../../storage/index.ts'
import { committed, type Layout, type PinnedTable, pinSnapshot } from '../../table/index.ts'
import { type PipelineContext, tableLocation } from '../context.ts'

/** The branch a run stages on. */
export function runBranch(run: RunId): string {
  return `run/${run}`
}

/** The ref that keeps an input's snapshot from expiring while a run reads it. */
export function pinRefName(run: RunId): string {
  return `limn-pin/${run}`
}

/**
 * Where a table's new files go: its present shape evolved to what the contract asks. The evolution is part of the
 * staged commit and becomes current only at publish, because Iceberg's schema is table-wide.
 */
export interface Target {
  readonly id: TableId
  /** Main as pinned, or null for a table that does not exist yet. */
  readonly base: LoadedTable | null
  /** Metadata with schema and spec added. */
  readonly evolved: TableMetadata
  readonly layout: Layout
  /** What leads from `base` to `evolved`. */
  readonly updates: readonly Update[]
  /** Whether schema or spec become other ones at publish. */
  readonly evolves: boolean
  /** Whether old and new rows have different columns or layout, so that files cannot be compared or kept. */
  readonly reshaped: boolean
}

const newTableProperties = { 'write.parquet.compression-codec': 'zstd' } as const

/** Throws `contract/breaking-change` when the contract asks for a change that old rows cannot follow. */
export function targetOf(context: PipelineContext, contract: Contract, base: LoadedTable | null): Target {
  const id = contract.id
  if (base === null) {
    const { schema } = schemaOf(contract, { lastColumnId: 0 })
    const spec = partitionSpecOf(contract, schema, 0, 1000)
    const updates = createTableUpdates({
      tableUuid: randomUuid(context.randomness),
      location: tableLocation(context, id),
      schema,
      spec,
      properties: newTableProperties,
    })
    const evolved = applyUpdates(null, updates, { timestampMs: context.clock.nowMs() })
    return {
      id,
      base,
      evolved,
      layout: layoutAt(evolved, evolved.currentSchemaId, evolved.defaultSpecId),
      updates,
      evolves: false,
      reshaped: false,
    }
  }
  const { metadata } = base
  const wanted = schemaOf(contract, {
    current: schemaById(metadata, metadata.currentSchemaId),
    lastColumnId: metadata.lastColumnId,
  })
  const updates: Update[] = []
  let schemaId = metadata.currentSchemaId
  if (wanted.kind !== 'same') {
    schemaId = Math.max(...metadata.schemas.map((schema) => schema.schemaId)) + 1
    updates.push({ action: 'add-schema', schema: { ...wanted.schema, schemaId } })
  }
  let specId = metadata.defaultSpecId
  const nextSpecId = Math.max(...metadata.partitionSpecs.map((spec) => spec.specId)) + 1
  const spec = partitionSpecOf(contract, wanted.schema, nextSpecId, metadata.lastPartitionId + 1)
  const equal = metadata.partitionSpecs.find((known) => specEquals(known, spec))
  if (!equal) {
    specId = nextSpecId
    updates.push({ action: 'add-spec', spec })
  } else {
    specId = equal.specId
  }
  const evolved =
    updates.length === 0 ? metadata : applyUpdates(metadata, updates, { timestampMs: context.clock.nowMs() })
  if (wanted.kind !== 'same') schemaId = evolved.schemas.at(-1)?.schemaId ?? schemaId
  const evolves = schemaId !== metadata.currentSchemaId || specId !== metadata.defaultSpecId
  const reshaped =
    specId !== metadata.defaultSpecId ||
    rowShape(schemaById(evolved, schemaId)) !== rowShape(schemaById(evolved, metadata.currentSchemaId))
  return { id, base, evolved, layout: layoutAt(evolved, schemaId, specId), updates, evolves, reshaped }
}

/** Where files go that were written with a schema and spec which a table has already, current or not. */
export function targetAt(base: LoadedTable, schemaId: number, specId: number): Target {
  const { metadata } = base
  return {
    id: base.table,
    base,
    evolved: metadata,
    layout: layoutAt(metadata, schemaId, specId),
    updates: [],
    evolves: schemaId !== metadata.currentSchemaId || specId !== metadata.defaultSpecId,
    reshaped:
      specId !== metadata.defaultSpecId ||
      rowShape(schemaById(metadata, schemaId)) !== rowShape(schemaById(metadata, metadata.currentSchemaId)),
  }
}

/** What decides how a row is stored: documentation does not. */
function rowShape(schema: Schema): string {
  return JSON.stringify(schema.fields.map(({ id, name, type, required }) => [id, name, type, required]))
}

function layoutAt(metadata: TableMetadata, schemaId: number, specId: number): Layout {
  return { location: metadata.location, schema: schemaById(metadata, schemaId), spec: specById(metadata, specId) }
}

/** A table with this run's snapshot on its branch, ready to be judged and published. */
export interface StagedTable {
  readonly target: Target
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  readonly summary: Readonly<Record<string, string>>
  readonly snapshotId: bigint
  /** The table as staged; readers of this run see this snapshot. */
  readonly pin: PinnedTable
  /** All updates that lead from `base` to the staged state, the run branch left out. */
  readonly updates: readonly Update[]
}

/**
 * Writes one snapshot with the given files on the run's branch of a table. On a registered table that is a commit of a
 * branch; an unregistered table's pointer moves in the state database only. `replaces` is this run's earlier staging of
 * the same table, when it is staged anew on a newer main.
 */
export async function stageTable(
  context: PipelineContext,
  run: RunId,
  target: Target,
  files: {
    readonly added: readonly DataFile[]
    readonly removed: readonly DataFile[]
    readonly summary: Readonly<Record<string, string>>
  },
  replaces: StagedTable | null,
): Promise<StagedTable> {
  const branch = runBranch(run)
  const snapshotId = randomPositiveLong(context.randomness)
  const staged = await stageSnapshot({
    store: context.store,
    manifests: context.manifests,
    steps: context.steps,
    randomness: context.randomness,
    base: target.evolved,
    parentSnapshotId: target.base?.metadata.currentSnapshotId ?? null,
    ref: branch,
    operation: files.removed.length > 0 ? 'overwrite' : 'append',
    added: files.added,
    removed: files.removed,
    snapshotId,
    timestampMs: context.clock.nowMs(),
    schemaId: target.layout.schema.schemaId,
    summary: { ...files.summary, 'limn.run': run },
    signal: context.signal,
  })
  const snapshotUpdates = staged.updates.filter((update) => update.action === 'add-snapshot')
  const updates = [...target.updates, ...snapshotUpdates]
  const toBranch: Update = { action: 'set-snapshot-ref', ref: branch, to: { type: 'branch', snapshotId } }
  const requirements: Requirement[] = target.base
    ? [
        { type: 'assert-table-uuid', uuid: target.base.metadata.tableUuid },
        {
          type: 'assert-ref-snapshot-id',
          ref: branch,
          snapshotId: replaces?.target.base ? replaces.snapshotId : null,
        },
        ...shapeRequirements(target),
      ]
    : [{ type: 'assert-create' }]
  if (replaces && !replaces.target.base) await context.runs.dropPointer(run, target.id)
  await context.runs.noteRef(run, target.id, branch, snapshotId, target.base !== null)
  const outcome = await context.catalog.commit([{ table: target.id, requirements, updates: [...updates, toBranch] }], {
    timestampMs: context.clock.nowMs(),
    signal: context.signal,
  })
  const loaded = committed(outcome, target.id).get(target.id)
  invariant(loaded, `${target.id} was staged`)
  return {
    target,
    ...files,
    snapshotId,
    pin: { ...pinSnapshot(loaded, snapshotId), schemaId: target.layout.schema.schemaId },
    updates,
  }
}

/**
 * The metadata of a table that a run staged and did not register; null when it is no more. A power failure may have left less
 * than all of it: then nobody relies on it, because what may be taken over is durable before it is remembered.
 */
export async function stagedMetadata(
  store: ObjectStore,
  location: StorePath,
  signal: AbortSignal,
): Promise<TableMetadata | null> {
  if ((await store.stat(location, { signal })) === null) return null
  try {
    return decodeMetadata(await store.read(location, undefined, { signal }))
  } catch (error) {
    if (error instanceof LimnError && error.kind === 'iceberg/invalid-metadata') return null
    throw error
  }
}

/** Staged shapes hold only while nobody else changed the table's shape. */
function shapeRequirements(target: Target): Requirement[] {
  const metadata = target.base?.metadata
  if (!metadata || target.updates.length === 0) return []
  return [
    { type: 'assert-current-schema-id', currentSchemaId: metadata.currentSchemaId },
    { type: 'assert-last-assigned-field-id', lastAssignedFieldId: metadata.lastColumnId },
    { type: 'assert-default-spec-id', defaultSpecId: metadata.defaultSpecId },
    { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: metadata.lastPartitionId },
  ]
}
