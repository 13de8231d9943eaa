import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type DataFile,
  decodeManifest,
  decodeManifestList,
  decodeMetadata,
  type EntryStatus,
  type ManifestEntry,
  partitionStatistics,
  partitionStatisticsRow,
  partitionStatisticsSchema,
  snapshotById,
  type TableMetadata,
  unifiedPartitionFields,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Value } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import { root } from '../support/lake.ts'

const metadata = (formatVersion: 2 | 3): TableMetadata =>
  decodeMetadata(
    Buffer.from(
      JSON.stringify({
        'format-version': formatVersion,
        'table-uuid': '9c12d441-03fe-4693-9a96-a0705ddf69c1',
        location: 'file:///t',
        'last-sequence-number': 3,
        'last-updated-ms': 30,
        'last-column-id': 2,
        'current-schema-id': 0,
        'next-row-id': 0,
        schemas: [
          {
            type: 'struct',
            'schema-id': 0,
            fields: [
              { id: 1, name: 'at', required: false, type: 'timestamp' },
              { id: 2, name: 'who', required: false, type: 'string' },
            ],
          },
        ],
        'default-spec-id': 1,
        'last-partition-id': 1001,
        'partition-specs': [
          { 'spec-id': 0, fields: [{ 'source-id': 1, 'field-id': 1000, name: 'at_day', transform: 'day' }] },
          {
            'spec-id': 1,
            fields: [
              { 'source-id': 2, 'field-id': 1001, name: 'who', transform: 'identity' },
              { 'source-id': 1, 'field-id': 1000, name: 'day', transform: 'day' },
            ],
          },
          { 'spec-id': 2, fields: [] },
        ],
        'default-sort-order-id': 0,
        'sort-orders': [{ 'order-id': 0, fields: [] }],
        'current-snapshot-id': 2,
        refs: { main: { type: 'branch', 'snapshot-id': 2 } },
        snapshots: [1, 2].map((id) => ({
          'snapshot-id': id,
          'sequence-number': id,
          'timestamp-ms': id * 10,
          'manifest-list': `file:///t/${id}.avro`,
          summary: { operation: 'append' },
          'first-row-id': 0,
          'added-rows': 0,
        })),
      }),
    ),
  )

const file = (specId: number, partition: readonly (Value | null)[], change: Partial<DataFile> = {}): DataFile => ({
  content: 0,
  path: storePath('file:///t/a.parquet'),
  format: 'parquet',
  specId,
  partition,
  recordCount: 10n,
  fileSizeInBytes: 100n,
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullValueCounts: new Map(),
  nanValueCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
  equalityIds: [],
  sortOrderId: null,
  ...change,
})
const entry = (of: DataFile, snapshotId = 1n, status: EntryStatus = 1): ManifestEntry => ({
  status,
  snapshotId,
  dataSequenceNumber: 1n,
  fileSequenceNumber: 1n,
  file: of,
})
const vector = { content: 1, format: 'puffin', recordCount: 3n } as const
const deletes = { content: 1, recordCount: 4n } as const
const equality = { content: 2, recordCount: 5n, equalityIds: [2] } as const

