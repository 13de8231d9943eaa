import fc from 'fast-check'
import type { Field, PrimitiveType, Type, Value } from '../../packages/limn/src/schema/index.ts'

/** A value of any type: an array of elements, of [key, value] pairs of a map, of a struct's values in its order. */
export type Nested = Value | null | readonly Nested[]

const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n })
const nanos = fc.bigInt({ min: -(2n ** 63n) + 10n ** 18n, max: 2n ** 63n - 10n ** 9n })
const wide = (digits: number) => {
  const most = 10n ** BigInt(digits) - 1n
  return fc.oneof(fc.bigInt({ min: -most, max: most }), fc.bigInt({ min: -99n, max: 99n }))
}
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 24 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('', 'null', 'NaN', 'x'.repeat(300), '\u{10ffff}'.repeat(20), 'same text again'),
  )
  .filter((one) => one.isWellFormed())

/** Values of each type that data files hold, edges among them. */
export const primitives: readonly (readonly [PrimitiveType, fc.Arbitrary<Value>])[] = [
  ['boolean', fc.boolean()],
  ['int', fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 0, 1))],
  ['long', fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -9n, max: 9n }))],
  ['float', fc.float()],
  ['double', fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY))],
  ['date', fc.integer({ min: -719_162, max: 2_932_896 })],
  ['time', fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  ['timestamp', micros],
  ['timestamptz', micros],
  ['timestamp_ns', nanos],
  ['timestamptz_ns', nanos],
  ['string', text],
  ['uuid', fc.uuid()],
  ['binary', fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(20).fill(255)))],
  ['fixed[1]', fc.uint8Array({ minLength: 1, maxLength: 1 })],
  ['fixed[16]', fc.uint8Array({ minLength: 16, maxLength: 16 })],
  ['fixed[20]', fc.oneof(fc.uint8Array({ minLength: 20, maxLength: 20 }), fc.constant(new Uint8Array(20).fill(255)))],
  ['decimal(4,2)', wide(4)],
  ['decimal(9,0)', wide(9)],
  ['decimal(18,6)', wide(18)],
  ['decimal(38,10)', wide(38)],
]

const names = [
  'a',
  'select',
  'Größe',
  'two words',
  'dot.ted',
  'quo"te',
  "apos'trophe",
  '名前',
  'key',
  'element',
  'value',
]

/** Shapes without ids; `numbered` gives each level its own. */
type Shape =
  | { readonly kind: 'primitive'; readonly type: PrimitiveType }
  | { readonly kind: 'struct'; readonly fields: readonly { readonly name: string; readonly shape: Shape }[] }
  | { readonly kind: 'list'; readonly element: Shape }
  | { readonly kind: 'map'; readonly key: PrimitiveType; readonly value: Shape }

const shapes = fc.letrec<{ any: Shape }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom(...primitives.map(([type]): Shape => ({ kind: 'primitive', type }))),
    fc
      .uniqueArray(fc.record({ name: fc.constantFrom(...names), shape: tie('any') }), {
        minLength: 1,
        maxLength: 3,
        selector: (one) => one.name,
      })
      .map((fields): Shape => ({ kind: 'struct', fields })),
    tie('any').map((element): Shape => ({ kind: 'list', element })),
    fc
      .record({ key: fc.constantFrom<PrimitiveType>('string', 'int', 'uuid', 'date'), value: tie('any') })
      .map(({ key, value }): Shape => ({ kind: 'map', key, value })),
  ),
})).any

/** A schema of one to four columns behind `id`, and rows of it. Field ids are not in order of place. */
export const nestedTables = fc
  .uniqueArray(fc.record({ name: fc.constantFrom(...names), shape: shapes }), {
    minLength: 1,
    maxLength: 4,
    selector: (one) => one.name,
  })
  .chain((columns) => {
    let next = 900
    const id = () => next--
    const fields: readonly Field[] = [
      { id: 5, name: 'id', required: true, type: 'long' },
      ...columns.map(({ name, shape }) => ({ id: id(), name, required: false, type: numbered(shape, id) })),
    ]
    const row = fc.tuple(...fields.slice(1).map((field) => valuesOf(field.type)))
    return fc.array(row, { maxLength: 12 }).map((rows) => ({
      fields,
      rows: rows.map((values, i): readonly Nested[] => [BigInt(i), ...values]),
    }))
  })

function numbered(shape: Shape, id: () => number): Type {
  switch (shape.kind) {
    case 'primitive':
      return shape.type
    case 'struct':
      return {
        type: 'struct',
        fields: shape.fields.map((one) => ({
          id: id(),
          name: one.name,
          required: false,
          type: numbered(one.shape, id),
        })),
      }
    case 'list':
      return { type: 'list', elementId: id(), elementRequired: false, element: numbered(shape.element, id) }
    case 'map':
      return {
        type: 'map',
        keyId: id(),
        key: shape.key,
        valueId: id(),
        valueRequired: false,
        value: numbered(shape.value, id),
      }
  }
}

