import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn } from '../support/lake.ts'
import { bronzeEvent, deliver, silverEvent, smallLake, writeLake } from '../support/small-lake.ts'

async function run(folder: string): Promise<{ readonly outcome?: string; readonly error?: { readonly kind: string } }> {
  return JSON.parse((await limn(folder, 'run', '--json')).stdout)
}
const amounts = (folder: string) => oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')

describe('deliveries', () => {
  it('count again when an earlier content of a path is restored', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    await run(folder)
    const first = readFileSync(join(folder, 'inbox', 'a.csv'))
    deliver(folder, 'a', [['1', '2026-01-01 08:00:00', '11']])
    await run(folder)
    expect(await amounts(folder)).toBe(11)
    writeFileSync(join(folder, 'inbox', 'a.csv'), first)
    await run(folder)
    expect(await amounts(folder)).toBe(60)
    expect(await oneValue(folder, 'SELECT max(_delivery) FROM bronze.event')).toBe(3)
  })

  it('are others when the same bytes come under another path', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    await run(folder)
    copyFileSync(join(folder, 'inbox', 'a.csv'), join(folder, 'inbox', 'b.csv'))
    expect((await run(folder)).outcome).toBe('published')
    // Silver keeps distinct events: nothing touches it, and nothing below is rebuilt.
    expect([await amounts(folder), await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')]).toEqual([
      60, 6,
    ])
    expect((await run(folder)).outcome).toBe('idle')
  })

  for (const [withdrawn, left] of [
    ['keep', 60],
    ['remove', 50],
  ] as const) {
    it(`of a vanished path ${withdrawn === 'keep' ? 'stay' : 'go'} when the source says ${withdrawn}`, async () => {
      using lake = smallLake('sources')
      const { folder } = lake
      deliver(folder, 'b', [['9', '2026-01-05 08:00:00', '10']])
      deliver(folder, 'a', [
        ['2', '2026-01-02 08:00:00', '20'],
        ['3', '2026-01-03 08:00:00', '30'],
      ])
      writeLake(folder, {
        'datasets/bronze/event.ts': bronzeEvent.replace(
          "format: 'csv' }",
          `format: 'csv', withdrawn: '${withdrawn}' }`,
        ),
      })
      await run(folder)
      expect(await amounts(folder)).toBe(60)
      rmSync(join(folder, 'inbox', 'b.csv'))
      expect((await run(folder)).outcome).toBe(withdrawn === 'keep' ? 'idle' : 'published')
      expect(await amounts(folder)).toBe(left)
      expect((await run(folder)).outcome).toBe('idle')
    })
  }

  it('that are missing from the start are an error, and nothing is made', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    renameSync(join(folder, 'inbox'), join(folder, 'elsewhere'))
    expect((await run(folder)).error?.kind).toBe('source/missing')
    expect((await limn(folder, 'table', 'ls', '--json')).stdout.trim()).toBe('[]')
  })

  it('of a function source are published with their cursor, or neither is', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    const source = (body: string) =>
      bronzeEvent
        .replace('import { files, ingest }', 'import { ingest, source }')
        .replace("files('inbox/*.csv', { format: 'csv' })", `source(async function* ({ cursor }) { ${body} })`)
    const row = (id: string) => `{ id: ${id}, happened_at: '2026-01-01T08:00:00', amount: 1 }`
    writeLake(folder, {
      'datasets/bronze/event.ts': source(
        `for (let n = Number(cursor ?? 0) + 1; n <= 2; n++) yield { rows: [${row('n')}], cursor: n }`,
      ),
    })
    await run(folder)
    expect(await amounts(folder)).toBe(2)
    writeLake(folder, {
      'datasets/bronze/event.ts': source(
        `yield { rows: [${row('Number(cursor) + 1')}], cursor: 3 }; throw new Error('the service is down')`,
      ),
    })
    expect((await run(folder)).error?.kind).toBe('source/failed')
    expect(await amounts(folder)).toBe(2)
    writeLake(folder, {
      'datasets/bronze/event.ts': source(`if (cursor === 2) yield { rows: [${row('7')}], cursor: 9 }`),
    })
    expect((await run(folder)).outcome).toBe('published')
    expect(await amounts(folder)).toBe(3)
    expect((await run(folder)).outcome).toBe('idle')
  })
})

