import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bareDuck, bytesIn } from '../support/hive-folder.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { smallLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder>
const table = (...args: readonly string[]) => limn(lake.folder, 'table', ...args)
const json = async (...args: readonly string[]) => JSON.parse((await table(...args, '--json')).stdout) as unknown
const rows = async (sql: string) =>
  (JSON.parse((await limn(lake.folder, 'sql', '--json', sql)).stdout) as { rows: unknown }).rows

beforeAll(async () => {
  lake = smallLake('adopt')
  using duck = await bareDuck()
  for (const n of [1, 2])
    await duck.file(
      join(lake.folder, 'delivered'),
      `p=${n}/a.parquet`,
      `SELECT range + ${n * 10} AS id, 'v' || range AS v FROM range(3)`,
    )
  await duck.file(join(lake.folder, 'warehouse/landed'), 'a.parquet', 'SELECT 1 AS x')
})
afterAll(() => lake[Symbol.dispose]())

describe('limn table', () => {
  it('lists the verbs that adopt, each with examples', async () => {
    const help = (await table('--help')).stdout
    for (const verb of ['register', 'add-files', 'snapshot', 'migrate', 'diverge']) {
      expect(help).toContain(`  ${verb} `)
      expect((await table(verb, '--help')).stdout).toMatch(new RegExp(`Examples?:\\n  limn table ${verb} `))
    }
  })

  it('makes a table over a folder, after having said so, and leaves the folder as it is', async () => {
    const before = bytesIn(join(lake.folder, 'delivered'))
    const would = await table('snapshot', 'lab.note', 'delivered', '--type', 'p=int', '--dry-run')
    expect(would.stdout).toMatch(
      /would be over .*delivered: 2 files of 6 rows, .*\n {2}id long, v string, p int, partitioned by p\n\(dry run/,
    )
    expect((await table('ls')).stdout).not.toContain('lab.note')
    expect(await json('snapshot', 'lab.note', 'delivered', '--type', 'p=int')).toMatchObject({
      files: 2,
      rows: 6,
      columns: [{ name: 'id', type: 'long' }, { name: 'v' }, { name: 'p', type: 'int' }],
      partitionedBy: ['p'],
      dryRun: false,
    })
    expect(await rows('SELECT p, count(*) FROM lab.note GROUP BY p ORDER BY p')).toEqual([
      [1, 3],
      [2, 3],
    ])
    expect(bytesIn(join(lake.folder, 'delivered'))).toEqual(before)
    const again = await table('snapshot', 'lab.note', 'delivered')
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('There is a table lab.note already.')])
  })

  it('compares, and ends with 3 when rows or columns differ', async () => {
    expect(await table('diverge', 'delivered', 'lab.note')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('the same: 3 columns, every row as often'),
    })
    await limn(lake.folder, 'sql', "UPDATE lab.note SET v = 'other' WHERE id = 11")
    await limn(lake.folder, 'sql', "INSERT INTO lab.note VALUES (99, 'new', 7)")
    const found = await table('diverge', 'delivered', 'lab.note', '--keys', 'id')
    expect(found.code).toBe(3)
    expect(found.stdout).toMatch(
      /2 of 3 partitions differ[\s\S]*1 row right only[\s\S]*99[\s\S]*1 row changed[\s\S]*11 +v +v1 +other/,
    )
    expect(await json('diverge', 'delivered', 'lab.note', '--by', '', '--limit', '1')).toMatchObject({
      same: false,
      rows: { left: 6, right: 7 },
      by: [],
      onlyRight: { rows: 2, shown: [expect.anything()] },
    })
    const wrong = await table('diverge', 'delivered', 'nowhere')
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('neither a table nor a folder')])
  })

  it('adds files to a table, of chosen folders, and refuses those it has', async () => {
    await table('create', 'lab.more', '(id BIGINT, v STRING, p INT) PARTITIONED BY (p)')
    expect(await json('add-files', 'lab.more', 'delivered', '--partition', 'p=2', '--dry-run')).toMatchObject({
      files: 1,
      snapshotId: null,
      dryRun: true,
    })
    const added = await table('add-files', 'lab.more', 'delivered', '--partition', 'p=2')
    expect(added.stdout).toMatch(/^lab\.more: added 1 file of 3 rows, .* in 1 partition\n.*read by name/)
    const twice = await table('add-files', 'lab.more', 'delivered')
    expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('has 1 of these 2 files already')])
    expect((await table('add-files', 'lab.more', 'delivered', '--skip-present')).stdout).toContain('1 file passed over')
    expect((await table('diverge', 'delivered', 'lab.more')).code).toBe(0)
    const owned = await table('add-files', 'bronze.event', 'delivered')
    expect([owned.code, owned.stderr]).toEqual([2, expect.stringContaining('belongs to')])
  })

  it('migrates a folder of the warehouse, copies a table without its rows, and registers one that a catalog lost', async () => {
    expect((await table('migrate', 'lab.landed', 'warehouse/landed')).stdout).toMatch(
      /lab\.landed: is in .*landed, which is its own now/,
    )
    expect((await table('snapshot', 'lab.copy', 'lab.landed')).stdout).toMatch(
      /is a table of its own over the files of lab\.landed/,
    )
    expect(await rows('SELECT x FROM lab.copy')).toEqual([[1]])
    const metadata = join(lake.folder, 'warehouse/landed/metadata')
    const [file = ''] = readdirSync(metadata).filter((name) => name.endsWith('.metadata.json'))
    const taken = await table('register', 'lab.again', join(metadata, file))
    expect([taken.code, taken.stderr]).toEqual([2, expect.stringContaining('is the table lab.landed of this catalog')])
    using other = smallLake('adopt-other')
    const registered = await limn(other.folder, 'table', 'register', 'lab.again', join(lake.folder, 'warehouse/landed'))
    expect([registered.code, registered.stdout]).toEqual([
      0,
      expect.stringMatching(/1 data file of 1 row\n.*outside the warehouse/),
    ])
    const read = await limn(other.folder, 'sql', '--json', 'SELECT x FROM lab.again')
    expect(JSON.parse(read.stdout)).toMatchObject({ rows: [[1]] })
    const write = await limn(other.folder, 'sql', 'INSERT INTO lab.again VALUES (2)')
    expect([write.code, write.stderr]).toEqual([1, expect.stringContaining('outside the warehouse')])
  })
})
