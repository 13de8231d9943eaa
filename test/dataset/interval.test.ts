import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addUnits,
  alignTo,
  ceilTo,
  floorTo,
  formatInterval,
  formatMicros,
  IntervalSet,
  type IntervalUnit,
  parseMicros,
  splitBy,
  unitOfText,
} from '../../packages/limn/src/dataset/index.ts'

const units = fc.constantFrom<IntervalUnit>('hour', 'day', 'month', 'year')
const times = fc.integer({ min: -4_000_000_000, max: 6_000_000_000 }).map((seconds) => seconds * 1_000_000 + 123)
const small = fc.integer({ min: 0, max: 30 })
const intervals = fc.array(
  fc.tuple(small, small).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) })),
  { maxLength: 6 },
)

/** The same set, written down point by point. */
function points(list: readonly { readonly start: number; readonly end: number }[]): Set<number> {
  return new Set(list.flatMap((one) => Array.from({ length: one.end - one.start }, (_, i) => one.start + i)))
}

describe('intervals', () => {
  it('of a unit hold each time once, with no gap between them', () => {
    fc.assert(
      fc.property(units, times, (unit, at) => {
        const start = floorTo(unit, at)
        const end = addUnits(unit, start, 1)
        expect(start <= at && at < end).toBe(true)
        expect([floorTo(unit, end - 1), floorTo(unit, end), ceilTo(unit, at)]).toEqual([start, end, end])
        expect(addUnits(unit, end, -1)).toBe(start)
      }),
      { seed: 2 },
    )
  })

  it('are split into their units without loss', () => {
    const june = alignTo('month', { start: parseMicros('2001-06-10'), end: parseMicros('2001-06-11') })
    const days = splitBy('day', june)
    expect([days.length, days[0]?.start, days.at(-1)?.end]).toEqual([30, june.start, june.end])
  })

  it('are written as people write them, and read back', () => {
    expect(formatInterval('day', { start: parseMicros('2001-06-10'), end: parseMicros('2001-06-15') })).toBe(
      '2001-06-10 … 2001-06-14',
    )
    expect(formatInterval('month', { start: parseMicros('2001-06'), end: parseMicros('2001-07') })).toBe('2001-06')
    expect(formatMicros(parseMicros('1969-12-31T23:59:59.5'))).toBe('1969-12-31T23:59:59.500000')
    expect(['2001', '2001-06', '2001-06-14', '2001-06-14T05:00'].map(unitOfText)).toEqual([
      'year',
      'month',
      'day',
      'hour',
    ])
    for (const bad of ['2001-13', '2001-02-30', 'yesterday', '2001-6-1'])
      expect(() => parseMicros(bad)).toThrow(/not a date/)
  })
})

describe('interval sets', () => {
  it('agree with sets of points in union, intersection, difference, overlap and cover', () => {
    fc.assert(
      fc.property(intervals, intervals, (a, b) => {
        const [x, y] = [IntervalSet.of(a), IntervalSet.of(b)]
        const [p, q] = [points(a), points(b)]
        expect(points(x.union(y).intervals)).toEqual(p.union(q))
        expect(points(x.intersect(y).intervals)).toEqual(p.intersection(q))
        expect(points(x.minus(y).intervals)).toEqual(p.difference(q))
        for (const one of b) {
          const own = points([one])
          expect(x.overlaps(one)).toBe(own.intersection(p).size > 0)
          expect(x.covers(one)).toBe(own.isSubsetOf(p))
        }
      }),
      { seed: 4, numRuns: 500 },
    )
  })

  it('are sorted, disjoint and as few as can be', () => {
    fc.assert(
      fc.property(intervals, (list) => {
        const { intervals: found } = IntervalSet.of(list)
        for (const [i, one] of found.entries())
          expect(one.start < one.end && (i === 0 || (found[i - 1]?.end ?? 0) < one.start)).toBe(true)
      }),
      { seed: 4 },
    )
  })
})
