import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import {
  createEnvironment,
  dropFromLake,
  type Lake,
  ledgerOf,
  listDropped,
  promoteEnvironment,
  purgeExpiredDrops,
  runSql,
  undoDropInLake,
} from '../../packages/limn/src/lake/index.ts'
import { days, goldenLake, open, planIn, rowsIn, runIn } from '../support/golden-lake.ts'
import { limn, SavedLake } from '../support/lake.ts'
import { deliver, silverEvent, writeLake } from '../support/small-lake.ts'

const lake = goldenLake('rename')
const { folder } = lake
let saved: SavedLake
const gold = join(folder, 'datasets/gold')
let copies = 0

/** Files of datasets are loaded once a process: a changed one gets another name. */
function rewrite(name: string, text: string): void {
  writeLake(folder, { [`datasets/${name}-${++copies}.ts`]: text })
}

/** `silver.event` under another name, and what reads it with it. */
function renameSilver(name: string, extra = ''): void {
  rmSync(join(folder, 'datasets/silver'), { recursive: true })
  rewrite('silver/event', silverEvent.replace("model('silver.event', {", `model('${name}', { ${extra}`))
  rmSync(join(gold, 'day.ts'), { force: true })
  for (const file of readdirSync(gold)) if (file.endsWith('.ts')) rmSync(join(gold, file))
  const sql = `SELECT date_trunc('day', happened_at)::TIMESTAMP AS day, (sum(amount))::BIGINT AS amount FROM ${name}
WHERE happened_at >= $interval_start AND happened_at < $interval_end GROUP BY ALL\n`
  writeFileSync(join(gold, 'day.sql'), sql)
  rewrite('gold/day', goldText.replaceAll('silver.event', name))
}

const goldText = `import { byInterval, model, same, sqlFile } from 'limn'
export const day = model('gold.day', {
  doc: 'One row per day.', owner: 'test', grain: ['day'], keys: ['day'],
  columns: { day: { type: 'timestamp', doc: 'The day.' }, amount: { type: 'long', doc: 'Sum of amounts.' } },
  build: byInterval('day', 'day', () => sqlFile('day.sql')),
  edges: { 'silver.event': { reads: same } },
  checks: (check) => [check.between('amount', 0, 1000)],
})
`

function takeGoldAway(): void {
  renameSync(gold, join(folder, `gold-${++copies}`))
}

async function inLake<T>(body: (lake: Lake) => Promise<T>, options = {}): Promise<T> {
  await using one = await open(folder, options)
  return await body(one)
}

beforeAll(async () => {
  await runIn(folder)
  saved = new SavedLake(folder)
})

afterAll(() => {
  saved[Symbol.dispose]()
  lake[Symbol.dispose]()
})

describe('a dataset that is renamed', () => {
  it('takes its table, history and standing over, and nothing that reads it is built again', async () => {
    saved.restore()
    const before = await inLake(async (one) => one.catalog.loadTables([tableId('silver.event')]))
    const snapshot = before.get(tableId('silver.event'))?.metadata.currentSnapshotId
    renameSilver('silver.happening', "renamedFrom: 'silver.event',")
    await inLake(async (one) => {
      const report = await one.plan()
      expect(report.plan.items).toEqual([])
      expect(report.renames).toEqual([{ from: 'silver.event', to: 'silver.happening' }])
      expect(report.orphans).toEqual([])
    })
    expect((await runIn(folder)).outcome).toBe('idle')
    await inLake(async (one) => {
      const ids = await one.catalog.listTables()
      expect(ids).toContain('silver.happening')
      expect(ids).not.toContain('silver.event')
      const loaded = (await one.catalog.loadTables([tableId('silver.happening')])).get(tableId('silver.happening'))
      expect(loaded?.metadata.currentSnapshotId).toBe(snapshot)
      expect((await ledgerOf(one)).at(-1)).toMatchObject({ outcome: 'renamed', dataset: 'silver.happening' })
      const report = await one.plan()
      expect([report.plan.items, report.renames, report.orphans]).toEqual([[], [], []])
    })
    deliver(folder, 'b', [['3', '2026-01-02 09:00:00', '5']])
    const next = await runIn(folder)
    expect(next.datasets.flatMap((one) => one.ranges.map(() => one.dataset)).sort()).toEqual([
      'bronze.event',
      'gold.day',
      'silver.happening',
    ])
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 25'])
  })

  it('goes on through several names, and leaves a name alone that another dataset has', async () => {
    saved.restore()
    renameSilver('silver.happening', "renamedFrom: 'silver.event',")
    await runIn(folder)
    renameSilver('silver.occurrence', "renamedFrom: ['silver.happening', 'silver.event'],")
    expect((await runIn(folder)).outcome).toBe('idle')
    expect(await planIn(folder)).toEqual([])
    expect(await rowsIn(folder, 'SELECT count(*) FROM silver.occurrence')).toEqual(['2'])
    const text = readFileSync(join(gold, 'day.sql'), 'utf8')
    writeFileSync(join(gold, 'day.sql'), text.replace('sum(amount)', 'sum(amount) * 2'))
    const { stdout } = await limn(folder, 'plan')
    expect(stdout.split('\n').filter((line) => /^ +[-+~?] /.test(line))).toEqual([
      '     ~ column amount: CAST(sum(amount) AS BIGINT) → CAST((sum(amount) * 2) AS BIGINT)',
    ])
    writeFileSync(join(gold, 'day.sql'), text)
    renameSilver('silver.occurrence', "renamedFrom: 'gold.day',")
    await expect(planIn(folder)).rejects.toMatchObject({ kind: 'dataset/invalid' })
  })
})

