import { open } from 'node:fs/promises'
import { BIGINT, DuckDBDataChunk, UBIGINT } from '@duckdb/node-api'
import { LimnError } from '../../../base/index.ts'
import { decodeDeletionVector, deleteFilePathId, deletePositionId, PathMap } from '../../../iceberg/index.ts'
import type { Field } from '../../../schema/index.ts'
import { storePath } from '../../../storage/index.ts'
import type { BoundDelete, BoundFile } from '../../bound.ts'
import type { Binder } from './bind.ts'
import { inner, type ScanPart } from './parts.ts'

type PositionFile = Extract<BoundDelete, { kind: 'positions' }>
type Vector = Extract<BoundDelete, { kind: 'vector' }>

/** The columns of a file of position deletes; some writers leave their ids out, their names are fixed. */
const pathField: Field = { id: deleteFilePathId, name: 'file_path', required: true, type: 'string' }
const positionField: Field = { id: deletePositionId, name: 'pos', required: true, type: 'long' }
const byName = [pathField, positionField].map(({ id, name }) => ({ fieldId: id, names: [name], fields: [] }))

/**
 * For each part a table of deleted rows: `i` the file's place in the part, `p` the position; null where none of its files
 * has any. A delete file counts for those data files alone that name it among their deletes.
 */
export async function loadPositions(
  binder: Binder,
  parts: readonly ScanPart<BoundFile>[],
): Promise<readonly (string | null)[]> {
  const tables: (string | null)[] = []
  const targets = new Map<PositionFile, PathMap<Target>>()
  const vectors: { readonly vector: Vector; readonly target: Target }[] = []
  for (const part of parts) {
    const wanted = part.files.some((file) => file.deletes?.some((one) => one.kind !== 'equality'))
    if (!wanted) {
      tables.push(null)
      continue
    }
    const { name, sql } = await binder.table()
    await binder.run(`CREATE TABLE ${sql} (i UBIGINT, p BIGINT)`)
    tables.push(sql)
    for (const [index, file] of part.files.entries()) {
      const target = { table: sql, name, index }
      for (const one of file.deletes ?? []) {
        if (one.kind === 'vector') vectors.push({ vector: one, target })
        else if (one.kind === 'positions') {
          const known = targets.get(one) ?? new PathMap<Target>()
          known.add(storePath(file.path ?? file.local), target)
          targets.set(one, known)
        }
      }
    }
  }
  await insertFromFiles(binder, targets)
  await insertVectors(binder, vectors)
  return tables
}

interface Target {
  readonly table: string
  readonly name: string
  readonly index: number
}

async function insertFromFiles(binder: Binder, targets: ReadonlyMap<PositionFile, PathMap<Target>>): Promise<void> {
  if (targets.size === 0) return
  const parts = await binder.parts([...targets.keys()], [pathField, positionField], byName)
  for (const part of parts) {
    const columns = part.columns.map(({ field, sql }) => `${sql} AS ${inner(field.id)}`)
    const rows = `(SELECT ${columns.join(', ')}, file_index FROM ${part.source})`
    const named = await binder.connection.runAndReadAll(
      `SELECT DISTINCT file_index, ${inner(pathField.id)} FROM ${rows}`,
    )
    const found: string[] = []
    const tables = new Set<string>()
    for (const [index, path] of named.getRows()) {
      const file = part.files[Number(index)]
      for (const target of (file && targets.get(file)?.get(storePath(String(path)))) ?? []) {
        found.push(`(${index}, '${String(path).replaceAll("'", "''")}', '${target.name}', ${target.index})`)
        tables.add(target.table)
      }
    }
    if (found.length === 0) continue
    const { sql: map } = await binder.table()
    await binder.run(`CREATE TABLE ${map} (d UBIGINT, path VARCHAR, t VARCHAR, i UBIGINT)`)
    for (let at = 0; at < found.length; at += 1000)
      await binder.run(`INSERT INTO ${map} VALUES ${found.slice(at, at + 1000).join(', ')}`)
    for (const table of tables) {
      const name = table.slice(table.indexOf('.') + 1)
      await binder.run(
        `INSERT INTO ${table} SELECT m.i, r.${inner(positionField.id)} FROM ${rows} r
         JOIN ${map} m ON m.d = r.file_index AND m.path = r.${inner(pathField.id)} WHERE m.t = '${name}'`,
      )
    }
  }
}

/** Rows of one data chunk. */
const chunkRows = 2048

async function insertVectors(
  binder: Binder,
  vectors: readonly { readonly vector: Vector; readonly target: Target }[],
): Promise<void> {
  const byTable = Map.groupBy(vectors, ({ target }) => target.name)
  for (const [name, list] of byTable) {
    const appender = await binder.connection.createAppender(name, 'limn_bound')
    try {
      for (const { vector, target } of list) {
        const positions = decodeDeletionVector(await blobOf(vector), { cardinality: vector.cardinality }).toArray()
        for (let at = 0; at < positions.length; at += chunkRows) {
          const slice = positions.subarray(at, at + chunkRows)
          const chunk = DuckDBDataChunk.create([UBIGINT, BIGINT], slice.length)
          const index = BigInt(target.index)
          chunk.setColumnValues(
            0,
            Array.from(slice, () => index),
          )
          chunk.setColumnValues(1, Array.from(slice))
          appender.appendDataChunk(chunk)
        }
      }
    } finally {
      appender.closeSync()
    }
  }
}

async function blobOf(vector: Vector): Promise<Uint8Array> {
  await using file = await open(vector.local, 'r')
  const bytes = new Uint8Array(vector.length)
  const { bytesRead } = await file.read(bytes, 0, vector.length, vector.offset)
  if (bytesRead === vector.length) return bytes
  throw new LimnError('iceberg/invalid-metadata', {
    message: `The deletion vector at ${vector.offset} of ${vector.path} is cut off.`,
    notDone: 'The table was not read: its deleted rows are not known.',
    remedy: 'Restore the file, or go back to an earlier snapshot.',
  })
}
