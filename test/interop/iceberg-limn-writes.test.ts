import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { loadTable } from '../../packages/limn/src/table/index.ts'
import { Peer, peersPresent } from '../support/peers.ts'
import { limnSees, type Seen, type SeenAt, sortedTexts, withoutLineage, withPlainVariants } from '../support/seen.ts'
import { temporaryTables } from '../support/tables.ts'
import { adoptCells } from './cells/limn-adopt-cells.ts'
import { limnCells as changedCells } from './cells/limn-cells.ts'
import { fileCells } from './cells/limn-file-cells.ts'
import { LimnWriter } from './cells/limn-writer.ts'
import { ownRefusal } from './cells/refusals.ts'
import { ask, Matrix } from './matrix.ts'

const present = peersPresent('java', 'spark', 'python')
const limnCells = [...changedCells, ...fileCells, ...adoptCells]

interface DuckSeen {
  readonly names: readonly string[]
  readonly rows: readonly string[]
  readonly snapshots: readonly { readonly id: string; readonly sequence: string }[]
}

describe.runIf(present)('Tables that limn writes', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let java: Peer
  let spark: Peer
  let pyiceberg: Peer
  let duckdb: Peer
  const matrix = new Matrix(['java', 'spark', 'pyiceberg', 'duckdb'])
  let tables = 0
  const stated = { cells: 0, rows: 0 }
  const unwritten: string[] = []
  const catalog = () => ({ db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root })

  beforeAll(async () => {
    made = await temporaryTables({ seed: 'limn writes' })
    java = new Peer('java')
    spark = new Peer('spark')
    pyiceberg = new Peer('python')
    duckdb = new Peer('python')
    await spark.ask({ op: 'catalog', alias: 'peer', ...catalog() })
  })
  afterAll(async () => {
    for (const peer of [java, spark, pyiceberg, duckdb]) await peer[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
    process.stdout.write(
      `limn wrote ${limnCells.length - unwritten.length} of ${limnCells.length} cells, ${tables} tables; ` +
        `${stated.cells} cells state the rows they end with (${stated.rows} rows); others read:\n` +
        `${matrix.text(limnCells.length)}\n${unwritten.map((line) => `  limn did not write ${line}\n`).join('')}`,
    )
  })

  for (const [i, cell] of limnCells.entries()) {
    it(cell.name, async () => {
      const table = tableId(`cells.c${i}`)
      const refusal = ownRefusal(cell.name)
      if (refusal) {
        const error = await cell.write(new LimnWriter(made.context, table)).catch((cause: unknown) => cause)
        expect(error instanceof LimnError && error.message).toMatch(refusal)
        unwritten.push(`${cell.name}: ${error instanceof LimnError ? error.message : ''}`)
        return
      }
      const writer = new LimnWriter(made.context, table)
      await cell.write(writer)
      for (const written of writer.written) await readByAll(cell.name, written)
      if (writer.expected !== null) {
        const { rows } = await limnSees(made.context, table)
        expect(rows).toEqual(sortedTexts(writer.expected))
        stated.cells++
        stated.rows += rows.length
      }
    })
  }

  it('are refused only where the list of refusals says so', () => {
    expect(matrix.unusedRefusals()).toEqual([])
  })

  /** Every reader reads a table as it is, at its snapshots and at each of its branches and tags. */
  async function readByAll(cell: string, table: TableId): Promise<void> {
    tables++
    const now = await limnSees(made.context, table)
    const { metadataLocation } = await loadTable(made.context, table)
    // Plain appends before the first change are read in the cells that have nothing else.
    const change = now.snapshots.findIndex((one) => one.operation !== 'append')
    const past = now.snapshots.slice(Math.max(0, change))
    const places: SeenAt[] = [
      {},
      ...past.map((one) => ({ snapshot: one.id })),
      ...Object.keys(now.refs)
        .filter((ref) => ref !== 'main')
        .map((ref) => ({ ref })),
    ]
    const lineage = now.formatVersion >= 3
    const first = past[0]?.id
    // Everybody is asked at once, and answers while limn reads.
    const asked = places.map((at) => ({
      at,
      java: ask<Seen>(java, { op: 'read', catalog: catalog(), table, ...at, lineage }),
      // Spark reads what is there now and by name; of the past it reads the first state.
      spark:
        at.snapshot === undefined || at.snapshot === first
          ? ask<Seen>(spark, { op: 'read', alias: 'peer', table, ...at, lineage })
          : null,
      pyiceberg: ask<Seen>(pyiceberg, { op: 'read', engine: 'pyiceberg', catalog: catalog(), table, ...at }),
      duckdb:
        at.ref === undefined
          ? ask<DuckSeen>(duckdb, { op: 'read', engine: 'duckdb', metadata: metadataLocation, ...at })
          : null,
    }))
    for (const { at, ...answers } of asked) {
      const known = await limnSees(made.context, table, { ...at, lineage })
      const ours = lineage ? { ...known, rows: withoutLineage(known.rows) } : known
      const id = at.snapshot ?? (at.ref === undefined ? now.current : now.refs[at.ref]?.[1])
      const summary = now.snapshots.find((one) => one.id === id)?.summary ?? {}
      const state = { cell, at, summary }
      const reference = (seen: Seen) => {
        const { files, deletes, metadata, ...comparable } = seen as Seen & Record<string, unknown>
        expect({ at, ...known }).toEqual({ at, ...comparable, rows: withPlainVariants(seen) })
      }
      await matrix.settle('java', { ...state, at: { ...at, lineage } }, answers.java, reference)
      if (answers.spark) await matrix.settle('spark', { ...state, at: { ...at, lineage } }, answers.spark, reference)
      await matrix.settle('pyiceberg', state, answers.pyiceberg, (seen) => {
        expect({ at, ...comparedWithPyIceberg(seen) }).toEqual({ at, ...comparedWithPyIceberg(ours) })
      })
      if (answers.duckdb)
        await matrix.settle('duckdb', state, answers.duckdb, (seen) => {
          const { order, snapshots } = ours
          expect({ at, ...seen, rows: withPlainVariants({ ...ours, rows: seen.rows }) }).toEqual({
            at,
            names: order,
            rows: ours.rows,
            snapshots: snapshots.map((one) => ({ id: one.id, sequence: one.sequence })),
          })
        })
    }
  }
})

