import { describe, expect, it } from 'vitest'
import {
  applyUpdates,
  createTableUpdates,
  decodeSingleValue,
  evolveNameMapping,
  evolveTable,
  nameMappingFromText,
  nameMappingOf,
  nameMappingToText,
  newSpec,
  specById,
  type TableChange,
  type TableMetadata,
  type Transform,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Field, Schema } from '../../packages/limn/src/schema/index.ts'

const fields: readonly Field[] = [
  { id: 1, name: 'id', required: true, type: 'long' },
  { id: 2, name: 'at', required: false, type: 'timestamp' },
  { id: 3, name: 'category', required: false, type: 'string' },
  { id: 4, name: 'day', required: false, type: 'date' },
  {
    id: 5,
    name: 'place',
    required: false,
    type: { type: 'struct', fields: [{ id: 6, name: 'city', required: false, type: 'string' }] },
  },
  {
    id: 7,
    name: 'tags',
    required: false,
    type: { type: 'list', elementId: 8, elementRequired: false, element: 'string' },
  },
]
const schema: Schema = { schemaId: 0, identifierFieldIds: [], fields }

function table(more: Partial<TableMetadata> = {}, properties: Readonly<Record<string, string>> = {}): TableMetadata {
  const updates = createTableUpdates({
    tableUuid: 'u',
    location: 'file:///t',
    schema,
    spec: { specId: 0, fields: [] },
    properties,
  })
  return { ...applyUpdates(null, updates, { timestampMs: 1 }), ...more }
}
function evolved(base: TableMetadata, ...changes: readonly TableChange[]): TableMetadata {
  return applyUpdates(base, evolveTable(base, changes).updates, { timestampMs: 2 })
}
const specOf = (metadata: TableMetadata) =>
  specById(metadata, metadata.defaultSpecId).fields.map((one) => [one.fieldId, one.name, one.transform.kind])
const add = (column: string, transform: Transform, name?: string): TableChange => ({
  kind: 'add-partition-field',
  column,
  transform,
  ...(name === undefined ? {} : { name }),
})
const remove = (name: string): TableChange => ({ kind: 'remove-partition-field', field: { name } })
const identity: Transform = { kind: 'identity' }
const byDay: Transform = { kind: 'day' }
const byHour: Transform = { kind: 'hour' }

