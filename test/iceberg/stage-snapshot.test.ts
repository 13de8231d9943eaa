import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AddedFile,
  type DataFile,
  type ManifestEntry,
  ManifestReader,
  withoutStatistics,
} from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import { file, snapshotTable } from '../support/snapshots.ts'

const names = (entries: readonly ManifestEntry[], status: number) =>
  entries.filter((one) => one.status === status).map((one) => nameOf(one.file))
const nameOf = (one: DataFile) => {
  const name = /([^/]+)\.\w+$/.exec(one.path)?.[1] ?? ''
  return one.contentOffset === undefined ? name : `${name}@${one.contentOffset}`
}
const positions = (name: string, n = 1, more: Partial<AddedFile> = {}) =>
  file(name, n, { content: 1, recordCount: 3n, fileSizeInBytes: 50n, ...more })
const equality = (name: string, n = 1) =>
  file(name, n, { content: 2, recordCount: 2n, fileSizeInBytes: 40n, equalityIds: [1] })
const vector = (puffin: string, of: DataFile, offset: bigint, rows = 4n) =>
  file(puffin, of.partition[0] ?? null, {
    content: 1,
    format: 'puffin',
    path: storePath(`file:///data/${puffin}.puffin`),
    recordCount: rows,
    fileSizeInBytes: 500n,
    referencedDataFile: of.path,
    contentOffset: offset,
    contentSizeInBytes: 30n,
  })

/** A file with something known of its columns. */
const measured = (name: string, n = 1) =>
  file(name, n, {
    columnSizes: new Map([[1, 40n]]),
    valueCounts: new Map([[1, 10n]]),
    nullValueCounts: new Map([[1, 0n]]),
    lowerBounds: new Map([[1, Buffer.from([n, 0, 0, 0, 0, 0, 0, 0])]]),
    upperBounds: new Map([[1, Buffer.from([n, 0, 0, 0, 0, 0, 0, 0])]]),
    splitOffsets: [4n],
  })

describe('what is known of the columns of a removed file', () => {
  const known = (one: ManifestEntry) => [one.file.valueCounts.size, one.file.lowerBounds.size, one.file.splitOffsets]
  const commitWithout = async (operation: 'overwrite' | 'replace') => {
    const table = snapshotTable()
    await table.commit({ added: [measured('a'), measured('b')] })
    await table.commit({ added: [measured('c')], removed: [measured('a')], operation })
    const lists = await Promise.all((await table.manifests()).map((one) => table.reader.entriesOf(one)))
    return Object.fromEntries(lists.flat().map((one) => [nameOf(one.file), known(one)]))
  }

  it('stays where rows changed, for readers of changes pass over files by it', async () => {
    expect(await commitWithout('overwrite')).toEqual({ a: [1, 1, [4n]], b: [1, 1, [4n]], c: [1, 1, [4n]] })
  })

  it('goes where rows were merely written anew, and stays for every other file', async () => {
    expect(await commitWithout('replace')).toEqual({ a: [0, 0, []], b: [1, 1, [4n]], c: [1, 1, [4n]] })
  })

  it('is passed over on request, the rest of an entry being the same', async () => {
    const table = snapshotTable()
    await table.commit({ added: [measured('a'), measured('b'), positions('p')], operation: 'overwrite' })
    for (const manifest of await table.manifests()) {
      const entries = await new ManifestReader(table.store).scan(manifest)
      const plain = [...entries()].map((entry) => ({ ...entry, file: withoutStatistics(entry.file) }))
      expect([...entries({ statistics: false })]).toEqual(plain)
    }
  })
})

