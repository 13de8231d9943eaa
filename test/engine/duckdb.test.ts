import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import type { Predicate } from '../../packages/limn/src/expr/index.ts'
import { decodeSingleValue } from '../../packages/limn/src/iceberg/index.ts'
import { compareValues, type PrimitiveType, type Schema, type Value } from '../../packages/limn/src/schema/index.ts'
import { sqlLiteral } from '../../packages/limn/src/sql/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'

const id = tableId('silver.t')
const types = {
  a: 'int',
  b: 'long',
  s: 'string',
  d: 'date',
  t: 'timestamp',
  n: 'decimal(9,2)',
  f: 'boolean',
} as const satisfies Record<string, PrimitiveType>
const columns = Object.entries(types).map(([name, type]) => ({ name, type }))
const samples: Readonly<Record<string, readonly string[]>> = {
  a: ['-3', '0', '4', '7'],
  b: ['-9007199254740993', '0', '5', '9007199254740993'],
  s: ["''", "'a'", "'ab'", "'zz'", "'🧊'"],
  d: ["DATE '1969-12-31'", "DATE '2001-06-10'", "DATE '2030-01-01'"],
  t: ["TIMESTAMP '1969-12-31 23:59:59.999999'", "TIMESTAMP '2001-06-10 08:00:00'", "TIMESTAMP '2030-01-01'"],
  n: ['-1.50', '0.00', '2.25', '99.99'],
  f: ['TRUE', 'FALSE'],
}
const sample = (name: string) => fc.constantFrom(...(samples[name] ?? []))
const names = fc.constantFrom(...Object.keys(types))
const comparison = names.chain((name) =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom('=', '<>', '<', '<=', '>', '>='), sample(name))
      .map(([operator, value]) => `${name} ${operator} ${value}`),
    fc.tuple(sample(name), fc.constantFrom('=', '<', '>=')).map(([value, operator]) => `${value} ${operator} ${name}`),
    fc.array(sample(name), { minLength: 1, maxLength: 3 }).map((list) => `${name} IN (${list.join(', ')})`),
    fc.tuple(sample(name), sample(name)).map(([low, high]) => `${name} BETWEEN ${low} AND ${high}`),
    fc.constantFrom(
      `${name} IS NULL`,
      `${name} IS NOT NULL`,
      "s LIKE 'a%'",
      'a + 1 > 3',
      'length(s) = 2',
      'a::VARCHAR = s',
      'CASE WHEN a > 0 THEN b < 3 ELSE TRUE END',
    ),
  ),
)
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    comparison,
    fc.tuple(tie('condition'), tie('condition')).map(([x, y]) => `(${x} AND ${y})`),
    fc.tuple(tie('condition'), tie('condition')).map(([x, y]) => `(${x} OR ${y})`),
    tie('condition').map((x) => `NOT (${x})`),
  ),
}))
const shapes: readonly ((where: string) => string)[] = [
  (where) => `SELECT * FROM silver.t WHERE ${where}`,
  (where) => `WITH x AS (SELECT * FROM silver.t) SELECT s, count(*) FROM x WHERE ${where} GROUP BY s`,
  (where) => `SELECT x.a FROM silver.t x WHERE ${where} UNION ALL SELECT a FROM silver.t WHERE a > 3`,
]

/** A predicate as SQL, for DuckDB to judge. */
function toSql(predicate: Predicate): string {
  const literal = (column: string, value: Value) => sqlLiteral(types[column as keyof typeof types], value)
  switch (predicate.kind) {
    case 'true':
    case 'false':
      return predicate.kind.toUpperCase()
    case 'and':
      return `(${predicate.of.map(toSql).join(' AND ')})`
    case 'or':
      return `(${predicate.of.map(toSql).join(' OR ')})`
    case 'not':
      return `NOT (${toSql(predicate.of)})`
    case 'compare':
      return `${predicate.column} ${{ eq: '=', ne: '<>', lt: '<', le: '<=', gt: '>', ge: '>=' }[predicate.operator]} ${literal(predicate.column, predicate.value)}`
    case 'in':
      return `${predicate.column} IN (${predicate.values.map((value) => literal(predicate.column, value)).join(', ')})`
    case 'startsWith':
      return `starts_with(${predicate.column}, '${predicate.prefix}')`
    case 'isNull':
      return `${predicate.column} IS NULL`
    case 'notNull':
      return `${predicate.column} IS NOT NULL`
  }
}

