import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Pattern, patternOf } from '../../../packages/limn/src/pipeline/why/pattern.ts'
import { temporaryTables } from '../../support/tables.ts'

describe('how the values of a column became others', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  beforeAll(async () => {
    made = await temporaryTables()
  })
  afterAll(() => made[Symbol.asyncDispose]())

  async function pattern(type: string, pairs: readonly (readonly [string, string])[]): Promise<Pattern> {
    await using session = await made.context.engine.session([])
    const rows = pairs.map(([o, n]) => `(${o}::${type}, ${n}::${type})`).join(', ')
    await session.exec(`CREATE TEMP TABLE limn_pairs AS SELECT * FROM (VALUES ${rows}) t(o, n)`)
    return await patternOf(session, 'limn_pairs', type)
  }

  const numbers = fc.uniqueArray(
    fc.integer({ min: -5000, max: 5000 }).filter((one) => one !== 0),
    { minLength: 5, maxLength: 12 },
  )
  const factors = fc.constantFrom(60, 1000, 100, 1.609344, 1 / 60, 0.01, 2.5)

  it('is a factor where every value was multiplied by one, whole numbers rounded too', async () => {
    await fc.assert(
      fc.asyncProperty(numbers, factors, async (values, factor) => {
        const found = await pattern(
          'DOUBLE',
          values.map((one) => [`${one}`, `${one * factor}`]),
        )
        expect(found).toMatchObject({ kind: 'factor' })
        if (found.kind === 'factor') expect(found.factor / factor).toBeCloseTo(1, 8)
      }),
      { numRuns: 10 },
    )
    expect(
      await pattern(
        'BIGINT',
        [1, 7, 950, 2475, 33].map((one) => [`${one}`, `${Math.round(one * 1.609344)}`] as const),
      ),
    ).toEqual({ kind: 'factor', factor: 1.609344, named: 'miles to kilometres' })
  })

  it('is none where one value was not', async () => {
    await fc.assert(
      fc.asyncProperty(numbers, factors, async (values, factor) => {
        const pairs = values.map((one, i) => [`${one}`, `${one * factor + (i === 2 ? 7.25 : 0)}`] as const)
        expect(await pattern('DOUBLE', pairs)).toEqual({ kind: 'none' })
      }),
      { numRuns: 10, examples: [[[1, 2, 3, 4, 5, 6, 7], 60]] },
    )
  })

  it('is a rounding to digits behind or before the point', async () => {
    const values = ['12.3456', '-0.9876', '1500.1234', '7.6666']
    const rounded = (digits: number) =>
      values.map((one) => [one, String(Math.round(Number(one) * 10 ** digits) / 10 ** digits)] as const)
    expect(await pattern('DOUBLE', rounded(2))).toEqual({ kind: 'rounded', digits: 2 })
    expect(await pattern('DOUBLE', rounded(0))).toEqual({ kind: 'rounded', digits: 0 })
    expect(
      await pattern('BIGINT', [
        ['1234', '1230'],
        ['-87', '-90'],
        ['455', '460'],
      ]),
    ).toEqual({ kind: 'rounded', digits: -1 })
  })

  it('is a shift by the offset of a zone, or by two of its seasons, and no other', async () => {
    const at = (time: string) => `'2026-03-01 ${time}'`
    const by = (a: string, b: string) => [at(a), at(b)] as const
    expect(await pattern('TIMESTAMP', [by('01:00', '06:00'), by('02:30', '07:30')])).toEqual({
      kind: 'shift',
      hours: [5],
    })
    expect(await pattern('TIMESTAMP', [by('01:00', '06:00'), by('02:30', '08:30')])).toEqual({
      kind: 'shift',
      hours: [5, 6],
    })
    expect(await pattern('TIMESTAMP', [by('01:00', '06:30'), by('02:00', '07:30')])).toEqual({
      kind: 'shift',
      hours: [5.5],
    })
    expect(await pattern('TIMESTAMP', [by('01:00', '06:07'), by('02:30', '07:37')])).toEqual({ kind: 'none' })
    expect(await pattern('TIMESTAMP', [by('01:00', '06:00'), by('02:30', '09:30')])).toEqual({ kind: 'none' })
  })

  it('is null where all values are gone, and none where some are, or where there are too few to tell', async () => {
    expect(
      await pattern('INTEGER', [
        ['1', 'NULL'],
        ['2', 'NULL'],
      ]),
    ).toEqual({ kind: 'null' })
    expect(
      await pattern('INTEGER', [
        ['1', 'NULL'],
        ['2', '3'],
      ]),
    ).toEqual({ kind: 'none' })
    expect(
      await pattern('INTEGER', [
        ['1', '60'],
        ['1', '60'],
      ]),
    ).toEqual({ kind: 'none' })
    expect(await pattern('VARCHAR', [["'a'", "'b'"]])).toEqual({ kind: 'none' })
  })
})
