import { describe, expect, it } from 'vitest'
import { metadataTableNames } from '../../packages/limn/src/table/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

/** Two partitions, a row deleted by position, a branch and a tag. */
async function parted(version: 2 | 3 = 2) {
  const made = await temporaryTables()
  const { run, rows, snapshots } = runner(made.context)
  await run(`CREATE TABLE a.t (id BIGINT, kind STRING, at TIMESTAMP, price DECIMAL(9,2)) PARTITIONED BY (kind)
             TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read', 'owner' = 'tests')`)
  await run("INSERT INTO a.t VALUES (1, 'x', TIMESTAMP '2026-01-01', 1.50), (2, 'x', NULL, NULL)")
  await run("INSERT INTO a.t VALUES (3, 'y', TIMESTAMP '2026-02-01', 3.25)")
  await run('DELETE FROM a.t WHERE id = 1')
  const ids = await snapshots('a.t')
  await run(`ALTER TABLE a.t CREATE TAG first AS OF VERSION ${ids[0]} RETAIN 5 DAYS`)
  await run('ALTER TABLE a.t CREATE BRANCH try')
  await run("INSERT INTO a.t.branch_try VALUES (9, 'z', NULL, 9)")
  return { ...made, run, rows, ids }
}

describe('a metadata table', () => {
  it('is read like any table, behind the name of its table, quoted or not, and joins with others', async () => {
    await using made = await parted()
    const { rows, ids } = made
    const [first, second, third] = ids
    const main = await rows(
      'SELECT snapshot_id, parent_id, operation FROM a.t.history JOIN a.t.snapshots USING (snapshot_id, parent_id)',
    )
    expect(main.length).toBe(2)
    expect(
      await rows(
        'SELECT snapshot_id, parent_id, is_current_ancestor FROM "a"."t"."history" ORDER BY made_current_at, parent_id NULLS FIRST',
      ),
    ).toEqual([
      [first, null, true],
      [second, first, true],
      [third, second, true],
    ])
    expect(await rows(`SELECT summary['added-records'] FROM a.t.snapshots WHERE snapshot_id = ${first}`)).toEqual([
      ['2'],
    ])
    expect(await rows('SELECT name, type, max_reference_age_in_ms FROM A.T.REFS ORDER BY name')).toEqual([
      ['first', 'TAG', 432_000_000n],
      ['main', 'BRANCH', null],
      ['try', 'BRANCH', null],
    ])
    expect(await rows("SELECT value FROM a.t.properties WHERE key = 'owner'")).toEqual([['tests']])
    expect(
      await rows(`SELECT s.operation, count(*) FROM a.t.entries e JOIN a.t.snapshots s ON e.snapshot_id = s.snapshot_id
                  GROUP BY ALL ORDER BY ALL`),
    ).toEqual([
      ['append', 2n],
      ['delete', 1n],
    ])
    const log = await rows('SELECT latest_snapshot_id FROM a.t.metadata_log_entries ORDER BY timestamp')
    expect([log.length, log.at(0), log.at(-1)]).toEqual([7, [null], [third]])
    expect(await rows('SELECT * FROM a.t.metadata_log ORDER BY ALL')).toEqual(
      await rows('SELECT * FROM a.t.metadata_log_entries ORDER BY ALL'),
    )
  })

  it('tells of files, entries, manifests and partitions, with metrics as values of their columns', async () => {
    await using made = await parted()
    const { rows, ids } = made
    const files = `SELECT content, file_format, partition.kind, record_count, readable_metrics.id.lower_bound,
      readable_metrics.at.upper_bound::VARCHAR, readable_metrics.price.lower_bound::VARCHAR, readable_metrics.price.null_value_count
      FROM a.t.files ORDER BY ALL`
    expect(await rows(files)).toEqual([
      [0, 'PARQUET', 'x', 2n, 1n, '2026-01-01 00:00:00', '1.50', 1n],
      [0, 'PARQUET', 'y', 1n, 3n, '2026-02-01 00:00:00', '3.25', 0n],
      [1, 'PARQUET', 'x', 1n, null, null, null, null],
    ])
    expect(await rows('SELECT count(*) FROM a.t.data_files')).toEqual([[2n]])
    expect(await rows('SELECT count(*), min(content) FROM a.t.delete_files')).toEqual([[1n, 1]])
    expect(await rows('SELECT count(DISTINCT file_path) FROM a.t.all_files')).toEqual([[4n]])
    expect(
      await rows('SELECT status, sequence_number, data_file.partition.kind FROM a.t.entries ORDER BY ALL'),
    ).toEqual([
      [1, 1n, 'x'],
      [1, 2n, 'y'],
      [1, 3n, 'x'],
    ])
    const manifests =
      `SELECT content, added_snapshot_id, added_data_files_count, added_delete_files_count, existing_data_files_count,
      partition_summaries[1].lower_bound, partition_summaries[1].upper_bound FROM a.t.manifests ORDER BY content, length, ALL`.replace(
        ', length, ALL',
        ', 6',
      )
    expect(await rows(manifests)).toEqual([
      [0, ids[0], 1, 0, 0, 'x', 'x'],
      [0, ids[1], 1, 0, 0, 'y', 'y'],
      [1, ids[2], 0, 1, 0, 'x', 'x'],
    ])
    expect(
      await rows('SELECT reference_snapshot_id, count(*) FROM a.t.all_manifests GROUP BY ALL ORDER BY count(*)'),
    ).toEqual([
      [ids[0], 1n],
      [ids[1], 2n],
      [ids[2], 3n],
      [expect.anything(), 4n],
    ])
    expect(
      await rows(`SELECT partition.kind, spec_id, record_count, file_count, position_delete_record_count, position_delete_file_count,
                  equality_delete_file_count, last_updated_snapshot_id FROM a.t.partitions ORDER BY ALL`),
    ).toEqual([
      ['x', 0, 2n, 1, 1n, 1, 0, ids[2]],
      ['y', 0, 1n, 1, 0n, 0, 0, ids[1]],
    ])
  })

  it('shows another version where it shows one, and says so where it shows them all', async () => {
    await using made = await parted()
    const { run, rows, ids } = made
    expect(await rows(`SELECT count(*) FROM a.t.files FOR VERSION AS OF ${ids[0]}`)).toEqual([[1n]])
    expect(await rows("SELECT count(*) FROM a.t.files VERSION AS OF 'first'")).toEqual([[1n]])
    expect(await rows("SELECT partition.kind FROM a.t.partitions VERSION AS OF 'try' ORDER BY ALL")).toEqual([
      ['x'],
      ['y'],
      ['z'],
    ])
    const both = `SELECT f.file_path FROM a.t.files f ANTI JOIN a.t.files VERSION AS OF ${ids[1]} g ON f.file_path = g.file_path`
    expect((await rows(both)).length).toBe(1)
    expect(await rows(`SELECT count(*) FROM a.t.entries VERSION AS OF ${ids[1]}`)).toEqual([[2n]])
    expect(await rows(`SELECT count(*) FROM a.t.manifests VERSION AS OF ${ids[1]}`)).toEqual([[2n]])
    await expect(run(`SELECT * FROM a.t.snapshots VERSION AS OF ${ids[0]}`)).rejects.toMatchObject({
      kind: 'usage/argument',
    })
    await expect(run('SELECT * FROM a.t.files VERSION AS OF 12345')).rejects.toMatchObject({
      kind: 'usage/unknown-snapshot',
    })
    await expect(run('SELECT * FROM a.t.file')).rejects.toMatchObject({
      kind: 'usage/unknown-table',
      remedy: 'Did you mean a.t.files?',
    })
    await expect(run('SELECT * FROM a.u.files')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    await expect(run('SELECT nothing FROM a.t.files')).rejects.toMatchObject({ kind: 'sql/unknown-column' })
  })

  it('can be written into a table, and joined by a statement that changes rows', async () => {
    await using made = await parted()
    const { run, rows } = made
    await run('CREATE TABLE a.stat AS SELECT file_path, record_count, partition.kind AS kind FROM a.t.data_files')
    expect(await rows('SELECT kind, record_count FROM a.stat ORDER BY ALL')).toEqual([
      ['x', 2n],
      ['y', 1n],
    ])
    await run('INSERT INTO a.stat SELECT file_path, record_count, partition.kind FROM a.t.delete_files')
    await run('DELETE FROM a.stat WHERE file_path IN (SELECT file_path FROM a.t.data_files)')
    expect(await rows('SELECT record_count FROM a.stat')).toEqual([[1n]])
  })

  it('is empty, with its columns, for a table without rows', async () => {
    await using made = await temporaryTables()
    const { run, rows } = runner(made.context)
    await run('CREATE TABLE a.e (id BIGINT)')
    const filled = ['metadata_log', 'metadata_log_entries', 'properties']
    for (const name of metadataTableNames) {
      const { length } = await rows(`SELECT * FROM a.e.${name}`)
      if (!filled.includes(name)) expect([name, length]).toEqual([name, 0])
      expect((await rows(`DESCRIBE SELECT * FROM a.e.${name}`)).length).toBeGreaterThan(1)
    }
    expect(
      await rows("SELECT column_name FROM (DESCRIBE SELECT * FROM a.e.files) WHERE column_name = 'partition'"),
    ).toEqual([])
  })

  it('shows deletion vectors and row ids of a table of version 3', async () => {
    await using made = await parted(3)
    const { rows } = made
    const [[format, about, offset, size] = []] = await rows(
      'SELECT file_format, referenced_data_file, content_offset, content_size_in_bytes FROM a.t.delete_files',
    )
    expect([format, typeof offset, typeof size]).toEqual(['PUFFIN', 'bigint', 'bigint'])
    expect(await rows(`SELECT partition.kind, first_row_id FROM a.t.data_files WHERE file_path = '${about}'`)).toEqual([
      ['x', 0n],
    ])
  })

  it('has bounds of every type, and of columns within others', async () => {
    await using made = await temporaryTables()
    const { run, rows } = runner(made.context)
    await run(`CREATE TABLE a.w (b BOOLEAN, i INT, l BIGINT, f FLOAT, d DOUBLE, "day" DATE, t TIME, ts TIMESTAMP, tz TIMESTAMPTZ,
      n DECIMAL(38,3), s STRING, u UUID, y BINARY, v VARIANT, p STRUCT<x INT, q STRUCT<z STRING>>, a ARRAY<INT>, m MAP<STRING, DOUBLE>)
      TBLPROPERTIES ('format-version' = '3')`)
    await run(`INSERT INTO a.w VALUES (true, 1, 2, 1.5, 'nan', DATE '1969-12-31', TIME '01:02:03', TIMESTAMP '1969-12-31 23:59:59.5',
      TIMESTAMPTZ '2026-01-01 00:00:00+00', -12345678901234567890.123, 'é', '00112233-4455-6677-8899-aabbccddeeff', 'ab'::BLOB, 1::VARIANT,
      {'x': 7, 'q': {'z': 'deep'}}, [1, 2], MAP {'k': 0.5})`)
    const m = 'readable_metrics'
    const one =
      await rows(`SELECT ${m}.b.lower_bound, ${m}.i.lower_bound, ${m}.l.lower_bound, ${m}.f.lower_bound, ${m}.d.nan_value_count,
      ${m}.day.lower_bound::VARCHAR, ${m}.t.lower_bound::VARCHAR, ${m}.ts.lower_bound::VARCHAR, ${m}.tz.lower_bound::VARCHAR, ${m}.n.lower_bound::VARCHAR,
      ${m}.s.upper_bound, ${m}.u.lower_bound::VARCHAR, ${m}.y.lower_bound::VARCHAR, ${m}.v.lower_bound, ${m}."p.x".lower_bound,
      ${m}."p.q.z".upper_bound, ${m}."a.element".value_count FROM a.w.files`)
    expect(one).toEqual([
      [
        true,
        1,
        2n,
        1.5,
        1n,
        '1969-12-31',
        '01:02:03',
        '1969-12-31 23:59:59.5',
        '2026-01-01 00:00:00+00',
        '-12345678901234567890.123',
        'é',
        '00112233-4455-6677-8899-aabbccddeeff',
        'ab',
        null,
        7,
        'deep',
        2n,
      ],
    ])
  })

  it('keeps one partition struct over all specs, under the latest names', async () => {
    await using made = await temporaryTables()
    const { run, rows } = runner(made.context)
    await run('CREATE TABLE a.s (id INT, at TIMESTAMP, k STRING) PARTITIONED BY (id)')
    await run("INSERT INTO a.s VALUES (1, TIMESTAMP '2026-01-02', 'a')")
    await run('ALTER TABLE a.s ADD PARTITION FIELD day(at) AS d')
    await run('ALTER TABLE a.s ALTER COLUMN id TYPE BIGINT')
    await run("INSERT INTO a.s VALUES (1, TIMESTAMP '2026-01-02', 'b'), (5000000000, NULL, 'c')")
    await run('ALTER TABLE a.s DROP PARTITION FIELD id')
    await run("INSERT INTO a.s VALUES (1, TIMESTAMP '2026-01-03', 'd')")
    expect(
      await rows('SELECT partition.id, partition.d::VARCHAR, spec_id, file_count FROM a.s.partitions ORDER BY ALL'),
    ).toEqual([
      [1n, '2026-01-02', 1, 1],
      [1n, null, 0, 1],
      [5_000_000_000n, null, 1, 1],
      [null, '2026-01-03', 2, 1],
    ])
    expect(
      await rows('SELECT partition_summaries[1].lower_bound FROM a.s.manifests ORDER BY partition_spec_id'),
    ).toEqual([['1'], ['1'], ['2026-01-03']])
  })

  it.each([2, 3] as const)('names the rows that are deleted by position (version %i)', async (version) => {
    await using made = await parted(version)
    const { run, rows, ids } = made
    await run('DELETE FROM a.t WHERE id = 3')
    const [[x] = []] = await rows("SELECT file_path FROM a.t.data_files WHERE partition.kind = 'x'")
    const found = 'SELECT file_path, pos, partition.kind, spec_id FROM a.t.position_deletes'
    // A file whose every row is deleted goes, and needs no deletes.
    expect(await rows(`${found} ORDER BY ALL`)).toEqual([[x, 0n, 'x', 0]])
    expect(await rows(`${found} VERSION AS OF ${ids[1]}`)).toEqual([])
    const files = `SELECT count(*) FROM a.t.position_deletes p JOIN a.t.delete_files f ON p.delete_file_path = f.file_path`
    expect(await rows(files)).toEqual([[1n]])
    await run(
      `CREATE TABLE a.big (id INT) TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read')`,
    )
    await run('INSERT INTO a.big SELECT * FROM range(250000)')
    await run('DELETE FROM a.big WHERE id % 2 = 1')
    expect(await rows('SELECT count(*), min(pos), max(pos), sum(pos)::BIGINT FROM a.big.position_deletes')).toEqual([
      [125_000n, 1n, 249_999n, 15_625_000_000n],
    ])
  })
})
