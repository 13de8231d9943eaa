import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  applyUpdates,
  checkRequirements,
  filesNoLongerReachable,
  type ManifestEntry,
  type ManifestFile,
  planExpiry,
  reachableFiles,
  type Snapshot,
  type SnapshotRef,
  type TableMetadata,
  unusedShapes,
} from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import { byId, dataFile, entry, manifestOf, metadataOf, snapshot, vector } from '../support/facts.ts'

const nowMs = 1_000_000
const chain = (...ids: number[]) => ids.map((id, i) => snapshot(id, i === 0 ? null : (ids[i - 1] ?? null)))
const gone = (plan: ReturnType<typeof planExpiry>) => plan.expired.map((one) => Number(one.snapshotId))

describe('expiring snapshots', () => {
  const metadata = metadataOf({ snapshots: chain(100, 200, 300, 400) })

  it('keeps the latest of main and what is young, and lets the rest go', () => {
    expect(gone(planExpiry(metadata, { nowMs, maxSnapshotAgeMs: 0 }))).toEqual([100, 200, 300])
    expect(gone(planExpiry(metadata, { nowMs, maxSnapshotAgeMs: 0, minSnapshotsToKeep: 3 }))).toEqual([100])
    expect(gone(planExpiry(metadata, { nowMs, maxSnapshotAgeMs: nowMs - 300_000 }))).toEqual([100, 200])
    expect(gone(planExpiry(metadata, { nowMs }))).toEqual([])
  })

  it('takes retention from table properties, and a branch’s own over those', () => {
    const properties = { 'history.expire.max-snapshot-age-ms': '0', 'history.expire.min-snapshots-to-keep': '2' }
    expect(gone(planExpiry({ ...metadata, properties }, { nowMs }))).toEqual([100, 200])
    const refs = { main: { snapshotId: 400n, type: 'branch', minSnapshotsToKeep: 3 } } as const
    expect(gone(planExpiry({ ...metadata, properties, refs }, { nowMs }))).toEqual([100])
  })

  it('keeps what others tell changes from, and all that came after it', () => {
    const plan = planExpiry(metadata, { nowMs, maxSnapshotAgeMs: 0, toldFrom: new Set([200n, 999n]) })
    expect(gone(plan)).toEqual([100])
    expect(plan.kept.map((one) => one.because)).toEqual([
      'others tell changes from it',
      'others tell changes from it',
      'branch main',
    ])
  })

  it('keeps the one snapshot of a tag, and all a branch retains', () => {
    const refs: Record<string, SnapshotRef> = {
      main: { snapshotId: 400n, type: 'branch' },
      audit: { snapshotId: 200n, type: 'tag' },
      side: { snapshotId: 300n, type: 'branch', maxSnapshotAgeMs: nowMs },
    }
    expect(gone(planExpiry({ ...metadata, refs }, { nowMs, maxSnapshotAgeMs: 0 }))).toEqual([])
    const { side: _side, ...rest } = refs
    expect(gone(planExpiry({ ...metadata, refs: rest }, { nowMs, maxSnapshotAgeMs: 0 }))).toEqual([100, 300])
  })

  it('removes refs past their age, never main, and never those of live runs', () => {
    const refs: Record<string, SnapshotRef> = {
      main: { snapshotId: 400n, type: 'branch', maxRefAgeMs: 1 },
      old: { snapshotId: 100n, type: 'tag', maxRefAgeMs: 1000 },
      'limn-pin/20260101T000000-000001': { snapshotId: 200n, type: 'tag', maxRefAgeMs: 1000 },
    }
    const liveRefs = new Set(['limn-pin/20260101T000000-000001'])
    const plan = planExpiry({ ...metadata, refs }, { nowMs, maxSnapshotAgeMs: 0, liveRefs })
    expect(plan.removedRefs.map((one) => one.ref)).toEqual(['old'])
    expect(gone(plan)).toEqual([100, 300])
    expect(planExpiry({ ...metadata, refs }, { nowMs }).removedRefs.map((one) => one.ref)).toEqual([
      'old',
      'limn-pin/20260101T000000-000001',
    ])
  })

  it('keeps a young snapshot that no ref leads to, and lets an old one go', () => {
    const staged = [...metadata.snapshots, snapshot(150, 100), snapshot(950, 400)]
    const plan = planExpiry({ ...metadata, snapshots: staged }, { nowMs, maxSnapshotAgeMs: 100_000 })
    expect(gone(plan)).toEqual([100, 200, 300, 150])
    expect(plan.kept.at(-1)?.because).toContain('no ref')
  })

  it('expires named snapshots that no ref stands on, and refuses the others', () => {
    expect(gone(planExpiry(metadata, { nowMs, snapshotIds: [200n] }))).toEqual([200])
    expect(() => planExpiry(metadata, { nowMs, snapshotIds: [400n] })).toThrow(/where branch main stands/)
    expect(() => planExpiry(metadata, { nowMs, snapshotIds: [7n] })).toThrow(/no snapshot 7/)
  })

  it('asks for nothing when nothing goes', () => {
    expect(planExpiry(metadata, { nowMs })).toMatchObject({ updates: [], requirements: [] })
    expect(planExpiry(metadataOf(), { nowMs })).toMatchObject({ updates: [], expired: [] })
  })

  it('names specs and schemas that nothing left needs', () => {
    const [schema] = metadata.schemas
    if (!schema) throw new Error('there is a schema')
    const wide = metadataOf({
      snapshots: [snapshot(1, null, { schemaId: 1 })],
      schemas: [schema, { ...schema, schemaId: 1 }, { ...schema, schemaId: 2 }],
      partitionSpecs: [{ specId: 0, fields: [] }, byId, { specId: 2, fields: [] }],
      currentSchemaId: 0,
    })
    expect(unusedShapes(wide, [manifestOf('m', { specId: 1 })])).toEqual([
      { action: 'remove-partition-specs', specIds: [2] },
      { action: 'remove-schemas', schemaIds: [2] },
    ])
  })
})

