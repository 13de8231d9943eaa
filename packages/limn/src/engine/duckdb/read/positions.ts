import { BIGINT, DuckDBDataChunk, UBIGINT } from '@duckdb/node-api'
import { deleteFilePathId, deletePositionId, PathMap } from '../../../iceberg/index.ts'
import type { Field } from '../../../schema/index.ts'
import { storePath } from '../../../storage/index.ts'
import type { BoundDelete, BoundFile } from '../../bound.ts'
import type { Binder } from './bind.ts'
import { bitsOfVectors, type DeletedRows, deletedRows, fitBits, positionsOf, type Vector } from './deleted-bits.ts'
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
  const out: (DeletedRows | null)[] = parts.map(() => null)
  const tables = new Map<number, string>()
  const targets = new Map<PositionFile, PathMap<Target>>()
  const vectors: { readonly vector: Vector; readonly target: Target }[] = []
  for (const [i, part] of parts.entries()) {
    const deletes = part.files.flatMap((file) => file.deletes?.filter((one) => one.kind !== 'equality') ?? [])
    if (deletes.length === 0) continue
    const known = deletes.reduce((sum, one) => sum + (one.kind === 'vector' ? Number(one.cardinality) : Number.NaN), 0)
    if (fitBits(part.files, known)) {
      out[i] = await bitsOfVectors(binder, part.files)
      continue
    }
    const { name, sql } = await binder.table()
    await binder.run(`CREATE TABLE ${sql} (i UBIGINT, p BIGINT)`)
    tables.set(i, sql)
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
  for (const [i, table] of tables) out[i] = await deletedRows(binder, table, parts[i]?.files ?? [])
  return out
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
        const positions = await positionsOf(vector)
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
