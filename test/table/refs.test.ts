import { describe, expect, it } from 'vitest'
import { randomPositiveLong, type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import type { Update } from '../../packages/limn/src/iceberg/index.ts'
import {
  alterRefs,
  append,
  cherryPickSnapshot,
  createTable,
  loadTable,
  overwrite,
  pinRef,
  readPinned,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const a: TableId = tableId('silver.a')

async function setUp(context: TableContext, location: string) {
  await createTable(context, a, {
    location,
    schema: {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 'id', required: false, type: 'int' },
        { id: 2, name: 'part', required: false, type: 'string' },
      ],
    },
    spec: {
      specId: 0,
      fields: [{ sourceId: 2, fieldId: 1000, name: 'part', transform: { kind: 'identity' } }],
    },
  })
}
const put = (context: TableContext, id: number, branch = 'main') =>
  append(context, a, { sql: `SELECT ${id}::INTEGER AS id, 'p${id % 2}' AS part` }, { branch })

async function ids(context: TableContext, ref = 'main') {
  const pin = pinRef(await loadTable(context, a), ref)
  if (!pin) return null
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound])
  return (await session.rows('SELECT id FROM silver.a ORDER BY id')).rows.map((row) => row[0])
}

/** Gives a snapshot of a branch a summary of its own, as writers of audited changes do. */
async function restaged(context: TableContext, summary: Readonly<Record<string, string>>, from: bigint) {
  const { metadata } = await loadTable(context, a)
  const source = metadata.snapshots.find((one) => one.snapshotId === from)
  if (!source) throw new Error('no such snapshot')
  const id = randomPositiveLong(context.randomness)
  const updates: Update[] = [
    {
      action: 'add-snapshot',
      snapshot: {
        ...source,
        snapshotId: id,
        sequenceNumber: metadata.lastSequenceNumber + 1n,
        summary: { ...source.summary, ...summary },
      },
    },
  ]
  await context.catalog.commit([{ table: a, requirements: [], updates }], { timestampMs: 1 })
  return id
}

describe('refs of a table', () => {
  it('write to a branch, look, fast-forward main to it, and roll back', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await setUp(context, `${made.store.root}/a`)
    const first = await put(context, 1)
    await alterRefs(context, a, [
      { kind: 'create-branch', name: 'audit' },
      { kind: 'create-tag', name: 'v1' },
    ])
    await put(context, 2, 'audit')
    expect([await ids(context), await ids(context, 'audit')]).toEqual([[1], [1, 2]])
    const moved = await alterRefs(context, a, [{ kind: 'fast-forward', branch: 'main', to: 'audit' }])
    expect(moved.refs.map((one) => [one.name, one.before?.snapshotId])).toEqual([['main', first.snapshotId]])
    expect(await ids(context)).toEqual([1, 2])
    await alterRefs(context, a, [{ kind: 'rollback', snapshotId: first.snapshotId }])
    expect([await ids(context), await ids(context, 'v1'), await ids(context, 'audit')]).toEqual([[1], [1], [1, 2]])
  })

  it('make a branch in a table without snapshots', async () => {
    await using made = await temporaryTables()
    await setUp(made.context, `${made.store.root}/a`)
    const { refs } = await alterRefs(made.context, a, [
      { kind: 'create-branch', name: 'dev', retention: { minSnapshotsToKeep: 3 } },
    ])
    expect(refs).toMatchObject([{ name: 'dev', before: null, after: { type: 'branch', minSnapshotsToKeep: 3 } }])
    expect([await ids(made.context, 'dev'), await ids(made.context)]).toEqual([[], []])
    await expect(alterRefs(made.context, a, [{ kind: 'create-tag', name: 't' }])).rejects.toMatchObject({
      kind: 'table/unsafe-change',
    })
  })
})

