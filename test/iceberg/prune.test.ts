import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Predicate } from '../../packages/limn/src/expr/index.ts'
import {
  applyTransform,
  type DataFile,
  encodeSingleValue,
  manifestMightMatch,
  mightMatch,
  type PartitionSpec,
  type Transform,
  transformResultType,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Schema, Value } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: false, type: 'long' },
    { id: 2, name: 's', required: false, type: 'string' },
    { id: 3, name: 't', required: false, type: 'timestamp' },
  ],
}
type Row = Readonly<Record<string, Value | null>>

const hour = 3_600_000_000n
const rows: fc.Arbitrary<Row> = fc.record({
  n: fc.option(fc.bigInt({ min: -20n, max: 20n }), { freq: 6 }),
  s: fc.option(fc.constantFrom('', 'a', 'ab', 'abc', 'b', '🧊', '\uffff', 'zz'), { freq: 6 }),
  t: fc.option(
    fc.bigInt({ min: -60n * 24n, max: 60n * 24n }).map((at) => at * hour),
    { freq: 6 },
  ),
})
const leaves: fc.Arbitrary<Predicate> = fc.oneof(
  ...(['n', 's', 't'] as const).map((column) => {
    const values = rows
      .map((row) => row[column])
      .filter((value): value is Value => value !== null && value !== undefined)
    return fc.oneof(
      fc.record({
        kind: fc.constant('compare' as const),
        operator: fc.constantFrom('eq', 'ne', 'lt', 'le', 'gt', 'ge'),
        column: fc.constant(column),
        value: values,
      }),
      fc.record({
        kind: fc.constant('in' as const),
        column: fc.constant(column),
        values: fc.array(values, { minLength: 1, maxLength: 3 }),
      }),
      fc.constant<Predicate>({ kind: 'isNull', column }),
      fc.constant<Predicate>({ kind: 'notNull', column }),
    ) as fc.Arbitrary<Predicate>
  }),
  fc.constantFrom('', 'a', 'ab', '🧊').map((prefix): Predicate => ({ kind: 'startsWith', column: 's', prefix })),
)
const { predicate: predicates } = fc.letrec<{ predicate: Predicate }>((tie) => ({
  predicate: fc.oneof(
    { maxDepth: 3 },
    leaves,
    fc.array(tie('predicate'), { minLength: 1, maxLength: 3 }).map((of): Predicate => ({ kind: 'and', of })),
    fc.array(tie('predicate'), { minLength: 1, maxLength: 3 }).map((of): Predicate => ({ kind: 'or', of })),
    tie('predicate').map((of): Predicate => ({ kind: 'not', of })),
  ),
}))

/** Three-valued truth of a predicate for a row, written down naively: null is unknown. */
function truth(predicate: Predicate, row: Row): boolean | null {
  const compare = (a: Value, b: Value) =>
    typeof a === 'string' && typeof b === 'string'
      ? Buffer.compare(Buffer.from(a), Buffer.from(b))
      : a < b
        ? -1
        : a > b
          ? 1
          : 0
  switch (predicate.kind) {
    case 'true':
      return true
    case 'false':
      return false
    case 'and': {
      const all = predicate.of.map((part) => truth(part, row))
      return all.includes(false) ? false : all.includes(null) ? null : true
    }
    case 'or': {
      const all = predicate.of.map((part) => truth(part, row))
      return all.includes(true) ? true : all.includes(null) ? null : false
    }
    case 'not': {
      const inner = truth(predicate.of, row)
      return inner === null ? null : !inner
    }
    default: {
      const value = row[predicate.column] ?? null
      if (predicate.kind === 'isNull') return value === null
      if (predicate.kind === 'notNull') return value !== null
      if (value === null) return null
      if (predicate.kind === 'in') return predicate.values.some((one) => compare(value, one) === 0)
      if (predicate.kind === 'startsWith') return String(value).startsWith(predicate.prefix)
      const order = compare(value, predicate.value)
      return { eq: order === 0, ne: order !== 0, lt: order < 0, le: order <= 0, gt: order > 0, ge: order >= 0 }[
        predicate.operator
      ]
    }
  }
}

