import {
  expireSnapshots,
  type RewriteOrder,
  removeDanglingDeletes,
  rewriteDataFiles,
  rewriteManifests,
  rewritePositionDeletes,
} from '../../../packages/limn/src/table/index.ts'
import { each, eachLayout, inMode, type LimnCell, more, person, type Start, some, start, without } from './limn-cell.ts'
import type { LimnWriter } from './limn-writer.ts'

const key = ['id', 'name', 'day']
const onRead = inMode('merge-on-read')

/** Seven people, of whom one was deleted by position, one by its key and one was updated. */
async function worn(writer: LimnWriter, options: Start): Promise<void> {
  await start(writer, { ...options, properties: { ...onRead, ...options.properties } })
  await writer.delete('id = 2', 1)
  await writer.upsert([person(5, 'eve', 20001, '50.00'), person(8, 'new', null, '8.00')], key)
  await writer.update('id = 3', { name: "'three'" }, 1)
}
const left = [
  ...without([...some, ...more], 2, 3, 5),
  person(3, 'three', 20001, '-3.50'),
  person(5, 'eve', 20001, '50.00'),
  person(8, 'new', null, '8.00'),
]

/** Rows stay as they are; in version 3 with their ids and sequence numbers, which Java compares. */
async function rewrite(writer: LimnWriter, strategy: RewriteOrder, otherSpecs = false): Promise<void> {
  const done = await rewriteDataFiles(writer.context, writer.table, { strategy, all: true, otherSpecs })
  if (done.snapshotIds.length === 0) throw new Error('nothing was rewritten')
}

const orders: Readonly<Record<string, RewriteOrder>> = {
  'bin-packed': { kind: 'bin-pack' },
  sorted: {
    kind: 'sort',
    fields: [
      { sourceId: 3, transform: { kind: 'month' }, direction: 'desc', nullOrder: 'nulls-last' },
      { sourceId: 1, transform: { kind: 'identity' }, direction: 'asc', nullOrder: 'nulls-first' },
    ],
  },
  'z-ordered': { kind: 'z-order', columns: ['id', 'name', 'amount'] },
}

const dataFiles: readonly LimnCell[] = [
  ...Object.entries(orders).flatMap(([how, strategy]) =>
    eachLayout(`files with deletes ${how}, then changed again`, async (writer, options) => {
      await worn(writer, options)
      await rewrite(writer, strategy)
      await writer.update('id = 6', { amount: '60' }, 1)
      await writer.append([person(9, 'after', 20000, null)])
      writer.ends([...without(left, 6), person(6, 'fay', 20002, '60.00'), person(9, 'after', 20000, null)])
    }),
  ),
  ...each('files of an earlier spec rewritten into the present one', async (writer, version) => {
    await worn(writer, {
      version,
      partition: [[3, 'day', 'day_day']],
      evolve: [
        { kind: 'remove-partition-field', field: { name: 'day_day' } },
        { kind: 'add-partition-field', column: 'id', transform: { kind: 'bucket', count: 2 } },
      ],
    })
    await rewrite(writer, { kind: 'bin-pack' }, true)
    await removeDanglingDeletes(writer.context, writer.table)
    writer.ends(left)
  }),
  ...each('files rewritten on a branch, which main follows', async (writer, version) => {
    await worn(writer, { version, partition: [] })
    await writer.refs({ kind: 'create-branch', name: 'compact' })
    await rewriteDataFiles(writer.context, writer.table, { all: true, branch: 'compact' })
    await writer.refs({ kind: 'fast-forward', branch: 'main', to: 'compact' })
    writer.ends(left)
  }),
  ...each('a target size that cuts one partition in many files', async (writer, version) => {
    await start(writer, {
      version,
      partition: [],
      properties: { ...onRead, 'write.target-file-size-bytes': '300', 'write.parquet.row-group-row-limit': '2' },
    })
    await writer.append(Array.from({ length: 40 }, (_, i) => person(100 + i, `row ${i}`, i, `${i}.00`)))
    await writer.delete('id % 2 = 1 AND id > 99', 20)
    await rewrite(writer, { kind: 'bin-pack' })
    writer.ends([
      ...some,
      ...more,
      ...Array.from({ length: 20 }, (_, i) => person(100 + 2 * i, `row ${2 * i}`, 2 * i, `${2 * i}.00`)),
    ])
  }),
]

const deletes: readonly LimnCell[] = [
  ...eachLayout('position deletes rewritten', async (writer, options) => {
    await start(writer, { ...options, properties: onRead })
    for (const id of [1, 3, 5]) await writer.delete(`id = ${id}`, 1)
    await rewritePositionDeletes(writer.context, writer.table, { all: true, minInputFiles: 1 })
    await writer.delete('id = 7', 1)
    writer.ends(without([...some, ...more], 1, 3, 5, 7))
  }),
  ...each('deletes that reach nothing dropped', async (writer, version) => {
    await worn(writer, { version, partition: [[3, 'day', 'day_day']] })
    await writer.overwrite('id IN (3, 4, 5)', [])
    const { snapshotId } = await removeDanglingDeletes(writer.context, writer.table)
    if (snapshotId === null) throw new Error('no delete reached nothing')
    writer.ends(without(left, 3, 4, 5))
  }),
  {
    name: 'v2 position deletes made vectors by rewriting, after the upgrade to version 3',
    write: async (writer) => {
      await worn(writer, { version: 2, partition: [[3, 'day', 'day_day']] })
      await writer.alter({ kind: 'upgrade-format', formatVersion: 3 })
      const { snapshotId } = await rewritePositionDeletes(writer.context, writer.table, { all: true })
      if (snapshotId === null) throw new Error('no vector was written')
      await writer.delete('id = 1', 1)
      await rewrite(writer, { kind: 'bin-pack' })
      await writer.update('id = 6', { amount: '60' }, 1)
      writer.ends([...without(left, 1, 6), person(6, 'fay', 20002, '60.00')])
    },
  },
]

const metadata: readonly LimnCell[] = [
  ...eachLayout('manifests rewritten', async (writer, options) => {
    await worn(writer, { ...options, properties: { 'commit.manifest-merge.enabled': 'false' } })
    await rewriteManifests(writer.context, writer.table, { all: true })
    await writer.delete('id = 1', 1)
    await writer.append([person(9, 'after', 20000, null)])
    writer.ends([...without(left, 1), person(9, 'after', 20000, null)])
  }),
  ...each('snapshots expired, beside a tag and a branch', async (writer, version) => {
    await worn(writer, { version, partition: [[3, 'day', 'day_day']] })
    await writer.refs({ kind: 'create-tag', name: 'kept' })
    await writer.delete('id = 1', 1)
    await writer.append([person(9, 'branch', null, null)], { branch: 'kept-too' })
    await rewrite(writer, { kind: 'bin-pack' })
    const { plan } = await expireSnapshots(writer.context, writer.table, {
      maxSnapshotAgeMs: 0,
      minSnapshotsToKeep: 1,
      dropUnusedShapes: true,
    })
    if (plan.expired.length === 0) throw new Error('nothing expired')
    await writer.append([person(10, 'after', 20000, null)])
    writer.ends([...without(left, 1), person(10, 'after', 20000, null)])
  }),
]

/** Tables that are maintained. */
export const upkeepCells: readonly LimnCell[] = [...dataFiles, ...deletes, ...metadata]
