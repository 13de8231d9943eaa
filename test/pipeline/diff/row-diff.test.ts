import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { diffRows, type RowSide } from '../../../packages/limn/src/pipeline/index.ts'
import { temporaryTables } from '../../support/tables.ts'

interface Row {
  readonly k: number | null
  readonly day: number | null
  readonly n: number | null
  readonly f: number | null
  readonly s: string | null
}

const names = ['k', 'day', 'n', 'f', 's'] as const
const dayMicros = 86_400_000_000

const rowOf: fc.Arbitrary<Row> = fc.record({
  k: fc.option(fc.integer({ min: 0, max: 3 })),
  day: fc.option(fc.integer({ min: 0, max: 2 })),
  n: fc.option(fc.integer({ min: -2, max: 2 })),
  f: fc.option(fc.constantFrom(0.5, -0.25, 1024.125)),
  s: fc.option(fc.constantFrom('', 'a', 'é', "it's")),
})

/**
 * Two lists over a few rows, so that many are there more than once on either side; rows of a key of their own, also null,
 * of which one column or the day is another after.
 */
const statesOf = fc
  .tuple(
    fc.array(rowOf, { minLength: 1, maxLength: 4 }),
    fc.array(fc.nat(3), { maxLength: 6 }),
    fc.array(fc.nat(3), { maxLength: 3 }),
    fc.array(fc.nat(3), { maxLength: 3 }),
    fc.uniqueArray(fc.tuple(fc.constantFrom(null, 7, 8), rowOf, rowOf, fc.constantFrom(...names)), {
      maxLength: 2,
      selector: ([k]) => k,
    }),
  )
  .map(([pool, both, left, right, edits]) => {
    const rows = (list: readonly number[]) => list.flatMap((i) => pool[i % pool.length] ?? [])
    const old = edits.map(([k, row]) => ({ ...row, k }))
    const fresh = edits.map(([k, row, other, name]) => ({ ...row, [name]: other[name], k }))
    return { before: [...rows(both), ...rows(left), ...old], after: [...rows(right), ...fresh, ...rows(both)] }
  })

const plain: Row = { k: 1, day: 0, n: 1, f: 0.5, s: 'a' }

/** Compared whatever the seed: what is rare among random states, or the only sign of a mistake. */
const rareStates: readonly { readonly before: readonly Row[]; readonly after: readonly Row[] }[] = [
  // An interval that only one side has, on either side, and rows without a time that only one side has.
  { before: [plain], after: [{ ...plain, day: 1 }] },
  { before: [], after: [plain, { ...plain, k: 2, day: null }] },
  { before: [plain, { ...plain, k: 2, day: null }], after: [] },
  // A row of a null key that is another after.
  { before: [{ ...plain, k: null }], after: [{ ...plain, k: null, n: 2, s: null }] },
  // A row more often on one side, then on the other.
  { before: [plain, plain, plain, plain], after: [plain] },
  { before: [plain], after: [plain, plain, plain] },
  // A key more than once on one side is no changed row.
  { before: [plain, { ...plain, n: 2 }], after: [{ ...plain, n: -1 }] },
]

function sqlOf(rows: readonly Row[]): string {
  const cell = (value: string | number | null) =>
    value === null ? 'NULL' : typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : `${value}`
  const list = [{ k: 0, day: 0, n: 0, f: 0, s: '' }, ...rows].map(
    (row, i) => `(${i}, ${names.map((name) => cell(row[name])).join(', ')})`,
  )
  return `SELECT k::INTEGER AS k, make_timestamp(day::BIGINT * ${dayMicros}) AS at, n::BIGINT AS n, f::DOUBLE AS f, s::VARCHAR AS s
    FROM (VALUES ${list.join(', ')}) t(i, k, day, n, f, s) WHERE i > 0`
}

interface Expected {
  added: number
  removed: number
  changed: number
  columns: Record<string, number>
}

