import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { type DueEvent, Health, outlookOn, runDue, type UpEvent, up } from '../../packages/limn/dist/lake/index.js'
import { oneValue } from '../support/hooked.ts'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { bronzeEvent, deliver, goldDay, silverEvent, smallLake, writeLake } from '../support/small-lake.ts'

/** A clock that moves only when it is told to. */
class HandClock {
  now: number
  constructor(at: string) {
    this.now = Date.parse(at)
  }
  nowMs(): number {
    return this.now
  }
  set(at: string): void {
    this.now = Date.parse(at)
  }
}

const config = (schedules: string) =>
  `import { cron, defineLake, onUpstream, whenFiles } from 'limn'\nexport default defineLake({ name: 'small', schedules: ${schedules} })\n`

function brief(event: DueEvent | UpEvent): string {
  switch (event.kind) {
    case 'tick':
      return `${new Date(event.tickMs).toISOString().slice(5, 16)}${event.missed ? ' missed' : ''} ${event.names.join(' ')}`
    case 'waiting':
    case 'timed-out':
      return `${event.kind} ${event.name} ${new Date(event.tickMs).toISOString().slice(5, 16)}`
    case 'started':
    case 'stopped':
      return event.kind
    case 'held':
      return `held ${event.items.map((one) => one.dataset).join(' ')}`
    case 'outlook':
      return event.outlook.verdict
    case 'error':
      return event.error.message
    default:
      return `${event.kind} ${event.datasets.join(' ')}`
  }
}

async function due(folder: string, clock: HandClock): Promise<readonly string[]> {
  await using lake = await Lake.open({ cwd: folder, clock })
  return (await runDue(lake, { waitMs: 0 })).events.map(brief)
}

const everything = 'bronze.event silver.event gold.day'

