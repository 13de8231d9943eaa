import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { readAvro, writeAvro } from '../../packages/limn/src/encoding/index.ts'
import {
  applyUpdates,
  createTableUpdates,
  type DataFile,
  decodeManifest,
  decodeManifestList,
  decodeMetadata,
  encodeManifest,
  encodeManifestList,
  encodeMetadata,
  type ManifestEntry,
  type ManifestFile,
  type PartitionSpec,
  scanManifest,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Schema } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import { damaged } from '../support/hostile.ts'

const seed = Number(process.env.LIMN_SEED ?? 20261125)
/** Nothing here is large, so nothing may take long: a bound against loops, not a measurement. */
const millisecondsMax = 5_000
const heapGrowthMax = 256 * 1024 * 1024

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: false, type: 'int', initialDefault: 4 },
    { id: 2, name: 's', required: false, type: 'string' },
    { id: 3, name: 'd', required: false, type: 'decimal(9,2)' },
    {
      id: 4,
      name: 'l',
      required: false,
      type: { type: 'list', elementId: 5, elementRequired: false, element: 'long' },
    },
  ],
}
const spec: PartitionSpec = {
  specId: 0,
  fields: [
    { sourceId: 3, fieldId: 1000, name: 'd', transform: { kind: 'identity' } },
    { sourceId: 2, fieldId: 1001, name: 's_trunc', transform: { kind: 'truncate', width: 3 } },
  ],
}

function file(n: number): DataFile {
  return {
    content: 0,
    path: storePath(`file:///w/t/data/${n}.parquet`),
    format: 'parquet',
    specId: 0,
    partition: [BigInt(n), `s${n}`],
    recordCount: BigInt(n + 1),
    fileSizeInBytes: 1000n,
    columnSizes: new Map([[1, 10n]]),
    valueCounts: new Map([[1, 5n]]),
    nullValueCounts: new Map([[1, 0n]]),
    nanValueCounts: new Map(),
    lowerBounds: new Map([[1, Buffer.from([0, 0, 0, 0])]]),
    upperBounds: new Map([[1, Buffer.from([9, 0, 0, 0])]]),
    splitOffsets: [4n],
    equalityIds: [],
    sortOrderId: null,
  }
}

const row: ManifestFile = {
  path: storePath('file:///w/t/metadata/m0.avro'),
  length: 1000n,
  specId: 0,
  content: 'data',
  sequenceNumber: 3n,
  minSequenceNumber: 3n,
  addedSnapshotId: 7n,
  addedFilesCount: 20,
  existingFilesCount: 0,
  deletedFilesCount: 0,
  addedRowsCount: 210n,
  existingRowsCount: 0n,
  deletedRowsCount: 0n,
  partitions: [
    { containsNull: false, containsNan: null, lowerBound: Buffer.from([1]), upperBound: Buffer.from([20]) },
    { containsNull: true, containsNan: null, lowerBound: null, upperBound: null },
  ],
  firstRowId: 0n,
}

const entries = Array.from(
  { length: 20 },
  (_, n): ManifestEntry => ({
    status: 1,
    snapshotId: 7n,
    dataSequenceNumber: 3n,
    fileSequenceNumber: 3n,
    file: file(n),
  }),
)

const manifest = encodeManifest({ schema, spec, content: 'data', snapshotId: 7n, entries, formatVersion: 3 })
const list = encodeManifestList({
  snapshotId: 7n,
  parentSnapshotId: null,
  sequenceNumber: 3n,
  manifests: Array.from({ length: 10 }, () => row),
  formatVersion: 3,
  firstRowId: 0n,
})
const metadata = encodeMetadata(
  applyUpdates(
    null,
    [
      ...createTableUpdates({
        tableUuid: '9c12d441-03fe-4693-9a96-a0705ddf69c1',
        location: 'file:///w/t',
        schema,
        spec,
        properties: { owner: 'x' },
        formatVersion: 3,
      }),
      {
        action: 'add-snapshot',
        snapshot: {
          snapshotId: 7n,
          parentSnapshotId: null,
          sequenceNumber: 1n,
          timestampMs: 5,
          manifestList: storePath('file:///w/t/metadata/s.avro'),
          operation: 'append',
          summary: {},
          schemaId: 0,
          firstRowId: 0n,
          addedRows: 3n,
        },
      },
      { action: 'set-snapshot-ref', ref: 'main', to: { type: 'branch', snapshotId: 7n } },
    ],
    { timestampMs: 5 },
  ),
)

/** Runs a reader over damaged bytes: an answer or an error of ours, soon and without much memory. */
function survives(bytes: Uint8Array, count: number, read: (bytes: Uint8Array) => unknown): { refused: number } {
  let refused = 0
  for (const damage of damaged(bytes, seed, count)) {
    const began = performance.now()
    const heap = process.memoryUsage().rss
    try {
      read(damage.bytes)
    } catch (error) {
      refused++
      if (!(error instanceof LimnError)) throw new Error(`${damage.how} (seed ${seed}): ${String(error)}`)
      expect([damage.how, error.kind]).toEqual([
        damage.how,
        expect.stringMatching(/^iceberg\/(invalid-metadata|unsupported)$/),
      ])
    }
    expect([damage.how, performance.now() - began < millisecondsMax]).toEqual([damage.how, true])
    expect([damage.how, process.memoryUsage().rss - heap < heapGrowthMax]).toEqual([damage.how, true])
  }
  return { refused }
}

