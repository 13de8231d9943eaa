import { describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn } from '../support/lake.ts'
import { bronzeEvent, goldDay, silverEvent, smallLake, writeLake } from '../support/small-lake.ts'

/** The three datasets again under other namespaces, each group with a source of its own. */
function addGroups(folder: string, names: readonly string[]): void {
  for (const name of names) {
    const renamed = (text: string) =>
      text
        .replaceAll(/(bronze|silver|gold)\.(event|day)/g, `${name}_$1.$2`)
        .replaceAll(/\.\.\/(bronze|silver)\//g, `../${name}_$1/`)
    writeLake(folder, {
      [`datasets/${name}_bronze/event.ts`]: renamed(bronzeEvent),
      [`datasets/${name}_silver/event.ts`]: renamed(silverEvent),
      [`datasets/${name}_gold/day.ts`]: renamed(goldDay),
    })
  }
}

describe('runs of different datasets', () => {
  it('publish at once, from as many processes, and lose no row of the ledger', async () => {
    using lake = smallLake('side-by-side')
    const { folder } = lake
    const names = ['a', 'b', 'c', 'd']
    addGroups(folder, names)
    // The first run makes the ledger: all five want to.
    const groups = ['gold.day', ...names.map((name) => `${name}_gold.day`)]
    const ended = await Promise.all(groups.map((group) => limn(folder, 'run', '--json', `+${group}`)))
    expect(ended.map((one) => [one.code, one.stderr])).toEqual(groups.map(() => [0, '']))
    const runs = ended.map((one) => (JSON.parse(one.stdout) as { run: string; outcome: string }).run)
    expect(new Set(runs).size).toBe(5)
    // One delivery, three days of silver and three of gold for each.
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM limn.run')).toBe(5 * 7)
    expect(await oneValue(folder, 'SELECT count(DISTINCT seq)::INTEGER FROM limn.run')).toBe(5 * 7)
    expect(await oneValue(folder, 'SELECT max(seq)::INTEGER FROM limn.run')).toBe(5 * 7)
    for (const group of groups) expect(await oneValue(folder, `SELECT sum(amount)::INTEGER FROM ${group}`)).toBe(60)
    expect(JSON.parse((await limn(folder, 'run', '--json')).stdout)).toMatchObject({
      outcome: 'idle',
      recovery: { abandoned: [] },
    })
  })

  it('of overlapping datasets are one after the other: one waits, or is told who holds what', async () => {
    using lake = smallLake('side-by-side')
    const { folder } = lake
    const [first, second] = await Promise.all([
      limn(folder, 'run', '--json', '--wait', '60s'),
      limn(folder, 'run', '--json', '--wait', '60s', '+silver.event'),
    ])
    expect([first.code, second.code]).toEqual([0, 0])
    expect(await oneValue(folder, "SELECT count(*)::INTEGER FROM limn.run WHERE outcome = 'landed'")).toBe(1)
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(60)
  })
})