describe('a dataset that is renamed in an environment', () => {
  it('is renamed in production when the environment is promoted, and built in neither', async () => {
    saved.restore()
    await inLake((one) => createEnvironment(one, 'dev'))
    renameSilver('silver.happening', "renamedFrom: 'silver.event',")
    deliver(folder, 'b', [['3', '2026-01-02 09:00:00', '5']])
    await runIn(folder, { environment: 'dev' })
    expect(await rowsIn(folder, 'SELECT count(*) FROM silver.event')).toEqual(['2'])
    const report = await inLake((one) => promoteEnvironment(one, 'dev'))
    expect(report.tables.map((one) => one.table)).toEqual(['bronze.event', 'gold.day', 'silver.happening'])
    expect(await planIn(folder)).toEqual([])
    expect(await planIn(folder, { environment: 'dev' })).toEqual([])
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 25'])
    expect(await rowsIn(folder, 'SELECT count(*) FROM silver.happening')).toEqual(['3'])
  })
})

describe('a dataset that is taken away', () => {
  it('is shown as an orphan, dropped, had back with its standing, and built again only when it has to be', async () => {
    saved.restore()
    await inLake((one) => expect(dropFromLake(one, 'gold.day')).rejects.toMatchObject({ kind: 'usage/owned-table' }))
    cpSync(gold, join(folder, 'kept'), { recursive: true })
    takeGoldAway()
    await inLake(async (one) => expect((await one.plan()).orphans).toEqual(['gold.day']))
    await inLake(async (one) => {
      await dropFromLake(one, 'gold.day', { dryRun: true })
      expect((await one.plan()).orphans).toEqual(['gold.day'])
      const { dropped } = await dropFromLake(one, 'gold.day')
      expect(dropped.map((each) => each.from)).toEqual(['gold.day'])
      expect((await one.plan()).orphans).toEqual([])
      expect(await one.catalog.listTables()).not.toContain('gold.day')
      expect((await listDropped(one)).map((each) => each.from)).toEqual(['gold.day'])
      await expect(runSql(one, `DELETE FROM ${dropped[0]?.table}`)).rejects.toMatchObject({ kind: 'usage/owned-table' })
      await expect(dropFromLake(one, 'gold.day')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
      await undoDropInLake(one, 'gold.day')
      await expect(undoDropInLake(one, 'gold.day')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    })
    renameSync(join(folder, 'kept'), gold)
    expect(await planIn(folder)).toEqual([])
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 20'])
  })

  it('is refused while a dataset, a view or an environment reads it, unless it is forced', async () => {
    saved.restore()
    await inLake((one) => runSql(one, 'CREATE VIEW lab.twice AS SELECT amount * 2 AS x FROM gold.day'))
    rmSync(join(folder, 'datasets/silver'), { recursive: true })
    await inLake((one) =>
      expect(dropFromLake(one, 'silver.event')).rejects.toMatchObject({
        kind: 'usage/in-use',
        context: { consumers: ['gold.day (datasets/gold/day.ts)'] },
      }),
    )
    takeGoldAway()
    await inLake(async (one) => {
      await expect(dropFromLake(one, 'gold.day')).rejects.toMatchObject({
        kind: 'usage/in-use',
        context: { consumers: ['the view lab.twice'] },
      })
      await createEnvironment(one, 'dev')
      await expect(dropFromLake(one, 'silver.event')).rejects.toMatchObject({
        context: { consumers: ['the environment dev'] },
      })
      await expect(dropFromLake(one, 'silver.event', { force: true, purge: true })).rejects.toMatchObject({
        kind: 'table/unsafe-change',
      })
    })
    expect(await rowsIn(folder, 'SELECT count(*) FROM silver.event', { environment: 'dev' })).toEqual(['2'])
  })

  it('loses its files when that is asked for, or when it was dropped long ago and the lake is maintained', async () => {
    saved.restore()
    takeGoldAway()
    const files = () =>
      readdirSync(join(folder, 'warehouse/gold/day/data')).filter((name) => name.endsWith('.parquet')).length
    await inLake((one) => dropFromLake(one, 'gold.day'))
    expect(files()).toBe(2)
    await inLake(async (one) => expect((await purgeExpiredDrops(one)).tables).toEqual([]))
    const late = { nowMs: () => Date.now() + 8 * 86_400_000 }
    await inLake(async (one) => expect((await purgeExpiredDrops(one)).tables.length).toBe(1), { clock: late })
    expect(files()).toBe(0)
    saved.restore()
    rmSync(gold, { recursive: true })
    await inLake(async (one) => expect((await dropFromLake(one, 'gold.day', { purge: true })).files).toBeGreaterThan(2))
    expect(files()).toBe(0)
    expect(existsSync(join(folder, 'warehouse/silver/event/data'))).toBe(true)
    mkdirSync(gold, { recursive: true })
    await inLake(async (one) => expect(await listDropped(one)).toEqual([]))
  })
})
