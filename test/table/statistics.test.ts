import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { decodePuffinFooter, readBlob } from '../../packages/limn/src/encoding/index.ts'
import { distinctCounts } from '../../packages/limn/src/iceberg/index.ts'
import { ThetaSketch } from '../../packages/limn/src/sketch/index.ts'
import {
  computePartitionStatistics,
  computeTableStatistics,
  expireSnapshots,
  healthOf,
  loadTable,
  removeOrphans,
} from '../../packages/limn/src/table/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

let made: Awaited<ReturnType<typeof temporaryTables>>
let plain: Awaited<ReturnType<DuckDBInstance['connect']>>
beforeAll(async () => {
  made = await temporaryTables()
  plain = await (await DuckDBInstance.create(':memory:')).connect()
})
afterAll(async () => {
  plain.closeSync()
  await made[Symbol.asyncDispose]()
})

const metadataOf = async (name: string) => (await loadTable(made.context, tableId(name))).metadata
const local = (path: string) => path.replace('file://', '')

describe('Statistics of a table', () => {
  it('count distinct values of the rows as they are, in sketches of a Puffin file', async () => {
    const { run, snapshots } = runner(made.context)
    await run(
      'CREATE TABLE s.t (id BIGINT, word STRING, day DATE, price DECIMAL(9, 2), at TIMESTAMPTZ, flag BOOLEAN, place STRUCT<city: STRING>, tags ARRAY<STRING>)',
    )
    await run(`INSERT INTO s.t SELECT i, 'w' || (i % 7), DATE '2026-01-01' + (i % 3)::INTEGER, (i % 5) / 4,
      make_timestamptz(i * 1000000), CASE WHEN i % 2 = 0 THEN NULL ELSE true END, {city: 'c' || (i % 4)}, ['t'] FROM range(1000) r(i)`)
    await run('DELETE FROM s.t WHERE id >= 900')
    const table = tableId('s.t')
    const found = await computeTableStatistics(made.context, table)
    expect(found?.distinct.map((one) => [one.column, one.count])).toEqual([
      ['id', 900n],
      ['word', 7n],
      ['day', 3n],
      ['price', 5n],
      ['at', 900n],
      ['flag', 1n],
    ])
    const { statistics, currentSnapshotId, lastSequenceNumber } = await metadataOf('s.t')
    expect(statistics).toEqual([found?.file])
    expect(statistics[0]?.snapshotId).toBe(currentSnapshotId)
    const puffin = await made.store.read(found?.file.statisticsPath ?? ('' as never))
    expect(BigInt(puffin.length)).toBe(found?.file.fileSizeInBytes)
    const footer = decodePuffinFooter(puffin)
    expect(BigInt(footer.footerBytes)).toBe(found?.file.fileFooterSizeInBytes)
    expect(distinctCounts(footer.blobs)).toEqual(new Map(found?.distinct.map((one) => [one.fieldId, one.count])))
    for (const [i, blob] of footer.blobs.entries()) {
      expect([blob.snapshotId, blob.sequenceNumber]).toEqual([currentSnapshotId, lastSequenceNumber])
      expect(BigInt(ThetaSketch.decode(await readBlob(puffin, blob)).estimate)).toBe(found?.distinct[i]?.count)
    }
    // Of an earlier snapshot, of chosen columns, inside structs too; the other snapshot's stay.
    const [first = 0n] = await snapshots('s.t')
    const earlier = await computeTableStatistics(made.context, table, {
      snapshotId: first,
      columns: ['place.city', 'id'],
    })
    expect(earlier?.distinct.map((one) => [one.column, one.count])).toEqual([
      ['place.city', 4n],
      ['id', 1000n],
    ])
    expect((await metadataOf('s.t')).statistics.length).toBe(2)
    // Again of the same snapshot: in place of the former.
    await computeTableStatistics(made.context, table, { snapshotId: first, columns: ['id'] })
    expect((await metadataOf('s.t')).statistics.map((one) => one.blobMetadata.length).sort()).toEqual([1, 6])
    for (const column of ['tags', 'tags.element', 'nobody'])
      await expect(computeTableStatistics(made.context, table, { columns: [column] })).rejects.toMatchObject({
        kind: 'usage/argument',
      })
    await expect(computeTableStatistics(made.context, table, { snapshotId: 5n })).rejects.toMatchObject({
      kind: 'usage/unknown-snapshot',
    })
  })

  it('estimate many distinct values within their error, and take every row', async () => {
    const { run } = runner(made.context)
    await run('CREATE TABLE s.many (id BIGINT)')
    await run('INSERT INTO s.many SELECT i * 7 FROM range(450000) r(i)')
    const found = await computeTableStatistics(made.context, tableId('s.many'))
    const count = Number(found?.distinct[0]?.count)
    expect(Math.abs(count - 450_000) / 450_000).toBeLessThan(0.05)
  })

  it('stay through commits, expire with their snapshot, and are no orphans', async () => {
    const { run } = runner(made.context)
    await run('CREATE TABLE s.kept (id BIGINT, part STRING) PARTITIONED BY (part)')
    await run("INSERT INTO s.kept VALUES (1, 'a'), (2, 'b')")
    const table = tableId('s.kept')
    const first = await computeTableStatistics(made.context, table)
    const firstPartitions = await computePartitionStatistics(made.context, table)
    await run("INSERT INTO s.kept VALUES (3, 'c')")
    await run('ALTER TABLE s.kept ADD COLUMN more INT')
    await run('DELETE FROM s.kept WHERE id = 1')
    const second = await computeTableStatistics(made.context, table)
    const secondPartitions = await computePartitionStatistics(made.context, table)
    const paths = async () => {
      const { statistics, partitionStatistics } = await metadataOf('s.kept')
      return [...statistics, ...partitionStatistics].map((one) => one.statisticsPath).sort()
    }
    const all = [first, firstPartitions, second, secondPartitions].map((one) => one?.file.statisticsPath ?? '')
    expect(await paths()).toEqual([...all].sort())
    const later = { ...made.context, clock: { ...made.context.clock, nowMs: () => Date.now() + 90 * 86_400_000 } }
    const listed = await removeOrphans(later, table, { ageMs: 3_600_000 })
    expect(listed.plan.orphans).toEqual([])
    const expired = await expireSnapshots(later, table, { maxSnapshotAgeMs: 1000, minSnapshotsToKeep: 1 })
    expect(expired.files.statistics).toBe(2)
    expect(await paths()).toEqual(all.slice(2).sort())
    const there = (await Array.fromAsync(made.store.list(made.store.root))).map((one) => String(one.path))
    expect(all.map((one) => there.includes(String(one)))).toEqual([false, false, true, true])
    // Replaced: nothing leads to the former file any more.
    await computeTableStatistics(made.context, table)
    const gone = await removeOrphans(later, table, { ageMs: 3_600_000 })
    expect(gone.plan.orphans.map((one) => one.path)).toEqual([all[2]])
  })

  it('are told by health, with how old they are', async () => {
    const { run } = runner(made.context)
    await run('CREATE TABLE s.health (id BIGINT, word STRING)')
    await run("INSERT INTO s.health VALUES (1, 'a'), (2, 'a')")
    const table = tableId('s.health')
    expect((await healthOf(made.context, table)).statistics).toBeNull()
    await computeTableStatistics(made.context, table)
    const { currentSnapshotId: of } = await metadataOf('s.health')
    const distinct = [
      { column: 'id', count: 2n },
      { column: 'word', count: 1n },
    ]
    expect((await healthOf(made.context, table)).statistics).toEqual({ snapshotId: of, isCurrent: true, distinct })
    await run("INSERT INTO s.health VALUES (3, 'b')")
    await run('ALTER TABLE s.health RENAME COLUMN word TO term')
    expect((await healthOf(made.context, table)).statistics).toEqual({
      snapshotId: of,
      isCurrent: false,
      distinct: [
        { column: 'id', count: 2n },
        { column: 'term', count: 1n },
      ],
    })
  })

  it('of partitions are a row each in a Parquet file, under the ids of the specification', async () => {
    for (const version of [2, 3]) {
      const { run } = runner(made.context)
      const name = `s.parts${version}`
      await run(
        `CREATE TABLE ${name} (id BIGINT, day DATE, word STRING) PARTITIONED BY (day, truncate(1, word)) TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read')`,
      )
      await run(
        `INSERT INTO ${name} SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE DATE '2026-01-01' END, 'w' || i FROM range(10) r(i)`,
      )
      await run(`DELETE FROM ${name} WHERE id = 1`)
      const found = await computePartitionStatistics(made.context, tableId(name))
      const { partitionStatistics } = await metadataOf(name)
      expect(partitionStatistics).toEqual([found?.file])
      const file = local(found?.file.statisticsPath ?? '')
      const ids = await plain.runAndReadAll(
        `SELECT name, field_id FROM parquet_schema('${file}') WHERE field_id IS NOT NULL ORDER BY field_id`,
      )
      const expected = [
        'partition',
        'spec_id',
        'data_record_count',
        'data_file_count',
        'total_data_file_size_in_bytes',
        'position_delete_record_count',
        'position_delete_file_count',
        'equality_delete_record_count',
        'equality_delete_file_count',
        'total_record_count',
        'last_updated_at',
        'last_updated_snapshot_id',
        ...(version === 3 ? ['dv_count'] : []),
      ].map((one, i) => [one, String(i + 1)])
      expect(ids.getRowsJson()).toEqual([...expected, ['day', '1000'], ['word_trunc_1', '1001']])
      const rows = await plain.runAndReadAll(
        `SELECT partition.day::VARCHAR, partition.word_trunc_1, data_record_count, position_delete_record_count, total_record_count FROM '${file}'`,
      )
      expect(rows.getRowsJson()).toEqual([
        [null, 'w', '4', '0', '4'],
        ['2026-01-01', 'w', '6', '1', version === 3 ? '5' : null],
      ])
    }
  })

  it('are computed by CALL', async () => {
    const { run, rows, snapshots } = runner(made.context)
    await run('CREATE TABLE s.call (id BIGINT, part STRING) PARTITIONED BY (part)')
    await run("INSERT INTO s.call VALUES (1, 'a')")
    await run("INSERT INTO s.call VALUES (2, 'b')")
    const [first = 0n] = await snapshots('s.call')
    expect(await run("CALL system.compute_table_stats('s.call')", { dryRun: true })).toMatchObject({ kind: 'rows' })
    expect((await metadataOf('s.call')).statistics).toEqual([])
    const [[file] = []] = await rows(
      `CALL system.compute_table_stats(table => 's.call', snapshot_id => ${first}, columns => array('part', 'id'))`,
    )
    const [one] = (await metadataOf('s.call')).statistics
    expect([one?.statisticsPath, one?.snapshotId]).toEqual([file, first])
    expect(one?.blobMetadata.map((blob) => [blob.fields, blob.properties])).toEqual([
      [[2], { ndv: '1' }],
      [[1], { ndv: '1' }],
    ])
    const [[partitions] = []] = await rows("CALL system.compute_partition_stats('s.call')")
    expect((await metadataOf('s.call')).partitionStatistics.map((each) => each.statisticsPath)).toEqual([partitions])
  })

  it('of partitions are refused for a table without any', async () => {
    const { run } = runner(made.context)
    await run('CREATE TABLE s.flat (id BIGINT)')
    expect(await computePartitionStatistics(made.context, tableId('s.flat'))).toBeNull()
    expect(await computeTableStatistics(made.context, tableId('s.flat'))).toBeNull()
    await run('INSERT INTO s.flat VALUES (1)')
    await expect(computePartitionStatistics(made.context, tableId('s.flat'))).rejects.toMatchObject({
      kind: 'usage/argument',
    })
  })
})
