import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { pointersOf } from '../support/contents.ts'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { bronzeEvent, deliver, goldDay, smallLake, writeLake } from '../support/small-lake.ts'

interface Case {
  readonly name: string
  /** What goes wrong, in a lake that was run once; the default command then is `run`. */
  readonly break: (folder: string) => void | Promise<void>
  readonly command?: readonly string[]
  readonly code: number
  readonly kind: string | readonly string[]
  /** Text the error must hold. */
  readonly says?: string
  /** `file:line:column`, as far as it is stated. */
  readonly at?: { readonly file: string; readonly line?: number; readonly column?: number }
}

const more = [['9', '2026-01-02 09:00:00', '5']] as const

function replaceIn(folder: string, path: string, from: string, to: string): void {
  const text = readFileSync(join(folder, path), 'utf8')
  expect(text).toContain(from)
  writeFileSync(join(folder, path), text.replace(from, to))
}

async function parquet(file: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${sql}) TO '${file}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
}

/** Makes the source read Parquet; its first file is delivered whole. */
async function useParquet(folder: string, sql: string): Promise<void> {
  writeLake(folder, {
    'datasets/bronze/event.ts': bronzeEvent
      .replace("'inbox/*.csv', { format: 'csv' }", "'inbox/*.{csv,parquet}', { format: 'parquet', withdrawn: 'keep' }")
      .replace('*.{csv,parquet}', '*.parquet'),
  })
  await parquet(join(folder, 'inbox', 'b.parquet'), sql)
}

const good = "SELECT 9::BIGINT AS id, TIMESTAMP '2026-01-02 09:00:00' AS happened_at, 5::INTEGER AS amount"

