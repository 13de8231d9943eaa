import { describe, expect, it } from 'vitest'
import {
  applyUpdates,
  type CommitCheck,
  conflictOf,
  conflictText,
  createTableUpdates,
  type DataFile,
  encodeSingleValue,
  type HistoryStep,
  type ManifestEntry,
  partitionKey,
  type SnapshotOperation,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Schema } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'day', required: false, type: 'int' },
    { id: 2, name: 'id', required: false, type: 'long' },
  ],
}
const spec = {
  specId: 0,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'day', transform: { kind: 'identity' as const } }],
}
const metadata = applyUpdates(
  null,
  createTableUpdates({ tableUuid: 'u', location: 'file:///t', schema, spec, properties: {} }),
  { timestampMs: 1 },
)

/** A file of one day whose ids lie between two bounds. */
function file(path: string, day: number, ids: readonly [bigint, bigint], more: Partial<DataFile> = {}): DataFile {
  const bounds = (value: bigint) =>
    new Map([
      [1, encodeSingleValue('int', day)],
      [2, encodeSingleValue('long', value)],
    ])
  return {
    content: 0,
    path: storePath(path),
    format: 'parquet',
    specId: 0,
    partition: [day],
    recordCount: 10n,
    fileSizeInBytes: 100n,
    columnSizes: new Map(),
    valueCounts: new Map([
      [1, 10n],
      [2, 10n],
    ]),
    nullValueCounts: new Map([
      [1, 0n],
      [2, 0n],
    ]),
    nanValueCounts: new Map(),
    lowerBounds: bounds(ids[0]),
    upperBounds: bounds(ids[1]),
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
    ...more,
  }
}
const positionDeletes = (path: string, day: number, about?: string) =>
  file(path, day, [0n, 0n], {
    content: 1,
    lowerBounds: new Map(),
    upperBounds: new Map(),
    ...(about ? { referencedDataFile: storePath(about) } : {}),
  })
const vector = (path: string, day: number, about: string) =>
  file(path, day, [0n, 0n], { content: 1, format: 'puffin', referencedDataFile: storePath(about), contentOffset: 4n })
const equalityDeletes = (path: string, day: number, ids: readonly [bigint, bigint]) =>
  file(path, day, ids, { content: 2, equalityIds: [2] })

let next = 100n
function step(
  operation: SnapshotOperation,
  change: { readonly added?: readonly DataFile[]; readonly removed?: readonly DataFile[] },
): HistoryStep {
  const snapshotId = next++
  const entry = (one: DataFile, status: 1 | 2): ManifestEntry => ({
    status,
    snapshotId,
    dataSequenceNumber: 9n,
    fileSequenceNumber: 9n,
    file: one,
  })
  return {
    snapshot: {
      snapshotId,
      parentSnapshotId: snapshotId - 1n,
      sequenceNumber: 9n,
      timestampMs: 1,
      manifestList: storePath('l'),
      operation,
      summary: {},
      schemaId: 0,
    },
    added: (change.added ?? []).map((one) => entry(one, 1)),
    removed: (change.removed ?? []).map((one) => entry(one, 2)),
  }
}

const seen = file('seen', 1, [1n, 9n])
const checks = {
  'rows of day 1 may not appear': {
    kind: 'noAddedData',
    within: { kind: 'rows', predicate: { kind: 'compare', operator: 'eq', column: 'day', value: 1 } },
  },
  'rows with ids above 50 may not appear': {
    kind: 'noAddedData',
    within: { kind: 'rows', predicate: { kind: 'compare', operator: 'gt', column: 'id', value: 50n } },
  },
  'rows of day 1 may not go': {
    kind: 'noRemovedData',
    within: { kind: 'rows', predicate: { kind: 'compare', operator: 'eq', column: 'day', value: 1 } },
  },
  'rows of day 1 may not be deleted': {
    kind: 'noAddedDeletes',
    within: { kind: 'rows', predicate: { kind: 'compare', operator: 'eq', column: 'day', value: 1 } },
  },
  'the file seen may not lose rows': { kind: 'noDeletesFor', files: [{ file: seen, dataSequenceNumber: 3n }] },
  'the file seen may lose rows to equality deletes only': {
    kind: 'noDeletesFor',
    files: [{ file: seen, dataSequenceNumber: 3n }],
    equality: 'ignore',
  },
  'the file seen may get no vector': { kind: 'noVectorsFor', paths: new Set([seen.path]) },
  'the file seen is there': { kind: 'stillLive', files: [seen] },
  'the file seen is there unless all its rows were deleted': { kind: 'stillLive', files: [seen], deleted: 'ignore' },
  'the partition of day 1 is untouched': {
    kind: 'untouched',
    within: { kind: 'partitions', specId: 0, keys: new Set([partitionKey(seen)]) },
  },
} as const satisfies Record<string, CommitCheck>
type CheckName = keyof typeof checks

