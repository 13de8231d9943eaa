import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  assignFieldIds,
  canPromote,
  compareUtf8,
  compareValues,
  defaultFromJson,
  defaultToJson,
  type Field,
  fieldById,
  fieldByName,
  highestFieldId,
  primitiveFromText,
  type Schema,
  sameFields,
  sameType,
  schemaFromJson,
  schemaToJson,
  type Type,
} from '../../packages/limn/src/schema/index.ts'

const schema: Schema = {
  schemaId: 2,
  identifierFieldIds: [1],
  fields: [
    { id: 1, name: 'id', required: true, type: 'uuid', doc: 'The key.' },
    { id: 2, name: 'price', required: false, type: 'decimal(9,2)' },
    {
      id: 3,
      name: 'place',
      required: false,
      type: {
        type: 'struct',
        fields: [
          { id: 4, name: 'lat', required: true, type: 'double' },
          { id: 5, name: 'code.old', required: false, type: 'fixed[4]' },
        ],
      },
    },
    {
      id: 6,
      name: 'tags',
      required: false,
      type: { type: 'list', elementId: 7, elementRequired: true, element: 'string' },
    },
    {
      id: 8,
      name: 'counts',
      required: false,
      type: { type: 'map', keyId: 9, key: 'string', valueId: 10, valueRequired: false, value: 'long' },
    },
    { id: 11, name: 'a.b', required: false, type: 'timestamptz' },
  ],
}

function kindOf(body: () => unknown): string {
  try {
    body()
  } catch (error) {
    return error instanceof LimnError ? error.kind : String(error)
  }
  return 'no error'
}

