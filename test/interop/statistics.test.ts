import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { ThetaSketch } from '../../packages/limn/src/sketch/index.ts'
import { computePartitionStatistics, computeTableStatistics, loadTable } from '../../packages/limn/src/table/index.ts'
import { Peer, peersPresent } from '../support/peers.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

interface Found {
  readonly blobs: readonly {
    readonly type: string
    readonly field: number
    readonly snapshot: string
    readonly ndv: string
    readonly bytes: string
  }[]
  /** The partition's values, then the columns of a row of partition statistics. */
  readonly partitions: readonly (readonly (string | null)[])[]
}

/** Where the rows after deletes stand, which the reference implementation leaves out. */
const totalAt = -4

describe.runIf(peersPresent('java'))('Statistics that limn writes', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let java: Peer
  beforeAll(async () => {
    made = await temporaryTables({ seed: 'statistics' })
    java = new Peer('java')
  })
  afterAll(async () => {
    await java[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
  })
  const ask = (table: string, more: Readonly<Record<string, string>> = {}) => {
    const catalog = { db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root }
    return java.ask<Found>({ op: 'statistics', catalog, table, ...more })
  }
  const snapshotOf = async (table: string) =>
    String((await loadTable(made.context, tableId(table))).metadata.currentSnapshotId)

  it('of columns are read blob by blob', async () => {
    const { run } = runner(made.context)
    await run('CREATE TABLE s.ndv (id BIGINT, word STRING, day DATE)')
    await run(
      "INSERT INTO s.ndv SELECT i, 'w' || (i % 5), DATE '2026-01-01' + (i % 40)::INTEGER FROM range(20000) r(i)",
    )
    const ours = await computeTableStatistics(made.context, tableId('s.ndv'))
    const { blobs } = await ask('s.ndv')
    expect(blobs.map((one) => [one.type, one.field, one.snapshot, one.ndv])).toEqual(
      ours?.distinct.map((one) => [
        'apache-datasketches-theta-v1',
        one.fieldId,
        String(ours.snapshotId),
        String(one.count),
      ]),
    )
    for (const [i, blob] of blobs.entries())
      expect(BigInt(Math.round(ThetaSketch.decode(Buffer.from(blob.bytes, 'hex')).estimate))).toBe(
        ours?.distinct[i]?.count,
      )
  })

  for (const version of [2, 3])
    it(`of partitions, version ${version}, are read, and are what the reference implementation computes itself`, async () => {
      const { run } = runner(made.context)
      const name = `s.parts${version}`
      await run(
        `CREATE TABLE ${name} (id BIGINT, day DATE, word STRING) PARTITIONED BY (day) TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read')`,
      )
      const insert = (from: number) =>
        run(
          `INSERT INTO ${name} SELECT i, CASE WHEN i % 4 = 0 THEN NULL ELSE DATE '2026-01-01' + (i % 4)::INTEGER END, 'w' || i FROM range(${from}, ${from + 30}) r(i)`,
        )
      await insert(0)
      await run(`DELETE FROM ${name} WHERE id IN (1, 2, 5)`)
      await run(`ALTER TABLE ${name} ADD PARTITION FIELD bucket(3, id)`)
      await insert(100)
      await run(`DELETE FROM ${name} WHERE day = DATE '2026-01-03'`)
      const snapshot = await snapshotOf(name)
      const withoutTotals = (rows: Found['partitions']) =>
        rows.map((row) => JSON.stringify(row.toSpliced(totalAt, 1))).sort()
      const ours = await computePartitionStatistics(made.context, tableId(name))
      const read = (await ask(name, { partitionsOf: snapshot })).partitions
      expect(read.length).toBe(ours?.partitions.length)
      const theirs = (await ask(name, { compute: snapshot, partitionsOf: snapshot })).partitions
      expect(withoutTotals(read)).toEqual(withoutTotals(theirs))
      // What it computes next it adds to ours.
      await computePartitionStatistics(made.context, tableId(name))
      await insert(200)
      const later = await snapshotOf(name)
      const added = (await ask(name, { compute: later, partitionsOf: later })).partitions
      await computePartitionStatistics(made.context, tableId(name))
      expect(withoutTotals((await ask(name, { partitionsOf: later })).partitions)).toEqual(withoutTotals(added))
    })
})
