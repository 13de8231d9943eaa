import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Value } from '../../../schema/index.ts'
import { compareUtf8 } from '../../../schema/index.ts'
import { quoteFile, quoteIdentifier, quoteText } from '../../../sql/index.ts'
import type { WriteTarget, WrittenFile } from '../../engine.ts'
import { annotateFile } from './write-annotate.ts'
import { addBloomFilters } from './write-bloom.ts'
import { fieldIds, fileColumns, projection } from './write-columns.ts'
import { metricsOf, type ReturnedStats, type RunSql } from './write-metrics.ts'
import { isHashed, orderSql, type PartitionColumn, partitionColumns, partitionValue } from './write-partitions.ts'
import { checkRequired } from './write-required.ts'

/** A file larger than this many targets is split; one a little over it is left. */
const splitFrom = 1.5

/** A file that a COPY left, before it is final. */
interface Part {
  readonly local: string
  readonly rows: bigint
  readonly bytes: number
  readonly returned: ReturnedStats
  /** The name of its partition's folder. */
  readonly key: string
  readonly keys: readonly { readonly key: string; readonly value: string | null }[]
}

/**
 * Writes the rows of a query as Parquet files, cast to the schema, with field ids at every depth. A partitioned table
 * gets one file or more per partition. DuckDB neither splits files by size while it partitions, nor keeps an order while
 * it does either, so that files that have to be joined, sorted or split are copied once more: the memory it takes does
 * not grow with the rows, the disk does.
 */
export async function writeFiles(run: RunSql, sql: string, target: WriteTarget): Promise<readonly WrittenFile[]> {
  mkdirSync(target.folder, { recursive: true })
  const partitions = partitionColumns(target.spec, target.schema)
  const sorted = target.sortOrder && target.sortOrder.fields.length > 0 && target.orderBy === undefined
  const order = sorted && target.sortOrder ? orderSql(target.sortOrder, target.schema) : null
  const parts =
    partitions.length === 0
      ? await writeWhole(run, sql, target, order ?? target.orderBy ?? null)
      : await writePartitioned(run, sql, target, partitions, order)
  const out: WrittenFile[] = []
  for (const part of parts.toSorted((a, b) => compareUtf8(a.local, b.local))) {
    if (target.requireValues) await checkRequired(run, part.local, target.schema)
    await annotateFile(part.local, target.schema)
    if (target.bloomFilters) await addBloomFilters(part.local, target.bloomFilters)
    const metrics = await metricsOf(run, part.local, part.returned, target.schema, target.metrics)
    out.push({
      local: part.local,
      partition: await partitionOf(run, part, partitions, target),
      ...metrics,
      sortOrderId: order !== null && target.sortOrder ? target.sortOrder.orderId : null,
    })
  }
  return out
}

/** All rows of an unpartitioned table: cut by size as they come, or sorted as a whole and cut into ranges. */
async function writeWhole(
  run: RunSql,
  sql: string,
  target: WriteTarget,
  order: string | null,
): Promise<readonly Part[]> {
  const rows = `SELECT ${projection(fileColumns(target.schema))} FROM (${sql}\n)`
  if (order === null && target.fileSizeBytes !== undefined) {
    const folder = emptyFolder(target.folder)
    return partsOf(await run(copySql(rows, folder, target, [`FILE_SIZE_BYTES ${target.fileSizeBytes}`])))
  }
  const file = join(target.folder, 'data.parquet')
  const [part] = partsOf(await run(copySql(order === null ? rows : `${rows} ORDER BY ${order}`, file, target, [])))
  return part ? await split(run, part, target) : []
}

/** The folder itself as long as nothing is in it: each folder that is made has to be taken away again. */
function emptyFolder(folder: string): string {
  if (readdirSync(folder).length === 0) return folder
  const inner = join(folder, 'data')
  rmSync(inner, { recursive: true, force: true })
  return inner
}

async function writePartitioned(
  run: RunSql,
  sql: string,
  target: WriteTarget,
  partitions: readonly PartitionColumn[],
  order: string | null,
): Promise<readonly Part[]> {
  const folder = join(target.folder, 'parts')
  rmSync(folder, { recursive: true, force: true })
  const names = partitions.map((one) => quoteIdentifier(one.name)).join(', ')
  const keyed = `SELECT *, ${partitions.map((one) => `${one.sql} AS ${quoteIdentifier(one.name)}`).join(', ')}`
  const rows = `SELECT ${projection(fileColumns(target.schema))} FROM (${sql}\n)`
  const ranged = target.distribution === 'range' ? ` ORDER BY ${names}` : ''
  const options = [`PARTITION_BY (${names})`, 'WRITE_PARTITION_COLUMNS false']
  const parts = partsOf(await run(copySql(`${keyed} FROM (${rows})${ranged}`, folder, target, options)))
  const groups = [...Map.groupBy(parts, (part) => part.key).values()]
  const scattered = groups.filter((group) => group.length > 1)
  if (order !== null) return await eachSorted(run, groups, target, order)
  if (target.distribution === 'none' || scattered.length === 0) return await eachSplit(run, groups.flat(), target)
  // DuckDB keeps a limited number of files open: with more partitions it ends files early. Those are joined, clustered.
  const files = scattered.flat().map((part) => quoteFile(part.local))
  const again = join(target.folder, 'joined')
  await rm(again, { recursive: true, force: true })
  const source = `SELECT * FROM read_parquet([${files.join(', ')}], hive_partitioning = false)`
  const joined = partsOf(await run(copySql(`${keyed} FROM (${source}) ORDER BY ${names}`, again, target, options)))
  await Promise.all(scattered.flat().map((part) => rm(part.local)))
  return await eachSplit(run, [...groups.filter((group) => group.length === 1).flat(), ...joined], target)
}

