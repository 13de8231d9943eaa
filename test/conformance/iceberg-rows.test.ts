import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  LimnError,
  noSteps,
  seededRandomness,
  systemClock,
  type TableId,
  tableId,
} from '../../packages/limn/src/base/index.ts'
import { SqliteCatalog } from '../../packages/limn/src/catalog/index.ts'
import { type Bound, type BoundRows, openDuckDb, type Session } from '../../packages/limn/src/engine/index.ts'
import { ManifestReader } from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import {
  bindMetadataTable,
  countRows,
  type MetadataTableName,
  metadataTable,
  metadataTableNames,
  readPinned,
  schemaOfPin,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import {
  type At,
  type CaseFile,
  type Found,
  findByName,
  loadCases,
  mappedStore,
  pin,
  readMetadata,
  type TableCase,
} from '../support/corpus.ts'
import { impalaCells, sameRows } from '../support/corpus-answers.ts'
import { listingSql } from '../support/corpus-listings.ts'
import { type Question, questionsOf } from '../support/corpus-questions.ts'
import { type Ask, askDuckDb, askImpala } from '../support/corpus-sql.ts'

/** Tables that other systems wrote, read in rows: every query that comes with them has the answer that comes with it. */
const cases = loadCases()

/** What limn says it cannot read. Any other refusal is a failure. */
const refusable = /geometry|geography|encrypt|\borc\b|codec|compress/i

const tally = {
  tables: 0,
  answers: 0,
  counts: 0,
  samples: 0,
  metadataTables: 0,
  apart: new Map<string, number>(),
  refused: [] as string[],
  unknown: [] as string[],
}

const folder = mkdtempSync(join(tmpdir(), 'limn-conformance-'))
const engine = await openDuckDb({ threads: 2, memoryLimit: '500MB', temporaryFolder: folder })
const closed: (() => void)[] = []
afterAll(() => {
  for (const close of closed) close()
  engine.close()
  rmSync(folder, { recursive: true, force: true })
})

function contextOf(found: Found): TableContext {
  const store = mappedStore(found.table, found.case.folder)
  const randomness = seededRandomness('conformance')
  const path = join(folder, `catalog-${closed.length}.db`)
  const catalog = new SqliteCatalog({ path, name: 'corpus', store, randomness, steps: noSteps })
  closed.push(() => catalog.close())
  return {
    catalog,
    store,
    engine,
    manifests: new ManifestReader(store),
    clock: systemClock,
    randomness,
    steps: noSteps,
    signal: new AbortController().signal,
  }
}

const contexts = new Map<TableCase, TableContext>()
function context(found: Found): TableContext {
  const known = contexts.get(found.table) ?? contextOf(found)
  contexts.set(found.table, known)
  return known
}

function boundMetadata(id: TableId, found: Found, name: MetadataTableName): BoundRows {
  tally.metadataTables++
  const metadataLocation = storePath(`${found.case.folder}/${found.metadataFile}`)
  return bindMetadataTable(
    id,
    metadataTable(context(found), { table: id, metadataLocation, metadata: readMetadata(found) }, name),
  )
}

/** Runs a query over tables of the corpus, opening only the files that pruning leaves. Cells as text. */
async function run(ask: Extract<Ask, { readonly kind: 'ask' }>): Promise<readonly (readonly string[])[]> {
  await using stack = new AsyncDisposableStack()
  const pins = ask.sources.flatMap((source) => {
    if (source.metadata) return []
    const found = pin(source.found, source.at, source.id)
    if (!found) throw new Error('the table had no snapshot then')
    return [{ ...source, pin: found }]
  })
  const shapes = new Map(pins.map((one) => [one.id, { columns: schemaOfPin(one.pin).fields }]))
  const plain = ask.listings.length === 0 && pins.length === ask.sources.length
  const predicates = plain ? await engine.filters(ask.sql, shapes) : new Map()
  const bound: Bound[] = []
  for (const one of pins) {
    const predicate = predicates.get(one.id) ?? { kind: 'true' as const }
    const reading = await readPinned(context(one.found), one.pin, { predicate, metadataColumns: ask.metadataColumns })
    bound.push(stack.use(reading).bound)
  }
  for (const { id, found, metadata } of ask.sources) {
    if (metadata) bound.push(boundMetadata(id, found, metadata))
  }
  const session = stack.use(await engine.session(bound))
  for (const listing of ask.listings) {
    const { manifests } = context(listing.found)
    const sql = await listingSql(pin(listing.found, listing.at), listing.of, manifests)
    await session.exec(`CREATE TEMP TABLE ${listing.name} AS ${sql}`)
  }
  return await textRows(session, ask.sql, pins.length < ask.sources.length)
}

/** `nested`: values with parts as JSON, as Impala prints those of metadata tables. */
async function textRows(session: Session, sql: string, nested: boolean): Promise<readonly (readonly string[])[]> {
  const inner = /^\s*describe\b/i.test(sql) ? `SELECT * FROM (${sql})` : sql
  const described = await session.rows(`DESCRIBE SELECT * FROM (${inner})`)
  const list = described.rows.map(([name, type]) => {
    const column = `"${String(name).replaceAll('"', '""')}"`
    if (nested && /^(STRUCT|MAP)\(|\[\]$/.test(String(type))) return `to_json(${column})::VARCHAR`
    return type === 'VARIANT'
      ? `CASE WHEN ${column} IS NOT NULL THEN ${column}::JSON::VARCHAR END`
      : `${column}::VARCHAR`
  })
  const { rows } = await session.rows(`SELECT ${list.join(', ')} FROM (${inner})`)
  return rows.map((row) => row.map((cell) => (cell === null ? 'NULL' : String(cell))))
}

/** A table that a query names and the corpus does not have, as DuckDB's parser tells. */
async function otherTable(ask: Extract<Ask, { readonly kind: 'ask' }>): Promise<string | null> {
  if (/^\s*describe\b|\(\s*describe\b/i.test(ask.sql)) return null
  const own = new Set<string>([...ask.sources.map((one) => one.id), ...ask.listings.map((one) => one.name)])
  const { tables } = await engine.parse(ask.sql)
  const other = tables.find((one) => !own.has(one.schema === null ? one.name : `${one.schema}.${one.name}`))
  return other?.name ?? null
}

function leaveApart(why: string): void {
  tally.apart.set(why, (tally.apart.get(why) ?? 0) + 1)
}

async function answer(each: CaseFile, question: Question): Promise<void> {
  switch (question.kind) {
    case 'unknown':
      tally.unknown.push(`${each.name}: ${question.what}`)
      return
    case 'count': {
      const [table] = each.tables
      if (!table) throw new Error('a case without tables')
      const metadata = table.metadata_file.slice(0, table.metadata_file.lastIndexOf('/'))
      const metadataFile = question.metadataFile === null ? table.metadata_file : `${metadata}/${question.metadataFile}`
      const rows = await count({ case: each, table, metadataFile })
      expect([each.name, question.from, rows]).toEqual([each.name, question.from, question.rows])
      tally.counts++
      return
    }
    case 'impala-error': {
      const missing = /cannot find a snapshot older than/i.test(question.error)
      const ask = askImpala(cases, each, question)
      if (!missing || ask.kind !== 'ask') return leaveApart('expects an error of the other engine')
      for (const source of ask.sources) expect(pin(source.found, source.at)).toBeNull()
      tally.answers++
      return
    }
    case 'duckdb':
    case 'impala': {
      const ask = question.kind === 'duckdb' ? askDuckDb(cases, each, question.sql) : askImpala(cases, each, question)
      if (ask.kind === 'apart') return leaveApart(ask.why)
      if (ask.kind === 'unknown') {
        tally.unknown.push(`${each.name}: ${ask.what}`)
        return
      }
      const other = await otherTable(ask)
      if (other !== null) {
        if (findByName(cases, each, other) === null) return leaveApart('names a table that is in no case')
        tally.unknown.push(`${each.name}: where ${other} stands in ${question.sql}`)
        return
      }
      const expected = question.rows.map((row) => (question.kind === 'duckdb' ? row.split('\t') : impalaCells(row)))
      const actual = await run(ask)
      if (!sameRows(actual, expected, ask.ordered))
        expect({ sql: ask.sql, rows: actual }).toEqual({ sql: ask.sql, rows: expected })
      tally.answers++
    }
  }
}

async function count(found: Found, at: At = { kind: 'current' }): Promise<number> {
  const id = tableId('corpus.t0')
  const [[rows] = []] = await run({
    kind: 'ask',
    sql: `SELECT count(*) FROM ${id}`,
    sources: [{ id, found, at }],
    listings: [],
    metadataColumns: false,
    ordered: false,
  })
  const pinned = pin(found, at)
  const told = pinned ? await countRows(context(found), pinned) : null
  if (told !== null)
    expect([found.case.name, 'from metadata', String(told)]).toEqual([found.case.name, 'from metadata', rows])
  return Number(rows)
}

/** What a case's own metadata and a second reader say of a table that no query speaks of. */
async function compareWithOthers(found: Found, isTold: boolean): Promise<void> {
  const { table } = found
  const rows = await count(found)
  const total = table.summary?.['total-records']
  if (total !== undefined && (table.delete_files ?? 0) === 0) {
    expect([found.case.name, 'total-records', rows]).toEqual([found.case.name, 'total-records', Number(total)])
    tally.counts++
  }
  if (isTold || table.icebird_rows === undefined) return
  expect([found.case.name, 'icebird_rows', rows]).toEqual([found.case.name, 'icebird_rows', table.icebird_rows])
  tally.counts++
}

/** Live snapshots of a table are all read: the whole history, not only what queries ask of it. */
async function readHistory(found: Found): Promise<void> {
  const current = pin(found, { kind: 'current' })
  for (const snapshot of current?.metadata.snapshots ?? []) {
    const { 'total-records': total, 'total-delete-files': deletes } = snapshot.summary
    // A case may leave out the files of snapshots that its own history expired or that nothing asks for.
    if (snapshot.manifestList !== null && !(await context(found).store.stat(snapshot.manifestList))) {
      leaveApart('is a snapshot whose manifest list is not in the case')
      continue
    }
    const rows = await count(found, { kind: 'snapshot', id: snapshot.snapshotId })
    if (total === undefined || deletes !== '0') continue
    expect([found.case.name, snapshot.snapshotId, rows]).toEqual([found.case.name, snapshot.snapshotId, Number(total)])
    tally.counts++
  }
}

/** Each metadata table is read whole; those of files have as many as the case says. */
async function readMetadataTables(found: Found): Promise<void> {
  const { table } = found
  const ofAll = (name: string) => name.startsWith('all_')
  const { snapshots } = readMetadata(found)
  const stats = await Promise.all(
    snapshots.map(({ manifestList }) => (manifestList === null ? true : context(found).store.stat(manifestList))),
  )
  const names = metadataTableNames.filter((name) => !ofAll(name) || stats.every((one) => one !== null))
  const open = () => engine.session(names.map((name) => boundMetadata(tableId(`m.${name}`), found, name)))
  if (snapshots.some(({ snapshotId }) => BigInt.asIntN(64, snapshotId) !== snapshotId)) {
    await expect(open()).rejects.toMatchObject({
      kind: 'iceberg/invalid-metadata',
      message: expect.stringMatching(/64 bits/),
    })
    return leaveApart('has ids beyond 64 bits, which no metadata table shows')
  }
  await using session = await open()
  const count = async (name: string) =>
    Number((await session.rows(`SELECT count(*) FROM (SELECT * FROM m.${name})`)).rows[0]?.[0])
  for (const name of names) expect([name, (await count(name)) >= 0]).toEqual([name, true])
  expect(await count('snapshots')).toBe(snapshots.length)
  const positions = await session.rows('SELECT sum(position_delete_record_count)::BIGINT FROM m.partitions')
  expect([found.case.name, await count('position_deletes')]).toEqual([
    found.case.name,
    Number(positions.rows[0]?.[0] ?? 0),
  ])
  if (table.data_files === undefined) return
  const files = [await count('data_files'), await count('delete_files'), await count('files')]
  const deletes = table.delete_files ?? 0
  expect([found.case.name, ...files]).toEqual([found.case.name, table.data_files, deletes, table.data_files + deletes])
  tally.counts += 2
}

async function orRefused(name: string, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof LimnError && error.kind === 'iceberg/unsupported' && refusable.test(error.message)))
      throw error
    tally.refused.push(`${name}: ${error.message}`)
  }
}

