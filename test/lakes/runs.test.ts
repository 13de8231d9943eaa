import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lake } from 'limn'
import { afterEach, describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn, root, type temporaryFolder } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

const launcher = join(root, 'packages', 'limn', 'bin', 'limn.js')
const gold = 'datasets/gold/day.ts'
let lake: ReturnType<typeof temporaryFolder> | null = null
afterEach(() => {
  lake?.[Symbol.dispose]()
  lake = null
})

function replaceIn(folder: string, file: string, from: string, to: string): void {
  const text = readFileSync(join(folder, file), 'utf8')
  expect(text).toContain(from)
  writeFileSync(join(folder, file), text.replace(from, to))
}

/** A first run that a check of gold refuses: nobody has more than 25. */
async function refusedRun(): Promise<{
  readonly folder: string
  readonly id: string
  readonly look: readonly string[]
}> {
  lake = smallLake('runs')
  const { folder } = lake
  replaceIn(folder, gold, 'checks: (check) => [', "checks: (check) => [check.between('amount', 0, 25), ")
  const ended = await limn(folder, 'run', '--json')
  expect(ended.code).toBe(3)
  const { run, look } = JSON.parse(ended.stdout) as { run: string; look: string[] }
  return { folder, id: run, look }
}

/** Runs a printed command as a person would paste it. */
function paste(folder: string, command: string): string {
  const script = command.replace(/^limn/, `"${process.execPath}" "${launcher}"`)
  return execFileSync('sh', ['-c', `${script} --json`], { cwd: folder, encoding: 'utf8' })
}

interface Version {
  readonly fingerprint: string
  readonly limn: string | null
}
interface Change {
  readonly dataset: string
  readonly code: { readonly before: readonly Version[]; readonly after: Version; readonly changes: readonly object[] }
}

const json = async (folder: string, ...args: readonly string[]) =>
  JSON.parse((await limn(folder, ...args, '--json')).stdout) as Record<string, unknown>

describe('a run that was refused', () => {
  it('prints commands that show the rows at fault and what it staged, and they work', async () => {
    const { folder, id, look } = await refusedRun()
    const [fault = '', ...staged] = look
    expect(JSON.parse(paste(folder, fault))).toMatchObject({ rows: [[expect.any(String), 1, 30]] })
    expect(staged).toHaveLength(3)
    for (const command of staged) expect(JSON.parse(paste(folder, command))).toMatchObject({ rows: { length: 3 } })
    expect((await json(folder, 'runs', 'show', id)).look).toEqual(look)
    const text = await limn(folder, 'runs', 'show', id)
    expect(text.stdout).toContain(fault)
  })

  it('is retried without building again what still holds, and judged again', async () => {
    const { folder, id } = await refusedRun()
    replaceIn(folder, gold, '0, 25', '0, 250')
    const report = await json(folder, 'runs', 'retry', id)
    expect(report).toMatchObject({ outcome: 'published' })
    expect((report.datasets as { takenFrom: string | null }[]).map((one) => one.takenFrom)).toEqual([id, id, id])
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(60)
    expect(await json(folder, 'run')).toMatchObject({ outcome: 'idle' })
    expect(await json(folder, 'runs', 'retry', id)).toMatchObject({ outcome: 'idle' })
  })

  it('is retried with what was mended built anew, and all that reads it', async () => {
    const { folder, id } = await refusedRun()
    replaceIn(folder, 'datasets/silver/event.ts', ', amount FROM', ', least(amount, 25)::INTEGER AS amount FROM')
    const report = await json(folder, 'runs', 'retry', id)
    expect(report).toMatchObject({ outcome: 'published' })
    expect((report.datasets as { takenFrom: string | null }[]).map((one) => one.takenFrom)).toEqual([id, null, null])
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(55)
  })

  it('is retried on tables that exist, from the files on its branches', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    replaceIn(folder, gold, 'checks: (check) => [', "checks: (check) => [check.between('amount', 0, 45), ")
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '20']])
    const refused = await json(folder, 'run')
    expect(refused).toMatchObject({ outcome: 'refused' })
    replaceIn(folder, gold, '0, 45', '0, 450')
    const report = await json(folder, 'runs', 'retry', String(refused.run))
    expect((report.datasets as { takenFrom: string | null }[]).map((one) => one.takenFrom)).toEqual([
      refused.run,
      refused.run,
      refused.run,
    ])
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(80)
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(4)
  })

  it('tells what it would have changed, by interval, and is discarded at once', async () => {
    const { folder, id } = await refusedRun()
    const { changes } = await json(folder, 'runs', 'diff', id)
    expect(
      (changes as { dataset: string; diff: { total: object } }[]).map((one) => [one.dataset, one.diff.total]),
    ).toMatchObject([
      ['bronze.event', { before: 0, after: 3, added: 3 }],
      ['silver.event', { before: 0, after: 3, added: 3 }],
      ['gold.day', { before: 0, after: 3, added: 3 }],
    ])
    expect(await json(folder, 'runs', 'discard', id)).toEqual({
      run: id,
      discarded: ['bronze.event', 'gold.day', 'silver.event'],
    })
    expect((await json(folder, 'runs', 'show', id)).look).toHaveLength(1)
    expect((await limn(folder, 'sql', '--at', `run/${id}`, 'SELECT * FROM gold.day')).code).not.toBe(0)
  })
})