describe('hostile metadata', () => {
  it('a damaged manifest is an answer or a clear error, soon', () => {
    const { refused } = survives(manifest, 1500, (bytes) => decodeManifest(bytes, row))
    expect(refused).toBeGreaterThan(1000)
  })

  it('a damaged manifest that is gone through without statistics is an answer or a clear error, soon', () => {
    const whole = (bytes: Uint8Array) => [...scanManifest(bytes, row, { statistics: false }).entries]
    const { refused } = survives(manifest, 500, whole)
    expect(refused).toBeGreaterThan(300)
  })

  it('a damaged manifest list is an answer or a clear error, soon', () => {
    const { refused } = survives(list, 1500, decodeManifestList)
    expect(refused).toBeGreaterThan(1000)
  })

  it('damaged table metadata is an answer or a clear error, soon', () => {
    const { refused } = survives(metadata, 1500, decodeMetadata)
    expect(refused).toBeGreaterThan(500)
  })

  it('damage inside an uncompressed block is an answer or a clear error, soon', () => {
    const plain = uncompressed(manifest)
    expect(decodeManifest(plain, row).entries).toEqual(decodeManifest(manifest, row).entries)
    survives(plain, 3000, (bytes) => decodeManifest(bytes, row))
  })

  it('absurd claims are refused before memory is taken for them', () => {
    const claims: readonly (readonly [string, Uint8Array])[] = [
      [
        'a block of 2^40 rows of nothing',
        container({ type: 'record', name: 'r', fields: [] }, 2 ** 40, Buffer.alloc(0)),
      ],
      [
        'an array of 2^40 nulls',
        container(recordOf({ type: 'array', items: 'null' }), 1, Buffer.concat([long(2 ** 40), long(0)])),
      ],
      ['a string of 2^40 bytes', container(recordOf('string'), 1, long(2 ** 40))],
      ['a union of a branch that is not there', container(recordOf(['null', 'int']), 1, long(7))],
      ['bytes of negative length', container(recordOf('bytes'), 1, long(-5))],
      ['a block that inflates to a gibibyte', container(recordOf('bytes'), 1, bomb(), 'deflate')],
      ['a schema that nests 10,000 deep', container(nested(10_000), 1, Buffer.alloc(1))],
    ]
    for (const [claim, bytes] of claims) {
      const began = performance.now()
      const rss = process.memoryUsage().rss
      expect([claim, kindOf(() => readAvro(bytes))]).toEqual([claim, 'iceberg/invalid-metadata'])
      expect([claim, performance.now() - began < millisecondsMax]).toEqual([claim, true])
      expect([claim, process.memoryUsage().rss - rss < 2 * heapGrowthMax]).toEqual([claim, true])
    }
    const deep = Buffer.from(`{"format-version":${'['.repeat(200_000)}`)
    expect(kindOf(() => decodeMetadata(deep))).toBe('iceberg/invalid-metadata')
  })
})

function kindOf(body: () => unknown): string {
  try {
    body()
    return 'no error'
  } catch (error) {
    return error instanceof LimnError ? error.kind : String(error)
  }
}

function long(value: number): Buffer {
  const out: number[] = []
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  return Buffer.from([...out, Number(rest)])
}

function recordOf(type: unknown): Record<string, unknown> {
  return { type: 'record', name: 'r', fields: [{ name: 'a', type }] }
}

function nested(depth: number): Record<string, unknown> {
  let type: unknown = 'int'
  for (let i = 0; i < depth; i++) type = { type: 'array', items: type }
  return recordOf(type)
}

/** A gibibyte of zeros, deflated: about a mebibyte. */
function bomb(): Buffer {
  const chunk = deflateRawSync(Buffer.alloc(1024 * 1024 * 1024))
  return chunk
}

function container(schema: unknown, count: number, body: Buffer, codec = 'null'): Uint8Array {
  const schemaText = Buffer.from(JSON.stringify(schema))
  const text = (value: string) => Buffer.concat([long(Buffer.byteLength(value)), Buffer.from(value)])
  return Buffer.concat([
    Buffer.from('Obj\u0001', 'latin1'),
    long(2),
    text('avro.schema'),
    long(schemaText.length),
    schemaText,
    text('avro.codec'),
    text(codec),
    long(0),
    Buffer.alloc(16, 7),
    long(count),
    long(body.length),
    body,
    Buffer.alloc(16, 7),
  ])
}

/** The same container with codec null, so that damage reaches rows and not only a checksum's worth of deflate. */
function uncompressed(bytes: Uint8Array): Uint8Array {
  const { schema: avroSchema, rows, metadata: header } = readAvro(bytes)
  const { 'avro.schema': _schema, 'avro.codec': _codec, ...rest } = header
  return writeAvro(avroSchema, rows, rest, { codec: 'null' })
}
