import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../packages/limn/dist/observe/index.js'
import { oneValue } from '../support/hooked.ts'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { eventsOf, lakeTelling, told } from '../support/run-events.ts'
import { writeLake } from '../support/small-lake.ts'

const silver = 'datasets/silver/event.ts'
const redefine = (folder: string, change: string) => {
  const text = readFileSync(join(folder, silver), 'utf8')
  writeFileSync(join(folder, silver), text.replace(/, amount( \* \d AS amount)? FROM/, `, ${change} FROM`))
}

/** A lake that is published, its definition of silver changed since; and how many events there are. */
async function changedLake(change = 'amount * 2 AS amount') {
  const lake = lakeTelling('events.ndjson')
  expect((await limn(lake.folder, 'run')).code).toBe(0)
  redefine(lake.folder, change)
  return { ...lake, before: eventsOf(lake.folder).length, [Symbol.dispose]: () => lake[Symbol.dispose]() }
}

const backfill = (folder: string, ...args: readonly string[]) => limn(folder, 'backfill', ...args, '--json')
const month = ['--date', '2026-01'] as const
const of = (events: readonly RunEvent[], job: string, type?: string) =>
  events.filter((one) => one.job.name === job && (type === undefined || one.eventType === type))
const messages = (events: readonly RunEvent[]) =>
  events.map((one) => `${one.job.name} ${one.eventType}: ${one.run.facets.errorMessage?.message ?? ''}`)

