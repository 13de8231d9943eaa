import { expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { createTable } from '../../packages/limn/src/table/index.ts'
import {
  applyNaively,
  applyToTable,
  drawShape,
  fieldsOf,
  History,
  type Operation,
  specOf,
} from '../support/histories.ts'
import { statementOf } from '../support/history-sql.ts'
import { draws } from '../support/hostile.ts'
import { bagOf, NaiveTable, truthOf } from '../support/naive-table.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

const first = Number(process.env.LIMN_SEED ?? 1)
const histories = Number(process.env.LIMN_HISTORIES ?? 6)
const steps = 14
const table = tableId('silver.t')

/** What SQL can say: REPLACE WHERE takes rows within its condition alone, MERGE clauses behind one that takes all never apply. */
function sayable(operation: Operation): Operation {
  if (operation.kind === 'overwrite')
    return { ...operation, rows: operation.rows.filter((row) => truthOf(operation.where, row) === true) }
  if (operation.kind !== 'merge') return operation
  const closed = new Set<string>()
  const clauses = operation.clauses.filter((clause) => {
    const reached = !closed.has(clause.when)
    if (!clause.and) closed.add(clause.when)
    return reached
  })
  return { ...operation, clauses }
}

async function run(seed: number): Promise<number> {
  const draw = draws(seed)
  const shape = drawShape(draw)
  const history = new History(draw, shape)
  const spelling = draws(seed + 1_000_000)
  await using tables = await temporaryTables({ seed: `statements ${seed}` })
  const { context } = tables
  const { run: execute, rows: query } = runner(context)
  await createTable(context, table, {
    location: `${context.store.root}/silver/t`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(shape.columns) },
    spec: specOf(shape),
    formatVersion: shape.formatVersion,
    properties: {
      'write.delete.mode': shape.mode,
      'write.update.mode': shape.mode,
      'write.merge.mode': shape.mode,
    },
  })
  const naive = new NaiveTable()
  const done: string[] = []
  let said = 0
  for (let step = 0; step < steps; step++) {
    const { columns } = history
    const operation = sayable(history.next())
    const statement = statementOf(spelling, table, columns, operation)
    done.push(statement ?? JSON.stringify(operation, (_key, one) => (typeof one === 'bigint' ? `${one}n` : one)))
    const where = `seed ${seed}, ${JSON.stringify({ ...shape, columns: undefined })}:\n${done.join('\n')}`
    try {
      if (statement === null) await applyToTable(context, table, columns, operation)
      else {
        await execute(statement, { dryRun: true })
        await execute(statement)
        said++
      }
    } catch (error) {
      throw new Error(`${where}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    }
    applyNaively(naive, operation)
    const now = history.columns
    const names = now.map((one) => `"${one.name}"${one.type === 'date' ? '::VARCHAR' : ''}`).join(', ')
    const found = await query(`SELECT ${names} FROM ${table}`)
    const rows = found.map((row) => Object.fromEntries(now.map((one, i) => [one.name, (row[i] ?? null) as never])))
    expect([where, bagOf(rows)]).toEqual([where, bagOf(naive.rows)])
  }
  return said
}

it(`statements of random histories make what a naive table has, step by step, and dry runs change nothing (seeds from ${first})`, async () => {
  let said = 0
  for (let seed = first; seed < first + histories; seed++) said += await run(seed)
  expect(said).toBeGreaterThan(histories * 6)
}, 120_000)