describe('evolving a partition spec', () => {
  it('numbers fields from 1000 and names them after column and transform', () => {
    const made = evolved(
      table(),
      add('category', identity),
      add('at', byDay),
      add('id', { kind: 'bucket', count: 16 }),
      add('category', { kind: 'truncate', width: 4 }),
      add('place.city', identity),
    )
    expect(specOf(made)).toEqual([
      [1000, 'category', 'identity'],
      [1001, 'at_day', 'day'],
      [1002, 'id_bucket_16', 'bucket'],
      [1003, 'category_trunc_4', 'truncate'],
      [1004, 'place.city', 'identity'],
    ])
    expect([made.defaultSpecId, made.lastPartitionId, made.partitionSpecs.length]).toEqual([1, 1004, 2])
  })

  it('gives an equal field its old id back, whatever it is called now', () => {
    const first = evolved(table(), add('at', byDay), add('category', identity))
    const second = evolved(first, remove('at_day'))
    expect(specOf(second)).toEqual([[1001, 'category', 'identity']])
    expect(specOf(evolved(second, add('at', byDay)))).toEqual([
      [1001, 'category', 'identity'],
      [1000, 'at_day', 'day'],
    ])
    expect(specOf(evolved(second, add('at', byDay, 'd')))[1]).toEqual([1000, 'd', 'day'])
    expect(specOf(evolved(second, add('at', byHour)))[1]).toEqual([1002, 'at_hour', 'hour'])
    // The very spec the table had is the same spec again, not a new one.
    expect(evolved(evolved(first, remove('category')), add('category', identity)).defaultSpecId).toBe(
      first.defaultSpecId,
    )
  })

  it('keeps a removed field as void in version 1, in its place, and gives its name to a later field', () => {
    const first = evolved(table({ formatVersion: 1 }), add('at', byDay), add('category', identity))
    const second = evolved(first, remove('at_day'))
    expect(specOf(second)).toEqual([
      [1000, 'at_day', 'void'],
      [1001, 'category', 'identity'],
    ])
    expect(specOf(evolved(second, add('at', byHour, 'at_day')))).toEqual([
      [1000, 'at_day_1000', 'void'],
      [1001, 'category', 'identity'],
      [1002, 'at_day', 'hour'],
    ])
  })

  it('replaces and renames fields', () => {
    const first = evolved(table(), add('at', byDay), add('category', identity))
    const finer: TableChange = {
      kind: 'replace-partition-field',
      field: { column: 'at', transform: byDay },
      column: 'at',
      transform: byHour,
      name: 'h',
    }
    expect(specOf(evolved(first, finer))).toEqual([
      [1001, 'category', 'identity'],
      [1002, 'h', 'hour'],
    ])
    expect(specOf(evolved(first, { kind: 'rename-partition-field', name: 'at_day', to: 'd' }))[0]).toEqual([
      1000,
      'd',
      'day',
    ])
    expect(specOf(evolved(first, remove('at_day'), remove('category')))).toEqual([])
  })

  it('refuses what would be ambiguous, redundant or impossible', () => {
    const base = evolved(table(), add('at', byDay))
    const refused = (...changes: readonly TableChange[]) => {
      try {
        evolveTable(base, changes)
      } catch (error) {
        return error as { kind: string; message: string }
      }
      throw new Error('the change was not refused')
    }
    for (const [changes, why] of [
      [[add('at', byDay, 'again')], /already, as at_day/],
      [[add('category', identity, 'at_day')], /partition field at_day already/],
      [[add('category', { kind: 'bucket', count: 4 }, 'id')], /name of a column/],
      [[add('day', { kind: 'month' }), add('day', { kind: 'year' })], /redundant/],
      [[add('day', byHour)], /does not take a date/],
      [[add('category', byDay)], /does not take a string/],
      [[add('tags.element', identity)], /list or map/],
      [[add('place', identity)], /not a single value/],
      [[add('nothing', identity)], /no column nothing/],
      [[remove('nothing')], /not partitioned by nothing/],
      [[add('id', { kind: 'unknown', text: 'zorder' })], /does not take/],
      [[{ kind: 'rename-partition-field', name: 'at_day', to: 'category' }], /name of a column/],
    ] as const)
      expect([refused(...changes).kind, refused(...changes).message]).toEqual([
        'schema/invalid-change',
        expect.stringMatching(why),
      ])
  })

  it('takes exactly the types each transform has in the specification', () => {
    const types = [
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
      'decimal(9,2)',
      'fixed[3]',
      'variant',
    ] as const
    const taken = (transform: Transform) =>
      types.filter((type) => {
        const one: Schema = { ...schema, fields: [{ id: 1, name: 'c', required: false, type }] }
        try {
          return newSpec(one, [{ column: 'c', transform, name: 'p' }]).fields.length === 1
        } catch {
          return false
        }
      })
    const times = ['timestamp', 'timestamptz', 'timestamp_ns', 'timestamptz_ns']
    expect(taken({ kind: 'bucket', count: 4 })).toEqual([
      'int',
      'long',
      'date',
      'time',
      ...times,
      'string',
      'uuid',
      'binary',
      'decimal(9,2)',
      'fixed[3]',
    ])
    expect(taken({ kind: 'truncate', width: 4 })).toEqual(['int', 'long', 'string', 'binary', 'decimal(9,2)'])
    expect(taken(byDay)).toEqual(['date', ...times])
    expect(taken({ kind: 'year' })).toEqual(['date', ...times])
    expect(taken(byHour)).toEqual(times)
    expect(taken({ kind: 'void' })).toEqual(types)
    expect(taken(identity)).toEqual(types.filter((one) => one !== 'variant'))
  })
})

