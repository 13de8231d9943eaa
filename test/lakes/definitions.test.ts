import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/dist/base/index.js'
import { ledgerOf } from '../../packages/limn/dist/lake/index.js'
import { definitionOf } from '../../packages/limn/dist/pipeline/index.js'
import { limn } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

/** Runs in a process of its own, which loads the definitions as they are now. */
async function ran(folder: string): Promise<string> {
  const ended = await limn(folder, 'run', '--json')
  expect(ended.code, ended.stdout).toBe(0)
  return (JSON.parse(ended.stdout) as { run: string }).run
}

describe('definitions', () => {
  it('are remembered with the first use of a fingerprint or of checks, and once', async () => {
    using made = smallLake('definitions')
    const gold = join(made.folder, 'datasets/gold/day.ts')
    const day = tableId('gold.day')
    const rows = async (lake: Lake) => {
      const context = await lake.context(await lake.loadProject())
      const used = (await ledgerOf(lake)).filter((row) => row.fingerprint !== '')
      const found = await Promise.all(used.map((row) => definitionOf(context, row.dataset as TableId, row.fingerprint)))
      expect(found.every((one, i) => one?.fingerprint === used[i]?.fingerprint)).toBe(true)
      const last = used.findLast((row) => row.dataset === day)
      return { fingerprint: last?.fingerprint ?? '', one: await definitionOf(context, day, last?.fingerprint ?? '') }
    }
    {
      await using lake = await Lake.open({ cwd: made.folder })
      const run = await ran(made.folder)
      const { one } = await rows(lake)
      expect(one).toMatchObject({ run, producer: { kind: 'model', build: 'interval' }, shape: { unit: 'day' } })
      expect(one?.sql).toContain('$interval_start')
      expect(one?.contract.columns.amount?.type).toBe('long')
    }
    writeFileSync(gold, readFileSync(gold, 'utf8').replace('count(*) AS events', 'count(id) AS events'))
    {
      await using lake = await Lake.open({ cwd: made.folder })
      const run = await ran(made.folder)
      const { one } = await rows(lake)
      expect(one).toMatchObject({ run })
      expect(one?.sql).toContain('count(id)')
    }
    writeFileSync(
      gold,
      readFileSync(gold, 'utf8').replace('checks: (check) => [', 'checks: (check) => [check.notNull("day"), '),
    )
    deliver(made.folder, 'b', [['4', '2026-01-04 08:00:00', '40']])
    {
      await using lake = await Lake.open({ cwd: made.folder })
      await ran(made.folder)
      const { one } = await rows(lake)
      expect(one?.contract.checks.map((check) => check.kind)).toEqual(['notNull', 'reconcile'])
      const context = await lake.context()
      expect(await definitionOf(context, day, 'unheard of')).toBeNull()
    }
  })
})