/** The same by counting on fingers: rows of one side that the other lacks, then those whose key is alone on both. */
function naive(before: readonly Row[], after: readonly Row[], keyed: boolean): Expected {
  const text = (row: Row) => JSON.stringify(names.map((name) => row[name]))
  const surplus = (own: readonly Row[], other: readonly Row[]) => {
    const left = other.map(text)
    return own.filter((row) => {
      const at = left.indexOf(text(row))
      if (at < 0) return true
      left.splice(at, 1)
      return false
    })
  }
  const [gone, come] = [surplus(before, after), surplus(after, before)]
  const out: Expected = { added: come.length, removed: gone.length, changed: 0, columns: {} }
  if (!keyed) return out
  for (const old of gone) {
    const same = (rows: readonly Row[]) => rows.filter((row) => row.k === old.k)
    const [fresh] = same(come)
    if (!fresh || same(gone).length !== 1 || same(come).length !== 1) continue
    out.added--
    out.removed--
    out.changed++
    for (const name of names)
      if (old[name] !== fresh[name]) {
        const column = name === 'day' ? 'at' : name
        out.columns[column] = (out.columns[column] ?? 0) + 1
      }
  }
  return out
}

describe('the rows that differ between two states', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  beforeAll(async () => {
    made = await temporaryTables()
  })
  afterAll(() => made[Symbol.asyncDispose]())

  const side = (rows: readonly Row[]): RowSide => ({ kind: 'query', sql: sqlOf(rows), bound: [] })

  it('are what a naive count finds, as a whole, with keys and without', async () => {
    await fc.assert(
      fc.asyncProperty(statesOf, fc.boolean(), async ({ before, after }, keyed) => {
        const found = await diffRows(made.context, side(before), side(after), keyed ? { keys: ['k'] } : {})
        const { total } = found
        const expected = naive(before, after, keyed)
        expect({
          added: total.added,
          removed: total.removed,
          changed: total.changed,
          columns: Object.fromEntries(total.columns.map((one) => [one.name, one.rows])),
        }).toEqual(expected)
        expect([total.before, total.after]).toEqual([before.length, after.length])
        expect(found.same).toBe(expected.added + expected.removed + expected.changed === 0)
        const sum = (rows: readonly Row[]) =>
          rows.every((row) => row.n === null) ? null : String(rows.reduce((all, row) => all + (row.n ?? 0), 0))
        expect(total.measures.find((one) => one.name === 'n')).toMatchObject({ before: sum(before), after: sum(after) })
      }),
      {
        numRuns: 25 + rareStates.length * 2,
        examples: rareStates.flatMap((one) => [[one, true] as [typeof one, boolean], [one, false]]),
      },
    )
  })

  it('are what a naive count finds in each interval, and no interval without a difference is named', async () => {
    await fc.assert(
      fc.asyncProperty(statesOf, async ({ before, after }) => {
        const found = await diffRows(made.context, side(before), side(after), {
          keys: ['k'],
          column: 'at',
          unit: 'day',
        })
        const expected = [0, 1, 2, null].flatMap((day) => {
          const own = (rows: readonly Row[]) => rows.filter((row) => row.day === day)
          const one = naive(own(before), own(after), true)
          const counts = { before: own(before).length, after: own(after).length }
          return one.added + one.removed + one.changed > 0 ? [{ day, ...counts, ...one }] : []
        })
        expect(
          found.intervals.map(({ interval, added, removed, changed, columns, ...rest }) => ({
            day: interval && interval.start / dayMicros,
            before: rest.before,
            after: rest.after,
            added,
            removed,
            changed,
            columns: Object.fromEntries(columns.map((one) => [one.name, one.rows])),
          })),
        ).toEqual(expected)
      }),
      { numRuns: 20 + rareStates.length, examples: rareStates.map((one) => [one] as [typeof one]) },
    )
  })

  it('are shown with their keys, columns and how often they are there', async () => {
    const before = "SELECT 1 AS k, 'a' AS s UNION ALL SELECT 2, 'b' UNION ALL SELECT NULL, 'n'"
    const after = "SELECT 1 AS k, 'A' AS s UNION ALL SELECT NULL, NULL UNION ALL SELECT 3, 'c' UNION ALL SELECT 3, 'c'"
    const found = await diffRows(
      made.context,
      { kind: 'query', sql: before, bound: [] },
      { kind: 'query', sql: after, bound: [] },
      { keys: ['k'] },
    )
    expect(found.sample).toEqual([
      { kind: 'changed', key: ['1'], columns: [{ name: 's', before: 'a', after: 'A' }] },
      { kind: 'changed', key: [null], columns: [{ name: 's', before: 'n', after: null }] },
      { kind: 'removed', values: ['2', 'b'], times: 1 },
      { kind: 'added', values: ['3', 'c'], times: 2 },
    ])
  })

  it('names columns that one side lacks or has of another type, and compares the rest', async () => {
    const found = await diffRows(
      made.context,
      { kind: 'query', sql: 'SELECT 1::INTEGER AS k, 2::INTEGER AS n, 3 AS gone', bound: [] },
      { kind: 'query', sql: 'SELECT 1::INTEGER AS k, 2::BIGINT AS n, 0.5::DOUBLE AS come', bound: [] },
      {
        keys: ['k'],
        measures: [
          { name: 'come', sql: 'sum(come)' },
          { name: 'gone', sql: 'sum(gone)' },
        ],
      },
    )
    expect(found).toMatchObject({
      same: false,
      columns: {
        added: [{ name: 'come', type: 'DOUBLE' }],
        removed: [{ name: 'gone', type: 'INTEGER' }],
        retyped: [{ name: 'n', before: 'INTEGER', after: 'BIGINT', compared: 'BIGINT' }],
        compared: ['k', 'n'],
      },
      total: {
        added: 0,
        removed: 0,
        changed: 0,
        measures: [
          { name: 'come', before: null, after: '0.5', inexact: true },
          { name: 'gone', before: '3', after: null, delta: '-3', relative: -1, inexact: false },
        ],
      },
    })
  })

  it('say how far a number moved, and treat zeros of either sign and NaNs as equal', async () => {
    const rows = (f: string) => `SELECT * FROM (VALUES (1, ${f}), (2, 'nan'::DOUBLE), (3, NULL)) t(k, f)`
    const diff = (a: string, b: string) =>
      diffRows(
        made.context,
        { kind: 'query', sql: rows(a), bound: [] },
        { kind: 'query', sql: rows(b), bound: [] },
        { keys: ['k'] },
      )
    expect((await diff('-0.0::DOUBLE', '0.0::DOUBLE')).same).toBe(true)
    expect((await diff('4.0::DOUBLE', '5.0::DOUBLE')).total.columns).toEqual([{ name: 'f', rows: 1, greatest: 0.2 }])
  })

  it('takes a side that does not exist for one without rows, and restricts both by a condition', async () => {
    const all: RowSide = { kind: 'query', sql: 'SELECT range AS k FROM range(10)', bound: [] }
    expect((await diffRows(made.context, { kind: 'none' }, all)).total).toMatchObject({
      before: 0,
      after: 10,
      added: 10,
    })
    expect((await diffRows(made.context, all, { kind: 'none' }, { where: 'k < 3' })).total).toMatchObject({
      before: 3,
      removed: 3,
    })
  })

  it('refuses a key that is no column of both', async () => {
    const one: RowSide = { kind: 'query', sql: 'SELECT 1 AS k, 2 AS other', bound: [] }
    await expect(diffRows(made.context, one, one, { keys: ['othr'] })).rejects.toMatchObject({
      kind: 'usage/argument',
      remedy: 'Did you mean other?',
    })
  })
})
