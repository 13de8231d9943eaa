import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evolveSchema, type SchemaChange } from '../../packages/limn/src/iceberg/index.ts'
import { type Field, highestFieldId, locateAll, type Schema, type Type } from '../../packages/limn/src/schema/index.ts'

const field = (id: number, name: string, type: Type, more: Partial<Field> = {}): Field => ({
  id,
  name,
  required: false,
  type,
  ...more,
})
const struct = (...fields: readonly Field[]): Type => ({ type: 'struct', fields })

/** The schema the format's own tests evolve: nested structs, lists and maps of structs, a struct as a map's key. */
const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    field(1, 'id', 'int', { required: true }),
    field(2, 'data', 'string'),
    field(
      3,
      'preferences',
      struct(field(8, 'feature1', 'boolean', { required: true }), field(9, 'feature2', 'boolean')),
    ),
    field(
      4,
      'locations',
      {
        type: 'map',
        keyId: 10,
        key: struct(field(20, 'address', 'string'), field(21, 'city', 'string')),
        valueId: 11,
        valueRequired: false,
        value: struct(field(12, 'lat', 'float', { required: true }), field(13, 'long', 'float')),
      },
      { required: true },
    ),
    field(5, 'points', {
      type: 'list',
      elementId: 14,
      elementRequired: true,
      element: struct(field(15, 'x', 'long', { required: true }), field(16, 'y', 'long', { required: true })),
    }),
    field(6, 'doubles', { type: 'list', elementId: 17, elementRequired: true, element: 'double' }, { required: true }),
    field(7, 'price', 'decimal(9,2)'),
  ],
}

const evolve = (changes: readonly SchemaChange[], options: Partial<Parameters<typeof evolveSchema>[2]> = {}) =>
  evolveSchema(schema, changes, { formatVersion: 2, lastColumnId: 23, ...options })
const paths = (fields: readonly Field[]) =>
  Object.fromEntries(locateAll(fields).map((one) => [one.path.join('.'), one.field]))
const refusal = (changes: readonly SchemaChange[], options = {}) => {
  try {
    evolve(changes, options)
  } catch (error) {
    return error as { kind: string; message: string }
  }
  throw new Error('the change was not refused')
}

describe('adding columns', () => {
  it('gives fresh ids counted up from the last one, a struct before what is inside it', () => {
    const made = evolve([
      { kind: 'add-column', name: 'top', type: 'decimal(9,2)', doc: 'money' },
      { kind: 'add-column', parent: 'locations', name: 'alt', type: 'float' },
      { kind: 'add-column', parent: 'points', name: 'z', type: 'long' },
      {
        kind: 'add-column',
        name: 'history',
        type: {
          type: 'map',
          keyId: 1,
          key: 'string',
          valueId: 1,
          valueRequired: false,
          value: struct(field(1, 'a', 'int')),
        },
      },
    ])
    const found = paths(made.schema.fields)
    expect(found.top).toEqual(field(24, 'top', 'decimal(9,2)', { doc: 'money' }))
    expect(found['locations.value.alt']?.id).toBe(25)
    expect(found['points.element.z']?.id).toBe(26)
    expect([
      found.history?.id,
      found['history.key']?.id,
      found['history.value']?.id,
      found['history.value.a']?.id,
    ]).toEqual([27, 28, 29, 30])
    expect(made.lastColumnId).toBe(30)
  })

  it('places them first, after or before a sibling', () => {
    const names = (changes: readonly SchemaChange[], path?: string) => {
      const found = path ? paths(evolve(changes).schema.fields)[path]?.type : struct(...evolve(changes).schema.fields)
      return typeof found === 'object' && found.type === 'struct' ? found.fields.map((one) => one.name) : []
    }
    expect(names([{ kind: 'add-column', name: 'n', type: 'int', position: { at: 'first' } }])[0]).toBe('n')
    const after: SchemaChange = { kind: 'add-column', name: 'n', type: 'int', position: { at: 'after', column: 'id' } }
    expect(names([after]).slice(0, 3)).toEqual(['id', 'n', 'data'])
    const nested: SchemaChange = {
      kind: 'add-column',
      parent: 'points.element',
      name: 't',
      type: 'int',
      position: { at: 'before', column: 'y' },
    }
    expect(names([nested], 'points.element')).toEqual(['x', 't', 'y'])
  })

  it('refuses a required column without a default, and allows one with it from version 3', () => {
    const required: SchemaChange = { kind: 'add-column', name: 'n', type: 'int', required: true }
    expect(refusal([required]).kind).toBe('schema/unsafe-change')
    expect(paths(evolve([required], { allowIncompatible: true }).schema.fields).n?.required).toBe(true)
    const given: SchemaChange = { ...required, default: 34 }
    expect(refusal([given])).toMatchObject({
      kind: 'schema/invalid-change',
      message: expect.stringMatching(/version 3/),
    })
    expect(paths(evolve([given], { formatVersion: 3 }).schema.fields).n).toMatchObject({
      required: true,
      initialDefault: 34,
      writeDefault: 34,
    })
  })

  it('refuses names that are taken, parents that hold no columns, and the keys of maps', () => {
    const add = (name: string, parent?: string): SchemaChange => ({
      kind: 'add-column',
      name,
      type: 'int',
      ...(parent ? { parent } : {}),
    })
    expect(refusal([add('data')]).message).toMatch(/data already/)
    expect(refusal([add('feature1', 'preferences')]).message).toMatch(/feature1 already/)
    expect(refusal([add('preferences.feature1')]).message).toMatch(/two columns/)
    expect(refusal([add('x', 'data')]).message).toMatch(/holds no columns/)
    expect(refusal([add('x', 'nothing')]).message).toMatch(/There is no column nothing/)
    expect(refusal([add('zip', 'locations.key')]).kind).toBe('schema/unsafe-change')
    expect(refusal([add('DATA')], { caseSensitive: false }).message).toMatch(/data already/)
    expect(paths(evolve([add('DATA')]).schema.fields).DATA?.id).toBe(24)
    const replaced = evolve([{ kind: 'drop-column', column: 'data' }, add('data')])
    expect(paths(replaced.schema.fields).data?.id).toBe(24)
  })

  it('takes the types of version 3 in version 3 only', () => {
    for (const type of ['timestamp_ns', 'timestamptz_ns', 'unknown', 'variant'] as const) {
      const add: SchemaChange = { kind: 'add-column', name: 'n', type: struct(field(1, 'inner', type)) }
      expect(refusal([add]).kind).toBe('schema/invalid-change')
      expect(evolve([add], { formatVersion: 3 }).lastColumnId).toBe(25)
    }
    const unknown: SchemaChange = { kind: 'add-column', name: 'n', type: 'unknown', default: 1 }
    expect(refusal([unknown], { formatVersion: 3 }).message).toMatch(/defaults to null/)
  })
})

