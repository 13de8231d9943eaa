import { describe, expect, it } from 'vitest'
import { tableId } from '../../../packages/limn/src/base/index.ts'
import { diffRows, type RowSide } from '../../../packages/limn/src/pipeline/index.ts'
import type { Field } from '../../../packages/limn/src/schema/index.ts'
import {
  alterTable,
  append,
  createTable,
  deleteRows,
  pinRef,
  readPinned,
  type TableContext,
  updateRows,
} from '../../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../../support/tables.ts'

const id = tableId('silver.t')
const fields: readonly Field[] = [
  { id: 1, name: 'k', type: 'long', required: false },
  { id: 2, name: 'at', type: 'timestamp', required: false },
  { id: 3, name: 'n', type: 'int', required: false },
]

async function monthly(context: TableContext): Promise<void> {
  await createTable(context, id, {
    location: `${context.store.root}/silver/t`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: fields },
    spec: { specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'at_month', transform: { kind: 'month' } }] },
  })
  await append(context, id, {
    sql: "SELECT range AS k, TIMESTAMP '2026-01-15' + to_months((range % 3)::INTEGER) AS at, 1 AS n FROM range(30)",
  })
}

async function side(context: TableContext): Promise<RowSide & { readonly kind: 'table' }> {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  const pin = loaded ? pinRef(loaded) : null
  if (!pin) throw new Error('it was not made')
  return { kind: 'table', pin }
}

describe('the rows that differ between two states of a table', () => {
  it('are looked for in files that are not the same, with sums of whole intervals', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await monthly(context)
    const before = await side(context)
    await updateRows(context, id, { filter: 'k = 4', set: { n: '7' } })
    await append(context, id, { sql: "SELECT 100::BIGINT AS k, TIMESTAMP '2026-02-20' AS at, 2 AS n" })
    const found = await diffRows(context, before, await side(context), { keys: ['k'], column: 'at', unit: 'month' })
    expect(found.files).toEqual({ compared: 3, equal: 2 })
    expect(found.intervals).toEqual([
      {
        interval: { start: Date.UTC(2026, 1, 1) * 1000, end: Date.UTC(2026, 2, 1) * 1000 },
        before: 10,
        after: 11,
        added: 1,
        removed: 0,
        changed: 1,
        columns: [{ name: 'n', rows: 1, greatest: 6 / 7 }],
        measures: [{ name: 'n', before: '10', after: '18', delta: '8', relative: 0.8, inexact: false }],
      },
    ])
    expect(found.total).toMatchObject({ before: 10, after: 11, added: 1, changed: 1 })
    const whole = await diffRows(context, before, await side(context), { keys: ['k'] })
    expect(whole.total).toMatchObject({ before: 30, after: 31, measures: [{ before: '30', after: '38' }] })
  })

  it('reads rows of an equal file in an interval that differs for its sum', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await monthly(context)
    const before = await side(context)
    await append(context, id, { sql: "SELECT 100::BIGINT AS k, TIMESTAMP '2026-02-20' AS at, 2 AS n" })
    const found = await diffRows(context, before, await side(context), { column: 'at', unit: 'month' })
    expect(found.files).toEqual({ compared: 1, equal: 3 })
    expect(found.intervals).toMatchObject([
      { before: 10, after: 11, added: 1, measures: [{ name: 'k' }, { before: '10', after: '12' }] },
    ])
  })

  it('knows deleted rows by the deletes of a file, and opens no file that is equal', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await monthly(context)
    await alterTable(context, id, [{ kind: 'set-properties', properties: { 'write.delete.mode': 'merge-on-read' } }])
    const before = await side(context)
    await deleteRows(context, id, { filter: 'k = 5' })
    const after = await side(context)
    const opened: string[] = []
    const counting: TableContext = {
      ...context,
      store: new Proxy(context.store, {
        get: (target, name, receiver) =>
          name === 'lease'
            ? (paths: readonly string[], options: never) => {
                opened.push(...paths.filter((path) => path.includes('/data/')))
                return target.lease(paths as never, options)
              }
            : Reflect.get(target, name, receiver),
      }),
    }
    const found = await diffRows(counting, before, after, { keys: ['k'], column: 'at', unit: 'month' })
    expect(found.intervals).toMatchObject([{ before: 10, after: 9, removed: 1, added: 0 }])
    const untouched = new Set(opened.filter((path) => /at_month=2026-0[12]/.test(path)))
    expect([...untouched]).toEqual([])
    expect(opened.length).toBeGreaterThan(0)
  })

  it('follows a column through its rename, and names one that was added', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await monthly(context)
    const before = await side(context)
    await alterTable(context, id, [
      { kind: 'rename-column', column: ['n'], to: 'amount' },
      { kind: 'add-column', name: 'note', type: 'string' },
    ])
    await updateRows(context, id, { filter: 'k = 0', set: { amount: '3' } })
    const found = await diffRows(context, before, await side(context), { keys: ['k'] })
    expect(found.columns).toMatchObject({
      renamed: [{ before: 'n', after: 'amount' }],
      added: [{ name: 'note', type: 'VARCHAR' }],
      removed: [],
    })
    expect(found.total).toMatchObject({ changed: 1, columns: [{ name: 'amount', rows: 1 }] })
    await using reading = await readPinned(context, (await side(context)).pin)
    expect(reading.bound.files.length).toBe(3)
  })
})
