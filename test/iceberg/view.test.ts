import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  applyViewUpdates,
  checkViewRequirements,
  currentViewVersion,
  decodeViewMetadata,
  encodeViewMetadata,
  loadViewResultFromJson,
  loadViewResultToJson,
  schemaOfViewVersion,
  type ViewMetadata,
  type ViewUpdate,
  type ViewVersion,
  viewRequirementsFromJson,
  viewRequirementsToJson,
  viewUpdatesFromJson,
  viewUpdatesToJson,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Schema } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

const uuid = 'fa6506c3-7681-40c8-86dc-e36561f83385'

/** The first metadata file of the specification's appendix A. */
const example = {
  'view-uuid': uuid,
  'format-version': 1,
  location: 's3://bucket/warehouse/default.db/event_agg',
  'current-version-id': 1,
  properties: { comment: 'Daily event counts' },
  versions: [
    {
      'version-id': 1,
      'timestamp-ms': 1573518431292,
      'schema-id': 1,
      'default-catalog': 'prod',
      'default-namespace': ['default'],
      summary: { 'engine-name': 'Spark', 'engine-version': '3.3.2' },
      representations: [
        {
          type: 'sql',
          sql: 'SELECT\n    COUNT(1), CAST(event_ts AS DATE)\nFROM events\nGROUP BY 2',
          dialect: 'spark',
        },
      ],
    },
  ],
  schemas: [
    {
      'schema-id': 1,
      type: 'struct',
      fields: [
        { id: 1, name: 'event_count', required: false, type: 'int', doc: 'Count of events' },
        { id: 2, name: 'event_date', required: false, type: 'date' },
      ],
    },
  ],
  'version-log': [{ 'timestamp-ms': 1573518431292, 'version-id': 1 }],
}

const decode = (json: unknown): ViewMetadata => decodeViewMetadata(Buffer.from(JSON.stringify(json)))
const encoded = (metadata: ViewMetadata): unknown => JSON.parse(Buffer.from(encodeViewMetadata(metadata)).toString())

function schemaOf(...names: readonly string[]): Schema {
  return {
    schemaId: 0,
    identifierFieldIds: [],
    fields: names.map((name, i) => ({ id: i + 1, name, required: false, type: 'long' as const })),
  }
}

function versionOf(sql: string, more: Partial<ViewVersion> = {}): ViewVersion {
  return {
    versionId: 1,
    schemaId: -1,
    timestampMs: 1000,
    summary: {},
    representations: [{ type: 'sql', sql, dialect: 'duckdb' }],
    defaultCatalog: null,
    defaultNamespace: ['a'],
    ...more,
  }
}

const replaceBy = (sql: string, schema = schemaOf('x'), more: Partial<ViewVersion> = {}): readonly ViewUpdate[] => [
  { action: 'add-schema', schema },
  { action: 'add-view-version', version: versionOf(sql, more) },
  { action: 'set-current-view-version', versionId: -1 },
]

const create: readonly ViewUpdate[] = [
  { action: 'assign-uuid', uuid },
  { action: 'upgrade-format-version', formatVersion: 1 },
  { action: 'set-location', location: 'file:///v' },
  ...replaceBy('SELECT 1 AS x'),
]

const view = (...more: readonly (readonly ViewUpdate[])[]): ViewMetadata =>
  more.reduce<ViewMetadata>(
    (base, updates, i) => applyViewUpdates(base, updates, { timestampMs: 2000 + i }),
    applyViewUpdates(null, create, { timestampMs: 1000 }),
  )

