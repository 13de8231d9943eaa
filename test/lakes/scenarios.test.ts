import { afterAll, beforeAll, describe, it } from 'vitest'
import { lakeFacts } from '../pipeline/scenarios/all.ts'
import { Places, play } from '../support/scenario-play.ts'

/** This many are played side by side: most of the time is spent waiting for files to be durable. */
const sideBySide = 4

describe.concurrent('scenarios of another planner, on lakes', () => {
  let places: Places
  beforeAll(async () => {
    places = await Places.prepare(sideBySide)
  })
  afterAll(() => places[Symbol.dispose]())

  it.each(lakeFacts.map((one) => [`${one.says} (${one.verdict.kind})`, one] as const))('%s', (_, scenario) =>
    places.use((folder) => play(folder, scenario)),
  )
})
