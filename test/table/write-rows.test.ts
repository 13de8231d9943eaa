import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import type { DataFile, PartitionSpec } from '../../packages/limn/src/iceberg/index.ts'
import type { Field, Type } from '../../packages/limn/src/schema/index.ts'
import {
  bindFiles,
  createTable,
  type Layout,
  layoutOf,
  pinRef,
  writeRows,
} from '../../packages/limn/src/table/index.ts'
import { type Nested, nestedTables, quoted, selectOf } from '../support/nested-rows.ts'
import { temporaryTables } from '../support/tables.ts'

let made: Awaited<ReturnType<typeof temporaryTables>>
let plain: Awaited<ReturnType<DuckDBInstance['connect']>>
beforeAll(async () => {
  made = await temporaryTables()
  plain = await (await DuckDBInstance.create(':memory:')).connect()
  await plain.run("SET TimeZone = 'UTC'; SET memory_limit = '500MB'; SET threads = 2")
})
afterAll(async () => {
  plain.closeSync()
  await made[Symbol.asyncDispose]()
})

const unpartitioned: PartitionSpec = { specId: 0, fields: [] }
let tables = 0

interface Written {
  readonly id: TableId
  readonly files: readonly DataFile[]
  readonly layout: Layout
}

async function write(fields: readonly Field[], sql: string, more: Partial<Layout> = {}): Promise<Written> {
  const id = tableId(`silver.t${tables++}`)
  const location = `${made.store.root}/${id}`
  const schema = { schemaId: 0, identifierFieldIds: [], fields }
  const spec = more.spec ?? unpartitioned
  const loaded = await createTable(made.context, id, { location, schema, spec, formatVersion: 3 })
  const layout = { ...layoutOf(loaded.metadata), ...more, schema, spec }
  await using session = await made.context.engine.session([])
  const files = await writeRows(made.context, session, sql, layout, join(made.folder, String(id)))
  return { id, files, layout }
}

const localOf = (file: DataFile) => file.path.replace(/^file:\/\//, '')
const sourceOf = (files: readonly DataFile[]) =>
  `read_parquet([${files.map((file) => `'${localOf(file).replaceAll("'", "''")}'`).join(', ')}], hive_partitioning = false)`
const rowsOf = async (sql: string) => (await plain.runAndReadAll(sql)).getRowsJson() as readonly (readonly unknown[])[]

/** Every row as text, ordered: what two readings of equal rows agree in. */
const shown = (fields: readonly Field[], from: string) =>
  `SELECT ${fields.map((field) => `hex(encode(coalesce((${quoted(field.name)})::VARCHAR, '<null>')))`).join(', ')} FROM ${from} ORDER BY "id"`

/** The ids that a file of these fields has at every level, by the path of each. */
function idsOf(fields: readonly Field[], above: readonly string[] = []): readonly (readonly [string, number])[] {
  const inside = (type: Type, path: readonly string[]): readonly (readonly [string, number])[] => {
    if (typeof type === 'string') return []
    switch (type.type) {
      case 'struct':
        return idsOf(type.fields, path)
      case 'list':
        return [at([...path, 'element'], type.elementId), ...inside(type.element, [...path, 'element'])]
      case 'map':
        return [
          at([...path, 'key'], type.keyId),
          at([...path, 'value'], type.valueId),
          ...inside(type.value, [...path, 'value']),
        ]
    }
  }
  const at = (path: readonly string[], id: number) => [path.join('/'), id] as const
  return fields.flatMap((field) => [
    at([...above, field.name], field.id),
    ...inside(field.type, [...above, field.name]),
  ])
}

/** As the file says; the levels that Parquet needs for lists and maps have none. */
async function idsIn(file: DataFile): Promise<readonly (readonly [string, number])[]> {
  const elements = await rowsOf(`SELECT name, num_children, field_id FROM parquet_schema('${localOf(file)}')`)
  const out: (readonly [string, number])[] = []
  let next = 1
  const walk = (above: readonly string[]) => {
    const [name, children, id] = elements[next++] ?? []
    const path = id === null ? above : [...above, String(name)]
    if (id !== null) out.push([path.join('/'), Number(id)])
    for (let i = 0; i < Number(children ?? 0); i++) walk(path)
  }
  while (next < elements.length) walk([])
  return out
}

describe('rows written by a table', () => {
  it('are what DuckDB and limn read back, with field ids at every level', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(nestedTables, async ({ fields, rows }) => {
        const sql = selectOf(fields, rows)
        const { id, files } = await write(fields, sql)
        expect(files.reduce((sum, file) => sum + file.recordCount, 0n)).toBe(BigInt(rows.length))
        if (rows.length === 0) return
        // Nanoseconds in UTC are read as microseconds by DuckDB itself.
        const exact = fields.filter((field) => !JSON.stringify(field).includes('timestamptz_ns'))
        expect(await rowsOf(shown(exact, sourceOf(files)))).toEqual(await rowsOf(shown(exact, `(${sql})`)))
        for (const file of files) expect(await idsIn(file)).toEqual(idsOf(fields))
        const loaded = (await made.context.catalog.loadTables([id])).get(id)
        const pin = loaded && pinRef(loaded)
        if (!pin) throw new Error('no table')
        await using lease = await made.store.lease(files.map((file) => file.path))
        await using session = await made.context.engine.session([bindFiles(pin, files, lease)])
        expect((await session.rows(shown(fields, id))).rows).toEqual(await rowsOf(shown(fields, `(${sql})`)))
      }),
      { numRuns: 60, seed: 20260 },
    )
  })

  it('have bounds and counts that are true of every column outside lists and maps', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(nestedTables, async ({ fields, rows }) => {
        const { files } = await write(fields, selectOf(fields, rows))
        const [file] = files
        expect(files.length).toBe(Math.min(rows.length, 1))
        if (!file) return
        for (const leaf of leavesOf(fields, (row) => row)) {
          const values = rows.map((row) => leaf.of(row))
          const there = values.filter((value) => value !== null)
          const nan = (value: Nested) => typeof value === 'number' && Number.isNaN(value)
          const floating = leaf.type === 'float' || leaf.type === 'double'
          expect(file.valueCounts.get(leaf.id)).toBe(BigInt(values.length))
          expect(file.nullValueCounts.get(leaf.id)).toBe(BigInt(values.length - there.length))
          expect(file.nanValueCounts.get(leaf.id)).toBe(floating ? BigInt(there.filter(nan).length) : undefined)
          const ordered = there.filter((value) => !nan(value)).map((value) => keyOf(leaf.type, value))
          const lower = file.lowerBounds.get(leaf.id)
          const upper = file.upperBounds.get(leaf.id)
          if (ordered.length === 0) {
            expect([lower, upper]).toEqual([undefined, undefined])
            continue
          }
          if (!lower) throw new Error(`${leaf.id} ${leaf.type} has no lower bound`)
          const low = boundOf(leaf.type, lower)
          for (const key of ordered) expect(compare(low, key)).toBeLessThanOrEqual(0)
          const least = ordered.toSorted(compare)[0] as Key
          expect(least instanceof Buffer && low instanceof Buffer ? least.subarray(0, low.length) : least).toEqual(low)
          // Text or bytes of nothing but the highest have no bound above them once cut.
          const most = ordered.toSorted(compare).at(-1) as Key
          if (!upper) {
            expect(most instanceof Buffer && isHighest(leaf.type, most)).toBe(true)
            continue
          }
          const high = boundOf(leaf.type, upper)
          for (const key of ordered) expect(compare(key, high)).toBeLessThanOrEqual(0)
          if (!(most instanceof Buffer)) expect(high).toEqual(most)
        }
      }),
      { numRuns: 80, seed: 20261 },
    )
  })
})