describe('the filters of a query', () => {
  it('are satisfied by every row the query selects', async () => {
    await using made = await temporaryEngine()
    await using session = await made.engine.session([])
    const values = Object.keys(types).map((name) => `(SELECT unnest([${samples[name]?.join(', ')}, NULL]) AS ${name})`)
    await session.exec(
      `CREATE TEMP TABLE everything AS SELECT * FROM ${values.join(' CROSS JOIN ')} USING SAMPLE 3000 ROWS (reservoir, 5)`,
    )
    let understood = 0
    await fc.assert(
      fc.asyncProperty(condition, fc.constantFrom(...shapes), async (where, shape) => {
        const found = await made.engine.filters(shape(where), new Map([[id, { columns }]]))
        const predicate = found.get(id) ?? { kind: 'true' }
        if (predicate.kind !== 'true') understood++
        const lost = await session.rows(
          `SELECT count(*) FROM everything WHERE (${where}) AND (${toSql(predicate)}) IS NOT TRUE`,
        )
        expect([where, predicate, lost.rows[0]?.[0]]).toEqual([where, predicate, 0n])
      }),
      { seed: 3, numRuns: 250 },
    )
    expect(understood).toBeGreaterThan(60)
  })
})

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: (
    [
      'boolean',
      'int',
      'long',
      'float',
      'double',
      'date',
      'time',
      'timestamp',
      'timestamptz',
      'string',
      'uuid',
      'decimal(18,3)',
      'binary',
    ] as const
  ).map((type, i) => ({ id: i + 1, name: `c${i + 1}`, required: false, type })),
}
const micros = fc.bigInt({ min: -60_000_000_000_000_000n, max: 200_000_000_000_000_000n })
const cells: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  boolean: fc.boolean(),
  int: fc.integer(),
  long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float: fc.float(),
  double: fc.double(),
  date: fc.integer({ min: -700_000, max: 2_900_000 }),
  time: fc.bigInt({ min: 0n, max: 86_399_999_999n }),
  timestamp: micros,
  timestamptz: micros,
  string: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !text.includes('\0')),
  uuid: fc.uuid(),
  'decimal(18,3)': fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }),
  binary: fc.uint8Array({ maxLength: 10 }),
}

