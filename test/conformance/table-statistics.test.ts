import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { decodePuffinFooter, readBlob } from '../../packages/limn/src/encoding/index.ts'
import {
  addToSketch,
  decodeMetadata,
  distinctCounts,
  statisticsFor,
  thetaBlobType,
} from '../../packages/limn/src/iceberg/index.ts'
import { fieldById } from '../../packages/limn/src/schema/index.ts'
import { ThetaSketch } from '../../packages/limn/src/sketch/index.ts'
import { root } from '../support/lake.ts'

/** Tables with statistics that Trino computed, held against sketches of the rows themselves. */
const shared = process.env.LIMN_SHARED ?? join(root, '..', 'shared')
const corpus = join(shared, 'conformance', 'iceberg')
const present = existsSync(corpus)
if (!present && process.env.LIMN_REQUIRE_CONFORMANCE === '1')
  throw new Error(`The conformance corpus is required here and not at ${corpus}.`)

const cases = [
  { name: 'impala_iceberg_with_puffin_stats', metadata: 'v3.metadata.json', distinct: [2n, 2n] },
  { name: 'impala_trino_variant', metadata: 'v2.metadata.json', distinct: [55n, 55n] },
]

describe.runIf(present)('statistics that Trino wrote', () => {
  for (const { name, metadata: file, distinct } of cases) {
    it(`${name}: its sketches are read, and those of its rows hold the same hashes`, async () => {
      const folder = join(corpus, name, 'table')
      const metadata = decodeMetadata(readFileSync(join(folder, 'metadata', file)))
      const statistics = statisticsFor(metadata, metadata.currentSnapshotId ?? 0n)
      if (!statistics) throw new Error('the table has no statistics')
      const puffin = new Uint8Array(
        readFileSync(join(folder, 'metadata', statistics.statisticsPath.split('/').at(-1) ?? '')),
      )
      const footer = decodePuffinFooter(puffin)
      expect(BigInt(footer.footerBytes)).toBe(statistics.fileFooterSizeInBytes)
      expect(BigInt(puffin.length)).toBe(statistics.fileSizeInBytes)
      expect([...distinctCounts(footer.blobs).values()]).toEqual(distinct)
      expect(distinctCounts(statistics.blobMetadata)).toEqual(distinctCounts(footer.blobs))

      const connection = await (await DuckDBInstance.create(':memory:')).connect()
      const data = readdirSync(join(folder, 'data')).map((one) => `'${join(folder, 'data', one)}'`)
      let compared = 0
      for (const blob of footer.blobs) {
        expect([blob.type, blob.compressionCodec]).toEqual([thetaBlobType, 'zstd'])
        const theirs = ThetaSketch.decode(await readBlob(puffin, blob))
        expect(BigInt(theirs.estimate)).toBe(distinctCounts([blob]).get(blob.fields[0] ?? 0))
        const field = fieldById({ fields: metadata.schemas.at(-1)?.fields ?? [] }, blob.fields[0] ?? 0)
        if (field?.type !== 'int' && field?.type !== 'long' && field?.type !== 'string') continue
        const ours = new ThetaSketch()
        const rows = await connection.runAndReadAll(`SELECT "${field.name}" FROM read_parquet([${data.join(', ')}])`)
        for (const [value] of rows.getRows()) addToSketch(ours, field.type, value as number | bigint | string | null)
        expect(Buffer.from(ours.encode()).toString('hex')).toBe(Buffer.from(theirs.encode()).toString('hex'))
        compared++
      }
      connection.closeSync()
      expect(compared).toBeGreaterThan(0)
    })
  }
})
