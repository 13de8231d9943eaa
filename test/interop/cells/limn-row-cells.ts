import {
  each,
  eachChange,
  eachLayout,
  inMode,
  type LimnCell,
  more,
  person,
  type Start,
  some,
  start,
  without,
} from './limn-cell.ts'
import type { LimnWriter } from './limn-writer.ts'
import { nestedRows, nestedType, schemaOf } from './values.ts'

const everyone = [...some, ...more]

const appended: readonly LimnCell[] = [
  ...eachLayout('appends', async (writer, options) => {
    await start(writer, options)
    await writer.append(some, { summary: { note: 'again' } })
    writer.ends([...everyone, ...some])
  }),
  ...(['true', 'false'] as const).flatMap((merging) =>
    each(`appends with merging of manifests ${merging}`, async (writer, version) => {
      const properties = { 'commit.manifest-merge.enabled': merging, 'commit.manifest.min-count-to-merge': '2' }
      await start(writer, { version, partition: [[3, 'month', 'day_month']], properties })
      for (const id of [8, 9, 10]) await writer.append([person(id, 'one more', 20000 + id, null)])
      await writer.delete('id = 9', 1)
      writer.ends([...everyone, person(8, 'one more', 20008, null), person(10, 'one more', 20010, null)])
    }),
  ),
]

const replaced: readonly LimnCell[] = [
  ...eachLayout('overwrites by filter', async (writer, options) => {
    await start(writer, options)
    await writer.overwrite('id IN (1, 3, 6)', [person(8, 'new', 20000, '8.00')])
    await writer.overwrite("day = DATE '2024-10-04'", [])
    writer.ends(without(everyone, 1, 2, 3, 6))
  }),
  ...eachLayout('partitions overwritten, then the table truncated', async (writer, options) => {
    await start(writer, options)
    await writer.overwritePartitions([person(8, 'new', 20000, '8.00'), person(9, null, null, '9.00')])
    await writer.truncate()
    await writer.append([person(10, 'after', 20000, null)])
    writer.ends([person(10, 'after', 20000, null)])
  }),
  ...each('partitions overwritten beside others', async (writer, version) => {
    await start(writer, { version, partition: [[3, 'day', 'day_day']] })
    await writer.overwritePartitions([person(8, 'new', 20000, '8.00'), person(9, null, null, '9.00')])
    writer.ends([...without(everyone, 1, 2, 4), person(8, 'new', 20000, '8.00'), person(9, null, null, '9.00')])
  }),
]

/** Deletes twice in the same files, and a key that comes back. */
async function deletes(writer: LimnWriter, options: Start): Promise<void> {
  await start(writer, options)
  await writer.delete('id IN (2, 5) OR day IS NULL', 3)
  await writer.delete('target.amount < 0', 1)
  await writer.append([person(2, 'back', 20000, '2.00')])
  await writer.delete("day = DATE '2024-10-06'", 1)
  writer.ends([...without(everyone, 2, 3, 4, 5, 6), person(2, 'back', 20000, '2.00')])
}

/** Updates that leave rows in their partition, and that move them. */
async function updates(writer: LimnWriter, options: Start): Promise<void> {
  await start(writer, options)
  await writer.update('id IN (1, 6)', { name: "'changed'", amount: 'NULL' }, 2)
  await writer.update('target.id = 3', { id: 'id + 10', day: 'day - 400', name: "coalesce(name, 'set')" }, 1)
  await writer.update('amount IS NULL', { amount: 'id * 1.25' }, 3)
  writer.ends([
    ...without(everyone, 1, 2, 3, 6),
    person(1, 'changed', 20000, '1.25'),
    person(2, 'bob', 20000, '2.50'),
    person(6, 'changed', 20002, '7.50'),
    person(13, 'set', 19601, '-3.50'),
  ])
}

/** Every kind of clause, several of each. */
async function merges(writer: LimnWriter, options: Start): Promise<void> {
  await start(writer, options)
  await writer.merge(
    [
      person(1, 'merged', 20007, '10.00'),
      person(2, 'unused', 20007, '20.00'),
      person(3, 'gone', null, null),
      person(8, 'new', 20001, '80.00'),
      person(9, 'half', 20001, '90.00'),
      person(10, 'skipped', 20001, '1.00'),
    ],
    'target.id = source.id',
    [
      { when: 'matched', and: "source.name = 'gone'", action: { kind: 'delete' } },
      {
        when: 'matched',
        and: 'target.amount IS NULL',
        action: { kind: 'update', set: { amount: 'source.amount', name: "target.name || '!'" } },
      },
      { when: 'matched', action: { kind: 'updateAll' } },
      { when: 'notMatched', and: "source.name = 'new'", action: { kind: 'insertAll' } },
      {
        when: 'notMatched',
        and: "source.name = 'half'",
        action: { kind: 'insert', values: { id: 'source.id', name: 'upper(source.name)' } },
      },
      { when: 'notMatchedBySource', and: 'target.day IS NULL', action: { kind: 'delete' } },
      {
        when: 'notMatchedBySource',
        and: 'target.id = 7',
        action: { kind: 'update', set: { day: "DATE '1970-01-02'", amount: 'target.amount + 1' } },
      },
    ],
    7,
  )
  writer.ends([
    ...without(everyone, 1, 2, 3, 4, 7),
    person(1, 'merged', 20007, '10.00'),
    person(2, 'bob!', 20000, '20.00'),
    person(7, '', 1, '1.00'),
    person(8, 'new', 20001, '80.00'),
    person(9, 'HALF', null, null),
  ])
}

