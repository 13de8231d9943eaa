import { describe, expect, it } from 'vitest'
import {
  applyUpdates,
  checkRequirements,
  createTableUpdates,
  decodeMetadata,
  encodeMetadata,
  type Snapshot,
  snapshotAsOf,
  type TableMetadata,
  type Update,
} from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

const schema = {
  schemaId: 0,
  identifierFieldIds: [1],
  fields: [{ id: 1, name: 'id', required: true, type: 'long' as const }],
}
const spec = {
  specId: 0,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'id_bucket', transform: { kind: 'bucket' as const, count: 4 } }],
}
const create = createTableUpdates({ tableUuid: 'u', location: 'file:///t', schema, spec, properties: { a: '1' } })
const table = (): TableMetadata => applyUpdates(null, create, { timestampMs: 1000 })

function snapshot(snapshotId: bigint, sequenceNumber: bigint, parent: bigint | null = null): Snapshot {
  return {
    snapshotId,
    parentSnapshotId: parent,
    sequenceNumber,
    timestampMs: 1,
    manifestList: storePath('file:///t/m.avro'),
    operation: 'append',
    summary: {},
    schemaId: 0,
  }
}
const main = (snapshotId: bigint): Update => ({
  action: 'set-snapshot-ref',
  ref: 'main',
  to: { type: 'branch', snapshotId },
})

describe('metadata updates', () => {
  it('make a new table whose ids are those added last', () => {
    const made = table()
    expect([
      made.currentSchemaId,
      made.defaultSpecId,
      made.lastColumnId,
      made.lastPartitionId,
      made.currentSnapshotId,
    ]).toEqual([0, 0, 1, 1000, null])
  })

  it('keep ids above 2^53 through a file', () => {
    const big = 2n ** 62n + 1n
    const made = applyUpdates(table(), [{ action: 'add-snapshot', snapshot: snapshot(big, 1n) }, main(big)], {
      timestampMs: 2000,
    })
    expect(decodeMetadata(encodeMetadata(made))).toEqual(made)
    expect(decodeMetadata(encodeMetadata(made)).currentSnapshotId).toBe(big)
  })

  it('log main by the time of the commit, never going back, and no other branch', () => {
    const first = applyUpdates(table(), [{ action: 'add-snapshot', snapshot: snapshot(1n, 1n) }, main(1n)], {
      timestampMs: 5000,
    })
    const staged = applyUpdates(
      first,
      [
        { action: 'add-snapshot', snapshot: snapshot(2n, 2n, 1n) },
        { action: 'set-snapshot-ref', ref: 'run/x', to: { type: 'branch', snapshotId: 2n } },
      ],
      { timestampMs: 6000 },
    )
    expect([staged.currentSnapshotId, staged.snapshotLog.length]).toEqual([1n, 1])
    const later = applyUpdates(staged, [main(2n)], { timestampMs: 4000 })
    expect(later.snapshotLog).toEqual([
      { timestampMs: 5000, snapshotId: 1n },
      { timestampMs: 5000, snapshotId: 2n },
    ])
    expect([snapshotAsOf(later, 4999), snapshotAsOf(later, 5000)]).toEqual([null, 2n])
  })

  it('refuse a ref to a snapshot the table does not have', () => {
    expect(() => applyUpdates(table(), [main(9n)], { timestampMs: 1 })).toThrow(/does not have/)
  })

  it('reuse an equal schema or spec', () => {
    const again = applyUpdates(
      table(),
      [
        { action: 'add-schema', schema: { ...schema, schemaId: 7 } },
        { action: 'add-spec', spec: { ...spec, specId: 7 } },
      ],
      { timestampMs: 1 },
    )
    expect([again.schemas.length, again.partitionSpecs.length]).toEqual([1, 1])
  })

  it('remember former metadata files, as many as the property says', () => {
    let made = applyUpdates(
      table(),
      [{ action: 'set-properties', updates: { 'write.metadata.previous-versions-max': '2' } }],
      { timestampMs: 1 },
    )
    for (const name of ['a', 'b', 'c'])
      made = applyUpdates(made, [], { timestampMs: 2, previousMetadataLocation: name })
    expect(made.metadataLog.map((entry) => entry.metadataFile)).toEqual(['b', 'c'])
  })
})

describe('requirements', () => {
  it('name the first that does not hold', () => {
    const base = table()
    expect(checkRequirements(null, [{ type: 'assert-create' }])).toBeNull()
    expect(checkRequirements(base, [{ type: 'assert-create' }])?.type).toBe('assert-create')
    expect(checkRequirements(base, [{ type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: null }])).toBeNull()
    expect(
      checkRequirements(base, [
        { type: 'assert-table-uuid', uuid: 'u' },
        { type: 'assert-current-schema-id', currentSchemaId: 3 },
      ])?.type,
    ).toBe('assert-current-schema-id')
    expect(checkRequirements(null, [{ type: 'assert-table-uuid', uuid: 'u' }])?.type).toBe('assert-table-uuid')
  })
})

describe('a new schema, spec or sort order', () => {
  const column = { id: 2, name: 'n', required: false, type: 'int' as const }
  const add = (fields: readonly object[]): Update => ({
    action: 'add-schema',
    schema: { ...schema, fields: [...schema.fields, ...fields] } as typeof schema,
  })
  it.each([
    ['two fields of one id', [column, { ...column, name: 'm' }], /the id 2 is given twice, to m too/],
    [
      'an id twice, once within a list',
      [{ ...column, type: { type: 'list', elementId: 1, elementRequired: false, element: 'int' } }],
      /the id 1 is given twice/,
    ],
    ['a type that there is not', [{ ...column, type: 'strin' }], /type strin/],
    ['a default of another type', [{ ...column, initialDefault: 'EUR' }], /no int: EUR/],
    ['a default that is no number', [{ ...column, type: 'long', initialDefault: 'EUR' }], /no long: EUR/],
  ])('is refused where nothing could read it back: %s', (_name, fields, message) => {
    expect(() => applyUpdates(table(), [add(fields)], { timestampMs: 2000 })).toThrow(
      expect.objectContaining({ kind: 'schema/invalid-change', message: expect.stringMatching(message) }),
    )
  })
  it('is refused where it is over a column that there is not', () => {
    const field = { sourceId: 9, fieldId: 1001, name: 'x', transform: { kind: 'identity' as const } }
    const order = {
      sourceId: 9,
      transform: { kind: 'identity' as const },
      direction: 'asc' as const,
      nullOrder: 'nulls-first' as const,
    }
    for (const update of [
      { action: 'add-spec', spec: { specId: 1, fields: [field] } },
      { action: 'add-sort-order', sortOrder: { orderId: 1, fields: [order] } },
    ] satisfies Update[])
      expect(() => applyUpdates(table(), [update], { timestampMs: 2000 })).toThrow(/column 9, which there is not/)
  })
})
