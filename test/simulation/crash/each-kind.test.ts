import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { landAirports, landMonth } from '../../../examples/flights/land.ts'
import { contentsOf } from '../../support/contents.ts'
import {
  expectWhole,
  killAfter,
  killAtStep,
  oneOfEachKind,
  type ReachedStep,
  recordSteps,
} from '../../support/crash.ts'
import { copyFlights, forgetLake, limn, SavedLake, temporaryFolder } from '../../support/lake.ts'

/** Rows of the month that are landed: every so-manieth. The second delivery differs in all of them. */
const first = 200
const second = 150

describe('a run that is killed', () => {
  const fresh = temporaryFolder('crash-new')
  const grown = temporaryFolder('crash-existing')
  let saved: SavedLake
  let newSteps: readonly ReachedStep[] = []
  let newResult: Readonly<Record<string, string>> = {}
  let oldResult: Readonly<Record<string, string>> = {}
  let nextSteps: readonly ReachedStep[] = []
  let nextResult: Readonly<Record<string, string>> = {}

  beforeAll(async () => {
    for (const { folder } of [fresh, grown]) {
      copyFlights(folder)
      landAirports(folder)
      await landMonth(folder, '2001-01', first)
    }
    newSteps = await recordSteps(fresh.folder)
    newResult = await contentsOf(fresh.folder)
    await recordSteps(grown.folder)
    oldResult = await contentsOf(grown.folder)
    await landMonth(grown.folder, '2001-01', second)
    saved = new SavedLake(grown.folder)
    nextSteps = await recordSteps(grown.folder)
    nextResult = await contentsOf(grown.folder)
  })

  afterAll(() => {
    saved[Symbol.dispose]()
    fresh[Symbol.dispose]()
    grown[Symbol.dispose]()
  })

  it('reaches every kind of step, so that each can be killed', () => {
    const kinds = ['file.write', 'file.put', 'manifest.write', 'metadata.write', 'catalog.commit', 'state.change']
    const edges = kinds.flatMap((kind) => [`${kind} before`, `${kind} after`]).sort()
    for (const steps of [newSteps, nextSteps]) {
      expect(
        oneOfEachKind(steps)
          .map((step) => `${step.name} ${step.edge}`)
          .sort(),
      ).toEqual(edges)
    }
    expect(nextResult).not.toEqual(oldResult)
  })

  it('leaves nothing or everything of new tables, at each kind of step, and finishes when run again', async () => {
    for (const step of oneOfEachKind(newSteps)) {
      forgetLake(fresh.folder)
      await killAtStep(fresh.folder, step.index)
      await expectWhole(fresh.folder, {}, newResult)
    }
  })

  it('leaves the old or the new state of existing tables, at each kind of step, and finishes when run again', async () => {
    for (const step of oneOfEachKind(nextSteps)) {
      saved.restore()
      await killAtStep(grown.folder, step.index)
      await expectWhole(grown.folder, oldResult, nextResult)
    }
  })

  it('leaves one complete state around the commit that publishes', async () => {
    const commits = nextSteps.filter((step) => step.name === 'catalog.commit' && step.detail.includes('limn.run'))
    expect(commits).toHaveLength(2)
    for (const step of commits) {
      saved.restore()
      await killAtStep(grown.folder, step.index)
      expect(await contentsOf(grown.folder)).toEqual(step.edge === 'before' ? oldResult : nextResult)
      await expectWhole(grown.folder, oldResult, nextResult)
      expect(JSON.parse((await limn(grown.folder, 'run', '--json')).stdout)).toMatchObject({ outcome: 'idle' })
    }
  })

  it('leaves one complete state at random moments', async () => {
    const seed = 20011
    for (let i = 0; i < 2; i++) {
      saved.restore()
      await killAfter(grown.folder, 150 + ((seed * (i + 1) * 7919) % 500))
      await expectWhole(grown.folder, oldResult, nextResult)
    }
  })
})
