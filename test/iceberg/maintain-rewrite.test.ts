import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  clusterEntries,
  type DataFile,
  danglingDeletes,
  deleteScope,
  deletesOfRewritten,
  encodeSingleValue,
  interleave,
  type ManifestEntry,
  planDeleteRewrite,
  planManifestRewrite,
  planRewrite,
  type RewritePlan,
  zOrderOf,
  zOrdinal,
} from '../../packages/limn/src/iceberg/index.ts'
import {
  byId,
  dataFile,
  entry,
  equalityDeletes,
  inventoryOf,
  manifestOf,
  metadataOf,
  positionDeletes,
  vector,
} from '../support/facts.ts'

const target = { targetFileBytes: 10_000 }
const many = (count: number, bytes: number, over: Partial<DataFile> = {}) =>
  Array.from({ length: count }, (_none, i) =>
    entry(dataFile(`${bytes}-${i}`, { fileSizeInBytes: BigInt(bytes), ...over })),
  )
const groupsOf = (plan: RewritePlan) => plan.commits.flat()
const sizesOf = (plan: RewritePlan) => groupsOf(plan).map((group) => group.files.length)
const metadata = metadataOf()

describe('planning a rewrite of data files', () => {
  it('joins small files of a partition, and leaves alone what is well-sized or too few', () => {
    const plan = (data: readonly ManifestEntry[]) => planRewrite(metadata, inventoryOf(data), target)
    expect(sizesOf(plan([...many(6, 500), ...many(3, 9000)]))).toEqual([6])
    expect(sizesOf(plan(many(4, 500)))).toEqual([])
    expect(sizesOf(plan(many(2, 7000)))).toEqual([2])
    expect(plan(many(4, 500)).leftAlone).toBe(4)
    expect(groupsOf(plan(many(6, 500)))[0]).toMatchObject({ inputBytes: 3000, inputRows: 600, outputFiles: 1 })
  })

  it('cuts a file that is too large, and never a group that would stay as it is', () => {
    const plan = planRewrite(metadata, inventoryOf(many(1, 30_000)), target)
    expect(groupsOf(plan).map((group) => [group.files.length, group.outputFiles])).toEqual([[1, 3]])
    expect(sizesOf(planRewrite(metadata, inventoryOf(many(1, 500)), target))).toEqual([])
  })

  it('bounds what one group reads', () => {
    const plan = planRewrite(metadata, inventoryOf(many(100, 1000)), { ...target, maxGroupBytes: 20_000 })
    expect(sizesOf(plan)).toEqual([20, 20, 20, 20, 20])
  })

  it('takes sizes from the table, and refuses those that contradict', () => {
    const stated = metadataOf({ properties: { 'write.target-file-size-bytes': '10000' } })
    expect(sizesOf(planRewrite(stated, inventoryOf(many(6, 500))))).toEqual([6])
    expect(() => planRewrite(metadata, inventoryOf([]), { targetFileBytes: 10, minFileBytes: 20 })).toThrow(
      /contradict/,
    )
  })

  it('keeps partitions apart, and gathers files of other specs', () => {
    const parted = metadataOf({ partitionSpecs: [{ specId: 0, fields: [] }, byId], defaultSpecId: 1 })
    const of = (value: bigint | null) => many(5, 100 + Number(value ?? 0n), { specId: 1, partition: [value] })
    const inventory = inventoryOf([...of(1n), ...of(2n), ...of(null), ...many(5, 300)])
    const groups = groupsOf(planRewrite(parted, inventory, target))
    expect(groups.map((group) => group.partition)).toEqual([[1n], [2n], [null], null])
    const large = inventoryOf(many(1, 9000))
    expect(sizesOf(planRewrite(parted, large, target))).toEqual([])
    expect(sizesOf(planRewrite(parted, large, { ...target, otherSpecs: true }))).toEqual([1])
  })

  it('picks files by how many deletes apply and by the share of rows they delete', () => {
    const [a, b] = [dataFile('a', { fileSizeInBytes: 9000n }), dataFile('b', { fileSizeInBytes: 9000n })]
    const inventory = inventoryOf(
      [entry(a), entry(b)],
      [entry(vector('dv', a, { recordCount: 10n }), 2), entry(vector('dv', b, { recordCount: 9n }), 2)],
    )
    const plan = planRewrite(metadata, inventory, target)
    expect(groupsOf(plan).flatMap((group) => group.files.map((file) => file.entry.file.path))).toEqual([a.path])
    expect(groupsOf(plan)[0]?.deletedRows).toBe(10)
    expect(sizesOf(planRewrite(metadata, inventory, { ...target, deleteRatioMin: 0.05 }))).toEqual([2])
    expect(sizesOf(planRewrite(metadata, inventory, { ...target, deletesPerFileMin: 1 }))).toEqual([2])
    expect(deletesOfRewritten(groupsOf(plan), inventory).map((one) => one.file.referencedDataFile)).toEqual([a.path])
  })

  it('sorts what is not sorted by the asked order, z-orders all, and honours a filter', () => {
    const order = { orderId: 3, fields: [] }
    const data = [...many(2, 9000), entry(dataFile('done', { fileSizeInBytes: 9000n, sortOrderId: 3 }))]
    expect(sizesOf(planRewrite(metadata, inventoryOf(data), { ...target, strategy: { kind: 'sort', order } }))).toEqual(
      [2],
    )
    const strategy = { kind: 'z-order', columns: ['id', 'name'] } as const
    expect(sizesOf(planRewrite(metadata, inventoryOf(data), { ...target, strategy }))).toEqual([3])
    const keep = (file: DataFile) => file.path.endsWith('done')
    expect(sizesOf(planRewrite(metadata, inventoryOf(data), { ...target, strategy, keep }))).toEqual([1])
  })

  it('orders groups and cuts them into commits', () => {
    const parted = metadataOf({ partitionSpecs: [byId], defaultSpecId: 1 })
    const of = (value: bigint, count: number) => many(count, 100 + Number(value), { specId: 1, partition: [value] })
    const inventory = inventoryOf([...of(1n, 6), ...of(2n, 8), ...of(3n, 5)])
    const plan = planRewrite(parted, inventory, { ...target, order: 'files-desc', commitsMax: 2 })
    expect(plan.commits.map((groups) => groups.map((group) => group.files.length))).toEqual([[8, 6], [5]])
    expect(planRewrite(parted, inventory, target).commits).toHaveLength(1)
    expect(sizesOf(planRewrite(parted, inventory, { ...target, order: 'bytes-asc' }))).toEqual([5, 6, 8])
  })

  it('never plans a file twice, nor across partitions, nor leaves a table it would plan again for size', () => {
    const parted = metadataOf({ partitionSpecs: [byId], defaultSpecId: 1 })
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 40_000 }), part: fc.bigInt(0n, 2n) }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 8 }),
        (files, minInputFiles) => {
          const data = files.map(({ bytes, part }, i) =>
            entry(dataFile(`f${i}`, { fileSizeInBytes: BigInt(bytes), specId: 1, partition: [part] })),
          )
          const plan = planRewrite(parted, inventoryOf(data), { ...target, minInputFiles })
          const planned = groupsOf(plan).flatMap((group) => group.files.map((file) => file.entry.file.path))
          expect(new Set(planned).size).toBe(planned.length)
          for (const group of groupsOf(plan)) {
            expect(new Set(group.files.map((file) => file.entry.file.partition[0])).size).toBe(1)
            expect(group.outputFileBytes).toBeLessThanOrEqual(18_000)
            if (group.files.length === 1) expect(group.outputFiles).toBeGreaterThan(1)
          }
          // After the rewrite: even files of the planned size. Only too-small leftovers may remain, and too few of them.
          const rest = data.filter((one) => !planned.includes(one.file.path))
          const done = groupsOf(plan).flatMap((group) =>
            Array.from({ length: group.outputFiles }, (_none, i) =>
              entry(
                dataFile(`g${group.index}-${i}`, {
                  fileSizeInBytes: BigInt(group.outputFileBytes),
                  specId: 1,
                  partition: group.partition ?? [],
                }),
              ),
            ),
          )
          const again = planRewrite(parted, inventoryOf([...rest, ...done]), { ...target, minInputFiles })
          for (const group of groupsOf(again))
            expect(group.files.every((file) => !file.reasons.includes('large'))).toBe(true)
        },
      ),
      { seed: 7, numRuns: 300 },
    )
  })
})

