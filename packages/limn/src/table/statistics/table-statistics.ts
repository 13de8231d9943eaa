import { LimnError, randomUuid, step, type TableId } from '../../base/index.ts'
import { writePuffin } from '../../encoding/index.ts'
import { type Session, valueOfText, valueText } from '../../engine/index.ts'
import {
  addToSketch,
  type Evolution,
  metadataFolder,
  type Snapshot,
  type StatisticsFile,
  snapshotById,
  type TableMetadata,
  thetaBlob,
  type Update,
} from '../../iceberg/index.ts'
import { isPrimitive, type Located, locateAll, type PrimitiveType, type Schema } from '../../schema/index.ts'
import { ThetaSketch } from '../../sketch/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'
import { storePath } from '../../storage/index.ts'
import { pinSnapshot, schemaOfPin, type TableContext } from '../context.ts'
import { readPinned } from '../read/read.ts'
import { changeMetadata, loadTable } from '../shape/alter.ts'

export interface TableStatisticsOptions {
  /** Default: main's. */
  readonly snapshotId?: bigint
  /** Full names. Default: every column of a primitive type that stands in no other. */
  readonly columns?: readonly string[]
}

export interface TableStatistics {
  readonly snapshotId: bigint
  readonly file: StatisticsFile
  /** In the order of the columns. Exact up to 4,096 distinct values; beyond, an estimate with a standard error of 1.6 %. */
  readonly distinct: readonly { readonly column: string; readonly fieldId: number; readonly count: bigint }[]
}

/** Rows that travel from the engine at once. */
const batchRows = 200_000

/**
 * Counts the distinct values of columns in the rows of a snapshot and tells the table's readers: a Puffin file with a theta
 * sketch per column (blob type `apache-datasketches-theta-v1`, property `ndv`), named by the table's metadata in place of
 * the statistics the snapshot had. Rows that deletes remove do not count, nor do nulls. No snapshot is made. Null: the table
 * has no snapshot. Throws `usage/unknown-table`, `usage/unknown-snapshot`, `usage/argument` for a column that there is not
 * or that has no single values.
 */
export async function computeTableStatistics(
  context: TableContext,
  table: TableId,
  options: TableStatisticsOptions = {},
): Promise<TableStatistics | null> {
  const loaded = await loadTable(context, table)
  const snapshot = snapshotOf(loaded.metadata, options.snapshotId)
  if (!snapshot) return null
  const pin = pinSnapshot(loaded, snapshot.snapshotId)
  const columns = columnsOf(schemaOfPin(pin), options.columns)
  const sketches = await (async () => {
    await using reading = await readPinned(context, pin)
    await using session = await context.engine.session([reading.bound], { signal: context.signal })
    const from = table.split('.').map(quoteIdentifier).join('.')
    const out: ThetaSketch[] = []
    for (const column of columns) out.push(await sketchOf(session, from, column))
    return out
  })()
  const puffin = writePuffin(
    columns.map(({ fieldId }, i) =>
      thetaBlob({
        fieldId,
        snapshotId: snapshot.snapshotId,
        sequenceNumber: snapshot.sequenceNumber,
        sketch: sketches[i] ?? new ThetaSketch(),
      }),
    ),
    { 'created-by': 'limn' },
  )
  const name = `${snapshot.snapshotId}-${randomUuid(context.randomness)}.stats`
  const path = storePath(`${metadataFolder(loaded.metadata)}/${name}`)
  await step(context.steps, 'file.put', path, () => context.store.write(path, puffin.bytes, { signal: context.signal }))
  const statistics: StatisticsFile = {
    snapshotId: snapshot.snapshotId,
    statisticsPath: path,
    fileSizeInBytes: BigInt(puffin.bytes.length),
    fileFooterSizeInBytes: BigInt(puffin.footerBytes),
    blobMetadata: puffin.blobs.map(({ type, snapshotId, sequenceNumber, fields, properties }) => ({
      type,
      snapshotId,
      sequenceNumber,
      fields,
      properties,
    })),
  }
  await changeMetadata(context, table, ({ metadata }) =>
    ofSnapshot(metadata, snapshot.snapshotId, { action: 'set-statistics', statistics }),
  )
  return {
    snapshotId: snapshot.snapshotId,
    file: statistics,
    distinct: columns.map(({ name: column, fieldId }, i) => ({
      column,
      fieldId,
      count: BigInt(Math.round(sketches[i]?.estimate ?? 0)),
    })),
  }
}