/** What others did, and every check that it breaks. */
const cases: readonly (readonly [what: string, history: HistoryStep, breaks: readonly CheckName[]])[] = [
  [
    'an append to day 1',
    step('append', { added: [file('new', 1, [1n, 2n])] }),
    ['rows of day 1 may not appear', 'the partition of day 1 is untouched'],
  ],
  ['an append to day 2', step('append', { added: [file('new', 2, [1n, 2n])] }), []],
  [
    'an append of high ids to day 2',
    step('append', { added: [file('new', 2, [60n, 70n])] }),
    ['rows with ids above 50 may not appear'],
  ],
  [
    'a compaction of day 1',
    step('replace', { added: [file('new', 1, [1n, 99n])], removed: [seen] }),
    ['the file seen is there', 'the file seen is there unless all its rows were deleted'],
  ],
  [
    'an overwrite of the file seen',
    step('overwrite', { added: [file('new', 1, [1n, 9n])], removed: [seen] }),
    [
      'rows of day 1 may not appear',
      'rows of day 1 may not go',
      'the file seen is there',
      'the file seen is there unless all its rows were deleted',
      'the partition of day 1 is untouched',
    ],
  ],
  [
    'a deletion of the whole file seen',
    step('delete', { removed: [seen] }),
    ['rows of day 1 may not go', 'the file seen is there', 'the partition of day 1 is untouched'],
  ],
  ['a deletion of another file of day 2', step('delete', { removed: [file('other', 2, [1n, 2n])] }), []],
  [
    'position deletes for the file seen',
    step('delete', { added: [positionDeletes('d', 1, 'seen')] }),
    [
      'rows of day 1 may not be deleted',
      'the file seen may not lose rows',
      'the file seen may lose rows to equality deletes only',
      'the partition of day 1 is untouched',
    ],
  ],
  [
    'position deletes for another file of day 1',
    step('overwrite', { added: [positionDeletes('d', 1, 'another')] }),
    ['rows of day 1 may not be deleted', 'the partition of day 1 is untouched'],
  ],
  [
    'position deletes for files of day 1 that are not named',
    step('delete', { added: [positionDeletes('d', 1)] }),
    [
      'rows of day 1 may not be deleted',
      'the file seen may not lose rows',
      'the file seen may lose rows to equality deletes only',
      'the partition of day 1 is untouched',
    ],
  ],
  ['position deletes in day 2', step('delete', { added: [positionDeletes('d', 2)] }), []],
  [
    'a deletion vector for the file seen',
    step('delete', { added: [vector('v', 1, 'seen')] }),
    [
      'rows of day 1 may not be deleted',
      'the file seen may not lose rows',
      'the file seen may lose rows to equality deletes only',
      'the file seen may get no vector',
      'the partition of day 1 is untouched',
    ],
  ],
  [
    'position deletes of the file seen rewritten as a vector',
    step('replace', { added: [vector('v', 1, 'seen')], removed: [positionDeletes('d', 1, 'seen')] }),
    ['the file seen may get no vector'],
  ],
  [
    'equality deletes of keys that the file seen may hold',
    step('overwrite', { added: [equalityDeletes('e', 1, [5n, 5n])] }),
    ['rows of day 1 may not be deleted', 'the file seen may not lose rows', 'the partition of day 1 is untouched'],
  ],
  [
    'equality deletes of keys that the file seen cannot hold',
    step('overwrite', { added: [equalityDeletes('e', 1, [50n, 60n])] }),
    ['rows of day 1 may not be deleted', 'the partition of day 1 is untouched'],
  ],
]

describe('a change that others come before', () => {
  for (const [what, history, breaks] of cases) {
    it(`is told from ${what} what it cannot rely on any more`, () => {
      const broken = Object.entries(checks)
        .filter(([, check]) => conflictOf({ metadata, schema, history: [history], checks: [check] }) !== null)
        .map(([name]) => name)
      expect(broken).toEqual(Object.keys(checks).filter((name) => (breaks as readonly string[]).includes(name)))
    })
  }

  it('holds when nothing happened', () => {
    expect(conflictOf({ metadata, schema, history: [], checks: Object.values(checks) })).toBeNull()
  })

  it('is told which file, partition and snapshot it meets', () => {
    const history = [step('append', { added: [file('s3://b/new.parquet', 1, [1n, 2n])] })]
    const found = conflictOf({ metadata, schema, history, checks: [checks['rows of day 1 may not appear']] })
    expect(found).toMatchObject({ kind: 'data-added', partition: 'day=1', path: 's3://b/new.parquet' })
    expect(found && conflictText(found)).toBe(
      `rows were added in day=1 by snapshot ${history[0]?.snapshot.snapshotId} (s3://b/new.parquet)`,
    )
    expect(conflictText({ kind: 'history-lost', snapshotId: 7n })).toContain('no longer descends from snapshot 7')
  })
})
