import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addUnits } from '../../../packages/limn/src/dataset/index.ts'
import type { Step } from '../../../packages/limn/src/pipeline/backfill/branch.ts'
import { changedTimes } from '../../../packages/limn/src/pipeline/backfill/branch.ts'
import { sampled } from '../../../packages/limn/src/pipeline/backfill/request.ts'
import { judgeDelta, type RowDelta } from '../../../packages/limn/src/pipeline/index.ts'

const delta = (change: Partial<RowDelta>): RowDelta => ({
  before: 100,
  after: 100,
  added: 0,
  removed: 0,
  changed: 0,
  columns: [],
  measures: [],
  ...change,
})
const sum = (before: number, after: number) => ({
  name: 'amount',
  before: String(before),
  after: String(after),
  delta: String(after - before),
  relative: before === 0 ? null : (after - before) / before,
  inexact: false,
})

describe('the tolerance of a dataset', () => {
  it('is nothing unless stated: only what is equal passes', () => {
    expect(judgeDelta(delta({}), undefined).beyond).toEqual([])
    for (const change of [{ added: 1 }, { removed: 1 }, { changed: 1 }])
      expect(judgeDelta(delta(change), undefined).beyond).toEqual(['1 % of the rows differ, 0 % may'])
  })

  it('allows a share of the rows before to come, go or change, and no share of none', () => {
    const rows = { rows: 0.05 }
    expect(judgeDelta(delta({ added: 2, removed: 2, changed: 1 }), rows).beyond).toEqual([])
    expect(judgeDelta(delta({ added: 2, removed: 2, changed: 2 }), rows).beyond).toHaveLength(1)
    expect(judgeDelta(delta({ before: 0, added: 1 }), { rows: 1 }).beyond).toEqual(['1 row where there were none'])
  })

  it('limits how far sums move, by a share or an amount, and then leaves rows alone', () => {
    const moved = delta({ changed: 100, measures: [sum(1000, 1040)] })
    expect(judgeDelta(moved, { sums: { amount: 0.05 } }).beyond).toEqual([])
    expect(judgeDelta(moved, { sums: { amount: 0.03 } }).beyond).toEqual(['the sum of amount moves by 4 %, 3 % may'])
    expect(judgeDelta(moved, { sums: { amount: 50 } }).beyond).toEqual([])
    expect(judgeDelta(moved, { sums: { amount: 39 } }).beyond).toHaveLength(1)
    expect(judgeDelta(delta({ measures: [sum(0, 1)] }), { sums: { amount: 0.5 } }).beyond).toEqual([
      'the sum of amount moves from 0',
    ])
    expect(judgeDelta(moved, { rows: 0, sums: { amount: 0.5 } }).beyond).toHaveLength(1)
  })

  it('never allows less when more is stated', () => {
    const count = fc.integer({ min: 0, max: 300 })
    fc.assert(
      fc.property(count, count, count, fc.double({ min: 0, max: 1, noNaN: true }), (added, removed, changed, share) => {
        const one = delta({ added, removed, changed })
        const passes = (rows: number) => judgeDelta(one, { rows }).beyond.length === 0
        expect(passes(share / 2) && !passes(share)).toBe(false)
      }),
    )
  })
})

describe('a sample of steps', () => {
  const days = Array.from({ length: 200 }, (_, i) => {
    const start = addUnits('day', 0, 20_000 + i)
    return { start, end: addUnits('day', start, 1) }
  })

  it('is the same each time, grows with its share, and has at least one step', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (share, part) => {
          const chosen = sampled(days, share)
          expect(sampled(days, share)).toEqual(chosen)
          expect(chosen.length).toBeGreaterThan(0)
          for (const day of sampled(days, share * part)) if (share * part > 0.05) expect(chosen).toContain(day)
        },
      ),
    )
  })

  it('is about as large as asked', () => {
    expect(sampled(days, 0.1).length).toBeGreaterThan(8)
    expect(sampled(days, 0.1).length).toBeLessThan(35)
    expect(sampled(days, null)).toHaveLength(200)
    expect(sampled([], 0.5)).toEqual([])
  })
})

describe('what steps changed', () => {
  const step = (start: number, outcome: 'built' | 'kept'): Step => ({
    interval: { start, end: start + 10 },
    fingerprint: 'f',
    inputs: {},
    ranges: [
      {
        outcome,
        interval: { start, end: start + 10 },
        rows: 1,
        files: 1,
        bytes: 1,
        quarantined: 0,
        startedAtMs: 0,
        seconds: 0,
      },
    ],
  })

  it('are the times built, not those found equal; a dataset built whole changes as a whole', () => {
    const times = changedTimes([step(0, 'built'), step(10, 'kept'), step(20, 'built')])
    expect(times === 'all' ? times : times.intervals).toEqual([
      { start: 0, end: 10 },
      { start: 20, end: 30 },
    ])
    const [range] = step(0, 'built').ranges
    if (!range) throw new Error('a step has a range')
    expect(changedTimes([{ ...step(0, 'built'), interval: null, ranges: [{ ...range, interval: null }] }])).toBe('all')
  })
})