describe('written files', () => {
  it('have true counts and bounds for every type', async () => {
    await using made = await temporaryEngine()
    await using session = await made.engine.session([])
    let bounded = 0
    let file = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            ...schema.fields.map((field) => fc.option(cells[field.type as string] ?? fc.boolean(), { freq: 4 })),
          ),
          { minLength: 1, maxLength: 6 },
        ),
        async (rows) => {
          const values = rows.map(
            (row) => `(${row.map((cell, i) => sqlLiteral(schema.fields[i]?.type as PrimitiveType, cell)).join(', ')})`,
          )
          const sql = `SELECT * FROM (VALUES ${values.join(', ')}) v(${schema.fields.map((field) => field.name).join(', ')})`
          const [written] = await session.write(sql, {
            schema,
            spec: { specId: 0, fields: [] },
            folder: join(made.folder, String(file++)),
            compression: 'zstd',
            rowGroupSize: 122_880,
          })
          expect(written?.recordCount).toBe(BigInt(rows.length))
          for (const [i, field] of schema.fields.entries()) {
            const present = rows
              .map((row) => row[i])
              .filter((cell): cell is Value => cell !== null && cell !== undefined)
            expect(written?.nullValueCounts.get(field.id)).toBe(BigInt(rows.length - present.length))
            const low = written?.lowerBounds.get(field.id)
            const high = written?.upperBounds.get(field.id)
            for (const cell of present) {
              if (typeof cell === 'number' && Number.isNaN(cell)) continue
              if (low)
                expect([field.type, compareValues(field.type, decodeSingleValue(field.type, low), cell) <= 0]).toEqual([
                  field.type,
                  true,
                ])
              if (high)
                expect([field.type, compareValues(field.type, decodeSingleValue(field.type, high), cell) >= 0]).toEqual(
                  [field.type, true],
                )
              if (low && high) bounded++
            }
          }
        },
      ),
      { seed: 5, numRuns: 60 },
    )
    expect(bounded).toBeGreaterThan(500)
  })

  it('lie in the partition their rows compute, null included', async () => {
    await using made = await temporaryEngine()
    await using session = await made.engine.session([])
    const own: Schema = {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 't', required: false, type: 'timestamp' },
        { id: 2, name: 's', required: false, type: 'string' },
      ],
    }
    const spec = {
      specId: 0,
      fields: [
        { sourceId: 1, fieldId: 1000, name: 't_month', transform: { kind: 'month' as const } },
        { sourceId: 2, fieldId: 1001, name: 's_trunc', transform: { kind: 'truncate' as const, width: 1 } },
      ],
    }
    const sql =
      "SELECT * FROM (VALUES (TIMESTAMP '1969-12-31 10:00:00', 'ax'), (TIMESTAMP '2001-06-10', '🧊y'), (NULL, NULL), (TIMESTAMP '2001-06-30 23:59:59', '🧊z')) v(t, s)"
    const written = await session.write(sql, {
      schema: own,
      spec,
      folder: join(made.folder, 'p'),
      compression: 'zstd',
      rowGroupSize: 122_880,
    })
    const found = written
      .map((one) => [...one.partition, one.recordCount])
      .sort((a, b) => Number(a[0] ?? -99) - Number(b[0] ?? -99))
    expect(found).toEqual([
      [null, null, 1n],
      [-1, 'a', 1n],
      [377, '🧊', 2n],
    ])
    expect(
      await session.write(`${sql} WHERE s = 'none'`, {
        schema: own,
        spec,
        folder: join(made.folder, 'q'),
        compression: 'zstd',
        rowGroupSize: 122_880,
      }),
    ).toEqual([])
  })

  it('are read by field id: renamed, promoted and added columns', async () => {
    await using made = await temporaryEngine()
    await using writer = await made.engine.session([])
    const before: Schema = {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 'old', required: false, type: 'int' },
        { id: 2, name: 'gone', required: false, type: 'string' },
      ],
    }
    const [file] = await writer.write("SELECT 5 AS old, 'x' AS gone", {
      schema: before,
      spec: { specId: 0, fields: [] },
      folder: join(made.folder, 'f'),
      compression: 'zstd',
      rowGroupSize: 122_880,
    })
    const after: Schema = {
      schemaId: 1,
      identifierFieldIds: [],
      fields: [
        { id: 3, name: 'gone', required: false, type: 'string' },
        { id: 1, name: 'renamed', required: false, type: 'long' },
      ],
    }
    await using reader = await made.engine.session([{ id, schema: after, files: [{ local: file?.local ?? '' }] }])
    const { columns: shown, rows } = await reader.rows('SELECT * FROM silver.t')
    expect([shown.map((column) => column.type), rows]).toEqual([['VARCHAR', 'BIGINT'], [[null, 5n]]])
  })
})

