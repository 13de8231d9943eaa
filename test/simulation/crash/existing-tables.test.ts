import { afterAll, beforeAll, expect, it } from 'vitest'
import { landAirports, landMonth } from '../../../examples/flights/land.ts'
import { contentsOf } from '../../support/contents.ts'
import { expectWhole, killAtStep, type ReachedStep, recordSteps } from '../../support/crash.ts'
import { copyFlights, SavedLake, temporaryFolder } from '../../support/lake.ts'

const lake = temporaryFolder('crash-existing-tables')
const { folder } = lake
let saved: SavedLake
let before: Readonly<Record<string, string>> = {}
let steps: readonly ReachedStep[] = []
let after: Readonly<Record<string, string>> = {}

beforeAll(async () => {
  copyFlights(folder)
  landAirports(folder)
  await landMonth(folder, '2001-01', 200)
  await recordSteps(folder)
  before = await contentsOf(folder)
  await landMonth(folder, '2001-01', 150)
  saved = new SavedLake(folder)
  steps = await recordSteps(folder)
  after = await contentsOf(folder)
  process.stdout.write(`${steps.length} steps on existing tables\n`)
})
afterAll(() => {
  saved[Symbol.dispose]()
  lake[Symbol.dispose]()
})

it('a run on existing tables that is killed at any step leaves one complete state, and finishes when run again', async () => {
  expect(steps.length).toBeGreaterThan(100)
  for (const step of steps) {
    saved.restore()
    await killAtStep(folder, step.index)
    await expectWhole(folder, before, after)
  }
})
