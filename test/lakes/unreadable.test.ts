import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LimnError } from '../../packages/limn/src/base/index.ts'
import { pointersOf } from '../support/contents.ts'
import { planIn, runIn } from '../support/golden-lake.ts'
import { limn } from '../support/lake.ts'
import { bronzeEvent, smallLake, writeLake } from '../support/small-lake.ts'

const large =
  "SELECT (i + 100)::BIGINT AS id, TIMESTAMP '2026-01-02 09:00:00' AS happened_at, ((i * 7919) % 1000)::INTEGER AS amount FROM range(30000) t(i)"
const header = 'id,happened_at,amount\n'
const row = (id: number) => `${id},2026-01-02 09:00:00,5\n`
const rows = Array.from({ length: 3000 }, (_, i) => row(i + 100)).join('')

/** Files that are no text as it should be: what they are, what is said of them, and the line. */
const unreadable: readonly (readonly [string, string | Buffer, string, number | null])[] = [
  ['a CSV file with mixed line ends', `${header}${row(9)}10,2026-01-02 09:00:00,5\r\n`, 'line 3 ends in CRLF', 3],
  ['one that ends a line otherwise far in', `${header}${rows}9,2026-01-02 09:00:00,5\r${row(10)}`, 'ends in CR', 3002],
  ['one whose header alone ends otherwise', `${header}${row(9).replace('\n', '\r\n')}`, 'line 2 ends in CRLF', 2],
  ['a CSV file in UTF-16', Buffer.from(`\ufeff${header}${row(9)}`, 'utf16le'), 'it is UTF-16', 1],
  ['one in UTF-16 that does not say so', Buffer.from(header + row(9), 'utf16le'), 'it is UTF-16', 1],
  ['a CSV file in Latin-1', Buffer.from(`${header}9é${row(9)}`, 'latin1'), 'line 2 is not UTF-8', 2],
  ['one whose header is in Latin-1', Buffer.from(`id,happéned_at,amount\n${row(9)}`, 'latin1'), 'not UTF-8', 1],
  [
    'a CSV file of random bytes',
    Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919 + 13) % 256)),
    'not UTF-8',
    2,
  ],
  ['a quote that is never closed', `${header}9,"2026-01-02 09:00:00,5\n${row(10)}`, 'never closed', null],
  ['a line longer than any', `${header}9,2026-01-02 09:00:00,${'5'.repeat(3_000_000)}\n`, 'CSV Error on Line', null],
  ['a compressed file that is named as if it were not', gzipSync(header + row(9)), 'compressed by gzip', 1],
  ['a Parquet file that is named CSV', Buffer.from(`PAR1${'x'.repeat(100)}`), 'it is a Parquet file', 1],
]

const [zipped, zstd] = [gzipSync(header + rows), zstdCompressSync(Buffer.from(header + rows))]
const part = (bytes: Buffer, share: number) => bytes.subarray(0, Math.floor(bytes.length * share))

/** Compressed files: DuckDB reads what there is of one that was cut off, as if that were all. */
const packed: readonly (readonly [string, string, Buffer | string, string])[] = [
  ['a gzip file that is cut off', 'b.csv.gz', part(zipped, 0.5), 'it ends before its end'],
  ['a gzip file without its checksum', 'b.csv.gz', zipped.subarray(0, zipped.length - 4), 'it ends before its end'],
  ['a gzip file with bytes garbled', 'b.csv.gz', garbled(zipped), 'is not whole'],
  ['a file that is named gzip and is none', 'b.csv.gz', header + row(9), 'is not whole'],
  [
    'a gzip file with mixed line ends',
    'b.csv.gz',
    gzipSync(`${header}${row(9)}10,2026-01-02 09:00:00,5\r\n`),
    'line 3 ends',
  ],
  ['a zstd file that is cut off', 'b.csv.zst', part(zstd, 0.5), 'it ends before its end'],
  ['a zstd file that lacks its last bytes', 'b.csv.zst', zstd.subarray(0, zstd.length - 3), 'it ends before its end'],
]

function garbled(bytes: Buffer): Buffer {
  return Buffer.from(bytes).fill(7, bytes.length >> 1, (bytes.length >> 1) + 100)
}

function spoiled(bytes: Buffer, how: number): Buffer {
  switch (how) {
    case 0:
      return bytes.fill(0xff, 60, 400)
    case 1:
      return bytes.fill(0, 4, bytes.length >> 1)
    case 2:
      return Buffer.concat([bytes.subarray(0, 100), bytes.subarray(1100)])
    case 3:
      return bytes.fill(0x55, bytes.length - 100, bytes.length - 8)
    default:
      bytes.writeUInt32LE(0x7fffffff, bytes.length - 8)
      return bytes
  }
}

/** A lake that reads any of these; every file is delivered to it, is refused, and goes again. */
const from = "files('inbox/*.csv*', { format: 'csv' })"
const lake = smallLake('unreadable')
const parquetLake = smallLake('unreadable-parquet')
const event = "files('inbox/*.csv', { format: 'csv' })"