describe('dropping, renaming and moving columns', () => {
  it('drops with all inside, and never an element, a key or what identifies rows', () => {
    const made = evolve([{ kind: 'drop-column', column: 'preferences' }])
    expect(made.dropped).toEqual([3, 8, 9])
    expect(paths(made.schema.fields)).not.toHaveProperty('preferences')
    expect(paths(evolve([{ kind: 'drop-column', column: 'points.x' }]).schema.fields)).not.toHaveProperty(
      'points.element.x',
    )
    expect(refusal([{ kind: 'drop-column', column: 'doubles.element' }]).message).toMatch(/a list's element/)
    expect(refusal([{ kind: 'drop-column', column: 'locations.key.city' }]).kind).toBe('schema/unsafe-change')
    const identified: SchemaChange = { kind: 'set-identifier-fields', columns: ['id'] }
    expect(refusal([identified, { kind: 'drop-column', column: 'id' }]).message).toMatch(/identifies rows/)
    const all = schema.fields.map((one): SchemaChange => ({ kind: 'drop-column', column: one.name }))
    expect(refusal(all).message).toMatch(/no columns/)
  })

  it('renames by id, nested too, and keeps what is inside', () => {
    const made = evolve([
      { kind: 'rename-column', column: 'data', to: 'json' },
      { kind: 'rename-column', column: 'locations', to: 'places' },
      { kind: 'rename-column', column: 'places.lat', to: 'latitude' },
      { kind: 'rename-column', column: ['points', 'element', 'x'], to: 'X' },
    ])
    const found = paths(made.schema.fields)
    expect([found.json?.id, found['places.value.latitude']?.id, found['points.element.X']?.id]).toEqual([2, 12, 15])
    expect(refusal([{ kind: 'rename-column', column: 'data', to: 'id' }]).message).toMatch(/id already/)
    expect(refusal([{ kind: 'rename-column', column: 'points.element', to: 'p' }]).kind).toBe('schema/invalid-change')
    expect(
      paths(evolve([{ kind: 'rename-column', column: 'DATA', to: 'd' }], { caseSensitive: false }).schema.fields).d?.id,
    ).toBe(2)
    expect(refusal([{ kind: 'rename-column', column: 'DATA', to: 'd' }])).toMatchObject({
      remedy: 'Did you mean data?',
    })
  })

  it('moves within a struct and never out of it', () => {
    const order = (changes: readonly SchemaChange[]) => evolve(changes).schema.fields.map((one) => one.name)
    expect(order([{ kind: 'move-column', column: 'price', position: { at: 'first' } }])[0]).toBe('price')
    expect(
      order([{ kind: 'move-column', column: 'id', position: { at: 'after', column: 'data' } }]).slice(0, 2),
    ).toEqual(['data', 'id'])
    const nested = evolve([{ kind: 'move-column', column: 'points.y', position: { at: 'before', column: 'points.x' } }])
    expect(Object.keys(paths(nested.schema.fields)).filter((one) => one.startsWith('points.element.'))).toEqual([
      'points.element.y',
      'points.element.x',
    ])
    const out: SchemaChange = { kind: 'move-column', column: 'points.y', position: { at: 'after', column: 'id' } }
    expect(refusal([out]).message).toMatch(/not in the same struct/)
    const self: SchemaChange = { kind: 'move-column', column: 'id', position: { at: 'after', column: 'id' } }
    expect(refusal([self]).message).toMatch(/itself/)
  })
})

describe('changing types', () => {
  const primitives = [
    'boolean',
    'int',
    'long',
    'float',
    'double',
    'date',
    'time',
    'timestamp',
    'timestamptz',
    'timestamp_ns',
    'timestamptz_ns',
    'string',
    'uuid',
    'binary',
    'unknown',
    'decimal(9,2)',
    'decimal(18,2)',
    'decimal(9,3)',
    'fixed[4]',
  ] as const
  /** The specification's table, "Schema Evolution". */
  const allowed = (from: string, to: string, version: number): boolean =>
    from === to ||
    `${from}>${to}` === 'int>long' ||
    `${from}>${to}` === 'float>double' ||
    `${from}>${to}` === 'decimal(9,2)>decimal(18,2)' ||
    (version === 3 && (from === 'unknown' || (from === 'date' && (to === 'timestamp' || to === 'timestamp_ns'))))

  it.each([2, 3] as const)('promotes exactly what the specification allows in version %s', (formatVersion) => {
    for (const from of primitives) {
      for (const to of primitives) {
        if (formatVersion < 3 && /_ns|unknown/.test(from + to)) continue
        const one: Schema = { ...schema, fields: [field(1, 'c', from)] }
        const run = () =>
          evolveSchema(one, [{ kind: 'change-type', column: 'c', type: to }], { formatVersion, lastColumnId: 1 })
        if (allowed(from, to, formatVersion)) expect([from, to, run().schema.fields[0]?.type]).toEqual([from, to, to])
        else expect(run, `${from} to ${to}`).toThrow(/cannot change/)
      }
    }
  })

  it('promotes inside lists and maps, takes defaults along, and leaves keys alone', () => {
    const made = evolve([{ kind: 'change-type', column: 'locations.lat', type: 'double' }])
    expect(paths(made.schema.fields)['locations.value.lat']?.type).toBe('double')
    const dated: Schema = { ...schema, fields: [field(1, 'd', 'date', { initialDefault: 1, writeDefault: 2 })] }
    const stamped = evolveSchema(dated, [{ kind: 'change-type', column: 'd', type: 'timestamp' }], {
      formatVersion: 3,
      lastColumnId: 1,
    })
    expect(stamped.schema.fields[0]).toMatchObject({ initialDefault: 86_400_000_000n, writeDefault: 172_800_000_000n })
    const keyed: Schema = {
      ...schema,
      fields: [field(1, 'm', { type: 'map', keyId: 2, key: 'int', valueId: 3, valueRequired: false, value: 'int' })],
    }
    const key: SchemaChange = { kind: 'change-type', column: 'm.key', type: 'long' }
    expect(() => evolveSchema(keyed, [key], { formatVersion: 2, lastColumnId: 3 })).toThrow(/map's key/)
  })
})

describe('nullability, documentation and defaults', () => {
  it('makes optional, and required only when told that it is incompatible', () => {
    expect(paths(evolve([{ kind: 'make-optional', column: 'id' }]).schema.fields).id?.required).toBe(false)
    const elements = evolve([{ kind: 'make-optional', column: 'doubles.element' }])
    expect(paths(elements.schema.fields)['doubles.element']?.required).toBe(false)
    const need: SchemaChange = { kind: 'make-required', column: 'data' }
    expect(refusal([need]).kind).toBe('schema/unsafe-change')
    expect(paths(evolve([need], { allowIncompatible: true }).schema.fields).data?.required).toBe(true)
    const added: SchemaChange = { kind: 'add-column', name: 'n', type: 'int', default: 1 }
    const both = evolve([added, { kind: 'make-required', column: 'n' }], { formatVersion: 3 })
    expect(paths(both.schema.fields).n?.required).toBe(true)
  })

  it('sets documentation and write defaults, and never changes what earlier rows hold', () => {
    const made = evolve(
      [
        { kind: 'set-doc', column: 'points.x', doc: 'across' },
        { kind: 'add-column', name: 'n', type: 'int', default: 1 },
        { kind: 'set-write-default', column: 'n', value: 2 },
      ],
      { formatVersion: 3 },
    )
    expect(paths(made.schema.fields)['points.element.x']?.doc).toBe('across')
    expect(paths(made.schema.fields).n).toMatchObject({ initialDefault: 1, writeDefault: 2 })
    expect(refusal([{ kind: 'set-write-default', column: 'data', value: 'x' }]).message).toMatch(/version 3/)
  })

  it('takes identifier fields that are required primitives reached through required structs', () => {
    const ids = (columns: readonly string[]): SchemaChange => ({ kind: 'set-identifier-fields', columns })
    expect(evolve([ids(['id'])]).schema.identifierFieldIds).toEqual([1])
    for (const [column, why] of [
      ['data', /optional/],
      ['preferences', /struct/],
      ['points.x', /lies in the list/],
      ['locations.lat', /float/],
      ['preferences.feature1', /preferences, which is optional/],
    ] as const)
      expect(refusal([ids([column])]).message).toMatch(why)
    expect(refusal([ids(['id']), { kind: 'make-optional', column: 'id' }]).message).toMatch(/optional/)
  })
})

describe('union by name', () => {
  it('adds, widens and makes optional, at every depth, and keeps what is wider already', () => {
    const made = evolve([
      {
        kind: 'union-by-name',
        fields: [
          field(100, 'id', 'long'),
          field(101, 'extra', struct(field(102, 'a', 'int'))),
          field(103, 'points', {
            type: 'list',
            elementId: 1,
            elementRequired: true,
            element: struct(field(2, 'x', 'int', { required: true }), field(3, 'z', 'string')),
          }),
        ],
      },
    ])
    const found = paths(made.schema.fields)
    expect(found.id).toMatchObject({ id: 1, type: 'long', required: false })
    expect(found['points.element.x']).toMatchObject({ id: 15, type: 'long' })
    expect(found['points.element.z']?.id).toBeGreaterThan(23)
    expect(found['extra.a']?.id).toBeGreaterThan(23)
    expect(found.data?.id).toBe(2)
    expect(refusal([{ kind: 'union-by-name', fields: [field(1, 'data', 'int')] }]).kind).toBe('schema/unsafe-change')
    expect(refusal([{ kind: 'union-by-name', fields: [field(1, 'points', 'int')] }]).kind).toBe('schema/unsafe-change')
  })
})

describe('any sequence of changes', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const path = fc.oneof(
    name,
    fc.tuple(name, name).map(([x, y]) => `${x}.${y}`),
  )
  const type = fc.constantFrom<Type>(
    'int',
    'long',
    'float',
    'double',
    struct(field(1, 'a', 'int'), field(2, 'b', 'float')),
    {
      type: 'list',
      elementId: 1,
      elementRequired: false,
      element: struct(field(2, 'c', 'int')),
    },
  )
  const change: fc.Arbitrary<SchemaChange> = fc.oneof(
    fc
      .record({ kind: fc.constant('add-column' as const), name, type, parent: fc.option(path, { nil: undefined }) })
      .map(({ parent, ...one }): SchemaChange => (parent === undefined ? one : { ...one, parent })),
    fc.record({ kind: fc.constant('drop-column' as const), column: path }),
    fc.record({ kind: fc.constant('rename-column' as const), column: path, to: name }),
    fc.record({
      kind: fc.constant('move-column' as const),
      column: path,
      position: fc.constant({ at: 'first' as const }),
    }),
    fc.record({ kind: fc.constant('change-type' as const), column: path, type: fc.constantFrom('long', 'double') }),
  )

  it('never gives an id twice, never changes what an id is, and never leaves two columns of one name', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        let now: Schema = { schemaId: 0, identifierFieldIds: [], fields: [field(1, 'start', 'int')] }
        let last = 1
        const everSeen = new Map<number, string>([[1, '|start']])
        for (const one of changes) {
          try {
            const made = evolveSchema(now, [one], { formatVersion: 2, lastColumnId: last })
            expect(made.lastColumnId).toBeGreaterThanOrEqual(last)
            const before = new Set(locateAll(now.fields).map((at) => at.field.id))
            for (const at of locateAll(made.schema.fields)) {
              const { id } = at.field
              if (!before.has(id)) expect([id, everSeen.has(id), id > last]).toEqual([id, false, true])
              everSeen.set(id, at.path.join('.'))
            }
            now = made.schema
            last = made.lastColumnId
          } catch (error) {
            expect((error as { kind?: string }).kind).toMatch(/^schema\//)
          }
          const all = locateAll(now.fields)
          expect(new Set(all.map((at) => at.field.id)).size).toBe(all.length)
          expect(new Set(all.map((at) => at.path.join('.'))).size).toBe(all.length)
          expect(highestFieldId(now.fields)).toBeLessThanOrEqual(last)
        }
      }),
      { seed: 20261125, numRuns: 300 },
    )
  })
})
