import { invariant, type RunId, randomUuid } from '../../base/index.ts'
import {
  applyUpdates,
  type DataFile,
  dataFolder,
  isUnder,
  type LoadedTable,
  schemaById,
  specById,
  type TableMetadata,
  type Update,
} from '../../iceberg/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import { supersededProperty } from '../../table/index.ts'
import { type PipelineContext, tableLocation } from '../context.ts'
import { type StagedTable, stageTable, type Target } from '../stage/staged-table.ts'
import { formatOrdinals, supersededAt } from '../stage/view.ts'
import { type ChangedTable, filesMoved, originState } from './changes.ts'
import { ownProperties } from './standing.ts'

/**
 * Stages on a run's branch in production what an environment did to one table. Files that the environment wrote get a
 * second place within production's own folder, so that neither can delete what the other reads.
 */
export async function stageChange(
  production: PipelineContext,
  there: PipelineContext,
  run: RunId,
  one: ChangedTable,
  replaces: StagedTable | null,
): Promise<StagedTable> {
  const { there: own, origin } = one
  invariant(own, `${one.table} is there`)
  const target = one.production ? reshapedTarget(production, one.production, own) : newTarget(production, own)
  const moved = await filesMoved(there, own, origin?.snapshotId ?? null, originState(one) ?? own.metadata)
  const added = await placeFiles(production, moved.added, own.metadata.location, target.evolved)
  const superseded = supersededAt(own.metadata, own.metadata.currentSnapshotId)
  return stageTable(
    production,
    run,
    target,
    {
      added,
      removed: [...moved.removed, ...moved.deletesRemoved],
      summary: superseded.size > 0 ? { [supersededProperty]: formatOrdinals(superseded) } : {},
    },
    replaces,
  )
}

/** Files under a folder, given a place in the table that is to have them; others keep theirs. */
async function placeFiles(
  { store, signal }: PipelineContext,
  files: readonly DataFile[],
  from: string,
  table: TableMetadata,
): Promise<readonly DataFile[]> {
  const links: { from: StorePath; to: StorePath }[] = []
  const placed = files.map((file) => {
    if (!isUnder(file.path, from)) return file
    const to = storePath(`${dataFolder(table)}/${file.path.slice(file.path.lastIndexOf('/') + 1)}`)
    links.push({ from: file.path, to })
    return { ...file, path: to }
  })
  await store.linkFiles(links, { signal })
  return placed
}

/** Columns and partition fields keep the ids that the environment's files name them by. */
function reshapedTarget(context: PipelineContext, base: LoadedTable, own: LoadedTable): Target {
  const updates = [...shapesOf(own.metadata)]
  const timestampMs = context.clock.nowMs()
  const evolved = applyUpdates(base.metadata, updates, { timestampMs })
  const wanted = applyUpdates(
    evolved,
    [
      { action: 'add-schema', schema: currentSchemaOf(own) },
      { action: 'set-current-schema', schemaId: -1 },
    ],
    { timestampMs },
  )
  const schemaId = wanted.currentSchemaId
  const specId = own.metadata.defaultSpecId
  const known = [evolved.schemas.length, evolved.partitionSpecs.length]
  const same = known[0] === base.metadata.schemas.length && known[1] === base.metadata.partitionSpecs.length
  requireSameSpecs(own.metadata, evolved)
  return {
    id: base.table,
    base,
    evolved,
    layout: {
      location: base.metadata.location,
      schema: schemaById(evolved, schemaId),
      spec: specById(evolved, specId),
    },
    updates: same ? [] : updates,
    evolves: schemaId !== base.metadata.currentSchemaId || specId !== base.metadata.defaultSpecId,
    reshaped: !same,
  }
}

function newTarget(context: PipelineContext, own: LoadedTable): Target {
  const { metadata } = own
  const order = metadata.sortOrders.find((one) => one.orderId === metadata.defaultSortOrderId)
  const updates: Update[] = [
    { action: 'assign-uuid', uuid: randomUuid(context.randomness) },
    { action: 'upgrade-format-version', formatVersion: metadata.formatVersion >= 3 ? 3 : 2 },
    { action: 'set-location', location: tableLocation(context, own.table) },
    ...shapesOf(metadata),
    { action: 'set-current-schema', schemaId: metadata.currentSchemaId },
    { action: 'set-default-spec', specId: metadata.defaultSpecId },
    { action: 'add-sort-order', sortOrder: order ?? { orderId: 0, fields: [] } },
    { action: 'set-default-sort-order', sortOrderId: -1 },
    { action: 'set-properties', updates: ownProperties(metadata) },
  ]
  const evolved = applyUpdates(null, updates, { timestampMs: context.clock.nowMs() })
  requireSameSpecs(metadata, evolved)
  return {
    id: own.table,
    base: null,
    evolved,
    layout: {
      location: evolved.location,
      schema: schemaById(evolved, evolved.currentSchemaId),
      spec: specById(evolved, evolved.defaultSpecId),
    },
    updates,
    evolves: false,
    reshaped: false,
  }
}

/** Every schema and spec a table has had, in order, so that ids given and taken away are not given again. */
function shapesOf(metadata: TableMetadata): readonly Update[] {
  const schemas = metadata.schemas.toSorted((a, b) => a.schemaId - b.schemaId)
  const specs = metadata.partitionSpecs.toSorted((a, b) => a.specId - b.specId)
  return [
    ...schemas.map((schema): Update => ({ action: 'add-schema', schema })),
    ...specs.map((spec): Update => ({ action: 'add-spec', spec })),
  ]
}

function currentSchemaOf({ metadata }: LoadedTable) {
  return schemaById(metadata, metadata.currentSchemaId)
}

/** Files say by number how they are partitioned: a number must mean the same in both. */
function requireSameSpecs(own: TableMetadata, evolved: TableMetadata): void {
  for (const spec of own.partitionSpecs)
    invariant(
      JSON.stringify(specById(evolved, spec.specId).fields) === JSON.stringify(spec.fields),
      `partition spec ${spec.specId} is the same in production`,
    )
}
