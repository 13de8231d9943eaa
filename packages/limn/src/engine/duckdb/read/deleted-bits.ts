import { open } from 'node:fs/promises'
import { DuckDBBitValue } from '@duckdb/node-api'
import { LimnError } from '../../../base/index.ts'
import { decodeDeletionVector } from '../../../iceberg/index.ts'
import type { BoundDelete, BoundFile } from '../../bound.ts'
import { type Binder, boundSchema } from './bind.ts'

export type Vector = Extract<BoundDelete, { kind: 'vector' }>

/** The deleted rows of a part: what its rows `x` are joined with, and the condition, if any, that those kept meet. */
export interface DeletedRows {
  readonly join: string
  readonly keeps: string | null
}

/** Fewer deleted rows than this are joined one by one, whatever their share. */
const bitsMin = 10_000

/** What one deleted row weighs in the hash table of a join, about. */
const joinedRowBytes = 32

/** DuckDB numbers the bits of a string by an INTEGER. */
const numberedMax = 2 ** 31 - 9

/** Bits that are gathered at once, one file's aside. */
const bitsAtOnce = 8_000_000

/** Whether a bit for each row takes less than an entry for each of the `deleted`; it is found in half the time. */
export function fitBits(files: readonly BoundFile[], deleted: number): boolean {
  const sizes = files.map(sizeOf)
  const bytes = sizes.reduce((sum, size) => sum + size / 8, 0)
  return deleted >= bitsMin && bytes <= deleted * joinedRowBytes && sizes.every((size) => size <= numberedMax)
}

/** `table` has the deleted rows of a part: `i` the file's place in it, `p` the position. */
export async function deletedRows(binder: Binder, table: string, files: readonly BoundFile[]): Promise<DeletedRows> {
  const reader = await binder.connection.runAndReadAll(`SELECT count(*) FROM ${table}`)
  if (!fitBits(files, Number(reader.getRows()[0]?.[0])))
    return { join: `ANTI JOIN ${table} p ON p.i = x.file_index AND p.p = x.file_row_number`, keeps: null }
  const bits = await bitsTable(binder)
  for (const { from, to, size } of batchesOf(files.map(sizeOf))) {
    const last = size - 1
    await binder.run(
      `INSERT INTO ${bits.sql} SELECT i, bitstring_agg(p, 0, ${last}) FROM ${table}
       WHERE i BETWEEN ${from} AND ${to} AND p BETWEEN 0 AND ${last} GROUP BY i`,
    )
    await binder.run(
      `INSERT INTO ${bits.sql} SELECT f.i, bitstring('0', ${size}) FROM range(${from}, ${to + 1}) f(i)
       ANTI JOIN ${bits.sql} b ON b.i = f.i`,
    )
  }
  await binder.run(`DROP TABLE ${table}`)
  return bits.deleted
}

/** The same from vectors alone, of files that have nothing else deleted by position. */
export async function bitsOfVectors(binder: Binder, files: readonly BoundFile[]): Promise<DeletedRows> {
  const bits = await bitsTable(binder)
  const appender = await binder.connection.createAppender(bits.name, boundSchema)
  try {
    // What is appended is copied at once: one array serves all files.
    const room = new Uint8Array(1 + Math.max(...files.map(sizeOf)) / 8)
    for (const [index, file] of files.entries()) {
      const size = sizeOf(file)
      // First how many bits of the second byte count for nothing: none. Bits stand from the highest of a byte down.
      const bytes = room.subarray(0, 1 + size / 8).fill(0)
      for (const one of file.deletes ?? []) {
        if (one.kind !== 'vector') continue
        for (const position of await positionsOf(one)) {
          const at = Number(position)
          if (at < size) bytes[1 + (at >> 3)] = (bytes[1 + (at >> 3)] ?? 0) | (0x80 >> (at & 7))
        }
      }
      appender.appendUBigInt(BigInt(index))
      appender.appendBit(new DuckDBBitValue(bytes))
      appender.endRow()
    }
  } finally {
    appender.closeSync()
  }
  return bits.deleted
}

async function bitsTable(binder: Binder) {
  const { name, sql } = await binder.table()
  await binder.run(`CREATE TABLE ${sql} (i UBIGINT, b BIT)`)
  const deleted = {
    join: `JOIN ${sql} p ON p.i = x.file_index`,
    keeps: 'get_bit(p.b, x.file_row_number::INTEGER) = 0',
  }
  return { name, sql, deleted }
}

/** Bits of a file: its rows, in whole bytes. */
function sizeOf({ recordCount }: BoundFile): number {
  return recordCount === undefined ? Number.POSITIVE_INFINITY : Math.max(8, Math.ceil(Number(recordCount) / 8) * 8)
}

/** Files, by their places, whose bits are gathered together; `size` is of the longest. */
function batchesOf(sizes: readonly number[]) {
  const out: { readonly from: number; to: number; size: number }[] = []
  for (const [i, own] of sizes.entries()) {
    const last = out.at(-1)
    const size = Math.max(own, last?.size ?? 0)
    if (last && size * (i - last.from + 1) <= bitsAtOnce) Object.assign(last, { to: i, size })
    else out.push({ from: i, to: i, size: own })
  }
  return out
}

export async function positionsOf(vector: Vector) {
  return decodeDeletionVector(await blobOf(vector), { cardinality: vector.cardinality }).toArray()
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
