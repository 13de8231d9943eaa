import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { readParquetFooter } from '../../packages/limn/src/encoding/index.ts'
import { decodeSingleValue, parquetMetrics, schemaOfParquet } from '../../packages/limn/src/iceberg/index.ts'
import { isPrimitive } from '../../packages/limn/src/schema/index.ts'
import { duckType, quoteIdentifier, sqlLiteral } from '../../packages/limn/src/sql/index.ts'
import { root } from '../support/lake.ts'

/** Files of many writers (parquet-testing), each held against what DuckDB reads in it. */
const shared = process.env.LIMN_SHARED ?? join(root, '..', 'shared')
const corpus = join(shared, 'conformance', 'parquet', 'parquet-testing')
const present = existsSync(corpus)
if (!present && process.env.LIMN_REQUIRE_CONFORMANCE === '1')
  throw new Error(`The conformance corpus is required here and not at ${corpus}.`)

const folders = ['data', 'bad_data', 'data/geospatial', 'shredded_variant']
const files = present
  ? folders.flatMap((folder) =>
      readdirSync(join(corpus, folder))
        .filter((name) => /\.parquet(\.encrypted)?$/.test(name))
        .map((name) => `${folder}/${name}`),
    )
  : []

/** Footers that are refused, and in which words. Every other one has to be read. */
const refusals: Readonly<Record<string, RegExp>> = {
  'bad_data/PARQUET-1481.parquet': /unknown type -7/,
  // Its count says 0 and its row group 6: whichever a reader took, another would disagree.
  'data/repeated_no_annotation.parquet': /counts 0 rows and its row groups 6/,
}
/** Pages that DuckDB has no codec or key for. */
const unreadable = new Set([
  'data/hadoop_lz4_compressed.parquet',
  'data/hadoop_lz4_compressed_larger.parquet',
  'data/non_hadoop_lz4_compressed.parquet',
  'data/encrypt_columns_plaintext_footer.parquet.encrypted',
])
const isEncrypted = (file: string) => file.endsWith('.encrypted') && !file.includes('plaintext_footer')

describe.runIf(present)('footers of Parquet files that other systems wrote', () => {
  let bounds = 0
  let counted = 0
  for (const file of files) {
    const refusal = isEncrypted(file) ? /is encrypted/ : refusals[file]
    it(`${file}: ${refusal ? 'is refused by name' : 'the footer is read, and what it says holds of the rows'}`, async () => {
      const bytes = new Uint8Array(readFileSync(join(corpus, file)))
      const footer = readParquetFooter(async (start, end) => bytes.subarray(start, end), bytes.length)
      if (refusal) {
        await expect(footer).rejects.toThrow(refusal)
        return
      }
      const { rowCount } = await footer
      const source = `read_parquet('${join(corpus, file)}')`
      const connection = await (await DuckDBInstance.create(':memory:')).connect()
      try {
        const one = async (sql: string) => (await connection.runAndReadAll(sql)).getRows()[0]?.[0]
        const rows = await one(`SELECT count(*) FROM ${source}`).catch(() => null)
        if (rows === null || file.startsWith('bad_data')) return
        expect(rowCount).toBe(rows)
        counted++
        const schema = await footer.then((read) => schemaOfParquet(read, { ids: 'fresh' })).catch(() => null)
        if (!schema || unreadable.has(file)) return
        const metrics = parquetMetrics(await footer, schema, { match: 'name' })
        for (const field of schema.fields) {
          const [low, high] = [metrics.lowerBounds.get(field.id), metrics.upperBounds.get(field.id)]
          const { type } = field
          if (!isPrimitive(type) || !low || !high || type === 'binary') continue
          const number = type === 'float' || type === 'double'
          const literal = (bound: Uint8Array) => sqlLiteral(type, decodeSingleValue(type, bound))
          const name = `${quoteIdentifier(field.name)}::${duckType(type)}`
          const beyond = await one(
            `SELECT count(*) FROM ${source} WHERE ${name} < ${literal(low)} OR (${name} > ${literal(high)}${number ? ` AND NOT isnan(${name})` : ''})`,
          )
          expect([field.name, beyond]).toEqual([field.name, 0n])
          const nulls = metrics.nullValueCounts.get(field.id)
          if (nulls !== undefined)
            expect([field.name, await one(`SELECT count(*) FROM ${source} WHERE ${name} IS NULL`)]).toEqual([
              field.name,
              nulls,
            ])
          bounds++
        }
      } finally {
        connection.closeSync()
      }
    })
  }

  it('compared enough of them to mean something', () => {
    expect([counted > 150, bounds > 60, [counted, bounds]]).toEqual([true, true, [counted, bounds]])
  })
})
