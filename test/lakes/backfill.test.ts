import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { oneValue, writeDirectly } from '../support/hooked.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { deliver, smallLake, writeLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder> | null = null
afterEach(() => {
  lake?.[Symbol.dispose]()
  lake = null
})

interface Told {
  readonly why?: string
  readonly backfill: string
  readonly outcome: string
  readonly datasets: readonly { dataset: string; steps: number; built: number; rows: number }[]
  readonly changes:
    | readonly {
        dataset: string
        beyond: readonly { interval: { start: string } | null; beyond: readonly string[] }[]
        diff: { intervals: readonly { interval: { start: string }; added: number; removed: number; changed: number }[] }
      }[]
    | null
  readonly error?: { readonly kind: string; readonly message: string; readonly remedy: string }
}

/** A lake of three days, published; then silver's definition is corrected. */
async function wrongLake(change = 'amount * 2 AS amount'): Promise<string> {
  lake = smallLake('backfill')
  expect((await limn(lake.folder, 'run')).code).toBe(0)
  redefine(lake.folder, change)
  return lake.folder
}

const silver = 'datasets/silver/event.ts'

function redefine(folder: string, change: string, from = /, amount( \* \d AS amount)? FROM/): void {
  const text = readFileSync(join(folder, silver), 'utf8')
  expect(text).toMatch(from)
  writeFileSync(join(folder, silver), text.replace(from, `, ${change} FROM`))
}

const month = ['--date', '2026-01'] as const

async function backfill(folder: string, ...args: readonly string[]): Promise<Told & { readonly code: number | null }> {
  const ended = await limn(folder, 'backfill', ...args, '--json')
  return { ...(JSON.parse(ended.stdout) as Told), code: ended.code }
}

const sums = async (folder: string) => [
  await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event'),
  await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day'),
]

