import { describe, expect, it } from 'vitest'
import { oneValue, runWithHook, writeDirectly } from '../support/hooked.ts'
import { limn } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

const silver = (id: number, at: string, amount: number) =>
  `SELECT ${id}::BIGINT AS id, TIMESTAMP '${at}' AS happened_at, ${amount}::INTEGER AS amount`

/** Lands a second delivery, and lets somebody else write to a table when the run reaches a step for the first time. */
async function runAgainst(
  folder: string,
  when: (name: string, edge: string, detail: string) => boolean,
  write: () => Promise<void>,
) {
  let done = false
  const report = await runWithHook(folder, async (name, edge, detail) => {
    if (done || !when(name, edge, detail)) return
    done = true
    await write()
  })
  expect(done).toBe(true)
  return report
}

const publishing = (name: string, edge: string, detail: string) =>
  name === 'state.change' && edge === 'before' && detail.endsWith('publishing')
const stages: readonly (readonly [string, (name: string, edge: string, detail: string) => boolean])[] = [
  [
    'before silver is staged',
    (name, edge, detail) => name === 'catalog.commit' && edge === 'before' && detail === 'silver.event',
  ],
  [
    'after silver is staged',
    (name, edge, detail) => name === 'catalog.commit' && edge === 'after' && detail === 'silver.event',
  ],
  [
    'after gold is staged',
    (name, edge, detail) => name === 'catalog.commit' && edge === 'after' && detail === 'gold.day',
  ],
  ['right before it publishes', publishing],
]

describe('a run whose tables others write meanwhile', () => {
  for (const [name, when] of stages) {
    it(`keeps an appended row of another day and rebuilds what reads it, when it comes ${name}`, async () => {
      using lake = smallLake('rebase')
      const { folder } = lake
      expect((await limn(folder, 'run')).code).toBe(0)
      deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
      const report = await runAgainst(folder, when, () =>
        writeDirectly(folder, 'silver.event', { kind: 'append', sql: silver(99, '2026-01-01 12:00:00', 7) }),
      )
      expect(report.outcome).toBe('published')
      expect(report.rebases).toBe(1)
      expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event')).toBe(72)
      expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(72)
      expect(await oneValue(folder, "SELECT events FROM gold.day WHERE day = '2026-01-01'")).toBe(2n)
    })

    it(`rebuilds an interval into which somebody appended, when it comes ${name}`, async () => {
      using lake = smallLake('rebase')
      const { folder } = lake
      expect((await limn(folder, 'run')).code).toBe(0)
      deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
      const report = await runAgainst(folder, when, () =>
        writeDirectly(folder, 'silver.event', { kind: 'append', sql: silver(99, '2026-01-03 12:00:00', 7) }),
      )
      expect(report.rebases).toBe(1)
      // The model says what an interval holds: the foreign row is not among it.
      expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event')).toBe(65)
      expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(65)
    })
  }

  it('keeps what somebody overwrote in another day, and gold follows', async () => {
    using lake = smallLake('rebase')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
    const report = await runAgainst(folder, publishing, () =>
      writeDirectly(folder, 'silver.event', {
        kind: 'overwrite',
        filter: 'id = 2',
        sql: silver(2, '2026-01-02 08:00:00', 21),
      }),
    )
    expect(report.outcome).toBe('published')
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event')).toBe(66)
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(66)
  })

  it('publishes gold again when gold itself was overwritten', async () => {
    using lake = smallLake('rebase')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
    const report = await runAgainst(folder, publishing, () =>
      writeDirectly(folder, 'gold.day', {
        kind: 'overwrite',
        filter: "day = '2026-01-03'",
        sql: "SELECT TIMESTAMP '2026-01-03' AS day, 0::BIGINT AS events, 0::BIGINT AS amount",
      }),
    )
    expect(report.outcome).toBe('published')
    expect(await oneValue(folder, "SELECT amount FROM gold.day WHERE day = '2026-01-03'")).toBe(35n)
  })

  it('appends its deliveries onto bronze rows somebody else appended', async () => {
    using lake = smallLake('rebase')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
    const row = `${silver(50, '2026-01-02 10:00:00', 1)}, 0 AS _delivery, 'by hand' AS _path, 'none' AS _run`
    const report = await runAgainst(folder, publishing, () =>
      writeDirectly(folder, 'bronze.event', { kind: 'append', sql: row }),
    )
    expect(report.outcome).toBe('published')
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(5)
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(66)
  })

  it('refuses when a foreign row breaks a hard check of the rebased state', async () => {
    using lake = smallLake('rebase')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
    const report = await runAgainst(folder, publishing, () =>
      writeDirectly(folder, 'silver.event', { kind: 'append', sql: silver(1, '2026-01-02 10:00:00', 1) }),
    )
    expect(report.outcome).toBe('refused')
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(60)
  })

  it('takes the write leases after three rebases, so that it publishes and writers wait', async () => {
    using lake = smallLake('rebase')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['4', '2026-01-03 09:00:00', '5']])
    const written: unknown[] = []
    const report = await runWithHook(folder, async (name, edge, detail) => {
      if (!publishing(name, edge, detail)) return
      const one = { kind: 'append' as const, sql: silver(100 + written.length, '2026-01-01 12:00:00', 1) }
      const refused = await writeDirectly(folder, 'silver.event', one, { writeWaitMs: 0 }).then(
        () => 'written',
        (error: { kind: string }) => error.kind,
      )
      written.push(refused)
    })
    expect([report.outcome, report.rebases]).toEqual(['published', 4])
    expect(written).toEqual(['written', 'written', 'written', 'written', 'lease/held'])
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(69)
    await writeDirectly(folder, 'silver.event', { kind: 'append', sql: silver(200, '2026-01-01 12:00:00', 1) })
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM silver.event')).toBe(70)
  })
})