describe('a run that failed', () => {
  it('prints the command that shows the rows that made it fail', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    replaceIn(
      folder,
      'datasets/silver/event.ts',
      'id, happened_at, amount FROM',
      'id, happened_at + INTERVAL 1 DAY AS happened_at, amount FROM',
    )
    const ended = await limn(folder, 'run')
    expect(ended.code).toBe(1)
    const command =
      ended.stderr
        .split('\n')
        .find((line) => line.includes('IS NOT TRUE'))
        ?.trim() ?? ended.stderr
    const start = ended.stderr.indexOf('limn sql --at run/')
    const whole = ended.stderr.slice(start, ended.stderr.indexOf("IS NOT TRUE'", start) + "IS NOT TRUE'".length)
    expect(command).not.toBe('')
    expect((JSON.parse(paste(folder, whole)) as { rows: unknown[] }).rows.length).toBeGreaterThan(0)
  })
})

describe('a run that failed in one interval', () => {
  const days = (wrong: string) =>
    [4, 5, 6, 7, 8].map((day) => [String(day), `2026-01-0${day} 08:00:00`, day === 6 ? wrong : String(day * 10)])
  /** What a retry told of what it took over. */
  async function taken(folder: string, run: unknown): Promise<readonly string[]> {
    const lines = (await json(folder, 'runs', 'logs', String(run))) as unknown as { text: string }[]
    return lines.map((line) => line.text).filter((text) => text.includes('taken over'))
  }
  async function failedRun(): Promise<{ readonly folder: string; readonly id: string }> {
    lake = smallLake('runs')
    const { folder } = lake
    const checked = ", CASE WHEN amount = 666 THEN error('no such amount') ELSE amount END AS amount FROM"
    replaceIn(folder, 'datasets/silver/event.ts', ', amount FROM', checked)
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', days('666'))
    expect((await limn(folder, 'run')).code).toBe(1)
    const [last] = JSON.parse((await limn(folder, 'runs', 'ls', '--json')).stdout) as { run: string; outcome: string }[]
    expect(last?.outcome).toBe('failed')
    return { folder, id: last?.run ?? '' }
  }

  it('is retried from the intervals that were built and hold still, and builds the others', async () => {
    const { folder, id } = await failedRun()
    deliver(folder, 'b', days('60'))
    const report = await json(folder, 'runs', 'retry', id)
    expect(report).toMatchObject({ outcome: 'published' })
    expect((report.datasets as { dataset: string; takenFrom: string | null }[])[1]).toMatchObject({
      dataset: 'silver.event',
      takenFrom: id,
    })
    // The 4th and 5th were built before the 6th failed; the 7th may have been at work beside it.
    expect(await taken(folder, report.run)).toEqual([
      expect.stringMatching(`^silver.event: [23] of 5 intervals taken over from run ${id}`),
    ])
    const rows = await oneValue(folder, "SELECT string_agg(id || ':' || amount, ' ' ORDER BY id) FROM silver.event")
    expect(rows).toBe('1:10 2:20 3:30 4:40 5:50 6:60 7:70 8:80')
    expect(await oneValue(folder, 'SELECT sum(events)::INTEGER FROM gold.day')).toBe(8)
    expect(await json(folder, 'run')).toMatchObject({ outcome: 'idle' })
  })

  it('is not taken over where rows of what was built have come or gone since, or the definition is another', async () => {
    const { folder, id } = await failedRun()
    deliver(folder, 'b', [...days('60'), ['40', '2026-01-04 09:00:00', '4'], ['50', '2026-01-05 09:00:00', '5']])
    const report = await json(folder, 'runs', 'retry', id)
    expect(report).toMatchObject({ outcome: 'published' })
    expect((await taken(folder, report.run)).join()).not.toMatch(/[2345] of 5/)
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event')).toBe(369)
    deliver(
      folder,
      'c',
      days('666').map(([day = '', at = '', amount = '']) => [`9${day}`, at, amount]),
    )
    expect((await limn(folder, 'run')).code).toBe(1)
    const [last] = JSON.parse((await limn(folder, 'runs', 'ls', '--json')).stdout) as { run: string }[]
    replaceIn(folder, 'datasets/silver/event.ts', "error('no such amount')", '0')
    const again = await json(folder, 'runs', 'retry', last?.run ?? '')
    expect(again).toMatchObject({ outcome: 'published' })
    expect((await taken(folder, again.run)).join()).not.toContain('silver')
  })
})

