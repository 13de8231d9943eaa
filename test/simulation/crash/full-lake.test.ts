import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { landAll, landJuneAgain } from '../../../examples/flights/land.ts'
import { contentsOf } from '../../support/contents.ts'
import { expectWhole, killAfter, recordSteps } from '../../support/crash.ts'
import { copyFlights, SavedLake, temporaryFolder } from '../../support/lake.ts'

/** Seed of the random moments; printed so that a failure can be repeated. */
const seed = Number(process.env.LIMN_SEED ?? 20010610)

/** Deterministic numbers in [0, 1): a multiplicative congruential generator is enough to pick moments. */
function* moments(count: number): Generator<number> {
  let state = seed % 2_147_483_647
  for (let i = 0; i < count; i++) {
    state = (state * 48_271) % 2_147_483_647
    yield state / 2_147_483_647
  }
}

describe('a run of the full lake, killed at 25 random moments', () => {
  const lake = temporaryFolder('crash-full')
  const { folder } = lake
  let saved: SavedLake
  let before: Readonly<Record<string, string>> = {}
  let after: Readonly<Record<string, string>> = {}
  let took = 0

  beforeAll(async () => {
    copyFlights(folder)
    await landAll(folder)
    await recordSteps(folder)
    before = await contentsOf(folder)
    await landJuneAgain(folder)
    saved = new SavedLake(folder)
    const began = performance.now()
    await recordSteps(folder)
    took = performance.now() - began
    after = await contentsOf(folder)
    process.stdout.write(`25 moments of ${Math.round(took)} ms, seed ${seed}\n`)
  })
  afterAll(() => {
    saved[Symbol.dispose]()
    lake[Symbol.dispose]()
  })

  it('leaves one complete state each time, and finishes when run again', async () => {
    let killed = 0
    for (const moment of moments(25)) {
      saved.restore()
      if (await killAfter(folder, 100 + moment * took)) killed++
      await expectWhole(folder, before, after)
    }
    expect(killed).toBeGreaterThan(10)
  })
})
