import { tableId } from '../../packages/limn/src/base/index.ts'
import { type DataFile, readInventory } from '../../packages/limn/src/iceberg/index.ts'
import { append, createTable, pinSnapshot, readPinned, type TableContext } from '../../packages/limn/src/table/index.ts'

/** A table of two partitions, filled by small appends, and every row of every snapshot it has. */

export const id = tableId('silver.t')
export const schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' as const },
    { id: 2, name: 'part', required: false, type: 'int' as const },
    { id: 3, name: 'text', required: false, type: 'string' as const },
  ],
}
export const byPart = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'part', transform: { kind: 'identity' as const } }],
}
export const flat = { specId: 0, fields: [] }
export const locationOf = (context: TableContext) => `${context.store.root}/silver/t`

export async function make(context: TableContext, formatVersion: 2 | 3, spec: typeof byPart | typeof flat = byPart) {
  await createTable(context, id, { location: locationOf(context), schema, spec, formatVersion })
}

/** `count` appends of `each` rows, each with rows in two partitions. */
export async function fill(context: TableContext, count: number, each = 10, from = 0) {
  for (let i = 0; i < count; i++) {
    const low = from + i * each
    const sql = `SELECT range AS id, (range % 2)::INTEGER AS part, 'row ' || range AS text FROM range(${low}, ${low + each})`
    await append(context, id, { sql })
  }
}

export async function metadataNow(context: TableContext) {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  if (!loaded) throw new Error('the table is there')
  return loaded
}

export async function inventoryNow(context: TableContext) {
  const { metadata } = await metadataNow(context)
  return readInventory({
    manifests: context.manifests,
    metadata,
    snapshotId: metadata.currentSnapshotId,
    statistics: true,
  })
}

export async function rowsAt(context: TableContext, snapshotId: bigint, columns: string, metadataColumns = false) {
  await using reading = await readPinned(context, pinSnapshot(await metadataNow(context), snapshotId), {
    metadataColumns,
  })
  await using session = await context.engine.session([reading.bound])
  return (await session.rows(`SELECT ${columns} FROM ${id} ORDER BY ALL`)).rows.map((row) => row.map(String).join(' '))
}

/** The rows of every snapshot, so that none may change by maintenance. */
export async function everything(
  context: TableContext,
  lineage = false,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const out: Record<string, readonly string[]> = {}
  const columns = `id, part, text${lineage ? ', _row_id, _last_updated_sequence_number' : ''}`
  const { metadata } = await metadataNow(context)
  for (const { snapshotId } of metadata.snapshots)
    out[String(snapshotId)] = await rowsAt(context, snapshotId, columns, lineage)
  out.main = await rowsAt(context, metadata.currentSnapshotId ?? 0n, columns, lineage)
  return out
}

export const dataOf = async (context: TableContext): Promise<readonly DataFile[]> =>
  (await inventoryNow(context)).data.map((entry) => entry.file)

export const small = { targetFileBytes: 1_000_000, minInputFiles: 2 }
