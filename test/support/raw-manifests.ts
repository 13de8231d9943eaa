import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import avro from 'avsc'

/**
 * What a snapshot's manifests say, decoded by an Avro library alone: the judge of what limn tells of them. Imports nothing
 * from the product.
 */
export interface RawEntry {
  readonly status: number
  readonly content: number
  readonly path: string
  readonly records: bigint
  readonly bytes: bigint
  readonly partition: string
}

export interface RawManifest {
  readonly path: string
  readonly length: bigint
  readonly content: number
  readonly added: number
  readonly existing: number
  readonly deleted: number
  readonly entries: readonly RawEntry[]
}

/** Longs as bigint: ids of snapshots are beyond what a double holds. */
const long = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

type RawRecord = Readonly<Record<string, unknown>>

async function rowsOf(path: string): Promise<readonly RawRecord[]> {
  const decoder = new avro.streams.BlockDecoder({
    parseHook: (schema) => avro.Type.forSchema(schema, { registry: { long }, wrapUnions: false }),
  })
  const rows: RawRecord[] = []
  for await (const row of Readable.from([readFileSync(local(path))]).pipe(decoder)) rows.push(row as RawRecord)
  return rows
}

function local(path: string): string {
  return path.startsWith('file:') ? fileURLToPath(path) : path
}

export async function rawManifests(list: string): Promise<readonly RawManifest[]> {
  const manifests: RawManifest[] = []
  for (const row of await rowsOf(list)) {
    const path = String(row.manifest_path)
    const entries = (await rowsOf(path)).map((entry): RawEntry => {
      const file = entry.data_file as RawRecord
      return {
        status: Number(entry.status),
        content: Number(file.content),
        path: String(file.file_path),
        records: file.record_count as bigint,
        bytes: file.file_size_in_bytes as bigint,
        partition: JSON.stringify(Object.entries(file.partition as RawRecord), (_key, one) =>
          typeof one === 'bigint' ? String(one) : one,
        ),
      }
    })
    manifests.push({
      path,
      length: row.manifest_length as bigint,
      content: Number(row.content),
      added: Number(row.added_files_count),
      existing: Number(row.existing_files_count),
      deleted: Number(row.deleted_files_count),
      entries,
    })
  }
  return manifests
}
