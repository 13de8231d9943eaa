import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { noSteps, seededRandomness } from '../../packages/limn/src/base/index.ts'
import {
  applyUpdates,
  checkRequirements,
  createTableUpdates,
  type DataFile,
  diffFiles,
  encodeManifest,
  encodeManifestList,
  liveFiles,
  type ManifestFile,
  ManifestReader,
  type PartitionSpec,
  planScan,
  type SnapshotOperation,
  type StagedSnapshot,
  snapshotById,
  stageSnapshot,
  type TableMetadata,
  type Update,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Schema, Value } from '../../packages/limn/src/schema/index.ts'
import { LocalStore, storePath } from '../../packages/limn/src/storage/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'limn-commit-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: false, type: 'int' },
    { id: 2, name: 's', required: false, type: 'string' },
  ],
}
const byN: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'n', transform: { kind: 'identity' } }],
}

interface Change {
  readonly operation?: SnapshotOperation
  readonly added?: readonly DataFile[]
  readonly removed?: readonly DataFile[]
  readonly ref?: string
  readonly parent?: bigint | null
  readonly summary?: Readonly<Record<string, string>>
}

interface TestTable {
  readonly store: LocalStore
  readonly reader: ManifestReader
  metadata: TableMetadata
  apply(changes: readonly Update[]): void
  stage(change: Change): Promise<StagedSnapshot>
  /** Stages a change and applies it, its requirements checked. */
  commit(change: Change): Promise<StagedSnapshot>
  /** Of the current snapshot unless another is named. */
  live(snapshotId?: bigint | null): Promise<readonly DataFile[]>
  manifests(snapshotId?: bigint | null): Promise<readonly ManifestFile[]>
}

let tables = 0
/** An empty table in a store of its own, changed by staged snapshots. */
function newTable(): TestTable {
  const number = ++tables
  const store = new LocalStore(join(folder, `table ${number}`))
  const reader = new ManifestReader(store)
  const updates = createTableUpdates({
    tableUuid: `uuid-${number}`,
    location: `${store.root}/t`,
    schema,
    spec: byN,
    properties: {},
  })
  const randomness = seededRandomness(`commit ${number}`)
  let nextId = 100n
  let nextMs = 1_700_000_000_000
  const metadata: TableMetadata = applyUpdates(null, updates, { timestampMs: nextMs })
  const table: TestTable = {
    store,
    reader,
    metadata,
    apply(changes: readonly Update[]): void {
      nextMs += 1000
      table.metadata = applyUpdates(table.metadata, changes, { timestampMs: nextMs })
    },
    stage(change: Change): Promise<StagedSnapshot> {
      const { added = [], removed = [], ref = 'main' } = change
      return stageSnapshot({
        store,
        manifests: reader,
        steps: noSteps,
        randomness,
        base: table.metadata,
        parentSnapshotId:
          change.parent === undefined
            ? (table.metadata.refs[ref]?.snapshotId ?? table.metadata.currentSnapshotId)
            : change.parent,
        ref,
        operation: change.operation ?? (removed.length === 0 ? 'append' : 'overwrite'),
        added,
        removed,
        snapshotId: nextId++,
        timestampMs: nextMs,
        ...(change.summary ? { summary: change.summary } : {}),
      })
    },
    async commit(change: Change): Promise<StagedSnapshot> {
      const staged = await table.stage(change)
      expect(checkRequirements(table.metadata, staged.requirements)).toBe(null)
      table.apply(staged.updates)
      return staged
    },
    live: async (snapshotId: bigint | null = table.metadata.currentSnapshotId): Promise<readonly DataFile[]> =>
      snapshotId === null ? [] : liveFiles({ manifests: reader, metadata: table.metadata, snapshotId }),
    manifests(snapshotId: bigint | null = table.metadata.currentSnapshotId): Promise<readonly ManifestFile[]> {
      const snapshot = snapshotId === null ? undefined : snapshotById(table.metadata, snapshotId)
      return snapshot ? reader.manifestsOf(snapshot) : Promise.resolve([])
    },
  }
  return table
}

