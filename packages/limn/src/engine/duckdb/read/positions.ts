import { BIGINT, DuckDBDataChunk, UBIGINT } from '@duckdb/node-api'
import { deleteFilePathId, deletePositionId, PathMap } from '../../../iceberg/index.ts'
import type { Field } from '../../../schema/index.ts'
import { quoteText } from '../../../sql/index.ts'
import { storePath } from '../../../storage/index.ts'
import type { BoundDelete, BoundFile } from '../../bound.ts'
import { type Binder, boundSchema } from './bind.ts'
import { bitsOfRows, bitsOfVectors, type DeletedRows, fitBits, positionsOf, type Vector } from './deleted-bits.ts'
import { inner, type ScanPart } from './parts.ts'

type PositionFile = Extract<BoundDelete, { kind: 'positions' }>

/** The columns of a file of position deletes; some writers leave their ids out, their names are fixed. */
const pathField: Field = { id: deleteFilePathId, name: 'file_path', required: true, type: 'string' }
const positionField: Field = { id: deletePositionId, name: 'pos', required: true, type: 'long' }
const byName = [pathField, positionField].map(({ id, name }) => ({ fieldId: id, names: [name], fields: [] }))

/**
 * For each part its deleted rows; null where none of its files has any. A delete file counts for those data files alone
 * that name it among their deletes.
 */
export async function loadPositions(
  binder: Binder,
  parts: readonly ScanPart<BoundFile>[],
): Promise<readonly (DeletedRows | null)[]> {
  const targets = new Map<PositionFile, PathMap<Target>>()
  for (const [part, { files }] of parts.entries()) {
    for (const [index, file] of files.entries()) {
      for (const one of file.deletes ?? []) {
        if (one.kind !== 'positions') continue
        const known = targets.get(one) ?? new PathMap<Target>()
        known.add(storePath(file.path ?? file.local), { part, index })
        targets.set(one, known)
      }
    }
  }
  const selects = await selectsOfFiles(binder, targets)
  const out: (DeletedRows | null)[] = []
  for (const [i, { files }] of parts.entries()) out.push(await deletedRows(binder, files, selects.get(i) ?? []))
  return out
}

/** `selects`: what position delete files say of the part's files. */
async function deletedRows(
  binder: Binder,
  files: readonly BoundFile[],
  selects: readonly string[],
): Promise<DeletedRows | null> {
  const deletes = new Set(files.flatMap((file) => file.deletes?.filter((one) => one.kind !== 'equality') ?? []))
  if (deletes.size === 0) return null
  const vectors = files.flatMap((file, index) =>
    (file.deletes ?? []).flatMap((one) => (one.kind === 'vector' ? [{ vector: one, index }] : [])),
  )
  let most = 0
  for (const one of deletes) most += Number(one.kind === 'vector' ? one.cardinality : one.recordCount)
  const fit = fitBits(files, most)
  if (fit && selects.length === 0) return bitsOfVectors(binder, files)
  if (fit && vectors.length === 0) return bitsOfRows(binder, selects.join(' UNION ALL '), most, files)
  const { name, sql } = await binder.table()
  await binder.run(`CREATE TABLE ${sql} (i UBIGINT, p BIGINT)`)
  await insertVectors(binder, name, vectors)
  for (const select of selects) await binder.run(`INSERT INTO ${sql} ${select}`)
  if (fit) return bitsOfRows(binder, `SELECT i, p FROM ${sql}`, most, files)
  return { join: `ANTI JOIN ${sql} p ON p.i = x.file_index AND p.p = x.file_row_number`, keeps: null }
}

/** A data file: its part, and its place within. */
interface Target {
  readonly part: number
  readonly index: number
}

/** For each part, selections of what delete files say of its files: `i` the file's place in the part, `p` the position. */
async function selectsOfFiles(
  binder: Binder,
  targets: ReadonlyMap<PositionFile, PathMap<Target>>,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const selects = new Map<number, string[]>()
  if (targets.size === 0) return selects
  for (const part of await binder.parts([...targets.keys()], [pathField, positionField], byName)) {
    const columns = part.columns.map(({ field, sql }) => `${sql} AS ${inner(field.id)}`)
    const rows = `(SELECT ${columns.join(', ')}, file_index FROM ${part.source})`
    const named = await binder.connection.runAndReadAll(
      `SELECT DISTINCT file_index, ${inner(pathField.id)} FROM ${rows}`,
    )
    const found: string[] = []
    const reached = new Set<number>()
    for (const [index, path] of named.getRows()) {
      const file = part.files[Number(index)]
      for (const target of (file && targets.get(file)?.get(storePath(String(path)))) ?? []) {
        found.push(`(${index}, ${quoteText(String(path))}, ${target.part}, ${target.index})`)
        reached.add(target.part)
      }
    }
    if (found.length === 0) continue
    const { sql: map } = await binder.table()
    await binder.run(`CREATE TABLE ${map} (d UBIGINT, path VARCHAR, part INTEGER, i UBIGINT)`)
    for (let at = 0; at < found.length; at += 1000)
      await binder.run(`INSERT INTO ${map} VALUES ${found.slice(at, at + 1000).join(', ')}`)
    for (const own of reached) {
      const select = `SELECT m.i, r.${inner(positionField.id)} AS p FROM ${rows} r
        JOIN ${map} m ON m.d = r.file_index AND m.path = r.${inner(pathField.id)} WHERE m.part = ${own}`
      selects.set(own, [...(selects.get(own) ?? []), select])
    }
  }
  return selects
}

/** Rows of one data chunk. */
const chunkRows = 2048

async function insertVectors(
  binder: Binder,
  table: string,
  vectors: readonly { readonly vector: Vector; readonly index: number }[],
): Promise<void> {
  const appender = await binder.connection.createAppender(table, boundSchema)
  try {
    for (const { vector, index } of vectors) {
      const positions = (await positionsOf(vector)).toArray()
      for (let at = 0; at < positions.length; at += chunkRows) {
        const slice = positions.subarray(at, at + chunkRows)
        const chunk = DuckDBDataChunk.create([UBIGINT, BIGINT], slice.length)
        chunk.setColumnValues(
          0,
          Array.from(slice, () => BigInt(index)),
        )
        chunk.setColumnValues(1, Array.from(slice))
        appender.appendDataChunk(chunk)
      }
    }
  } finally {
    appender.closeSync()
  }
}