describe('a schema and the layout of the table', () => {
  it('cannot drop what the table is partitioned or sorted by, until it no longer is', () => {
    const base = evolved(table(), add('at', byDay), { kind: 'set-sort-order', fields: [{ column: 'category' }] })
    for (const column of ['at', 'category'])
      expect(() => evolveTable(base, [{ kind: 'drop-column', column }])).toThrow(/cannot be dropped/)
    const free = evolved(base, remove('at_day'), { kind: 'drop-column', column: 'at' })
    expect(free.schemas.at(-1)?.fields.map((one) => one.name)).not.toContain('at')
    // In version 1 the void that stays names a column that is gone, which the specification allows.
    const first = evolved(table({ formatVersion: 1 }), add('at', byDay))
    expect(specOf(evolved(first, remove('at_day'), { kind: 'drop-column', column: 'at' }))).toEqual([
      [1000, 'at_day', 'void'],
    ])
  })

  it('cannot promote a date to a timestamp where a transform would give other values', () => {
    const base = table({ formatVersion: 3 })
    const promote: TableChange = { kind: 'change-type', column: 'day', type: 'timestamp' }
    expect(() => evolveTable(evolved(base, add('day', identity)), [promote])).toThrow(/would give other values/)
    expect(() => evolveTable(evolved(base, add('day', { kind: 'bucket', count: 2 })), [promote])).toThrow(
      /other values/,
    )
    // Not even when the spec is a former one: its files are still there.
    expect(() => evolveTable(evolved(evolved(base, add('day', identity)), remove('day')), [promote])).toThrow(
      /other values/,
    )
    expect(evolved(evolved(base, add('day', { kind: 'month' })), promote).currentSchemaId).toBe(1)
  })

  it('reads the bounds of files from before such a promotion', () => {
    const days = Buffer.alloc(4)
    days.writeInt32LE(-1)
    expect(decodeSingleValue('timestamp', days)).toBe(-86_400_000_000n)
    expect(decodeSingleValue('timestamp_ns', days)).toBe(-86_400_000_000_000n)
  })

  it('keeps the name mapping: a rename answers to both names, a drop stays, a taken name moves', () => {
    const mapping = nameMappingOf(fields)
    const base = table({}, { 'schema.name-mapping.default': nameMappingToText(mapping) })
    const read = (metadata: TableMetadata) =>
      nameMappingFromText(metadata.properties['schema.name-mapping.default'] ?? '')
    const renamed = evolved(base, { kind: 'rename-column', column: 'category', to: 'kind' })
    expect(read(renamed).find((one) => one.fieldId === 3)?.names).toEqual(['category', 'kind'])
    const added = evolved(
      renamed,
      { kind: 'add-column', name: 'category', type: 'int' },
      { kind: 'drop-column', column: 'day' },
    )
    expect(read(added).find((one) => one.fieldId === 3)?.names).toEqual(['kind'])
    expect(read(added).find((one) => one.fieldId === 4)?.names).toEqual(['day'])
    expect(read(added).at(-1)).toEqual({ fieldId: 9, names: ['category'], fields: [] })
    const nested = evolved(base, { kind: 'rename-column', column: 'place.city', to: 'town' })
    expect(read(nested).find((one) => one.fieldId === 5)?.fields[0]?.names).toEqual(['city', 'town'])
    expect(evolveNameMapping([], fields, fields)).toEqual([])
  })

  it('renames and removes the properties of a column with it', () => {
    const base = table(
      {},
      { 'write.metadata.metrics.column.category': 'full', 'write.metadata.metrics.column.day': 'none' },
    )
    expect(
      evolved(base, { kind: 'rename-column', column: 'category', to: 'kind' }, { kind: 'drop-column', column: 'day' })
        .properties,
    ).toEqual({
      'write.metadata.metrics.column.kind': 'full',
    })
  })
})

