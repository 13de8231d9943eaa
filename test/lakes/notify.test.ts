import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { runDue, type UpEvent, up } from '../../packages/limn/dist/lake/index.js'
import { limn } from '../support/lake.ts'
import { bronzeEvent, deliver, goldDay, smallLake, writeLake } from '../support/small-lake.ts'

/** A lake whose owners are told by a command that appends to a file, or fails while `broken` is there. */
function toldLake() {
  const lake = smallLake('notify')
  writeLake(lake.folder, {
    'limn.config.ts': `import { cron, defineLake, whenFiles } from 'limn'
const command = [process.execPath, 'hook.cjs']
export default defineLake({
  name: 'small',
  schedules: { '*.*': cron('0 6 * * *', { zone: 'UTC', waitFor: whenFiles('go', { timeout: '6h' }) }) },
  notify: { ops: [{ on: ['failed', 'refused', 'late', 'recovered'], command }], '*': [{ on: ['failed'], command: [...command, 'all'] }] },
})
`,
    'hook.cjs': `const fs = require('fs')
if (fs.existsSync('broken')) { console.error('no line'); process.exit(1) }
fs.appendFileSync('told.ndjson', JSON.stringify({ hook: process.argv[2] ?? 'ops', ...JSON.parse(fs.readFileSync(0, 'utf8')) }) + '\\n')
`,
    'datasets/gold/day.ts': goldDay
      .replace("owner: 'test'", "owner: 'ops'")
      .replace('checks: (check) => [', "checks: (check) => [check.between('amount', 0, 99), "),
  })
  return lake
}

