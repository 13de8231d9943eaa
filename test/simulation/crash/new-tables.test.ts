import { afterAll, beforeAll, expect, it } from 'vitest'
import { landAirports, landMonth } from '../../../examples/flights/land.ts'
import { contentsOf } from '../../support/contents.ts'
import { expectWhole, killAtStep, type ReachedStep, recordSteps } from '../../support/crash.ts'
import { copyFlights, forgetLake, temporaryFolder } from '../../support/lake.ts'

const lake = temporaryFolder('crash-new-tables')
const { folder } = lake
let steps: readonly ReachedStep[] = []
let after: Readonly<Record<string, string>> = {}

beforeAll(async () => {
  copyFlights(folder)
  landAirports(folder)
  await landMonth(folder, '2001-01', 200)
  steps = await recordSteps(folder)
  after = await contentsOf(folder)
  process.stdout.write(`${steps.length} steps on new tables\n`)
})
afterAll(() => lake[Symbol.dispose]())

it('a run on new tables that is killed at any step leaves nothing or everything, and finishes when run again', async () => {
  expect(steps.length).toBeGreaterThan(100)
  for (const step of steps) {
    forgetLake(folder)
    await killAtStep(folder, step.index)
    await expectWhole(folder, {}, after)
  }
})
