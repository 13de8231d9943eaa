import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { parseStatement, printStatement } from '../../packages/limn/src/sql/index.ts'
import { shapeOf } from '../support/statements.ts'

const parsed = (sql: string) => shapeOf(parseStatement(sql))
const action = (sql: string) => (parsed(`ALTER TABLE a.t ${sql}`) as { action: unknown }).action

function failure(sql: string): LimnError {
  try {
    parseStatement(sql)
  } catch (error) {
    if (error instanceof LimnError) return error
    throw error
  }
  throw new Error(`it was read: ${sql}`)
}

const primitive = (name: string) => ({ kind: 'primitive', name })
const term = (transform: string, column: string, argument: number | null = null) => ({ transform, argument, column })
const plain = { required: false, defaultValue: null, comment: null }

describe('INSERT', () => {
  const insert = { kind: 'insert', table: 'a.t', columns: null, byName: false, with: null, query: 'SELECT 1' }
  const append = { kind: 'append' }
  const cases: readonly (readonly [string, object])[] = [
    ['INSERT INTO a.t SELECT 1', { ...insert, mode: append }],
    ['insert into table a.t select 1', { ...insert, mode: append, query: 'select 1' }],
    ["INSERT INTO a.t VALUES (1, 'x'), (2, 'y');", { ...insert, mode: append, query: "VALUES (1, 'x'), (2, 'y')" }],
    ['INSERT INTO a.t (x, y) SELECT 1, 2', { ...insert, mode: append, columns: ['x', 'y'], query: 'SELECT 1, 2' }],
    ['INSERT INTO a.t (SELECT 1)', { ...insert, mode: append, query: '(SELECT 1)' }],
    ['INSERT INTO a.t BY NAME SELECT 1 AS x', { ...insert, mode: append, byName: true, query: 'SELECT 1 AS x' }],
    ['INSERT INTO a.t FROM b.s', { ...insert, mode: append, query: 'FROM b.s' }],
    ['INSERT INTO a.t WITH c AS (SELECT 1) FROM c', { ...insert, mode: append, query: 'WITH c AS (SELECT 1) FROM c' }],
    [
      'WITH c AS (SELECT 1) INSERT INTO a.t FROM c',
      { ...insert, mode: append, with: 'c AS (SELECT 1)', query: 'FROM c' },
    ],
    ['INSERT INTO a.t.branch_audit SELECT 1', { ...insert, mode: append, table: 'a.t.branch_audit' }],
    ['INSERT OVERWRITE a.t SELECT 1', { ...insert, mode: { kind: 'overwrite', partition: [] } }],
    [
      "INSERT OVERWRITE TABLE a.t PARTITION (day = DATE '2026-01-01', kind) SELECT 1",
      {
        ...insert,
        mode: {
          kind: 'overwrite',
          partition: [
            { column: 'day', value: "DATE '2026-01-01'" },
            { column: 'kind', value: null },
          ],
        },
      },
    ],
    [
      'INSERT INTO a.t REPLACE WHERE x IS DISTINCT FROM 3 AND y > 1 SELECT 1',
      { ...insert, mode: { kind: 'replaceWhere', condition: 'x IS DISTINCT FROM 3 AND y > 1' } },
    ],
    [
      "INSERT INTO a.t REPLACE WHERE at < TIMESTAMP WITH TIME ZONE '2026-01-01' FROM b.s",
      {
        ...insert,
        mode: { kind: 'replaceWhere', condition: "at < TIMESTAMP WITH TIME ZONE '2026-01-01'" },
        query: 'FROM b.s',
      },
    ],
  ]
  it.each(cases)('reads %s', (sql, tree) => expect(parsed(sql)).toEqual(tree))
})

