import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  durationMs,
  formatDuration,
  globOfTemplate,
  IntervalSet,
  intervalOfPath,
  manifest,
  parseMicros,
  pathAt,
  type SealFacts,
  type SealSpec,
  sealOf,
  sealState,
  source,
} from '../../packages/limn/src/dataset/index.ts'

const day = (text: string) => ({ start: parseMicros(text), end: parseMicros(text) + 86_400_000_000 })
const at = (text: string) => Date.parse(text)
const known = (now: string, change: Partial<SealFacts> = {}): SealFacts => ({
  nowMs: at(now),
  marked: IntervalSet.empty,
  incomplete: new Map(),
  watermark: null,
  ...change,
})
const state = (spec: SealSpec, facts: SealFacts, interval = day('2026-01-03')) =>
  sealState(sealOf(spec), facts, interval)

describe('a seal', () => {
  it('by time alone opens at the end of the interval and what it adds, in the zone of the interval', () => {
    expect(state({ after: '2h' }, known('2026-01-04T01:59:59Z'))).toEqual({
      kind: 'open',
      untilMs: at('2026-01-04T02:00Z'),
      missing: null,
    })
    expect(state({ after: '2h' }, known('2026-01-04T02:00Z'))).toEqual({ kind: 'sealed' })
    expect(state({ after: '2h', zone: 'America/New_York' }, known('2026-01-04T06:59Z'))).toMatchObject({
      untilMs: at('2026-01-04T07:00Z'),
    })
    expect(state({ after: '2h', zone: 'America/New_York' }, known('2026-01-04T07:00Z'))).toEqual({ kind: 'sealed' })
  })

  it('of an interval that ends at a repeated local time waits for the second', () => {
    const hour = { start: parseMicros('2026-10-25T01:00'), end: parseMicros('2026-10-25T02:00') }
    expect(state({ zone: 'Europe/Berlin' }, known('2026-10-25T00:30Z'), hour)).toMatchObject({
      untilMs: at('2026-10-25T01:00Z'),
    })
  })

  it('by a marker waits for the marker, and for its time too', () => {
    const spec = { after: '2h', marker: 'inbox/%Y-%m-%d/_SUCCESS' } as const
    const marked = IntervalSet.of([day('2026-01-02'), day('2026-01-03')])
    expect(state(spec, known('2026-02-01T00:00Z'))).toEqual({
      kind: 'open',
      untilMs: null,
      missing: 'inbox/2026-01-03/_SUCCESS',
    })
    expect(state(spec, known('2026-02-01T00:00Z', { marked }))).toEqual({ kind: 'sealed' })
    expect(state(spec, known('2026-01-04T01:00Z', { marked }))).toMatchObject({ kind: 'open', missing: null })
  })

  it('asks nothing of times before the first marker', () => {
    const spec = { marker: 'inbox/%Y-%m-%d/_SUCCESS' } as const
    const marked = IntervalSet.of([day('2026-01-03')])
    const wide = { start: parseMicros('2026-01-01'), end: parseMicros('2026-01-04') }
    expect(state(spec, known('2026-02-01T00:00Z', { marked }), wide)).toEqual({ kind: 'sealed' })
  })

  it('with grace gives a marker up in the end, and says what was missing', () => {
    const spec = { after: '2h', grace: '6h', marker: manifest('inbox/%Y-%m-%d/manifest.json') } as const
    const incomplete = new Map([[day('2026-01-03').start, 'inbox/2026-01-03/b.csv, which the manifest lists']])
    expect(state(spec, known('2026-01-04T07:59Z', { incomplete }))).toEqual({
      kind: 'open',
      untilMs: at('2026-01-04T08:00Z'),
      missing: 'inbox/2026-01-03/b.csv, which the manifest lists',
    })
    expect(state(spec, known('2026-01-04T08:00Z'))).toEqual({
      kind: 'sealed-by-grace',
      missing: 'inbox/2026-01-03/manifest.json',
    })
    expect(() => sealOf({ grace: '1h' })).toThrow('states grace, but no marker')
  })

  it('by watermark is complete when the watermark has reached its end', () => {
    const reached = (watermark: string | null) =>
      state(
        { marker: 'watermark' },
        known('2026-02-01T00:00Z', { watermark: watermark === null ? null : parseMicros(watermark) }),
      ).kind
    expect([null, '2026-01-03T23:59:59', '2026-01-04', '2026-01-05'].map(reached)).toEqual([
      'open',
      'open',
      'sealed',
      'sealed',
    ])
  })

  it('never opens again as time goes on', () => {
    const spec = fc.record({
      after: fc.constantFrom('0s', '2h', '3d'),
      zone: fc.constantFrom('UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/St_Johns'),
    })
    fc.assert(
      fc.property(
        spec,
        fc.integer({ min: 0, max: 9000 }),
        fc.array(fc.integer({ min: 0, max: 6000 })),
        (given, hour, hours) => {
          const start = Date.UTC(2026, 0, 1) * 1000 + hour * 3_600_000_000
          const interval = { start, end: start + 3_600_000_000 }
          const kinds = hours
            .sort((a, b) => a - b)
            .map(
              (past) =>
                state(given, known('2026-01-01T00:00Z', { nowMs: start / 1000 + (past - 40) * 1_800_000 }), interval)
                  .kind,
            )
          expect(kinds.lastIndexOf('open')).toBeLessThan(
            kinds.indexOf('sealed') < 0 ? kinds.length : kinds.indexOf('sealed'),
          )
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a path that names a time', () => {
  it('is the path of that time and of no other', () => {
    const templates = ['a/%Y-%m-%d/_SUCCESS', '%Y/%m/%Y-%m-%dT%H.json', 'year=%Y/m=%m/x', 'in.(%Y)+/x']
    fc.assert(
      fc.property(fc.constantFrom(...templates), fc.integer({ min: 0, max: 3_000_000 }), (template, hour) => {
        const time = hour * 3_600_000_000
        const interval = intervalOfPath(template, pathAt(template, time))
        expect(interval?.start).toBeLessThanOrEqual(time)
        expect(interval?.end).toBeGreaterThan(time)
      }),
    )
    expect(intervalOfPath('a/%Y-%m-%d/_SUCCESS', 'a/2026-02-31/_SUCCESS')).toBeNull()
    expect(intervalOfPath('%Y/%Y-%m', '2026/2025-01')).toBeNull()
    expect(globOfTemplate('a/%Y-%m-%d/_SUCCESS')).toBe('a/*-*-*/_SUCCESS')
  })

  it('names each unit that its finest is part of', () => {
    expect(() => sealOf({ marker: 'a/%Y-%d' })).toThrow('names the day, but not the month')
    expect(() => sealOf({ marker: 'a/%q/%Y' })).toThrow('has %q')
  })
})

describe('a span of time', () => {
  it('is read and told as people write it', () => {
    expect(['90s', '30m', '2h', '3d', '1w'].map((text) => formatDuration(durationMs(text)))).toEqual([
      '1 min 30 s',
      '30 min',
      '2 h',
      '3 d',
      '7 d',
    ])
    expect(() => durationMs('2 hours')).toThrow('is not a span of time')
    expect(() => source(async function* () {}, { safetyWindow: '1d' })).toThrow('without keys')
  })
})
