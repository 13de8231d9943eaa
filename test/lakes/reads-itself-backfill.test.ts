import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseMicros } from '../../packages/limn/src/dataset/index.ts'
import { approve, backfill, resume } from '../../packages/limn/src/lake/index.ts'
import { type BackfillReport, BackfillState } from '../../packages/limn/src/pipeline/index.ts'
import { bury, rowsOf, withLake } from '../support/backfill-world.ts'
import { draws } from '../support/hostile.ts'
import { limn, SavedLake, temporaryFolder } from '../support/lake.ts'
import { writeLake } from '../support/small-lake.ts'

/** A running balance of twelve days, a late row on the third, and a backfill of eleven days, four at once where that is possible. */

const dayCount = 12
const seed = Number(process.env.LIMN_SEED ?? 12)
const draw = draws(seed)
const day = (n: number) => `2026-01-${String(n).padStart(2, '0')}`
const moves = (name: string, rows: readonly (readonly [number, number])[]) => ({
  [`inbox/${name}.csv`]: `id,t,amount\n${rows.map(([at, amount], i) => `${i},${day(at)} 10:00:00,${amount}`).join('\n')}\n`,
})

const files = {
  'limn.config.ts':
    "import { defineLake } from 'limn'\nexport default defineLake({ name: 'balances', engine: { threads: 1 } })\n",
  'datasets/bronze/move.ts': `import { files, ingest } from 'limn'
export const move = ingest('bronze.move', {
  doc: 'One row per movement.', owner: 'test', from: files('inbox/*.csv', { format: 'csv' }),
  columns: { id: { type: 'long', doc: 'Number.' }, t: { type: 'timestamp', doc: 'When.' }, amount: { type: 'long', doc: 'How much.' } },
})
`,
  'datasets/gold/balance.ts': `import { byInterval, earlier, model, ref, sql } from 'limn'
import { move } from '../bronze/move.ts'
export const balance = model('gold.balance', {
  doc: 'What stands at the end of each day.', owner: 'test', grain: ['day'], keys: ['day'],
  columns: { day: { type: 'timestamp', doc: 'The day.' }, balance: { type: 'long', doc: 'What stands.' } },
  build: byInterval('day', 'day', ({ interval }) => sql\`
    SELECT \${interval.start}::TIMESTAMP AS day,
      (coalesce((SELECT max_by(balance, day) FROM \${ref('gold.balance')}), 0)
       + coalesce((SELECT sum(amount) FROM \${move} WHERE t >= \${interval.start} AND t < \${interval.end}), 0))::BIGINT AS balance\`),
  edges: { 'bronze.move': { touches: 't' }, 'gold.balance': { reads: earlier({ back: '1 day' }) } },
})
`,
  ...moves(
    'a',
    Array.from({ length: dayCount }, (_, n) => [n + 1, n + 1]),
  ),
}

/** The balances after all movements, by adding up. */
function sums(more: readonly (readonly [number, number])[]): readonly number[] {
  let sum = 0
  return Array.from({ length: dayCount }, (_, n) => {
    sum += n + 1
    for (const [at, amount] of more) if (at === n + 1) sum += amount
    return sum
  })
}

async function balances(folder: string): Promise<readonly number[]> {
  return (await rowsOf(folder, 'SELECT balance FROM gold.balance ORDER BY day')).map((row) => Number(row[0]))
}

const late = [3, 1000] as const
const range = { start: parseMicros(day(2)), end: parseMicros(day(dayCount + 1)) }

type Reach = (name: string, edge: 'before' | 'after', detail: string) => void | Promise<void>

async function open(folder: string) {
  return withLake(folder, undefined, async (lake) =>
    new BackfillState((await lake.context()).state).all().find((one) => one.ended === null),
  )
}

/** Begins or goes on with the backfill. */
async function goOn(folder: string, approved: boolean, reach?: Reach): Promise<BackfillReport> {
  const found = await open(folder)
  return withLake(folder, reach, (lake) =>
    found ? resume(lake, found.id) : backfill(lake, { select: ['gold.balance'], range, parallel: 4, approved }),
  )
}

/** A process that goes on with the backfill and never comes back from the nth commit of a step. */
async function dieAt(folder: string, nth: number, edge: 'before' | 'after', approved: boolean): Promise<void> {
  let left = nth
  await new Promise<void>((resolve, reject) => {
    goOn(folder, approved, async (name, at, detail) => {
      if (name !== 'catalog.commit' || at !== edge || detail !== 'gold.balance' || left-- > 0) return
      resolve()
      await new Promise(() => undefined)
    }).then(() => reject(new Error('It ended before it died.')), reject)
  })
  bury(folder)
}

