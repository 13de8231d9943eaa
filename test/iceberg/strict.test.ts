import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Predicate } from '../../packages/limn/src/expr/index.ts'
import {
  applyTransform,
  type DataFile,
  encodeSingleValue,
  mustMatch,
  type Transform,
} from '../../packages/limn/src/iceberg/index.ts'
import type { PrimitiveType, Schema, Value } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

/** Three-valued truth of a predicate over one row, by its definition; null is unknown. */
function truth(predicate: Predicate, value: Value | null): boolean | null {
  switch (predicate.kind) {
    case 'true':
      return true
    case 'false':
      return false
    case 'isNull':
      return value === null
    case 'notNull':
      return value !== null
    case 'and': {
      const parts = predicate.of.map((part) => truth(part, value))
      return parts.includes(false) ? false : parts.includes(null) ? null : true
    }
    case 'or': {
      const parts = predicate.of.map((part) => truth(part, value))
      return parts.includes(true) ? true : parts.includes(null) ? null : false
    }
    case 'not': {
      const inner = truth(predicate.of, value)
      return inner === null ? null : !inner
    }
    case 'in':
      return value === null ? null : predicate.values.includes(value)
    case 'startsWith':
      return value === null ? null : String(value).startsWith(predicate.prefix)
    case 'compare': {
      if (value === null) return null
      const sign = value < predicate.value ? -1 : value > predicate.value ? 1 : 0
      return { eq: sign === 0, ne: sign !== 0, lt: sign < 0, le: sign <= 0, gt: sign > 0, ge: sign >= 0 }[
        predicate.operator
      ]
    }
  }
}

const types: Readonly<Record<string, { readonly type: PrimitiveType; readonly transforms: readonly Transform[] }>> = {
  long: {
    type: 'long',
    transforms: [{ kind: 'void' }, { kind: 'identity' }, { kind: 'truncate', width: 5 }, { kind: 'bucket', count: 4 }],
  },
  timestamp: {
    type: 'timestamp',
    transforms: [{ kind: 'hour' }, { kind: 'day' }, { kind: 'month' }, { kind: 'year' }],
  },
}

function valuesOf(name: string): fc.Arbitrary<bigint> {
  if (name === 'long') return fc.bigInt(-20n, 20n)
  const hours = fc.bigInt(-30_000n, 30_000n)
  return hours.map((hour) => hour * 3_600_000_000n)
}

function predicates(values: fc.Arbitrary<bigint>): fc.Arbitrary<Predicate> {
  const leaf: fc.Arbitrary<Predicate> = fc.oneof(
    fc.record({
      kind: fc.constant('compare' as const),
      operator: fc.constantFrom('eq', 'ne', 'lt', 'le', 'gt', 'ge'),
      column: fc.constant('x'),
      value: values,
    }),
    fc.record({
      kind: fc.constant('in' as const),
      column: fc.constant('x'),
      values: fc.array(values, { minLength: 1, maxLength: 3 }),
    }),
    fc.constant<Predicate>({ kind: 'isNull', column: 'x' }),
    fc.constant<Predicate>({ kind: 'notNull', column: 'x' }),
  )
  return fc.letrec<{ any: Predicate }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('any'), { minLength: 1, maxLength: 3 }).map((of): Predicate => ({ kind: 'and', of })),
      fc.array(tie('any'), { minLength: 1, maxLength: 3 }).map((of): Predicate => ({ kind: 'or', of })),
      tie('any').map((of): Predicate => ({ kind: 'not', of })),
    ),
  })).any
}

function fileOf(type: PrimitiveType, rows: readonly (bigint | null)[], partition: Value | null, bounds: boolean) {
  const known = rows.filter((one): one is bigint => one !== null).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const low = known[0]
  const high = known.at(-1)
  const bound = (value: bigint | undefined) =>
    bounds && value !== undefined ? new Map([[1, encodeSingleValue(type, value)]]) : new Map<number, Uint8Array>()
  const counts = (count: number) => (bounds ? new Map([[1, BigInt(count)]]) : new Map<number, bigint>())
  const file: DataFile = {
    content: 0,
    path: storePath('f'),
    format: 'parquet',
    specId: 0,
    partition: [partition],
    recordCount: BigInt(rows.length),
    fileSizeInBytes: 1n,
    columnSizes: new Map(),
    valueCounts: counts(rows.length),
    nullValueCounts: counts(rows.length - known.length),
    nanValueCounts: new Map(),
    lowerBounds: bound(low),
    upperBounds: bound(high),
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
  }
  return file
}

describe('a file known to match as a whole', () => {
  for (const [name, { type, transforms }] of Object.entries(types)) {
    it(`holds only matching rows, whatever its ${name}s, partition and bounds`, () => {
      const schema: Schema = {
        schemaId: 0,
        identifierFieldIds: [],
        fields: [{ id: 1, name: 'x', required: false, type }],
      }
      const values = valuesOf(name)
      let certain = 0
      fc.assert(
        fc.property(
          fc.array(fc.option(values, { freq: 8 }), { minLength: 1, maxLength: 6 }),
          fc.constantFrom(...transforms),
          fc.boolean(),
          predicates(values),
          (drawn, transform, bounds, predicate) => {
            const partition = applyTransform(transform, type, drawn[0] ?? null)
            const rows = drawn.filter((one) => applyTransform(transform, type, one) === partition)
            const spec = { specId: 0, fields: [{ sourceId: 1, fieldId: 1000, name: 'p', transform }] }
            const file = fileOf(type, rows, partition, bounds)
            if (!mustMatch(file, predicate, schema, spec)) return
            certain++
            for (const row of rows) expect([row, truth(predicate, row)]).toEqual([row, true])
          },
        ),
        { seed: 20_260_101, numRuns: 4000 },
      )
      expect(certain).toBeGreaterThan(100)
    })
  }

  it('is told by its partition alone, by its bounds alone, and not when a null or NaN may be in it', () => {
    const day = { specId: 0, fields: [{ sourceId: 1, fieldId: 1000, name: 'd', transform: { kind: 'day' as const } }] }
    const schema = (type: PrimitiveType): Schema => ({
      schemaId: 0,
      identifierFieldIds: [],
      fields: [{ id: 1, name: 'x', required: false, type }],
    })
    const from: Predicate = { kind: 'compare', operator: 'ge', column: 'x', value: 86_400_000_000n }
    const partitioned = fileOf('timestamp', [90_000_000_000n], 1, false)
    expect(mustMatch(partitioned, from, schema('timestamp'), day)).toBe(true)
    const none = { specId: 0, fields: [] }
    expect(mustMatch(fileOf('timestamp', [90_000_000_000n], null, true), from, schema('timestamp'), none)).toBe(true)
    expect(mustMatch(fileOf('timestamp', [90_000_000_000n, null], null, true), from, schema('timestamp'), none)).toBe(
      false,
    )
    const positive: Predicate = { kind: 'compare', operator: 'lt', column: 'x', value: 9 }
    const double = {
      ...fileOf('long', [1n], null, true),
      lowerBounds: new Map([[1, encodeSingleValue('double', 1)]]),
      upperBounds: new Map([[1, encodeSingleValue('double', 2)]]),
    }
    expect(mustMatch(double, positive, schema('double'), none)).toBe(false)
    expect(mustMatch({ ...double, nanValueCounts: new Map([[1, 0n]]) }, positive, schema('double'), none)).toBe(true)
  })
})