describe('a backfill with lineage', () => {
  it('tells START, RUNNING per step with its interval, and COMPLETE with what was published from what', async () => {
    using lake = await changedLake()
    const { folder, before } = lake
    const report = JSON.parse((await backfill(folder, 'silver.event+', ...month, '--approve')).stdout)
    const events = eventsOf(folder, before)
    const [first] = events
    expect(events.map((one) => `${one.job.name} ${one.eventType}`)).toEqual([
      'small.backfill START',
      'silver.event START',
      ...Array(3).fill('silver.event RUNNING'),
      'gold.day START',
      ...Array(3).fill('gold.day RUNNING'),
      'silver.event COMPLETE',
      'gold.day COMPLETE',
      'small.backfill COMPLETE',
    ])
    for (const one of of(events, 'small.backfill')) {
      expect(one.run.runId).toBe(first?.run.runId)
      expect(one.run.facets.limn_backfill).toMatchObject({ backfill: report.backfill })
      expect(one.run.facets.nominalTime).toMatchObject({
        nominalStartTime: '2026-01-01T00:00:00.000Z',
        nominalEndTime: '2026-02-01T00:00:00.000Z',
      })
    }
    for (const job of ['silver.event', 'gold.day']) {
      const own = of(events, job)
      expect(new Set(own.map((one) => one.run.runId)).size).toBe(1)
      for (const one of own) expect(one.run.facets.parent?.run).toEqual({ runId: first?.run.runId })
    }
    const steps = of(events, 'gold.day', 'RUNNING')
    expect(steps.map((one) => one.run.facets.limn_step)).toMatchObject(
      [1, 2, 3].map((done) => ({ outcome: 'built', rows: 1, done, of: 3 })),
    )
    // Steps end in any order: they are built side by side.
    const times = steps.map(({ run }) => [run.facets.limn_step?.step, run.facets.nominalTime])
    expect(times.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toMatchObject(
      ['2026-01-01', '2026-01-02', '2026-01-03'].map((step, i) => [
        step,
        { nominalStartTime: `${step}T00:00:00.000Z`, nominalEndTime: `2026-01-0${i + 2}T00:00:00.000Z` },
      ]),
    )
    // Nothing of a step is published: no output has a version before the end.
    for (const one of steps) for (const output of one.outputs) expect(output.facets.version).toBe(undefined)

    const snapshotOf = (id: string) =>
      oneValue(folder, `SELECT max_by(output_snapshot, seq)::VARCHAR FROM limn.run WHERE dataset = '${id}'`)
    const [end] = of(events, 'gold.day', 'COMPLETE')
    expect(end?.outputs).toMatchObject([
      {
        name: join(folder, 'warehouse', 'gold', 'day'),
        facets: { version: { datasetVersion: await snapshotOf('gold.day') } },
        outputFacets: { outputStatistics: { rowCount: 3 } },
      },
    ])
    expect(end?.inputs).toMatchObject([
      {
        name: join(folder, 'warehouse', 'silver', 'event'),
        facets: { version: { datasetVersion: await snapshotOf('silver.event') } },
      },
    ])
    const run = await oneValue(folder, `SELECT max(run_id) FROM limn.run WHERE reason = 'backfill: ${report.backfill}'`)
    expect(events.at(-1)?.run.facets.limn_run?.run).toBe(run)
  })

  it('is aborted, saying why, where it waits or is a sample; whoever approves is a run of its own, of the same backfill', async () => {
    using lake = await changedLake()
    const { folder, before } = lake
    const waiting = JSON.parse((await backfill(folder, 'silver.event', ...month)).stdout)
    const events = eventsOf(folder, before)
    const why = 'Built and not published: it changes rows, and no tolerance is stated.'
    expect(messages(events.slice(-2))).toEqual([`silver.event ABORT: ${why}`, `small.backfill ABORT: ${why}`])
    expect((await backfill(folder, 'approve', waiting.backfill)).code).toBe(0)
    const approved = eventsOf(folder, before + events.length)
    expect(told(approved)).toEqual(
      ['silver.event COMPLETE', 'silver.event START', 'small.backfill COMPLETE', 'small.backfill START'].sort(),
    )
    expect(approved[0]?.run.runId).not.toBe(events[0]?.run.runId)
    expect(approved[0]?.run.facets.limn_backfill).toMatchObject({ backfill: waiting.backfill })

    redefine(folder, 'amount * 3 AS amount')
    const sampledFrom = eventsOf(folder).length
    await backfill(folder, 'silver.event', ...month, '--sample', '10%')
    expect(messages(eventsOf(folder, sampledFrom).slice(-1))).toEqual([
      'small.backfill ABORT: Built and not published: a sample is only to look at.',
    ])
  })

  it('has FAIL where a check refused, where a step failed, and with the error that ended it', async () => {
    using lake = await changedLake()
    const { folder, before } = lake
    const text = readFileSync(join(folder, silver), 'utf8')
    const checked = text.replace('build:', "checks: (check) => [check.between('amount', 0, 50)],\n  build:")
    writeFileSync(join(folder, silver), checked)
    expect((await backfill(folder, 'silver.event+', ...month, '--approve')).code).toBe(3)
    const refused = eventsOf(folder, before).filter((one) => !['START', 'RUNNING'].includes(one.eventType))
    expect(told(refused)).toEqual(['gold.day ABORT', 'silver.event FAIL', 'small.backfill FAIL'])

    const from = eventsOf(folder).length
    writeFileSync(
      join(folder, silver),
      text.replace('amount * 2 AS amount', "CASE WHEN id = 2 THEN error('two') ELSE amount END::INTEGER AS amount"),
    )
    const failed = await backfill(folder, 'silver.event+', ...month, '--keep-going')
    expect(failed.code).toBe(1)
    const events = eventsOf(folder, from)
    expect(of(events, 'silver.event', 'RUNNING')).toHaveLength(2)
    expect(of(events, 'silver.event', 'FAIL')[0]?.run.facets.errorMessage?.message).toContain('two')
    expect(messages(events.slice(-1))[0]).toContain('small.backfill FAIL: One step failed:')
    expect(of(events, 'gold.day')).toEqual([])

    const fast = eventsOf(folder).length
    expect((await backfill(folder, 'silver.event+', ...month)).code).toBe(1)
    expect(messages(eventsOf(folder, fast).slice(-1))[0]).toMatch(/small.backfill FAIL: .*two.*Nothing was published/s)
  })

  it('has its end told by another process when its own was killed, once', async () => {
    using lake = await changedLake()
    const { folder, before } = lake
    const command = [join(root, 'packages', 'limn', 'bin', 'limn.js'), 'backfill', 'silver.event+', ...month]
    const { child, ended } = start(process.execPath, [...command, '--parallel', '1', '--throttle', '30s'], {
      cwd: folder,
    })
    const until = Date.now() + 30_000
    while (of(eventsOf(folder, before), 'silver.event', 'RUNNING').length === 0) {
      expect(Date.now()).toBeLessThan(until)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    // While it lives nobody speaks for it.
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    expect(eventsOf(folder, before).filter((one) => one.eventType === 'ABORT')).toEqual([])
    child.kill('SIGKILL')
    await ended
    const killed = eventsOf(folder, before).filter((one) => /backfill|silver/.test(one.job.name))
    const runs = new Set(killed.map((one) => one.run.runId))
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    const ends = eventsOf(folder, before).filter((one) => one.eventType === 'ABORT')
    expect(told(ends)).toEqual(['silver.event ABORT', 'small.backfill ABORT'])
    expect(new Set(ends.map((one) => one.run.runId))).toEqual(runs)
    for (const one of ends) expect(one.run.facets.errorMessage?.message).toContain('ended without a word')
  })

  it('has ABORT when somebody cancels it, by the process that is at work', async () => {
    using lake = await changedLake()
    const { folder, before } = lake
    const command = [join(root, 'packages', 'limn', 'bin', 'limn.js'), 'backfill', 'silver.event+', ...month]
    const { ended } = start(process.execPath, [...command, '--parallel', '1', '--throttle', '30s'], { cwd: folder })
    // The first step stands: the process pauses before the second.
    const until = Date.now() + 30_000
    while (of(eventsOf(folder, before), 'silver.event', 'RUNNING').length === 0) {
      expect(Date.now()).toBeLessThan(until)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const [{ run }] = eventsOf(folder, before) as [RunEvent]
    const { backfill: id } = run.facets.limn_backfill as unknown as { readonly backfill: string }
    expect((await limn(folder, 'runs', 'cancel', id)).code).toBe(0)
    expect((await ended).code).toBe(130)
    const ends = eventsOf(folder, before).filter((one) => !['START', 'RUNNING'].includes(one.eventType))
    expect(told(ends)).toEqual(['silver.event ABORT', 'small.backfill ABORT'])
  })
})

describe('the promotion of an environment with lineage', () => {
  /** What is built in `dev` differs from production by its query. */
  async function doubleInDev(folder: string): Promise<void> {
    const path = join(folder, 'limn.config.ts')
    const config = readFileSync(path, 'utf8')
    writeFileSync(path, config.replace("name: 'small',", "name: 'small', environments: { dev: {} },"))
    expect((await limn(folder, 'run')).code).toBe(0)
    redefine(folder, 'amount * 2 AS amount')
    expect((await limn(folder, 'run', '--env', 'dev')).code).toBe(0)
  }

  it('tells the tables of the environment as inputs and those of production as outputs', async () => {
    using lake = lakeTelling('events.ndjson')
    const { folder } = lake
    await doubleInDev(folder)
    const there = of(eventsOf(folder), 'gold.day', 'COMPLETE').at(-1)?.outputs[0]
    const before = eventsOf(folder).length
    expect((await limn(folder, 'env', 'promote', 'dev', '--dry-run')).code).toBe(0)
    expect(eventsOf(folder, before)).toEqual([])
    const promoted = await limn(folder, 'env', 'promote', 'dev', '--json')
    expect(promoted.code).toBe(0)
    const events = eventsOf(folder, before)
    const jobs = ['small.promote', 'small.promote.gold.day', 'small.promote.silver.event']
    expect(told(events)).toEqual(jobs.flatMap((job) => [`${job} COMPLETE`, `${job} START`]).sort())
    const [gold] = of(events, 'small.promote.gold.day', 'COMPLETE')
    // What the run in the environment wrote is what the promotion reads.
    expect(gold?.inputs).toMatchObject([
      { name: there?.name, facets: { version: { datasetVersion: there?.facets.version?.datasetVersion } } },
    ])
    expect(there?.name).toContain('dev')
    const snapshot = await oneValue(
      folder,
      "SELECT max_by(output_snapshot, seq)::VARCHAR FROM limn.run WHERE dataset = 'gold.day'",
    )
    expect(gold?.outputs).toMatchObject([
      { name: join(folder, 'warehouse', 'gold', 'day'), facets: { version: { datasetVersion: snapshot } } },
    ])
    expect(events.at(-1)?.run.facets.limn_run?.run).toBe(JSON.parse(promoted.stdout).run)
  })

  it('has FAIL of what production’s checks refuse', async () => {
    using lake = lakeTelling('events.ndjson')
    const { folder } = lake
    await doubleInDev(folder)
    const text = readFileSync(join(folder, silver), 'utf8')
    writeLake(folder, {
      [silver]: text.replace('build:', "checks: (check) => [check.between('amount', 0, 50)],\n  build:"),
    })
    const before = eventsOf(folder).length
    expect((await limn(folder, 'env', 'promote', 'dev')).code).toBe(3)
    const ends = eventsOf(folder, before).filter((one) => one.eventType !== 'START')
    expect(told(ends)).toEqual([
      'small.promote FAIL',
      'small.promote.gold.day ABORT',
      'small.promote.silver.event FAIL',
    ])
  })
})