export function valuesOf(type: Type): fc.Arbitrary<Nested> {
  return fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 4, arbitrary: present(type) })
}

function present(type: Type): fc.Arbitrary<Nested> {
  if (typeof type === 'string') {
    const [, values] = primitives.find(([name]) => name === type) ?? []
    if (!values) throw new Error(`no values of ${type}`)
    return values
  }
  switch (type.type) {
    case 'struct':
      return fc.tuple(...type.fields.map((field) => valuesOf(field.type)))
    case 'list':
      return fc.array(valuesOf(type.element), { maxLength: 3 })
    case 'map':
      return fc.uniqueArray(fc.tuple(present(type.key), valuesOf(type.value)), {
        maxLength: 3,
        selector: ([key]) => String(key),
      })
  }
}

/** DuckDB's name of a type, by this file's own account. */
export function typeSql(type: Type): string {
  if (typeof type !== 'string') {
    switch (type.type) {
      case 'struct':
        return `STRUCT(${type.fields.map((field) => `${quoted(field.name)} ${typeSql(field.type)}`).join(', ')})`
      case 'list':
        return `${typeSql(type.element)}[]`
      case 'map':
        return `MAP(${typeSql(type.key)}, ${typeSql(type.value)})`
    }
  }
  const named: Readonly<Record<string, string>> = {
    int: 'INTEGER',
    long: 'BIGINT',
    float: 'FLOAT',
    string: 'VARCHAR',
    binary: 'BLOB',
    timestamptz: 'TIMESTAMPTZ',
    timestamptz_ns: 'TIMESTAMP_NS',
  }
  return named[type] ?? (type.startsWith('fixed') ? 'BLOB' : type.toUpperCase())
}

/** A value as an SQL literal of its type. */
export function literalOf(type: Type, value: Nested): string {
  if (value === null) return `NULL::${typeSql(type)}`
  if (typeof type !== 'string') {
    const parts = value as readonly Nested[]
    switch (type.type) {
      case 'struct': {
        const members = type.fields.map(
          (field, i) => `${quoted(field.name)} := ${literalOf(field.type, parts[i] ?? null)}`,
        )
        return `struct_pack(${members.join(', ')})::${typeSql(type)}`
      }
      case 'list':
        return `[${parts.map((part) => literalOf(type.element, part)).join(', ')}]::${typeSql(type)}`
      case 'map': {
        const pairs = parts as readonly (readonly Nested[])[]
        const keys = pairs.map(([key]) => literalOf(type.key, key ?? null)).join(', ')
        const values = pairs.map(([, inner]) => literalOf(type.value, inner ?? null)).join(', ')
        return `MAP([${keys}]::${typeSql(type.key)}[], [${values}]::${typeSql(type.value)}[])`
      }
    }
  }
  if (value instanceof Uint8Array) return `from_hex('${Buffer.from(value).toString('hex')}')`
  const decimal = /^decimal\((\d+),(\d+)\)$/.exec(type)
  if (decimal) {
    const scale = Number(decimal[2])
    const digits = String(value)
      .replace('-', '')
      .padStart(scale + 1, '0')
    const cut = digits.length - scale
    return `'${String(value).startsWith('-') ? '-' : ''}${digits.slice(0, cut)}${scale > 0 ? '.' : ''}${digits.slice(cut)}'::${typeSql(type)}`
  }
  switch (type) {
    case 'string':
      // DuckDB's parser stops at U+0000, so text goes in as bytes.
      return `decode(from_hex('${Buffer.from(String(value)).toString('hex')}'))`
    case 'date':
      return `(DATE '1970-01-01' + ${value})::DATE`
    case 'time':
      return `(TIME '00:00:00' + to_microseconds(${value}))::TIME`
    case 'timestamp':
      return `make_timestamp(${value})`
    case 'timestamptz':
      return `make_timestamptz(${value})`
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return `make_timestamp_ns(${value})`
    default:
      return `'${Object.is(value, -0) ? '-0.0' : value}'::${typeSql(type)}`
  }
}

/** A query of rows, whose values stand in the order of the fields. */
export function selectOf(fields: readonly Field[], rows: readonly (readonly Nested[])[]): string {
  const columns = fields.map((field) => quoted(field.name)).join(', ')
  const typed = (values: readonly Nested[]) =>
    fields.map((field, i) => `${literalOf(field.type, values[i] ?? null)} AS ${quoted(field.name)}`).join(', ')
  const selects = rows.map((values) => `SELECT ${typed(values)}`)
  const none = `SELECT ${typed(fields.map(() => null))} WHERE false`
  return `SELECT ${columns} FROM (${[none, ...selects].join(' UNION ALL ')})`
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