/** Equality deletes: keys that are there, that are not, null ones, and keys that only go. */
async function upserts(writer: LimnWriter, options: Start): Promise<void> {
  await start(writer, options)
  const keys = ['id', 'name', 'day']
  await writer.upsert(
    [person(2, 'bob', 20000, '22.00'), person(3, null, 20001, '33.00'), person(8, 'new', null, '8.00')],
    keys,
  )
  await writer.upsert([person(2, 'bob', 20000, '222.00'), person(7, '', -1, '0.00')], keys, {
    deleteWhen: "name = ''",
  })
  await writer.append([person(7, '', -1, '7.00')])
  writer.ends([
    ...without(everyone, 2, 3, 7),
    person(2, 'bob', 20000, '222.00'),
    person(3, null, 20001, '33.00'),
    person(7, '', -1, '7.00'),
    person(8, 'new', null, '8.00'),
  ])
}

/** Every kind of delete over one another, then what rewriting on write does with them. */
async function mixtures(writer: LimnWriter, options: Start): Promise<void> {
  await start(writer, options)
  const keys = ['id', 'name', 'day']
  await writer.delete('id = 1', 1)
  await writer.upsert([person(2, 'bob', 20000, '2.00'), person(5, 'eve', 20001, '55.00')], keys)
  await writer.update('id IN (2, 3)', { amount: '100 + id' }, 2)
  await writer.upsert([person(3, null, 20001, '3.00')], keys, { deleteWhen: 'amount = 3' })
  await writer.merge(
    [person(2, 'bob', 20000, '0.02'), person(6, 'fay', 20002, '0.06')],
    'target.id = source.id AND target.name = source.name',
    [{ when: 'matched', action: { kind: 'update', set: { amount: 'source.amount' } } }],
    2,
  )
  await writer.alter({ kind: 'set-properties', properties: inMode('copy-on-write') })
  await writer.update('id IN (4, 6)', { name: "name || '?'" }, 2)
  writer.ends([
    person(2, 'bob', 20000, '0.02'),
    person(4, 'dan?', null, '4.00'),
    person(5, 'eve', 20001, '55.00'),
    person(6, 'fay?', 20002, '0.06'),
    person(7, '', -1, '0.00'),
  ])
}

const changed: readonly LimnCell[] = [
  ...eachChange('deletes', deletes),
  ...eachChange('updates', updates),
  ...eachChange('a merge of seven clauses', merges),
  ...eachLayout('upserts', upserts),
  ...eachLayout('deletes of every kind over one another', (writer, options) =>
    mixtures(writer, { ...options, properties: inMode('merge-on-read') }),
  ),
  ...(['file', 'partition'] as const).map(
    (granularity): LimnCell => ({
      name: `v2 position deletes by ${granularity}`,
      write: (writer) =>
        deletes(writer, {
          version: 2,
          partition: [[3, 'year', 'day_year']],
          properties: { ...inMode('merge-on-read'), 'write.delete.granularity': granularity },
        }),
    }),
  ),
  ...each('upserts by one key that change all else', async (writer, version) => {
    await start(writer, { version, partition: [[1, 'bucket[2]', 'id_bucket']] })
    await writer.upsert(
      [person(1, 'older', 1, '1.00'), person(1, 'newer', 2, '2.00'), person(6, null, null, null)],
      ['id'],
      { orderBy: 'day' },
    )
    writer.ends([...without(everyone, 1, 6), person(1, 'newer', 2, '2.00'), person(6, null, null, null)])
  }),
  ...each('nested rows deleted and updated on read', async (writer, version) => {
    await writer.create(schemaOf(nestedType), { version, properties: inMode('merge-on-read') })
    await writer.append(nestedRows)
    await writer.delete('id = 3 OR place.at.lat > 90', 1)
    await writer.update('id = 1', { 'place.city': "'Aalborg N'", tags: "['x', NULL]" }, 1)
    await writer.update('id = 2', { 'place.at.lat': '1.5' }, 1)
  }),
]

/** Tables that become version 3 with deletes of version 2 in them. */
const upgraded: readonly LimnCell[] = (['copy-on-write', 'merge-on-read'] as const).flatMap((mode) => [
  {
    name: `v2 deletes of every kind, then version 3 and more of them in ${mode}`,
    write: async (writer: LimnWriter) => {
      await start(writer, { version: 2, partition: [], properties: inMode('merge-on-read') })
      await writer.delete('id IN (2, 5)', 2)
      await writer.upsert([person(3, null, 20001, '33.00')], ['id'])
      await writer.alter(
        { kind: 'upgrade-format', formatVersion: 3 },
        { kind: 'set-properties', properties: inMode(mode) },
      )
      // The vectors take in the position deletes of the same files.
      await writer.delete('id IN (1, 6)', 2)
      await writer.update('id = 3', { name: "'three'" }, 1)
      await writer.append([person(8, 'after', null, null)])
      writer.ends([
        person(3, 'three', 20001, '33.00'),
        person(8, 'after', null, null),
        ...without(everyone, 1, 2, 3, 5, 6),
      ])
    },
  },
])

export const rowCells: readonly LimnCell[] = [...appended, ...replaced, ...changed, ...upgraded]