describe('a snapshot with deletes', () => {
  it('lists data and deletes in manifests of their own', async () => {
    const table = snapshotTable()
    await table.commit({ added: [file('a'), positions('p'), equality('e')], operation: 'overwrite' })
    const manifests = await table.manifests()
    expect(manifests.map((one) => [one.content, one.addedFilesCount, one.addedRowsCount])).toEqual([
      ['data', 1, 10n],
      ['deletes', 2, 5n],
    ])
    const [, deletes] = await Promise.all(manifests.map((one) => table.reader.entriesOf(one)))
    expect(deletes?.map((one) => [one.file.content, one.dataSequenceNumber, one.file.equalityIds])).toEqual([
      [1, 1n, []],
      [2, 1n, [1]],
    ])
  })

  it('counts every kind of file that comes and goes', async () => {
    const table = snapshotTable({ formatVersion: 3 })
    const [a, b] = [file('a', 1), file('b', 2)]
    const first = await table.commit({ added: [a, b, positions('p', 1), equality('e', 2)], operation: 'overwrite' })
    expect(first.snapshot.summary).toMatchObject({
      'added-data-files': '2',
      'added-delete-files': '2',
      'added-position-delete-files': '1',
      'added-position-deletes': '3',
      'added-equality-delete-files': '1',
      'added-equality-deletes': '2',
      'added-files-size': '2090',
      'total-delete-files': '2',
      'total-position-deletes': '3',
      'total-equality-deletes': '2',
    })
    const second = await table.commit({
      operation: 'delete',
      added: [vector('d', a, 4n), vector('d', b, 40n)],
      removed: [positions('p', 1), equality('e', 2)],
    })
    expect(second.snapshot.summary).toMatchObject({
      'added-delete-files': '2',
      'added-dvs': '2',
      'added-position-deletes': '8',
      'added-files-size': '60',
      'removed-delete-files': '2',
      'removed-position-delete-files': '1',
      'removed-equality-delete-files': '1',
      'removed-position-deletes': '3',
      'removed-equality-deletes': '2',
      'changed-partition-count': '2',
      'total-delete-files': '2',
      'total-position-deletes': '8',
      'total-equality-deletes': '0',
      'total-files-size': '2060',
    })
    expect(second.snapshot.summary['added-position-delete-files']).toBe(undefined)
  })

  it('removes one deletion vector of a Puffin file and keeps its neighbour', async () => {
    const table = snapshotTable({ formatVersion: 3 })
    const [a, b] = [file('a'), file('b')]
    await table.commit({ added: [a, b, vector('d', a, 4n), vector('d', b, 40n)] })
    await table.commit({ added: [vector('e', a, 4n)], removed: [vector('d', a, 4n)], operation: 'delete' })
    const entries = await table.entries()
    expect(names(entries, 2)).toEqual(['d@4'])
    expect(names(entries, 0)).toEqual(['d@40'])
    expect(names(entries, 1).sort()).toEqual(['a', 'b', 'e@4'])
  })

  it('drops the vector of a data file that it removes, and tells', async () => {
    const table = snapshotTable({ formatVersion: 3 })
    const [a, b] = [file('a'), file('b')]
    await table.commit({ added: [a, b, vector('d', a, 4n), vector('d', b, 40n)] })
    const { removed, snapshot } = await table.commit({ removed: [a], operation: 'delete' })
    expect(removed.map(nameOf)).toEqual(['a', 'd@4'])
    expect(snapshot.summary).toMatchObject({ 'removed-dvs': '1', 'total-position-deletes': '4' })
    expect(names(await table.entries(), 0)).toEqual(['b', 'd@40'])
  })

  it('drops deletes that are older than every row, once it removes files', async () => {
    const table = snapshotTable()
    await table.commit({ added: [file('a')] })
    await table.commit({ added: [equality('e')], operation: 'delete' })
    await table.commit({ added: [file('b')] })
    expect(names(await table.entries(), 1)).toContain('e')
    await table.commit({ added: [file('c')], removed: [file('a')] })
    const live = (await table.entries()).filter((one) => one.status !== 2).map((one) => nameOf(one.file))
    expect(live.sort()).toEqual(['b', 'c'])
  })

  it('keeps a rewritten file at the sequence number of its rows, so that later deletes still apply', async () => {
    const table = snapshotTable()
    await table.commit({ added: [file('a')] })
    await table.commit({ added: [equality('e')], operation: 'delete' })
    await table.commit({
      operation: 'replace',
      added: [file('b', 1, { dataSequenceNumber: 1n }), file('c')],
      removed: [file('a')],
    })
    const numbers = (await table.entries())
      .filter((one) => one.status !== 2)
      .map((one) => [nameOf(one.file), one.dataSequenceNumber, one.fileSequenceNumber])
    expect(numbers.sort()).toEqual([
      ['b', 1n, 3n],
      ['c', 3n, 3n],
      ['e', 2n, 2n],
    ])
    expect((await table.manifests()).map((one) => one.minSequenceNumber).sort()).toEqual([1n, 2n, 3n, 3n])
  })
})

