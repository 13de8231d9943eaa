import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseJson, stringifyJson } from '../../packages/limn/src/encoding/index.ts'
import { columnItem, lineageOf, pushedDown, rootOf, selectOf } from '../../packages/limn/src/sql/index.ts'
import { bareDuck } from '../support/hive-folder.ts'

const columns = new Map([
  ['x.t', ['a', 'b', 'c']],
  ['x.u', ['a', 'd']],
])

describe('a condition on the output of a query', () => {
  let duck: Awaited<ReturnType<typeof bareDuck>>
  beforeAll(async () => {
    duck = await bareDuck()
    await duck.rows('CREATE SCHEMA x')
    await duck.rows(
      'CREATE TABLE x.t AS SELECT (i % 4)::INTEGER AS a, (i % 7)::INTEGER AS b, CASE WHEN i % 5 > 0 THEN i::INTEGER END AS c FROM range(40) r(i)',
    )
    await duck.rows('CREATE TABLE x.u AS SELECT (i % 3)::INTEGER AS a, (i * 10)::INTEGER AS d FROM range(5) r(i)')
  })
  afterAll(() => duck[Symbol.dispose]())

  const tree = async (sql: string): Promise<unknown> =>
    parseJson(String((await duck.rows(`SELECT json_serialize_sql('${sql.replaceAll("'", "''")}')::VARCHAR`))[0]?.[0]))
  const text = async (query: unknown) =>
    String(
      (await duck.rows(`SELECT json_deserialize_sql('${stringifyJson(query).replaceAll("'", "''")}'::JSON)`))[0]?.[0],
    )

  async function pushed(query: string, condition: string, table = 'x.t') {
    const whole = await tree(query)
    const lineage = lineageOf(stringifyJson((whole as { readonly statements: unknown }).statements), columns)
    const where = rootOf(await tree(`SELECT 1 WHERE ${condition}`))?.where_clause
    const found = pushedDown(
      whole,
      where,
      table,
      (name) => lineage.columns.find((one) => one.name === name)?.uses ?? null,
    )
    if (found.kind === 'kept') return found.why
    return (await text(selectOf(found.condition, await tree('SELECT 1')))).replace(/^SELECT /, '')
  }

  /** Rows of the table of which the condition is not true are taken away: what is asked about must stay as it is. */
  async function expectSound(query: string, condition: string, below: string, table: string): Promise<void> {
    const asked = (sql: string) => duck.rows(`SELECT * FROM (${sql}) q WHERE ${condition} ORDER BY ALL`)
    const less = query.replaceAll(new RegExp(`${table}\\b`, 'g'), `(SELECT * FROM ${table} WHERE ${below})`)
    expect([query, await asked(less)]).toEqual([query, await asked(query)])
  }

  it('is put to a table in the words of its columns, and rows of which it is not true made none of the rows', async () => {
    for (const [query, condition, table, below] of [
      ['SELECT a, b AS n FROM x.t', 'n = 3', 'x.t', '(b = 3)'],
      [
        'SELECT coalesce(c, 0) AS n, sum(b) AS s FROM x.t GROUP BY 1',
        'n IN (0, 6)',
        'x.t',
        '(COALESCE(c, 0) IN (0, 6))',
      ],
      ['SELECT DISTINCT a + b AS n FROM x.t WHERE b > 1', 'n < 4', 'x.t', '((a + b) < 4)'],
      ['SELECT p.b, q.d FROM x.t p JOIN x.u q ON q.a = p.a', 'b = 2', 'x.t', '(b = 2)'],
      ['SELECT p.b, q.d FROM x.t p JOIN x.u q ON q.a = p.a', 'd > 10', 'x.u', '(d > 10)'],
      ['SELECT p.b, q.d FROM x.t p LEFT JOIN x.u q ON q.a = p.a', 'b = 2', 'x.t', '(b = 2)'],
    ] as const) {
      const found = await pushed(query, condition, table)
      expect([query, found]).toEqual([query, below])
      await expectSound(query, condition, found, table)
    }
  })

  it('is not, where rows of the table may matter of which it is not true', async () => {
    for (const [query, condition, table, why] of [
      ['SELECT a, sum(b) AS s FROM x.t GROUP BY a', 's > 3', 'x.t', 's is computed of many rows'],
      ['SELECT p.b, q.d FROM x.t p JOIN x.u q ON q.a = p.a', 'd > 10', 'x.t', 'd is a matter of x.u'],
      [
        'SELECT p.b + q.d AS n FROM x.t p JOIN x.u q ON q.a = p.a',
        'n > 1',
        'x.t',
        'n is computed of columns of x.t and x.u',
      ],
      [
        'SELECT p.b, q.d FROM x.t p LEFT JOIN x.u q ON q.a = p.a',
        'd IS NULL',
        'x.u',
        'its query has rows for which x.u has none',
      ],
      ['SELECT p.b FROM x.t p JOIN x.t q ON q.a = p.b', 'b = 1', 'x.t', 'its query does not read x.t once, as a table'],
      ['SELECT a, row_number() OVER (ORDER BY b) AS n FROM x.t', 'a = 1', 'x.t', 'its query has a window'],
      ['SELECT a FROM x.t ORDER BY b LIMIT 3', 'a = 1', 'x.t', 'its query takes some rows of many'],
      ['SELECT DISTINCT ON (a) a, b FROM x.t ORDER BY b', 'b = 1', 'x.t', 'its query takes some rows of many'],
      ['SELECT a FROM (SELECT a + 1 AS a FROM x.t)', 'a = 1', 'x.t', 'its query is not one plain SELECT'],
      ['WITH k AS (SELECT a FROM x.t) SELECT a FROM k', 'a = 1', 'x.t', 'its query is not one plain SELECT'],
      ['SELECT a FROM x.t UNION ALL SELECT a FROM x.u', 'a = 1', 'x.t', 'its query is not one plain SELECT'],
      ['SELECT a FROM x.t', 'zz = 1', 'x.t', 'zz is no column of its query by name'],
      ['SELECT a FROM x.t', 'a IN (SELECT d FROM x.u)', 'x.t', 'the condition has a subquery'],
      ['SELECT unnest([a, b]) AS n FROM x.t', 'n = 1', 'x.t', 'n is computed of many rows'],
    ] as const)
      expect([query, await pushed(query, condition, table)]).toEqual([query, why])
    expect(columnItem(await tree('SELECT a AS n FROM x.t'), 'n')).not.toBe(null)
  })
})