describe('UPDATE, DELETE and TRUNCATE', () => {
  const cases: readonly (readonly [string, object])[] = [
    [
      "UPDATE a.t SET c = 1, p.x = f(a, b), d = DEFAULT WHERE c IN (1, 2) AND note = 'WHERE'",
      {
        kind: 'update',
        table: 'a.t',
        alias: null,
        set: [
          { column: 'c', value: '1' },
          { column: 'p.x', value: 'f(a, b)' },
          { column: 'd', value: null },
        ],
        where: "c IN (1, 2) AND note = 'WHERE'",
      },
    ],
    [
      'UPDATE a.t AS x SET c = (SELECT max(c) FROM b.s WHERE b.s.id = x.id)',
      {
        kind: 'update',
        table: 'a.t',
        alias: 'x',
        set: [{ column: 'c', value: '(SELECT max(c) FROM b.s WHERE b.s.id = x.id)' }],
        where: null,
      },
    ],
    [
      'UPDATE a.t x SET c = CASE WHEN a THEN 1 ELSE 2 END',
      {
        kind: 'update',
        table: 'a.t',
        alias: 'x',
        set: [{ column: 'c', value: 'CASE WHEN a THEN 1 ELSE 2 END' }],
        where: null,
      },
    ],
    ['DELETE FROM a.t', { kind: 'delete', table: 'a.t', alias: null, where: null }],
    ['DELETE FROM a.t AS d WHERE d.x = [1, 2]', { kind: 'delete', table: 'a.t', alias: 'd', where: 'd.x = [1, 2]' }],
    ['DELETE FROM a.t d WHERE EXISTS (FROM s)', { kind: 'delete', table: 'a.t', alias: 'd', where: 'EXISTS (FROM s)' }],
    ['TRUNCATE TABLE a.t', { kind: 'truncate', table: 'a.t' }],
  ]
  it.each(cases)('reads %s', (sql, tree) => expect(parsed(sql)).toEqual(tree))
})

describe('MERGE', () => {
  it('reads every clause with its condition', () => {
    const sql = `
      MERGE INTO a.t AS t USING (SELECT * FROM b.s WHERE ok) AS s ON t.id = s.id AND CASE WHEN s.x THEN true END
      WHEN MATCHED AND s.gone THEN DELETE
      WHEN MATCHED AND t.v < s.v THEN UPDATE SET v = s.v, p.q = CASE WHEN s.x THEN 1 ELSE t.p.q END
      WHEN MATCHED THEN UPDATE SET *
      WHEN NOT MATCHED AND s.v > 0 THEN INSERT (id, v) VALUES (s.id, DEFAULT)
      WHEN NOT MATCHED BY TARGET THEN INSERT *
      WHEN NOT MATCHED BY SOURCE AND t.v = 0 THEN UPDATE SET v = -1
      WHEN NOT MATCHED BY SOURCE THEN DELETE`
    expect(parsed(sql)).toEqual({
      kind: 'merge',
      table: 'a.t',
      alias: 't',
      source: { kind: 'query', from: 'SELECT * FROM b.s WHERE ok', alias: 's', columns: [] },
      on: 't.id = s.id AND CASE WHEN s.x THEN true END',
      clauses: [
        { when: 'matched', condition: 's.gone', action: { kind: 'delete' } },
        {
          when: 'matched',
          condition: 't.v < s.v',
          action: {
            kind: 'update',
            set: [
              { column: 'v', value: 's.v' },
              { column: 'p.q', value: 'CASE WHEN s.x THEN 1 ELSE t.p.q END' },
            ],
          },
        },
        { when: 'matched', condition: null, action: { kind: 'updateAll' } },
        {
          when: 'notMatched',
          condition: 's.v > 0',
          action: { kind: 'insert', columns: ['id', 'v'], values: ['s.id', null] },
        },
        { when: 'notMatched', condition: null, action: { kind: 'insertAll' } },
        {
          when: 'notMatchedBySource',
          condition: 't.v = 0',
          action: { kind: 'update', set: [{ column: 'v', value: '-1' }] },
        },
        { when: 'notMatchedBySource', condition: null, action: { kind: 'delete' } },
      ],
    })
  })

  it.each([
    ['b.s', { kind: 'table', from: 'b.s', alias: null, columns: [] }],
    ['b.s x', { kind: 'table', from: 'b.s', alias: 'x', columns: [] }],
    ['b.s FOR VERSION AS OF 12 AS x', { kind: 'table', from: 'b.s FOR VERSION AS OF 12', alias: 'x', columns: [] }],
    [
      "b.s TIMESTAMP AS OF '2026-01-01'",
      { kind: 'table', from: "b.s TIMESTAMP AS OF '2026-01-01'", alias: null, columns: [] },
    ],
    ['(VALUES (1, 2)) AS v (a, b)', { kind: 'query', from: 'VALUES (1, 2)', alias: 'v', columns: ['a', 'b'] }],
  ])('takes the source %s', (source, tree) => {
    const merge = parsed(`MERGE INTO a.t USING ${source} ON true WHEN MATCHED THEN DELETE`) as { source: unknown }
    expect(merge.source).toEqual(tree)
  })

  it('refuses a clause behind one that takes all', () => {
    const error = failure(
      'MERGE INTO a.t USING s ON true\nWHEN MATCHED THEN DELETE\nWHEN MATCHED AND x THEN UPDATE SET *',
    )
    expect(error.message).toBe(
      'Line 3, column 1: This clause is never reached: an earlier one of its kind has no condition.',
    )
  })
})

