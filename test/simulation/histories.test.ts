import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { createTable } from '../../packages/limn/src/table/index.ts'
import {
  applyNaively,
  applyToTable,
  type Column,
  drawShape,
  fieldsOf,
  History,
  rowsAt,
  type Shape,
  specOf,
} from '../support/histories.ts'
import { draws } from '../support/hostile.ts'
import { bagOf, NaiveTable } from '../support/naive-table.ts'
import { temporaryTables } from '../support/tables.ts'

const first = Number(process.env.LIMN_SEED ?? 1)
const histories = Number(process.env.LIMN_HISTORIES ?? 8)
const steps = 14
const table = tableId('silver.t')

interface State {
  readonly columns: readonly Column[]
  readonly rows: readonly string[]
}

/** Runs one history; every state is compared when it is made, and again, by its snapshot, at the end. */
async function run(seed: number, forced: Partial<Shape> = {}): Promise<number> {
  const draw = draws(seed)
  const shape = { ...drawShape(draw), ...forced }
  const history = new History(draw, shape)
  await using tables = await temporaryTables({ seed: `history ${seed}` })
  const { context } = tables
  await createTable(context, table, {
    location: `${context.store.root}/silver/t`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(shape.columns) },
    spec: specOf(shape),
    formatVersion: shape.formatVersion,
    properties: {
      'write.delete.mode': shape.mode,
      'write.update.mode': shape.mode,
      'write.merge.mode': shape.mode,
      'commit.manifest.min-count-to-merge': '4',
    },
  })
  const naive = new NaiveTable()
  const states = new Map<bigint, State>()
  const done: string[] = []
  for (let step = 0; step < steps; step++) {
    const { columns } = history
    const operation = history.next()
    done.push(JSON.stringify(operation, (_key, one) => (typeof one === 'bigint' ? `${one}n` : one)))
    const where = `seed ${seed}, ${JSON.stringify({ ...shape, columns: undefined })}:\n${done.join('\n')}`
    try {
      await applyToTable(context, table, columns, operation)
    } catch (error) {
      throw new Error(`${where}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    }
    applyNaively(naive, operation)
    const loaded = (await context.catalog.loadTables([table])).get(table)
    const head = loaded?.metadata.currentSnapshotId
    if (head === null || head === undefined) {
      expect([where, naive.rows.length]).toEqual([where, 0])
      continue
    }
    const known = states.get(head)
    const shown = known?.columns ?? history.columns
    const expected = bagOf(naive.rows)
    if (!known) states.set(head, { columns: history.columns, rows: expected })
    // A change of shape alone makes no snapshot: what stands under the head's own schema stays as it was.
    const rows = bagOf(await rowsAt(context, table, head, shown))
    expect([where, rows]).toEqual([where, known?.rows ?? expected])
  }
  const loaded = (await context.catalog.loadTables([table])).get(table)
  let checked = 0
  for (const { snapshotId } of loaded?.metadata.snapshots ?? []) {
    const state = states.get(snapshotId)
    if (!state) continue
    const rows = bagOf(await rowsAt(context, table, snapshotId, state.columns))
    expect([seed, snapshotId, rows]).toEqual([seed, snapshotId, state.rows])
    checked++
  }
  return checked
}

describe('random histories of a table', () => {
  it(`equal a naive table, at every step and at every snapshot that is kept (seeds from ${first})`, async () => {
    let checked = 0
    for (let seed = first; seed < first + histories; seed++) {
      const formatVersion = seed % 2 === 0 ? 2 : 3
      const mode = seed % 4 < 2 ? 'merge-on-read' : 'copy-on-write'
      checked += await run(seed, { formatVersion, mode })
    }
    process.stdout.write(
      `${histories} histories of ${steps} steps from seed ${first}: ${checked} snapshots read again\n`,
    )
    expect(checked).toBeGreaterThan(histories)
  })
})