const cases: readonly Case[] = [
  {
    name: 'a source without any file',
    break: (folder) => replaceIn(folder, 'datasets/bronze/event.ts', 'inbox/*.csv', 'nowhere/*.csv'),
    code: 1,
    kind: 'source/vanished',
  },
  {
    name: 'a delivered file that vanished',
    break: (folder) => rmSync(join(folder, 'inbox', 'a.csv')),
    code: 1,
    kind: 'source/vanished',
    says: 'inbox/a.csv',
  },
  {
    name: 'a truncated Parquet file',
    break: async (folder) => {
      await useParquet(folder, good)
      truncateSync(join(folder, 'inbox', 'b.parquet'), 100)
    },
    code: 1,
    kind: 'source/unreadable',
    says: 'inbox/b.parquet',
  },
  {
    name: 'a Parquet file of random bytes',
    break: async (folder) => {
      await useParquet(folder, good)
      writeFileSync(join(folder, 'inbox', 'b.parquet'), Buffer.alloc(4000, 7))
    },
    code: 1,
    kind: 'source/unreadable',
  },
  {
    name: 'a source column that is missing',
    break: (folder) => writeFileSync(join(folder, 'inbox', 'b.csv'), 'id,happened_at\n9,2026-01-02 09:00:00\n'),
    code: 1,
    kind: 'source/schema',
    says: 'amount is missing',
  },
  {
    name: 'a source column that was added',
    break: (folder) =>
      writeFileSync(join(folder, 'inbox', 'b.csv'), 'id,happened_at,amount,extra\n9,2026-01-02 09:00:00,5,x\n'),
    code: 1,
    kind: 'source/schema',
    says: 'extra',
  },
  {
    name: 'a source column of another type',
    break: (folder) => useParquet(folder, good.replace('5::INTEGER', "'five'")),
    code: 1,
    kind: 'source/schema',
    says: 'VARCHAR',
  },
  {
    name: 'an empty CSV file',
    break: (folder) => writeFileSync(join(folder, 'inbox', 'b.csv'), ''),
    code: 1,
    kind: 'source/unreadable',
  },
  {
    name: 'a header that names a column twice',
    break: (folder) =>
      writeFileSync(join(folder, 'inbox', 'b.csv'), 'id,id,happened_at,amount\n9,9,2026-01-02 09:00:00,5\n'),
    code: 1,
    kind: 'source/schema',
    says: 'column id is there twice',
  },
  {
    name: 'bad CSV rows beyond the budget',
    break: (folder) => deliver(folder, 'b', [['x', '2026-01-02 09:00:00', '5']]),
    code: 3,
    kind: 'source/over-reject-budget',
    says: '1 bad row',
  },
  {
    name: 'SQL that does not parse',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', 'GROUP BY ALL', 'GRUOP BY ALL'),
    code: 2,
    kind: 'sql/syntax',
    at: { file: 'datasets/gold/day.ts' },
  },
  {
    name: 'SQL in a file that does not parse',
    break: (folder) => {
      writeLake(folder, { 'datasets/gold/day.sql': 'SELECT day\nFORM silver.event' })
      const model = goldDay
        .replace(
          "import { byInterval, model, same, sql } from 'limn'",
          "import { byInterval, model, same, sqlFile } from 'limn'",
        )
        .replace(/\(\{ interval \}\) => sql`[^`]*`/, "sqlFile('day.sql')")
      writeLake(folder, { 'datasets/gold/day.ts': model })
    },
    code: 2,
    kind: 'sql/syntax',
    at: { file: 'datasets/gold/day.sql', line: 2, column: 6 },
  },
  {
    name: 'SQL that names an unknown column',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', 'sum(amount)::BIGINT', 'sum(amuont)::BIGINT'),
    code: 2,
    kind: 'sql/unknown-column',
    at: { file: 'datasets/gold/day.ts' },
  },
  {
    name: 'SQL that names an unknown table',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', 'FROM ${event}', 'FROM silver.evnt'),
    code: 2,
    kind: 'dataset/unknown-reference',
    says: 'silver.evnt',
  },
  {
    name: 'SQL that yields a column the contract lacks',
    break: (folder) =>
      replaceIn(folder, 'datasets/gold/day.ts', 'count(*) AS events,', 'count(*) AS events, 1 AS extra,'),
    code: 2,
    kind: 'contract/mismatch',
    says: 'extra',
  },
  {
    name: 'SQL that lacks a column of the contract',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', 'count(*) AS events,', ''),
    code: 2,
    kind: 'contract/mismatch',
    says: 'events',
  },
  {
    name: 'a staged row outside its interval',
    break: (folder) => {
      replaceIn(
        folder,
        'datasets/silver/event.ts',
        'SELECT DISTINCT id, happened_at,',
        'SELECT DISTINCT id, happened_at + INTERVAL 1 DAY AS happened_at,',
      )
    },
    code: 1,
    kind: 'run/row-outside-interval',
    at: { file: 'datasets/silver/event.ts' },
  },
  {
    name: 'a staged row without its time',
    break: (folder) => {
      replaceIn(
        folder,
        'datasets/silver/event.ts',
        'SELECT DISTINCT id, happened_at,',
        'SELECT DISTINCT id, NULL::TIMESTAMP AS happened_at,',
      )
    },
    code: 1,
    kind: 'run/row-outside-interval',
  },
  {
    name: 'a row without parent',
    break: (folder) =>
      replaceIn(
        folder,
        'datasets/gold/day.ts',
        'checks: (check) => [',
        "checks: (check) => [check.reference('events', event, 'amount'), ",
      ),
    code: 3,
    kind: 'gate/refused',
    says: 'reference',
  },
  {
    name: 'a key that repeats',
    break: (folder) => deliver(folder, 'b', [['1', '2026-01-02 09:00:00', '5']]),
    code: 3,
    kind: 'gate/refused',
    says: 'unique(id)',
  },
  {
    name: 'two datasets with one name',
    break: (folder) => writeLake(folder, { 'datasets/gold/again.ts': goldDay }),
    code: 2,
    kind: 'dataset/duplicate-name',
    says: 'datasets/gold/again.ts',
  },
  {
    name: 'a cycle of datasets',
    break: (folder) =>
      replaceIn(
        folder,
        'datasets/silver/event.ts',
        'FROM ${eventReport}',
        'FROM (SELECT * FROM ${eventReport} WHERE id NOT IN (SELECT events FROM gold.day))',
      ),
    code: 2,
    kind: 'dataset/cycle',
    says: 'gold.day ← silver.event ← gold.day',
  },
  {
    name: 'a cycle by import',
    break: (folder) => {
      replaceIn(
        folder,
        'datasets/silver/event.ts',
        "import { eventReport } from '../bronze/event.ts'",
        "import { eventReport } from '../bronze/event.ts'\nimport { day } from '../gold/day.ts'\nexport const eager = day.id",
      )
      replaceIn(
        folder,
        'datasets/gold/day.ts',
        "import { event } from '../silver/event.ts'",
        "import { event } from '../silver/event.ts'\nexport const eager = event.id",
      )
    },
    code: 2,
    kind: 'dataset/cycle',
    says: 'before',
  },
  {
    name: 'a typo in a selector',
    break: () => undefined,
    command: ['run', 'sliver.event'],
    code: 2,
    kind: 'usage/unknown-dataset',
    says: 'silver.event',
  },
  {
    name: 'a type error in a dataset file',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', "grain: ['day']", "grain: ['dya']"),
    command: ['check'],
    code: 2,
    kind: 'dataset/type-error',
    at: { file: 'datasets/gold/day.ts', line: 4 },
  },
  {
    name: 'a dataset file that cannot be loaded',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', 'export const day', 'export cosnt day'),
    code: 2,
    kind: 'config/load',
  },
  {
    name: 'a contract with an unknown grain',
    break: (folder) => replaceIn(folder, 'datasets/gold/day.ts', "grain: ['day']", "grain: ['dya']"),
    code: 2,
    kind: 'contract/invalid',
  },
  {
    name: 'a date that is none',
    break: () => undefined,
    command: ['run', '--date', '2026-13-01'],
    code: 2,
    kind: 'usage/argument',
  },
  {
    name: 'a change of the lake through sql',
    break: () => undefined,
    command: ['sql', 'DROP TABLE gold.day'],
    code: 2,
    kind: 'usage/owned-table',
  },
  {
    name: 'a garbled metadata file',
    break: (folder) => writeFileSync(metadataFile(folder, 'silver.event'), '{"format-version": 2, "table-uuid": 7'),
    code: 1,
    kind: 'iceberg/invalid-metadata',
    says: 'silver.event',
  },
  {
    name: 'a metadata file of an unknown version',
    break: (folder) => replaceText(metadataFile(folder, 'silver.event'), '"format-version":2', '"format-version":9'),
    code: 1,
    kind: 'iceberg/unsupported',
  },
  {
    name: 'a metadata file that is gone',
    break: (folder) => rmSync(metadataFile(folder, 'silver.event')),
    code: 1,
    kind: 'storage/missing',
    says: 'silver.event',
  },
  {
    name: 'a garbled manifest',
    break: (folder) => garbleManifests(folder, 'silver.event'),
    command: ['sql', 'SELECT * FROM silver.event'],
    code: 1,
    kind: 'iceberg/invalid-metadata',
  },
  {
    name: 'a catalog that is no database',
    break: (folder) => {
      for (const name of readdirSync(join(folder, '.limn')).filter((one) => one.startsWith('catalog.db-')))
        rmSync(join(folder, '.limn', name))
      writeFileSync(
        join(folder, '.limn', 'catalog.db'),
        'not a database, but long enough to be taken for one'.repeat(200),
      )
    },
    code: 1,
    kind: 'catalog/corrupt',
  },
  {
    name: 'a lake written by a newer limn',
    break: (folder) => {
      using database = new DatabaseSync(join(folder, '.limn', 'state.db'))
      database.exec("INSERT INTO state_version VALUES (999, 'from the future')")
    },
    code: 2,
    kind: 'config/newer-lake',
  },
]

function metadataFile(folder: string, table: string): string {
  return (pointersOf(folder)[table] ?? '').replace('file://', '')
}

function replaceText(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8')
  expect(text).toContain(from)
  writeFileSync(file, text.replace(from, to))
}

function garbleManifests(folder: string, table: string): void {
  const metadata = join(folder, 'warehouse', ...table.split('.'), 'metadata')
  for (const name of readdirSync(metadata).filter((one) => one.endsWith('.avro')))
    truncateSync(join(metadata, name), 60)
}

interface ErrorJson {
  readonly error?: {
    readonly kind: string
    readonly message: string
    readonly notDone?: string
    readonly remedy?: string
    readonly location?: { readonly file: string; readonly line?: number; readonly column?: number }
  }
  readonly outcome?: string
  readonly problems?: readonly NonNullable<ErrorJson['error']>[]
  readonly verdicts?: readonly { readonly check: string; readonly outcome: string }[]
}

/** The error of a command's JSON, whichever way it reports it. */
function errorOf(json: ErrorJson) {
  if (json.problems) return json.problems[0]
  if (json.outcome === 'refused') {
    const failed = json.verdicts?.filter((one) => one.outcome === 'failed').map((one) => one.check)
    return {
      kind: 'gate/refused',
      message: failed?.join(', ') ?? '',
      remedy: 'look',
      notDone: 'nothing',
      location: undefined,
    }
  }
  return json.error
}

describe('bad input', () => {
  for (const one of cases) {
    it(`${one.name}: ${(one.command ?? ['run']).join(' ')} ends with ${one.code} and ${[one.kind].flat().join(' or ')}, and no table moves`, async () => {
      using lake = smallLake('bad')
      const { folder } = lake
      expect((await limn(folder, 'run')).code).toBe(0)
      const before = snapshotsOf(folder)
      await one.break(folder)
      const ended = await limn(folder, ...(one.command ?? ['run']), '--json')
      const error = errorOf(JSON.parse(ended.stdout) as ErrorJson)
      expect([ended.code, error?.kind]).toEqual([
        one.code,
        [one.kind].flat().includes(error?.kind ?? '') ? error?.kind : one.kind,
      ])
      expect(ended.stderr).not.toMatch(/\n\s+at /)
      if (one.says) expect(`${error?.message} ${error?.remedy}`).toContain(one.says)
      if (one.at) expect(error?.location).toMatchObject(one.at)
      expect(error?.remedy ?? error?.notDone).toBeTruthy()
      if (!one.name.includes('catalog that is no') && !one.name.includes('metadata file'))
        expect(snapshotsOf(folder)).toEqual(before)
    })
  }

  it('quarantines bad CSV rows with reason and line, within the budget of the contract', async () => {
    using lake = smallLake('bad')
    const { folder } = lake
    replaceIn(folder, 'datasets/bronze/event.ts', "owner: 'test',", "owner: 'test', rejectBudget: { rows: 3 },")
    writeFileSync(
      join(folder, 'inbox', 'b.csv'),
      'id,happened_at,amount\n9,2026-01-02 09:00:00,5\nx,2026-01-02 09:00:00,5\n10,2026-01-02 09:00:00\n11,2026-01-02 09:00:00,1,2\n',
    )
    expect((await limn(folder, 'run')).code).toBe(0)
    const ended = await limn(
      folder,
      'sql',
      '--json',
      'SELECT _path, _position, reason, "row" FROM bronze.event_quarantine ORDER BY _position',
    )
    const { rows } = JSON.parse(ended.stdout) as { rows: readonly (readonly unknown[])[] }
    expect(rows.map((row) => [row[0], row[1], row[3]])).toEqual([
      ['inbox/b.csv', 3, 'x,2026-01-02 09:00:00,5'],
      ['inbox/b.csv', 4, '10,2026-01-02 09:00:00'],
      ['inbox/b.csv', 5, '11,2026-01-02 09:00:00,1,2'],
    ])
    expect(rows.map((row) => String(row[2]).split(':')[0])).toEqual(['CAST', 'MISSING COLUMNS', 'TOO MANY COLUMNS'])
  })

  it('quarantines rows whose value is neither a sentinel nor of its type, and lands the others', async () => {
    using lake = smallLake('bad')
    const { folder } = lake
    replaceIn(folder, 'datasets/bronze/event.ts', "owner: 'test',", "owner: 'test', rejectBudget: { rows: 3 },")
    const amount = "{ type: 'int', nullSentinels: ['NA'], nulls: 'unknown',"
    replaceIn(folder, 'datasets/bronze/event.ts', "amount: { type: 'int',", `amount: ${amount}`)
    writeFileSync(
      join(folder, 'inbox', 'b.csv'),
      'id,happened_at,amount\n9,2026-01-02 09:00:00,NA\n10,2026-01-02 09:00:00,many\nx,2026-01-02 09:00:00,1\n11,2026-01-02 09:00:00,\n',
    )
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    const rowsOf = async (sql: string) => JSON.parse((await limn(folder, 'sql', '--json', sql)).stdout).rows
    expect(await rowsOf('SELECT id::INT, amount FROM bronze.event WHERE id > 3 ORDER BY id')).toEqual([
      [9, null],
      [11, null],
    ])
    const rejected = 'SELECT _position::INT, reason, "row" FROM bronze.event_quarantine ORDER BY _position NULLS LAST'
    expect(await rowsOf(rejected)).toEqual([
      [4, expect.stringContaining('CAST'), 'x,2026-01-02 09:00:00,1'],
      [null, 'CAST: amount cannot be converted to int', '10,2026-01-02 09:00:00,many'],
    ])
  })

  it('refuses a warehouse that cannot be written, as an unprivileged user', async () => {
    if (process.getuid?.() !== 0) {
      process.stdout.write('Left out: changing to an unprivileged user needs root.\n')
      return
    }
    using lake = smallLake('bad')
    const { folder } = lake
    const nobody = 65_534
    const own = (path: string) => execFileSync('chown', ['-R', String(nobody), path])
    own(folder)
    mkdirSync(join(folder, 'warehouse'))
    chmodSync(join(folder, 'warehouse'), 0o555)
    chownSync(join(folder, 'warehouse'), 0, 0)
    const ended = await start(process.execPath, [join(root, 'packages', 'limn', 'bin', 'limn.js'), 'run', '--json'], {
      cwd: folder,
      uid: nobody,
      env: { ...process.env, HOME: folder },
    }).ended
    expect([ended.code, errorOf(JSON.parse(ended.stdout) as ErrorJson)?.kind]).toEqual([1, 'storage/not-writable'])
  })

  it('says that the disk is full, and what was published stays', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'limn-disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', disk], { stdio: 'ignore' })
    } catch {
      rmSync(disk, { recursive: true, force: true })
      if (process.env.CI) throw new Error('CI must be allowed to mount a tmpfs')
      process.stdout.write('Left out: mounting a tmpfs is not allowed here.\n')
      return
    }
    using lake = smallLake('bad')
    const { folder } = lake
    try {
      writeLake(folder, {
        'limn.config.ts': `import { defineLake } from 'limn'\nexport default defineLake({ name: 'small', warehouse: '${disk}/warehouse' })\n`,
      })
      expect((await limn(folder, 'run')).code).toBe(0)
      const before = snapshotsOf(folder)
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(18_000_000))
      const rows = Array.from({ length: 400_000 }, (_, i) => `${i + 100},2026-01-02 09:00:00,${(i * 7919) % 1_000_003}`)
      writeFileSync(join(folder, 'inbox', 'b.csv'), `id,happened_at,amount\n${rows.join('\n')}\n`)
      const ended = await limn(folder, 'run', '--json')
      expect([ended.code, errorOf(JSON.parse(ended.stdout) as ErrorJson)?.kind]).toEqual([1, 'storage/full'])
      expect(snapshotsOf(folder)).toEqual(before)
      rmSync(join(disk, 'ballast'))
      rmSync(join(folder, 'inbox', 'b.csv'))
      deliver(folder, 'b', more)
      expect((await limn(folder, 'run')).code).toBe(0)
    } finally {
      execFileSync('umount', [disk])
      rmSync(disk, { recursive: true, force: true })
    }
  })
})

/** Main's snapshot of every dataset table, read without limn. */
function snapshotsOf(folder: string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(pointersOf(folder)).map(([table, location]) => {
      const json = JSON.parse(
        readFileSync(location.replace('file://', ''), 'utf8').replace(
          /"current-snapshot-id":(-?\d+)/,
          '"current-snapshot-id":"$1"',
        ),
      ) as Record<string, unknown>
      return [table, json['current-snapshot-id']]
    }),
  )
}