interface Leaf {
  readonly id: number
  readonly type: string
  of(row: readonly Nested[]): Nested
}

function leavesOf(fields: readonly Field[], of: (row: readonly Nested[]) => readonly Nested[] | null): readonly Leaf[] {
  return fields.flatMap((field, i): readonly Leaf[] => {
    const value = (row: readonly Nested[]) => of(row)?.[i] ?? null
    if (typeof field.type === 'string') return [{ id: field.id, type: field.type, of: value }]
    if (field.type.type !== 'struct') return []
    return leavesOf(field.type.fields, (row) => value(row) as readonly Nested[] | null)
  })
}

/** What a type is ordered by: bytes for text, bytes and uuids, numbers otherwise. Zeros are one. */
type Key = Buffer | bigint | number

function keyOf(type: string, value: Nested): Key {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (type === 'uuid') return Buffer.from(String(value).replaceAll('-', ''), 'hex')
  if (typeof value === 'string') return Buffer.from(value)
  if (typeof value === 'boolean') return value ? 1 : 0
  return typeof value === 'bigint' ? value : Number(value) + 0
}

/** A bound by appendix D of the specification. */
function boundOf(type: string, bytes: Uint8Array): Key {
  const buffer = Buffer.from(bytes)
  if (type.startsWith('decimal')) {
    const magnitude = BigInt(`0x${buffer.toString('hex')}`)
    return BigInt.asIntN(buffer.length * 8, magnitude)
  }
  switch (type) {
    case 'boolean':
      return buffer.readUInt8()
    case 'int':
    case 'date':
      return buffer.readInt32LE()
    case 'float':
      return buffer.readFloatLE() + 0
    case 'double':
      return buffer.readDoubleLE() + 0
    case 'string':
    case 'uuid':
    case 'binary':
      return buffer
    default:
      return type.startsWith('fixed') ? buffer : buffer.readBigInt64LE()
  }
}

function compare(a: Key, b: Key): number {
  if (a instanceof Buffer && b instanceof Buffer) return Buffer.compare(a, b)
  return a < b ? -1 : a > b ? 1 : 0
}

function isHighest(type: string, bytes: Buffer): boolean {
  if (type === 'string') return bytes.toString().startsWith('\u{10ffff}'.repeat(16)) && bytes.length > 64
  return bytes.length > 16 && bytes.subarray(0, 16).every((byte) => byte === 255)
}