/** A table as lists of names: what each snapshot lists, and what each manifest holds. */
interface Model {
  readonly metadata: TableMetadata
  readonly lists: ReadonlyMap<bigint, readonly string[]>
  readonly manifests: ReadonlyMap<string, readonly ManifestEntry[]>
}

const readerOf = (model: Model) => ({
  manifestsOf: async (one: Snapshot): Promise<readonly ManifestFile[]> =>
    (model.lists.get(one.snapshotId) ?? []).map((name) => manifestOf(name)),
  scan: async (manifest: ManifestFile) => () => model.manifests.get(manifest.path.split('/').at(-1) ?? '') ?? [],
})

/** Random histories: each snapshot adds, removes and rewrites files of a parent; refs stand anywhere. */
const models: fc.Arbitrary<Model> = fc
  .record({
    steps: fc.array(
      fc.record({
        parent: fc.nat(20),
        gap: fc.nat(50),
        drop: fc.array(fc.nat(30), { maxLength: 3 }),
        add: fc.nat(3),
        vectors: fc.nat(2),
        rewrite: fc.boolean(),
      }),
      { minLength: 1, maxLength: 12 },
    ),
    refs: fc.array(
      fc.record({
        at: fc.nat(20),
        tag: fc.boolean(),
        keep: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
        age: fc.option(fc.nat(400), { nil: undefined }),
        refAge: fc.option(fc.nat(400), { nil: undefined }),
      }),
      { maxLength: 4 },
    ),
    spelling: fc.boolean(),
  })
  .map(({ steps, refs, spelling }) => {
    const snapshots: Snapshot[] = []
    const lists = new Map<bigint, readonly string[]>()
    const manifests = new Map<string, readonly ManifestEntry[]>()
    let time = 0
    let files = 0
    steps.forEach((one, i) => {
      const parent = snapshots.length === 0 ? null : (snapshots[one.parent % snapshots.length] ?? null)
      time += one.gap
      const before = parent ? (lists.get(parent.snapshotId) ?? []) : []
      const names: string[] = []
      const dropped = new Set(one.drop)
      let seen = 0
      for (const name of before) {
        const live = (manifests.get(name) ?? []).filter((each) => each.status !== 2)
        const marked = live.map((each): ManifestEntry => {
          const drop = dropped.has(seen++)
          return { ...each, status: drop ? 2 : 0 }
        })
        if (marked.every((each) => each.status === 0) && !one.rewrite) names.push(name)
        else if (marked.length > 0) {
          const next = `m${i}-of-${name}`
          manifests.set(next, marked)
          names.push(next)
        }
      }
      const own = `m${i}`
      const added = Array.from({ length: one.add }, () => entry(dataFile(`f${files++}`)))
      // One Puffin file holds several vectors.
      const about = added[0]?.file ?? dataFile('f0')
      const vectors = Array.from({ length: one.vectors }, (_none, v) =>
        entry(vector(`dv-${i}`, about, { contentOffset: BigInt(4 + 40 * v) })),
      )
      manifests.set(own, [...added, ...vectors])
      names.push(own)
      const id = BigInt(i + 1)
      lists.set(id, names)
      snapshots.push(snapshot(id, parent?.snapshotId ?? null, { timestampMs: time }))
    })
    const main = snapshots.at(-1)?.snapshotId ?? 1n
    const named: [string, SnapshotRef][] = refs.map((ref, i) => [
      `ref${i}`,
      {
        snapshotId: snapshots[ref.at % snapshots.length]?.snapshotId ?? main,
        type: ref.tag ? 'tag' : 'branch',
        ...(ref.keep === undefined ? {} : { minSnapshotsToKeep: ref.keep }),
        ...(ref.age === undefined ? {} : { maxSnapshotAgeMs: ref.age }),
        ...(ref.refAge === undefined ? {} : { maxRefAgeMs: ref.refAge }),
      },
    ])
    const statistics = snapshots.slice(0, 2).map((one) => ({
      snapshotId: one.snapshotId,
      statisticsPath: storePath(`file:///lake/silver/t/metadata/stats-${one.snapshotId}.puffin`),
      fileSizeInBytes: 1n,
      fileFooterSizeInBytes: 1n,
      blobMetadata: [],
    }))
    const respelt = spelling
      ? new Map(
          [...manifests].map(([name, list]) => [
            name,
            list.map((each, i) =>
              i % 2 === 0
                ? each
                : { ...each, file: { ...each.file, path: storePath(each.file.path.replace('file:///', 'file:/')) } },
            ),
          ]),
        )
      : manifests
    return {
      metadata: metadataOf({
        snapshots,
        statistics,
        refs: { main: { snapshotId: main, type: 'branch' }, ...Object.fromEntries(named) },
        snapshotLog: [],
      }),
      lists,
      manifests: respelt,
    }
  })

