import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  type CronSchedule,
  cron,
  formatSchedule,
  latestTicks,
  nextTick,
  scheduleOf,
  ticksBetween,
} from '../../packages/limn/src/dataset/index.ts'
import { daysOfChange, ticksOfWalk, type Walk, WallClock, walk } from '../support/wall-clock.ts'

const day = 86_400_000
const at = (text: string) => Date.parse(text)
const texts = (ticks: readonly number[]) => ticks.map((tick) => new Date(tick).toISOString().slice(0, 16))

const zones = [
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'Africa/Casablanca',
  'Antarctica/Troll',
]

/** Stretches of five days: around every change of the clocks in 2026, a leap day, a year's end; and Samoa's lost day. */
const stretches: readonly { readonly zone: string; readonly from: number; readonly walked: Walk }[] = [
  ...zones.flatMap((zone) => daysOfChange(zone, 2026).map((change) => ({ zone, middle: change }))),
  { zone: 'Asia/Kolkata', middle: at('2028-02-29T12:00Z') },
  { zone: 'America/St_Johns', middle: at('2028-02-29T12:00Z') },
  { zone: 'Europe/Berlin', middle: at('2027-01-01T00:00Z') },
  { zone: 'Pacific/Apia', middle: at('2011-12-30T10:00Z') },
].map(({ zone, middle }) => {
  const from = middle - 2.5 * day
  return { zone, from, walked: walk(zone, from, middle + 2.5 * day) }
})

const number = (low: number, high: number) => fc.integer({ min: low, max: high })
const field = (low: number, high: number) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    { weight: 3, arbitrary: number(low, high).map(String) },
    {
      weight: 1,
      arbitrary: fc.tuple(number(low, high), number(low, high)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    },
    {
      weight: 1,
      arbitrary: fc.uniqueArray(number(low, high), { minLength: 2, maxLength: 3 }).map((list) => list.join(',')),
    },
  )
const pattern = fc
  .tuple(
    fc.oneof(field(0, 59), fc.constantFrom('*/15', '*/20', '0,30')),
    fc.oneof(field(0, 23), field(0, 4), fc.constantFrom('*/2', '*/6')),
    fc.oneof({ weight: 4, arbitrary: fc.constant('*') }, { weight: 1, arbitrary: field(1, 28) }),
    fc.oneof({ weight: 5, arbitrary: fc.constant('*') }, { weight: 1, arbitrary: field(1, 12) }),
    fc.oneof({ weight: 4, arbitrary: fc.constant('*') }, { weight: 1, arbitrary: field(0, 6) }),
  )
  .map((fields) => fields.join(' '))
const rule = fc.constantFrom('earlier', 'later', 'compatible' as const)