interface Told {
  readonly hook: string
  readonly id: string
  readonly on: string
  readonly owner: string
  readonly datasets: readonly string[]
  readonly message: string
  readonly predicted: boolean
}
function told(folder: string): readonly Told[] {
  const file = join(folder, 'told.ndjson')
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('owners', () => {
  it('are told what was refused and when it is well again, and a hook that fails is no failure of the run', async () => {
    using lake = toldLake()
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    expect(told(folder)).toEqual([])
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '700']])
    writeFileSync(join(folder, 'broken'), '')
    const refused = await limn(folder, 'run')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toContain('ops could not be told (refused): The command ended with 1: no line')
    const again = await limn(folder, 'run')
    expect(again.stderr.match(/ops could not be told/g)).toHaveLength(1)
    expect(again.stderr).toContain('(2 such)')
    // Told with the next run, once, and then again that it is well.
    rmSync(join(folder, 'broken'))
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '7']])
    expect((await limn(folder, 'run')).code).toBe(0)
    expect((await limn(folder, 'run')).code).toBe(0)
    expect(told(folder).map((one) => [one.hook, one.on, one.owner, ...one.datasets])).toEqual([
      ['ops', 'refused', 'ops', 'gold.day'],
      ['ops', 'refused', 'ops', 'gold.day'],
      ['ops', 'recovered', 'ops', 'gold.day'],
    ])
    expect(told(folder)[0]?.message).toContain('gold.day: between(amount, 0, 99)')
  })

  it('are told of a change by hand that was refused, whose failing rows a printed command shows', async () => {
    using lake = toldLake()
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    const change = ['sql', '--write', '--break-glass', '--reason', 'why', 'UPDATE gold.day SET amount = 700']
    const refused = await limn(folder, ...change)
    expect(refused.code).toBe(3)
    expect(told(folder).map((one) => [one.hook, one.on, one.owner, ...one.datasets])).toEqual([
      ['ops', 'refused', 'ops', 'gold.day'],
    ])
    const commands = refused.stdout.matchAll(/limn sql --at (run\/\S+) '((?:[^']|'\\'')*)'/g)
    const found = [...commands].map(([, at = '', sql = '']) => [at, sql.replaceAll("'\\''", "'")] as const)
    const counts: number[] = []
    for (const [at, sql] of found)
      counts.push(
        (JSON.parse((await limn(folder, 'sql', '--at', at, sql, '--json')).stdout) as { rows: unknown[] }).rows.length,
      )
    // Of two checks, the days and the two sums; and the table.
    expect(counts).toEqual([3, 1, 3])
    const again = JSON.parse((await limn(folder, ...change, '--json')).stdout) as { outcome: string; look: string[] }
    expect([again.outcome, again.look.length]).toEqual(['refused', 3])
    // Whoever typed a statement that fails reads so.
    const before = told(folder).length
    const failing = ['sql', '--write', '--break-glass', '--reason', 'why', "UPDATE gold.day SET amount = error('no')"]
    expect([(await limn(folder, ...failing)).code, told(folder).length]).toEqual([1, before])
    // A change by hand is made again, not retried.
    const run = found[0]?.[0].replace('run/', '') ?? ''
    const later = await limn(folder, 'runs', 'show', run)
    expect(later.stdout).toContain(`limn sql --at run/${run} `)
    expect(later.stdout).not.toContain('runs retry')
  })

  it('are told of a run that failed before there was anything to record', async () => {
    using lake = toldLake()
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    rmSync(join(folder, 'inbox', 'a.csv'))
    expect((await limn(folder, 'run')).code).toBe(1)
    expect(told(folder).map((one) => [one.hook, one.on, one.owner])).toEqual([['all', 'failed', 'test']])
    expect(told(folder)[0]?.message).toContain('inbox/a.csv, delivered to bronze.event before, is gone')
  })

  it('are told that it will be late before it is, and when it is after all done', async () => {
    using temporary = toldLake()
    const { folder } = temporary
    const file = join(folder, 'datasets', 'gold', 'day.ts')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace("doc: 'One row per day.'", "deadline: '2h', doc: 'One row per day.'"),
    )
    let now = Date.parse('2026-01-02T06:00Z')
    const clock = { nowMs: () => now }
    writeFileSync(join(folder, 'go'), '')
    {
      // A first run of an hour and a half: that is what later ones are expected to take.
      await using lake = await Lake.open({
        cwd: folder,
        clock,
        steps: {
          reach: (name, edge, detail) => {
            if (name === 'state.change' && edge === 'after' && detail.includes('ref gold.day run/')) now += 90 * 60_000
          },
        },
      })
      await runDue(lake, { waitMs: 0 })
    }
    const events: string[] = []
    const stop = new AbortController()
    const say = (event: UpEvent) => {
      if (event.kind === 'outlook') events.push(event.outlook.verdict)
      else events.push(event.kind)
    }
    now = Date.parse('2026-01-03T06:45Z')
    deliver(folder, 'b', [['8', '2026-01-02 09:00:00', '7']])
    await using lake = await Lake.open({ cwd: folder, clock })
    // The tick is due since three quarters of an hour, and waits for a file: it will not be in time.
    rmSync(join(folder, 'go'))
    let slept = 0
    await up(lake, {
      pollMs: 60 * 60_000,
      stop: stop.signal,
      onEvent: say,
      sleep: async (ms) => {
        now += ms
        slept++
        if (slept === 3) writeFileSync(join(folder, 'go'), '')
        if (slept === 4) stop.abort()
      },
    })
    expect(events).toEqual(['started', 'waiting', 'will-be-late', 'late', 'tick', 'published', 'stopped'])
    expect(told(folder).map((one) => [one.on, one.predicted, ...one.datasets])).toEqual([
      ['late', true, 'gold.day'],
      ['late', false, 'gold.day'],
      ['recovered', false, 'gold.day'],
    ])
    expect(told(folder)[0]?.message).toContain('gold.day will be late: promised by 2026-01-03T08:00:00Z (deadline)')
  })

  it('are told while the run is under way, when it takes longer than there is time', async () => {
    using temporary = toldLake()
    const { folder } = temporary
    const file = join(folder, 'datasets', 'gold', 'day.ts')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace("doc: 'One row per day.'", "deadline: '2h', doc: 'One row per day.'"),
    )
    writeFileSync(join(folder, 'go'), '')
    let now = Date.parse('2026-01-02T06:00Z')
    let look: (() => Promise<void>) | null = null
    const events: string[] = []
    const stop = new AbortController()
    await using lake = await Lake.open({
      cwd: folder,
      clock: { nowMs: () => now },
      steps: {
        reach: async (name, edge, detail) => {
          if (name !== 'state.change' || edge !== 'after' || !detail.includes('ref silver.event run/')) return
          now += 121 * 60_000
          const body = look
          look = null
          await body?.()
        },
      },
    })
    await up(lake, {
      pollMs: 60 * 60_000,
      stop: stop.signal,
      onEvent: (event) => events.push(event.kind === 'outlook' ? event.outlook.verdict : event.kind),
      every: (_, body) => {
        look = body
        return () => {
          look = null
        }
      },
      sleep: async () => stop.abort(),
    })
    expect(events).toEqual(['started', 'tick', 'late', 'published', 'stopped'])
    expect(told(folder).map((one) => [one.on, one.predicted])).toEqual([
      ['late', false],
      ['recovered', false],
    ])
  })

  it('are looked up in a configuration whose mistakes are named', async () => {
    using lake = smallLake('notify')
    writeLake(lake.folder, {
      'datasets/bronze/event.ts': bronzeEvent.replace("format: 'csv' }),", "format: 'csv' }),\n  deadline: 'soon',"),
    })
    const { code, stderr } = await limn(lake.folder, 'run')
    expect([code, stderr]).toEqual([2, expect.stringContaining('bronze.event: "soon" is not a span of time.')])
  })
})