describe('the schema codec', () => {
  it('writes the spelling of the specification and reads it back', () => {
    const json = schemaToJson(schema)
    expect(schemaFromJson(JSON.parse(JSON.stringify(json)))).toEqual(schema)
    expect(json['schema-id']).toBe(2)
    expect(json['identifier-field-ids']).toEqual([1])
    const fields = json.fields as Record<string, unknown>[]
    expect(fields[1]?.type).toBe('decimal(9, 2)')
    expect(fields[3]?.type).toEqual({ type: 'list', 'element-id': 7, 'element-required': true, element: 'string' })
    expect(fields[4]?.type).toEqual({
      type: 'map',
      'key-id': 9,
      key: 'string',
      'value-id': 10,
      'value-required': false,
      value: 'long',
    })
  })

  it('reads decimals with and without a space, and refuses types of later versions by name', () => {
    expect([primitiveFromText('decimal(38,10)'), primitiveFromText('decimal(38, 10)')]).toEqual([
      'decimal(38,10)',
      'decimal(38,10)',
    ])
    for (const type of ['geometry', 'geography(srid:4326)', 'text'])
      expect(kindOf(() => primitiveFromText(type))).toBe('iceberg/unsupported')
  })

  it('keeps default values of every type, exact, and refuses what is no value of the type', () => {
    const defaults: readonly (readonly [Type, unknown])[] = [
      ['boolean', true],
      ['int', -1],
      ['long', -9223372036854775808n],
      ['double', 0.342343242342342],
      ['decimal(16,2)', '-0.05'],
      ['date', '2003-10-20'],
      ['time', '00:00:00.012345'],
      ['timestamp', '1969-12-31T23:59:59.999999'],
      ['timestamptz', '2024-01-15T10:30:45.123456+00:00'],
      ['timestamp_ns', '1969-12-31T23:59:59.999999999'],
      ['timestamptz_ns', '2024-01-15T10:30:45.123456789+00:00'],
      ['string', 'ż'],
      ['uuid', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
      ['fixed[3]', '00ff01'],
      ['binary', ''],
      [{ type: 'list', elementId: 9, elementRequired: false, element: 'int' }, [1, null]],
      [
        { type: 'map', keyId: 8, key: 'string', valueId: 9, valueRequired: false, value: 'long' },
        { keys: ['a'], values: [5n] },
      ],
      [{ type: 'struct', fields: [{ id: 9, name: 'b', required: false, type: 'int' }] }, { '9': 4 }],
    ]
    for (const [type, json] of defaults) expect(defaultToJson(type, defaultFromJson(type, json))).toEqual(json)
    expect(defaultFromJson('timestamptz', '2024-01-15T12:30:45+02:00')).toBe(1705314645000000n)
    for (const [type, json] of [
      ['int', 1.5],
      ['long', 'x'],
      ['decimal(4,1)', '1.25'],
      ['date', '2003-13-20'],
      ['timestamp', '2024-01-15T10:30:45.1234567'],
      ['binary', 'abc'],
    ] as const)
      expect(kindOf(() => defaultFromJson(type, json))).toBe('iceberg/invalid-metadata')
    const field = { id: 1, name: 'a', required: false, type: 'int' }
    const schema = schemaFromJson({ fields: [{ ...field, 'initial-default': 7, 'write-default': 8 }] })
    expect(schema.fields[0]).toMatchObject({ initialDefault: 7, writeDefault: 8 })
    expect(schemaFromJson(schemaToJson(schema))).toEqual(schema)
    expect(sameFields(schema, schemaFromJson({ fields: [field] }))).toBe(false)
  })

  it('refuses a damaged schema', () => {
    const damaged = [
      null,
      {},
      { fields: [{ name: 'a', type: 'int' }] },
      { fields: [{ id: 1, name: 'a', type: { type: 'list', element: 'int' } }] },
    ]
    for (const json of damaged) expect(kindOf(() => schemaFromJson(json))).toBe('iceberg/invalid-metadata')
  })
})

describe('fields', () => {
  it('are found by id, and by names with dots in either sense', () => {
    expect(fieldById(schema, 4)?.name).toBe('lat')
    expect(fieldById(schema, 99)).toBeUndefined()
    expect(fieldByName(schema, 'place.lat')?.id).toBe(4)
    expect(fieldByName(schema, 'place.code.old')?.id).toBe(5)
    expect(fieldByName(schema, 'a.b')?.id).toBe(11)
    expect([fieldByName(schema, 'Place'), fieldByName(schema, 'tags.element'), fieldByName(schema, 'place.x')]).toEqual(
      [undefined, undefined, undefined],
    )
    expect(highestFieldId(schema.fields)).toBe(11)
  })

  it('get fresh ids, a level at a time, none twice', () => {
    const assigned = assignFieldIds(
      schema.fields.map((field) => ({ ...field, id: 0 })),
      100,
    )
    expect(assigned.fields.map((field) => field.id)).toEqual([101, 102, 103, 104, 105, 106])
    expect(fieldByName(assigned, 'place.lat')?.id).toBe(107)
    expect(assigned.lastColumnId).toBe(111)
    expect(highestFieldId(assigned.fields)).toBe(111)
    expect(idsOf(assigned.fields).length).toBe(new Set(idsOf(assigned.fields)).size)
  })

  it('of two schemas are the same whatever the order of their members in memory', () => {
    const [first, ...rest] = schema.fields
    if (!first) throw new Error('no field')
    const reordered: Field = { doc: 'The key.', type: 'uuid', required: true, name: 'id', id: 1 }
    expect(sameFields(schema, { ...schema, schemaId: 9, fields: [reordered, ...rest] })).toBe(true)
    const others: readonly Partial<Field>[] = [
      { id: 12 },
      { name: 'key' },
      { required: false },
      { type: 'string' },
      { doc: '' },
    ]
    for (const other of others)
      expect([other, sameFields(schema, { ...schema, fields: [{ ...first, ...other }, ...rest] })]).toEqual([
        other,
        false,
      ])
    expect(sameFields(schema, { ...schema, fields: rest })).toBe(false)
    expect(sameFields(schema, { ...schema, identifierFieldIds: [] })).toBe(false)
  })

  it('of nested types are compared inside', () => {
    const list = (element: Type, elementRequired = true): Type => ({
      type: 'list',
      elementId: 7,
      elementRequired,
      element,
    })
    expect(sameType(list('int'), list('int'))).toBe(true)
    expect([
      sameType(list('int'), list('long')),
      sameType(list('int'), list('int', false)),
      sameType(list('int'), 'int'),
    ]).toEqual([false, false, false])
  })

  it('may be promoted only where old values stay what they were', () => {
    const yes: readonly (readonly [Type, Type])[] = [
      ['int', 'long'],
      ['float', 'double'],
      ['decimal(9,2)', 'decimal(18,2)'],
      ['string', 'string'],
    ]
    const no: readonly (readonly [Type, Type])[] = [
      ['long', 'int'],
      ['int', 'double'],
      ['decimal(9,2)', 'decimal(18,3)'],
      ['decimal(9,2)', 'decimal(8,2)'],
      ['date', 'timestamp'],
      ['int', 'string'],
    ]
    for (const [from, to] of yes) expect([from, to, canPromote(from, to)]).toEqual([from, to, true])
    for (const [from, to] of no) expect([from, to, canPromote(from, to)]).toEqual([from, to, false])
  })
})

describe('values', () => {
  it('order strings by their UTF-8 bytes', () => {
    const text = fc.string({
      unit: fc.oneof(fc.constantFrom('a', '\uffff', '🧊', 'é', ''), fc.string({ unit: 'grapheme' })),
    })
    fc.assert(
      fc.property(text, text, (a, b) => {
        const bytes = Math.sign(Buffer.compare(Buffer.from(a.toWellFormed()), Buffer.from(b.toWellFormed())))
        expect(Math.sign(compareUtf8(a.toWellFormed(), b.toWellFormed()))).toBe(bytes)
      }),
      { seed: 5, numRuns: 500 },
    )
    expect(compareValues('string', '\uffff', '🧊')).toBeLessThan(0)
  })

  it('order NaN last, -0 with 0, bytes unsigned', () => {
    expect(compareValues('double', Number.NaN, Number.POSITIVE_INFINITY)).toBeGreaterThan(0)
    expect(compareValues('double', Number.NaN, Number.NaN)).toBe(0)
    expect(compareValues('double', -0, 0)).toBe(0)
    expect(compareValues('binary', Uint8Array.of(0x80), Uint8Array.of(0x7f))).toBeGreaterThan(0)
    expect(compareValues('decimal(38,0)', -(10n ** 37n), 1n)).toBeLessThan(0)
    expect(compareValues('boolean', false, true)).toBeLessThan(0)
  })
})

function idsOf(fields: readonly Field[]): readonly number[] {
  const within = (type: Type): readonly number[] => {
    if (typeof type === 'string') return []
    if (type.type === 'struct') return idsOf(type.fields)
    if (type.type === 'list') return [type.elementId, ...within(type.element)]
    return [type.keyId, type.valueId, ...within(type.key), ...within(type.value)]
  }
  return fields.flatMap((field) => [field.id, ...within(field.type)])
}
