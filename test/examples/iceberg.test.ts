import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openIceberg } from 'limn/iceberg'
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