describe('what is due', () => {
  it('is run once per tick, missed ticks in order and as of their time', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, {
      'limn.config.ts': config("{ '*.*': '0 6 * * * in Europe/Berlin' }"),
      'datasets/bronze/event.ts': bronzeEvent.replace(
        "format: 'csv' }),",
        "format: 'csv' }),\n  seal: { after: '2h' },",
      ),
    })
    const clock = new HandClock('2026-01-02T05:30Z')
    expect(await due(folder, clock)).toEqual(['01-02T05:00 *.*', 'held silver.event', `published ${everything}`])
    expect(await oneValue(folder, 'SELECT max(day)::VARCHAR FROM gold.day')).toBe('2026-01-01 00:00:00')
    expect(await due(folder, clock)).toEqual([])
    clock.set('2026-01-01T00:00Z')
    expect(await due(folder, clock)).toEqual([])
    clock.set('2026-01-05T12:00Z')
    expect(await due(folder, clock)).toEqual([
      '01-03T05:00 missed *.*',
      'held silver.event',
      `published ${everything}`,
      '01-04T05:00 missed *.*',
      `published ${everything}`,
      '01-05T05:00 *.*',
      `idle ${everything}`,
    ])
    // Each missed tick published what was complete at its time.
    expect(
      await oneValue(
        folder,
        "SELECT string_agg(strftime(interval_start, '%d'), ' ' ORDER BY seq) FROM limn.run WHERE dataset = 'gold.day' AND outcome = 'built'",
      ),
    ).toBe('01 02 03')
    // The state database lost: ticks since the ledger last speaks of every dataset are run again, and find nothing to do.
    rmSync(join(folder, '.limn', 'state.db'))
    const again = await due(folder, clock)
    expect(again.filter((text) => !text.includes('*.*'))).toEqual(Array(3).fill(`idle ${everything}`))
    expect(await due(folder, clock)).toEqual([])
  })

  it('waits for its files, and gives them up in the end', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, {
      'limn.config.ts': config(
        "{ 'bronze.event': cron('0 6 * * *', { zone: 'UTC', waitFor: whenFiles('inbox/%Y-%m-%d.csv', { timeout: '2h' }) }) }",
      ),
    })
    const clock = new HandClock('2026-01-02T06:10Z')
    expect(await due(folder, clock)).toEqual(['waiting bronze.event 01-02T06:00'])
    deliver(folder, '2026-01-02', [['7', '2026-01-02 09:00:00', '70']])
    expect(await due(folder, clock)).toEqual(['01-02T06:00 bronze.event', 'published bronze.event'])
    clock.set('2026-01-03T08:00Z')
    expect(await due(folder, clock)).toEqual(['timed-out bronze.event 01-03T06:00'])
    clock.set('2026-01-04T07:59Z')
    expect(await due(folder, clock)).toEqual(['waiting bronze.event 01-04T06:00'])
  })

  it('after its inputs runs when they have published, and a refusal is not tried over and over', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, {
      'limn.config.ts': config(
        "{ 'bronze.event': '0 * * * * in UTC', 'silver.event': onUpstream(), 'gold.day': onUpstream() }",
      ),
      'datasets/gold/day.ts': goldDay.replace(
        'checks: (check) => [',
        "checks: (check) => [check.between('amount', 0, 99), ",
      ),
    })
    const clock = new HandClock('2026-01-02T06:10Z')
    expect(await due(folder, clock)).toEqual([
      '01-02T06:00 bronze.event',
      'published bronze.event',
      'trigger silver.event gold.day',
      'published silver.event gold.day',
    ])
    expect(await due(folder, clock)).toEqual([])
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '700']])
    clock.set('2026-01-02T07:10Z')
    const refused = ['trigger silver.event gold.day', 'refused silver.event gold.day']
    expect(await due(folder, clock)).toEqual(['01-02T07:00 bronze.event', 'published bronze.event', ...refused])
    expect(await due(folder, clock)).toEqual([])
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '7']])
    clock.set('2026-01-02T08:10Z')
    expect((await due(folder, clock)).at(-1)).toBe('published silver.event gold.day')
  })

  it('after its inputs is tried again when it failed, later each time, and left in the end until they publish anew', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, {
      'limn.config.ts': config("{ 'bronze.event': '0 0 * * * in UTC', 'silver.event': onUpstream() }"),
    })
    const clock = new HandClock('2026-01-02T06:00Z')
    let broken = true
    const steps = {
      reach: (name: string, edge: string, detail: string) => {
        if (broken && name === 'metadata.write' && edge === 'before' && detail.includes('silver'))
          throw new Error('no such host')
      },
    }
    const look = async () => {
      await using opened = await Lake.open({ cwd: folder, clock, steps })
      return (await runDue(opened, { waitMs: 0 })).events.map(brief).filter((line) => line.includes('silver'))
    }
    const failed = ['trigger silver.event', 'failed silver.event']
    const published = ['trigger silver.event', 'published silver.event']
    expect(await look()).toEqual(failed)
    clock.set('2026-01-02T06:00:59Z')
    expect(await look()).toEqual([])
    clock.set('2026-01-02T06:01Z')
    expect(await look()).toEqual(failed)
    clock.set('2026-01-02T06:02:59Z')
    expect(await look()).toEqual([])
    clock.set('2026-01-02T06:03Z')
    broken = false
    expect(await look()).toEqual(published)
    expect(await look()).toEqual([])
    // It fails until it is left alone, and begins anew with the next publication of its input.
    broken = true
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '7']])
    clock.set('2026-01-03T06:00Z')
    let tries = 0
    for (let minutes = 0; minutes < 600; minutes += 15) {
      clock.now += 15 * 60_000
      tries += (await look()).length / 2
    }
    expect(tries).toBe(8)
    broken = false
    expect(await look()).toEqual([])
    deliver(folder, 'c', [['9', '2026-01-02 09:00:00', '7']])
    clock.set('2026-01-04T06:00Z')
    expect(await look()).toEqual(published)
  })

  it('after its inputs, and promised by a time, is foreseen by the ticks of what it reads', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, {
      'limn.config.ts': config("{ 'bronze.event': '0 6 * * * in UTC', 'silver.event': onUpstream() }"),
      'datasets/silver/event.ts': silverEvent.replace("doc: 'One", "deadline: '07:00 in UTC',\n  doc: 'One"),
    })
    const clock = new HandClock('2026-01-02T06:10Z')
    const seen = async (at: string) => {
      clock.set(at)
      await using opened = await Lake.open({ cwd: folder, clock })
      return (await outlookOn(opened)).map((one) => [
        one.dataset,
        one.schedule,
        new Date(one.byMs).toISOString().slice(8, 16),
        one.expectedMs === null ? null : new Date(one.expectedMs).toISOString().slice(8, 16),
        one.verdict,
      ])
    }
    const land = async () => {
      await using opened = await Lake.open({ cwd: folder, clock })
      await opened.run({ select: ['bronze.event'] })
    }
    const after = ['silver.event', 'after bronze.event']
    expect(await due(folder, clock)).toContain('published silver.event')
    expect(await seen('2026-01-02T06:20Z')).toEqual([[...after, '03T07:00', '03T06:00', 'on-time']])
    expect(await seen('2026-01-03T06:30Z')).toEqual([[...after, '03T07:00', '03T06:30', 'on-time']])
    expect(await seen('2026-01-03T07:01Z')).toEqual([[...after, '03T07:00', '03T07:01', 'late']])
    // Its input has published and it has not: late, until it does.
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '7']])
    await land()
    expect(await seen('2026-01-03T07:02Z')).toEqual([[...after, '03T07:00', '03T07:02', 'late']])
    expect(await due(folder, clock)).toContain('published silver.event')
    expect(await seen('2026-01-03T07:03Z')).toEqual([[...after, '04T07:00', '04T06:00', 'on-time']])
    // What somebody publishes between ticks is no delay of any.
    deliver(folder, 'c', [['9', '2026-01-02 09:00:00', '7']])
    await land()
    expect(await seen('2026-01-03T15:00Z')).toEqual([[...after, '04T07:00', '04T06:00', 'on-time']])
  })

  it('of datasets that have nothing to do with each other is run apart, and one failure does not stop the others', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, {
      'limn.config.ts': config("{ '*.*': '0 * * * * in UTC' }"),
      'datasets/bronze/other.ts': bronzeEvent
        .replace("'bronze.event'", "'bronze.other'")
        .replace("'inbox/*.csv'", "'elsewhere/*.csv'"),
    })
    const clock = new HandClock('2026-01-02T06:10Z')
    expect(await due(folder, clock)).toEqual(['01-02T06:00 *.*', `published ${everything}`, 'failed bronze.other'])
    expect(await due(folder, clock)).toEqual([])
    const shown = await limn(folder, 'run', '--due', '--json')
    expect([shown.code, JSON.parse(shown.stdout).events.length > 0]).toEqual([1, true])
    const wrong = await limn(folder, 'run', '--due', 'silver.event')
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--due runs what schedules say')])
  })
})

