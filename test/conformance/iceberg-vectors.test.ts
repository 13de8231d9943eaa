import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  decodePuffinFooter,
  type PuffinBlobInput,
  RoaringPositions,
  readAvro,
  readBlob,
  readPuffinFooter,
  writePuffin,
} from '../../packages/limn/src/encoding/index.ts'
import {
  decodeDeletionVector,
  decodeManifestList,
  decodeMetadata,
  encodeDeletionVector,
  encodeManifest,
  encodeManifestList,
  encodeMetadata,
} from '../../packages/limn/src/iceberg/index.ts'
import { schemaFromJson } from '../../packages/limn/src/schema/index.ts'
import { root } from '../support/lake.ts'

/** Single files that the other implementations test themselves with; what each holds is what their tests assert. */
const shared = process.env.LIMN_SHARED ?? join(root, '..', 'shared')
const vectors = join(shared, 'conformance', 'iceberg-vectors')
const present = existsSync(vectors)
if (!present && process.env.LIMN_REQUIRE_CONFORMANCE === '1')
  throw new Error(`The conformance corpus is required here and not at ${vectors}.`)

const bytes = (path: string) => new Uint8Array(readFileSync(join(vectors, path)))

function range(first: number, last: number, base = 0n): bigint[] {
  return Array.from({ length: last - first + 1 }, (_, i) => base + BigInt(first + i))
}

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error instanceof LimnError ? error.kind : error
  }
  return 'accepted'
}

describe.runIf(present)('bitmaps of row positions that other systems wrote', () => {
  const bitmaps = {
    '64map32bitvals.bin': range(0, 9),
    '64mapempty.bin': [],
    '64mapspreadvals.bin': range(0, 9).flatMap((key) => range(0, 9, key << 32n)),
  }
  const folders = [
    'java_core_resources/org/apache/iceberg/deletes',
    'go_puffin_dv/testdata/deletes',
    'pyiceberg_bitmaps_puffin/bitmaps',
  ]
  for (const folder of folders) {
    for (const [name, expected] of Object.entries(bitmaps)) {
      it(`${folder}/${name} is read`, () => {
        const set = RoaringPositions.decode(bytes(`${folder}/${name}`))
        expect([...set]).toEqual(expected)
        // Its writer keeps the ten neighbours as an array; as a run, which is smaller, they mean the same.
        expect([...RoaringPositions.decode(RoaringPositions.from(expected).encode())]).toEqual(expected)
        expect(set.encode()).toEqual(bytes(`${folder}/${name}`))
      })
    }
    it(`${folder}/64maphighvals.bin is refused, as everywhere: its keys are beyond every row position`, () => {
      expect(errorOf(() => RoaringPositions.decode(bytes(`${folder}/64maphighvals.bin`)))).toBe(
        'iceberg/invalid-metadata',
      )
    })
  }

  const upper = 1n << 32n
  const vectorsOfPositions = {
    'empty-position-index.bin': [],
    'small-alternating-values-position-index.bin': [1n, 3n, 5n, 7n, 9n],
    'small-and-large-values-position-index.bin': [100n, 101n, 2147483747n, 2147483748n],
    'all-container-types-position-index.bin': [
      ...[5n, 7n, ...range(1, 999, 1n << 16n), ...range(1, 65534, 2n << 16n)],
      ...[10n, 20n, ...range(10, 499, 1n << 16n), ...range(1, 65534, 2n << 16n)].map((one) => upper + one),
    ],
  }
  for (const folder of folders.slice(0, 2)) {
    for (const [name, expected] of Object.entries(vectorsOfPositions)) {
      it(`${folder}/${name} is read, and written byte for byte`, () => {
        const stored = bytes(`${folder}/${name}`)
        const set = decodeDeletionVector(stored, { cardinality: BigInt(expected.length) })
        expect([...set.toArray()]).toEqual(expected)
        expect(encodeDeletionVector(set)).toEqual(stored)
        expect(encodeDeletionVector(RoaringPositions.from(expected))).toEqual(stored)
      })
    }
  }
  it('go_puffin_dv/testdata/deletion-vector-v1-payload.bin is read', () => {
    expect([...decodeDeletionVector(bytes('go_puffin_dv/testdata/deletion-vector-v1-payload.bin'))]).toEqual([
      1n,
      3n,
      5n,
      7n,
      9n,
    ])
  })
})

