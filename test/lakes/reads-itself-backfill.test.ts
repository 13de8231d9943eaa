import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseMicros } from '../../packages/limn/src/dataset/index.ts'
import { approve, backfill, resume } from '../../packages/limn/src/lake/index.ts'
import { type BackfillReport, BackfillState } from '../../packages/limn/src/pipeline/index.ts'
import { bury, rowsOf, withLake } from '../support/backfill-world.ts'
import { balanceDays, balanceLake, dayOf, moves, sums } from '../support/balance-lake.ts'
import { draws } from '../support/hostile.ts'
import { limn, SavedLake, type temporaryFolder } from '../support/lake.ts'
import { writeLake } from '../support/small-lake.ts'

/** A running balance of twelve days, a late row on the third, and a backfill of eleven days, four at once where that is possible. */

const seed = Number(process.env.LIMN_SEED ?? 12)
const draw = draws(seed)

async function balances(folder: string): Promise<readonly number[]> {
  return (await rowsOf(folder, 'SELECT balance FROM gold.balance ORDER BY day')).map((row) => Number(row[0]))
}

const late = [3, 1000] as const
const range = { start: parseMicros(dayOf(2)), end: parseMicros(dayOf(balanceDays + 1)) }

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
  world = balanceLake('reads-itself-backfill')
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
      lake.run({ range: { start: parseMicros(dayOf(1)), end: parseMicros(dayOf(2)) } }),
    )
    // The next process builds the fifth day again and dies: those after it stand on rows that are no more.
    await dieAt(world.folder, 0, 'after', false)
    const report = await goOn(world.folder, false)
    expect(report.outcome.kind).toBe('waiting')
    expect(report.datasets[0]?.built).toBe(balanceDays - 5)
    expect(await balances(world.folder)).toEqual(sums([]))
    const id = (await open(world.folder))?.id ?? ''
    expect((await withLake(world.folder, undefined, (lake) => approve(lake, id))).outcome.kind).toBe('published')
    expect(await balances(world.folder)).toEqual(sums([late, [5, 500]]))
    const run = await withLake(world.folder, undefined, (lake) => lake.run())
    expect(run.datasets.filter((one) => one.ranges.length > 0)).toEqual([])
  })

  it('leaves what follows its range stale, and a run brings it to the same', async () => {
    saved.restore()
    const part = { start: parseMicros(dayOf(2)), end: parseMicros(dayOf(7)) }
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