describe('reject rules of a model', () => {
  it('move rows to quarantine by interval: read = kept + quarantined, also when an interval is built again', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    const model = silverEvent
      .replace(
        "grain: ['id'], keys: ['id'],",
        "grain: ['id'], keys: ['id'], rejects: [{ name: 'large', when: 'amount > 25', reason: 'too large' }], rejectBudget: { ratio: 1 },",
      )
      .replace("byInterval('happened_at', 'day', (", "byInterval('happened_at', 'day', { batch: 'month' }, (")
    writeLake(folder, { 'datasets/silver/event.ts': model })
    expect((await run(folder)).outcome).toBe('published')
    const quarantined = "SELECT string_agg(_scope || ' ' || reason, ', ' ORDER BY _scope) FROM silver.event_quarantine"
    expect([await amounts(folder), await oneValue(folder, quarantined)]).toEqual([30, '2026-01-03 too large'])
    deliver(folder, 'b', [
      ['4', '2026-01-03 09:00:00', '26'],
      ['5', '2026-01-01 09:00:00', '99'],
    ])
    await run(folder)
    expect(await oneValue(folder, quarantined)).toBe('2026-01-01 too large, 2026-01-03 too large, 2026-01-03 too large')
    expect(
      await oneValue(
        folder,
        'SELECT (SELECT count(*) FROM silver.event) + (SELECT count(*) FROM silver.event_quarantine)',
      ),
    ).toBe(5n)
    writeLake(folder, { 'datasets/silver/event.ts': silverEvent })
    await run(folder)
    expect([await amounts(folder), await oneValue(folder, 'SELECT count(*) FROM silver.event_quarantine')]).toEqual([
      185,
      0n,
    ])
  })

  it('are bounded by the budget', async () => {
    using lake = smallLake('sources')
    writeLake(lake.folder, {
      'datasets/silver/event.ts': silverEvent.replace(
        "keys: ['id'],",
        "keys: ['id'], rejects: [{ name: 'large', when: 'amount > 25' }],",
      ),
    })
    expect((await run(lake.folder)).error?.kind).toBe('source/over-reject-budget')
  })
})

describe('a definition', () => {
  it('that changes in words only rebuilds nothing; in meaning, everything; and columns come and go', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    await run(folder)
    const reworded = silverEvent
      .replace("owner: 'test'", "owner: 'somebody else'")
      .replace('SELECT DISTINCT id,', '-- a comment\n    select distinct   id,')
      .replace("doc: 'Amount.'", "doc: 'The amount.'")
    writeLake(folder, { 'datasets/silver/event.ts': reworded })
    expect((await run(folder)).outcome).toBe('idle')
    const grown = reworded
      .replace("amount: { type: 'int'", "twice: { type: 'long', doc: 'Double.' },\n    amount: { type: 'int'")
      .replace('happened_at, amount FROM', 'happened_at, amount, amount * 2 AS twice FROM')
    writeLake(folder, { 'datasets/silver/event.ts': grown })
    expect((await run(folder)).outcome).toBe('published')
    expect([await oneValue(folder, 'SELECT sum(twice)::INTEGER FROM silver.event'), await amounts(folder)]).toEqual([
      120, 60,
    ])
    writeLake(folder, { 'datasets/silver/event.ts': reworded })
    expect((await run(folder)).outcome).toBe('published')
    expect((await limn(folder, 'sql', 'SELECT twice FROM silver.event')).code).toBe(2)
  })

  it('whose checks change is judged on what is published', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    await run(folder)
    const stricter = (max: number) =>
      silverEvent.replace('edges: {', `checks: (check) => [check.between('amount', 0, ${max})],\n  edges: {`)
    writeLake(folder, { 'datasets/silver/event.ts': stricter(20) })
    expect((await run(folder)).outcome).toBe('refused')
    writeLake(folder, { 'datasets/silver/event.ts': stricter(100) })
    expect((await run(folder)).outcome).toBe('published')
    expect((await run(folder)).outcome).toBe('idle')
  })
})

describe('checks that change together with an input', () => {
  it('are judged although the input touches nothing of the dataset', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    await run(folder)
    copyFileSync(join(folder, 'inbox', 'a.csv'), join(folder, 'inbox', 'b.csv'))
    writeLake(folder, {
      'datasets/silver/event.ts': silverEvent.replace(
        'edges: {',
        "checks: (check) => [check.between('amount', 0, 20)],\n  edges: {",
      ),
    })
    expect((await run(folder)).outcome).toBe('refused')
  })
})

describe('what an unpublished run leaves', () => {
  it('can be looked at for a week, and is dropped by a later run', async () => {
    using lake = smallLake('sources')
    const { folder } = lake
    await run(folder)
    deliver(folder, 'b', [['1', '2026-01-02 09:00:00', '5']])
    const refused = JSON.parse((await limn(folder, 'run', '--json')).stdout) as { run: string; outcome: string }
    expect(refused.outcome).toBe('refused')
    const staged = await limn(
      folder,
      'sql',
      '--json',
      '--at',
      `run/${refused.run}`,
      'SELECT count(*) FROM silver.event',
    )
    expect(JSON.parse(staged.stdout)).toMatchObject({ rows: [[4]] })
    rmSync(join(folder, 'inbox', 'b.csv'))
    const refs = async () =>
      Object.keys(
        (JSON.parse((await limn(folder, 'table', 'show', 'silver.event', '--json')).stdout) as { refs: object }).refs,
      )
    expect(await refs()).toEqual(['main', `run/${refused.run}`])
    for (const days of [6, 8]) {
      await using later = await Lake.open({ cwd: folder, clock: { nowMs: () => Date.now() + days * 86_400_000 } })
      await later.run()
      expect(await refs()).toEqual(days === 6 ? ['main', `run/${refused.run}`] : ['main'])
    }
  })
})
