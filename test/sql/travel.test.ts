import { describe, expect, it } from 'vitest'
import { parseStatement } from '../../packages/limn/src/sql/index.ts'

function travels(sql: string) {
  const tree = parseStatement(sql)
  if (tree.kind !== 'query') throw new Error('no query')
  return tree.query.travels.map((one) => ({
    table: one.table.join('.'),
    version: one.version,
    text: sql.slice(one.start, one.end),
    name: sql.slice(one.start, one.nameEnd),
  }))
}

const at = (expression: string) => ({ kind: 'time', expression })

describe('a table read at a version', () => {
  it.each([
    ['a.t FOR VERSION AS OF 12', { kind: 'snapshot', snapshotId: 12n }],
    ['a.t VERSION AS OF 9223372036854775807', { kind: 'snapshot', snapshotId: 9223372036854775807n }],
    ['a.t for system_version as of 12', { kind: 'snapshot', snapshotId: 12n }],
    ["a.t VERSION AS OF 'audit-1'", { kind: 'ref', ref: 'audit-1' }],
    ['a.t AT (VERSION => 12)', { kind: 'snapshot', snapshotId: 12n }],
    ["a.t AT (TIMESTAMP => TIMESTAMP '2026-01-01')", at("TIMESTAMP '2026-01-01'")],
    ["a.t FOR TIMESTAMP AS OF '2026-01-01 00:00:00'", at("'2026-01-01 00:00:00'")],
    ["a.t TIMESTAMP AS OF '2026-01-01'::TIMESTAMP WITH TIME ZONE", at("'2026-01-01'::TIMESTAMP WITH TIME ZONE")],
    ["a.t FOR SYSTEM_TIME AS OF DATE '2026-01-01' + 1", at("DATE '2026-01-01' + 1")],
    ['a.t FOR SYSTEM_TIME AS OF 1767225600', at('1767225600')],
    ['a.t TIMESTAMP AS OF now() - INTERVAL 1 DAY', at('now() - INTERVAL 1 DAY')],
    ["a.t TIMESTAMP AS OF now() - INTERVAL '1 day'", at("now() - INTERVAL '1 day'")],
    ["a.t TIMESTAMP AS OF (CAST('2026' || '-01-01' AS TIMESTAMP))", at("(CAST('2026' || '-01-01' AS TIMESTAMP))")],
    ['"a"."t" VERSION AS OF 1', { kind: 'snapshot', snapshotId: 1n }],
    ['`a`.`t` VERSION /* old */ AS OF 1', { kind: 'snapshot', snapshotId: 1n }],
  ])('is found in %s, with what may follow it left alone', (text, version) => {
    for (const tail of ['', ' x', ' AS x', ' WHERE true', ' JOIN b.s ON true', ', b.s', ' GROUP BY ALL']) {
      const [found, ...more] = travels(`SELECT * FROM ${text}${tail}`)
      expect(more).toEqual([])
      expect(found).toMatchObject({ table: 'a.t', version, text })
    }
  })

  it('is found wherever it stands, and in order', () => {
    const sql = `WITH c AS (FROM a.t VERSION AS OF 1)
      SELECT *, (SELECT count(*) FROM a.u.files FOR VERSION AS OF 'v1') FROM c JOIN (a.t TIMESTAMP AS OF '2026-01-01') ON true`
    expect(travels(sql).map((one) => [one.table, one.name])).toEqual([
      ['a.t', 'a.t'],
      ['a.u.files', 'a.u.files'],
      ['a.t', 'a.t'],
    ])
  })

  it.each([
    'SELECT version AS of FROM t',
    'SELECT t.version AS of FROM t',
    'SELECT DISTINCT timestamp AS of, 1 FROM t',
    'SELECT x::TIMESTAMP AS of FROM t',
    'SELECT CAST(x AS TIMESTAMP) AS of FROM t',
    "SELECT 'a.t VERSION AS OF 1' FROM t",
    'SELECT 1 -- a.t VERSION AS OF 1',
    'SELECT version, timestamp AS of FROM at',
  ])('is not seen where there is none: %s', (sql) => expect(travels(sql)).toEqual([]))
})