describe('a schedule', () => {
  it('ticks when a walk from minute to minute says so, over every change of the clocks', () => {
    expect(stretches.length).toBeGreaterThanOrEqual(14)
    fc.assert(
      fc.property(
        fc.constantFrom(...stretches),
        pattern,
        rule,
        number(0, 1440),
        number(0, 1440),
        (stretch, text, by, a, b) => {
          const schedule = cron(text, { zone: stretch.zone, rule: by })
          // Away from the ends of the walk, which does not know what lies beyond.
          const from = stretch.from + 1.25 * day + a * 60_000
          const to = stretch.from + 3.75 * day - b * 60_000
          const expected = ticksOfWalk(stretch.walked, text, by).filter((tick) => tick >= from && tick < to)
          expect(ticksBetween(schedule, from, to)).toEqual(expected)
          if (expected[0] !== undefined) expect(nextTick(schedule, from - 1)).toBe(expected[0])
          expect(latestTicks(schedule, from, to, 3)).toEqual(expected.slice(-3))
        },
      ),
      { numRuns: 80 },
    )
  })

  it('gives the same ticks whichever way a stretch of time is cut, in the hours of a change too', () => {
    const jumps = stretches.flatMap((stretch) => {
      const { instants, walls } = stretch.walked
      const at = walls.findIndex((wall, i) => i > 0 && wall - (walls[i - 1] ?? 0) !== 60_000)
      return at < 0 ? [] : [{ zone: stretch.zone, jump: instants[at] ?? 0, wall: walls[at] ?? 0 }]
    })
    expect(jumps.length).toBeGreaterThanOrEqual(12)
    fc.assert(
      fc.property(fc.constantFrom(...jumps), rule, number(-90, 90), number(-90, 90), (at, by, cut, minutes) => {
        // A time of day that the clock skips, repeats, or shows soon before or after.
        const time = new Date(at.wall + minutes * 60_000)
        const schedule = cron(`${time.getUTCMinutes()} ${time.getUTCHours()} * * *`, { zone: at.zone, rule: by })
        const [from, middle, to] = [at.jump - day, at.jump + cut * 60_000, at.jump + day]
        const whole = ticksBetween(schedule, from, to)
        expect([...ticksBetween(schedule, from, middle), ...ticksBetween(schedule, middle, to)]).toEqual(whole)
        expect(nextTick(schedule, middle)).toBe(whole.find((tick) => tick > middle) ?? nextTick(schedule, to - 1))
      }),
      // Cut within the hour of each change, whatever the seed.
      {
        numRuns: 200,
        examples: jumps.flatMap((at) =>
          (['earlier', 'later'] as const).map((by) => [at, by, -1, 0] as [typeof at, typeof by, number, number]),
        ),
      },
    )
  })

  it('at an hour has one tick a day, whatever the clocks do, and its rule says which', () => {
    const between = (zone: string, by: CronSchedule['rule'], from: string, to: string) =>
      texts(ticksBetween(cron('30 2 * * *', { zone, rule: by }), at(from), at(to)))
    const spring = (by: CronSchedule['rule']) => between('Europe/Berlin', by, '2026-03-28T12:00Z', '2026-03-29T12:00Z')
    const autumn = (by: CronSchedule['rule']) => between('Europe/Berlin', by, '2026-10-24T12:00Z', '2026-10-25T12:00Z')
    expect([spring('compatible'), spring('later'), spring('earlier')]).toEqual([
      ['2026-03-29T01:30'],
      ['2026-03-29T01:30'],
      ['2026-03-29T00:30'],
    ])
    expect([autumn('compatible'), autumn('later'), autumn('earlier')]).toEqual([
      ['2026-10-25T00:30'],
      ['2026-10-25T01:30'],
      ['2026-10-25T00:30'],
    ])
  })

  it('with an open hour keeps its rhythm through a repeated hour', () => {
    const schedule = cron('*/30 * * * *', { zone: 'Europe/Berlin' })
    expect(texts(ticksBetween(schedule, at('2026-10-25T00:00Z'), at('2026-10-25T02:01Z')))).toEqual([
      '2026-10-25T00:00',
      '2026-10-25T00:30',
      '2026-10-25T01:00',
      '2026-10-25T01:30',
      '2026-10-25T02:00',
    ])
  })

  it('of a leap day waits for the leap year', () => {
    const schedule = cron('0 12 29 2 *', { zone: 'Asia/Kolkata' })
    expect(texts([nextTick(schedule, at('2026-01-01T00:00Z'))])).toEqual(['2028-02-29T06:30'])
    expect(texts([nextTick(schedule, at('2096-03-01T00:00Z'))])).toEqual(['2104-02-29T06:30'])
  })

  it('of the first minute of the year comes at each zone’s own', () => {
    const firsts = zones.map((zone) => nextTick(cron('0 0 1 1 *', { zone }), at('2026-06-01T00:00Z')))
    expect(firsts.map((tick, i) => new WallClock(zones[i] ?? '').wallAt(tick))).toEqual(
      zones.map(() => at('2027-01-01T00:00Z')),
    )
  })

  it('ticks alike where Node has no Temporal of its own', async () => {
    const patterns = ['30 2 * * *', '*/20 * * * *', '0 0 29 2 *']
    const ticks = (schedules: typeof import('../../packages/limn/src/dataset/index.ts')) =>
      stretches.flatMap(({ zone, from }) =>
        patterns.map((text) => schedules.ticksBetween(schedules.cron(text, { zone }), from, from + 5 * day)),
      )
    const own = ticks(await import('../../packages/limn/src/dataset/index.ts'))
    vi.stubGlobal('Temporal', undefined)
    vi.resetModules()
    try {
      expect(ticks(await import('../../packages/limn/src/dataset/index.ts'))).toEqual(own)
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it('is read from text with its zone, and never guesses one', () => {
    expect(scheduleOf('0  6 * * *  in Europe/Berlin')).toEqual(cron('0 6 * * *', { zone: 'Europe/Berlin' }))
    expect(formatSchedule(scheduleOf('@daily in UTC'))).toBe('@daily in UTC')
    const messages = (
      ['0 6 * * * in Europe/Berln', '0 25 * * * in UTC', '0 0 30 2 * in UTC', '0 6 * * in UTC'] as const
    ).map((text) => {
      try {
        scheduleOf(text)
        return 'accepted'
      } catch (error) {
        return error instanceof LimnError ? error.message : String(error)
      }
    })
    expect(messages).toEqual([
      '"Europe/Berln" is not a time zone.',
      'The schedule "0 25 * * *" cannot be read: Invalid value for hour: 25.',
      'The schedule "0 0 30 2 *" never comes true.',
      expect.stringContaining('cannot be read'),
    ])
    expect(() => scheduleOf('0 6 * * *' as '0 6 * * * in UTC')).toThrow('names no time zone')
  })
})