/** Each partition's files joined into one, sorted, then cut into ranges. */
async function eachSorted(
  run: RunSql,
  groups: readonly (readonly Part[])[],
  target: WriteTarget,
  order: string,
): Promise<readonly Part[]> {
  const out: Part[] = []
  for (const [i, group] of groups.entries()) {
    const [first] = group
    if (!first) continue
    const files = group.map((part) => quoteFile(part.local)).join(', ')
    const sorted = join(target.folder, `sorted-${i}.parquet`)
    const source = `SELECT * FROM read_parquet([${files}], hive_partitioning = false) ORDER BY ${order}`
    const [part] = partsOf(await run(copySql(source, sorted, target, [])))
    await Promise.all(group.map((one) => rm(one.local)))
    if (part) out.push(...(await split(run, { ...part, key: first.key, keys: first.keys }, target)))
  }
  return out
}

async function eachSplit(run: RunSql, parts: readonly Part[], target: WriteTarget): Promise<readonly Part[]> {
  const out: Part[] = []
  for (const part of parts) out.push(...(await split(run, part, target)))
  return out
}

/** Cuts a file that is too large into ranges of rows, in their order. */
async function split(run: RunSql, part: Part, target: WriteTarget): Promise<readonly Part[]> {
  const { fileSizeBytes } = target
  if (fileSizeBytes === undefined || part.bytes <= fileSizeBytes * splitFrom) return [part]
  const count = Math.min(Number(part.rows), Math.round(part.bytes / fileSizeBytes))
  const size = Math.ceil(Number(part.rows) / count)
  const out: Part[] = []
  const whole = `${part.local}.whole`
  await rename(part.local, whole)
  for (let i = 0; i * size < Number(part.rows); i++) {
    const range = `file_row_number >= ${i * size} AND file_row_number < ${(i + 1) * size}`
    const source = `SELECT * EXCLUDE (file_row_number) FROM read_parquet(${quoteFile(whole)}, file_row_number = true, hive_partitioning = false) WHERE ${range} ORDER BY file_row_number`
    const file = part.local.replace(/\.parquet$/, `-${String(i).padStart(6, '0')}.parquet`)
    for (const one of partsOf(await run(copySql(source, file, target, []))))
      out.push({ ...one, key: part.key, keys: part.keys })
  }
  await rm(whole)
  return out
}

function copySql(rows: string, to: string, target: WriteTarget, more: readonly string[]): string {
  const { compressionLevel, rowGroupBytes } = target
  const options = [
    'FORMAT parquet',
    `COMPRESSION ${target.compression}`,
    ...(compressionLevel !== undefined && target.compression === 'zstd'
      ? [`COMPRESSION_LEVEL ${compressionLevel}`]
      : []),
    `ROW_GROUP_SIZE ${target.rowGroupSize}`,
    ...(rowGroupBytes === undefined ? [] : [`ROW_GROUP_SIZE_BYTES ${rowGroupBytes}`]),
    'WRITE_BLOOM_FILTER false',
    fieldIds(fileColumns(target.schema)),
    'RETURN_STATS',
    ...more,
  ]
  return `COPY (${rows}) TO ${quoteText(to)} (${options.join(', ')})`
}

type StatsRow = readonly [
  file: string,
  count: string,
  bytes: string,
  footer: string,
  columns: ReturnedStats,
  partitions: Part['keys'] | null,
]

/** Files of a COPY from its returned statistics. A file without rows is left out. */
function partsOf(rows: readonly unknown[]): readonly Part[] {
  return (rows as readonly StatsRow[])
    .filter((row) => row[1] !== '0')
    .map((row) => {
      const keys = row[5] ?? []
      const key = JSON.stringify(keys.map((one) => one.value))
      return { local: row[0], rows: BigInt(row[1]), bytes: Number(row[2]), returned: row[4], key, keys }
    })
}

async function partitionOf(
  run: RunSql,
  part: Part,
  partitions: readonly PartitionColumn[],
  target: WriteTarget,
): Promise<readonly (Value | null)[]> {
  const out: (Value | null)[] = target.spec.fields.map(() => null)
  const byName = new Map(part.keys.map((one) => [one.key, one.value]))
  const unread: PartitionColumn[] = []
  for (const column of partitions) {
    const text = byName.get(column.name)
    if (text === null || text === undefined) continue
    if (isHashed(column, text)) unread.push(column)
    else out[column.position] = partitionValue(column, text)
  }
  if (unread.length === 0) return out
  const file = `read_parquet(${quoteFile(part.local)}, hive_partitioning = false)`
  const [row = []] = await run(`SELECT ${unread.map((one) => one.text).join(', ')} FROM ${file} LIMIT 1`)
  for (const [i, column] of unread.entries()) out[column.position] = partitionValue(column, String(row[i]))
  return out
}