describe('CREATE and DROP', () => {
  const table = {
    kind: 'createTable',
    create: 'create',
    ifNotExists: false,
    table: 'a.t',
    partitionedBy: [],
    location: null,
    comment: null,
    properties: [],
    query: null,
  }
  const one = [{ name: 'id', type: primitive('long'), ...plain }]
  const cases: readonly (readonly [string, object])[] = [
    ['CREATE TABLE a.t (id BIGINT)', { ...table, columns: one }],
    [
      "CREATE TABLE IF NOT EXISTS a.t (id BIGINT NOT NULL DEFAULT 7 + 1 COMMENT 'the ''id''', n STRING DEFAULT 'a, b') USING iceberg",
      {
        ...table,
        ifNotExists: true,
        columns: [
          { name: 'id', type: primitive('long'), required: true, defaultValue: '7 + 1', comment: "the 'id'" },
          { name: 'n', type: primitive('string'), required: false, defaultValue: "'a, b'", comment: null },
        ],
      },
    ],
    [
      "CREATE TABLE a.t (id BIGINT) COMMENT 'all' LOCATION '/x' PARTITIONED BY (bucket(id, 8)) TBLPROPERTIES ('k' 'v', a.b = 3, c = true, d = -1.5)",
      {
        ...table,
        columns: one,
        comment: 'all',
        location: '/x',
        partitionedBy: [term('bucket', 'id', 8)],
        properties: [
          { key: 'k', value: 'v' },
          { key: 'a.b', value: '3' },
          { key: 'c', value: 'true' },
          { key: 'd', value: '-1.5' },
        ],
      },
    ],
    ['CREATE TABLE a.t AS SELECT 1 AS x', { ...table, columns: [], query: 'SELECT 1 AS x' }],
    [
      'CREATE OR REPLACE TABLE a.t PARTITIONED BY (x) AS SELECT 1 AS x',
      {
        ...table,
        create: 'createOrReplace',
        columns: [],
        partitionedBy: [term('identity', 'x')],
        query: 'SELECT 1 AS x',
      },
    ],
    ['REPLACE TABLE a.t AS FROM b.s', { ...table, create: 'replace', columns: [], query: 'FROM b.s' }],
    ['DROP TABLE a.t', { kind: 'dropTable', table: 'a.t', ifExists: false, purge: false }],
    ['DROP TABLE IF EXISTS a.t PURGE', { kind: 'dropTable', table: 'a.t', ifExists: true, purge: true }],
    [
      "CREATE VIEW a.v (x COMMENT 'first', y) COMMENT 'c' TBLPROPERTIES ('k' = 'v') AS SELECT 1, 2",
      {
        kind: 'createView',
        create: 'create',
        ifNotExists: false,
        view: 'a.v',
        columns: [
          { name: 'x', comment: 'first' },
          { name: 'y', comment: null },
        ],
        comment: 'c',
        properties: [{ key: 'k', value: 'v' }],
        query: 'SELECT 1, 2',
      },
    ],
    ['DROP VIEW IF EXISTS a.v', { kind: 'dropView', view: 'a.v', ifExists: true }],
    [
      "ALTER VIEW a.v SET TBLPROPERTIES ('k' = 'v')",
      { kind: 'alterView', view: 'a.v', action: { kind: 'setProperties', properties: [{ key: 'k', value: 'v' }] } },
    ],
    [
      "ALTER VIEW a.v UNSET TBLPROPERTIES IF EXISTS ('k', l)",
      { kind: 'alterView', view: 'a.v', action: { kind: 'unsetProperties', keys: ['k', 'l'], ifExists: true } },
    ],
    [
      'ALTER VIEW a.v AS SELECT 2',
      { kind: 'alterView', view: 'a.v', action: { kind: 'replaceQuery', query: 'SELECT 2' } },
    ],
    ['ALTER VIEW a.v RENAME TO a.w', { kind: 'alterView', view: 'a.v', action: { kind: 'rename', to: 'a.w' } }],
  ]
  it.each(cases)('reads %s', (sql, tree) => expect(parsed(sql)).toEqual(tree))

  it.each([
    ['BOOLEAN', primitive('boolean')],
    ['smallint', primitive('int')],
    ['INT', primitive('int')],
    ['LONG', primitive('long')],
    ['float', primitive('float')],
    ['double', primitive('double')],
    ['DECIMAL(38, 4)', { kind: 'decimal', precision: 38, scale: 4 }],
    ['numeric(5)', { kind: 'decimal', precision: 5, scale: 0 }],
    ['time', primitive('time')],
    ['TIMESTAMP', primitive('timestamp')],
    ['TIMESTAMP_NTZ', primitive('timestamp')],
    ['TIMESTAMP WITHOUT TIME ZONE', primitive('timestamp')],
    ['TIMESTAMP WITH TIME ZONE', primitive('timestamptz')],
    ['TIMESTAMP_LTZ', primitive('timestamptz')],
    ['timestamptz', primitive('timestamptz')],
    ['timestamp_ns', primitive('timestamp_ns')],
    ['VARCHAR(20)', primitive('string')],
    ['uuid', primitive('uuid')],
    ['binary', primitive('binary')],
    ['fixed(16)', { kind: 'fixed', length: 16 }],
    ['fixed[16]', { kind: 'fixed', length: 16 }],
    ['variant', primitive('variant')],
    ['unknown', primitive('unknown')],
    ['INT[][]', { kind: 'list', element: { kind: 'list', element: primitive('int') } }],
    ['ARRAY<ARRAY<INT>>', { kind: 'list', element: { kind: 'list', element: primitive('int') } }],
    ['MAP(STRING, INT)', { kind: 'map', key: primitive('string'), value: primitive('int') }],
    [
      "struct<a: INT NOT NULL COMMENT 'x', `b c` MAP<STRING, ARRAY<DATE>>>",
      {
        kind: 'struct',
        fields: [
          { name: 'a', type: primitive('int'), required: true, comment: 'x' },
          {
            name: 'b c',
            type: { kind: 'map', key: primitive('string'), value: { kind: 'list', element: primitive('date') } },
            required: false,
            comment: null,
          },
        ],
      },
    ],
  ])('knows the type %s', (text, type) => {
    const tree = parsed(`CREATE TABLE a.t (c ${text} NOT NULL)`) as { columns: readonly { type: unknown }[] }
    expect(tree.columns[0]?.type).toEqual(type)
  })
})