describe('two schedulers on one lake', () => {
  it('run a tick once', async () => {
    using lake = smallLake('due')
    const { folder } = lake
    writeLake(folder, { 'limn.config.ts': config("{ '*.*': '0 6 * * * in UTC' }") })
    const clock = new HandClock('2026-01-02T06:10Z')
    await using one = await Lake.open({ cwd: folder, clock })
    await using two = await Lake.open({ cwd: folder, clock })
    const reports = await Promise.all([one, two].map((each) => runDue(each, { waitMs: 60_000 })))
    expect(reports.map((report) => report.events.map(brief)).toSorted((a, b) => a.length - b.length)).toEqual([
      [],
      ['01-02T06:00 *.*', `published ${everything}`],
    ])
    await one.run()
    const held = await (await two.context()).state.acquire('schedule', 'another', {
      waitMs: 0,
      signal: new AbortController().signal,
    })
    await expect(runDue(one, { waitMs: 0 })).rejects.toThrow('another holds the lease "schedule"')
    await held.release()
  })
})

describe('a scheduler that dies', () => {
  for (const [when, after] of [
    ['before its run publishes', 'published bronze.event'],
    ['between the publish and the tick’s mark', 'idle bronze.event'],
  ] as const) {
    it(`${when} runs the tick again, and nothing counts twice`, async () => {
      using lake = smallLake('due')
      const { folder } = lake
      writeLake(folder, { 'limn.config.ts': config("{ 'bronze.event': '0 6 * * * in UTC' }") })
      const clock = new HandClock('2026-01-01T06:10Z')
      await due(folder, clock)
      deliver(folder, 'b', [['4', '2026-01-04 08:00:00', '40']])
      clock.set('2026-01-02T06:10Z')
      const driver = join(root, 'test', 'support', 'due-driver.ts')
      const at = after.startsWith('published') ? ' publishing' : 'mark tick bronze.event'
      const died = await start(process.execPath, [driver, folder, '2026-01-02T06:10Z', at]).ended
      expect(died.signal).toBe('SIGKILL')
      expect(await due(folder, clock)).toEqual(['01-02T06:00 bronze.event', after])
      expect(await due(folder, clock)).toEqual([])
      expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(4)
    })
  }
})

