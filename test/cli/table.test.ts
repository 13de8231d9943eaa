import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pointersOf } from '../support/contents.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { smallLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder>
const table = (...args: readonly string[]) => limn(lake.folder, 'table', ...args)
const sql = (...args: readonly string[]) => limn(lake.folder, 'sql', ...args)

type Json = Record<string, never> & Record<string, unknown>

async function json(...args: readonly string[]): Promise<Json> {
  const ended = await table(...args, '--json')
  expect([ended.code, ended.stderr]).toEqual([0, ''])
  return JSON.parse(ended.stdout) as Json
}

async function rows(statement: string): Promise<unknown> {
  return (JSON.parse((await sql('--json', statement)).stdout) as { rows: unknown }).rows
}

beforeAll(async () => {
  lake = smallLake('table')
  expect((await limn(lake.folder, 'run')).code).toBe(0)
  const made = await table('create', 'lab.note', '(id BIGINT, part INT, text STRING) PARTITIONED BY (part)')
  expect([made.code, made.stdout.trim()]).toEqual([0, 'table lab.note created'])
  for (let i = 0; i < 3; i++) {
    const inserted = await sql(
      `INSERT INTO lab.note SELECT range, range % 2, 'n' || range FROM range(${i * 10}, ${i * 10 + 10})`,
    )
    expect(inserted.code).toBe(0)
  }
})
afterAll(() => lake[Symbol.dispose]())

