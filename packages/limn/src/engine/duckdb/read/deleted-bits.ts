import { open } from 'node:fs/promises'
import { LimnError } from '../../../base/index.ts'
import { RoaringPositions } from '../../../encoding/index.ts'
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

/** As a power of two, how many rows in succession have their bits in one string: such a string is short, and one for rows that are all kept is left out. */
const runShift = 12
const runRows = 2 ** runShift

/** What the bits of a run weigh in the hash table of a join, about. */
const joinedRunBytes = runRows / 8 + 40

/** What the number of a row within its run takes. */
const numberBytes = 2

/** What is appended is written to the table by so much, rather than held until the end. */
const flushBytes = 2 ** 20

/** Whether a bit for each row takes less than an entry for each of the `deleted`; it is found in half the time. */
export function fitBits(files: readonly BoundFile[], deleted: number): boolean {
  const runs = files.reduce((sum, file) => sum + runsOf(file), 0)
  return deleted >= bitsMin && runs * joinedRunBytes <= deleted * joinedRowBytes
}

/**
 * Bits of the rows that `rows` selects: `i` the file's place in the part, `p` the position, in any order and repeated as they
 * may be; `most` of them. Where they are few the table keeps their numbers, and the bits are there while a query joins them.
 */
export async function bitsOfRows(
  binder: Binder,
  rows: string,
  most: number,
  files: readonly BoundFile[],
): Promise<DeletedRows> {
  const all = files.reduce((sum, file) => sum + runsOf(file), 0) * runRows
  const numbered = most * numberBytes < all / 8
  const bits = await bitsTable(binder, files, numbered ? 'numbers' : 'bits')
  const inRun = `(p & ${runRows - 1})`
  await binder.run(
    `INSERT INTO ${bits.sql} SELECT ${bits.runOf('i', 'p')} AS run,
       ${numbered ? `list(${inRun}::USMALLINT)` : `bitstring_agg(${inRun}, 0, ${runRows - 1})::BLOB`}
     FROM (${rows}) WHERE p BETWEEN 0 AND ${bits.runsPerFile * runRows - 1} GROUP BY run`,
  )
  return bits.deleted
}

/** The same from vectors alone, of files that have nothing else deleted by position. */
export async function bitsOfVectors(binder: Binder, files: readonly BoundFile[]): Promise<DeletedRows> {
  const bits = await bitsTable(binder, files, 'bits')
  const appender = await binder.connection.createAppender(bits.name, boundSchema)
  try {
    let held = 0
    // What is appended is copied at once: one string serves all. Bits stand from the highest of a byte down.
    const bytes = new Uint8Array(runRows / 8)
    const append = (index: number, run: number) => {
      if (run < 0) return
      appender.appendBigInt(BigInt(index * bits.runsPerFile + run))
      appender.appendBlob(bytes)
      appender.endRow()
      bytes.fill(0)
      held += bytes.length
    }
    for (const [index, file] of files.entries()) {
      const end = runsOf(file) * runRows
      let run = -1
      for (const position of (await deletedOf(file)).toArray()) {
        if (position >= end) break
        const at = Number(position) % runRows
        const own = (Number(position) - at) / runRows
        if (own !== run) append(index, run)
        run = own
        bytes[at >> 3] = (bytes[at >> 3] ?? 0) | (0x80 >> (at & 7))
      }
      append(index, run)
      if (held < flushBytes) continue
      appender.flushSync()
      held = 0
    }
  } finally {
    appender.closeSync()
  }
  return bits.deleted
}

async function deletedOf(file: BoundFile): Promise<RoaringPositions> {
  let all = RoaringPositions.empty
  for (const one of file.deletes ?? []) if (one.kind === 'vector') all = all.union(await positionsOf(one))
  return all
}

/**
 * What a table holds of each run: `bits` as bytes, which can be appended without a value of the engine's own for each, or the
 * `numbers` of those that are set.
 */
async function bitsTable(binder: Binder, files: readonly BoundFile[], held: 'bits' | 'numbers') {
  const { name, sql } = await binder.table()
  await binder.run(`CREATE TABLE ${sql} (run BIGINT, held ${held === 'bits' ? 'BLOB' : 'USMALLINT[]'})`)
  const runsPerFile = Math.max(...files.map(runsOf))
  const runOf = (file: string, position: string) => `${file}::BIGINT * ${runsPerFile} + (${position} >> ${runShift})`
  const bits = held === 'bits' ? 'held::BIT' : `list_aggregate(held, 'bitstring_agg', 0, ${runRows - 1})`
  const deleted = {
    join: `LEFT JOIN (SELECT run, ${bits} AS b FROM ${sql}) p ON p.run = ${runOf('x.file_index', 'x.file_row_number')}`,
    keeps: `get_bit(p.b, (x.file_row_number & ${runRows - 1})::INTEGER) IS DISTINCT FROM 1`,
  }
  return { name, sql, runsPerFile, runOf, deleted }
}

function runsOf({ recordCount }: BoundFile): number {
  return recordCount === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.ceil(Number(recordCount) / runRows))
}

export async function positionsOf(vector: Vector): Promise<RoaringPositions> {
  return decodeDeletionVector(await blobOf(vector), { cardinality: vector.cardinality })
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