function failure(run: () => unknown): LimnError {
  try {
    run()
  } catch (error) {
    if (error instanceof LimnError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('metadata of a view', () => {
  it("are read from the specification's own example, gzipped too, and written as they were", () => {
    const metadata = decode(example)
    expect(currentViewVersion(metadata)).toMatchObject({
      versionId: 1,
      schemaId: 1,
      defaultCatalog: 'prod',
      defaultNamespace: ['default'],
    })
    expect(schemaOfViewVersion(metadata, currentViewVersion(metadata)).fields[0]).toMatchObject({
      id: 1,
      doc: 'Count of events',
    })
    expect(encoded(metadata)).toEqual(example)
    expect(decodeViewMetadata(gzipSync(JSON.stringify(example)))).toEqual(metadata)
  })

  it('keep members and representations that limn does not know', () => {
    const later = structuredClone(example) as Record<string, unknown> & typeof example
    later.shiny = { new: [1, 2] }
    later.versions[0]?.representations.push({ type: 'ir', tree: { scan: 1 } } as never)
    const metadata = decode(later)
    expect(currentViewVersion(metadata).representations[1]).toEqual({
      type: 'other',
      json: { type: 'ir', tree: { scan: 1 } },
    })
    expect(encoded(metadata)).toEqual(later)
  })

  it.each([
    ['not JSON', '{', /damaged/],
    ['a list', '[]', /the file is not an object/],
    ['no uuid', { ...example, 'view-uuid': undefined }, /view-uuid is not text/],
    ['an empty uuid', { ...example, 'view-uuid': '' }, /it has no uuid/],
    ['no location', { ...example, location: undefined }, /location is not text/],
    ['no schemas', { ...example, schemas: undefined }, /schemas is not a list/],
    ['no versions', { ...example, versions: [] }, /current version 1 is not among its versions/],
    ['another current version', { ...example, 'current-version-id': 7 }, /current version 7 is not among/],
    ['a current version that is text', { ...example, 'current-version-id': '1' }, /not a whole number/],
    ['a fraction of a version', { ...example, 'current-version-id': 1.5 }, /not a whole number/],
    ['no log', { ...example, 'version-log': undefined }, /version-log is not a list/],
    ['the current schema missing', { ...example, schemas: [] }, /schema 1 of its current version is not among/],
    ['a schema twice', { ...example, schemas: [...example.schemas, ...example.schemas] }, /two schemas 1/],
    ['a version twice', { ...example, versions: [...example.versions, ...example.versions] }, /two versions 1/],
    ['properties that are no text', { ...example, properties: { a: 1 } }, /a of properties is not text/],
    [
      'two queries of a dialect',
      {
        ...example,
        versions: [
          {
            ...example.versions[0],
            representations: [
              { type: 'sql', sql: 'SELECT 1', dialect: 'Spark' },
              { type: 'sql', sql: 'SELECT 2', dialect: 'spark' },
            ],
          },
        ],
      },
      /two queries of the dialect spark/,
    ],
    [
      'a query without text',
      {
        ...example,
        versions: [{ ...example.versions[0], representations: [{ type: 'sql', sql: ' ', dialect: 'x' }] }],
      },
      /a query is empty/,
    ],
    [
      'two columns of a name',
      {
        ...example,
        schemas: [{ ...example.schemas[0], fields: [example.schemas[0]?.fields[0], example.schemas[0]?.fields[0]] }],
      },
      /two columns event_count/,
    ],
  ])('are refused with %s', (_what, json, message) => {
    const error = failure(() => decodeViewMetadata(Buffer.from(typeof json === 'string' ? json : JSON.stringify(json))))
    expect(error).toMatchObject({ kind: 'iceberg/invalid-metadata', message: expect.stringMatching(message) })
  })

  it('are refused in a later format version, naming it', () => {
    expect(failure(() => decode({ ...example, 'format-version': 2 }))).toMatchObject({
      kind: 'iceberg/unsupported',
      message: 'The view has view format version 2; limn reads 1.',
    })
  })

  it('are read whole or refused, wherever one value is damaged', () => {
    const paths = (value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] => {
      if (typeof value !== 'object' || value === null) return [path]
      const inner = Array.isArray(value)
        ? value.flatMap((one, i) => paths(one, [...path, i]))
        : Object.entries(value).flatMap(([key, one]) => paths(one, [...path, key]))
      return path.length === 0 ? inner : [path, ...inner]
    }
    const junk = fc.constantFrom<unknown>(undefined, null, '', 'x', -1, 0, 1.5, 1e300, true, [], {}, [[]], { a: [] })
    fc.assert(
      fc.property(fc.constantFrom(...paths(example)), junk, (path, by) => {
        const json = structuredClone(example)
        let at = json as unknown as Record<string | number, unknown>
        for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>
        at[path.at(-1) ?? ''] = by
        let metadata: ViewMetadata
        try {
          metadata = decode(json)
        } catch (error) {
          expect(error).toBeInstanceOf(LimnError)
          expect((error as LimnError).kind).toMatch(/^iceberg\//)
          return
        }
        const version = currentViewVersion(metadata)
        expect(schemaOfViewVersion(metadata, version).schemaId).toBe(version.schemaId)
        expect(decodeViewMetadata(encodeViewMetadata(metadata))).toEqual(metadata)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('updates of a view', () => {
  it('make a view whose first version is logged with its own time', () => {
    const made = view()
    expect(made).toMatchObject({ viewUuid: uuid, formatVersion: 1, currentVersionId: 1, location: 'file:///v' })
    expect(made.versions.map((one) => [one.versionId, one.schemaId])).toEqual([[1, 0]])
    expect(made.versionLog).toEqual([{ versionId: 1, timestampMs: 1000 }])
  })

  it('use an equal schema and an equal version that are there, whatever their ids and times', () => {
    const made = view(
      replaceBy('SELECT 2 AS x'),
      replaceBy('SELECT 2 AS y', schemaOf('y')),
      replaceBy('SELECT 1 AS x', schemaOf('x'), { versionId: 99, timestampMs: 5 }),
    )
    expect(made.schemas.map((one) => one.schemaId)).toEqual([0, 1])
    expect(made.versions.map((one) => [one.versionId, one.schemaId])).toEqual([
      [1, 0],
      [2, 0],
      [3, 1],
    ])
    expect(made.currentVersionId).toBe(1)
    expect(made.versionLog.map((one) => [one.versionId, one.timestampMs])).toEqual([
      [1, 1000],
      [2, 1000],
      [3, 1000],
      [1, 2002],
    ])
    expect(view(replaceBy('SELECT 1 AS x')).versionLog).toHaveLength(1)
  })

  it('refuse what would damage the view, and change nothing', () => {
    for (const updates of [
      [{ action: 'set-current-view-version', versionId: 9 }],
      [{ action: 'set-current-view-version', versionId: -1 }],
      [{ action: 'add-view-version', version: versionOf('SELECT 1', { schemaId: 8 }) }],
      [{ action: 'add-view-version', version: versionOf('SELECT 1') }],
      [{ action: 'assign-uuid', uuid: 'other' }],
      [{ action: 'set-location', location: '' }],
      replaceBy('SELECT 1', schemaOf('x'), {
        representations: [
          { type: 'sql', sql: 'SELECT 1', dialect: 'duckdb' },
          { type: 'sql', sql: 'SELECT 2', dialect: 'DuckDB' },
        ],
      }),
    ] satisfies readonly (readonly ViewUpdate[])[])
      expect(failure(() => view(updates))).toMatchObject({ kind: 'iceberg/invalid-metadata' })
    expect(failure(() => applyViewUpdates(null, [{ action: 'assign-uuid', uuid }], { timestampMs: 1 }))).toMatchObject({
      kind: 'iceberg/invalid-metadata',
    })
  })

  it('keep every dialect unless the view allows otherwise', () => {
    const both = replaceBy('SELECT 1', schemaOf('x'), {
      representations: [
        { type: 'sql', sql: 'SELECT 1', dialect: 'duckdb' },
        { type: 'sql', sql: 'SELECT 1', dialect: 'Spark' },
      ],
    })
    const allow: ViewUpdate = { action: 'set-properties', updates: { 'replace.drop-dialect.allowed': 'true' } }
    expect(failure(() => view(both, replaceBy('SELECT 2')))).toMatchObject({
      kind: 'table/unsafe-change',
      context: { lost: ['spark'], kept: ['duckdb'] },
    })
    // Going back to a version that lacks it is the same loss.
    expect(failure(() => view(both, [{ action: 'set-current-view-version', versionId: 1 }]))).toMatchObject({
      kind: 'table/unsafe-change',
    })
    expect(view(both, [allow, ...replaceBy('SELECT 2')]).currentVersionId).toBe(3)
  })

  it('keep ten versions, or as many as the property says, and the log behind the last gap', () => {
    const replaces = Array.from({ length: 14 }, (_one, i) => replaceBy(`SELECT ${i + 2} AS x`))
    expect(view(...replaces).versions.map((one) => one.versionId)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    const limit = (count: string): readonly ViewUpdate[] => [
      { action: 'set-properties', updates: { 'version.history.num-entries': count } },
    ]
    const back: readonly ViewUpdate[] = [{ action: 'set-current-view-version', versionId: 1 }]
    const few = view(...replaces.slice(0, 3), back, limit('2'))
    // The current one stays, however old.
    expect(few.versions.map((one) => one.versionId)).toEqual([1, 4])
    expect(few.versionLog.map((one) => one.versionId)).toEqual([4, 1])
    expect(view(limit('1'), [...replaceBy('SELECT 2'), ...replaceBy('SELECT 3')]).versions).toHaveLength(2)
    for (const count of ['0', '-1', 'x', '', '1.5'])
      expect(failure(() => view(limit(count)))).toMatchObject({ kind: 'usage/argument' })
  })

  it('set and remove properties, the later word standing', () => {
    const made = view(
      [{ action: 'set-properties', updates: { a: '1', b: '2' } }],
      [
        { action: 'remove-properties', removals: ['a', 'none'] },
        { action: 'set-properties', updates: { b: '3' } },
      ],
    )
    expect(made.properties).toEqual({ b: '3' })
    expect(made.versionLog).toHaveLength(1)
  })

  it('check that a view is new, or the one that was meant', () => {
    expect(checkViewRequirements(null, [{ type: 'assert-create' }])).toBeNull()
    expect(checkViewRequirements(view(), [{ type: 'assert-create' }])).toEqual({ type: 'assert-create' })
    expect(checkViewRequirements(view(), [{ type: 'assert-view-uuid', uuid: uuid.toUpperCase() }])).toBeNull()
    expect(checkViewRequirements(null, [{ type: 'assert-view-uuid', uuid }])).not.toBeNull()
    expect(checkViewRequirements(view(), [{ type: 'assert-view-uuid', uuid: 'other' }])).not.toBeNull()
  })

  it('are spelled as the REST catalog has them', () => {
    const updates: readonly ViewUpdate[] = [
      ...create,
      { action: 'set-properties', updates: { a: '1' } },
      { action: 'remove-properties', removals: ['b'] },
    ]
    const json = viewUpdatesToJson(updates)
    expect(json[4]).toEqual({
      action: 'add-view-version',
      'view-version': {
        'version-id': 1,
        'timestamp-ms': 1000,
        'schema-id': -1,
        summary: {},
        'default-namespace': ['a'],
        representations: [{ type: 'sql', sql: 'SELECT 1 AS x', dialect: 'duckdb' }],
      },
    })
    expect(json[5]).toEqual({ action: 'set-current-view-version', 'view-version-id': -1 })
    expect(viewUpdatesFromJson(JSON.parse(JSON.stringify(json)))).toEqual(updates)
    const uuidIs = [{ type: 'assert-view-uuid', uuid } as const]
    expect(viewRequirementsFromJson(viewRequirementsToJson([{ type: 'assert-create' }, ...uuidIs]))).toEqual(uuidIs)
    const metadataLocation = storePath('file:///v/metadata/00000-x.metadata.json')
    const result = loadViewResultToJson({ metadataLocation, metadata: view() })
    expect(loadViewResultFromJson(JSON.parse(JSON.stringify(result)))).toEqual({ metadataLocation, metadata: view() })
    expect(failure(() => viewUpdatesFromJson([{ action: 'set-default-spec', 'spec-id': 1 }]))).toMatchObject({
      kind: 'iceberg/unsupported',
    })
    expect(failure(() => viewRequirementsFromJson([{ type: 'assert-create' }]))).toMatchObject({
      kind: 'iceberg/unsupported',
    })
  })

  it('hold what views promise through any history', () => {
    type Deed =
      | { readonly kind: 'replace'; readonly sql: number; readonly columns: number }
      | { readonly kind: 'back'; readonly to: number }
      | { readonly kind: 'limit'; readonly count: number }
    const deed: fc.Arbitrary<Deed> = fc.oneof(
      fc.record({ kind: fc.constant('replace' as const), sql: fc.nat(5), columns: fc.nat(2) }),
      fc.record({ kind: fc.constant('back' as const), to: fc.nat(20) }),
      fc.record({ kind: fc.constant('limit' as const), count: fc.integer({ min: 1, max: 4 }) }),
    )
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 30 }), (deeds) => {
        let metadata = view()
        // The query that is to be read now.
        let limit = 10
        let wanted = 'SELECT 1 AS x'
        for (const [i, one] of deeds.entries()) {
          const at = { timestampMs: 5000 + i }
          const before = metadata
          if (one.kind === 'limit') {
            limit = one.count
            const updates = { 'version.history.num-entries': String(limit) }
            metadata = applyViewUpdates(metadata, [{ action: 'set-properties', updates }], at)
          } else if (one.kind === 'replace') {
            wanted = `SELECT ${one.sql}`
            const names = ['x', 'y', 'z'].slice(0, one.columns + 1)
            const timestampMs = at.timestampMs
            metadata = applyViewUpdates(metadata, replaceBy(wanted, schemaOf(...names), { timestampMs }), at)
            expect(schemaOfViewVersion(metadata, currentViewVersion(metadata)).fields.map((f) => f.name)).toEqual(names)
          } else {
            const version = metadata.versions[one.to % metadata.versions.length]
            if (!version) continue
            const versionId = version.versionId
            metadata = applyViewUpdates(metadata, [{ action: 'set-current-view-version', versionId }], at)
            const [query] = version.representations
            wanted = query?.type === 'sql' ? query.sql : ''
          }
          const current = currentViewVersion(metadata)
          expect(current.representations).toEqual([{ type: 'sql', sql: wanted, dialect: 'duckdb' }])
          expect(metadata.versions.length).toBeLessThanOrEqual(limit)
          // A version never changes; a new one comes behind those that are kept.
          const old = new Map(before.versions.map((version) => [version.versionId, version]))
          for (const version of metadata.versions)
            if (old.has(version.versionId)) expect(version).toEqual(old.get(version.versionId))
            else expect(version.versionId).toBeGreaterThan(Math.max(...old.keys()))
          const kept = new Set(metadata.versions.map((v) => v.versionId))
          expect(metadata.versionLog.every((entry) => kept.has(entry.versionId))).toBe(true)
          expect(metadata.versionLog.at(-1)?.versionId).toBe(metadata.currentVersionId)
          expect(metadata.viewUuid).toBe(uuid)
          expect(decodeViewMetadata(encodeViewMetadata(metadata))).toEqual(metadata)
        }
      }),
      { numRuns: 300 },
    )
  })
})
