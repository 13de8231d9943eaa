import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { append, createTableAs, openIceberg, tableId } from 'limn/iceberg'
import { expect, it } from 'vitest'
import { root, temporaryFolder } from '../support/lake.ts'

const run = promisify(execFile)

it('the tour of limn/iceberg does what it says, and leaves tables that can be opened again', async () => {
  using place = temporaryFolder('tour')
  const { stdout } = await run(process.execPath, [join(root, 'examples', 'iceberg', 'tour.ts'), place.folder])
  for (const line of [
    'appended 100 rows in 5 files',
    'merged: 10 inserted, 5 updated, 5 deleted',
    'DELETE: 5',
    'INSERT: 10',
    'UPDATE_AFTER: 5',
    'UPDATE_BEFORE: 5',
    'on the branch: 115 rows',
    'USD 10',
    '4 files became 2',
  ])
    expect(stdout.split('\n')).toContain(line)
  await using tables = await openIceberg({ warehouse: place.folder })
  const { rows } = await tables.query('SELECT count(*), count(DISTINCT currency) FROM shop.orders')
  expect(rows.map((row) => row.map(String))).toEqual([['91', '2']])
  await expect(tables.query('DELETE FROM shop.orders')).rejects.toMatchObject({ kind: 'sql/not-read-only' })
})

it('creating tables says what is missing, whoever calls it without types', async () => {
  using place = temporaryFolder('create')
  await using tables = await openIceberg({ warehouse: place.folder })
  const table = tableId('shop.orders')
  const fields = [{ id: 1, name: 'id', required: false, type: 'long' }] as const
  const shape = {
    location: join(place.folder, 'orders'),
    schema: { schemaId: 0, fields, identifierFieldIds: [] },
    spec: { specId: 0, fields: [] },
  }
  for (const [given, rows, says] of [
    [{ sql: 'SELECT 1 AS id' }, undefined, 'no location, no schema, no spec'],
    [undefined, { sql: 'SELECT 1 AS id' }, 'no location, no schema, no spec'],
    [{ ...shape, spec: 'none' }, { sql: 'SELECT 1 AS id' }, 'no spec'],
    [shape, undefined, 'no rows'],
    [shape, 'SELECT 1 AS id', 'no rows'],
  ]) {
    const called: Promise<unknown> = Reflect.apply(createTableAs, undefined, [tables, table, given, rows])
    await expect(called).rejects.toMatchObject({
      kind: 'usage/argument',
      message: expect.stringContaining(`${says}`),
      remedy: expect.any(String),
    })
  }
  expect(await tables.catalog.listTables()).toEqual([])
  await createTableAs(tables, table, shape, { sql: 'SELECT 1::BIGINT AS id' })
  const appended: Promise<unknown> = Reflect.apply(append, undefined, [tables, table, 'SELECT 2 AS id'])
  await expect(appended).rejects.toMatchObject({ kind: 'usage/argument' })
  expect((await tables.query('SELECT id FROM shop.orders')).rows.map(String)).toEqual(['1'])
})

it('opening tables says what is wrong with what it is given', async () => {
  using place = temporaryFolder('open')
  const file = join(place.folder, 'file')
  writeFileSync(file, '')
  const warehouse = join(place.folder, 'tables')
  for (const [options, kind] of [
    [{ warehouse: file }, 'storage/not-writable'],
    [{ warehouse, threads: 0 }, 'usage/argument'],
    [{ warehouse, memoryLimit: 'lots' }, 'usage/argument'],
  ] as const)
    await expect(openIceberg(options)).rejects.toMatchObject({ kind, remedy: expect.any(String) })
})