describe('earlier manifests', () => {
  const isManifest = (path: string) => /-m\d+-[0-9a-f-]+\.avro$/.test(path)

  it('are not opened by an append', async () => {
    const table = snapshotTable()
    for (let i = 0; i < 5; i++) await table.commit({ added: [file(`f${i}`, i)] })
    table.reads.length = 0
    await table.commit({ added: [file('g')] })
    expect(table.reads.filter(isManifest)).toEqual([])
  })

  it('are opened only where a removed file may stand in them', async () => {
    const table = snapshotTable()
    for (let i = 0; i < 5; i++) await table.commit({ added: [file(`f${i}`, i), file(`g${i}`, i)] })
    await table.commit({ added: [equality('e', 9)], operation: 'delete' })
    table.reads.length = 0
    await table.commit({ removed: [file('f3', 3)], operation: 'delete' })
    expect(table.reads.filter(isManifest)).toHaveLength(1)
    expect(names(await table.entries(), 2)).toEqual(['f3'])
  })

  it('are left alone by fast appends however many they are', async () => {
    const table = snapshotTable({ properties: { 'commit.manifest.min-count-to-merge': '2' } })
    for (let i = 0; i < 4; i++) await table.commit({ added: [file(`f${i}`, i)], manifestMerging: 'fast' })
    expect(await table.manifests()).toHaveLength(4)
    const { snapshot } = await table.commit({ added: [file('last')] })
    expect(await table.manifests()).toHaveLength(1)
    expect(snapshot.summary).toMatchObject({
      'manifests-created': '1',
      'manifests-kept': '0',
      'manifests-replaced': '4',
    })
  })

  it('stay as they are where merging is switched off', async () => {
    const properties = { 'commit.manifest.min-count-to-merge': '2', 'commit.manifest-merge.enabled': 'false' }
    const table = snapshotTable({ properties })
    for (let i = 0; i < 4; i++) await table.commit({ added: [file(`f${i}`, i)] })
    expect(await table.manifests()).toHaveLength(4)
  })

  it('are merged up to the target size, and a manifest above it is split', async () => {
    const properties = { 'commit.manifest.min-count-to-merge': '3', 'commit.manifest.target-size-bytes': '9000' }
    const table = snapshotTable({ properties })
    for (let i = 0; i < 12; i++) await table.commit({ added: [file(`f${i}`, i)] })
    const manifests = await table.manifests()
    expect(manifests.length).toBeLessThan(12)
    for (const one of manifests) expect(Number(one.length)).toBeLessThanOrEqual(9000)
    const many = Array.from({ length: 400 }, (_one, i) => file(`many${i}`, i))
    await table.commit({ added: many })
    const added = (await table.manifests()).filter((one) => one.addedSnapshotId === 112n)
    expect(added.length).toBeGreaterThan(1)
    expect((await table.entries()).filter((one) => one.status !== 2)).toHaveLength(412)
  })
})