describe('a run that is published', () => {
  it('tells what it changed', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '20']])
    const { run } = await json(folder, 'run')
    const { changes } = await json(folder, 'runs', 'diff', String(run))
    expect(
      (changes as { dataset: string; diff: { total: object } }[]).find((one) => one.dataset === 'gold.day')?.diff.total,
    ).toMatchObject({ added: 0, removed: 0, changed: 1 })
    expect((await limn(folder, 'runs', 'discard', String(run))).code).toBe(2)
  })

  it('tells by which code the rows were made on both sides, and how it differs', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    const first = await json(folder, 'run')
    const codes = async (run: unknown) => {
      const { changes } = (await json(folder, 'runs', 'diff', String(run))) as { changes: readonly Change[] }
      return new Map(changes.map((one) => [one.dataset, one.code]))
    }
    const built = (await codes(first.run)).get('silver.event')
    expect(built).toMatchObject({ before: [], after: { limn: expect.stringMatching(/^\d/) }, changes: [] })
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '20']])
    const same = (await codes((await json(folder, 'run')).run)).get('silver.event')
    expect(same).toMatchObject({ before: [built?.after], after: built?.after, changes: [] })
    // A range is built by another definition, then all by a third: both stood before that.
    replaceIn(folder, 'datasets/silver/event.ts', ', amount FROM', ', amount * 2 AS amount FROM')
    const second = await json(folder, 'run', 'silver.event', '--date', '2026-01-03')
    const changed = (await codes(second.run)).get('silver.event')
    expect(changed?.before).toEqual([built?.after])
    expect(changed?.changes).toContainEqual(
      expect.objectContaining({ kind: 'column-changed', subject: 'amount', before: 'amount' }),
    )
    replaceIn(folder, 'datasets/silver/event.ts', 'amount * 2 AS', 'amount * 3 AS')
    replaceIn(folder, gold, 'checks: (check) => [', "checks: (check) => [check.between('amount', 0, 25), ")
    const refused = await json(folder, 'run')
    expect(refused.outcome).toBe('refused')
    const third = (await codes(refused.run)).get('silver.event')
    expect(third?.before).toEqual([built?.after, changed?.after])
    const text = (await limn(folder, 'runs', 'diff', String(second.run))).stdout
    expect(text).toContain(`code ${built?.after.fingerprint.slice(0, 12)} (limn`)
    expect(text).toContain('~ column amount: amount → ')
  })

  it('sums no ordinals of deliveries, and calls no second build the first', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    const first = await json(folder, 'run')
    expect((await limn(folder, 'runs', 'diff', String(first.run))).stdout).toContain('code first build → ')
    deliver(folder, 'b', [['9', '2026-01-09 09:00:00', '20']])
    const second = await json(folder, 'run')
    const { stdout } = await limn(folder, 'runs', 'diff', String(second.run))
    expect(stdout).not.toContain('first build')
    expect(stdout).toMatch(/silver\.event\ncode \S+ \(limn \S+\), as that of other intervals/)
    const { changes } = (await json(folder, 'runs', 'diff', String(second.run))) as {
      changes: readonly (Change & { readonly diff: { readonly total: { readonly measures: { name: string }[] } } })[]
    }
    const measures = changes.map((one) => [one.dataset, one.diff.total.measures.map((each) => each.name).join()])
    expect(measures[0]).toEqual(['bronze.event', 'id,amount'])
    // And by another definition, of intervals that did not stand.
    replaceIn(folder, 'datasets/silver/event.ts', ', amount FROM', ', amount * 2 AS amount FROM')
    deliver(folder, 'c', [['10', '2026-01-10 09:00:00', '20']])
    await json(folder, 'run', 'bronze.event')
    const third = await json(folder, 'run', 'silver.event', '--date', '2026-01-10')
    const told = (await limn(folder, 'runs', 'diff', String(third.run))).stdout
    expect(told).toMatch(/code \S+ \(limn \S+\) of other intervals → \S+ /)
    expect(told).toContain('~ column amount: amount → ')
  })

  it('names what was built anew with the result it had', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    await json(folder, 'run')
    replaceIn(folder, 'datasets/silver/event.ts', ', amount FROM', ', amount * 1 AS amount FROM')
    const { run } = await json(folder, 'run', 'silver.event')
    expect(await json(folder, 'runs', 'diff', String(run))).toEqual({
      run,
      changes: [],
      unchanged: ['silver.event'],
      gone: [],
    })
    const text = (await limn(folder, 'runs', 'diff', String(run))).stdout
    expect(text).toBe('It changed no rows.\nsilver.event: its rows are as they were.\n')
  })

  it('keeps what it told in a log', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    const { run } = await json(folder, 'run')
    const lines = (await json(folder, 'runs', 'logs', String(run))) as unknown as {
      label: string
      kind: string
      text: string
    }[]
    expect(lines.filter((line) => line.kind === 'end').map((line) => line.label)).toEqual([
      'bronze.event',
      'silver.event',
      'gold.day',
      'checks',
      'run',
    ])
    expect(lines.at(-1)?.text).toBe('published')
    expect((await limn(folder, 'runs', 'logs', '20200101T000000-000000')).code).toBe(2)
  })
})