const transforms: readonly (readonly [number, Transform])[] = [
  [1, { kind: 'identity' }],
  [1, { kind: 'truncate', width: 7 }],
  [1, { kind: 'bucket', count: 4 }],
  [2, { kind: 'truncate', width: 2 }],
  [2, { kind: 'bucket', count: 3 }],
  [2, { kind: 'identity' }],
  [3, { kind: 'day' }],
  [3, { kind: 'month' }],
  [3, { kind: 'year' }],
  [3, { kind: 'hour' }],
  [3, { kind: 'void' }],
]

function fileOf(list: readonly Row[], spec: PartitionSpec, partition: readonly (Value | null)[]): DataFile {
  const nullValueCounts = new Map<number, bigint>()
  const lowerBounds = new Map<number, Uint8Array>()
  const upperBounds = new Map<number, Uint8Array>()
  for (const field of schema.fields) {
    const values = list.map((row) => row[field.name] ?? null)
    const present = values.filter((value): value is Value => value !== null)
    nullValueCounts.set(field.id, BigInt(values.length - present.length))
    const encode = (value: Value) => encodeSingleValue(field.type, value)
    const sorted = present.toSorted((a, b) =>
      typeof a === 'string' ? Buffer.compare(Buffer.from(a), Buffer.from(String(b))) : a < b ? -1 : 1,
    )
    const [low] = sorted
    const high = sorted.at(-1)
    if (low !== undefined) lowerBounds.set(field.id, encode(low))
    if (high !== undefined) upperBounds.set(field.id, encode(high))
  }
  return {
    content: 0,
    path: storePath('file:///x'),
    format: 'parquet',
    specId: spec.specId,
    partition,
    recordCount: BigInt(list.length),
    fileSizeInBytes: 1n,
    columnSizes: new Map(),
    valueCounts: new Map(schema.fields.map((field) => [field.id, BigInt(list.length)])),
    nullValueCounts,
    nanValueCounts: new Map(),
    lowerBounds,
    upperBounds,
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
  }
}

describe('pruning', () => {
  for (const [sourceId, transform] of transforms) {
    it(`never loses a matching row of a table partitioned by ${transform.kind} of field ${sourceId}`, () => {
      const source = schema.fields.find((field) => field.id === sourceId)
      if (!source) throw new Error('no such field')
      const spec: PartitionSpec = { specId: 0, fields: [{ sourceId, fieldId: 1000, name: 'p', transform }] }
      const type = transformResultType(transform, source.type)
      const partitionOf = (row: Row) => applyTransform(transform, source.type, row[source.name] ?? null)
      let kept = 0
      fc.assert(
        fc.property(fc.array(rows, { minLength: 1, maxLength: 8 }), predicates, (list, predicate) => {
          const first = list[0] ?? {}
          const same = list.filter((row) => partitionOf(row) === partitionOf(first))
          const partition = [partitionOf(first)]
          const file = fileOf(same, spec, partition)
          const matches = same.some((row) => truth(predicate, row) === true)
          const [value = null] = partition
          const bound = value === null ? null : encodeSingleValue(type, value)
          const summary = [{ containsNull: value === null, containsNan: false, lowerBound: bound, upperBound: bound }]
          if (matches) {
            expect(mightMatch(file, predicate, schema, spec)).toBe(true)
            expect(manifestMightMatch(summary, predicate, schema, spec)).toBe(true)
          } else if (!mightMatch(file, predicate, schema, spec)) kept++
        }),
        { seed: 11, numRuns: 400 },
      )
      // Pruning that prunes nothing would pass too.
      expect(kept).toBeGreaterThan(20)
    })
  }
})