describe('row ids of version 3', () => {
  it('count up over snapshots, and old files get theirs at the first commit after an upgrade', async () => {
    const table = snapshotTable()
    await table.commit({ added: [file('a'), file('b')] })
    table.apply([{ action: 'upgrade-format-version', formatVersion: 3 }])
    const { snapshot } = await table.commit({ added: [file('c'), positions('p')], operation: 'overwrite' })
    expect([snapshot.firstRowId, snapshot.addedRows]).toEqual([0n, 30n])
    expect(table.metadata.nextRowId).toBe(30n)
    const next = await table.commit({ added: [file('d')] })
    expect([next.snapshot.firstRowId, next.snapshot.addedRows]).toEqual([30n, 10n])
    const ids = (await table.entries()).map((one) => [nameOf(one.file), one.file.firstRowId])
    expect(ids.sort()).toEqual([
      ['a', 10n],
      ['b', 20n],
      ['c', 0n],
      ['d', 30n],
      ['p', undefined],
    ])
  })

  it('stay with their files when manifests are rewritten and merged', async () => {
    const table = snapshotTable({ formatVersion: 3, properties: { 'commit.manifest.min-count-to-merge': '3' } })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }), async (drops) => {
        const before = (await table.entries()).filter((one) => one.status !== 2)
        const removed = [...new Set(drops)].flatMap((i) => before[i]?.file ?? [])
        const stamp = table.metadata.snapshots.length
        await table.commit({ added: [file(`x${stamp}`, 1), file(`y${stamp}`, 2)], removed })
        const after = new Map((await table.entries()).map((one) => [one.file.path, one]))
        const gone = new Set(removed.map((one) => one.path))
        for (const { file: old } of before) {
          if (!gone.has(old.path)) expect(after.get(old.path)?.file.firstRowId).toBe(old.firstRowId)
        }
        const ranges = [...after.values()].filter((one) => one.status !== 2).map((one) => one.file.firstRowId ?? -1n)
        ranges.sort((a, b) => Number(a - b))
        for (const [i, first] of ranges.entries()) {
          expect(first).toBeGreaterThanOrEqual(i === 0 ? 0n : (ranges[i - 1] ?? 0n) + 10n)
          expect(first + 10n).toBeLessThanOrEqual(table.metadata.nextRowId)
        }
      }),
      { seed: 3, numRuns: 12 },
    )
  })
})

describe('the summary of changed partitions', () => {
  it('is there up to the limit of the table and not beyond', async () => {
    const table = snapshotTable({ properties: { 'write.summary.partition-limit': '2' } })
    const few = await table.commit({ added: [file('a', 1), file('b', 2), positions('p', 2)], operation: 'overwrite' })
    expect(few.snapshot.summary).toMatchObject({
      'partition-summaries-included': 'true',
      'partitions.n=1': 'added-data-files=1,added-records=10,added-files-size=1000',
    })
    expect(few.snapshot.summary['partitions.n=2']).toContain('added-position-deletes=3')
    const many = await table.commit({ added: [file('c', 1), file('d', 2), file('e', 3)] })
    expect(Object.keys(many.snapshot.summary).filter((name) => name.startsWith('partition'))).toEqual([])
  })
})

describe('a new branch', () => {
  it('starts at the parent it is given and leaves main alone', async () => {
    const table = snapshotTable()
    const first = await table.commit({ added: [file('a')] })
    await table.commit({ added: [file('b')] })
    const work = await table.commit({ added: [file('c')], ref: 'work', parent: first.snapshot.snapshotId })
    expect(work.requirements).toContainEqual({ type: 'assert-ref-snapshot-id', ref: 'work', snapshotId: null })
    expect(table.metadata.refs.work).toEqual({ type: 'branch', snapshotId: work.snapshot.snapshotId })
    expect(table.metadata.currentSnapshotId).toBe(101n)
    expect(work.snapshot.summary['total-data-files']).toBe('2')
  })
})