/** Breaks in the code, as a defect would, when a run of this many comes to a change of the state database. */
function defect(runs: number, at: string) {
  let seen = 0
  return {
    reach: (name: string, edge: string, detail: string) => {
      if (name === 'state.change' && edge === 'before' && detail.endsWith(at) && ++seen <= runs)
        throw new TypeError('cannot read properties of undefined')
    },
  }
}

describe('what nobody foresaw', () => {
  it('fails one run, which is told, and nothing else', async () => {
    using temporary = smallLake('due')
    const { folder } = temporary
    const command = [process.execPath, '-e', "fs.appendFileSync('told', fs.readFileSync(0, 'utf8') + '\\n')"]
    writeLake(folder, {
      'limn.config.ts': `import { defineLake } from 'limn'\nexport default defineLake({ name: 'small', schedules: { '*.*': '0 * * * * in UTC' },
  notify: { '*': [{ on: ['failed'], command: ${JSON.stringify(command)} }] } })\n`,
      'datasets/bronze/other.ts': bronzeEvent.replace("'bronze.event'", "'bronze.other'"),
    })
    const clock = new HandClock('2026-01-02T06:10Z')
    await using lake = await Lake.open({ cwd: folder, clock, steps: defect(1, ' publishing') })
    const { events } = await runDue(lake, { waitMs: 0 })
    expect(events.map(brief)).toEqual(['01-02T06:00 *.*', `failed ${everything}`, 'published bronze.other'])
    expect(events[1]).toMatchObject({ error: { kind: 'internal', message: expect.stringContaining('of undefined') } })
    const told = readFileSync(join(folder, 'told'), 'utf8').trim().split('\n')
    expect(told.map((line) => JSON.parse(line).message)).toEqual([expect.stringContaining('of undefined')])
    // The tick is done; what it left is stale and comes with the next.
    clock.set('2026-01-02T07:10Z')
    expect((await runDue(lake, { waitMs: 0 })).events.map(brief)).toContain(`published ${everything}`)
    const outcomes = "SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM limn.run WHERE dataset = '*'"
    expect(await oneValue(folder, outcomes)).toBe('failed')
  })

  it('between runs is told, and the scheduler goes on', async () => {
    using temporary = smallLake('up')
    const { folder } = temporary
    writeLake(folder, { 'limn.config.ts': config("{ '*.*': '0 6 * * * in UTC' }") })
    const clock = new HandClock('2026-01-02T06:10Z')
    const stop = new AbortController()
    const events: string[] = []
    let slept = 0
    await using lake = await Lake.open({ cwd: folder, clock, steps: defect(2, 'lease schedule') })
    await up(lake, {
      pollMs: 60_000,
      stop: stop.signal,
      onEvent: (event) => events.push(brief(event)),
      sleep: async (ms) => {
        clock.now += ms
        if (++slept === 3) stop.abort()
      },
    })
    const broken = 'limn failed in a way it does not know: cannot read properties of undefined'
    expect(events).toEqual(['started', broken, broken, '01-02T06:00 *.*', `published ${everything}`, 'stopped'])
  })
})

