import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lake } from 'limn'
import { afterEach, describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder> | null = null
afterEach(() => {
  lake?.[Symbol.dispose]()
  lake = null
})

const silver = 'datasets/silver/event.ts'

function judgeAmounts(folder: string, max: number): void {
  const file = join(folder, silver)
  const text = readFileSync(file, 'utf8').replace(/\n {2}checks:.*/, '')
  writeFileSync(
    file,
    text.replace(
      "'happened_at' } },",
      `'happened_at' } },\n  checks: (check) => [check.between('amount', 0, ${max})],`,
    ),
  )
}

describe('checks that are new', () => {
  it('judge every row, also in a run that builds some of them anew', async () => {
    lake = smallLake('gate')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    // The 3rd of January has 30; only the 4th is built.
    judgeAmounts(folder, 25)
    deliver(folder, 'b', [['4', '2026-01-04 08:00:00', '5']])
    const refused = await limn(folder, 'run', '--json')
    expect(refused.code).toBe(3)
    expect(JSON.parse(refused.stdout).verdicts).toContainEqual(
      expect.objectContaining({ dataset: 'silver.event', failures: 1, judged: 4 }),
    )
    judgeAmounts(folder, 35)
    const published = JSON.parse((await limn(folder, 'run', '--json')).stdout)
    expect(published.outcome).toBe('published')
    expect(JSON.parse((await limn(folder, 'run', '--json')).stdout).outcome).toBe('idle')
  })

  it('are not taken for passed by rows that others published while they judged', async () => {
    lake = smallLake('gate')
    const { folder } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    deliver(folder, 'b', [['4', '2026-01-04 08:00:00', '50']])
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    // A backfill that knows the former checks publishes the 4th while a run judges the days before by the new ones.
    const former = readFileSync(join(folder, silver), 'utf8')
    judgeAmounts(folder, 35)
    let published: number | null = null
    await using judging = await Lake.open({
      cwd: folder,
      steps: {
        reach: async (name, edge, detail) => {
          if (published !== null || name !== 'state.change' || edge !== 'before' || !detail.endsWith(' running')) return
          writeFileSync(join(folder, silver), former)
          published = (await limn(folder, 'backfill', 'silver.event', '--date', '2026-01-04', '--approve')).code
          judgeAmounts(folder, 35)
        },
      },
    })
    const day = (text: string) => Date.parse(text) * 1000
    const range = { start: day('2026-01-01'), end: day('2026-01-03') }
    expect((await judging.run({ select: ['silver.event'], range })).outcome).toBe('published')
    expect(published).toBe(0)
    expect(await oneValue(folder, 'SELECT max(amount) FROM silver.event')).toBe(50)
    expect((await limn(folder, 'run', 'silver.event')).code).toBe(3)
  })
})