describe.runIf(present)('Puffin files that other systems wrote', () => {
  const folders = [
    'java_core_resources/org/apache/iceberg/puffin/v1',
    'go_puffin_dv/testdata',
    'pyiceberg_bitmaps_puffin/puffin/v1',
    'rust_testdata/puffin/java-generated',
  ]
  const sample: readonly PuffinBlobInput[] = [
    {
      type: 'some-blob',
      fields: [1],
      snapshotId: 2n,
      sequenceNumber: 1n,
      bytes: Buffer.from('abcdefghi'),
    },
    {
      type: 'some-other-blob',
      fields: [2],
      snapshotId: 2n,
      sequenceNumber: 1n,
      bytes: Buffer.from('some blob \u0000 binary data 🤯 that is not very very very very very very long, is it?'),
    },
  ]
  const files: Readonly<Record<string, { readonly blobs: readonly PuffinBlobInput[]; readonly codec?: 'zstd' }>> = {
    'empty-puffin-uncompressed.bin': { blobs: [] },
    'sample-metric-data-uncompressed.bin': { blobs: sample },
    'sample-metric-data-compressed-zstd.bin': { blobs: sample, codec: 'zstd' },
  }
  for (const folder of folders) {
    for (const [name, { blobs, codec }] of Object.entries(files)) {
      it(`${folder}/${name} is read${codec ? '' : ', and written byte for byte'}`, async () => {
        const stored = bytes(`${folder}/${name}`)
        const read = async (start: number, end: number) => stored.subarray(start, end)
        const footer = await readPuffinFooter(read, stored.length)
        expect(footer).toEqual(decodePuffinFooter(stored))
        const properties: Record<string, string> = blobs.length > 0 ? { 'created-by': 'Test 1234' } : {}
        expect(footer.properties).toEqual(properties)
        expect(footer.blobs.map(({ offset, length, ...rest }) => rest)).toEqual(
          blobs.map(({ bytes: _, ...rest }) => ({
            ...rest,
            properties: {},
            ...(codec && { compressionCodec: codec }),
          })),
        )
        for (const [i, blob] of footer.blobs.entries())
          expect(Buffer.from(await readBlob(read, blob))).toEqual(blobs[i]?.bytes)
        if (!codec) expect(Buffer.from(writePuffin(blobs, properties).bytes)).toEqual(Buffer.from(stored))
      })
    }
  }

  const reference = 's3://warehouse/db/table/data/'
  const deletionVectors = {
    'deletion-vector-v1.puffin': [['data/test.parquet', [1n, 3n, 5n, 7n, 9n], []]],
    'deletes/single-blob-dv.puffin': [[`${reference}00000-0-abc.parquet`, [1n, 3n, 5n, 7n, 9n], [2147483645]]],
    'deletes/multi-blob-dv.puffin': [
      [`${reference}file-001.parquet`, [0n, 100n, 200n], [2147483645]],
      [`${reference}file-002.parquet`, [50n, 150n], [2147483645]],
    ],
  } as const
  for (const [name, expected] of Object.entries(deletionVectors)) {
    it(`${name}: its deletion vectors are read, and the file is written byte for byte`, async () => {
      const stored = bytes(`go_puffin_dv/testdata/${name}`)
      const footer = decodePuffinFooter(stored)
      expect(footer.blobs).toHaveLength(expected.length)
      const again: PuffinBlobInput[] = []
      for (const [i, blob] of footer.blobs.entries()) {
        const [file, positions, fields] = expected[i] ?? ['', [], []]
        expect([blob.type, blob.snapshotId, blob.sequenceNumber]).toEqual(['deletion-vector-v1', -1n, -1n])
        expect(blob.fields).toEqual(fields)
        expect(blob.properties).toEqual({ 'referenced-data-file': file, cardinality: String(positions.length) })
        const vector = decodeDeletionVector(await readBlob(stored, blob))
        expect([...vector]).toEqual(positions)
        again.push({ ...blob, bytes: encodeDeletionVector(vector) })
      }
      expect(Buffer.from(writePuffin(again, footer.properties).bytes)).toEqual(Buffer.from(stored))
    })
  }
})

describe.runIf(present)('manifest lists and manifest schemas that other systems wrote', () => {
  for (const name of ['manifest-list-v2-1.avro', 'manifest-list-v2-2.avro']) {
    it(`${name} is read, and again after it is written`, () => {
      const manifests = decodeManifestList(bytes(`rust_testdata/manifests_lists/${name}`))
      expect(manifests).toMatchObject([
        { specId: 0, content: 'data', sequenceNumber: 1n, addedFilesCount: 1, addedRowsCount: 1n },
      ])
      const written = encodeManifestList({ ...listOf, manifests })
      expect(decodeManifestList(written)).toEqual(manifests)
    })
  }

  it('a list that DuckDB wrote, with the columns of version 3, is read', () => {
    const manifests = decodeManifestList(bytes('go_puffin_dv/testdata/duckdb_v3_manifest_list.avro'))
    expect(manifests).toMatchObject([
      { content: 'data', sequenceNumber: 1n, addedRowsCount: 100n, length: 2390n },
      { content: 'deletes', sequenceNumber: 2n, addedRowsCount: 10n, length: 2599n },
    ])
  })

  it('an encrypted list is refused, not read as something else', () => {
    const list = bytes('rust_testdata/manifests_lists/manifest-list-v3-encrypted.avro')
    expect(errorOf(() => decodeManifestList(list))).toBe('iceberg/invalid-metadata')
  })

  it('writes every column under the field id that Java gives it', () => {
    const idsIn = (schema: unknown, found = new Map<number, string>()): ReadonlyMap<number, string> => {
      if (Array.isArray(schema)) for (const one of schema) idsIn(one, found)
      else if (typeof schema === 'object' && schema !== null) {
        const { 'field-id': id, name, ...rest } = schema as Record<string, unknown>
        if (typeof id === 'number') found.set(id, String(name))
        for (const one of Object.values(rest)) idsIn(one, found)
      }
      return found
    }
    const spec = { specId: 0, fields: [] }
    const schema = { schemaId: 0, fields: [], identifierFieldIds: [] }
    const written = new Map([
      ...idsIn(readAvro(encodeManifestList({ ...listOf, manifests: [] })).schema),
      ...idsIn(readAvro(encodeManifest({ schema, spec, content: 'data', snapshotId: 1n, entries: [] })).schema),
    ])
    const folder = join(vectors, 'rust_testdata')
    // Names of version 1 and the columns it alone has; partition fields are the table's own.
    const older: Readonly<Record<number, string>> = {
      504: 'added_data_files_count',
      505: 'existing_data_files_count',
      506: 'deleted_data_files_count',
      105: 'block_size_in_bytes',
    }
    let compared = 0
    for (const file of readdirSync(folder).filter((name) => name.startsWith('avro_schema'))) {
      for (const [id, name] of idsIn(JSON.parse(readFileSync(join(folder, file), 'utf8')))) {
        if (id >= 1000 || older[id] === name) continue
        expect([file, id, written.get(id)]).toEqual([file, id, name])
        compared++
      }
    }
    expect(compared).toBeGreaterThan(50)
  })
})