function file(name: string, n: Value | null = 1, more: Partial<DataFile> = {}): DataFile {
  return {
    content: 0,
    path: storePath(`file:///data/${name}.parquet`),
    format: 'parquet',
    specId: 0,
    partition: [n],
    recordCount: 10n,
    fileSizeInBytes: 1000n,
    columnSizes: new Map(),
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
    ...more,
  }
}
const paths = (files: readonly DataFile[]) => files.map((one) => one.path)

describe('a staged snapshot', () => {
  it('adds its files in one manifest and is invisible until its updates are applied', async () => {
    const table = newTable()
    const staged = await table.stage({ added: [file('b', 2), file('a', null)] })
    expect(table.metadata.currentSnapshotId).toBe(null)
    expect(staged.requirements).toEqual([
      { type: 'assert-table-uuid', uuid: table.metadata.tableUuid },
      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: null },
    ])
    table.apply(staged.updates)
    expect(paths(await table.live())).toEqual([file('a').path, file('b').path])
    const [manifest, ...others] = await table.manifests()
    expect(others).toEqual([])
    expect(manifest).toMatchObject({
      addedFilesCount: 2,
      addedRowsCount: 20n,
      existingFilesCount: 0,
      deletedFilesCount: 0,
      sequenceNumber: 1n,
      minSequenceNumber: 1n,
    })
    const two = Buffer.from([2, 0, 0, 0])
    expect(manifest?.partitions).toEqual([{ containsNull: true, containsNan: false, lowerBound: two, upperBound: two }])
    expect(staged.written).toHaveLength(2)
    for (const path of staged.written) expect(path).toMatch(/\/t\/metadata\/(100-m0|snap-100-1)-[0-9a-f-]{36}\.avro$/)
  })

  it('carries manifests over and writes anew only the one that held a removed file', async () => {
    const table = newTable()
    await table.commit({ added: [file('a'), file('b')] })
    await table.commit({ added: [file('c')] })
    const [ofC, ofAb] = await table.manifests()
    await table.commit({ added: [file('d')], removed: [file('a')] })
    const after = await table.manifests()
    expect(after.map((one) => one.path)).toContain(ofC?.path)
    expect(after.map((one) => one.path)).not.toContain(ofAb?.path)
    const entries = (await Promise.all(after.map((one) => table.reader.entriesOf(one)))).flat()
    const seen = entries.map(
      (one) => [one.file.path.at(-9), one.status, one.snapshotId, one.dataSequenceNumber] as const,
    )
    expect(seen.sort()).toEqual([
      ['a', 2, 102n, 1n],
      ['b', 0, 100n, 1n],
      ['c', 1, 101n, 2n],
      ['d', 1, 102n, 3n],
    ])
    expect(paths(await table.live())).toEqual([file('b').path, file('c').path, file('d').path])
  })

  it('drops a manifest in the snapshot after the one that deleted its last file', async () => {
    const table = newTable()
    await table.commit({ added: [file('a')] })
    await table.commit({ operation: 'delete', removed: [file('a')] })
    expect(await table.manifests()).toHaveLength(1)
    expect(await table.live()).toEqual([])
    await table.commit({ added: [file('b')] })
    expect(await table.manifests()).toHaveLength(1)
  })

  it('refuses to remove a file that is not live', async () => {
    const table = newTable()
    await table.commit({ added: [file('a')] })
    await expect(table.stage({ removed: [file('b')] })).rejects.toMatchObject({ kind: 'internal' })
    await table.commit({ removed: [file('a')], operation: 'delete' })
    await expect(table.stage({ removed: [file('a')] })).rejects.toMatchObject({ kind: 'internal' })
  })

  it('loses the race for a ref that moved', async () => {
    const table = newTable()
    const first = await table.stage({ added: [file('a')] })
    const second = await table.stage({ added: [file('b')] })
    table.apply(first.updates)
    expect(checkRequirements(table.metadata, second.requirements)).toMatchObject({ type: 'assert-ref-snapshot-id' })
  })

  it('keeps how long a branch keeps its snapshots', async () => {
    const table = newTable()
    const { snapshot } = await table.commit({ added: [file('a')] })
    const main = {
      type: 'branch',
      snapshotId: snapshot.snapshotId,
      minSnapshotsToKeep: 7,
      maxSnapshotAgeMs: 1000,
    } as const
    table.apply([{ action: 'set-snapshot-ref', ref: 'main', to: main }])
    await table.commit({ added: [file('b')] })
    expect(table.metadata.refs.main).toEqual({ ...main, snapshotId: 101n })
  })

  it('refuses to move a tag', async () => {
    const table = newTable()
    const { snapshot } = await table.commit({ added: [file('a')] })
    const tag = { type: 'tag', snapshotId: snapshot.snapshotId } as const
    table.apply([{ action: 'set-snapshot-ref', ref: 'v1', to: tag }])
    await expect(table.stage({ added: [file('b')], ref: 'v1' })).rejects.toMatchObject({ kind: 'usage/argument' })
  })

  it('refuses an added file named twice, which would count its rows twice', async () => {
    const table = newTable()
    await expect(table.stage({ added: [file('a'), file('a')] })).rejects.toMatchObject({ kind: 'internal' })
  })

  it('writes one manifest per spec', async () => {
    const table = newTable()
    table.apply([{ action: 'add-spec', spec: { specId: 1, fields: [] } }])
    await table.commit({ added: [file('a'), file('b', 1, { specId: 1, partition: [] })] })
    expect((await table.manifests()).map((one) => [one.specId, one.partitions.length])).toEqual([
      [0, 1],
      [1, 0],
    ])
    expect((await table.live()).map((one) => one.partition)).toEqual([[1], []])
  })

  it('upgrades a table of version 1, whose metadata knows no sequence numbers', async () => {
    const table = newTable()
    table.metadata = { ...table.metadata, formatVersion: 1 }
    await table.commit({ added: [file('a')] })
    expect(table.metadata.formatVersion).toBe(2)
  })

  it('gives files of a table upgraded to version 3 row ids from its next snapshot on, and none before', async () => {
    const table = newTable()
    await table.commit({ added: [file('a')] })
    const before = table.metadata.currentSnapshotId
    await table.live()
    table.apply([{ action: 'upgrade-format-version', formatVersion: 3 }])
    await table.commit({ added: [file('b')] })
    const rowIds = async (id = table.metadata.currentSnapshotId) =>
      (await table.live(id)).map((one) => [one.path, one.firstRowId])
    expect(await rowIds()).toEqual([
      [file('a').path, 10n],
      [file('b').path, 0n],
    ])
    expect(await rowIds(before)).toEqual([[file('a').path, undefined]])
  })

  it('rewrites manifests of a spec whose source column is gone from the current schema', async () => {
    const table = newTable()
    await table.commit({ added: [file('a', 5), file('b', 5)] })
    const { fields } = schema
    table.apply([
      { action: 'add-spec', spec: { specId: 1, fields: [] } },
      { action: 'set-default-spec', specId: -1 },
      { action: 'add-schema', schema: { ...schema, schemaId: 1, fields: fields.slice(1) } },
      { action: 'set-current-schema', schemaId: -1 },
    ])
    await table.commit({ removed: [file('a', 5)], operation: 'delete' })
    expect((await table.live()).map((one) => [one.path, one.partition])).toEqual([[file('b').path, [5]]])
    const [manifest] = await table.manifests()
    expect(manifest?.partitions).toMatchObject([{ containsNull: false, lowerBound: Buffer.from([5, 0, 0, 0]) }])
  })

  it('rewrites manifests whose partition column was promoted since', async () => {
    const table = newTable()
    await table.commit({ added: [file('a', 5), file('b', 6)] })
    const [, s] = schema.fields
    const promoted: Schema = {
      ...schema,
      schemaId: 1,
      fields: [{ id: 1, name: 'n', required: false, type: 'long' }, ...(s ? [s] : [])],
    }
    table.apply([
      { action: 'add-schema', schema: promoted },
      { action: 'set-current-schema', schemaId: -1 },
    ])
    await table.commit({ removed: [file('a', 5)], operation: 'delete' })
    expect((await table.live()).map((one) => one.partition)).toEqual([[6n]])
    const scan = (value: bigint) =>
      planScan({
        manifests: table.reader,
        metadata: table.metadata,
        snapshotId: table.metadata.currentSnapshotId ?? 0n,
        predicate: { kind: 'compare', operator: 'eq', column: 'n', value },
      })
    expect((await scan(6n)).files).toHaveLength(1)
    expect((await scan(7n)).files).toHaveLength(0)
  })
})