describe('limn backfill', () => {
  it('builds on branches, waits with exit code 3, is queried at its branch, and publishes when approved', async () => {
    const folder = await wrongLake()
    const waiting = await backfill(folder, 'silver.event+', ...month)
    expect([waiting.code, waiting.outcome]).toEqual([3, 'waiting'])
    expect(waiting.datasets.map((one) => [one.dataset, one.steps, one.built])).toEqual([
      ['silver.event', 3, 3],
      ['gold.day', 3, 3],
    ])
    expect(await sums(folder)).toEqual([60, 60])
    const at = await limn(
      folder,
      'sql',
      '--json',
      '--at',
      `backfill/${waiting.backfill}`,
      'SELECT sum(amount)::INT FROM gold.day',
    )
    expect(JSON.parse(at.stdout)).toMatchObject({ rows: [[120]] })
    const approved = await backfill(folder, 'approve', waiting.backfill)
    expect([approved.code, approved.outcome]).toEqual([0, 'published'])
    expect(approved.datasets.map((one) => one.built)).toEqual([0, 0])
    expect(await sums(folder)).toEqual([120, 120])
    const rows = "SELECT count(*)::INTEGER FROM limn.run WHERE outcome = 'built' AND reason = "
    expect(await oneValue(folder, `${rows}'backfill: ${waiting.backfill}'`)).toBe(6)
    expect(JSON.parse((await limn(folder, 'run', '--json')).stdout)).toMatchObject({ outcome: 'idle' })
    expect((await backfill(folder, 'approve', waiting.backfill)).error?.kind).toBe('usage/argument')
  })

  it('shows per interval what changes, and by what it passes the tolerance', async () => {
    const folder = await wrongLake('CASE WHEN id = 2 THEN 21 ELSE amount END::INTEGER AS amount')
    const told = await backfill(folder, 'silver.event+', ...month, '--diff')
    const change = told.changes?.find((one) => one.dataset === 'silver.event')
    expect(change?.diff.intervals).toMatchObject([
      { interval: { start: '2026-01-02T00:00:00' }, added: 0, removed: 0, changed: 1 },
    ])
    expect(change?.beyond).toEqual([
      {
        interval: expect.objectContaining({ start: '2026-01-02T00:00:00' }),
        beyond: ['100 % of the rows differ, 0 % may'],
      },
    ])
  })

  it('publishes by itself what lies within the tolerance of every dataset, and nothing beyond it', async () => {
    const folder = await wrongLake('(amount + CASE WHEN id = 2 THEN 1 ELSE 0 END)::INTEGER AS amount')
    for (const file of [silver, 'datasets/gold/day.ts']) {
      const text = readFileSync(join(folder, file), 'utf8')
      writeFileSync(join(folder, file), text.replace('  build:', '  tolerance: { sums: { amount: 0.05 } },\n  build:'))
    }
    expect((await backfill(folder, 'silver.event+', ...month)).outcome).toBe('published')
    expect(await sums(folder)).toEqual([61, 61])
    redefine(folder, 'amount * 2 AS amount', /, \(amount .* AS amount FROM/)
    const beyond = await backfill(folder, 'silver.event+', ...month)
    expect(beyond.outcome).toBe('waiting')
    expect(beyond.changes?.[0]?.beyond[0]?.beyond).toEqual(['the sum of amount moves by 100 %, 5 % may'])
  })

  it('builds again what changed since it was approved, and waits once more', async () => {
    const folder = await wrongLake()
    const waiting = await backfill(folder, 'silver.event+', ...month)
    deliver(folder, 'late', [['9', '2026-01-02 09:00:00', '5']])
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    const again = await backfill(folder, 'approve', waiting.backfill)
    expect([again.code, again.outcome]).toEqual([3, 'waiting'])
    expect(again.why).toContain('has to be looked at again')
    expect(again.datasets.map((one) => one.built)).toEqual([1, 1])
    expect((await backfill(folder, 'approve', waiting.backfill)).outcome).toBe('published')
    expect(await sums(folder)).toEqual([130, 130])
  })

  it('waits once more when somebody wrote into what it replaces, and is approved over a compaction', async () => {
    const folder = await wrongLake()
    const waiting = await backfill(folder, 'silver.event+', ...month)
    const row = (id: number) =>
      `SELECT ${id}::BIGINT AS id, TIMESTAMP '2026-01-02 12:00:00' AS happened_at, 7::INTEGER AS amount`
    await writeDirectly(folder, 'silver.event', { kind: 'append', sql: row(50) })
    expect((await backfill(folder, 'approve', waiting.backfill)).outcome).toBe('waiting')
    expect((await limn(folder, 'table', 'compact', 'silver.event')).code).toBe(0)
    const approved = await backfill(folder, 'approve', waiting.backfill)
    expect([approved.outcome, approved.datasets.map((one) => one.built)]).toEqual(['published', [0, 0]])
    expect(await sums(folder)).toEqual([120, 120])
  })

  it('stops before it writes more rows than its budget, and goes on with a larger one', async () => {
    const folder = await wrongLake()
    const stopped = await backfill(folder, 'silver.event+', ...month, '--budget-rows', '4', '--parallel', '1')
    expect([stopped.code, stopped.error?.kind]).toEqual([1, 'backfill/over-budget'])
    const id = /resume (\S+)/.exec(stopped.error?.remedy ?? '')?.[1] ?? ''
    const shown = JSON.parse((await limn(folder, 'backfill', 'show', id, '--json')).stdout) as Told
    expect(shown.datasets).toMatchObject([
      { done: 3, rows: 3 },
      { done: 1, rows: 1 },
    ])
    const resumed = await backfill(folder, 'resume', id, '--budget-rows', '100', '--approve')
    expect([resumed.outcome, resumed.datasets.map((one) => one.built)]).toEqual(['published', [0, 2]])
  })

  it('samples the same intervals every time, shows them and never publishes them', async () => {
    const folder = await wrongLake()
    const first = await backfill(folder, 'silver.event+', ...month, '--sample', '40%')
    const second = await backfill(folder, 'silver.event+', ...month, '--sample', '40%')
    const starts = (told: Told) => told.changes?.map((one) => one.diff.intervals.map((each) => each.interval.start))
    expect([first.code, first.outcome, starts(second)]).toEqual([0, 'sampled', starts(first)])
    expect(starts(first)?.[0]?.length).toBeLessThan(3)
    expect((await backfill(folder, 'approve', first.backfill)).outcome).toBe('sampled')
    expect(await sums(folder)).toEqual([60, 60])
    expect((await limn(folder, 'backfill', 'silver.event', ...month, '--sample', '0.1', '--approve')).code).toBe(2)
  })

  it('keeps going past a step that fails when told to, leaves out what reads it, and mends with resume', async () => {
    const folder = await wrongLake("CASE WHEN id = 2 THEN error('no amount') ELSE amount END::INTEGER AS amount")
    const fast = await limn(folder, 'backfill', 'silver.event+', ...month, '--parallel', '1')
    expect([fast.code, fast.stderr]).toEqual([1, expect.stringContaining('limn backfill resume')])
    const failed = await backfill(folder, 'silver.event+', ...month, '--keep-going')
    expect(failed).toMatchObject({
      code: 1,
      outcome: 'failed',
      failures: [{ dataset: 'silver.event', interval: { start: '2026-01-02T00:00:00' } }],
      skipped: ['gold.day'],
    })
    redefine(folder, 'amount * 2 AS amount', /, CASE .* AS amount FROM/)
    expect((await backfill(folder, 'resume', failed.backfill, '--approve')).outcome).toBe('published')
    expect(await sums(folder)).toEqual([120, 120])
  })

  it('is refused by the gate like a run, and discarded without a trace', async () => {
    const folder = await wrongLake('-amount AS amount')
    const text = readFileSync(join(folder, silver), 'utf8')
    writeFileSync(
      join(folder, silver),
      text.replace('  build:', "  checks: (check) => [check.between('amount', 0, 1000)],\n  build:"),
    )
    const refused = await backfill(folder, 'silver.event+', ...month, '--approve')
    expect([refused.code, refused.outcome]).toEqual([3, 'refused'])
    expect((refused as unknown as { look: string[] }).look[0]).toContain('"amount" < 0')
    expect(await sums(folder)).toEqual([60, 60])
    expect((await backfill(folder, 'discard', refused.backfill)).outcome).toBe('discarded')
    const refs = await limn(folder, 'sql', '--json', "SELECT name FROM silver.event.refs WHERE name LIKE '%backfill%'")
    expect(JSON.parse(refs.stdout)).toMatchObject({ rows: [] })
    expect((await backfill(folder, 'resume', refused.backfill)).error?.kind).toBe('usage/argument')
  })

  it('makes a table that nobody has published, its rejected rows beside it, in the commit that publishes it', async () => {
    lake = smallLake('backfill-new')
    const { folder } = lake
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    const text = readFileSync(join(folder, silver), 'utf8')
    writeFileSync(
      join(folder, silver),
      text.replace(
        '  build:',
        "  rejects: [{ name: 'small', when: 'amount < 15' }],\n  rejectBudget: { ratio: 1 },\n  build:",
      ),
    )
    const waiting = await backfill(folder, 'silver.event+', ...month)
    expect(waiting.outcome).toBe('waiting')
    const tables = async () =>
      (JSON.parse((await limn(folder, 'table', 'ls', '--json')).stdout) as { table: string }[]).map((one) => one.table)
    expect(await tables()).toEqual(['bronze.event', 'limn.check_result', 'limn.definition', 'limn.run'])
    expect((await backfill(folder, 'approve', waiting.backfill)).outcome).toBe('published')
    expect(await tables()).toContain('silver.event_quarantine')
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM silver.event_quarantine')).toBe(1)
    expect(await sums(folder)).toEqual([50, 50])
    expect(JSON.parse((await limn(folder, 'run', '--json')).stdout)).toMatchObject({ outcome: 'idle' })
  })

  it('carries a column that the definition adds', async () => {
    const folder = await wrongLake('amount * 2 AS amount, 1 AS weight')
    const text = readFileSync(join(folder, silver), 'utf8')
    const column = "    weight: { type: 'int', doc: 'Weight.', nulls: 'not weighed' },\n  },\n  build"
    writeFileSync(join(folder, silver), text.replace('  },\n  build', column))
    const waiting = await backfill(folder, 'silver.event+', ...month)
    expect(waiting.outcome).toBe('waiting')
    expect((await limn(folder, 'sql', 'SELECT weight FROM silver.event')).code).not.toBe(0)
    expect((await backfill(folder, 'approve', waiting.backfill)).outcome).toBe('published')
    expect(await oneValue(folder, 'SELECT sum(weight)::INTEGER FROM silver.event')).toBe(3)
  })

  it('names what is missing: a range, a selection, a backfill', async () => {
    const folder = await wrongLake()
    expect((await backfill(folder, 'silver.event')).error?.message).toContain('range')
    expect((await backfill(folder, 'bronze.event', ...month)).error?.kind).toBe('usage/empty-selection')
    expect((await backfill(folder, 'show', '20260131T120000-00abcd')).error?.kind).toBe('usage/unknown-backfill')
    expect((await backfill(folder, 'silver.event', '--date', '1999')).outcome).toBe('nothing')
    writeLake(folder, {})
  })
})