describe('which deletes reach a file', () => {
  const a = dataFile('a', { specId: 1, partition: [1n] })
  const b = dataFile('b', { specId: 1, partition: [2n] })
  const parted = metadataOf({
    partitionSpecs: [
      { specId: 0, fields: [] },
      byId,
      { specId: 2, fields: [{ ...byId.fields[0], transform: { kind: 'void' } }] },
    ],
    defaultSpecId: 1,
  })
  const reach = (data: ManifestEntry, ...deletes: readonly ManifestEntry[]) =>
    deleteScope(parted, { deletes }).of(data).length

  it('counts position deletes of the same commit, equality deletes only of later ones', () => {
    const own = { specId: 1, partition: [1n] }
    expect(reach(entry(a, 5), entry(positionDeletes('p', a), 5))).toBe(1)
    expect(reach(entry(a, 5), entry(positionDeletes('p', a), 4))).toBe(0)
    expect(reach(entry(a, 5), entry(equalityDeletes('e', own), 5))).toBe(0)
    expect(reach(entry(a, 5), entry(equalityDeletes('e', own), 6))).toBe(1)
  })

  it('keeps partitions apart, unless equality deletes are of a spec that parts nothing', () => {
    const other = { specId: 1, partition: [2n] }
    expect(reach(entry(a), entry(positionDeletes('p', null, other), 2))).toBe(0)
    expect(reach(entry(a), entry(equalityDeletes('e', other), 2))).toBe(0)
    expect(reach(entry(a), entry(equalityDeletes('e', { specId: 0, partition: [] }), 2))).toBe(1)
    expect(reach(entry(a), entry(equalityDeletes('e', { specId: 2, partition: [null] }), 2))).toBe(1)
  })

  it('lets a vector silence position deletes', () => {
    const positions = entry(positionDeletes('p', a), 2)
    expect(reach(entry(a), positions, entry(vector('v', a), 3))).toBe(1)
    expect(reach(entry(b), positions, entry(vector('v', a), 3))).toBe(0)
  })

  it('calls deletes dangling when no live file is old enough, named, or without a vector', () => {
    const judged = (data: readonly ManifestEntry[], ...deletes: readonly ManifestEntry[]) =>
      danglingDeletes(parted, inventoryOf(data, deletes)).map((one) => one.because)
    const own = { specId: 1, partition: [1n] }
    expect(judged([entry(a, 5)], entry(vector('v', b), 6), entry(vector('v', a), 6))).toEqual(['no-such-file'])
    expect(judged([entry(a, 5)], entry(positionDeletes('p', b), 6))).toEqual(['no-such-file'])
    expect(judged([entry(a, 5)], entry(positionDeletes('p', null, own), 4))).toEqual(['no-older-file'])
    expect(judged([entry(a, 5)], entry(positionDeletes('p', null, own), 5))).toEqual([])
    expect(judged([entry(a, 5)], entry(equalityDeletes('e', own), 5))).toEqual(['no-older-file'])
    expect(judged([entry(a, 4)], entry(equalityDeletes('e', own), 5))).toEqual([])
    expect(judged([entry(a, 4)], entry(equalityDeletes('e', { specId: 1, partition: [2n] }), 5))).toEqual([
      'no-older-file',
    ])
    expect(judged([entry(a, 4)], entry(equalityDeletes('e'), 5))).toEqual([])
    expect(judged([entry(a, 1)], entry(positionDeletes('p', a), 2), entry(vector('v', a), 3))).toEqual([
      'superseded-by-vector',
    ])
  })

  it('agrees with the scope: dangling is exactly what reaches no live file', () => {
    const files = [a, b, dataFile('c'), dataFile('d', { specId: 1, partition: [1n] })]
    const anyDelete = fc.record({
      kind: fc.constantFrom('position', 'named', 'vector', 'equality', 'global'),
      about: fc.nat(3),
      at: fc.integer({ min: 1, max: 5 }),
    })
    fc.assert(
      fc.property(
        fc.array(fc.nat(3)),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength: 4 }),
        fc.array(anyDelete, { maxLength: 6 }),
        (present, ages, drawn) => {
          const data = [...new Set(present)].flatMap((i) => (files[i] ? [entry(files[i], ages[i])] : []))
          const deletes = drawn.flatMap(({ kind, about, at }, i) => {
            const file = files[about]
            if (!file) return []
            const own = { specId: file.specId, partition: file.partition }
            switch (kind) {
              case 'position':
                return [entry(positionDeletes(`p${i}`, null, own), at)]
              case 'named':
                return [entry(positionDeletes(`p${i}`, file), at)]
              case 'vector':
                return [entry(vector(`v${i}`, file), at)]
              case 'equality':
                return [entry(equalityDeletes(`e${i}`, own), at)]
              default:
                return [entry(equalityDeletes(`e${i}`), at)]
            }
          })
          const scope = deleteScope(parted, { deletes })
          const reaching = new Set(data.flatMap((one) => scope.of(one)))
          const dangling = danglingDeletes(parted, inventoryOf(data, deletes)).map((one) => one.entry)
          expect(new Set(dangling)).toEqual(new Set(deletes.filter((one) => !reaching.has(one))))
        },
      ),
      { seed: 11, numRuns: 500 },
    )
  })
})

