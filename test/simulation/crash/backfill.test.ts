import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { diesApproved, diesUnapproved, pausesAndWakes } from '../../support/backfill-cases.ts'
import { makeWorld, oneOfEach, type Place, placesOf } from '../../support/backfill-world.ts'
import { draws } from '../../support/hostile.ts'
import { SavedLake, type temporaryFolder } from '../../support/lake.ts'

/**
 * A backfill of thirty days, three at once, while a daily run with late rows, a compaction and a person's append come by at steps
 * that the seed chooses: it dies at a step of every kind, with its approval or without, or is paused at one and wakes too late.
 */
const seed = Number(process.env.LIMN_SEED ?? 20260131)
const draw = draws(seed)

let world: ReturnType<typeof temporaryFolder>
let saved: SavedLake
let places: readonly Place[] = []
/** How often a backfill that ends waiting for approval reaches each kind of step. */
const unapproved = new Map<string, number>()
let began = 0

beforeAll(async () => {
  began = performance.now()
  world = await makeWorld('backfill-crash-long')
  saved = new SavedLake(world.folder)
  for (const { kind } of await placesOf(world.folder, false)) unapproved.set(kind, (unapproved.get(kind) ?? 0) + 1)
  saved.restore()
  places = await placesOf(world.folder, true)
  process.stdout.write(`${places.length} steps of ${new Set(places.map((one) => one.kind)).size} kinds, seed ${seed}\n`)
})
afterAll(() => {
  process.stdout.write(`backfill crash proof: ${Math.round((performance.now() - began) / 1000)} s\n`)
  saved[Symbol.dispose]()
  world[Symbol.dispose]()
})

describe(`a backfill beside a daily run, a compaction and an append (seed ${seed})`, () => {
  it('that dies at a step of any kind is finished by another process, published once and whole, and never without approval', async () => {
    const chosen = oneOfEach(places, draw)
    expect(chosen.length).toBeGreaterThan(40)
    for (const [i, place] of chosen.entries()) {
      saved.restore()
      // Visitors move a few steps: only what it reaches well before it waits is a place to die at.
      const reached = place.nth < (unapproved.get(place.kind) ?? 0) / 2
      if (i % 2 === 1 && reached) await diesUnapproved(world.folder, place, draw)
      else await diesApproved(world.folder, place, draw)
    }
  })

  it('that is paused, taken over and woken changes nothing any more', async () => {
    const chosen = oneOfEach(places, draw).filter((place) => /^(catalog|state|file\.put)/.test(place.kind))
    for (let i = 0; i < 8; i++) {
      const place = chosen[draw(chosen.length)]
      if (!place) continue
      saved.restore()
      await pausesAndWakes(world.folder, place, draw)
    }
  })
})