describe.runIf(cases.length > 0)('rows of Iceberg tables that other systems wrote', () => {
  for (const each of cases) {
    const questions = questionsOf(each)
    for (const [i, question] of questions.entries()) {
      const title = 'sql' in question ? question.sql.replaceAll(/\s+/g, ' ').slice(0, 90) : question.kind
      it(`${each.name} #${i}: ${title}`, () => orRefused(each.name, () => answer(each, question)))
    }
    for (const table of each.tables) {
      const found = { case: each, table, metadataFile: table.metadata_file }
      it(`${each.name}: ${table.table} has as many rows as others say`, async () => {
        tally.tables++
        await orRefused(each.name, () =>
          compareWithOthers(found, each.expected_row_count !== undefined && each.tables.length === 1),
        )
      })
      it(`${each.name}: every metadata table of ${table.table} is read`, () =>
        orRefused(each.name, () => readMetadataTables(found)))
      it(`${each.name}: every snapshot of ${table.table} is read`, () => orRefused(each.name, () => readHistory(found)))
    }
  }

  it('is covered as far as the corpus goes', () => {
    const apart = [...tally.apart.values()].reduce((sum, one) => sum + one, 0)
    process.stdout.write(
      `${tally.tables} tables: ${tally.answers} queries answered alike, ${tally.metadataTables} metadata tables read, ${tally.counts} counts equal; ${apart} questions left apart:\n` +
        [...tally.apart].map(([why, times]) => `  ${times} × ${why}\n`).join('') +
        `${tally.refused.length} refused by name:\n${tally.refused.map((line) => `  ${line}\n`).join('')}` +
        `${tally.unknown.length} expectations not understood:\n${tally.unknown.map((line) => `  ${line}\n`).join('')}`,
    )
    expect(tally.tables).toBe(cases.reduce((sum, each) => sum + each.tables.length, 0))
    expect(tally.answers + tally.counts).toBeGreaterThan(0)
  })
})