/** What PyIceberg shows of a table; it keeps no sort orders or sequence numbers of rows. */
function comparedWithPyIceberg(seen: Seen) {
  const columns = (list: Seen['columns']) => list.map((one) => one.slice(0, 5))
  return {
    formatVersion: seen.formatVersion,
    schemaId: seen.schemaId,
    schemas: Object.fromEntries(Object.entries(seen.schemas).map(([id, list]) => [id, columns(list)])),
    columns: columns(seen.columns),
    order: seen.order,
    identifierFieldIds: seen.identifierFieldIds,
    specId: seen.specId,
    specs: seen.specs,
    current: seen.current,
    refs: seen.refs,
    rows: seen.rows.map((row) => withEmptyMaps(seen, row)),
    snapshots: seen.snapshots.map(({ id, parent, sequence, operation }) => ({ id, parent, sequence, operation })),
  }
}

/** PyIceberg builds lists and maps of structs anew without their validity: a null one and an empty one are the same to it. */
function withEmptyMaps(seen: Seen, row: string): string {
  const maps = new Set(
    seen.columns
      .filter(([, name, type]) => (type === 'map' || type === 'list') && !name.includes('.'))
      .map((one) => one[1]),
  )
  if (maps.size === 0) return row
  const cells = JSON.parse(row) as unknown[]
  return JSON.stringify(cells.map((cell, i) => (cell === null && maps.has(seen.order[i] ?? '') ? [] : cell)))
}
