import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, tableId } from '../../packages/limn/src/base/index.ts'
import { type FileEngine, openDuckDb } from '../../packages/limn/src/engine/index.ts'
import type { Field } from '../../packages/limn/src/schema/index.ts'
import { damaged } from '../support/hostile.ts'
import { absurdFiles } from '../support/parquet-footers.ts'

const seed = Number(process.env.LIMN_SEED ?? 20261126)
/** Bounds against loops and greed, not measurements. */
const millisecondsMax = 10_000
const growthMax = 512 * 1024 * 1024

let folder = ''
let engine: FileEngine
let whole: Buffer = Buffer.alloc(0)
let footerAt = 0
let files = 0

const fields: readonly Field[] = [
  { id: 1, name: 'id', required: false, type: 'long' },
  { id: 2, name: 'word', required: false, type: 'string' },
  { id: 3, name: 'price', required: false, type: 'decimal(9,2)' },
  { id: 4, name: 'hash', required: false, type: 'fixed[4]' },
  {
    id: 5,
    name: 'many',
    required: false,
    type: { type: 'list', elementId: 6, elementRequired: false, element: 'long' },
  },
  { id: 7, name: 'few', required: false, type: 'string' },
]
const schema = { schemaId: 0, identifierFieldIds: [], fields }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'limn-hostile-'))
  engine = await openDuckDb({ threads: 2, memoryLimit: '500MB', temporaryFolder: folder })
  await using session = await engine.session([])
  const [written] = await session.write(
    "SELECT i AS id, 'w' || i AS word, i / 7 AS price, unhex(substring(md5(i::VARCHAR), 1, 8)) AS hash, [i, NULL] AS many, 'f' || (i % 5) AS few FROM range(3000) t(i)",
    {
      schema,
      spec: { specId: 0, fields: [] },
      folder: join(folder, 'w'),
      compression: 'zstd',
      rowGroupSize: 2048,
      bloomFilters: new Map([[2, { falseRate: 0.01, bytesMax: 65_536 }]]),
    },
  )
  if (!written) throw new Error('nothing was written')
  whole = readFileSync(written.local)
  footerAt = whole.length - 8 - whole.readUInt32LE(whole.length - 8)
})
afterAll(() => {
  engine.close()
  rmSync(folder, { recursive: true, force: true })
})

const table = tableId('lab.t')

/** What comes of reading every value of files that stand in a table; each has a name of its own. */
async function outcomeOf(locals: readonly string[]): Promise<unknown> {
  const began = performance.now()
  const before = process.memoryUsage().rss
  try {
    await using session = await engine.session([
      { id: table, schema, files: locals.map((local) => ({ local, path: `file://${local}` })) },
    ])
    const { rows } = await session.rows(`SELECT count(*), max(hash(t)) FROM lab.t AS t`)
    await session.rows(`SELECT id FROM lab.t WHERE word = 'w17' AND id > 3`)
    return rows[0]
  } catch (error) {
    return error
  } finally {
    expect(performance.now() - began).toBeLessThan(millisecondsMax)
    expect(process.memoryUsage().rss - before).toBeLessThan(growthMax)
  }
}

function fileOf(bytes: Uint8Array): string {
  const local = join(folder, `damaged-${files++}.parquet`)
  writeFileSync(local, bytes)
  return local
}

/** An answer, or an error of ours that names the file. */
function expectClear(how: string, local: string, outcome: unknown): 'answered' | 'refused' {
  if (!(outcome instanceof Error)) return 'answered'
  const shown = outcome instanceof LimnError ? `${outcome.kind} ${outcome.message}` : `${outcome}`
  expect([how, seed, shown]).toEqual([
    how,
    seed,
    expect.stringMatching(new RegExp(`^(storage/corrupt|iceberg/unsupported|iceberg/invalid-metadata) .*${local}`)),
  ])
  return 'refused'
}

describe('a hostile data file', () => {
  it.each([
    ['in its footer', true, 350],
    ['anywhere', false, 200],
  ])('damaged %s is answered or refused by name, soon, and never ends the process', async (_, inFooter, count) => {
    const from = inFooter ? footerAt : 0
    let refused = 0
    for (const damage of damaged(whole.subarray(from), seed, count)) {
      const local = fileOf(Buffer.concat([whole.subarray(0, from), damage.bytes]))
      if (expectClear(damage.how, local, await outcomeOf([local])) === 'refused') refused++
      rmSync(local)
    }
    expect(refused).toBeGreaterThan(count / 4)
  })

  it('that claims what no file has is refused by name, soon, and never ends the process', async () => {
    const sound = fileOf(whole)
    for (const [claim, bytes] of absurdFiles()) {
      const local = fileOf(bytes)
      const outcome = expectClear(claim, local, await outcomeOf([local]))
      // These are read as files without rows, or without the column.
      const empty = /^(2\^40 row groups|a schema 1,000 deep)$/
      if (!empty.test(claim)) expect([claim, outcome]).toEqual([claim, 'refused'])
      // DuckDB gives its instance up after some of them; the engine does not.
      expect([claim, await outcomeOf([sound])]).toEqual([claim, [3000n, expect.anything()]])
    }
  })

  it('is the one that is named among sound ones', async () => {
    const sound = Array.from({ length: 5 }, (_, i) => {
      const local = join(folder, `sound-${i}.parquet`)
      copyFileSync(join(folder, 'w', 'data.parquet'), local)
      return local
    })
    const cut = fileOf(whole.subarray(0, footerAt - 10))
    const flipped = Buffer.from(whole)
    flipped.fill(0xff, footerAt + 20, footerAt + 24)
    for (const local of [
      cut,
      fileOf(flipped),
      fileOf(Buffer.concat([whole.subarray(0, 40), Buffer.alloc(400, 0xff), whole.subarray(440)])),
    ]) {
      const outcome = await outcomeOf([...sound.slice(0, 3), local, ...sound.slice(3)])
      expect(outcome instanceof LimnError && outcome.kind).toBe('storage/corrupt')
      expectClear('among others', local, outcome)
    }
  })

  it('is not blamed for an error of the query', async () => {
    const local = fileOf(whole)
    await using session = await engine.session([{ id: table, schema, files: [{ local }] }])
    await expect(session.rows("SELECT error('a page of the schema') FROM lab.t")).rejects.toMatchObject({
      kind: 'sql/failed',
    })
    await expect(session.rows('SELECT word::INTEGER FROM lab.t')).rejects.toMatchObject({ kind: 'sql/failed' })
  })
})