describe('limn table', () => {
  it('lists every verb, each with examples', async () => {
    const help = (await table('--help')).stdout
    for (const verb of [
      'create',
      'alter',
      'compact',
      'expire',
      'orphans',
      'rewrite-manifests',
      'rollback',
      'cherry-pick',
      'branch',
      'tag',
      'health',
      'stats',
      'partition-stats',
      'diff',
      'inspect',
    ]) {
      expect(help).toContain(`  ${verb} `)
      expect((await table(verb, '--help')).stdout).toMatch(new RegExp(`Examples?:\\n  limn table ${verb} `))
    }
  })

  it('compacts: a dry run changes nothing, then rows stay as they are in fewer files', async () => {
    const before = pointersOf(lake.folder)
    const dry = await table('compact', 'lab.note', '--min-files', '2', '--dry-run')
    expect(dry.stdout).toMatch(
      /^lab\.note: would join 6 files, .* to about 2 \(6 small\)\n\(dry run: nothing was changed\)\n$/,
    )
    expect(pointersOf(lake.folder)).toEqual(before)
    const done = await json('compact', 'lab.note', '--min-files', '2', '--sort', 'id desc')
    expect(done).toMatchObject({
      groups: 2,
      removed: { files: 6, rows: 30 },
      added: { files: 2, rows: 30 },
      dryRun: false,
    })
    expect(await rows('SELECT count(*), sum(id) FROM lab.note')).toEqual([[30, 435]])
    expect((await table('compact', 'lab.note')).stdout).toMatch(/no data file asks for it \(2 left alone\)/)
  })

  it('maintains the tables of datasets too, and never alters them', async () => {
    expect((await table('compact', 'silver.event', '--all')).code).toBe(0)
    expect(await rows('SELECT count(*) FROM silver.event')).toEqual([[3]])
    expect((await limn(lake.folder, 'plan', '--exit-code')).code).toBe(0)
    for (const args of [
      ['alter', 'silver.event', 'ADD COLUMN x INT'],
      ['rollback', 'silver.event', '1'],
      ['cherry-pick', 'silver.event', '1'],
      ['branch', 'silver.event', 'main', '--drop'],
    ]) {
      const before = pointersOf(lake.folder)
      const ended = await table(...args)
      expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('error[usage/owned-table]')])
      expect(pointersOf(lake.folder)).toEqual(before)
    }
  })

  it('alters, with a dry run, and refuses what is unsafe', async () => {
    expect((await table('alter', 'lab.note', 'ADD COLUMN more INT', '--dry-run')).stdout).toContain(
      'table lab.note altered (dry run',
    )
    expect((await table('alter', 'lab.note', 'ADD COLUMN more INT')).stdout).toBe('table lab.note altered\n')
    expect((await table('alter', 'lab.note', 'ALTER COLUMN id TYPE INT')).code).not.toBe(0)
  })

  it('makes, moves and drops branches and tags, and rolls back', async () => {
    const [latest, older] = (await json('history', 'lab.note')) as unknown as { snapshotId: string }[]
    expect((await table('tag', 'lab.note', 'audit', '--at', older?.snapshotId ?? '', '--max-age', '30d')).code).toBe(0)
    expect(await json('tag', 'lab.note')).toMatchObject([
      { name: 'audit', snapshotId: older?.snapshotId, maxAgeMs: 2_592_000_000 },
    ])
    expect((await table('tag', 'lab.note', 'audit')).stderr).toContain('audit')
    expect(await json('branch', 'lab.note', 'dev', '--keep', '3')).toMatchObject({
      refs: [{ name: 'dev', before: null, after: latest?.snapshotId }],
    })
    const dry = await json('rollback', 'lab.note', older?.snapshotId ?? '', '--dry-run')
    expect(await json('branch', 'lab.note')).not.toMatchObject([{ snapshotId: older?.snapshotId }])
    const back = await json('rollback', 'lab.note', older?.snapshotId ?? '')
    expect(back).toEqual({ ...dry, dryRun: false })
    expect(back).toMatchObject({ refs: [{ name: 'main', before: latest?.snapshotId, after: older?.snapshotId }] })
    expect(await json('branch', 'lab.note', 'main', '--fast-forward', 'dev')).toMatchObject({
      refs: [{ after: latest?.snapshotId }],
    })
    expect((await table('branch', 'lab.note', 'dev', '--drop')).stdout).toContain('dropped')
    expect((await table('rollback', 'lab.note', 'nowhere')).stderr).toContain('lab.note has no branch or tag nowhere')
  })

  it('cherry-picks what another snapshot did', async () => {
    await table('branch', 'lab.note', 'side')
    expect((await sql("INSERT INTO lab.note.branch_side (id, part, text) VALUES (100, 0, 'side')")).code).toBe(0)
    expect((await sql("INSERT INTO lab.note (id, part, text) VALUES (101, 1, 'main')")).code).toBe(0)
    const side = ((await json('branch', 'lab.note')) as unknown as { name: string; snapshotId: string }[]).find(
      (one) => one.name === 'side',
    )
    expect(await json('cherry-pick', 'lab.note', side?.snapshotId ?? '')).toMatchObject({
      branch: 'main',
      kind: 're-applied',
    })
    expect(await rows('SELECT id FROM lab.note WHERE id >= 100 ORDER BY id')).toEqual([[100], [101]])
  })

  it('says what differs between two states', async () => {
    const history = (await json('history', 'lab.note')) as unknown as { snapshotId: string; operation: string }[]
    const replaced = history.findIndex((one) => one.operation === 'replace')
    const [from = '', to = ''] = [history[replaced + 1]?.snapshotId, history[replaced]?.snapshotId]
    // A compaction changes files and no rows.
    expect(await json('diff', 'lab.note', from, to)).toMatchObject({
      from,
      to,
      data: { added: { files: 2 }, removed: { files: 6 }, kept: 0 },
      rows: { added: 0, removed: 0 },
    })
    const since = await table('diff', 'lab.note', to, 'main')
    expect(since.stdout).toMatch(
      /\+ column 4 more int\n.*data files: \+2 \(2 rows, .*\) −0 .*, 2 kept\nrows: \+2 −0\n/s,
    )
    expect(await json('diff', 'lab.note', to, 'main', '--no-rows')).toMatchObject({ rows: null })
    expect((await table('diff', 'lab.note', '12345', 'main')).stderr).toContain('lab.note has nothing at 12345')
  })

  it('lays open every kind of file', async () => {
    const shown = await json('show', 'lab.note')
    const metadata = fileURLToPath(String(shown.metadataLocation))
    const opened = await json('inspect', metadata)
    expect(opened).toMatchObject({ kind: 'table metadata', facts: { 'format-version': 2 } })
    const tables = opened.tables as unknown as readonly { name: string; rows: readonly Record<string, string>[] }[]
    const list = tables.find((one) => one.name === 'snapshots')?.rows.at(-1)?.['manifest-list'] ?? ''
    const manifests = await json('inspect', list)
    expect(manifests).toMatchObject({ kind: 'manifest list', tables: [{ name: 'manifests' }] })
    const manifest =
      (manifests.tables as unknown as readonly { rows: readonly Record<string, string>[] }[])[0]?.rows[0]
        ?.manifest_path ?? ''
    const entries = await json('inspect', manifest)
    expect(entries).toMatchObject({
      kind: 'manifest',
      facts: { content: 'data' },
      tables: [{ rows: [{ status: 'added' }] }],
    })
    const file =
      (entries.tables as unknown as readonly { rows: readonly Record<string, string>[] }[])[0]?.rows[0]?.file_path ?? ''
    expect(await json('inspect', file)).toMatchObject({
      kind: 'parquet',
      facts: { 'row groups': 1 },
      tables: [{ rows: [{ id: 1, field: 'id', type: 'int64' }, {}, {}, {}] }, {}, {}],
    })
    expect((await table('inspect', file)).stdout).toMatch(/^.*\nparquet, \d+ bytes\n\nwhat +value\n/)
    const odd = join(lake.folder, 'odd.txt')
    writeFileSync(odd, 'hello')
    expect((await table('inspect', odd)).stderr).toContain('neither Parquet, Avro, Puffin nor metadata')
    expect((await table('inspect', join(lake.folder, 'nowhere'))).code).toBe(2)
    expect((await table('inspect', lake.folder)).stderr).toContain('is a folder')
  })

  it('says what is wrong with the words of a command, also as JSON', async () => {
    expect(await table('compact', 'lab.note', '--dry-rum')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error\[usage\/argument\]\n {2}Unknown option '--dry-rum'.*\n.*\n.*--dry-run\?/),
    })
    const { code, stdout } = await table('compact', '--json')
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({ error: { kind: 'usage/argument', notDone: 'Nothing was run.' } })
  })

  it('expires snapshots and removes orphans', async () => {
    const dry = await json('expire', 'lab.note', '--older-than', '0s', '--dry-run')
    expect((dry.expired as unknown as string[]).length).toBeGreaterThan(2)
    const done = await json('expire', 'lab.note', '--older-than', '0s')
    expect(done).toMatchObject({ committed: true, expired: dry.expired, files: dry.files })
    expect(await rows('SELECT count(*) FROM lab.note')).toEqual([[32]])
    const { location } = await json('show', 'lab.note')
    const lost = join(fileURLToPath(String(location)), 'data', 'lost.parquet')
    writeFileSync(lost, 'x')
    utimesSync(lost, 1, 1)
    expect(await json('orphans', 'lab.note', '--dry-run')).toMatchObject({ orphans: [{ bytes: 1 }], deleted: 0 })
    expect((await table('orphans', 'lab.note')).stdout).toMatch(/^lab\.note: 1 orphan of \d+ listed, 1 B, deleted; /)
    expect((await table('orphans', 'lab.note', '--older-than', '10m')).stderr).toContain('Use 1 h or more')
  })

  it('rewrites manifests, and says how a table is', async () => {
    expect(await json('rewrite-manifests', 'lab.note')).toMatchObject({ manifestsAfter: 1 })
    const health = await json('health', 'lab.note')
    expect(health).toMatchObject({ table: 'lab.note', manifests: { count: 1 }, files: { rows: 32 } })
    expect((await table('health', 'lab.note')).stdout).toContain('data files')
  })

  it('counts distinct values, and tells them with the health', async () => {
    const counted = await json('stats', 'lab.note', '--columns', 'part,text')
    expect(counted.distinct).toEqual([
      { column: 'part', count: 2 },
      { column: 'text', count: expect.any(Number) },
    ])
    expect(String(counted.file)).toMatch(/\/metadata\/.*\.stats$/)
    expect((await json('health', 'lab.note')).statistics).toEqual({
      snapshotId: counted.snapshotId,
      isCurrent: true,
      distinct: counted.distinct,
    })
    expect((await table('health', 'lab.note')).stdout).toMatch(/distinct values +part 2, text /)
    expect((await table('stats', 'lab.note')).stdout).toMatch(/\nid +\d+\npart +2\n/)
    const inspected = await table('inspect', String(counted.file).replace('file://', ''))
    expect(inspected.stdout).toContain('ndv')
    const partitions = await json('partition-stats', 'lab.note')
    expect([partitions.partitions, partitions.snapshotId]).toEqual([2, counted.snapshotId])
    expect((await table('stats', 'lab.note', '--columns', 'nobody')).stderr).toContain('no column nobody')
  })

  it.each([
    [['compact', 'lab.note', '--target-size', 'big'], 'is no size'],
    [['compact', 'lab.note', '--sort', 'nope'], 'nope'],
    [['compact', 'lab.note', '--delete-ratio', '2'], 'Write a share'],
    [['compact', 'lab.nope'], 'There is no table lab.nope'],
    [['expire', 'lab.note', '--keep', '0'], 'Write a whole number, 1 or more'],
    [['expire', 'lab.note', '--older-than', 'soon'], 'is no age'],
    [['cherry-pick', 'lab.note', 'x'], 'is no snapshot id'],
  ])('refuses %j', async (args, message) => {
    const ended = await table(...args)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain(message)
  })
})