describe('planning a rewrite of deletes', () => {
  const files = Array.from({ length: 6 }, (_none, i) => dataFile(`f${i}`))
  const data = files.map((file) => entry(file, 1))

  it('joins small files of position deletes on version 2, per partition', () => {
    const deletes = files.map((file, i) => entry(positionDeletes(`p${i}`, file), 2))
    const plan = planDeleteRewrite(metadata, inventoryOf(data, deletes))
    expect(plan.groups).toMatchObject([{ kind: 'positions', specId: 0 }])
    expect(plan.groups[0]?.data).toHaveLength(6)
    expect(planDeleteRewrite(metadata, inventoryOf(data, deletes.slice(0, 3))).groups).toEqual([])
    expect(planDeleteRewrite(metadata, inventoryOf(data, deletes.slice(0, 3)), { all: true }).groups).toHaveLength(1)
  })

  it('turns position deletes into vectors on version 3, and drops what reaches nothing', () => {
    const upgraded = metadataOf({ formatVersion: 3 })
    const deletes = [
      entry(positionDeletes('p', null), 2),
      entry(positionDeletes('q', dataFile('gone')), 2),
      entry(equalityDeletes('e'), 1),
    ]
    const plan = planDeleteRewrite(upgraded, inventoryOf(data, deletes))
    expect(plan.groups.map((group) => [group.kind, group.deletes.length, group.data.length])).toEqual([
      ['to-vectors', 1, 6],
    ])
    expect(plan.dangling.map((one) => one.because)).toEqual(['no-such-file', 'no-older-file'])
  })

  it('moves vectors out of many small or mostly dead Puffin files', () => {
    const upgraded = metadataOf({ formatVersion: 3 })
    const each = files.map((file, i) => entry(vector(`v${i}`, file), 2))
    expect(planDeleteRewrite(upgraded, inventoryOf(data, each)).groups).toMatchObject([{ kind: 'vectors' }])
    const shared = files.map((file) => entry(vector('one', file), 2))
    expect(planDeleteRewrite(upgraded, inventoryOf(data, shared)).groups).toEqual([])
    const hollow = shared.map((one) => ({ ...one, file: { ...one.file, fileSizeInBytes: 100_000n } }))
    expect(planDeleteRewrite(upgraded, inventoryOf(data, hollow)).groups).toMatchObject([
      { kind: 'vectors', files: [hollow[0]?.file.path] },
    ])
  })
})