describe('the summary of a snapshot', () => {
  it('counts what came, what went and what there is', async () => {
    const table = newTable()
    await table.commit({ added: [file('a', 1), file('b', 2)] })
    const { snapshot } = await table.commit({
      added: [file('c', 1, { recordCount: 4n, fileSizeInBytes: 300n })],
      removed: [file('a', 1)],
      summary: { 'limn.run': 'r1' },
    })
    expect(snapshot.summary).toEqual({
      'added-data-files': '1',
      'added-files-size': '300',
      'added-records': '4',
      'changed-partition-count': '1',
      'deleted-data-files': '1',
      'deleted-records': '10',
      'limn.run': 'r1',
      'manifests-created': '2',
      'manifests-kept': '0',
      'manifests-replaced': '1',
      'removed-files-size': '1000',
      'total-data-files': '2',
      'total-delete-files': '0',
      'total-equality-deletes': '0',
      'total-files-size': '1300',
      'total-position-deletes': '0',
      'total-records': '14',
    })
  })

  it('never takes a counted entry from the caller', async () => {
    const table = newTable()
    const { snapshot } = await table.commit({
      added: [file('a')],
      summary: { 'total-records': '99', 'added-records': '99' },
    })
    expect(snapshot.summary).toMatchObject({ 'total-records': '10', 'added-records': '10' })
  })

  it('counts a table anew whose last writer stated no totals', async () => {
    const table = newTable()
    await table.commit({ added: [file('a'), file('b')] })
    table.metadata = withoutSummaries(table.metadata)
    const { snapshot } = await table.commit({ removed: [file('a')], operation: 'delete' })
    expect(snapshot.summary).toMatchObject({
      'total-records': '10',
      'total-data-files': '1',
      'total-files-size': '1000',
    })
  })
})