describe('cherry-picking', () => {
  it('moves the branch when the snapshot follows its head', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await setUp(context, `${made.store.root}/a`)
    await put(context, 1)
    const next = await put(context, 2, 'audit')
    expect(await cherryPickSnapshot(context, a, next.snapshotId)).toEqual({
      kind: 'moved',
      snapshotId: next.snapshotId,
    })
    expect(await ids(context)).toEqual([1, 2])
    await expect(cherryPickSnapshot(context, a, next.snapshotId)).rejects.toThrow(/has it already/)
  })

  it('adds the files of an append once more when the branch went on, and only once', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await setUp(context, `${made.store.root}/a`)
    await put(context, 1)
    const side = await put(context, 2, 'audit')
    await put(context, 3)
    const picked = await cherryPickSnapshot(context, a, side.snapshotId)
    expect(picked.kind).toBe('re-applied')
    expect(await ids(context)).toEqual([1, 2, 3])
    const { metadata } = await loadTable(context, a)
    expect(metadata.snapshots.at(-1)).toMatchObject({
      operation: 'append',
      summary: { 'source-snapshot-id': String(side.snapshotId), 'added-records': '1' },
    })
    await expect(cherryPickSnapshot(context, a, side.snapshotId)).rejects.toThrow(/picked again/)
  })

  it('publishes a write-audit-publish id once', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await setUp(context, `${made.store.root}/a`)
    await put(context, 1)
    const side = await put(context, 2, 'audit')
    const one = await restaged(context, { 'wap.id': 'w1' }, side.snapshotId)
    const two = await restaged(context, { 'wap.id': 'w1' }, side.snapshotId)
    await put(context, 3)
    // The entries of a snapshot carry its id: these two name the manifests of another, and add nothing of their own.
    await cherryPickSnapshot(context, a, one)
    const { metadata } = await loadTable(context, a)
    expect(metadata.snapshots.at(-1)?.summary['published-wap-id']).toBe('w1')
    await expect(cherryPickSnapshot(context, a, two)).rejects.toThrow(/w1 was published/)
  })

  it('repeats a dynamic overwrite while its partitions are as they were, and refuses other overwrites', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await setUp(context, `${made.store.root}/a`)
    await put(context, 1)
    await put(context, 2)
    await alterRefs(context, a, [{ kind: 'create-branch', name: 'audit' }])
    const rows = { sql: "SELECT 10::INTEGER AS id, 'p0' AS part" }
    const dynamic = await overwrite(context, a, "part = 'p0'", rows, {
      branch: 'audit',
      summary: { 'replace-partitions': 'true' },
    })
    const plain = await overwrite(context, a, "part = 'p0'", rows, { branch: 'audit' })
    await put(context, 3)
    await expect(cherryPickSnapshot(context, a, plain.snapshotId)).rejects.toThrow(/neither an append/)
    expect((await cherryPickSnapshot(context, a, dynamic.snapshotId)).kind).toBe('re-applied')
    expect(await ids(context)).toEqual([1, 3, 10])
    await alterRefs(context, a, [{ kind: 'create-branch', name: 'late', snapshotId: dynamic.snapshotId }])
    const late = await overwrite(
      context,
      a,
      "part = 'p0'",
      { sql: "SELECT 11::INTEGER AS id, 'p0' AS part" },
      {
        branch: 'late',
        summary: { 'replace-partitions': 'true' },
      },
    )
    await expect(cherryPickSnapshot(context, a, late.snapshotId)).rejects.toThrow(/never had/)
  })

  it('refuses a dynamic overwrite of a partition that changed meanwhile', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await setUp(context, `${made.store.root}/a`)
    await put(context, 2)
    await alterRefs(context, a, [{ kind: 'create-branch', name: 'audit' }])
    const dynamic = await overwrite(
      context,
      a,
      "part = 'p0'",
      { sql: "SELECT 10::INTEGER AS id, 'p0' AS part" },
      {
        branch: 'audit',
        summary: { 'replace-partitions': 'true' },
      },
    )
    await put(context, 4)
    await expect(cherryPickSnapshot(context, a, dynamic.snapshotId)).rejects.toThrow(/changed a partition/)
    expect(await ids(context)).toEqual([2, 4])
  })
})