describe('limn up', () => {
  it('sleeps from tick to tick, says that it is alive, and stops when told to', async () => {
    using temporary = smallLake('up')
    const { folder } = temporary
    writeLake(folder, {
      'limn.config.ts': config("{ 'bronze.*': '30 2 * * * in Europe/Berlin' }"),
      'datasets/silver/event.ts': silverEvent
        .replace("doc: 'One", "schedule: onUpstream(),\n  doc: 'One")
        .replace('same, sql }', 'onUpstream, same, sql }'),
    })
    const clock = new HandClock('2026-03-28T12:00Z')
    const stop = new AbortController()
    const slept: number[] = []
    const events: string[] = []
    const file = join(folder, 'health', 'up.json')
    const beats: string[] = []
    await using lake = await Lake.open({ cwd: folder, clock })
    await up(lake, {
      pollMs: 6 * 3_600_000,
      stop: stop.signal,
      health: new Health(file, { pid: 1, host: 'h', version: '0' }, () => clock.nowMs()),
      onEvent: (event) => events.push(brief(event)),
      sleep: async (ms) => {
        const health = JSON.parse(readFileSync(file, 'utf8'))
        beats.push(`${health.state} ${health.heartbeat.slice(5, 16)} → ${health.next[0].at.slice(5, 16)}`)
        slept.push(ms / 60_000)
        clock.now += ms
        if (slept.length === 4) stop.abort()
      },
    })
    expect(events).toEqual([
      'started',
      '03-28T01:30 bronze.*',
      'published bronze.event',
      'trigger silver.event',
      'published silver.event',
      // The night the clocks go forward, 02:30 does not exist: it is 03:30.
      '03-29T01:30 bronze.*',
      'idle bronze.event',
      'stopped',
    ])
    expect(slept).toEqual([360, 360, 90, 360])
    expect(beats[0]).toBe('idle 03-28T12:00 → 03-29T01:30')
    expect(JSON.parse(readFileSync(file, 'utf8')).state).toBe('stopped')
  })

  it('goes on where it cannot say that it is alive', async () => {
    using temporary = smallLake('up')
    const { folder } = temporary
    writeLake(folder, { 'limn.config.ts': config("{ 'bronze.event': '0 6 * * * in UTC' }") })
    const clock = new HandClock('2026-01-02T06:10Z')
    const file = join(folder, 'health', 'up.json')
    const health = new Health(file, { pid: 1, host: 'h', version: '0' }, () => clock.nowMs())
    // A folder in its place: nothing can be written there.
    writeLake(folder, { 'health/up.json.tmp/in-the-way': '' })
    const stop = new AbortController()
    const events: (DueEvent | UpEvent)[] = []
    await using lake = await Lake.open({ cwd: folder, clock })
    const sleep = async () => stop.abort()
    await up(lake, { pollMs: 60_000, stop: stop.signal, health, onEvent: (event) => events.push(event), sleep })
    expect(events.map((event) => event.kind)).toEqual([
      'started',
      'error',
      'tick',
      'published',
      'error',
      'error',
      'stopped',
    ])
  })

  /** Starts `limn up` on a lake whose source hands over its rows when a file is there, and waits until it asks for them. */
  async function upOnSlowSource(folder: string) {
    writeLake(folder, {
      'limn.config.ts': config("{ 'bronze.event': '* * * * * in UTC' }"),
      'datasets/bronze/event.ts': bronzeEvent
        .replace('{ files, ingest }', '{ ingest, source }')
        .replace(
          'import {',
          "import { existsSync, writeFileSync } from 'node:fs'\nimport { setTimeout as sleep } from 'node:timers/promises'\nimport {",
        )
        .replace(
          "files('inbox/*.csv', { format: 'csv' })",
          `source(async function* ({ cursor, signal }) {
    if (cursor !== null) return
    writeFileSync('asked', '')
    while (!existsSync('go')) await sleep(20, undefined, { signal })
    yield { rows: [{ id: 1, happened_at: new Date('2026-01-01T00:00Z'), amount: 1 }], cursor: 1 }
  })`,
        ),
    })
    const bin = join(root, 'packages', 'limn', 'bin', 'limn.js')
    const up = start(process.execPath, [bin, 'up', '--poll', '1s', '--json'], { cwd: folder })
    while (!existsSync(join(folder, 'asked'))) await sleep(20)
    return up
  }
  const lines = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event ?? JSON.parse(line).error.kind)

  it('told to stop lets the run under way finish, and runs no other', async () => {
    using temporary = smallLake('up')
    const { folder } = temporary
    const process = await upOnSlowSource(folder)
    process.child.kill('SIGTERM')
    await sleep(100)
    writeFileSync(join(folder, 'go'), '')
    const { code, stdout, stderr } = await process.ended
    expect([code, lines(stdout)]).toEqual([0, ['started', 'tick', 'published', 'stopped']])
    expect(stderr).toContain('a second signal interrupts it')
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(1)
  })

  it('told twice interrupts the run, which publishes nothing and stays due', async () => {
    using temporary = smallLake('up')
    const { folder } = temporary
    const process = await upOnSlowSource(folder)
    process.child.kill('SIGTERM')
    await sleep(200)
    process.child.kill('SIGTERM')
    const { code, stdout } = await process.ended
    expect([code, lines(stdout)]).toEqual([130, ['started', 'tick', 'interrupted']])
    writeFileSync(join(folder, 'go'), '')
    const due = JSON.parse((await limn(folder, 'run', '--due', '--json')).stdout)
    expect(due.events.map((event: { readonly event: string }) => event.event)).toContain('published')
  })
})