describe('planning a rewrite of manifests', () => {
  const long = (type: bigint) => encodeSingleValue('long', type)
  const summary = (low: bigint, high: bigint) => [
    { containsNull: false, containsNan: false, lowerBound: long(low), upperBound: long(high) },
  ]

  it('joins small ones, specs and contents apart, and keeps the rest', () => {
    const big = manifestOf('big', { length: 9_000_000n })
    const list = [
      manifestOf('a'),
      manifestOf('b'),
      big,
      manifestOf('d', { content: 'deletes' }),
      manifestOf('s', { specId: 1 }),
    ]
    const parted = metadataOf({ partitionSpecs: [{ specId: 0, fields: [] }, byId] })
    const plan = planManifestRewrite(parted, list)
    expect(plan.groups).toMatchObject([
      { specId: 0, content: 'data', entries: 2, outputManifests: 1, reasons: ['small'] },
    ])
    expect(plan.kept.map((one) => one.path.split('/').at(-1))).toEqual(['big', 'd', 's'])
    expect(planManifestRewrite(parted, [manifestOf('a')]).groups).toEqual([])
    expect(planManifestRewrite(parted, [manifestOf('a')], { all: true }).groups).toHaveLength(1)
  })

  it('puts in order what overlaps in its leading partition field, once', () => {
    const parted = metadataOf({ partitionSpecs: [byId], defaultSpecId: 1 })
    const at = (i: number, low: bigint, high: bigint) =>
      manifestOf(`m${i}`, { specId: 1, length: 8_000_000n, partitions: summary(low, high), addedFilesCount: 100 })
    const scattered = [1, 2, 3, 4].map((i) => at(i, 0n, 100n))
    expect(planManifestRewrite(parted, scattered).groups).toMatchObject([
      { reasons: ['scattered'], outputManifests: 4 },
    ])
    const ordered = [1, 2, 3, 4].map((i) => at(i, BigInt(i) * 10n, BigInt(i + 1) * 10n))
    expect(planManifestRewrite(parted, ordered).groups).toEqual([])
  })

  it('clusters live entries by partition and loses none', () => {
    const parted = metadataOf({ partitionSpecs: [byId], defaultSpecId: 1 })
    const entries = [3n, null, 1n, 2n, 1n].map((value, i) =>
      entry(dataFile(`f${i}`, { specId: 1, partition: [value] })),
    )
    const dead = { ...entry(dataFile('dead', { specId: 1, partition: [1n] })), status: 2 as const }
    const parts = clusterEntries(parted, { specId: 1, outputManifests: 2 }, [...entries, dead])
    expect(parts.map((list) => list.map((one) => one.file.partition[0]))).toEqual([
      [null, 1n, 1n],
      [2n, 3n],
    ])
    expect(() => clusterEntries(parted, { specId: 1, outputManifests: 1 }, entries, ['no'])).toThrow(/no field no/)
  })
})