/** What a person with pen and paper says is needed: imports nothing of the code under test. */
function neededSnapshots(metadata: TableMetadata, now: number, age: number, least: number, refAge: number) {
  const find = (id: bigint | null) => metadata.snapshots.find((one) => one.snapshotId === id)
  const needed = new Set<bigint>()
  const led = new Set<bigint>()
  for (const [name, ref] of Object.entries(metadata.refs)) {
    const head = find(ref.snapshotId)
    if (!head) continue
    if (name !== 'main' && now - head.timestampMs > (ref.maxRefAgeMs ?? refAge)) continue
    const line: Snapshot[] = []
    for (let at: Snapshot | undefined = head; at; at = ref.type === 'tag' ? undefined : find(at.parentSnapshotId))
      line.push(at)
    for (const one of line) led.add(one.snapshotId)
    let i = 0
    while (i < line.length) {
      const one = line[i]
      if (!one) break
      const young = one.timestampMs >= now - (ref.maxSnapshotAgeMs ?? age)
      if (i >= (ref.minSnapshotsToKeep ?? least) && !young && ref.type === 'branch') break
      needed.add(one.snapshotId)
      i++
    }
  }
  for (const one of metadata.snapshots)
    if (!led.has(one.snapshotId) && one.timestampMs >= now - age) needed.add(one.snapshotId)
  return needed
}

const spell = (path: string) => path.replace(/^file:\/+/, '/')

