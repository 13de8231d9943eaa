import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { writeLake } from './small-lake.ts'

/** Bytes of one reading as it lies in memory: two bigints, a timestamp, four doubles, and a text of 64 characters. */
export const readingBytes = 8 + 8 + 8 + 4 * 8 + 64 + 12

/** How large a lake is made, and what the engine may take. */
export interface LargeLake {
  readonly months: number
  readonly rowsPerMonth: number
  readonly memory: string
}

/**
 * A lake whose deliveries are `months` files: readings of a million devices, each delivered row twice in a hundred. Silver keeps
 * the distinct ones by month; gold has the last reading of every device, which takes a sort of everything.
 */
export async function writeLargeLake(folder: string, { months, rowsPerMonth, memory }: LargeLake): Promise<void> {
  writeLake(folder, {
    'limn.config.ts': `import { defineLake } from 'limn'
export default defineLake({ name: 'large', engine: { memory: '${memory}', threads: 2, tempDir: 'spill' } })
`,
    'datasets/bronze/reading.ts': `import { files, ingest } from 'limn'
export const report = ingest('bronze.reading', {
  doc: 'One row per reading, as delivered.', owner: 'test', from: files('inbox/*.parquet', { format: 'parquet' }),
  columns: {
${columns}
  },
})
`,
    'datasets/silver/reading.ts': readingDataset('a'),
    'datasets/gold/device.ts': `import { model, sql, whole } from 'limn'
import { reading } from '../silver/reading.ts'
export const device = model('gold.device', {
  doc: 'The last reading of each device.', owner: 'test', grain: ['device'], keys: ['device'],
  columns: {
${columns}
  },
  build: whole(sql\`SELECT * FROM \${reading} QUALIFY row_number() OVER (PARTITION BY device ORDER BY read_at DESC, id DESC) = 1\`),
})
`,
  })
  mkdirSync(join(folder, 'inbox'))
  const instance = await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '1GB' })
  const connection = await instance.connect()
  try {
    for (let month = 0; month < months; month++) {
      const at = `${2020 + Math.floor(month / 12)}-${String((month % 12) + 1).padStart(2, '0')}`
      await connection.run(`COPY (${readings(at, month * rowsPerMonth, rowsPerMonth)})
        TO '${join(folder, 'inbox', `${at}.parquet`)}' (FORMAT parquet, COMPRESSION zstd)`)
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** Changes by which expression silver makes the column `a`. */
export function redefineReading(folder: string, a: string): void {
  writeLake(folder, { 'datasets/silver/reading.ts': readingDataset(a) })
}

const readingDataset = (a: string) => `import { byInterval, model, same, sql } from 'limn'
import { report } from '../bronze/reading.ts'
export const reading = model('silver.reading', {
  doc: 'One row per reading.', owner: 'test', grain: ['id'], keys: ['id'], partition: ['month(read_at)'],
  columns: {
${columns}
  },
  build: byInterval('read_at', 'month', ({ interval }) => sql\`
    SELECT DISTINCT * EXCLUDE (_delivery, _path, _run) REPLACE (${a} AS a)
    FROM \${report} WHERE read_at >= \${interval.start} AND read_at < \${interval.end}\`),
  edges: { 'bronze.reading': { reads: same, touches: 'read_at' } },
})
`

const columns = [
  "id: { type: 'long', doc: 'Number of the reading.' }",
  "device: { type: 'long', doc: 'The device.' }",
  "read_at: { type: 'timestamp', doc: 'When it was read.' }",
  ...['a', 'b', 'c', 'd'].map((name) => `${name}: { type: 'double', doc: 'A value.' }`),
  "note: { type: 'string', doc: 'Text that is never the same.' }",
]
  .map((line) => `    ${line},`)
  .join('\n')

/** Every fiftieth row repeats the one before it. */
function readings(month: string, first: number, rows: number): string {
  return `SELECT ${first} + n AS id, (hash(n) % 1000000)::BIGINT AS device,
    TIMESTAMP '${month}-01' + to_microseconds((n * (27 * 86400000000 // ${rows}))::BIGINT) AS read_at,
    (hash(n) % 1000)::DOUBLE AS a, (n % 977)::DOUBLE AS b, n::DOUBLE / 3 AS c, (hash(n + 1) % 100000)::DOUBLE AS d,
    lpad((n * 7919)::VARCHAR, 64, 'the quick brown fox jumps over the lazy dog, ') AS note
    FROM (SELECT CASE WHEN range % 50 = 49 THEN range - 1 ELSE range END AS n FROM range(${rows}))`
}
