import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  columnItem,
  columnsHandedThrough,
  columnsNamed,
  partsApart,
  tablesJoined,
  volatileParts,
} from '../../packages/limn/src/sql/index.ts'
import { bareDuck } from '../support/hive-folder.ts'

describe('a query taken apart', () => {
  let duck: Awaited<ReturnType<typeof bareDuck>>
  beforeAll(async () => {
    duck = await bareDuck()
  })
  afterAll(() => duck[Symbol.dispose]())

  const tree = async (sql: string): Promise<unknown> => {
    const rows = await duck.rows(`SELECT json_serialize_sql('${sql.replaceAll("'", "''")}')::VARCHAR`)
    return JSON.parse(String(rows[0]?.[0]))
  }
  const apart = async (before: string, after: string) =>
    partsApart(await tree(before), await tree(after)).map((one) => [one.kind, one.name, one.within].join(' ').trim())

  it('differs in the parts that differ, and in none for spaces, comments and case of keywords', async () => {
    const base = 'SELECT a, sum(b) AS s FROM x.t AS t WHERE c > 1 GROUP BY a'
    expect(await apart(base, 'select a, /* s */ SUM(b) AS s from x.t AS t where c > 1 group by a')).toEqual([])
    expect(await apart(base, base.replace('c > 1', 'c >= 1'))).toEqual(['where'])
    expect(await apart(base, base.replace('sum(b)', 'max(b)'))).toEqual(['column s'])
    expect(await apart(base, base.replace('x.t AS t', 'x.t AS t JOIN x.u AS u ON u.a = t.a'))).toEqual(['from'])
    expect(await apart(base, base.replace('GROUP BY a', 'GROUP BY a HAVING s > 2'))).toEqual(['having'])
    expect(await apart(base, base.replace('SELECT a,', 'SELECT a, 1 AS one,'))).toEqual(['column one'])
    expect(await apart(base, base.replace('a, sum(b) AS s', 'a'))).toEqual(['column s'])
  })

  it('says in which common table expression a part stands', async () => {
    const cte = (where: string) => `WITH k AS (SELECT a FROM x.t WHERE ${where}) SELECT a FROM k`
    expect(await apart(cte('a > 1'), cte('a > 2'))).toEqual(['where  k'])
  })

  it('knows the tables it joins, the columns it hands through and those an expression names', async () => {
    const query = await tree(
      'SELECT t.a, t.b::INTEGER AS n, t.c + u.d AS s FROM x.t AS t JOIN x.u ON u.a = t.a LEFT JOIN (SELECT 1 AS q) AS z ON true',
    )
    expect(tablesJoined(query)).toEqual([
      { table: 'x.t', alias: 't' },
      { table: 'x.u', alias: 'u' },
    ])
    expect([...columnsHandedThrough(query)]).toEqual([
      ['a', 'a'],
      ['n', 'b'],
    ])
    expect(columnsNamed(columnItem(query, 's'))).toEqual([
      ['t', 'c'],
      ['u', 'd'],
    ])
    expect(columnItem(query, 'x')).toBe(null)
  })

  it('knows what need not come out the same of the same rows', async () => {
    const found = async (sql: string) =>
      volatileParts(await tree(sql)).map((one) => `${one.column ?? '*'} ${one.kind} ${one.what}`)
    expect(await found('SELECT a, max(b) AS m, count(*) AS n FROM x.t GROUP BY a ORDER BY a')).toEqual([])
    expect(await found('SELECT random() AS r, now() AS n, current_date AS d, uuid() AS u FROM x.t')).toEqual([
      'r random random',
      'n clock now',
      'd clock current_date',
      'u random uuid',
    ])
    expect(await found('SELECT first(a) AS f, list(a ORDER BY b) AS l, arg_max(a, b) AS g FROM x.t')).toEqual([
      'f order first',
      'l ties list',
      'g ties arg_max',
    ])
    expect(
      await found('SELECT row_number() OVER (PARTITION BY a) AS p, lag(a) OVER (ORDER BY b) AS q FROM x.t'),
    ).toEqual(['p order row_number', 'q ties lag'])
    expect(await found('SELECT a FROM x.t LIMIT 3')).toEqual(['* order LIMIT'])
    expect(await found('SELECT a FROM x.t ORDER BY a LIMIT 3')).toEqual(['* ties LIMIT'])
    expect(await found('SELECT DISTINCT ON (a) a, b FROM x.t')).toEqual(['* order DISTINCT ON'])
    expect(await found('SELECT a FROM (SELECT * FROM x.t USING SAMPLE 3 ROWS)')).toEqual(['* sample USING SAMPLE'])
    expect(await found('WITH k AS (SELECT random() AS r FROM x.t) SELECT r FROM k')).toEqual(['* random random'])
    expect(await found('SELECT sum(a) OVER (ORDER BY b) AS s FROM x.t WHERE now() > b')).toEqual(['* clock now'])
  })
})