describe('what expiry deletes', () => {
  it('is never reachable from what stays, and all of it was reachable before', async () => {
    await fc.assert(
      fc.asyncProperty(
        models,
        fc.nat(300),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(500),
        async (model, age, least, refAge) => {
          const now = (model.metadata.snapshots.at(-1)?.timestampMs ?? 0) + 1
          const plan = planExpiry(model.metadata, {
            nowMs: now,
            maxSnapshotAgeMs: age,
            minSnapshotsToKeep: least,
            maxRefAgeMs: refAge,
          })
          const needed = neededSnapshots(model.metadata, now, age, least, refAge)
          const kept = model.metadata.snapshots
            .filter((one) => !plan.expired.includes(one))
            .map((one) => one.snapshotId)
          expect(new Set(kept)).toEqual(needed)
          expect(checkRequirements(model.metadata, plan.requirements)).toBeNull()
          const after = applyUpdates(model.metadata, plan.updates, { timestampMs: now })
          expect(after.refs.main).toEqual(model.metadata.refs.main)
          const reader = readerOf(model)
          const { files } = await filesNoLongerReachable(model.metadata, after, reader)
          const deleted = new Set(files.map((one) => spell(one.path)))
          const wanted = (ids: readonly bigint[]) => {
            const out = new Set<string>()
            for (const id of ids) {
              out.add(`/lake/silver/t/metadata/snap-${id}.avro`)
              for (const one of model.metadata.statistics) if (one.snapshotId === id) out.add(spell(one.statisticsPath))
              for (const name of model.lists.get(id) ?? []) {
                out.add(`/lake/silver/t/metadata/${name}`)
                for (const each of model.manifests.get(name) ?? [])
                  if (each.status !== 2) out.add(spell(each.file.path))
              }
            }
            return out
          }
          const stays = wanted(after.snapshots.map((one) => one.snapshotId))
          const was = wanted(model.metadata.snapshots.map((one) => one.snapshotId))
          expect([...deleted].filter((path) => stays.has(path))).toEqual([])
          expect([...was].filter((path) => !stays.has(path)).sort()).toEqual([...deleted].sort())
          const left = await reachableFiles(after, reader)
          expect(new Set([...left.files.values()].map(spell))).toEqual(stays)
        },
      ),
      { seed: 20_260_131, numRuns: 400 },
    )
  })

  it('spares a Puffin file until its last vector is dead', async () => {
    const [a, b] = [dataFile('a'), dataFile('b')]
    const one = entry(vector('dv', a))
    const two = entry(vector('dv', b, { contentOffset: 44n }))
    const model: Model = {
      metadata: metadataOf({ snapshots: chain(1, 2, 3) }),
      lists: new Map([
        [1n, ['m1']],
        [2n, ['m2']],
        [3n, ['m3']],
      ]),
      manifests: new Map([
        ['m1', [one, two]],
        [
          'm2',
          [
            { ...one, status: 2 },
            { ...two, status: 0 },
          ],
        ],
        ['m3', [{ ...two, status: 2 }]],
      ]),
    }
    const without = (...ids: bigint[]) =>
      applyUpdates(model.metadata, [{ action: 'remove-snapshots', snapshotIds: ids }], { timestampMs: 9 })
    const gone = async (...ids: bigint[]) =>
      (await filesNoLongerReachable(model.metadata, without(...ids), readerOf(model))).files.map((file) => file.kind)
    expect(await gone(1n)).toEqual(['manifest-list', 'manifest'])
    expect(await gone(1n, 2n)).toContain('deletes')
  })

  it('leaves alone what an unreadable expired manifest leads to, and stops at one that stays', async () => {
    const model: Model = {
      metadata: metadataOf({ snapshots: chain(1, 2) }),
      lists: new Map([
        [1n, ['m1', 'm2']],
        [2n, ['m3']],
      ]),
      manifests: new Map([
        ['m2', [entry(dataFile('b'))]],
        ['m3', [entry(dataFile('c'))]],
      ]),
    }
    const reader = (broken: string) => ({
      ...readerOf(model),
      scan: async (manifest: ManifestFile) => {
        if (manifest.path.endsWith(broken)) throw new Error('broken')
        return readerOf(model).scan(manifest)
      },
    })
    const after = applyUpdates(model.metadata, [{ action: 'remove-snapshots', snapshotIds: [1n] }], { timestampMs: 9 })
    const result = await filesNoLongerReachable(model.metadata, after, reader('m1'))
    expect(result.unreadable).toHaveLength(1)
    expect(result.files.filter((file) => file.kind === 'data').map((file) => file.path)).toEqual([
      'file:///lake/silver/t/data/b',
    ])
    await expect(filesNoLongerReachable(model.metadata, after, reader('m3'))).rejects.toThrow('broken')
  })
})
