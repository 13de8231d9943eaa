import { resolve } from 'node:path'
import { isTableId, LimnError, nearest, sha256, tableId } from '../../base/index.ts'
import type { IcebergSource } from '../../dataset/index.ts'
import {
  type LoadedTable,
  schemaById,
  snapshotById,
  snapshotsBetween,
  type TableMetadata,
} from '../../iceberg/index.ts'
import { canPromote, fieldByName, isPrimitive } from '../../schema/index.ts'
import { duckType, quoteIdentifier } from '../../sql/index.ts'
import { storePath } from '../../storage/index.ts'
import {
  openExternal,
  type PinnedTable,
  pinRef,
  putFiles,
  readAppends,
  readPinned,
  schemaOfPin,
  writeLocal,
} from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { DatasetLedger, Delivery } from '../ledger/ledger.ts'
import type { Probe } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { type Landing, sourceColumns, withDelivery } from './landing.ts'
import type { Target } from './staged-table.ts'

const externalRows = tableId('limn_source.rows')

/**
 * Finds the snapshot a table outside has now and compares it with the latest published delivery. The same snapshot, taken
 * with the same columns, is nothing new. Throws `source/missing`, `source/schema`, `dataset/invalid` for a table that a
 * dataset makes, and what reading metadata throws.
 */
export async function probeIceberg(
  context: PipelineContext,
  node: Node,
  source: IcebergSource,
  ledger: DatasetLedger,
): Promise<Probe> {
  const loaded = await openSource(context, node, source)
  const pin = pinRef(loaded, source.ref)
  if (!pin)
    throw new LimnError('source/missing', {
      message: `${source.table}, the source of ${node.id}, has no branch or tag ${source.ref}.`,
      notDone: 'Nothing was run.',
      remedy: `It has: ${Object.keys(loaded.metadata.refs).join(', ') || 'none'}.`,
    })
  requireColumns(node, source, pin)
  const path = deliveryPath(source, pin.snapshotId)
  const latest = latestOf(ledger)
  const hash = hashOf(node, pin.metadata, pin.snapshotId)
  if (latest?.path === path && latest.sha256 === hash) return { candidates: [], withdrawn: [] }
  const bytes =
    pin.snapshotId === null ? 0 : Number(snapshotById(pin.metadata, pin.snapshotId)?.summary['total-files-size'] ?? 0)
  const change = latest ? 'changed' : 'new'
  return {
    candidates: [{ path, sha256: hash, bytes, change }],
    withdrawn: [],
    external: { pin, since: sinceOf(node, source, pin, latest) },
  }
}

async function openSource(context: PipelineContext, node: Node, source: IcebergSource): Promise<LoadedTable> {
  const { table } = source
  if (!isTableId(table)) {
    const local = table.replace(/^file:(?:\/\/)?(?=\/)/, '')
    return openExternal(context, storePath(`file://${resolve(context.folder, local)}`), externalRows)
  }
  if (context.project.nodes.has(table))
    throw new LimnError('dataset/invalid', {
      message: `${table}, the source of ${node.id}, is made by a dataset of this lake.`,
      notDone: 'Nothing was run.',
      remedy: `Make ${node.id} a model that reads ${table}.`,
      location: { file: node.file },
    })
  const loaded = (await context.catalog.loadTables([table], { signal: context.signal })).get(table)
  if (loaded) return loaded
  const close = nearest(table, await context.catalog.listTables({ signal: context.signal }))
  throw new LimnError('source/missing', {
    message: `There is no table ${table}, the source of ${node.id}.`,
    notDone: 'Nothing was run: a source that is missing is not an empty one.',
    remedy: close ? `Did you mean ${close}?` : 'A table outside the catalog is named by its folder: ./path/to/table.',
    location: { file: node.file },
  })
}

function deliveryPath({ table }: IcebergSource, snapshotId: bigint | null): string {
  return `${table}@${snapshotId ?? 'empty'}`
}

/** What was taken: of which table, at which snapshot, as which columns. */
function hashOf(node: Node, { tableUuid }: TableMetadata, snapshotId: bigint | null): string {
  const columns = sourceColumns(node).map(({ name, type }) => [name, type])
  return sha256(JSON.stringify([tableUuid, String(snapshotId), columns]))
}

function latestOf(ledger: DatasetLedger): Delivery | null {
  let latest: Delivery | null = null
  for (const one of ledger.latest.values()) if (one.ordinal > (latest?.ordinal ?? 0)) latest = one
  return latest
}