describe('sort orders, properties, location and version', () => {
  it('sets a sort order with nulls where the direction puts them, and none', () => {
    const sorted = evolved(table(), {
      kind: 'set-sort-order',
      fields: [
        { column: 'id', direction: 'desc' },
        { column: 'at', transform: byDay, nullOrder: 'nulls-last' },
      ],
    })
    expect(sorted.sortOrders.find((one) => one.orderId === sorted.defaultSortOrderId)).toEqual({
      orderId: 1,
      fields: [
        { sourceId: 1, transform: identity, direction: 'desc', nullOrder: 'nulls-last' },
        { sourceId: 2, transform: byDay, direction: 'asc', nullOrder: 'nulls-last' },
      ],
    })
    expect(evolved(sorted, { kind: 'set-sort-order', fields: [] }).defaultSortOrderId).toBe(0)
    expect(() => evolveTable(table(), [{ kind: 'set-sort-order', fields: [{ column: 'place' }] }])).toThrow(
      /single value/,
    )
  })

  it('sets and removes properties, and refuses reserved ones', () => {
    const made = evolved(
      table({}, { a: '1', b: '2' }),
      { kind: 'set-properties', properties: { a: '3', c: '4' } },
      { kind: 'unset-properties', names: ['b', 'none'] },
    )
    expect(made.properties).toEqual({ a: '3', c: '4' })
    for (const name of ['format-version', 'uuid', 'current-snapshot-id', 'default-sort-order'])
      expect(() => evolveTable(table(), [{ kind: 'set-properties', properties: { [name]: '1' } }])).toThrow(/reserved/)
    expect(() =>
      evolveTable(table(), [{ kind: 'set-properties', properties: { 'schema.name-mapping.default': '{}' } }]),
    ).toThrow(/name mapping/)
  })

  it('upgrades one version or two, never back, and moves where new files go', () => {
    const upgrade = (formatVersion: 1 | 2 | 3): TableChange => ({ kind: 'upgrade-format', formatVersion })
    expect(evolved(table({ formatVersion: 1 }), upgrade(2)).formatVersion).toBe(2)
    const third = evolved(table({ formatVersion: 1 }), upgrade(3), {
      kind: 'add-column',
      name: 'n',
      type: 'int',
      default: 1,
    })
    expect([third.formatVersion, third.nextRowId]).toEqual([3, 0n])
    expect(() => evolveTable(table(), [upgrade(1)])).toThrow(/cannot go back/)
    const nameless = { ...table({ formatVersion: 1 }), tableUuid: '' }
    const made = evolveTable(nameless, [upgrade(2)], { tableUuid: 'new' })
    expect(applyUpdates(nameless, made.updates, { timestampMs: 2 }).tableUuid).toBe('new')
    expect(evolved(table(), { kind: 'set-location', location: 'file:///elsewhere/' }).location).toBe(
      'file:///elsewhere',
    )
  })

  it('requires the state it judged by, and nothing when nothing changes', () => {
    const schemaChange = evolveTable(table(), [{ kind: 'add-column', name: 'n', type: 'int' }])
    expect(schemaChange.requirements.map((one) => one.type)).toEqual([
      'assert-table-uuid',
      'assert-current-schema-id',
      'assert-last-assigned-field-id',
      'assert-default-spec-id',
      'assert-default-sort-order-id',
    ])
    expect(evolveTable(table(), [{ kind: 'set-doc', column: 'id', doc: null }])).toEqual({
      requirements: [],
      updates: [],
    })
    // Back to a former schema: the old id, not a copy.
    const renamed = evolved(table(), { kind: 'rename-column', column: 'at', to: 'when' })
    const back = evolved(renamed, { kind: 'rename-column', column: 'when', to: 'at' })
    expect([back.currentSchemaId, back.schemas.length]).toEqual([0, 2])
  })
})