const landOnly = (folder: string) => withLake(folder, undefined, (lake) => lake.run({ select: ['bronze.move'] }))

let world: ReturnType<typeof temporaryFolder>
let saved: SavedLake

beforeAll(async () => {
  world = temporaryFolder('reads-itself-backfill')
  writeLake(world.folder, files)
  const ran = await limn(world.folder, 'run')
  if (ran.code !== 0) throw new Error(ran.stderr)
  writeLake(world.folder, moves('late', [late]))
  await landOnly(world.folder)
  saved = new SavedLake(world.folder)
})
afterAll(() => {
  saved[Symbol.dispose]()
  world[Symbol.dispose]()
})

describe(`a backfill of a dataset that reads itself (seed ${seed})`, () => {
  it('builds one interval after the other, in order, whatever --parallel says', async () => {
    saved.restore()
    let atOnce = 0
    let most = 0
    const report = await goOn(world.folder, true, (name, edge, detail) => {
      if (name !== 'catalog.commit' || detail !== 'gold.balance') return
      atOnce += edge === 'before' ? 1 : -1
      most = Math.max(most, atOnce)
    })
    expect([report.outcome.kind, most]).toEqual(['published', 1])
    expect(report.datasets.map(({ steps, built }) => [steps, built])).toEqual([[11, 11]])
    expect(await balances(world.folder)).toEqual(sums([late]))
    const run = await withLake(world.folder, undefined, (lake) => lake.run())
    expect(run.datasets.filter((one) => one.ranges.length > 0)).toEqual([])
  })

  it('that dies is finished by another process from the steps that stand, and equals a full rebuild in order', async () => {
    for (const edge of ['before', 'after'] as const) {
      saved.restore()
      const died = 2 + draw(8)
      await dieAt(world.folder, died, edge, true)
      expect(await balances(world.folder)).toEqual(sums([]))
      const report = await goOn(world.folder, true)
      expect([edge, died, report.outcome.kind]).toEqual([edge, died, 'published'])
      // The root of the branch is the first commit; the others are steps, and one that was committed is not built again.
      expect([edge, died, report.datasets[0]?.built]).toEqual([edge, died, 11 - died + (edge === 'before' ? 1 : 0)])
      expect(await balances(world.folder)).toEqual(sums([late]))
    }
  })

  it('builds steps again that stand on rows which changed meanwhile, and waits for its approval', async () => {
    saved.restore()
    await dieAt(world.folder, 8, 'after', false)
    // A later row of the fifth day, which a step has been built for; and a daily run of the last day by itself.
    writeLake(world.folder, moves('later', [[5, 500]]))
    await landOnly(world.folder)
    await withLake(world.folder, undefined, (lake) =>
      lake.run({ range: { start: parseMicros(day(1)), end: parseMicros(day(2)) } }),
    )
    // The next process builds the fifth day again and dies: those after it stand on rows that are no more.
    await dieAt(world.folder, 0, 'after', false)
    const report = await goOn(world.folder, false)
    expect(report.outcome.kind).toBe('waiting')
    expect(report.datasets[0]?.built).toBe(dayCount - 5)
    expect(await balances(world.folder)).toEqual(sums([]))
    const id = (await open(world.folder))?.id ?? ''
    expect((await withLake(world.folder, undefined, (lake) => approve(lake, id))).outcome.kind).toBe('published')
    expect(await balances(world.folder)).toEqual(sums([late, [5, 500]]))
    const run = await withLake(world.folder, undefined, (lake) => lake.run())
    expect(run.datasets.filter((one) => one.ranges.length > 0)).toEqual([])
  })

  it('leaves what follows its range stale, and a run brings it to the same', async () => {
    saved.restore()
    const part = { start: parseMicros(day(2)), end: parseMicros(day(7)) }
    const report = await withLake(world.folder, undefined, (lake) =>
      backfill(lake, { select: ['gold.balance'], range: part, parallel: 4, approved: true }),
    )
    expect(report.outcome.kind).toBe('published')
    expect(await balances(world.folder)).toEqual([...sums([late]).slice(0, 6), ...sums([]).slice(6)])
    await withLake(world.folder, undefined, async (lake) => {
      const { items } = (await lake.plan()).plan
      expect(items.map(({ reason, because }) => [reason, because])).toEqual([
        ['reads-itself', '2026-01-03 changed'],
        ['reads-itself', '2026-01-07 is built again'],
      ])
      await lake.run()
    })
    expect(await balances(world.folder)).toEqual(sums([late]))
  })
})
