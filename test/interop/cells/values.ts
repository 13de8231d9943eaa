import { type CanonicalValue, floatBits } from '../../support/seen.ts'

/** A type as the specification spells it in JSON. */
export type JsonType =
  | string
  | { readonly type: 'struct'; readonly fields: readonly JsonField[] }
  | {
      readonly type: 'list'
      readonly 'element-id': number
      readonly 'element-required': boolean
      readonly element: JsonType
    }
  | {
      readonly type: 'map'
      readonly 'key-id': number
      readonly key: JsonType
      readonly 'value-id': number
      readonly 'value-required': boolean
      readonly value: JsonType
    }

export interface JsonField {
  readonly id: number
  readonly name: string
  readonly type: JsonType
  readonly required: boolean
  readonly doc?: string
}

export interface JsonSchema {
  readonly type: 'struct'
  readonly 'schema-id': 0
  readonly fields: readonly JsonField[]
  readonly 'identifier-field-ids'?: readonly number[]
}

export type Row = readonly CanonicalValue[]

/** A schema of optional fields with the ids 1, 2, …; a nested type brings its own ids, from 100. */
export function schemaOf(columns: Readonly<Record<string, JsonType>>, required: readonly string[] = []): JsonSchema {
  return {
    type: 'struct',
    'schema-id': 0,
    fields: Object.entries(columns).map(([name, type], i) => ({
      id: i + 1,
      name,
      type,
      required: required.includes(name),
    })),
  }
}

export const double = (value: number) => floatBits('double', value)
export const float = (value: number) => floatBits('float', value)

/** Every primitive type of version 2, with the values at its edges: columns of one length, the first a key. */
export const edges: Readonly<Record<string, readonly [JsonType, Row]>> = {
  id: ['long', ['1', '2', '3', '4', '5', '6']],
  flag: ['boolean', [true, false, null, true, false, null]],
  i: ['int', ['-2147483648', '2147483647', null, '0', '-1', '34']],
  l: ['long', ['-9223372036854775808', '9223372036854775807', null, '0', '-1', '9007199254740993']],
  f: ['float', [float(-0), float(Number.NaN), null, float(1.1), float(Number.POSITIVE_INFINITY), float(-3.4e38)]],
  d: [
    'double',
    [double(0.1), double(Number.NEGATIVE_INFINITY), null, double(Number.NaN), double(-0), double(Number.MIN_VALUE)],
  ],
  small: ['decimal(9, 2)', ['9999999.99', '-9999999.99', null, '0.00', '-0.01', '14.20']],
  middle: [
    'decimal(18, 6)',
    ['999999999999.999999', '-999999999999.999999', null, '0.000000', '-0.000001', '1.000000'],
  ],
  large: [
    'decimal(38, 10)',
    [
      '9999999999999999999999999999.9999999999',
      '-9999999999999999999999999999.9999999999',
      null,
      '0.0000000000',
      '-0.0000000001',
      '12345678901234567890.1234567890',
    ],
  ],
  day: ['date', ['-1', '0', null, '20000', '-719162', '2932896']],
  clock: ['time', ['0', '86399999999', null, '43200000000', '1', '3599999999']],
  local: ['timestamp', ['-1', '0', null, '1700000000123456', '-62135596800000000', '253402300799999999']],
  instant: ['timestamptz', ['-1', '0', null, '1700000000123456', '-62135596800000000', '253402300799999999']],
  text: ['string', ['', 'a', null, 'Ærø \u{1F6B2} 𐍈', 'line\nbreak "quoted" \\', 'z'.repeat(40)]],
  key: [
    'uuid',
    [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      null,
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
      '80000000-0000-0000-0000-000000000000',
      '7fffffff-ffff-ffff-ffff-ffffffffffff',
    ],
  ],
  four: ['fixed[4]', ['00000000', 'ffffffff', null, '00010203', '7f80ff00', 'deadbeef']],
  bytes: ['binary', ['', '00', null, 'ff'.repeat(20), '0001', 'c0ffee']],
}

export const newTypes: Readonly<Record<string, readonly [JsonType, Row]>> = {
  localNs: ['timestamp_ns', ['-1', '0', null, '1700000000123456789', '-9000000000000000000', '9000000000000000000']],
  instantNs: [
    'timestamptz_ns',
    ['-1', '0', null, '1700000000123456789', '-9000000000000000000', '9000000000000000000'],
  ],
}

export const variants: Readonly<Record<string, readonly [JsonType, Row]>> = {
  v: [
    'variant',
    [
      { int: '5' },
      { object: { a: { int: '300' }, b: { array: [{ string: 'x' }, { null: null }, { boolean: true }] } } },
      null,
      { decimal: '12.50' },
      { double: double(0.25) },
      { string: 'a longer text than the sixty-three bytes that a short string of a variant may have at most' },
    ],
  ],
}

/** A struct in a struct, a list of structs, a map of lists, a map with struct keys' plain cousin. */
export const nestedType: Readonly<Record<string, JsonType>> = {
  id: 'long',
  place: {
    type: 'struct',
    fields: [
      { id: 101, name: 'city', type: 'string', required: false },
      {
        id: 102,
        name: 'at',
        type: {
          type: 'struct',
          fields: [
            { id: 103, name: 'lat', type: 'double', required: false },
            { id: 104, name: 'lon', type: 'float', required: false },
          ],
        },
        required: false,
      },
    ],
  },
  tags: { type: 'list', 'element-id': 110, 'element-required': false, element: 'string' },
  stops: {
    type: 'list',
    'element-id': 120,
    'element-required': false,
    element: {
      type: 'struct',
      fields: [
        { id: 121, name: 'n', type: 'int', required: false },
        { id: 122, name: 'day', type: 'date', required: false },
      ],
    },
  },
  prices: {
    type: 'map',
    'key-id': 130,
    key: 'string',
    'value-id': 131,
    'value-required': false,
    value: 'decimal(9, 2)',
  },
  deep: {
    type: 'map',
    'key-id': 140,
    key: 'int',
    'value-id': 141,
    'value-required': false,
    value: { type: 'list', 'element-id': 142, 'element-required': false, element: 'long' },
  },
}

export const nestedRows: readonly Row[] = [
  [
    '1',
    ['Aalborg', [double(57.05), float(9.92)]],
    ['a', null, ''],
    [['1', '20000'], null, [null, '-1']],
    [
      ['dkk', '7.50'],
      ['eur', null],
    ],
    [['1', ['1', null, '3']]],
  ],
  ['2', null, null, null, null, null],
  ['3', [null, null], [], [], [], []],
  [
    '4',
    ['Ribe', [null, float(8.76)]],
    ['b'],
    [['2', null]],
    [['sek', '-0.01']],
    [
      ['7', []],
      ['8', null],
    ],
  ],
]

export function columnsOfEdges(table: Readonly<Record<string, readonly [JsonType, Row]>>): {
  readonly schema: JsonSchema
  readonly rows: readonly Row[]
} {
  const names = Object.keys(table)
  const length = table[names[0] ?? '']?.[1].length ?? 0
  return {
    schema: schemaOf(Object.fromEntries(names.map((name) => [name, table[name]?.[0] ?? 'string']))),
    rows: Array.from({ length }, (_, i) => names.map((name) => table[name]?.[1][i] ?? null)),
  }
}
