import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Predicate } from '../../packages/limn/src/expr/index.ts'
import {
  applyTransform,
  type DataFile,
  encodeSingleValue,
  type FieldSummary,
  manifestMightMatch,
  mightMatch,
  type PartitionSpec,
  type Transform,
  transformResultType,
} from '../../packages/limn/src/iceberg/index.ts'
import { compareValues, type PrimitiveType, type Schema, type Value } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

/** Every primitive type with values near the places where order, sign and width change. */
const domains: Readonly<Record<string, readonly Value[]>> = {
  boolean: [false, true],
  int: [-2147483000, -8, -7, -1, 0, 1, 6, 7, 8, 2147483647],
  long: [-9223372036854775000n, -8n, -7n, -1n, 0n, 1n, 7n, 9223372036854775807n],
  float: [Number.NEGATIVE_INFINITY, -1.5, -0, 0, 0.5, 2, Number.POSITIVE_INFINITY, Number.NaN],
  double: [Number.NEGATIVE_INFINITY, -1.5, -0, 0, 0.1, 2, Number.POSITIVE_INFINITY, Number.NaN],
  date: [-400, -365, -32, -31, -1, 0, 1, 30, 31, 365],
  time: [0n, 1n, 3_599_999_999n, 3_600_000_000n, 86_399_999_999n],
  timestamp: [-31_536_000_000_001n, -86_400_000_000n, -1n, 0n, 1n, 3_600_000_000n, 86_400_000_000n, 2_678_400_000_000n],
  timestamptz: [-31_536_000_000_001n, -86_400_000_000n, -1n, 0n, 3_599_999_999n, 86_400_000_000n],
  string: ['', 'a', 'ab', 'abc', 'abd', 'b', '\u00E9', '\uFFFF', '\u{1F600}', '\u{1F600}a', '\u{1F600}\u{1F600}'],
  uuid: [
    '00000000-0000-0000-0000-000000000001',
    '7fffffff-0000-0000-0000-000000000000',
    '80000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ],
  binary: [
    new Uint8Array(),
    Uint8Array.of(0),
    Uint8Array.of(127, 1),
    Uint8Array.of(127, 2),
    Uint8Array.of(128),
    Uint8Array.of(255, 255, 255),
  ],
  'decimal(9,2)': [-1001n, -999n, -1n, 0n, 1n, 7n, 1050n, 1065n],
}
const time: readonly Transform[] = [{ kind: 'year' }, { kind: 'month' }, { kind: 'day' }]
const bucket: Transform = { kind: 'bucket', count: 3 }
const truncate: Transform = { kind: 'truncate', width: 3 }
const beyondIdentity: Readonly<Record<string, readonly Transform[]>> = {
  int: [bucket, truncate, { kind: 'void' }],
  long: [bucket, truncate],
  date: [bucket, ...time],
  time: [bucket],
  timestamp: [bucket, ...time, { kind: 'hour' }],
  timestamptz: [bucket, ...time, { kind: 'hour' }],
  string: [bucket, truncate],
  uuid: [bucket],
  binary: [bucket, truncate],
  'decimal(9,2)': [bucket, truncate],
}

interface Row {
  readonly x: Value | null
  /** A field of a struct that may be null itself. */
  readonly inner: number | null | 'no struct'
}
type Truth = boolean | null

/** The naive evaluator. */
function truth(predicate: Predicate, row: Row, type: PrimitiveType): Truth {
  switch (predicate.kind) {
    case 'true':
    case 'false':
      return predicate.kind === 'true'
    case 'and':
    case 'or': {
      const decisive = predicate.kind === 'or'
      const parts = predicate.of.map((part) => truth(part, row, type))
      return parts.includes(decisive) ? decisive : parts.includes(null) ? null : !decisive
    }
    case 'not': {
      const inner = truth(predicate.of, row, type)
      return inner === null ? null : !inner
    }
    default: {
      const value = predicate.column === 'x' ? row.x : row.inner === 'no struct' ? null : row.inner
      const own = predicate.column === 'x' ? type : 'int'
      if (predicate.kind === 'isNull') return value === null
      if (predicate.kind === 'notNull') return value !== null
      if (value === null) return null
      if (predicate.kind === 'in') return predicate.values.some((one) => compareValues(own, value, one) === 0)
      if (predicate.kind === 'startsWith') return String(value).startsWith(predicate.prefix)
      const order = compareValues(own, value, predicate.value)
      const { operator } = predicate
      return { eq: order === 0, ne: order !== 0, lt: order < 0, le: order <= 0, gt: order > 0, ge: order >= 0 }[
        operator
      ]
    }
  }
}

function predicatesOver(type: PrimitiveType, domain: readonly Value[]): fc.Arbitrary<Predicate> {
  const operator = fc.constantFrom(
    'eq' as const,
    'ne' as const,
    'lt' as const,
    'le' as const,
    'gt' as const,
    'ge' as const,
  )
  const columns = [
    { column: fc.constant('x'), value: fc.constantFrom(...domain) },
    { column: fc.constant('s.inner'), value: fc.constantFrom<Value>(-1, 0, 1) },
  ]
  const leaves = columns.flatMap(({ column, value }): fc.Arbitrary<Predicate>[] => [
    fc.record({ kind: fc.constant('compare' as const), operator, column, value }),
    fc.record({ kind: fc.constant('in' as const), column, values: fc.array(value, { minLength: 1, maxLength: 3 }) }),
    fc.record({ kind: fc.constantFrom('isNull' as const, 'notNull' as const), column }),
  ])
  if (type === 'string') {
    const prefix = fc.constantFrom(...domain.map(String), 'abcd')
    leaves.push(fc.record({ kind: fc.constant('startsWith' as const), column: fc.constant('x'), prefix }))
  }
  return fc.letrec<{ predicate: Predicate }>((tie) => ({
    predicate: fc.oneof(
      { maxDepth: 3 },
      { arbitrary: fc.oneof(...leaves), weight: 4 },
      fc.record({
        kind: fc.constantFrom('and' as const, 'or' as const),
        of: fc.array(tie('predicate'), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ kind: fc.constant('not' as const), of: tie('predicate') }),
    ),
  })).predicate
}

const isNan = (value: Value) => typeof value === 'number' && Number.isNaN(value)

function extremes(type: PrimitiveType, values: readonly (Value | null)[]): readonly [Value, Value] | null {
  const bounded = values.filter((value) => value !== null && !isNan(value)) as Value[]
  bounded.sort((a, b) => compareValues(type, a, b))
  const [low] = bounded
  const high = bounded.at(-1)
  return low === undefined || high === undefined ? null : [low, high]
}

/** A file with the statistics a writer would give it; `withheld` leaves some out, as writers may. */
function fileOf(
  type: PrimitiveType,
  rows: readonly Row[],
  partition: Value | null,
  withheld: ReadonlySet<string>,
): DataFile {
  const xs = rows.map((row) => row.x)
  const inners = rows.flatMap((row) => (row.inner === 'no struct' ? [] : [row.inner]))
  const columns = [
    { id: 1, type, values: xs },
    { id: 3, type: 'int' as const, values: inners },
  ]
  const perColumn = <T>(name: string, of: (column: (typeof columns)[number]) => T | null) =>
    new Map(
      columns.flatMap((column) => {
        const value = withheld.has(name) ? null : of(column)
        return value === null ? [] : [[column.id, value] as const]
      }),
    )
  const bound = (end: 0 | 1) => (column: (typeof columns)[number]) => {
    const found = extremes(column.type, column.values)
    return found && encodeSingleValue(column.type, found[end])
  }
  const count = (test: (value: Value | null) => boolean) => (column: (typeof columns)[number]) =>
    BigInt(column.values.filter(test).length)
  return {
    content: 0,
    path: storePath('file:///x'),
    format: 'parquet',
    specId: 0,
    partition: [partition],
    recordCount: BigInt(rows.length),
    fileSizeInBytes: 1n,
    columnSizes: new Map(),
    valueCounts: perColumn(
      'valueCounts',
      count(() => true),
    ),
    nullValueCounts: perColumn(
      'nullValueCounts',
      count((value) => value === null),
    ),
    nanValueCounts: perColumn(
      'nanValueCounts',
      count((value) => value !== null && isNan(value)),
    ),
    lowerBounds: perColumn('lowerBounds', bound(0)),
    upperBounds: perColumn('upperBounds', bound(1)),
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
  }
}

const statistics = ['valueCounts', 'nullValueCounts', 'nanValueCounts', 'lowerBounds', 'upperBounds']

describe('pruning by every kind of evidence', () => {
  for (const [typeName, domain] of Object.entries(domains)) {
    for (const transform of [{ kind: 'identity' } as const, ...(beyondIdentity[typeName] ?? [])]) {
      it(`never loses a matching row of ${typeName} under ${JSON.stringify(transform)}`, () => {
        const type = typeName as PrimitiveType
        const schema: Schema = {
          schemaId: 0,
          identifierFieldIds: [],
          fields: [
            { id: 1, name: 'x', required: false, type },
            {
              id: 2,
              name: 's',
              required: false,
              type: { type: 'struct', fields: [{ id: 3, name: 'inner', required: false, type: 'int' }] },
            },
          ],
        }
        const spec: PartitionSpec = { specId: 0, fields: [{ sourceId: 1, fieldId: 1000, name: 'p', transform }] }
        const resultType = transformResultType(transform, type)
        const partitionOf = (row: Row) => applyTransform(transform, type, row.x)
        const rows = fc.record<Row>({
          x: fc.option(fc.constantFrom(...domain), { freq: 6 }),
          inner: fc.constantFrom(null, 'no struct' as const, -1, 0, 1),
        })
        let pruned = 0
        fc.assert(
          fc.property(
            fc.array(rows, { minLength: 1, maxLength: 10 }),
            predicatesOver(type, domain),
            fc.subarray(statistics),
            (list, predicate, withheld) => {
              const groups = Map.groupBy(list, (row) => {
                const value = partitionOf(row)
                return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
              })
              const partitions: (Value | null)[] = []
              for (const group of groups.values()) {
                const partition = group[0] ? partitionOf(group[0]) : null
                partitions.push(partition)
                const file = fileOf(type, group, partition, new Set(withheld))
                const might = mightMatch(file, predicate, schema, spec)
                if (group.some((row) => truth(predicate, row, type) === true)) expect(might).toBe(true)
                else if (!might) pruned++
              }
              const found = extremes(resultType, partitions)
              const summary: FieldSummary = {
                containsNull: partitions.includes(null),
                containsNan: partitions.some((value) => value !== null && isNan(value)),
                lowerBound: found && encodeSingleValue(resultType, found[0]),
                upperBound: found && encodeSingleValue(resultType, found[1]),
              }
              if (list.some((row) => truth(predicate, row, type) === true)) {
                expect(manifestMightMatch([summary], predicate, schema, spec)).toBe(true)
              }
            },
          ),
          { seed: 4_021, numRuns: 150 },
        )
        expect(pruned).toBeGreaterThan(10)
      })
    }
  }
})

describe('pruning of tables that other engines wrote', () => {
  const schemaOf = (type: PrimitiveType): Schema => ({
    schemaId: 0,
    identifierFieldIds: [],
    fields: [{ id: 1, name: 'x', required: false, type }],
  })
  const specOf = (transform: Transform): PartitionSpec => ({
    specId: 0,
    fields: [{ sourceId: 1, fieldId: 1000, name: 'p', transform }],
  })
  const compare = (operator: 'eq' | 'lt' | 'le', value: Value): Predicate => ({
    kind: 'compare',
    column: 'x',
    operator,
    value,
  })

  it('finds rows before 1970 that early writers put into the partition above', () => {
    // One microsecond before 1970 is hour, day, month and year -1; early writers rounded it to 0.
    const all = new Set(statistics)
    for (const kind of ['year', 'month', 'day', 'hour'] as const) {
      const file = fileOf('timestamp', [{ x: -1n, inner: null }], 0, all)
      for (const predicate of [compare('eq', -1n), compare('lt', 0n), compare('le', -1n)]) {
        expect(mightMatch(file, predicate, schemaOf('timestamp'), specOf({ kind }))).toBe(true)
      }
    }
  })

  it('trusts no order of uuids in a partition summary, which some writers compare signed', () => {
    // Signed, a uuid that begins with 8 comes before one that begins with 7.
    const bytes = (text: string) => encodeSingleValue('uuid', text)
    const summary: FieldSummary = {
      containsNull: false,
      containsNan: false,
      lowerBound: bytes('80000000-0000-0000-0000-000000000000'),
      upperBound: bytes('7fffffff-0000-0000-0000-000000000000'),
    }
    const predicate = compare('eq', '00000000-0000-0000-0000-000000000001')
    expect(manifestMightMatch([summary], predicate, schemaOf('uuid'), specOf({ kind: 'identity' }))).toBe(true)
    const only = { ...summary, upperBound: summary.lowerBound }
    expect(manifestMightMatch([only], predicate, schemaOf('uuid'), specOf({ kind: 'identity' }))).toBe(false)
  })

  it('takes a NaN that stands as a bound for no bound', () => {
    const nan = encodeSingleValue('double', Number.NaN)
    const file = {
      ...fileOf('double', [{ x: 1, inner: null }], null, new Set()),
      lowerBounds: new Map([[1, nan]]),
      upperBounds: new Map([[1, nan]]),
    }
    expect(mightMatch(file, compare('eq', 1), schemaOf('double'), { specId: 0, fields: [] })).toBe(true)
  })
})