function withoutSummaries(metadata: TableMetadata): TableMetadata {
  return { ...metadata, snapshots: metadata.snapshots.map((snapshot) => ({ ...snapshot, summary: {} })) }
}

describe('a snapshot that lists a file twice', () => {
  it('is refused by every reader, because its rows would count twice', async () => {
    const table = newTable()
    await table.commit({ added: [file('a')] })
    await table.commit({ added: [file('a')] })
    const { reader: manifests, metadata } = table
    const invalid = { kind: 'iceberg/invalid-metadata' }
    await expect(liveFiles({ manifests, metadata, snapshotId: 101n })).rejects.toMatchObject(invalid)
    await expect(planScan({ manifests, metadata, snapshotId: 101n })).rejects.toMatchObject(invalid)
  })
})

describe('row-level deletes written by another engine', () => {
  async function withDeletes() {
    const table = newTable()
    await table.commit({ added: [file('a')] })
    const deletes = file('deletes', 1, { content: 1 })
    const path = storePath(`${table.metadata.location}/metadata/deletes.avro`)
    const bytes = encodeManifest({
      schema,
      spec: byN,
      content: 'deletes',
      snapshotId: 7n,
      entries: [{ status: 1, snapshotId: 7n, dataSequenceNumber: 2n, fileSequenceNumber: 2n, file: deletes }],
    })
    await table.store.write(path, bytes)
    const [data] = await table.manifests()
    if (!data) throw new Error('the table has a manifest')
    const manifest = {
      ...data,
      path,
      length: BigInt(bytes.length),
      content: 'deletes' as const,
      sequenceNumber: 2n,
      addedSnapshotId: 7n,
    }
    const manifestList = storePath(`${table.metadata.location}/metadata/snap-7.avro`)
    const list = { snapshotId: 7n, parentSnapshotId: 100n, sequenceNumber: 2n, manifests: [data, manifest] }
    await table.store.write(manifestList, encodeManifestList(list))
    const base = snapshotById(table.metadata, 100n)
    if (!base) throw new Error('the table has a snapshot')
    table.apply([
      {
        action: 'add-snapshot',
        snapshot: { ...base, snapshotId: 7n, parentSnapshotId: 100n, sequenceNumber: 2n, manifestList },
      },
      { action: 'set-snapshot-ref', ref: 'main', to: { type: 'branch', snapshotId: 7n } },
    ])
    return table
  }

  it('come with the files they apply to, and files they newly apply to have changed', async () => {
    const { reader: manifests, metadata } = await withDeletes()
    const plan = await planScan({ manifests, metadata, snapshotId: 7n })
    expect(plan.tasks.map((task) => [task.file.path, task.deletes.map((one) => one.file.path)])).toEqual([
      [file('a').path, [file('deletes').path]],
    ])
    const { added, removed } = await diffFiles({ manifests, metadata, from: 100n, to: 7n })
    expect([added, removed].map((list) => list.map((one) => one.path))).toEqual([[file('a').path], [file('a').path]])
    expect(await liveFiles({ manifests, metadata, snapshotId: 100n })).toHaveLength(1)
  })

  it('stay in force when files are appended', async () => {
    const table = await withDeletes()
    await table.commit({ added: [file('b')] })
    expect((await table.manifests()).map((one) => one.content).sort()).toEqual(['data', 'data', 'deletes'])
  })
})