describe('queries', () => {
  it('are named by file, line and column when they do not parse or bind', async () => {
    await using made = await temporaryEngine()
    const origin = { file: 'm.sql', line: 10, column: 5 }
    await expect(made.engine.parse('SELECT 1,\n  2 FORM x y', origin)).rejects.toMatchObject({
      kind: 'sql/syntax',
      location: { file: 'm.sql', line: 11 },
    })
    await expect(
      made.engine.describe(
        'SELECT a,\n  nope FROM silver.t WHERE t > $interval_start',
        new Map([[id, columns]]),
        origin,
        { interval_start: "TIMESTAMP '2001-01-01 00:00:00'" },
      ),
    ).rejects.toMatchObject({ kind: 'sql/unknown-column', location: { file: 'm.sql', line: 11, column: 3 } })
    await expect(
      made.engine.describe('SELECT 1 WHERE $p > 1 AND\n nope = 2', new Map(), origin, { p: '123456789' }),
    ).rejects.toMatchObject({ location: { line: 11, column: 2 } })
    await expect(made.engine.parse('DELETE FROM x')).rejects.toMatchObject({ kind: 'sql/not-read-only' })
    await expect(made.engine.parse('SELECT 1; SELECT 2')).rejects.toMatchObject({ kind: 'sql/not-read-only' })
  })

  it('have one canonical tree however they are spelled, and another when they differ', async () => {
    await using made = await temporaryEngine()
    const tree = async (sql: string) => (await made.engine.parse(sql)).canonical
    expect(await tree('select a,b from silver.t -- x\n where a>1')).toBe(
      await tree('SELECT a, b\nFROM silver.t\nWHERE a > 1'),
    )
    expect(await tree('SELECT a FROM silver.t')).not.toBe(await tree('SELECT b FROM silver.t'))
  })

  it('name their tables, common table expressions aside', async () => {
    await using made = await temporaryEngine()
    const { tables, parameters } = await made.engine.parse(
      "WITH x AS (SELECT * FROM silver.t), y AS (SELECT '$no' FROM x) SELECT * FROM y JOIN gold.u USING (a) WHERE b IN (SELECT 1 FROM bronze.v) AND c > $from",
    )
    expect(tables.map((table) => `${table.schema}.${table.name}`).sort()).toEqual(['bronze.v', 'gold.u', 'silver.t'])
    expect(parameters).toEqual(['from'])
  })

  it('take JavaScript rows, and say which value does not fit', async () => {
    await using made = await temporaryEngine()
    await using session = await made.engine.session([])
    const shape = [
      { name: 'at', type: 'timestamp' as const },
      { name: 'n', type: 'long' as const },
    ]
    await session.ingest('x', shape, [
      ['2001-01-01T00:00:00', 5],
      [new Date(0), 2n ** 60n],
      [null, null],
    ])
    expect((await session.rows('SELECT epoch_us("at"), n FROM x ORDER BY n NULLS LAST')).rows).toEqual([
      [978_307_200_000_000n, 5n],
      [0n, 2n ** 60n],
      [null, null],
    ])
    await expect(session.ingest('y', shape, [[null, 1.5]])).rejects.toMatchObject({
      kind: 'source/schema',
      message: expect.stringContaining('Row 1'),
    })
  })

  it('take in only values that their column can hold, whichever way they go', async () => {
    await using made = await temporaryEngine()
    await using session = await made.engine.session([])
    const wide = [
      { name: 'i', type: 'int' as const },
      { name: 'n', type: 'long' as const },
    ]
    await session.ingest('x', wide, [[2 ** 31 - 1, 2n ** 63n - 1n]])
    expect((await session.rows('SELECT i, n FROM x')).rows).toEqual([[2 ** 31 - 1, 2n ** 63n - 1n]])
    for (const row of [
      [2 ** 31, 0n],
      [0, 2n ** 63n],
    ])
      await expect(session.ingest('y', wide, [row])).rejects.toMatchObject({ kind: 'source/schema' })
    await session.ingest('z', [{ name: 'd', type: 'decimal(9,2)' }, ...wide], [[1250n, 1, 2n]])
    expect((await session.rows('SELECT d::VARCHAR, i, n FROM z')).rows).toEqual([['12.50', 1, 2n]])
  })

  it('leave no file half read: a truncated Parquet file is an error', async () => {
    await using made = await temporaryEngine()
    const file = join(made.folder, 'broken.parquet')
    writeFileSync(file, 'PAR1 not really')
    await using session = await made.engine.session([])
    await expect(session.rows(`SELECT * FROM read_parquet('${file}')`)).rejects.toMatchObject({ kind: 'sql/failed' })
  })
})

describe('questions asked side by side', () => {
  it('are parsed together, and each is told its own error', async () => {
    await using made = await temporaryEngine()
    const asked = ['SELECT 1 AS a', 'SELECT FROM WHERE', 'DROP TABLE t', "SELECT ';' FROM silver.t"].map((sql) =>
      made.engine.parse(sql).then(
        (parsed) => parsed.tables.map((one) => one.name),
        (error: { kind: string }) => error.kind,
      ),
    )
    expect(await Promise.all(asked)).toEqual([[], 'sql/syntax', 'sql/not-read-only', ['t']])
  })

  it('bind beside each other where tables of one name have different shapes, and see no others unless parsed', async () => {
    await using made = await temporaryEngine()
    const shaped = (name: string, type: PrimitiveType) => new Map([[id, [{ name, type }]]])
    const asked = [
      made.engine.describe('SELECT a FROM silver.t', shaped('a', 'int'), undefined, {}, { parsed: true }),
      made.engine.describe('SELECT a FROM silver.t', shaped('a', 'date'), undefined, {}, { parsed: true }),
      made.engine.describe('SELECT b FROM silver.t', shaped('b', 'string'), undefined, {}, { parsed: true }),
    ]
    expect((await Promise.all(asked)).flat()).toEqual([
      { name: 'a', type: 'INTEGER' },
      { name: 'a', type: 'DATE' },
      { name: 'b', type: 'VARCHAR' },
    ])
    await expect(made.engine.describe('SELECT 1 FROM silver.t', new Map())).rejects.toThrow('does not exist')
    const filters = await made.engine.filters('SELECT a FROM silver.t WHERE a > 3', new Map([[id, { columns }]]))
    expect(filters.get(id)).toMatchObject({ kind: 'compare', column: 'a' })
  })
})
