import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseJson } from '../../packages/limn/src/encoding/index.ts'
import { Peer, peersPresent } from '../support/peers.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

const present = peersPresent('spark')

/** Metadata tables that Spark has too. */
const names = [
  'snapshots',
  'history',
  'refs',
  'metadata_log_entries',
  'files',
  'data_files',
  'delete_files',
  'entries',
  'manifests',
  'partitions',
  'all_files',
  'all_data_files',
  'all_delete_files',
  'all_entries',
  'all_manifests',
  'position_deletes',
] as const

/** Columns that only one of the two has: limn leaves out the copy of a deleted row, which no delete file here holds. */
const theirsAlone: readonly string[] = ['row']

type Json = unknown

/** A value without nulls and empty collections, with times in milliseconds and bytes, also those of column `b`, in base64. */
function plain(value: Json, isBytes = false): Json {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'string') {
    if (isBytes) return base64Of(value)
    return /^\d{4}-\d\d-\d\d[ T]\d\d:/.test(value)
      ? `at ${Date.parse(value.replace(/\+00$/, 'Z').replace(' ', 'T'))}`
      : value
  }
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((one) => plain(one, isBytes))
  if (typeof value !== 'object') return value
  const entries = Object.entries(value)
    .map(
      ([key, one]) => [key, plain(one, isBytes || /^(lower_bounds|upper_bounds|key_metadata|b)$/.test(key))] as const,
    )
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** Bytes in base64, as Spark writes them, or as DuckDB escapes them in text. */
function base64Of(text: string): string {
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0) return text
  const bytes = text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('base64')
}

const bag = (rows: readonly string[]) => rows.map((row) => JSON.stringify(plain(parseJson(row)))).sort()

/** A type as Spark spells it. */
function sparkType(text: string): string {
  return text
    .toLowerCase()
    .replaceAll('"', '')
    .replaceAll(/:\s+/g, ':')
    .replaceAll(/,\s+/g, ',')
    .replaceAll(/ not null/g, '')
    .replaceAll('timestamp_ltz', 'timestamp')
    .replaceAll(/\b(uuid)\b/g, 'string')
}

describe.runIf(present)('metadata tables, as Spark shows them', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let spark: Peer

  beforeAll(async () => {
    made = await temporaryTables({ seed: 'metadata' })
    spark = new Peer('spark')
    const { run, rows } = runner(made.context)
    for (const version of [2, 3]) {
      const t = `meta.v${version}`
      await run(`CREATE TABLE ${t} (id INT, kind STRING, at TIMESTAMPTZ, day DATE, price DECIMAL(9,2), weight DOUBLE, b BINARY,
        p STRUCT<x INT, q STRUCT<z STRING>>, l ARRAY<INT>, m MAP<STRING, BIGINT>) PARTITIONED BY (kind)
        TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read')`)
      const value = (id: number, kind: string) =>
        `(${id}, ${kind}, TIMESTAMPTZ '2026-01-0${id} 12:00:00.25Z', DATE '2026-01-0${id}', ${id}.50, ${id === 2 ? "'nan'::DOUBLE" : `${id}::DOUBLE`}, 'b${id}'::BLOB,
          {'x': ${id}, 'q': {'z': 'deep ${id}'}}, [${id}, NULL], MAP {'k': ${id}})`
      await run(
        `INSERT INTO ${t} VALUES ${value(1, "'x'")}, ${value(2, "'x'")}, ${value(3, "'y'")}, ${value(4, 'NULL')}`,
      )
      await run(`DELETE FROM ${t} WHERE id = 1`)
      await run(`ALTER TABLE ${t} ADD PARTITION FIELD month(at) AS month`)
      await run(`ALTER TABLE ${t} ADD PARTITION FIELD bucket(4, id) AS b4`)
      await run(`ALTER TABLE ${t} ALTER COLUMN id TYPE BIGINT`)
      await run(`INSERT INTO ${t} VALUES ${value(5, "'x'")}, ${value(6, "'y'")}, ${value(7, "'y'")}`)
      await run(`ALTER TABLE ${t} CREATE TAG kept RETAIN 3 DAYS`)
      await run(`UPDATE ${t} SET price = 9 WHERE id = 7`)
      await run(`DELETE FROM ${t} WHERE kind IS NULL`)
      await run(`ALTER TABLE ${t} DROP PARTITION FIELD kind`)
      await run(`ALTER TABLE ${t} CREATE BRANCH try`)
      await run(`INSERT INTO ${t}.branch_try VALUES ${value(8, "'z'")}`)
      await run(`INSERT INTO ${t} VALUES ${value(9, "'z'")}`)
      expect((await rows(`SELECT count(*) FROM ${t}`))[0]).toEqual([6n])
    }
    await run('CREATE TABLE meta.plain (id INT)')
    await run('INSERT INTO meta.plain VALUES (1), (2)')
    await run('CREATE TABLE meta.empty (id INT, k STRING) PARTITIONED BY (k)')
    await spark.ask({
      op: 'catalog',
      alias: 'peer',
      db: `${made.folder}/catalog.db`,
      name: 'test',
      warehouse: made.store.root,
    })
  })
  afterAll(async () => {
    await spark[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
  })

  async function sparkRows(sql: string): Promise<readonly (readonly string[])[]> {
    return (await spark.ask<{ rows: readonly string[][] }>({ op: 'sql', statements: [sql] })).rows
  }

  for (const table of ['v2', 'v3', 'plain', 'empty'])
    for (const name of names)
      it(`${table}.${name} has the same columns, types and rows`, async () => {
        const { rows, run } = runner(made.context)
        const shown = await run(`DESCRIBE meta.${table}.${name}`)
        const own = shown.kind === 'rows' ? shown.result.rows.map((row) => [row[0], sparkType(String(row[1]))]) : []
        const described = await sparkRows(`DESCRIBE peer.meta.${table}.${name}`)
        const theirs = described.slice(0, described.findIndex((row) => row[0] === '' || row[0]?.startsWith('#')) >>> 0)
        expect(own).toEqual(theirs.filter((row) => !theirsAlone.includes(row[0] ?? '')).map((row) => [row[0], row[1]]))
        const ours = await rows(`SELECT to_json(t)::VARCHAR FROM meta.${table}.${name} AS t`)
        const found = await sparkRows(`SELECT to_json(struct(*)) FROM peer.meta.${table}.${name}`)
        expect(bag(ours.map((row) => String(row[0])))).toEqual(bag(found.map((row) => String(row[0]))))
      })
})
