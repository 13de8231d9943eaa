import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { readParquetFooter } from '../../packages/limn/src/encoding/index.ts'
import { damaged } from '../support/hostile.ts'
import { absurdFiles } from '../support/parquet-footers.ts'

const seed = Number(process.env.LIMN_SEED ?? 20261126)
/** Bounds against loops and greed, not measurements. */
const millisecondsMax = 5_000
const growthMax = 256 * 1024 * 1024

let folder = ''
let footer: Uint8Array = new Uint8Array()
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'limn-hostile-'))
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run(`COPY (SELECT i AS a, i::DECIMAL(30, 2) AS d, 's' || i AS s, [i] AS l, {x: i} AS o, MAP {i: 'v'} AS m
    FROM range(9000) t(i)) TO '${folder}/a.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048, FIELD_IDS {a: 1, d: 2, s: 3})`)
  connection.closeSync()
  const file = new Uint8Array(readFileSync(join(folder, 'a.parquet')))
  const length = Buffer.from(file).readUInt32LE(file.length - 8)
  // A reader of the footer looks at nothing else: damage elsewhere would be wasted.
  footer = Buffer.concat([Buffer.from('PAR1'), file.subarray(file.length - 8 - length)])
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function outcomeOf(bytes: Uint8Array): Promise<string> {
  const began = performance.now()
  const before = process.memoryUsage().rss
  let outcome = 'accepted'
  try {
    await readParquetFooter(async (start, end) => bytes.subarray(start, end), bytes.length)
  } catch (error) {
    outcome = error instanceof LimnError ? error.kind : `${String(error)} (seed ${seed})`
  }
  expect(performance.now() - began).toBeLessThan(millisecondsMax)
  expect(process.memoryUsage().rss - before).toBeLessThan(growthMax)
  return outcome
}

describe('a hostile footer of a Parquet file', () => {
  it('that is damaged anywhere is read or refused, soon', async () => {
    const outcomes = new Map<string, number>()
    for (const { how, bytes } of damaged(footer, seed, 4000)) {
      const outcome = await outcomeOf(bytes)
      expect([how, outcome]).toEqual([
        how,
        expect.stringMatching(/^(accepted|iceberg\/(invalid-metadata|unsupported))$/),
      ])
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    expect(outcomes.get('iceberg/invalid-metadata')).toBeGreaterThan(2000)
  })

  it('that claims what no file has is refused before memory is taken for it', async () => {
    // Claims about what stands outside the footer, or that mean nothing, are not the footer reader's to judge.
    const elsewhere = /^(a type|2\^62|a chunk of 2|a chunk (at|beyond)|a dictionary|a Bloom|a page header)/
    for (const [claim, bytes] of absurdFiles())
      expect([claim, await outcomeOf(bytes)]).toEqual([
        claim,
        elsewhere.test(claim) ? 'accepted' : 'iceberg/invalid-metadata',
      ])
  })
})
