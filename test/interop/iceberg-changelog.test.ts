import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { loadTable, pinRef, readChanges, rewriteDataFiles } from '../../packages/limn/src/table/index.ts'
import { Peer, PeerError, peersPresent } from '../support/peers.ts'
import { temporaryTables } from '../support/tables.ts'
import { inMode, modes, person, start, versions } from './cells/limn-cell.ts'
import { LimnWriter } from './cells/limn-writer.ts'

const present = peersPresent('spark')

/** What Spark says where a changelog meets delete files, in this release. */
const noDeletes = /Delete files are currently not supported in changelog scans/
const columns = ['id', 'name', 'day', 'amount', '_change_type']
const commit = ['_change_ordinal', '_commit_snapshot_id']

interface Way {
  /** What is compared. Of net changes Spark names the commit that last copied a row, limn the one that made it. */
  readonly columns: readonly string[]
  readonly name: string
  readonly spark: string
  readonly limn: { readonly identifiers: readonly string[]; readonly net?: boolean }
}

const ways: readonly Way[] = [
  { name: 'deletes and inserts', columns: [...columns, ...commit], spark: '', limn: { identifiers: [] } },
  {
    name: 'updates by key',
    columns: [...columns, ...commit],
    spark: ", identifier_columns => array('id')",
    limn: { identifiers: ['id'] },
  },
  { name: 'net changes', columns, spark: ', net_changes => true', limn: { identifiers: [], net: true } },
]

describe.runIf(present)('Changelogs', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let spark: Peer
  const counts = { equal: 0, rows: 0, refused: 0 }
  /** limn's changes on write, without the commits' ids: those on read have to be the same. */
  const onWrite = new Map<string, readonly string[]>()

  beforeAll(async () => {
    made = await temporaryTables({ seed: 'changelog' })
    spark = new Peer('spark')
    const catalog = { db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root }
    await spark.ask({ op: 'catalog', alias: 'peer', ...catalog })
  })
  afterAll(async () => {
    await spark[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
    process.stdout.write(
      `Changelogs of limn and Spark: ${counts.equal} equal, ${counts.rows} rows; Spark refused ${counts.refused}\n`,
    )
  })

  for (const mode of modes)
    for (const version of versions)
      it(`v${version} of changes in ${mode} are those that Spark finds`, async () => {
        const name = `c${version}_${mode === 'copy-on-write' ? 'cow' : 'mor'}`
        const writer = new LimnWriter(made.context, tableId(`cells.${name}`))
        await start(writer, { version, partition: [[3, 'month', 'day_month']], properties: inMode(mode) })
        await writer.delete('id = 1', 1)
        await writer.update('id IN (2, 3)', { amount: 'id * 2' }, 2)
        await rewriteDataFiles(writer.context, writer.table, { all: true })
        await writer.merge(
          [person(2, 'bob', 20000, '5.00'), person(8, 'new', 20001, '8.00')],
          'target.id = source.id',
          [
            { when: 'matched', action: { kind: 'updateAll' } },
            { when: 'notMatched', action: { kind: 'insertAll' } },
            { when: 'notMatchedBySource', and: 'target.id = 6', action: { kind: 'delete' } },
          ],
          3,
        )
        await writer.append([person(1, 'ada', 20000, '1.00')])
        for (const way of ways) {
          const ours = await limnChanges(writer, way)
          const change = `${version} ${way.name}`
          const plain = await limnChanges(writer, { ...way, columns: [...columns, '_change_ordinal'] })
          if (mode === 'copy-on-write') onWrite.set(change, plain)
          else expect([change, plain]).toEqual([change, onWrite.get(change)])
          const theirs = await sparkChanges(name, way)
          if (theirs === null) {
            expect([mode, way.name]).toEqual(['merge-on-read', way.name])
            counts.refused++
            continue
          }
          expect({ way: way.name, rows: ours }).toEqual({ way: way.name, rows: theirs })
          counts.equal++
          counts.rows += ours.length
        }
      })

  async function limnChanges(writer: LimnWriter, way: Way): Promise<readonly string[]> {
    const pin = pinRef(await loadTable(writer.context, writer.table))
    if (!pin) throw new Error('there is no table')
    await using reading = await readChanges(writer.context, pin, { from: null, ...way.limn })
    await using session = await writer.context.engine.session(reading.bound)
    const list = way.columns.map((column) => `${column}::VARCHAR`).join(', ')
    const { rows } = await session.rows(`SELECT ${list} FROM (${reading.sql})`)
    return rows.map((row) => JSON.stringify(row)).sort()
  }

  /** Null where Spark refuses. */
  async function sparkChanges(table: string, way: Way): Promise<readonly string[] | null> {
    const call = `CALL peer.system.create_changelog_view(table => 'cells.${table}', changelog_view => 'changelog'${way.spark})`
    try {
      const { rows } = await spark.ask<{ rows: readonly string[][] }>({
        op: 'sql',
        statements: [call, `SELECT ${way.columns.join(', ')} FROM changelog`],
      })
      return rows.map((row) => JSON.stringify(row)).sort()
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      expect(error.message).toMatch(noDeletes)
      return null
    }
  }
})