/** The snapshot asked for, else main's; null: there is none. Throws `usage/unknown-snapshot`. */
export function snapshotOf(metadata: TableMetadata, snapshotId: bigint | undefined): Snapshot | null {
  const wanted = snapshotId ?? metadata.currentSnapshotId
  if (wanted === null) return null
  const snapshot = snapshotById(metadata, wanted)
  if (snapshot) return snapshot
  throw new LimnError('usage/unknown-snapshot', {
    message: `The table has no snapshot ${wanted}.`,
    notDone: 'Nothing was computed.',
    remedy: 'List its snapshots with: limn table history NAME',
  })
}

/** One update about a snapshot, that holds while the table has it. */
export function ofSnapshot(metadata: TableMetadata, snapshotId: bigint, update: Update): Evolution {
  if (!snapshotById(metadata, snapshotId))
    throw new LimnError('catalog/conflict', {
      message: `The snapshot ${snapshotId} was expired while its statistics were computed.`,
      notDone: 'They are not part of the table; their file is left for orphan removal.',
      remedy: 'Compute those of a later snapshot.',
    })
  return { requirements: [{ type: 'assert-table-uuid', uuid: metadata.tableUuid }], updates: [update] }
}

interface Column {
  readonly name: string
  readonly fieldId: number
  readonly type: PrimitiveType
  /** An expression over the table. */
  readonly sql: string
}

function columnsOf(schema: Schema, names: readonly string[] | undefined): readonly Column[] {
  const all = locateAll(schema.fields)
  if (names === undefined) return all.filter((one) => one.path.length === 1).flatMap((one) => columnOf(one) ?? [])
  return [...new Set(names)].map((name) => {
    const located = all.find((one) => one.path.join('.') === name)
    const column = located && columnOf(located)
    if (column) return column
    throw new LimnError('usage/argument', {
      message: located
        ? `The column ${name} has no single values to count.`
        : `The table has no column ${name} in that snapshot.`,
      notDone: 'Nothing was computed.',
      remedy: `Name some of: ${all.flatMap((one) => columnOf(one)?.name ?? []).join(', ')}.`,
    })
  })
}

/** Null: it is no primitive, or stands in a list or map. */
function columnOf({ field, path, ancestors }: Located): Column | null {
  const { id, type } = field
  if (!isPrimitive(type) || type === 'variant' || type === 'unknown') return null
  const structs = ancestors.every((one) => !isPrimitive(one.field.type) && one.field.type.type === 'struct')
  if (!structs) return null
  const [first = '', ...inner] = path
  const sql = inner.reduce((outer, name) => `struct_extract(${outer}, ${quoteText(name)})`, quoteIdentifier(first))
  return { name: path.join('.'), fieldId: id, type, sql }
}

async function sketchOf(session: Session, from: string, { type, sql }: Column): Promise<ThetaSketch> {
  const sketch = new ThetaSketch()
  // Kept by the engine, which spills, and fetched by and by.
  await session.exec(
    `CREATE OR REPLACE TEMP TABLE limn_distinct AS SELECT ${valueText(type, 'v')} AS v FROM (SELECT DISTINCT ${sql} AS v FROM ${from}) WHERE v IS NOT NULL`,
  )
  for (let at = 0; ; at += batchRows) {
    const { rows } = await session.rows(
      `SELECT v FROM limn_distinct WHERE rowid >= ${at} AND rowid < ${at + batchRows} ORDER BY rowid`,
    )
    for (const [text] of rows) addToSketch(sketch, type, valueOfText(type, String(text)))
    if (rows.length < batchRows) break
  }
  await session.exec('DROP TABLE limn_distinct')
  return sketch
}