describe('ALTER TABLE', () => {
  const added = { ...plain, place: null }
  const kept = { maxRefAgeMs: null, minSnapshotsToKeep: null, maxSnapshotAgeMs: null }
  const ref = { kind: 'createRef', create: 'create', ifNotExists: false, snapshotId: null, retention: kept }
  const day = 86_400_000
  const cases: readonly (readonly [string, object])[] = [
    ['RENAME TO a.u', { kind: 'rename', to: 'a.u' }],
    ['ADD COLUMN x INT', { kind: 'addColumns', columns: [{ column: 'x', type: primitive('int'), ...added }] }],
    [
      "ADD COLUMNS (point.z DOUBLE COMMENT 'up' AFTER y, m.value.b INT FIRST, l.element.b STRING DEFAULT 'x')",
      {
        kind: 'addColumns',
        columns: [
          {
            column: 'point.z',
            type: primitive('double'),
            ...plain,
            comment: 'up',
            place: { kind: 'after', column: 'y' },
          },
          { column: 'm.value.b', type: primitive('int'), ...plain, place: { kind: 'first' } },
          { column: 'l.element.b', type: primitive('string'), ...added, defaultValue: "'x'" },
        ],
      },
    ],
    [
      'ADD COLUMN a INT, b STRING NOT NULL',
      {
        kind: 'addColumns',
        columns: [
          { column: 'a', type: primitive('int'), ...added },
          { column: 'b', type: primitive('string'), ...added, required: true },
        ],
      },
    ],
    ['RENAME COLUMN p.x TO y', { kind: 'renameColumn', column: 'p.x', to: 'y' }],
    [
      'ALTER COLUMN x TYPE BIGINT',
      { kind: 'alterColumn', column: 'x', change: { kind: 'type', type: primitive('long') } },
    ],
    ["ALTER x COMMENT 'c'", { kind: 'alterColumn', column: 'x', change: { kind: 'comment', comment: 'c' } }],
    ['ALTER COLUMN x FIRST', { kind: 'alterColumn', column: 'x', change: { kind: 'place', place: { kind: 'first' } } }],
    [
      'ALTER COLUMN p.x AFTER y',
      { kind: 'alterColumn', column: 'p.x', change: { kind: 'place', place: { kind: 'after', column: 'y' } } },
    ],
    ['ALTER COLUMN x SET NOT NULL', { kind: 'alterColumn', column: 'x', change: { kind: 'setNotNull' } }],
    ['ALTER COLUMN x DROP NOT NULL', { kind: 'alterColumn', column: 'x', change: { kind: 'dropNotNull' } }],
    [
      'ALTER COLUMN x SET DEFAULT 1 + 2',
      { kind: 'alterColumn', column: 'x', change: { kind: 'setDefault', value: '1 + 2' } },
    ],
    ['ALTER COLUMN x DROP DEFAULT', { kind: 'alterColumn', column: 'x', change: { kind: 'dropDefault' } }],
    ['DROP COLUMN x', { kind: 'dropColumns', columns: ['x'], ifExists: false }],
    ['DROP COLUMNS IF EXISTS (x, p.y)', { kind: 'dropColumns', columns: ['x', 'p.y'], ifExists: true }],
    ["SET TBLPROPERTIES ('k' = 'v')", { kind: 'setProperties', properties: [{ key: 'k', value: 'v' }] }],
    ["UNSET TBLPROPERTIES ('k')", { kind: 'unsetProperties', keys: ['k'], ifExists: false }],
    ["SET LOCATION 's3://b/x'", { kind: 'setLocation', location: 's3://b/x' }],
    ['ADD PARTITION FIELD catalog', { kind: 'addPartitionField', term: term('identity', 'catalog'), name: null }],
    [
      'ADD PARTITION FIELD bucket(16, id) AS shard',
      { kind: 'addPartitionField', term: term('bucket', 'id', 16), name: 'shard' },
    ],
    ['DROP PARTITION FIELD truncate(data, 4)', { kind: 'dropPartitionField', term: term('truncate', 'data', 4) }],
    ['DROP PARTITION FIELD shard', { kind: 'dropPartitionField', term: term('identity', 'shard') }],
    [
      'REPLACE PARTITION FIELD ts_day WITH hours(ts) AS hour_of',
      { kind: 'replacePartitionField', term: term('identity', 'ts_day'), by: term('hour', 'ts'), name: 'hour_of' },
    ],
    [
      'WRITE ORDERED BY category ASC NULLS LAST, bucket(16, id) DESC',
      {
        kind: 'writeOrder',
        distribution: 'range',
        order: [
          { term: term('identity', 'category'), direction: 'asc', nulls: 'last' },
          { term: term('bucket', 'id', 16), direction: 'desc', nulls: 'last' },
        ],
      },
    ],
    [
      'WRITE LOCALLY ORDERED BY (id)',
      {
        kind: 'writeOrder',
        distribution: 'none',
        order: [{ term: term('identity', 'id'), direction: 'asc', nulls: 'first' }],
      },
    ],
    ['WRITE DISTRIBUTED BY PARTITION', { kind: 'writeOrder', distribution: 'hash', order: [] }],
    [
      'WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY id',
      {
        kind: 'writeOrder',
        distribution: 'hash',
        order: [{ term: term('identity', 'id'), direction: 'asc', nulls: 'first' }],
      },
    ],
    ['WRITE UNORDERED', { kind: 'writeOrder', distribution: 'none', order: [] }],
    ['SET IDENTIFIER FIELDS id, p.x', { kind: 'setIdentifierFields', columns: ['id', 'p.x'] }],
    ['DROP IDENTIFIER FIELDS id', { kind: 'dropIdentifierFields', columns: ['id'] }],
    ['CREATE BRANCH audit', { ...ref, type: 'branch', name: 'audit' }],
    ['CREATE OR REPLACE TAG `v-1`', { ...ref, type: 'tag', create: 'createOrReplace', name: 'v-1' }],
    [
      'CREATE BRANCH IF NOT EXISTS audit AS OF VERSION 9223372036854775806 RETAIN 7 DAYS WITH SNAPSHOT RETENTION 2 SNAPSHOTS 3 HOURS',
      {
        ...ref,
        type: 'branch',
        name: 'audit',
        ifNotExists: true,
        snapshotId: 9223372036854775806n,
        retention: { maxRefAgeMs: 7 * day, minSnapshotsToKeep: 2, maxSnapshotAgeMs: 3 * 3_600_000 },
      },
    ],
    [
      'REPLACE BRANCH audit AS OF VERSION 4 WITH SNAPSHOT RETENTION 2 DAYS',
      {
        ...ref,
        type: 'branch',
        name: 'audit',
        create: 'replace',
        snapshotId: 4n,
        retention: { ...kept, maxSnapshotAgeMs: 2 * day },
      },
    ],
    [
      'REPLACE TAG t RETAIN 90 MINUTES',
      { ...ref, type: 'tag', name: 't', create: 'replace', retention: { ...kept, maxRefAgeMs: 5_400_000 } },
    ],
    ['DROP BRANCH IF EXISTS audit', { kind: 'dropRef', type: 'branch', name: 'audit', ifExists: true }],
    ['DROP TAG v1', { kind: 'dropRef', type: 'tag', name: 'v1', ifExists: false }],
  ]
  it.each(cases)('reads %s', (sql, tree) => expect(action(sql)).toEqual(tree))
})

