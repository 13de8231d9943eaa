import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  isAggregateName,
  lineageDifference,
  lineageOf,
  type QueryLineage,
  usesColumn,
} from '../../packages/limn/src/sql/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'
import { Chooser, edit, makeQuery, print, tables } from '../support/query-specs.ts'

describe('column lineage', () => {
  let made: Awaited<ReturnType<typeof temporaryEngine>>
  let instance: DuckDBInstance
  let connection: Awaited<ReturnType<DuckDBInstance['connect']>>
  beforeAll(async () => {
    made = await temporaryEngine()
    instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    connection = await instance.connect()
    await connection.run(`CREATE SCHEMA base; CREATE SCHEMA silver;
      CREATE TABLE base.t AS SELECT i % 4 AS k, i % 3 AS a, (i * 7) % 5 AS b, nullif(i % 6, 4) AS c, i % 2 AS d FROM range(12) r(i);
      CREATE TABLE base.u AS SELECT i % 5 AS k, (i * 3) % 4 AS x, i AS y FROM range(6) r(i)`)
  })
  afterAll(async () => {
    connection.closeSync()
    instance.closeSync()
    await made[Symbol.asyncDispose]()
  })

  const read = async (sql: string): Promise<QueryLineage> => lineageOf((await made.engine.parse(sql)).canonical, tables)
  /** What DuckDB gives, some columns of it, in no order; `changed` columns have other values than they should. */
  const answer = async (sql: string, only: readonly string[], changed: string | null): Promise<readonly string[]> => {
    for (const [id, columns] of tables) {
      const list = columns.map((column) =>
        `${id}.${column}` === changed ? `(${column} * 5 + 2) % 7 AS ${column}` : column,
      )
      await connection.run(`CREATE OR REPLACE VIEW ${id} AS SELECT ${list.join(', ')} FROM base.${id.slice(7)}`)
    }
    const names = only.map((name) => `"${name}"`).join(', ')
    const rows = (await connection.runAndReadAll(`SELECT ${names || '1'} FROM (${sql})`)).getRowsJson()
    return rows.map((row) => JSON.stringify(row)).sort()
  }
  const from = (lineage: QueryLineage, name: string) =>
    [...(lineage.columns.find((column) => column.name === name)?.uses ?? [])].flatMap(([table, columns]) =>
      columns === 'all' ? [`${table}.*`] : [...columns].sort().map((column) => `${table}.${column}`),
    )
  const rowsOf = (lineage: QueryLineage) =>
    [...lineage.rows.uses]
      .flatMap(([table, columns]) =>
        columns === 'all' ? [`${table}.*`] : [...columns].map((column) => `${table}.${column}`),
      )
      .sort()

  it('follows names through parts, stars, joins and set operations to tables', async () => {
    const one =
      await read(`WITH x AS (SELECT *, a + b AS s FROM silver.t WHERE d > 0), y(k, top) AS (SELECT k, max(x) FROM silver.u GROUP BY ALL)
      SELECT x.* EXCLUDE (a) REPLACE (c + 1 AS c), top, s * 2 AS twice, twice + 1 AS more FROM x LEFT JOIN y USING (k)`)
    expect(one.unresolved).toEqual([])
    expect(one.columns.map((column) => column.name)).toEqual(['k', 'b', 'c', 'd', 's', 'top', 'twice', 'more'])
    expect(from(one, 'c')).toEqual(['silver.t.c'])
    expect(from(one, 'top')).toEqual(['silver.u.x'])
    expect(from(one, 'more')).toEqual(['silver.t.a', 'silver.t.b'])
    expect(rowsOf(one)).toEqual(['silver.t.d', 'silver.t.k', 'silver.u.k'])
    const two = await read('SELECT a, b FROM silver.t UNION ALL SELECT x, y FROM silver.u')
    expect(from(two, 'a')).toEqual(['silver.t.a', 'silver.u.x'])
    expect(rowsOf(two)).toEqual([])
    expect(rowsOf(await read('SELECT a FROM silver.t EXCEPT SELECT x FROM silver.u'))).toEqual([
      'silver.t.a',
      'silver.u.x',
    ])
    const three =
      await read(`SELECT a, (SELECT sum(y) FROM silver.u AS q WHERE q.k = t.k) AS total, list_transform([b], e -> e + c) AS l
      FROM silver.t AS t WHERE EXISTS (FROM silver.u AS w WHERE w.x = t.d)`)
    expect(from(three, 'total')).toEqual(['silver.u.k', 'silver.u.y', 'silver.t.k'])
    expect(from(three, 'l')).toEqual(['silver.t.b', 'silver.t.c'])
    expect(rowsOf(three)).toContain('silver.t.d')
    const four = await read('SELECT a, n FROM silver.t, unnest([b, c]) AS e(n)')
    expect(from(four, 'n')).toEqual(['silver.t.b', 'silver.t.c'])
    expect(rowsOf(four)).toEqual(['silver.t.b', 'silver.t.c'])
  })

  it('says what it cannot tell, and then counts everything', async () => {
    const recursive = await read(
      'WITH RECURSIVE r AS (SELECT a FROM silver.t UNION ALL SELECT a + 1 FROM r WHERE a < 3) SELECT a FROM r',
    )
    expect([...recursive.uses]).toEqual([['silver.t', 'all']])
    const pattern = await read("SELECT COLUMNS('a|b') FROM silver.t")
    expect(pattern.open).toBe(true)
    expect(pattern.unresolved).toEqual(['it cannot be told which columns a star gives'])
    const json = await read("SELECT json_extract(c -> 'x', 'y') AS j, row(a, b) AS r, t AS whole FROM silver.t AS t")
    expect(from(json, 'j')).toEqual(['silver.t.c'])
    expect(from(json, 'whole')).toHaveLength(5)
    const unknown = await read('SELECT a FROM silver.elsewhere')
    expect([...unknown.uses]).toEqual([['silver.elsewhere', 'all']])
  })

  it('finds no difference in spelling, comments, names of parts, or parts that pass rows on', async () => {
    const plain = await read('SELECT a, sum(b) AS s FROM silver.t WHERE c > 1 GROUP BY a')
    for (const other of [
      'select  a , sum( b ) as s -- sums\nfrom silver.t where c>1 group by 1',
      'WITH p AS (SELECT * FROM silver.t) SELECT a, sum(b) AS s FROM p WHERE c > 1 GROUP BY p.a',
      'WITH q AS (FROM silver.t) SELECT q.a, sum(b) AS s FROM (SELECT a, b, c FROM q) AS q WHERE (c > 1) GROUP BY a',
    ])
      expect(lineageDifference(plain, await read(other)), other).toEqual({
        added: [],
        removed: [],
        changed: [],
        rowsDiffer: false,
        facets: [],
      })
  })

  it('names what differs', async () => {
    const differ = async (a: string, b: string) => {
      const found = lineageDifference(await read(a), await read(b))
      return [
        ...found.added.map((name) => `+${name}`),
        ...found.removed.map((name) => `-${name}`),
        ...found.changed.map((one) => `~${one.name}`),
        ...found.facets.map((one) => `${one.kind} ${one.before ? 'x' : '-'}>${one.after ? 'x' : '-'}`),
      ]
    }
    expect(await differ('SELECT a FROM silver.t', 'SELECT a, b FROM silver.t')).toEqual(['+b'])
    expect(await differ('SELECT a, b FROM silver.t', 'SELECT b + 1 AS b FROM silver.t')).toEqual(['-a', '~b'])
    expect(await differ('SELECT a FROM silver.t', 'SELECT a FROM silver.t WHERE b > 1 AND c > 1')).toEqual([
      'filter ->x',
      'filter ->x',
    ])
    expect(await differ('SELECT a FROM silver.t WHERE b > 1', 'SELECT a FROM silver.t WHERE b > 2')).toEqual([
      'filter x>x',
    ])
    expect(await differ('SELECT DISTINCT a FROM silver.t', 'SELECT DISTINCT a, b FROM silver.t')).toContain(
      'distinct x>x',
    )
    expect(await differ('SELECT a FROM silver.t', 'SELECT a, unnest([1, 2]) AS n FROM silver.t')).toEqual([
      '+n',
      'rows of a column ->x',
    ])
    expect(await differ('SELECT 1 AS a FROM silver.t', 'SELECT 1 AS a, count(*) AS n FROM silver.t')).toEqual([
      '+n',
      'aggregation ->x',
    ])
    expect(
      await differ(
        'SELECT a, sum(b) AS s FROM silver.t GROUP BY ALL',
        'SELECT a, sum(b) AS s, max(c) AS m FROM silver.t GROUP BY ALL',
      ),
    ).toEqual(['+m'])
    expect(
      await differ(
        'SELECT a, sum(b) AS s FROM silver.t GROUP BY ALL',
        'SELECT a, c, sum(b) AS s FROM silver.t GROUP BY ALL',
      ),
    ).toContain('grouping ->x')
    expect(
      await differ(
        'SELECT l.a FROM silver.t l JOIN silver.u r USING (k)',
        'SELECT l.a FROM silver.t l LEFT JOIN silver.u r USING (k)',
      ),
    ).toContain('join x>x')
    expect(
      await differ(
        'SELECT a, max(b) AS m FROM silver.t GROUP BY ALL',
        'SELECT a, 1 AS one, max(b) AS m FROM silver.t GROUP BY ALL',
      ),
    ).toEqual(['+one'])
    expect(
      await differ(
        'SELECT max(b) AS m FROM silver.t GROUP BY ALL',
        'SELECT 1 AS one, max(b) AS m FROM silver.t GROUP BY ALL',
      ),
    ).toContain('grouping ->x')
    // A name of the outer query is not the same name of the inner one.
    const least = (inner: string) =>
      `SELECT t.a, (SELECT min(i.b) FROM silver.t AS i WHERE i.k = ${inner}.k) AS m FROM silver.t AS t`
    expect(await differ(least('t'), least('i'))).toEqual(['~m'])
    // The same text over other rows is one difference, not two.
    expect(
      await differ(
        'WITH p AS (SELECT a, b FROM silver.t WHERE c > 1) SELECT a FROM p WHERE b > 1',
        'WITH p AS (SELECT a, b FROM silver.t WHERE c > 2) SELECT a FROM p WHERE b > 1',
      ),
    ).toEqual(['filter x>x'])
  })

  it('knows every aggregate function of the engine', async () => {
    const { rows } = await (async () => {
      await using session = await made.engine.session([])
      return await session.rows(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'",
      )
    })()
    expect(rows.map((row) => String(row[0])).filter((name) => !isAggregateName(name) && /^[a-z]/.test(name))).toEqual(
      [],
    )
  })

  const seed = process.env.LIMN_SEED ?? 'lineage 1'
  const more = process.env.LIMN_SEED === undefined ? 1 : 4

  it(`claims only what holds: a column not used changes nothing (seed ${seed})`, async () => {
    let claims = 0
    for (let i = 0; i < 25 * more; i++) {
      const sql = print(makeQuery(new Chooser(`${seed} ${i}`)))
      const lineage = await read(sql)
      expect(lineage.unresolved, sql).toEqual([])
      for (const [table, columns] of tables)
        for (const column of columns) {
          if (usesColumn(lineage.rows.uses, table, column)) continue
          const untouched = lineage.columns.filter((one) => !usesColumn(one.uses, table, column)).map((one) => one.name)
          claims += untouched.length
          const names = untouched.filter((name, at) => untouched.indexOf(name) === at)
          expect(await answer(sql, names, `${table}.${column}`), `${sql}\nwithout ${table}.${column}`).toEqual(
            await answer(sql, names, null),
          )
        }
    }
    expect(claims).toBeGreaterThan(90)
  })

  it(`claims only what holds: what an edit leaves equal is equal (seed ${seed})`, async () => {
    let equal = 0
    for (let i = 0; i < 50 * more; i++) {
      const choose = new Chooser(`${seed} edit ${i}`)
      const before = makeQuery(choose)
      const [a, b] = [print(before), print(edit(choose, before))]
      const [old, next] = [await read(a), await read(b)]
      const found = lineageDifference(old, next)
      if (found.rowsDiffer) continue
      const changed = new Set([...found.added, ...found.changed.map((one) => one.name)])
      const names = next.columns
        .map((one) => one.name)
        .filter((name, at, all) => !changed.has(name) && all.indexOf(name) === at)
      equal += names.length
      expect(await answer(b, names, null), `${a}\n${b}`).toEqual(await answer(a, names, null))
    }
    expect(equal).toBeGreaterThan(20)
  })
})