describe.runIf(present)('table metadata that other systems test themselves with', () => {
  const java = 'java_core_resources'
  const rust = 'rust_testdata/table_metadata'
  /** What is not a valid table, and the words limn refuses it with. Every other file has to be read. */
  const refusals: Record<string, RegExp> = {
    [`${java}/TableMetadataUnsupportedVersion.json`]: /format version 42/,
    [`${rust}/TableMetadataUnsupportedVersion.json`]: /is damaged/,
    [`${java}/TableMetadataV2CurrentSchemaNotFound.json`]: /current schema 2 is not among its schemas/,
    [`${rust}/TableMetadataV2CurrentSchemaNotFound.json`]: /current schema 2 is not among its schemas/,
  }
  for (const folder of [java, rust]) {
    refusals[`${folder}/TableMetadataV2MissingLastPartitionId.json`] = /last-partition-id/
    refusals[`${folder}/TableMetadataV2MissingPartitionSpecs.json`] = /partition-specs/
    refusals[`${folder}/TableMetadataV2MissingSchemas.json`] = /schemas/
    refusals[`${folder}/TableMetadataV2MissingSortOrder.json`] = /sort-orders/
  }
  const files = present
    ? [java, rust, 'rust_testdata'].flatMap((folder) =>
        readdirSync(join(vectors, folder))
          .filter((name) => name.endsWith('.json') && !name.startsWith('avro_schema'))
          .map((name) => `${folder}/${name}`),
      )
    : []
  for (const file of files) {
    const refusal = refusals[file]
    it(`${file} is ${refusal ? 'refused' : 'read, and again after it is written'}`, () => {
      if (refusal) return expect(() => decodeMetadata(bytes(file))).toThrow(refusal)
      const metadata = decodeMetadata(bytes(file))
      expect(decodeMetadata(encodeMetadata(metadata))).toEqual(metadata)
    })
  }

  it('takes from them what their writers say of them', () => {
    const read = (file: string) => decodeMetadata(bytes(file))
    expect(read(`${java}/TableMetadataV3ValidMinimal.json`)).toMatchObject({ formatVersion: 3, nextRowId: 0n })
    expect(read(`${java}/TableMetadataV3ValidMinimal.json`).schemas[0]?.fields[0]).toMatchObject({
      initialDefault: 1n,
      writeDefault: 1n,
    })
    expect(read(`${java}/TableMetadataStatisticsFiles.json`).statistics).toMatchObject([
      { statisticsPath: 's3://a/b/stats.puffin', fileSizeInBytes: 413n, fileFooterSizeInBytes: 42n },
    ])
    expect(read(`${java}/TableMetadataPartitionStatisticsFiles.json`).partitionStatistics).toMatchObject([
      { statisticsPath: 's3://a/b/partition-stats.parquet', fileSizeInBytes: 43n },
    ])
    expect(read(`${rust}/TableMetadataV3ValidEncryption.json`).snapshots[0]?.keyId).toBe(
      '1fb95f04-7f98-4b1f-a08f-e810cfb907ff',
    )
    // Version 1 names no default spec here: the latest is meant.
    expect(read(`${rust}/TableMetadataV1PartitionSpecsWithoutDefaultId.json`).defaultSpecId).toBe(2)
  })

  it('refuses geometry and geography by name', () => {
    const file = 'go_puffin_dv/testdata/geo-schema-java-main.json'
    expect(() => schemaFromJson(JSON.parse(readFileSync(join(vectors, file), 'utf8')))).toThrow(/geometry/)
  })
})

const listOf = { snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 1n }
