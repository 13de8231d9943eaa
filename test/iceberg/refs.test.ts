import { describe, expect, it } from 'vitest'
import {
  applyUpdates,
  changeRefs,
  createTableUpdates,
  type RefChange,
  type Snapshot,
  type TableMetadata,
} from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

const snapshot = (snapshotId: bigint, parentSnapshotId: bigint | null, timestampMs: number): Snapshot => ({
  snapshotId,
  parentSnapshotId,
  sequenceNumber: snapshotId,
  timestampMs,
  manifestList: storePath(`file:///t/${snapshotId}`),
  operation: 'append',
  summary: {},
  schemaId: 0,
})

/** 1 ← 2 ← 3 (main); 2 ← 4 (staged, no ref leads there). */
const base: TableMetadata = applyUpdates(
  null,
  [
    ...createTableUpdates({
      tableUuid: 'u',
      location: 'file:///t',
      schema: { schemaId: 0, identifierFieldIds: [], fields: [{ id: 1, name: 'id', required: false, type: 'int' }] },
      spec: { specId: 0, fields: [] },
      properties: {},
    }),
    { action: 'add-snapshot', snapshot: snapshot(1n, null, 1000) },
    { action: 'add-snapshot', snapshot: snapshot(2n, 1n, 2000) },
    { action: 'add-snapshot', snapshot: snapshot(3n, 2n, 3000) },
    { action: 'add-snapshot', snapshot: snapshot(4n, 2n, 4000) },
    { action: 'set-snapshot-ref', ref: 'main', to: { type: 'branch', snapshotId: 3n, minSnapshotsToKeep: 5 } },
    { action: 'set-snapshot-ref', ref: 'v1', to: { type: 'tag', snapshotId: 1n } },
  ],
  { timestampMs: 5000 },
)
const refs = (...changes: readonly RefChange[]) =>
  applyUpdates(base, changeRefs(base, changes).updates, { timestampMs: 6000 }).refs
const refusal = (...changes: readonly RefChange[]) => {
  try {
    changeRefs(base, changes)
  } catch (error) {
    return error as { kind: string; message: string }
  }
  throw new Error('the change was not refused')
}

describe('branches and tags', () => {
  it('are made where main is or at any snapshot, with how long they are kept', () => {
    expect(
      refs(
        { kind: 'create-branch', name: 'dev', retention: { minSnapshotsToKeep: 2, maxSnapshotAgeMs: 10 } },
        { kind: 'create-tag', name: 'v2', snapshotId: 2n, retention: { maxRefAgeMs: 100 } },
      ),
    ).toMatchObject({
      dev: { type: 'branch', snapshotId: 3n, minSnapshotsToKeep: 2, maxSnapshotAgeMs: 10 },
      v2: { type: 'tag', snapshotId: 2n, maxRefAgeMs: 100 },
    })
  })

  it('are not made twice unless told to keep or replace', () => {
    const again = (ifExists?: 'keep' | 'replace'): RefChange => ({
      kind: 'create-tag',
      name: 'v1',
      snapshotId: 2n,
      ...(ifExists ? { ifExists } : {}),
    })
    expect(refusal(again())).toMatchObject({ kind: 'table/unsafe-change', message: expect.stringMatching(/already/) })
    expect(refs(again('keep')).v1?.snapshotId).toBe(1n)
    expect(refs(again('replace')).v1?.snapshotId).toBe(2n)
    expect(refusal({ kind: 'create-branch', name: 'v1', ifExists: 'replace' }).message).toMatch(
      /cannot become a branch/,
    )
    expect(refusal({ kind: 'create-tag', name: 'x', snapshotId: 9n }).kind).toBe('usage/unknown-snapshot')
    expect(refusal({ kind: 'create-tag', name: ' ' }).kind).toBe('usage/argument')
    expect(refusal({ kind: 'create-tag', name: 'x', retention: { minSnapshotsToKeep: 1 } }).kind).toBe('usage/argument')
    expect(refusal({ kind: 'create-branch', name: 'x', retention: { maxRefAgeMs: 0 } }).kind).toBe('usage/argument')
  })

  it('are dropped and renamed, main never, and what is not there is named', () => {
    expect(refs({ kind: 'drop-tag', name: 'v1' })).not.toHaveProperty('v1')
    expect(refs({ kind: 'drop-branch', name: 'none', ifExists: true })).toEqual(base.refs)
    expect(refs({ kind: 'rename-ref', name: 'v1', to: 'first' })).toMatchObject({ first: base.refs.v1 })
    expect(refusal({ kind: 'drop-branch', name: 'main' }).message).toMatch(/cannot be dropped/)
    expect(refusal({ kind: 'rename-ref', name: 'main', to: 'x' }).message).toMatch(/cannot be renamed/)
    expect(refusal({ kind: 'drop-branch', name: 'v1' }).message).toMatch(/is a tag/)
    expect(refusal({ kind: 'drop-tag', name: 'none' })).toMatchObject({
      kind: 'usage/unknown-ref',
      remedy: 'It has: main, v1.',
    })
  })

  it('change how long they are kept without moving', () => {
    const kept = refs({
      kind: 'set-retention',
      name: 'main',
      retention: { minSnapshotsToKeep: null, maxSnapshotAgeMs: 7 },
    })
    expect(kept.main).toEqual({ type: 'branch', snapshotId: 3n, maxSnapshotAgeMs: 7 })
  })
})

