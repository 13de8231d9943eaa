import { expect } from 'vitest'
import {
  approveIt,
  bury,
  contents,
  dayCount,
  definitionsSeen,
  goOn,
  type Meeting,
  meet,
  type Neighbour,
  oracle,
  type Place,
  rowsOf,
  visits,
  withLake,
} from './backfill-world.ts'

/** What has to hold of a backfill that dies or is paused at a step, whatever else goes on. Each case starts from a fresh copy. */

const all = (definition: string) => Array<string>(dayCount).fill(definition)

/** Publications of a backfill, by the ledger: each run that wrote rows for it. */
async function publications(folder: string): Promise<number> {
  const sql =
    "SELECT count(DISTINCT run_id)::INTEGER FROM limn.run WHERE reason LIKE 'backfill: %' AND outcome = 'built'"
  return Number((await rowsOf(folder, sql))[0]?.[0])
}

/** The daily run of everything brings the rest to the new definition; then all equals the deliveries, by the oracle. */
async function expectOracle(folder: string, done: readonly Neighbour[]): Promise<void> {
  await withLake(folder, undefined, (lake) => lake.run())
  expect(await contents(folder)).toEqual(oracle(done))
}

/** Dies at a place with its approval given: readers see all of it or nothing; another process finishes it, once. */
export async function diesApproved(folder: string, place: Place, draw: (below: number) => number): Promise<void> {
  const met = await meet(folder, {
    approved: true,
    end: { at: place, how: 'dies' },
    others: visits(place.index, draw),
  })
  expect([place, failureOf(met.result)]).toEqual([place, 'stopped'])
  bury(folder)
  const seen = await definitionsSeen(folder)
  expect([all('old'), all('new')]).toContainEqual(seen)
  const before = await publications(folder)
  expect(before).toBe(seen[0] === 'new' ? 1 : 0)
  // A backfill that had said it was published, or had not yet been recorded, leaves nothing to go on with.
  const report = await goOn(folder, true)
  expect([place, report.outcome.kind]).toEqual([place, 'published'])
  expect(await definitionsSeen(folder)).toEqual(all('new'))
  expect(await refsLeft(folder)).toEqual([])
  await expectOracle(folder, met.done)
}

/** Dies without approval: nothing is published by it or by whoever goes on, until somebody approves. */
export async function diesUnapproved(folder: string, place: Place, draw: (below: number) => number): Promise<void> {
  const met = await meet(folder, {
    approved: false,
    end: { at: place, how: 'dies' },
    others: visits(place.index, draw),
  })
  expect([place, failureOf(met.result)]).toEqual([place, 'stopped'])
  bury(folder)
  expect(await definitionsSeen(folder)).toEqual(all('old'))
  const resumed = await goOn(folder, false)
  expect([place, resumed.outcome.kind]).toEqual([place, 'waiting'])
  expect([await definitionsSeen(folder), await publications(folder)]).toEqual([all('old'), 0])
  const approved = await approveIt(folder)
  expect([place, approved.outcome.kind]).toEqual([place, 'published'])
  expect(await definitionsSeen(folder)).toEqual(all('new'))
  await expectOracle(folder, met.done)
}

/** Is paused at a place until another process has taken over and finished: when it wakes it changes nothing. */
export async function pausesAndWakes(folder: string, place: Place, draw: (below: number) => number): Promise<void> {
  const met = await meet(folder, {
    approved: true,
    end: { at: place, how: 'pauses' },
    others: visits(place.index, draw),
  })
  expect([place, failureOf(met.result)]).toEqual([place, 'stopped'])
  const hadPublished = (await publications(folder)) === 1
  bury(folder)
  const report = await goOn(folder, true)
  expect([place, report.outcome.kind]).toEqual([place, 'published'])
  const before = await contents(folder)
  met.wake()
  const woken = await met.ended
  expect(await contents(folder)).toEqual(before)
  expect(await publications(folder)).toBe(1)
  // One that wakes before it has begun is told that the backfill has ended.
  const told = expect.stringMatching(/^(run\/fenced|lease\/lost|usage\/argument)$/)
  if (!hadPublished) expect([place, failureOf(woken)]).toEqual([place, told])
  await expectOracle(folder, met.done)
}

/** How a process ended, in a word that a failing case can be read by. */
function failureOf(result: Meeting['result']): string {
  switch (result.kind) {
    case 'stopped':
      return 'stopped'
    case 'ended':
      return `ended ${result.report.outcome.kind}`
    case 'threw': {
      const { error } = result
      return error instanceof Error && 'kind' in error ? String(error.kind) : String(error)
    }
  }
}

/** Branches of backfills and pins that are still in the tables; a run that died keeps its own for a week. */
async function refsLeft(folder: string): Promise<readonly string[]> {
  return withLake(folder, undefined, async (lake) => {
    const tables = await lake.catalog.loadTables(await lake.catalog.listTables())
    return [...tables.values()].flatMap((one) =>
      Object.keys(one?.metadata.refs ?? {}).filter((ref) => ref !== 'main' && !ref.startsWith('run/')),
    )
  })
}
