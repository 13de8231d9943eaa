import { each, inMode, type LimnCell, modes, more, people, person, some, start, without } from './limn-cell.ts'

const everyone = [...some, ...more]

/** Branches and tags, which readers read by name, and what moves them. */
const refs: readonly LimnCell[] = [
  ...each('a branch apart from main', async (writer, version) => {
    await writer.create(people, { version })
    await writer.append(some)
    await writer.append(more, { branch: 'audit' })
    await writer.append([person(8, 'main', null, null)])
    writer.ends([...some, person(8, 'main', null, null)])
  }),
  ...modes.flatMap((mode) =>
    each(`every change on a branch in ${mode}, then main fast-forwarded`, async (writer, version) => {
      await start(writer, { version, partition: [[3, 'day', 'day_day']], properties: inMode(mode) })
      await writer.refs(
        { kind: 'create-tag', name: 'before', retention: { maxRefAgeMs: 864e5 } },
        { kind: 'create-branch', name: 'audit', retention: { minSnapshotsToKeep: 2, maxSnapshotAgeMs: 864e5 } },
      )
      const on = { branch: 'audit' }
      await writer.delete('id = 1', 1, on)
      await writer.update('id = 2', { name: "'two'" }, 1, on)
      await writer.merge(
        [person(3, 'three', 20001, '3.00'), person(8, 'new', 20001, '8.00')],
        'target.id = source.id',
        [
          { when: 'matched', action: { kind: 'updateAll' } },
          { when: 'notMatched', action: { kind: 'insertAll' } },
        ],
        2,
        on,
      )
      await writer.upsert([person(6, 'fay', 20002, '66.00')], ['id', 'day'], on)
      await writer.overwrite('id = 7', [], on)
      await writer.refs({ kind: 'fast-forward', branch: 'main', to: 'audit' })
      await writer.append([person(9, 'after', null, null)])
      await writer.refs({ kind: 'rename-ref', name: 'audit', to: 'audited' })
      writer.ends([
        ...without(everyone, 1, 2, 3, 6, 7),
        person(2, 'two', 20000, null),
        person(3, 'three', 20001, '3.00'),
        person(6, 'fay', 20002, '66.00'),
        person(8, 'new', 20001, '8.00'),
        person(9, 'after', null, null),
      ])
    }),
  ),
  ...each('snapshots of a branch cherry-picked, moved and re-applied', async (writer, version) => {
    await start(writer, { version, partition: [[1, 'bucket[2]', 'id_bucket']] })
    const first = await writer.append([person(8, 'first', null, null)], { branch: 'stage' })
    await writer.cherryPick(first)
    const second = await writer.append([person(9, 'second', null, null)], { branch: 'stage' })
    await writer.append([person(10, 'main', null, null)])
    await writer.cherryPick(second)
    writer.ends([
      ...everyone,
      person(8, 'first', null, null),
      person(9, 'second', null, null),
      person(10, 'main', null, null),
    ])
  }),
  ...each('rolled back, set to another snapshot, and changed from there', async (writer, version) => {
    await start(writer, { version, partition: [], properties: inMode('merge-on-read') })
    const deleted = await writer.delete('id IN (1, 5)', 2)
    const updated = await writer.update('id = 2', { name: "'two'" }, 1)
    await writer.refs({ kind: 'rollback', snapshotId: deleted })
    await writer.append([person(8, 'other line', null, null)])
    await writer.refs({ kind: 'create-branch', name: 'other' })
    await writer.refs({ kind: 'set-current-snapshot', snapshotId: updated })
    await writer.delete('id = 2', 1)
    await writer.refs({ kind: 'create-tag', name: 'state' }, { kind: 'drop-branch', name: 'other' })
    await writer.refs({ kind: 'replace-ref', name: 'state', snapshotId: deleted })
    writer.ends(without(everyone, 1, 2, 5))
  }),
  ...each('a branch of a table without rows', async (writer, version) => {
    await writer.create(people, { version })
    await writer.refs({ kind: 'create-branch', name: 'first' })
    await writer.append(some, { branch: 'first' })
    await writer.delete('id = 1', 1, { branch: 'first' })
  }),
  ...each('a branch written before and after the schema changed', async (writer, version) => {
    await start(writer, { version, partition: [], properties: inMode('merge-on-read') })
    await writer.refs({ kind: 'create-branch', name: 'old' }, { kind: 'create-tag', name: 'named' })
    await writer.alter(
      { kind: 'rename-column', column: 'name', to: 'label' },
      { kind: 'drop-column', column: 'amount' },
      { kind: 'add-column', name: 'n', type: 'int', position: { at: 'first' } },
    )
    await writer.delete("label = 'ada'", 1, { branch: 'old' })
    await writer.update('id = 2', { n: '2' }, 1)
  }),
]

const together: readonly LimnCell[] = [
  ...modes.flatMap((mode) =>
    each(`several tables in one commit in ${mode}`, async (writer, version) => {
      const other = writer.beside('other')
      await start(writer, { version, partition: [[3, 'day', 'day_day']], properties: inMode(mode) })
      await start(other, { version: 3, partition: [], properties: inMode(mode) })
      await writer.together([other], async (one, two) => {
        await one.delete('id < 3', 2)
        await two?.append([person(8, 'moved', 20000, null)])
        await one.append([person(9, 'both', null, null)])
        await two?.update('id = 8 OR id = 1', { name: "'same commit'" }, 2)
        await one.alter({ kind: 'add-column', name: 'extra', type: 'int' })
        await one.update('id = 9', { extra: '9' }, 1)
      })
    }),
  ),
  ...each('a table made, filled and changed in one commit', async (writer, version) => {
    await writer.together([], async (one) => {
      await start(one, { version, partition: [[1, 'truncate[5]', 'id_trunc']], properties: inMode('merge-on-read') })
      await one.delete('id = 1', 1)
      await one.upsert([person(2, 'bob', 20000, '2.00')], ['id'])
      await one.refs({ kind: 'create-tag', name: 'made' })
    })
    writer.ends([...without(everyone, 1, 2), person(2, 'bob', 20000, '2.00')])
  }),
]

export const refCells: readonly LimnCell[] = [...refs, ...together]
