import { describe, expect, it } from 'vitest'
import {
  isUnder,
  locationKey,
  nestedLocations,
  orphanAge,
  planOrphans,
  tableHealth,
} from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import { byId, dataFile, entry, inventoryOf, manifestOf, metadataOf, snapshot, vector } from '../support/facts.ts'

const hour = 3_600_000
const nowMs = 1000 * hour
const info = (path: string, hoursOld: number) => ({
  path: storePath(path),
  bytes: 10,
  modifiedMs: nowMs - hoursOld * hour,
})
const reach = (...paths: string[]) => new Map(paths.map((path) => [locationKey(path), storePath(path)]))
const base = { nowMs, longestPinMs: 0 }
const names = async (...given: Parameters<typeof planOrphans>) =>
  (await planOrphans(...given)).orphans.map((one) => one.path)

describe('spellings of one location', () => {
  it('are one, and neighbours stay apart', () => {
    expect(locationKey('file:/a//b/./c')).toBe(locationKey('file:///a/b/c'))
    expect(locationKey('/a/x/../b')).toBe(locationKey('file:///a/b'))
    expect(locationKey('s3a://B/k')).toBe(locationKey('s3://B/k'))
    expect(locationKey('s3://b/k')).not.toBe(locationKey('s3://c/k'))
    expect(locationKey('s3://b/K')).not.toBe(locationKey('s3://b/k'))
    expect(isUnder('file:///w/t/data/x', '/w/t')).toBe(true)
    expect(isUnder('file:///w/t2/data/x', '/w/t')).toBe(false)
  })
})

describe('orphans', () => {
  it('are old files that nothing names', async () => {
    const listed = [info('file:///t/a', 100), info('file:///t/b', 100), info('file:///t/c', 1)]
    const plan = await planOrphans(listed, reach('file:/t/a'), base)
    expect(plan).toMatchObject({ listed: 3, young: 1, bytes: 10 })
    expect(plan.orphans.map((one) => one.path)).toEqual(['file:///t/b'])
  })

  it('are never taken below an hour, or below the oldest live run', () => {
    expect(orphanAge({ longestPinMs: 0 })).toBe(72 * hour)
    expect(orphanAge({ longestPinMs: 100 * hour })).toBe(100 * hour)
    expect(orphanAge({ ageMs: hour, longestPinMs: 0 })).toBe(hour)
    expect(() => orphanAge({ ageMs: hour - 1, longestPinMs: 0 })).toThrow(/commit that is under way/)
    expect(() => orphanAge({ ageMs: 5 * hour, longestPinMs: 6 * hour })).toThrow(/run that is under way/)
    expect(() => orphanAge({ ageMs: Number.NaN, longestPinMs: 0 })).toThrow()
  })

  it('are not the files of a table within', async () => {
    const listed = [info('file:///t/x/data/a', 100), info('file:///t/xy', 100)]
    expect(await names(listed, reach(), { ...base, others: ['/t/x'] })).toEqual(['file:///t/xy'])
  })

  it('are not files named under another scheme or host: that is refused, or they are kept', async () => {
    const listed = [info('s3://b/t/a', 100), info('s3://b/t/z', 100)]
    const reachable = reach('gs://b/t/a')
    await expect(planOrphans(listed, reachable, base)).rejects.toThrow(/another scheme or host/)
    expect(await names(listed, reachable, { ...base, mismatch: 'keep' })).toEqual(['s3://b/t/z'])
    expect(await names(listed, reach('s3n://b/t/a'), base)).toEqual(['s3://b/t/z'])
  })

  it('are not looked for where two tables share a folder', () => {
    const own = metadataOf()
    const other = { ...metadataOf(), tableUuid: 'other' }
    expect(() => nestedLocations(own, [other])).toThrow(/same folder/)
    expect(nestedLocations(own, [{ ...other, location: 'file:///lake/silver/t/inner' }])).toHaveLength(1)
    expect(nestedLocations(own, [{ ...other, location: 'file:///lake/silver/t2' }])).toEqual([])
  })
})

describe('the health of a table', () => {
  const metadata = metadataOf({ snapshots: [snapshot(1, null), snapshot(2, 1)] })
  const expire = { nowMs: 10_000 }
  const measure = (data: readonly ReturnType<typeof entry>[], deletes: readonly ReturnType<typeof entry>[] = []) =>
    tableHealth({ metadata, inventory: inventoryOf(data, deletes), metadataBytes: 100, expire })

  it('is good when there is nothing to do', () => {
    const health = measure([entry(dataFile('a', { fileSizeInBytes: 500_000_000n }))])
    expect(health.findings).toEqual([])
    expect(health.files).toMatchObject({ count: 1, small: 0, smallShare: 0 })
  })

  it('says what to run and why', () => {
    const small = Array.from({ length: 10 }, (_none, i) => dataFile(`f${i}`))
    const [first] = small
    if (!first) throw new Error('there is a file')
    const health = tableHealth({
      metadata: metadataOf({
        snapshots: Array.from({ length: 20 }, (_none, i) => snapshot(i + 1, i === 0 ? null : i)),
      }),
      inventory: {
        ...inventoryOf(
          small.map((file) => entry(file)),
          [entry(vector('v', first, { recordCount: 90n }), 2), entry(vector('v', dataFile('gone')), 2)],
        ),
        manifests: Array.from({ length: 101 }, (_none, i) => manifestOf(`m${i}`)),
      },
      metadataBytes: 100_000_000,
      expire: { nowMs: 100_000, maxSnapshotAgeMs: 0 },
    })
    expect(health.deletes).toMatchObject({ vectors: 2, knownRows: 90, knownRatio: 0.09, dangling: 1 })
    expect(health.findings.map((one) => `${one.severity} ${one.remedy}`)).toEqual([
      'warn compact',
      'warn compact',
      'note rewrite-deletes',
      'warn rewrite-manifests',
      'note expire',
      'warn expire',
    ])
    for (const finding of health.findings) expect(finding.message).toMatch(/\.$/)
  })

  it('sees a partition that outweighs the others', () => {
    const parted = metadataOf({ partitionSpecs: [byId], defaultSpecId: 1 })
    const data = Array.from({ length: 20 }, (_none, i) =>
      entry(
        dataFile(`f${i}`, {
          specId: 1,
          partition: [BigInt(i)],
          fileSizeInBytes: i === 7 ? 1_000_000_000n : 400_000_000n / 19n,
        }),
      ),
    )
    const health = tableHealth({ metadata: parted, inventory: inventoryOf(data), metadataBytes: null, expire })
    expect(health.partitions.largest?.values).toEqual([7n])
    expect(health.findings.map((one) => one.remedy)).toEqual(['repartition'])
  })
})