describe('partition statistics', () => {
  it('gather the fields of every spec, by id and under their latest names', () => {
    expect(unifiedPartitionFields(metadata(2))).toEqual([
      { fieldId: 1000, name: 'day', type: 'date' },
      { fieldId: 1001, name: 'who', type: 'string' },
    ])
  })

  it('count data and deletes per partition, nulls first, and say when each last changed', () => {
    const rows = partitionStatistics(metadata(3), [
      entry(file(1, ['b', 7])),
      entry(file(1, ['a', 7]), 1n, 0),
      entry(file(1, ['a', 7], { recordCount: 7n }), 2n),
      entry(file(1, ['a', 7], vector), 2n),
      entry(file(0, [7]), 2n, 2),
      entry(file(1, [null, null])),
      entry(file(1, ['b', 7], deletes)),
      entry(file(1, ['b', 7], equality), 99n),
    ])
    const none = {
      dataRecordCount: 0n,
      dataFileCount: 0,
      totalDataFileSizeInBytes: 0n,
      positionDeleteRecordCount: 0n,
      positionDeleteFileCount: 0,
      dvCount: 0,
      equalityDeleteRecordCount: 0n,
      equalityDeleteFileCount: 0,
    }
    const ten = { ...none, dataRecordCount: 10n, dataFileCount: 1, totalDataFileSizeInBytes: 100n }
    const first = { lastUpdatedAt: 10, lastUpdatedSnapshotId: 1n }
    const second = { lastUpdatedAt: 20, lastUpdatedSnapshotId: 2n }
    expect(rows).toEqual([
      { ...ten, ...first, partition: [null, null], specId: 1, totalRecordCount: 10n },
      { ...none, ...second, partition: [7, null], specId: 0, totalRecordCount: 0n },
      {
        ...none,
        ...second,
        partition: [7, 'a'],
        specId: 1,
        dataRecordCount: 17n,
        dataFileCount: 2,
        totalDataFileSizeInBytes: 200n,
        positionDeleteRecordCount: 3n,
        dvCount: 1,
        totalRecordCount: 14n,
      },
      {
        ...ten,
        ...first,
        partition: [7, 'b'],
        specId: 1,
        positionDeleteRecordCount: 4n,
        positionDeleteFileCount: 1,
        equalityDeleteRecordCount: 5n,
        equalityDeleteFileCount: 1,
        totalRecordCount: null,
      },
    ])
  })

  it('state no total anywhere once deletes reach every partition', () => {
    const rows = partitionStatistics(metadata(2), [entry(file(0, [1])), entry(file(2, [], equality))])
    expect(rows.map((row) => row.totalRecordCount)).toEqual([null, null])
  })

  it('have the columns of the specification, one for deletion vectors from version 3', () => {
    const columns = (version: 2 | 3) =>
      partitionStatisticsSchema(metadata(version)).fields.map(
        ({ id, name, required }) => `${id} ${name}${required ? '' : '?'}`,
      )
    expect(columns(2)).toEqual([
      '1 partition',
      '2 spec_id',
      '3 data_record_count',
      '4 data_file_count',
      '5 total_data_file_size_in_bytes',
      '6 position_delete_record_count?',
      '7 position_delete_file_count?',
      '8 equality_delete_record_count?',
      '9 equality_delete_file_count?',
      '10 total_record_count?',
      '11 last_updated_at?',
      '12 last_updated_snapshot_id?',
    ])
    expect(columns(3)).toEqual([...columns(2).map((one, i) => (i < 9 ? one.replace('?', '') : one)), '13 dv_count'])
    const [row] = partitionStatistics(metadata(3), [entry(file(0, [1], vector))])
    for (const version of [2, 3] as const)
      expect(row && partitionStatisticsRow(row, metadata(version))).toHaveLength(columns(version).length)
  })

  const corpus = join(process.env.LIMN_SHARED ?? join(root, '..', 'shared'), 'conformance', 'iceberg')
  it.runIf(existsSync(corpus))('add up to what the snapshots of other systems say', () => {
    let compared = 0
    for (const name of readdirSync(corpus)) {
      const folder = join(corpus, name)
      const { tables } = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as {
        readonly tables: readonly { readonly metadata_file: string; readonly prefix_map: Record<string, string> }[]
      }
      for (const table of tables) {
        const local = (path: string) => {
          const prefix = Object.keys(table.prefix_map).find((one) => path.startsWith(one)) ?? ''
          return readFileSync(join(folder, table.prefix_map[prefix] ?? '', path.slice(prefix.length)))
        }
        let entries: readonly ManifestEntry[]
        let read: TableMetadata
        try {
          read = decodeMetadata(readFileSync(join(folder, table.metadata_file)))
          const snapshot = snapshotById(read, read.currentSnapshotId ?? 0n)
          if (!snapshot?.manifestList) continue
          entries = decodeManifestList(local(snapshot.manifestList)).flatMap(
            (one) => decodeManifest(local(one.path), one).entries,
          )
        } catch {
          // What is not readable here is the subject of the suite of tables.
          continue
        }
        const rows = partitionStatistics(read, entries)
        const summary = snapshotById(read, read.currentSnapshotId ?? 0n)?.summary ?? {}
        const total = (count: (row: (typeof rows)[number]) => bigint | number) =>
          String(rows.reduce((sum, row) => sum + BigInt(count(row)), 0n))
        for (const [key, count] of [
          ['total-records', (row) => row.dataRecordCount],
          ['total-data-files', (row) => row.dataFileCount],
          ['total-position-deletes', (row) => row.positionDeleteRecordCount],
          ['total-equality-deletes', (row) => row.equalityDeleteRecordCount],
          ['total-delete-files', (row) => row.positionDeleteFileCount + row.equalityDeleteFileCount + row.dvCount],
        ] satisfies [string, (row: (typeof rows)[number]) => bigint | number][]) {
          if (summary[key] === undefined) continue
          expect([name, key, total(count)]).toEqual([name, key, summary[key]])
          compared++
        }
      }
    }
    expect(compared).toBeGreaterThan(100)
  })
})