describe('moving a branch', () => {
  const dev = (snapshotId: bigint): RefChange => ({ kind: 'create-branch', name: 'dev', snapshotId })

  it('fast-forwards only where nothing is lost, and makes a branch that is not there', () => {
    expect(refs(dev(2n), { kind: 'fast-forward', branch: 'dev', to: 'main' }).dev?.snapshotId).toBe(3n)
    expect(refs({ kind: 'fast-forward', branch: 'new', to: 'main' }).new).toEqual({ type: 'branch', snapshotId: 3n })
    expect(refusal(dev(4n), { kind: 'fast-forward', branch: 'dev', to: 'main' }).kind).toBe('table/unsafe-change')
    expect(refusal(dev(2n), { kind: 'fast-forward', branch: 'main', to: 'dev' }).kind).toBe('table/unsafe-change')
    expect(refusal({ kind: 'fast-forward', branch: 'v1', to: 'main' }).message).toMatch(/tag never moves/)
  })

  it('rolls back to ancestors only, by id and by time, and keeps its retention', () => {
    expect(refs({ kind: 'rollback', snapshotId: 1n }).main).toEqual({
      type: 'branch',
      snapshotId: 1n,
      minSnapshotsToKeep: 5,
    })
    expect(refusal({ kind: 'rollback', snapshotId: 4n }).kind).toBe('table/unsafe-change')
    expect(refusal({ kind: 'rollback', snapshotId: 9n }).kind).toBe('usage/unknown-snapshot')
    expect(refs({ kind: 'rollback-to-time', timestampMs: 3000 }).main?.snapshotId).toBe(2n)
    expect(refs({ kind: 'rollback-to-time', timestampMs: 3001 }).main?.snapshotId).toBe(3n)
    expect(refusal({ kind: 'rollback-to-time', timestampMs: 1000 }).message).toMatch(/no snapshot older/)
    expect(refs({ kind: 'set-current-snapshot', snapshotId: 4n }).main?.snapshotId).toBe(4n)
  })

  it('requires each ref to be where it was, and nothing when nothing moves', () => {
    expect(changeRefs(base, [dev(2n), { kind: 'rollback', snapshotId: 1n }]).requirements).toEqual([
      { type: 'assert-table-uuid', uuid: 'u' },
      { type: 'assert-ref-snapshot-id', ref: 'dev', snapshotId: null },
      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: 3n },
    ])
    expect(changeRefs(base, [{ kind: 'rollback', snapshotId: 3n }])).toEqual({ requirements: [], updates: [] })
  })
})
