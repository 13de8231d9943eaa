import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { LimnError } from '../../../base/index.ts'
import { readParquetFooter } from '../../../encoding/index.ts'
import type { Bound } from '../../bound.ts'
import { explainRun, parseDuckError } from '../errors.ts'
import { Walk } from '../write/footer-walk.ts'

/** A file that a session reads. */
export interface ReadFile {
  readonly local: string
  /** As the table spells it. */
  readonly path?: string
}

/** Parquet files of what is bound, delete files too, each once. */
export function filesRead(tables: readonly Bound[]): readonly ReadFile[] {
  const out = new Map<string, ReadFile>()
  for (const table of tables) {
    if (!('files' in table)) continue
    for (const file of table.files) {
      if (file.format !== 'avro') out.set(file.local, file)
      for (const one of file.deletes ?? []) if (one.kind !== 'vector' && one.format !== 'avro') out.set(one.local, one)
    }
  }
  return [...out.values()]
}

/** A footer of fewer bytes cannot nest deep enough to do harm. */
const checkedFrom = 16 * 1024
const depthMax = 100

/**
 * What decides how a Parquet file's columns are read: the bytes of its footer's schema, key-value metadata and writer. Null
 * for a file that cannot be opened or followed, which DuckDB then refuses in its own words.
 *
 * DuckDB follows the levels of a schema by recursion: a file that nests them by the ten thousand ends the process. So
 * footers with room for that are looked at first. Throws `storage/corrupt`; any other damage is left for DuckDB to find.
 */
export async function schemaBytes(file: ReadFile): Promise<string | null> {
  await using handle = await open(file.local).catch(() => null)
  if (!handle) return null
  const { size } = await handle.stat()
  const wanted = footerRange(size, size < 12 ? null : await bytesAt(handle, Math.max(0, size - checkedFrom), size))
  if (wanted === null) return null
  return whatTells(file, wanted.bytes ?? (await bytesAt(handle, wanted.start, wanted.end)))
}

/** `schemaBytes` without asking a thread for each step, which takes longer than to read a footer. */
export function schemaBytesNow(file: ReadFile): string | null {
  let handle: number
  try {
    handle = openSync(file.local, 'r')
  } catch {
    return null
  }
  try {
    const read = (start: number, end: number) => {
      const bytes = Buffer.alloc(end - start)
      return bytes.subarray(0, readSync(handle, bytes, 0, bytes.length, start))
    }
    const { size } = fstatSync(handle)
    const wanted = footerRange(size, size < 12 ? null : read(Math.max(0, size - checkedFrom), size))
    if (wanted === null) return null
    return whatTells(file, wanted.bytes ?? read(wanted.start, wanted.end))
  } finally {
    closeSync(handle)
  }
}

/** Where a footer stands, and its bytes where the end of the file that was read has them. */
function footerRange(
  size: number,
  end: Buffer | null,
): { readonly start: number; readonly end: number; readonly bytes: Buffer | null } | null {
  if (end === null || end.length < 8) return null
  const length = end.readUInt32LE(end.length - 8)
  if (length > size - 12) return null
  const bytes = length + 8 <= end.length ? end.subarray(end.length - 8 - length, end.length - 8) : null
  return { start: size - 8 - length, end: size - 8, bytes }
}

function whatTells(file: ReadFile, footer: Buffer): string | null {
  const { length } = footer
  if (length >= checkedFrom && isDeep(footer)) throw corrupt(file, `its schema is nested more than ${depthMax} deep`)
  return partsThatTell(footer)
}

/** The fields 2 (schema), 5 (key-value metadata) and 6 (writer) of a footer, as they stand. */
function partsThatTell(footer: Buffer): string | null {
  const parts: string[] = []
  try {
    const walk = new Walk(footer)
    walk.struct((id, type) => {
      const from = walk.at
      walk.skip(type)
      if (id === 2 || id === 5 || id === 6) parts.push(`${id}:${footer.toString('latin1', from, walk.at)}`)
    })
    return parts.join('\n')
  } catch {
    return null
  }
}

async function bytesAt(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - start)
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
  return bytes.subarray(0, bytesRead)
}

/** Whether the schema of a footer nests too deep; false for one that cannot be followed. */
function isDeep(footer: Buffer): boolean {
  const walk = new Walk(footer)
  /** Children still to come, of each level. */
  const levels: number[] = [1]
  let deep = false
  try {
    walk.struct((id, type) => {
      if (id !== 2) return walk.skip(type)
      return walk.list(() => {
        let children = 0
        walk.struct((member, memberType) => {
          if (member === 5) children = walk.varint()
          else walk.skip(memberType)
        })
        const left = levels.pop()
        if (left === undefined) return
        levels.push(left - 1)
        if (children > 0) levels.push(children)
        else while (levels.at(-1) === 0) levels.pop()
        deep ||= levels.length > depthMax
      })
    })
  } catch {
    // What is damaged otherwise, DuckDB refuses; what was followed so far counts.
  }
  return deep
}

/** Types of errors that queries have by themselves; of these, what DuckDB says when it is about a file after all. */
const ofQueries = /^(conversion|out of range|constraint|interrupt|out of memory|invalid input)$/i
const aboutFiles =
  /parquet|decompress|magic bytes|corrupt|page size|dictionary|encoding found|invalid unicode|DECIMAL requires|schema index|Allocation failure|next power of 2/i
const absent = /No such file|No files found|Permission denied/i

/**
 * An error of a query in limn's words; `sql` null: of binding its tables. One that tells of a damaged file names it: the
 * file the message names, or the first whose footer or rows cannot be read by themselves. That may read the files once
 * more, after a failure alone.
 */
export async function explainRead(
  error: unknown,
  sql: string | null,
  files: readonly ReadFile[],
  canRead: (local: string) => Promise<boolean>,
): Promise<LimnError> {
  const found = explainRun(error, sql ?? '')
  if (found === error || found.kind === 'interrupted' || absent.test(found.message)) return found
  if (sql !== null && found.kind !== 'sql/failed') return found
  const ofQuery = ofQueries.test(parseDuckError(error).exception_type ?? '')
  if (sql !== null && ofQuery && !aboutFiles.test(found.message)) return found
  const named = files.find((file) => found.message.includes(file.local))
  if (named) return corrupt(named, found.message, error)
  for (const file of files) {
    const damage = await footerDamage(file.local)
    if (damage !== null) return corrupt(file, damage, error)
  }
  for (const file of files) if (!(await canRead(file.local))) return corrupt(file, found.message, error)
  // What only this query reads, such as a Bloom filter.
  const [only, ...others] = files
  return only && others.length === 0 && !ofQuery && found.kind === 'sql/failed'
    ? corrupt(only, found.message, error)
    : found
}

async function footerDamage(local: string): Promise<string | null> {
  try {
    await using handle = await open(local)
    const { size } = await handle.stat()
    await readParquetFooter((start, end) => bytesAt(handle, start, end), size)
    return null
  } catch (error) {
    return error instanceof LimnError && error.kind === 'iceberg/invalid-metadata' ? error.message : null
  }
}

function corrupt({ path, local }: ReadFile, why: string, cause?: unknown): LimnError {
  return new LimnError('storage/corrupt', {
    message: `The data file ${path ?? local} is damaged: ${why.replace(/\.$/, '')}.`,
    notDone: 'The query has no answer.',
    remedy: 'Restore the file, or roll the table back to a snapshot that does not have it.',
    ...(cause === undefined ? {} : { cause }),
  })
}