describe('a table of many small commits', () => {
  it('merges its manifests, and every file keeps its snapshot and sequence number', async () => {
    const table = newTable()
    for (let i = 0; i < 110; i++) await table.commit({ added: [file(`f${String(i).padStart(3, '0')}`, i)] })
    const manifests = await table.manifests()
    expect(manifests.length).toBeLessThan(101)
    const entries = (await Promise.all(manifests.map((one) => table.reader.entriesOf(one)))).flat()
    expect(entries).toHaveLength(110)
    for (const entry of entries) {
      const i = Number(/f(\d+)/.exec(entry.file.path)?.[1])
      expect([entry.snapshotId, entry.dataSequenceNumber, entry.file.partition]).toEqual([
        BigInt(100 + i),
        BigInt(i + 1),
        [i],
      ])
    }
  })
})

describe('any history of changes', () => {
  it('has the files, totals and differences of a plain set', async () => {
    const step = fc.record({
      add: fc.integer({ min: 0, max: 3 }),
      drop: fc.array(fc.nat(20), { maxLength: 2 }),
      branch: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const table = newTable()
        const model = new Map<bigint | null, ReadonlySet<string>>([[null, new Set()]])
        let count = 0
        for (const { add, drop, branch } of steps) {
          const ref = branch ? 'work' : 'main'
          const parent = table.metadata.refs[ref]?.snapshotId ?? table.metadata.currentSnapshotId
          const before = await table.live(parent)
          const removed = [...new Set(drop)].flatMap((index) => before[index] ?? [])
          const added = Array.from({ length: add }, () => file(`x${count++}`, count % 3 === 0 ? null : count % 3))
          const { snapshot } = await table.commit({ added, removed, ref })
          const expected = new Set<string>([...paths(before), ...paths(added)])
          for (const one of removed) expected.delete(one.path)
          model.set(snapshot.snapshotId, expected)
          expect(snapshot.summary['total-data-files']).toBe(String(expected.size))
          expect(snapshot.summary['total-records']).toBe(String(expected.size * 10))
        }
        const { reader: manifests, metadata } = table
        for (const [to, now] of model) {
          if (to === null) continue
          expect(paths(await table.live(to))).toEqual([...now].sort())
          for (const [from, then] of model) {
            const { added, removed } = await diffFiles({ manifests, metadata, from, to })
            expect(paths(added)).toEqual([...now].filter((path) => !then.has(path)).sort())
            expect(paths(removed)).toEqual([...then].filter((path) => !now.has(path)).sort())
          }
        }
      }),
      { seed: 77, numRuns: 15 },
    )
  })
})