describe('SHOW, DESCRIBE and CALL', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['SHOW TABLES', { kind: 'show', what: { kind: 'tables', namespace: null } }],
    ['SHOW TABLES IN a', { kind: 'show', what: { kind: 'tables', namespace: 'a' } }],
    ['DESCRIBE a.t', { kind: 'show', what: { kind: 'columns', table: 'a.t' } }],
    ['DESC TABLE a.t', { kind: 'show', what: { kind: 'columns', table: 'a.t' } }],
    ['DESCRIBE SELECT 1', { kind: 'query', query: 'DESCRIBE SELECT 1' }],
    ['SHOW TBLPROPERTIES a.t', { kind: 'show', what: { kind: 'properties', table: 'a.t' } }],
    ['SHOW VIEWS', { kind: 'show', what: { kind: 'views', namespace: null } }],
    ['SHOW VIEWS FROM a;', { kind: 'show', what: { kind: 'views', namespace: 'a' } }],
    ['SHOW CREATE VIEW a.v', { kind: 'show', what: { kind: 'createView', view: 'a.v' } }],
    ['DESCRIBE VIEW a.v', { kind: 'show', what: { kind: 'columns', table: 'a.v' } }],
    ['SHOW CREATE TABLE a.t', { kind: 'show', what: { kind: 'createTable', table: 'a.t' } }],
    [
      "CALL system.rollback_to_snapshot('a.t', 1)",
      {
        kind: 'call',
        procedure: 'system.rollback_to_snapshot',
        arguments: [
          { name: null, value: "'a.t'" },
          { name: null, value: '1' },
        ],
      },
    ],
    [
      "CALL system.expire_snapshots(table => 'a.t', older_than => now() - INTERVAL 1 DAY)",
      {
        kind: 'call',
        procedure: 'system.expire_snapshots',
        arguments: [
          { name: 'table', value: "'a.t'" },
          { name: 'older_than', value: 'now() - INTERVAL 1 DAY' },
        ],
      },
    ],
  ]
  it.each(cases)('reads %s', (sql, tree) => expect(parsed(sql)).toEqual(tree))
})