/** The snapshot whose rows are landed, when the table has only been appended to since; else null. */
function sinceOf(
  node: Node,
  source: IcebergSource,
  { metadata, snapshotId, schemaId }: PinnedTable,
  latest: Delivery | null,
): bigint | null {
  if (!latest || snapshotId === null) return null
  const text = latest.path.startsWith(`${source.table}@`) ? latest.path.slice(source.table.length + 1) : ''
  if (!/^\d+$/.test(text)) return null
  const from = BigInt(text)
  const before = snapshotById(metadata, from)
  if (!before || latest.sha256 !== hashOf(node, metadata, from)) return null
  // A column that went and came again under its name is another one: earlier rows would read otherwise now.
  const [was, is] = [schemaById(metadata, before.schemaId ?? metadata.currentSchemaId), schemaById(metadata, schemaId)]
  if (sourceColumns(node).some(({ name }) => fieldByName(was, name)?.id !== fieldByName(is, name)?.id)) return null
  try {
    const between = snapshotsBetween(metadata, { from, to: snapshotId })
    return between.every((one) => one.operation === 'append' || one.operation === 'replace') ? from : null
  } catch (error) {
    if (error instanceof LimnError && error.kind === 'usage/unknown-snapshot') return null
    throw error
  }
}

/** The contract's columns have to be there, of its types or ones that widen to them. Others are not taken. */
function requireColumns(node: Node, source: IcebergSource, pin: PinnedTable): void {
  const schema = schemaOfPin(pin)
  for (const { name, type } of sourceColumns(node)) {
    const field = schema.fields.find((one) => one.name === name)
    if (!field)
      throw schemaError(
        node,
        source,
        `it has no column ${name}`,
        nearest(
          name,
          schema.fields.map((one) => one.name),
        ),
      )
    const fits = isPrimitive(field.type) && canPromote(field.type, type)
    const own = isPrimitive(field.type) ? field.type : field.type.type
    if (!fits) throw schemaError(node, source, `column ${name} is ${own}; the contract says ${type}`, undefined)
  }
}

function schemaError(node: Node, source: IcebergSource, why: string, close: string | undefined | null): LimnError {
  return new LimnError('source/schema', {
    message: `${source.table} does not fit the contract of ${node.id}: ${why}.`,
    notDone: 'Nothing was run.',
    remedy: close ? `Did you mean ${close}?` : 'Change the contract if the source has changed for good.',
    context: { dataset: node.id, table: source.table },
    location: { file: node.file },
  })
}

/** Lands the snapshot that was pinned when the plan was made: all its rows, or those appended since the last delivery. */
export async function landIceberg(
  context: PipelineContext,
  run: string,
  node: Node,
  source: IcebergSource,
  ledger: DatasetLedger,
  probe: Probe | undefined,
  target: Target,
): Promise<Landing> {
  const external = probe?.external
  const [candidate] = probe?.candidates ?? []
  if (!external || !candidate) return { files: [], deliveries: [], superseded: [] }
  const { pin, since } = external
  const ordinal = ledger.lastOrdinal + 1
  await using scratch = await context.store.scratch({ signal: context.signal })
  await using reading = await rowsOf(context, pin, since)
  await using session = await context.engine.session(reading.bound, { signal: context.signal })
  const columns = sourceColumns(node).map(
    ({ name, type }) => `CAST(${quoteIdentifier(name)} AS ${duckType(type)}) AS ${quoteIdentifier(name)}`,
  )
  const rows = `SELECT ${columns.join(', ')} FROM ${reading.from}`
  const written = await writeLocal(
    session,
    withDelivery(rows, ordinal, candidate.path, run),
    target.layout,
    scratch.folder,
  )
  const kept = written.reduce((total, file) => total + Number(file.recordCount), 0)
  const delivery: Delivery = {
    ordinal,
    path: candidate.path,
    sha256: candidate.sha256,
    replaces: since === null ? (latestOf(ledger)?.ordinal ?? null) : null,
    read: kept,
    kept,
    quarantined: 0,
  }
  return {
    files: await putFiles(context, target.layout, written),
    deliveries: [delivery],
    superseded: since === null ? Array.from({ length: ledger.lastOrdinal }, (_, i) => i + 1) : [],
    inputs: pin.snapshotId === null ? {} : { [source.table]: pin.snapshotId },
  }
}

async function rowsOf(context: PipelineContext, pin: PinnedTable, since: bigint | null) {
  if (since !== null) {
    const appended = await readAppends(context, pin, { from: since })
    return {
      bound: appended.bound,
      from: `(${appended.sql})`,
      [Symbol.asyncDispose]: () => appended[Symbol.asyncDispose](),
    }
  }
  const whole = await readPinned(context, pin)
  const bound = [{ ...whole.bound, id: externalRows }]
  return { bound, from: String(externalRows), [Symbol.asyncDispose]: () => whole[Symbol.asyncDispose]() }
}
