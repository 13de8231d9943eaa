import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import type { Type } from '../../packages/limn/src/schema/index.ts'
import { alterTable, append, createTable, loadTable, pinRef, readPinned } from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

let made: Awaited<ReturnType<typeof temporaryTables>>
let plain: Awaited<ReturnType<DuckDBInstance['connect']>>
beforeAll(async () => {
  made = await temporaryTables()
  plain = await (await DuckDBInstance.create(':memory:')).connect()
})
afterAll(async () => {
  plain.closeSync()
  await made[Symbol.asyncDispose]()
})

const enabled = (name: string) => ({ [`write.parquet.bloom-filter-enabled.column.${name}`]: 'true' })
let tables = 0

async function tableOf(columns: Readonly<Record<string, Type>>, properties: Readonly<Record<string, string>>) {
  const id = tableId(`silver.t${tables++}`)
  const fields = Object.entries(columns).map(([name, type], i) => ({ id: i + 1, name, required: false, type }))
  await createTable(made.context, id, {
    location: `${made.store.root}/${id}`,
    schema: { schemaId: 0, identifierFieldIds: [], fields },
    spec: { specId: 0, fields: [] },
    properties,
  })
  return id
}

async function read(id: TableId, sql: string) {
  const pin = pinRef(await loadTable(made.context, id))
  if (!pin) throw new Error('no main')
  await using reading = await readPinned(made.context, pin)
  await using session = await made.context.engine.session([reading.bound])
  return (await session.rows(sql)).rows
}

async function filteredColumns(id: TableId) {
  const sql = `SELECT DISTINCT path_in_schema FROM parquet_metadata('${made.store.root.replace('file://', '')}/${id}/data/*.parquet')
    WHERE bloom_filter_offset IS NOT NULL ORDER BY ALL`
  return (await plain.runAndReadAll(sql)).getRowsJson().flat()
}

describe('A table that asks for Bloom filters', () => {
  it('gets them in the columns it names, nested ones too, and none elsewhere', async () => {
    const place: Type = { type: 'struct', fields: [{ id: 20, name: 'city', type: 'string', required: false }] }
    const tags: Type = { type: 'list', elementId: 21, elementRequired: false, element: 'string' }
    const id = await tableOf(
      { id: 'long', name: 'string', other: 'string', place, tags },
      {
        ...enabled('id'),
        ...enabled('place.city'),
        ...enabled('tags.element'),
        ...enabled('nobody'),
        'write.parquet.bloom-filter-enabled.column.other': 'false',
      },
    )
    await append(made.context, id, {
      sql: "SELECT i AS id, 'n' AS name, 'o' AS other, {city: 'c' || i} AS place, ['t'] AS tags FROM range(10) t(i)",
    })
    expect(await filteredColumns(id)).toEqual(['id', 'place, city', 'tags, list, element'])
    await alterTable(made.context, id, [{ kind: 'rename-column', column: 'id', to: 'key' }])
    await append(made.context, id, { sql: "SELECT 11 AS key, 'n' AS name, 'o' AS other, NULL AS place, NULL AS tags" })
    expect(await filteredColumns(id)).toEqual(['id', 'key', 'place, city', 'tags, list, element'])
  })

  it('finds the same rows after its columns were promoted', async () => {
    const names = ['n', 'x', 'money', 'day']
    const id = await tableOf(
      { n: 'int', x: 'float', money: 'decimal(4,2)', day: 'date' },
      Object.assign({}, ...names.map(enabled)),
    )
    const sql = (
      from: number,
    ) => `SELECT (i * 17 - 500)::INTEGER AS n, (i / 10)::FLOAT AS x, (i / 4)::DECIMAL(4, 2) AS money,
      DATE '2026-01-01' + i::INTEGER AS day FROM range(${from}, ${from + 100}) t(i)`
    await append(made.context, id, { sql: sql(0) })
    await append(made.context, id, { sql: sql(100) })
    const asked = async () => {
      const out: unknown[] = []
      for (const i of [0, 3, 40, 101, 199, 300]) {
        const values = [
          `n = ${i * 17 - 500}`,
          `x = (${i} / 10)::FLOAT`,
          `money = ${i / 4}`,
          `day = DATE '2026-01-01' + ${i}`,
        ]
        for (const one of [...values, `n IN (${i * 17 - 500}, 7)`, `x = (${i} / 10)::DOUBLE`])
          out.push([i, one, ...((await read(id, `SELECT count(*) FROM ${id} WHERE ${one}`))[0] ?? [])])
      }
      return out
    }
    const before = await asked()
    expect(before.filter((one) => (one as readonly unknown[])[2] === 1n).length).toBeGreaterThan(20)
    await alterTable(made.context, id, [
      { kind: 'change-type', column: 'n', type: 'long' },
      { kind: 'change-type', column: 'x', type: 'double' },
      { kind: 'change-type', column: 'money', type: 'decimal(18,2)' },
    ])
    expect(await asked()).toEqual(before)
  })

  it('is told of a property that is no number before anything is written', async () => {
    for (const [name, value, wanted] of [
      ['write.parquet.bloom-filter-fpp.column.id', '1.5', 'between 0 and 1'],
      ['write.parquet.bloom-filter-ndv.column.id', 'many', 'a whole number above 0'],
      ['write.parquet.bloom-filter-max-bytes', '', 'a whole number of bytes'],
    ] as const) {
      const id = await tableOf({ id: 'long' }, { ...enabled('id'), [name]: value })
      const error = await append(made.context, id, { sql: 'SELECT 1 AS id' }).catch((cause: unknown) => cause)
      expect(error instanceof LimnError && [error.kind, error.remedy]).toEqual([
        'usage/argument',
        expect.stringContaining(wanted),
      ])
    }
  })
})
