import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { diesApproved, diesUnapproved, pausesAndWakes } from '../support/backfill-cases.ts'
import { makeWorld, oneOfEach, type Place, placesOf } from '../support/backfill-world.ts'
import { draws } from '../support/hostile.ts'
import { SavedLake, type temporaryFolder } from '../support/lake.ts'

/** Some of what `test/simulation/crash/backfill.test.ts` does at every kind of step. `LIMN_SEED` repeats a history. */
const seed = Number(process.env.LIMN_SEED ?? 30)
const draw = draws(seed)

let world: ReturnType<typeof temporaryFolder>
let saved: SavedLake
let places: readonly Place[] = []

beforeAll(async () => {
  world = await makeWorld('backfill-crash')
  saved = new SavedLake(world.folder)
  places = await placesOf(world.folder, true)
  process.stdout.write(`${places.length} steps, seed ${seed}\n`)
})
afterAll(() => {
  saved[Symbol.dispose]()
  world[Symbol.dispose]()
})

/** Some place of a kind. */
function placeOf(kind: string): Place {
  const [place] = oneOfEach(
    places.filter((one) => one.kind === kind),
    draw,
  )
  if (!place) throw new Error(`There is no step "${kind}".`)
  return place
}

const publishing = 'silver.event gold.day bronze.event limn.run limn.check_result'

describe(`a backfill of thirty days beside a daily run, a compaction and an append (seed ${seed})`, () => {
  for (const step of [
    'catalog.commit before gold.day',
    `catalog.commit after ${publishing}`,
    'file.put after data × #',
  ]) {
    it(`that dies at ${step} is finished by another process, and readers never see a part of it`, async () => {
      saved.restore()
      await diesApproved(world.folder, placeOf(step), draw)
    })
  }

  it('that dies unapproved publishes nothing until it is approved', async () => {
    saved.restore()
    await diesUnapproved(world.folder, placeOf('catalog.commit after silver.event'), draw)
  })

  for (const step of [
    `catalog.commit before ${publishing}`,
    'state.change before run # publishing',
    'catalog.commit before silver.event',
  ]) {
    it(`that is paused at ${step} is fenced when it wakes`, async () => {
      saved.restore()
      await pausesAndWakes(world.folder, placeOf(step), draw)
    })
  }

  it('reaches the steps that these cases name', () => {
    expect(new Set(places.map((place) => place.kind)).size).toBeGreaterThan(40)
  })
})