describe('a z-order', () => {
  it('interleaves bits, most significant first', () => {
    expect(interleave([0b11n, 0b00n], 2)).toBe(0b1010n)
    expect(interleave([0b10n, 0b01n, 0b11n], 2)).toBe(0b101011n)
  })

  it('grows with a column when the others stand still', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(255), { minLength: 2, maxLength: 4 }), fc.nat(3), fc.nat(255), (point, which, to) => {
        const at = which % point.length
        const moved = point.map((value, i) => (i === at ? to : value))
        const [a, b] = [point, moved].map((list) => interleave(list.map(BigInt), 8))
        const from = point[at] ?? 0
        expect(Math.sign(Number((b ?? 0n) - (a ?? 0n)))).toBe(Math.sign(to - from))
      }),
      { seed: 3 },
    )
  })

  it('scales by bounds and the prefix all texts share', () => {
    const text = (value: string) => encodeSingleValue('string', value)
    const file = dataFile('f', {
      lowerBounds: new Map([
        [1, encodeSingleValue('long', -5n)],
        [2, text('customer-0001')],
      ]),
      upperBounds: new Map([
        [1, encodeSingleValue('long', 995n)],
        [2, text('customer-0999')],
      ]),
    })
    const [schema] = metadata.schemas
    if (!schema) throw new Error('there is a schema')
    const order = zOrderOf(schema, ['id', 'name'], [file])
    expect(order).toMatchObject({
      bits: 24,
      columns: [
        { kind: 'number', low: -5, high: 995 },
        { kind: 'bytes', skip: 10 },
      ],
    })
    expect(zOrdinal(-5, -5, 995, 4)).toBe(1n)
    expect(zOrdinal(995, -5, 995, 4)).toBe(15n)
    expect(zOrdinal(5000, -5, 995, 4)).toBe(15n)
    expect(() => zOrderOf(schema, ['id'], [file])).toThrow(/two to sixteen/)
    expect(() => zOrderOf(schema, ['id', 'x'], [file])).toThrow(/no column x/)
  })
})