describe('a run or backfill that is at work', () => {
  it('is cancelled, which is no failure, and can be taken over', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    await using opened = await Lake.open({
      cwd: folder,
      steps: {
        reach: async (name, edge, detail) => {
          if (name !== 'state.change' || edge !== 'after' || !detail.endsWith(' publishing')) return
          const id = detail.split(' ')[1] ?? ''
          expect((await limn(folder, 'runs', 'show', id)).stdout).toMatch(
            new RegExp(`^run ${id}: running since .*\\n.*limn runs logs ${id}\\n.*limn runs cancel ${id}\\n$`),
          )
          expect(await json(folder, 'runs', 'show', id)).toMatchObject({ run: id, outcome: 'running', ranges: [] })
          expect((await limn(folder, 'runs', 'cancel', id)).code).toBe(0)
        },
      },
    })
    await expect(opened.run()).rejects.toMatchObject({ kind: 'interrupted' })
    const [ended] = JSON.parse((await limn(folder, 'runs', 'ls', '--json')).stdout) as {
      run: string
      outcome: string
    }[]
    expect(ended).toMatchObject({ outcome: 'cancelled', message: expect.stringContaining('was asked to stop by') })
    const id = ended?.run ?? ''
    expect(await json(folder, 'runs', 'show', id)).toMatchObject({
      outcome: 'cancelled',
      ranges: [{ dataset: '*', outcome: 'cancelled' }],
    })
    expect((await limn(folder, 'runs', 'show', id)).stdout).toContain(`run ${id}: cancelled`)
    expect((await limn(folder, 'runs', 'ls')).stdout).toContain('cancelled')
    const report = await json(folder, 'runs', 'retry', id)
    expect((report.datasets as { takenFrom: string | null }[]).map((one) => one.takenFrom)).toEqual([id, id, id])
  })

  it('is asked to stop, ends as interrupted, publishes nothing, and a backfill goes on later', async () => {
    lake = smallLake('runs')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    replaceIn(folder, 'datasets/silver/event.ts', ', amount FROM', ', amount * 2 AS amount FROM')
    const { child, ended } = start(
      process.execPath,
      [
        launcher,
        'backfill',
        'silver.event+',
        '--date',
        '2026-01',
        '--throttle',
        '30s',
        '--parallel',
        '1',
        '--approve',
        '--json',
      ],
      { cwd: folder },
    )
    let id = ''
    while (id === '' && child.exitCode === null) {
      await sleep(200)
      const all = JSON.parse((await limn(folder, 'backfill', 'ls', '--json')).stdout) as {
        backfill: string
        state: string
      }[]
      id = all.find((one) => one.state === 'building')?.backfill ?? ''
    }
    const asked = await limn(folder, 'runs', 'cancel', id)
    expect([asked.code, asked.stdout]).toEqual([0, expect.stringContaining(`limn backfill resume ${id}`)])
    const stopped = await ended
    expect([stopped.code, (JSON.parse(stopped.stdout) as { error: { kind: string } }).error.kind]).toEqual([
      130,
      'interrupted',
    ])
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event')).toBe(60)
    expect(await json(folder, 'backfill', 'resume', id, '--throttle', '0s')).toMatchObject({ outcome: 'published' })
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(120)
    expect((await limn(folder, 'runs', 'cancel', id)).code).toBe(2)
  })
})
