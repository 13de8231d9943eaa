import { LimnError } from '../../base/index.ts'
import {
  type AvroFile,
  type ParquetField,
  parseJson,
  type RangedRead,
  readAvro,
  readParquetFooter,
  readPuffinFooter,
} from '../../encoding/index.ts'

/** What a file says of itself: single facts, and tables of what it holds. Values as stored, bytes as bytes. */
export interface LaidOpen {
  readonly kind: 'parquet' | 'puffin' | 'manifest list' | 'manifest' | 'avro' | 'table metadata' | 'view metadata'
  readonly facts: Readonly<Record<string, unknown>>
  readonly tables: readonly {
    readonly name: string
    readonly rows: readonly Readonly<Record<string, unknown>>[]
  }[]
}

/** Metadata and manifests are read whole; a larger file of that kind is none. */
const wholeBytesMax = 512 * 1_048_576

/**
 * Lays open a file of a table by what it begins with: a Parquet footer, a Puffin footer, a manifest list, a manifest, any
 * Avro file, or metadata of a table or view. No row of a Parquet file is read. Throws `usage/argument` for any other file,
 * `iceberg/invalid-metadata` for a damaged one.
 */
export async function layOpen(read: RangedRead, size: number): Promise<LaidOpen> {
  const head = Buffer.from(await read(0, Math.min(4, size)))
  const text = head.toString('latin1')
  if (text === 'PAR1') return await parquet(read, size)
  if (text === 'PFA1') return await puffin(read, size)
  if (size <= wholeBytesMax) {
    if (text === 'Obj\x01') return avro(readAvro(await read(0, size)))
    if (text.trimStart().startsWith('{')) return metadata(Buffer.from(await read(0, size)).toString())
  }
  throw new LimnError('usage/argument', {
    message: 'The file is neither Parquet, Avro, Puffin nor metadata.',
    notDone: 'It was not laid open.',
    remedy: 'Name a file of a table. A compressed metadata file (.gz.metadata.json) has to be unpacked first.',
  })
}

async function parquet(read: RangedRead, size: number): Promise<LaidOpen> {
  const footer = await readParquetFooter(read, size)
  const fields: Record<string, unknown>[] = []
  const walk = (list: readonly ParquetField[], above: string) => {
    for (const field of list) {
      const path = above === '' ? field.name : `${above}.${field.name}`
      fields.push({
        id: field.fieldId,
        field: path,
        type: field.kind === 'leaf' ? field.physical : 'group',
        logical: field.logical === null ? null : field.logical.kind,
        repetition: field.repetition,
      })
      if (field.kind === 'group') walk(field.children, path)
    }
  }
  walk(footer.fields, '')
  const columns = footer.rowGroups.flatMap((group, i) =>
    group.columns.map((column, j) => ({
      'row group': i,
      column: footer.leaves[j]?.path.join('.') ?? String(j),
      codec: column.codec,
      values: column.valueCount,
      bytes: column.compressedBytes,
      uncompressed: column.uncompressedBytes,
      nulls: column.statistics.nullCount,
      dictionary: column.dictionaryPageOffset !== null,
      bloom: column.bloomFilter !== null,
      'page index': column.columnIndex !== null,
    })),
  )
  return {
    kind: 'parquet',
    facts: {
      rows: footer.rowCount,
      'row groups': footer.rowGroups.length,
      columns: footer.leaves.length,
      'created by': footer.createdBy,
      version: footer.version,
      'footer bytes': footer.footerBytes,
      ...Object.fromEntries(footer.keyValues),
    },
    tables: [
      { name: 'fields', rows: fields },
      {
        name: 'row groups',
        rows: footer.rowGroups.map((group, i) => ({
          'row group': i,
          rows: group.rowCount,
          'uncompressed bytes': group.totalBytes,
          offset: group.offset,
        })),
      },
      { name: 'column chunks', rows: columns },
    ],
  }
}

async function puffin(read: RangedRead, size: number): Promise<LaidOpen> {
  const footer = await readPuffinFooter(read, size)
  return {
    kind: 'puffin',
    facts: { blobs: footer.blobs.length, 'footer bytes': footer.footerBytes, ...footer.properties },
    tables: [
      {
        name: 'blobs',
        rows: footer.blobs.map((blob) => ({
          type: blob.type,
          fields: blob.fields,
          snapshot: blob.snapshotId,
          sequence: blob.sequenceNumber,
          offset: blob.offset,
          bytes: blob.length,
          codec: blob.compressionCodec ?? null,
          ...blob.properties,
        })),
      },
    ],
  }
}

function avro({ metadata: facts, rows }: AvroFile): LaidOpen {
  const [first] = rows
  const { 'avro.schema': _schema, ...rest } = facts
  const fields = first === undefined ? namesIn(facts['avro.schema']) : Object.keys(first)
  if (fields.includes('manifest_path')) {
    return { kind: 'manifest list', facts: { ...rest, manifests: rows.length }, tables: [{ name: 'manifests', rows }] }
  }
  if (fields.includes('data_file') && fields.includes('status')) {
    const statuses = ['existing', 'added', 'deleted']
    const entries = rows.map(({ status, data_file: file, ...entry }) => ({
      status: statuses[Number(status)] ?? status,
      ...entry,
      ...(file as Readonly<Record<string, unknown>>),
    }))
    return { kind: 'manifest', facts: { ...rest, entries: rows.length }, tables: [{ name: 'entries', rows: entries }] }
  }
  return { kind: 'avro', facts: { ...facts, rows: rows.length }, tables: [{ name: 'rows', rows }] }
}

function namesIn(schema: string | undefined): readonly string[] {
  const parsed = schema === undefined ? null : (JSON.parse(schema) as { fields?: readonly { name?: unknown }[] } | null)
  return (parsed?.fields ?? []).map((field) => String(field.name))
}

function metadata(text: string): LaidOpen {
  const json = parseJson(text) as Readonly<Record<string, unknown>>
  if (!('format-version' in json)) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: 'The file is JSON, but no metadata of a table or view: it has no format-version.',
      notDone: 'It was not laid open.',
    })
  }
  const facts: Record<string, unknown> = {}
  const tables: { name: string; rows: readonly Readonly<Record<string, unknown>>[] }[] = []
  for (const [key, value] of Object.entries(json)) {
    if (Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null))
      tables.push({ name: key, rows: value as readonly Readonly<Record<string, unknown>>[] })
    else facts[key] = value
  }
  return { kind: 'view-uuid' in json ? 'view metadata' : 'table metadata', facts, tables }
}