describe('positions', () => {
  it('stand at the first character of every node, in lines and columns from 1', () => {
    const sql = '-- first\n/* é */ UPDATE a.t\n  SET x = 1,\n      "y z" = f(2)\nWHERE ok -- why'
    const tree = parseStatement(sql)
    if (tree.kind !== 'update') throw new Error('no update')
    expect(tree.at).toEqual({ offset: 17, line: 2, column: 9 })
    expect(tree.table.at).toEqual({ offset: 24, line: 2, column: 16 })
    expect(tree.set[1]?.column.at).toEqual({ offset: sql.indexOf('"y z"'), line: 4, column: 7 })
    expect(tree.set[1]?.value).toMatchObject({ text: 'f(2)', at: { line: 4, column: 15 } })
    expect(tree.where).toMatchObject({ text: 'ok', at: { line: 5, column: 7 } })
  })

  it('hold for the texts of a statement: each is a slice of it', () => {
    const sql = "INSERT INTO a.t REPLACE WHERE d > '2026' /* c */ AND e SELECT 1 -- end\n, 2"
    const tree = parseStatement(sql)
    if (tree.kind !== 'insert' || tree.mode.kind !== 'replaceWhere') throw new Error('no replacement')
    for (const text of [tree.mode.condition, tree.query])
      expect(sql.slice(text.at.offset, text.at.offset + text.text.length)).toBe(text.text)
    expect(tree.query.text).toBe('SELECT 1 -- end\n, 2')
  })
})

