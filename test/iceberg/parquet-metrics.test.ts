import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ParquetFooter, readParquetFooter } from '../../packages/limn/src/encoding/index.ts'
import {
  decodeSingleValue,
  lowerBoundOf,
  type MetricsMode,
  metricsModeOf,
  metricsModes,
  parquetMetrics,
  schemaOfParquet,
  upperBoundOf,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Field, PrimitiveType, Schema, Value } from '../../packages/limn/src/schema/index.ts'

let folder = ''
let connection: DuckDBConnection
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'limn-metrics-'))
  connection = await (await DuckDBInstance.create(':memory:')).connect()
})
afterAll(() => {
  connection.closeSync()
  rmSync(folder, { recursive: true, force: true })
})

async function written(query: string, options = ''): Promise<ParquetFooter> {
  const path = join(folder, 'x.parquet')
  await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet ${options})`)
  const bytes = new Uint8Array(readFileSync(path))
  return readParquetFooter(async (start, end) => bytes.subarray(start, end), bytes.length)
}

const full = () => ({ kind: 'full' }) as const
const decoded = (schema: Schema, bounds: ReadonlyMap<number, Uint8Array>): Record<string, Value> =>
  Object.fromEntries(
    [...bounds].map(([id, bytes]) => {
      const field = schema.fields.find((one) => one.id === id)
      return [field?.name ?? '', decodeSingleValue(field?.type ?? 'binary', bytes)]
    }),
  )

describe('metrics from a Parquet footer', () => {
  const query = `SELECT
      (i - 2000)::INTEGER AS a, (i + 9007199254740993)::BIGINT AS b, (i - 7)::DECIMAL(9,2) AS n,
      -i::DECIMAL(38,3) AS w, 'name ' || lpad(i::VARCHAR, 5, '0') AS s, DATE '1969-12-01' + i::INTEGER AS d,
      TIMESTAMP '1969-12-31 23:59:59.5' + to_days(i::INTEGER) AS t,
      TIMESTAMPTZ '2000-01-01 00:00:00+00' + to_hours(i) AS z, TIME '00:00:01' + to_milliseconds(i) AS h,
      (i % 2 = 0) AS f, (i / 3.0)::DOUBLE AS x, (i / 4.0)::FLOAT AS y, encode('b' || i) AS bin,
      CASE WHEN i % 3 = 0 THEN NULL ELSE i::INTEGER END AS some, NULL::INTEGER AS none,
      i::UINTEGER AS u, [i, NULL] AS l
    FROM range(5000) t(i)`

  it('are what the rows say: counts, nulls and exact bounds over every row group', async () => {
    const footer = await written(query, ', ROW_GROUP_SIZE 2048')
    const schema = schemaOfParquet(footer, { ids: 'fresh' })
    const metrics = parquetMetrics(footer, schema, { match: 'name', mode: full })
    expect(metrics.recordCount).toBe(5000n)
    expect(metrics.splitOffsets).toHaveLength(3)
    const micros = (text: string) => BigInt(Date.parse(text)) * 1000n
    const days = (text: string) => Date.parse(text) / 86_400_000
    expect(decoded(schema, metrics.lowerBounds)).toEqual({
      a: -2000,
      b: 9007199254740993n,
      n: -700n,
      w: -4_999_000n,
      s: 'name 00000',
      d: days('1969-12-01'),
      t: micros('1969-12-31T23:59:59.500Z'),
      z: micros('2000-01-01T00:00:00Z'),
      h: 1_000_000n,
      f: false,
      x: -0,
      y: -0,
      bin: Uint8Array.from(Buffer.from('b0')),
      some: 1,
      u: 0n,
    })
    expect(decoded(schema, metrics.upperBounds)).toEqual({
      a: 2999,
      b: 9007199254745992n,
      n: 499_200n,
      w: 0n,
      s: 'name 04999',
      d: days('1969-12-01') + 4999,
      t: micros('1969-12-31T23:59:59.500Z') + 4999n * 86_400_000_000n,
      z: micros('2000-01-01T00:00:00Z') + 4999n * 3_600_000_000n,
      h: 5_999_000n,
      f: true,
      x: 4999 / 3,
      y: Math.fround(4999 / 4),
      bin: Uint8Array.from(Buffer.from('b999')),
      some: 4999,
      u: 4999n,
    })
    const idOf = (name: string) => schema.fields.find((field) => field.name === name)?.id ?? -1
    expect(metrics.nullValueCounts.get(idOf('some'))).toBe(1667n)
    expect(metrics.nullValueCounts.get(idOf('none'))).toBe(5000n)
    expect(metrics.valueCounts.get(idOf('none'))).toBe(5000n)
    // The list's own id has no metrics; its elements do, and no bounds.
    const element = idOf('l') + 1
    expect([metrics.valueCounts.has(idOf('l')), metrics.valueCounts.get(element)]).toEqual([false, 10_000n])
    expect([metrics.lowerBounds.has(element), metrics.columnSizes.has(element)]).toEqual([false, true])
    expect([...metrics.columnSizes.values()].every((size) => size > 0n)).toBe(true)
  })

  it('finds columns by the ids in the file though names changed, and widens bounds with the column', async () => {
    const footer = await written('SELECT 7::INTEGER AS old, 1.5::FLOAT AS f', ', FIELD_IDS {old: 5, f: 6}')
    expect(schemaOfParquet(footer, { ids: 'file' }).fields).toEqual([
      { id: 5, name: 'old', required: false, type: 'int' },
      { id: 6, name: 'f', required: false, type: 'float' },
    ])
    const schema: Schema = {
      schemaId: 1,
      identifierFieldIds: [],
      fields: [
        { id: 5, name: 'new', required: false, type: 'long' },
        { id: 6, name: 'old', required: false, type: 'double' },
      ],
    }
    const metrics = parquetMetrics(footer, schema, { match: 'field-id' })
    expect(decoded(schema, metrics.lowerBounds)).toEqual({ new: 7n, old: 1.5 })
    expect(metrics.lowerBounds.get(5)).toHaveLength(8)
  })

  it('states no bound for NaN, and none where a row group states none', async () => {
    const footer = await written(
      `SELECT CASE WHEN i = 3 THEN 'NaN'::DOUBLE ELSE i END AS x, repeat('z', i::INTEGER * 3) AS s FROM range(5000) t(i)`,
      ', ROW_GROUP_SIZE 2048',
    )
    const schema = schemaOfParquet(footer, { ids: 'fresh' })
    const metrics = parquetMetrics(footer, schema, { match: 'name' })
    const [x, s] = schema.fields
    const low = metrics.lowerBounds.get(x?.id ?? 0)
    if (low) expect(Number(decodeSingleValue('double', low))).toBeLessThanOrEqual(0)
    expect(metrics.upperBounds.get(x?.id ?? 0)).toBeUndefined()
    expect(metrics.nanValueCounts.size).toBe(0)
    const high = metrics.upperBounds.get(s?.id ?? 0)
    if (high) expect(Buffer.compare(high, Buffer.from('z'.repeat(14_997))) >= 0).toBe(true)
  })
})

describe('how much a manifest keeps of a column', () => {
  const field = (id: number, name: string, type: Field['type'] = 'int'): Field => ({ id, name, required: false, type })
  const schema: Schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      field(1, 'a'),
      field(2, 'o', { type: 'struct', fields: [field(4, 'x'), field(5, 'y.z')] }),
      field(3, 'l', { type: 'list', elementId: 6, elementRequired: false, element: 'int' }),
    ],
  }
  const shown = (mode: MetricsMode) => (mode.kind === 'truncate' ? `truncate(${mode.length})` : mode.kind)

  it('follows the table: a mode per column, a default, a limit on wide tables, bounds for what it is sorted by', () => {
    const modes = (properties: Record<string, string>, sortedBy: number[] = []) => {
      const mode = metricsModes(properties, schema, sortedBy)
      return [1, 4, 5, 6].map((id) => shown(mode(id)))
    }
    const metrics = 'write.metadata.metrics'
    const cut = 'truncate(16)'
    expect(modes({})).toEqual([cut, cut, cut, cut])
    expect(modes({ [`${metrics}.default`]: 'counts' }, [4])).toEqual(['counts', cut, 'counts', 'counts'])
    expect(modes({ [`${metrics}.max-inferred-column-defaults`]: '2' })).toEqual([cut, cut, 'none', 'none'])
    expect(
      modes({
        [`${metrics}.default`]: 'none',
        [`${metrics}.column.o.x`]: 'full',
        [`${metrics}.column.o.y.z`]: 'truncate(4)',
        [`${metrics}.column.l.element`]: 'Counts',
        [`${metrics}.column.gone`]: 'full',
      }),
    ).toEqual(['none', 'full', 'truncate(4)', 'counts'])
    expect(() => metricsModeOf('truncate(0)')).toThrow(/no metrics mode/)
  })

  it('leaves out what a mode leaves out', async () => {
    const footer = await written("SELECT 1 AS a, 'x' AS b, 2 AS c, 'y' AS d")
    const all = schemaOfParquet(footer, { ids: 'fresh' })
    const kinds: readonly MetricsMode[] = [{ kind: 'none' }, { kind: 'counts' }, { kind: 'full' }]
    const metrics = parquetMetrics(footer, all, { match: 'name', mode: (id) => kinds[id - 1] ?? { kind: 'none' } })
    expect([...metrics.columnSizes.keys()]).toEqual([1, 2, 3, 4])
    expect([...metrics.valueCounts.keys()]).toEqual([2, 3])
    expect([...metrics.lowerBounds.keys()]).toEqual([3])
  })

  it('cuts bounds so that they stay bounds, and keeps zeros apart as the strictest reader does', () => {
    const cut: MetricsMode = { kind: 'truncate', length: 2 }
    const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString())
    expect([text(lowerBoundOf(cut, 'string', 'abc')), text(upperBoundOf(cut, 'string', 'abc'))]).toEqual(['ab', 'ac'])
    expect(text(upperBoundOf(cut, 'string', 'ab'))).toBe('ab')
    expect(text(lowerBoundOf(cut, 'string', '🧊🧊🧊'))).toBe('🧊🧊')
    expect(text(upperBoundOf(cut, 'string', 'a\u{10ffff}x'))).toBe('b')
    expect(text(upperBoundOf(cut, 'string', 'a\ud7ffx'))).toBe('a\ue000')
    expect(upperBoundOf(cut, 'string', '\u{10ffff}\u{10ffff}x')).toBeNull()
    expect(upperBoundOf(cut, 'binary', Uint8Array.of(1, 255, 3))).toEqual(Uint8Array.of(2))
    expect(upperBoundOf(cut, 'binary', Uint8Array.of(255, 255, 3))).toBeNull()
    const zero = (bytes: Uint8Array | null, type: PrimitiveType) => bytes && decodeSingleValue(type, bytes)
    expect(zero(lowerBoundOf(cut, 'double', 0), 'double')).toBe(-0)
    expect(zero(upperBoundOf(cut, 'float', -0), 'float')).toBe(0)
    expect(lowerBoundOf(cut, 'double', Number.NaN)).toBeNull()
  })
})