beforeAll(async () => {
  expect(bronzeEvent).toContain(event)
  writeLake(lake.folder, { 'datasets/bronze/event.ts': bronzeEvent.replace(event, from) })
  await runIn(lake.folder)
  rmSync(join(parquetLake.folder, 'inbox/a.csv'))
  await parquet(join(parquetLake.folder, 'inbox/a.parquet'), large.replace('range(30000)', 'range(1, 4)'))
  const parquetFrom = "files('inbox/*.parquet', { format: 'parquet' })"
  writeLake(parquetLake.folder, { 'datasets/bronze/event.ts': bronzeEvent.replace(event, parquetFrom) })
  await runIn(parquetLake.folder)
})

afterAll(() => {
  lake[Symbol.dispose]()
  parquetLake[Symbol.dispose]()
})

async function parquet(file: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${sql}) TO '${file}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
}

/** Delivers a file, which is refused; nothing moves. */
async function refusal(folder: string, name: string, bytes: Buffer | string): Promise<LimnError> {
  const before = published(folder)
  const path = join(folder, 'inbox', name)
  writeFileSync(path, bytes)
  try {
    const error = await runIn(folder).then(
      (report) => expect.fail(`it was ${report.outcome}`),
      (one: LimnError) => one,
    )
    expect(published(folder)).toEqual(before)
    expect([error.kind, error.notDone, error.remedy]).toEqual([
      'source/unreadable',
      expect.stringContaining('nothing was published'),
      expect.stringContaining('again'),
    ])
    expect(error.message).toContain(`inbox/${name} cannot be read as`)
    expect(error.message).not.toContain(folder)
    return error
  } finally {
    rmSync(path)
  }
}

/** Every table but the ledger, which says that the run failed. */
function published(folder: string): Readonly<Record<string, string>> {
  const tables = Object.entries(pointersOf(folder)).filter(([table]) => !table.startsWith('limn.'))
  const main = (location: string) =>
    /"current-snapshot-id":-?\d+/.exec(readFileSync(location.replace('file://', ''), 'utf8'))?.[0] ?? ''
  return Object.fromEntries(tables.map(([table, location]) => [table, main(location)]))
}

describe('a delivered file that cannot be read is named, with its line where that is known, and nothing is published:', () => {
  for (const [name, text, says, line] of unreadable)
    it(name, async () => {
      const error = await refusal(lake.folder, 'b.csv', text)
      expect(error.message).toContain(says)
      expect(error.location).toEqual({ file: 'inbox/b.csv', ...(line === null ? {} : { line }) })
    })

  for (const [name, file, bytes, says] of packed)
    it(name, async () => {
      const error = await refusal(lake.folder, file, bytes)
      expect(error.message).toContain(says)
      expect(error.location?.file).toBe(`inbox/${file}`)
    })

  for (const [i, what] of [
    'a page flipped',
    'pages zeroed',
    'a part cut out',
    'its footer garbled',
    'another length',
  ].entries())
    it(`a Parquet file with ${what}`, async () => {
      const file = join(parquetLake.folder, 'whole')
      if (!existsSync(file)) await parquet(file, large)
      const error = await refusal(parquetLake.folder, 'b.parquet', spoiled(readFileSync(file), i))
      expect(error.location).toEqual({ file: 'inbox/b.parquet' })
    })

  it('also when it is only planned', async () => {
    const { folder } = lake
    const path = join(folder, 'inbox/b.csv')
    writeFileSync(path, `${header}${row(9)}10,2026-01-02 09:00:00,5\r\n`)
    await expect(planIn(folder)).rejects.toMatchObject({
      kind: 'source/unreadable',
      location: { file: 'inbox/b.csv', line: 3 },
    })
    const { code, stderr } = await limn(folder, 'run')
    expect([code, stderr]).toEqual([1, expect.stringMatching(/source\/unreadable.*inbox\/b\.csv:3/s)])
    rmSync(path)
  })
})

describe('a delivered file', () => {
  it('reads files whose line ends, quotes and byte order mark are unusual and right', async () => {
    const { folder } = lake
    const files = {
      crlf: header.replace('\n', '\r\n') + row(20).replace('\n', '\r\n'),
      cr: header.replace('\n', '\r') + row(21).replace('\n', '\r'),
      bom: `\ufeff${header}${row(22)}`,
      quoted: `${header}"23","2026-01-02 09:00:00","5"\n`,
      open: `${header}${row(24).trimEnd()}`,
      blank: `${header}\n${row(25)}\n`,
    }
    writeFileSync(join(folder, 'inbox', 'packed.csv.gz'), gzipSync(header + row(26)))
    writeFileSync(join(folder, 'inbox', 'packed.csv.zst'), zstdCompressSync(Buffer.from(header + row(27))))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'inbox', `${name}.csv`), text)
    expect((await limn(folder, 'run')).code).toBe(0)
    const ended = await limn(folder, 'sql', '--json', 'SELECT list(id::INT ORDER BY id) FROM silver.event WHERE id > 3')
    expect(JSON.parse(ended.stdout).rows).toEqual([['[20, 21, 22, 23, 24, 25, 26, 27]']])
  })
})