describe('names', () => {
  it.each([
    ['DELETE FROM `a`.`b c`', 'a.b c'],
    ['DELETE FROM "a"."b""c"', 'a.b"c'],
    ['DELETE FROM a.`b``c`', 'a.b`c'],
    ['DELETE FROM a.select', 'a.select'],
    ['DELETE FROM values.merge', 'values.merge'],
    ['DELETE FROM día.naïve', 'día.naïve'],
    ['DELETE FROM /* one */ a . /* two */ t', 'a.t'],
  ])('in %s are read without their quotes', (sql, table) => expect(parsed(sql)).toMatchObject({ table }))

  it.each(['branch', 'tag', 'version', 'partition', 'matched', 'set', 'values', 'key', 'first', 'comment', 'type'])(
    'may be the word %s, which nothing reserves',
    (word) => {
      expect(parsed(`UPDATE a.${word} SET ${word} = ${word} + 1`)).toMatchObject({ table: `a.${word}`, alias: null })
      expect(parsed(`CREATE TABLE a.t (${word} INT)`)).toMatchObject({ columns: [{ name: word }] })
    },
  )
})

describe('a malformed statement', () => {
  const cases: readonly (readonly [string, number, number, string, string])[] = [
    ['', 1, 1, 'the statement ends', ''],
    ['SELCT 1', 1, 1, 'found SELCT', 'Did you mean SELECT?'],
    ['INSERT INOT a.t SELECT 1', 1, 8, 'Expected INTO or OVERWRITE, found INOT', 'Did you mean INTO?'],
    ['INSERT INTO SELECT 1', 1, 13, 'Expected a table, found SELECT', ''],
    ['INSERT INTO a.t (x, y', 1, 22, 'Expected , or )', ''],
    ['INSERT INTO a.t SELEC 1', 1, 17, 'found SELEC', 'Did you mean SELECT?'],
    ['INSERT INTO a.t PARTITION (d = 1) SELECT 1', 1, 17, 'PARTITION belongs to INSERT OVERWRITE', ''],
    ['INSERT INTO a.t REPLACE WHERE SELECT 1', 1, 31, 'Expected a condition, found SELECT', ''],
    ['UPDATE a.t x = 1', 1, 14, 'Expected SET, found =', ''],
    ['UPDATE a.t SET x = ', 1, 19, 'Expected an expression, the statement ends', ''],
    ['UPDATE a.t SET x = , y = 2', 1, 20, 'Expected an expression, found ,', ''],
    ['UPDATE a.t SET x = 1, X = 2', 1, 23, 'X is set twice', ''],
    ['DELETE a.t WHERE x', 1, 8, 'Expected FROM, found a', ''],
    ['DELETE FROM a.t WHER x', 1, 22, 'found x', ''],
    ['DELETE FROM a.t\nWHERE (x = 1', 2, 7, 'This ( is not closed', 'Close it by ).'],
    ['DELETE FROM a.t WHERE (x = [1)', 1, 28, 'This [ is closed by )', ''],
    ['DELETE FROM a.t WHERE x = 1)', 1, 28, 'found )', ''],
    ["DELETE FROM a.t\n  WHERE x = 'abc", 2, 13, 'A string begins here and does not end', ''],
    ['DELETE FROM "a', 1, 13, 'A name in quotes begins here', ''],
    ['DELETE FROM a.t /* x', 1, 17, 'A comment begins here', ''],
    ['DELETE FROM a.t; DELETE FROM a.u', 1, 18, 'A second statement begins here', 'Run one statement at a time.'],
    ['MERGE INTO a.t USING s WHEN MATCHED THEN DELETE', 1, 24, 'Expected ON, found WHEN', ''],
    ['MERGE INTO a.t USING s ON true', 1, 31, 'Expected WHEN', ''],
    ['MERGE INTO a.t USING s ON true WHEN MATCHED THEN INSERT *', 1, 50, 'Expected UPDATE or DELETE', ''],
    ['MERGE INTO a.t USING s ON true WHEN NOT MATCHED THEN DELETE', 1, 54, 'Expected INSERT', ''],
    [
      'MERGE INTO a.t USING s ON true WHEN NOT MATCHED THEN INSERT (a, b) VALUES (1)',
      1,
      68,
      '1 values for 2 columns',
      '',
    ],
    ['CREATE TALBE a.t (x INT)', 1, 8, 'Expected TABLE or VIEW, found TALBE', 'Did you mean TABLE?'],
    ['CREATE TABLE a.t', 1, 17, 'The table has no columns', ''],
    ['CREATE TABLE a.t ()', 1, 19, 'Expected a column, found )', ''],
    ['CREATE TABLE a.t (x INTT)', 1, 21, 'INTT is no type of a column', 'Did you mean INT?'],
    ['CREATE TABLE a.t (x DECIMAL)', 1, 28, 'Expected (precision, scale)', ''],
    ['CREATE TABLE a.t (x DECIMAL(39, 2))', 1, 29, '39 is out of range for a precision', 'Use 1 to 38.'],
    ['CREATE TABLE a.t (x ARRAY<INT)', 1, 30, 'Expected >', ''],
    ['CREATE TABLE a.t (x INT, X INT)', 1, 26, 'There are two columns X', ''],
    ['CREATE TABLE a.t (x INT) USING delta', 1, 32, 'limn makes no delta tables', ''],
    ['CREATE TABLE a.t (x INT) PARTITIONED BY (day_of(x))', 1, 42, 'day_of is no transform', ''],
    ['CREATE TABLE a.t (x INT) PARTITIONED BY (bucket(x))', 1, 50, 'a number of buckets', ''],
    ["CREATE TABLE a.t (x INT) COMMENT 'a' COMMENT 'b'", 1, 38, 'COMMENT is given twice', ''],
    ["CREATE TABLE a.t (x INT) TBLPROPERTIES ('a' = 'b', a = 'c')", 1, 52, 'The property a is given twice', ''],
    ['CREATE TABLE a.t (x INT) PARTITION BY (x)', 1, 26, 'found PARTITION', ''],
    ['CREATE TABLE a.t (x INT) AS SELECT 1', 1, 18, 'Columns and a query are both given', ''],
    ['CREATE OR REPLACE TABLE IF NOT EXISTS a.t (x INT)', 1, 25, 'contradicts OR REPLACE', ''],
    ['ALTER TABLE a.t ADD COLUM x INT', 1, 21, 'found COLUM', 'Did you mean COLUMN?'],
    ['ALTER TABLE a.t ALTER COLUMN x SET NULL', 1, 36, 'Expected NOT or DEFAULT', ''],
    ['ALTER TABLE a.t WRITE', 1, 22, 'Expected DISTRIBUTED, LOCALLY, ORDERED or UNORDERED', ''],
    ['ALTER TABLE a.t CREATE BRANCH b AS OF VERSION x', 1, 47, 'Expected a snapshot id, found x', ''],
    ['ALTER TABLE a.t CREATE BRANCH b RETAIN 3 WEEKS', 1, 42, 'Expected DAYS, HOURS or MINUTES', ''],
    ['ALTER TABLE a.t CREATE TAG b WITH SNAPSHOT RETENTION 3 SNAPSHOTS', 1, 30, 'found WITH', ''],
    ['ALTER TABLE a.t RENAME COLUM x TO y', 1, 24, 'found COLUM', 'Did you mean COLUMN?'],
    ['CALL system.x(1', 1, 16, 'Expected , or )', ''],
    ['SELECT * FROM a.t FOR VERSION AS OF', 1, 36, 'Expected a snapshot id or a ref in quotes', ''],
    ['SELECT * FROM a.t VERSION AS OF audit', 1, 33, 'audit is neither a snapshot id nor a ref in quotes', ''],
    ['WITH c AS (SELECT 1) DELETE FROM a.t', 1, 22, 'DELETE does not take WITH before it', ''],
  ]
  it.each(cases)('%s is told at its place', (sql, line, column, message, remedy) => {
    const error = failure(sql)
    expect(error.kind).toBe('sql/syntax')
    expect(error.notDone).toBe('Nothing was run.')
    expect(error.message).toContain(message)
    expect([error.context.line, error.context.column]).toEqual([line, column])
    expect(error.message).toContain(`Line ${line}, column ${column}: `)
    if (remedy !== '') expect(error.remedy).toBe(remedy)
  })

  it('is never read by cutting a good one short', () => {
    const whole =
      'MERGE INTO a.t AS t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)'
    for (let end = 0; end < whole.length; end++) expect(failure(whole.slice(0, end)).kind).toBe('sql/syntax')
    expect(printStatement(parseStatement(whole))).toContain('MERGE INTO a.t AS t')
  })
})
