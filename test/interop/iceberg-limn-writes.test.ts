import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { loadTable } from '../../packages/limn/src/table/index.ts'
import { Peer, PeerError, peersPresent } from '../support/peers.ts'
import { limnSees, type Seen, type SeenAt, sortedTexts, withoutLineage, withPlainVariants } from '../support/seen.ts'
import { temporaryTables } from '../support/tables.ts'
import { limnCells as changedCells } from './cells/limn-cells.ts'
import { fileCells } from './cells/limn-file-cells.ts'
import { LimnWriter } from './cells/limn-writer.ts'
import { type Engine, ownRefusal, type Refusal, refusals } from './cells/refusals.ts'

const limnCells = [...changedCells, ...fileCells]
const present = peersPresent('java', 'python')

interface Count {
  readonly cells: Set<string>
  reads: number
  rows: number
  /** Of the rows, those whose row id and sequence number were compared too. */
  lineage: number
  readonly refused: Map<string, number>
}

const noCount = (): Count => ({ cells: new Set(), reads: 0, rows: 0, lineage: 0, refused: new Map() })
const sum = (numbers: Iterable<number>) => [...numbers].reduce((a, b) => a + b, 0)

/** What is read: a cell's table at a place in its history, and the summary of the snapshot there. */
interface State {
  readonly cell: string
  readonly at: SeenAt
  readonly summary: Readonly<Record<string, string>>
}

interface DuckSeen {
  readonly names: readonly string[]
  readonly rows: readonly string[]
  readonly snapshots: readonly { readonly id: string; readonly sequence: string }[]
}

describe.runIf(present)('Tables that limn writes', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let java: Peer
  let python: Peer
  const counts: Readonly<Record<Engine | 'java', Count>> = {
    java: noCount(),
    pyiceberg: noCount(),
    duckdb: noCount(),
  }
  let tables = 0
  const stated = { cells: 0, rows: 0 }
  const unwritten: string[] = []
  const unused = new Set<Refusal>(refusals)

  beforeAll(async () => {
    made = await temporaryTables({ seed: 'limn writes' })
    java = new Peer('java')
    python = new Peer('python')
  })
  afterAll(async () => {
    await java[Symbol.asyncDispose]()
    await python[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
    process.stdout.write(`${matrix()}\n`)
  })

  /** What ran, counted: a cell that nobody read shows. */
  function matrix(): string {
    const lines = Object.entries(counts).flatMap(([engine, count]) => [
      `  ${engine.padEnd(9)} read ${count.cells.size} cells, ${count.reads} states, ${count.rows} rows` +
        `${count.lineage > 0 ? ` (${count.lineage} with row lineage)` : ''}, refused ${sum(count.refused.values())} states`,
      ...[...count.refused].map(([message, times]) => `    ${times} × ${message}`),
    ])
    return [
      `limn wrote ${limnCells.length - unwritten.length} of ${limnCells.length} cells: ${tables} tables; ` +
        `${stated.cells} cells state their last rows (${stated.rows} rows); others read:`,
      ...lines,
      ...(unwritten.length > 0 ? ['limn did not write:', ...unwritten.map((line) => `  ${line}`)] : []),
    ].join('\n')
  }

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
    expect([...unused].map((one) => `${one.engine}: ${one.cell}`)).toEqual([])
  })

  /** Every engine reads a table as it is, at each of its snapshots and at each of its branches and tags. */
  async function readByAll(cell: string, table: TableId): Promise<void> {
    tables++
    const now = await limnSees(made.context, table)
    const { metadataLocation } = await loadTable(made.context, table)
    const places: SeenAt[] = [
      {},
      ...now.snapshots.map((one) => ({ snapshot: one.id })),
      ...Object.keys(now.refs)
        .filter((ref) => ref !== 'main')
        .map((ref) => ({ ref })),
    ]
    for (const at of places) {
      const lineage = now.formatVersion >= 3
      const known = await limnSees(made.context, table, { ...at, lineage })
      const ours = lineage ? { ...known, rows: withoutLineage(known.rows) } : known
      const catalog = { db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root }
      const theirs = await java.ask<Seen>({ op: 'read', catalog, table, ...at, lineage })
      const { files, deletes, metadata, ...comparable } = theirs as Seen & Record<string, unknown>
      const rows = withPlainVariants(theirs)
      expect({ at, ...known }).toEqual({ at, ...comparable, rows })
      counts.java.cells.add(cell)
      counts.java.reads++
      counts.java.rows += rows.length
      if (lineage) counts.java.lineage += rows.length
      const id = at.snapshot ?? (at.ref === undefined ? now.current : now.refs[at.ref]?.[1])
      const state = { cell, at, summary: now.snapshots.find((one) => one.id === id)?.summary ?? {} }
      await readOrRefuse('pyiceberg', state, { catalog, table }, (seen: Seen) => {
        expect({ at, ...comparedWithPyIceberg(seen) }).toEqual({ at, ...comparedWithPyIceberg(ours) })
      })
      if (at.ref === undefined)
        await readOrRefuse('duckdb', state, { metadata: metadataLocation }, (seen: DuckSeen) => {
          const { order, snapshots } = ours
          expect({ at, ...seen }).toEqual({
            at,
            names: order,
            rows: ours.rows,
            snapshots: snapshots.map((one) => ({ id: one.id, sequence: one.sequence })),
          })
        })
    }
  }

  async function readOrRefuse<T extends { readonly rows: readonly string[] }>(
    engine: Engine,
    { cell, at, summary }: State,
    request: object,
    compare: (seen: T) => void,
  ): Promise<void> {
    const allowed = refusals.find(
      (one) => one.engine === engine && one.cell.test(cell) && (one.where ?? (() => true))(summary),
    )
    const outcome = await python
      .ask<T>({ op: 'read', engine, ...request, ...at })
      .then((seen) => ({ seen }))
      .catch((error: unknown) => {
        if (error instanceof PeerError) return { error }
        throw error
      })
    const count = counts[engine]
    if ('error' in outcome) {
      expect([cell, at, engine, outcome.error.message]).toEqual([
        cell,
        at,
        engine,
        allowed ? expect.stringMatching(allowed.message) : 'an answer',
      ])
      if (allowed) unused.delete(allowed)
      const message =
        outcome.error.message
          .split('\n')[0]
          ?.replace(/\d{6,}/g, 'N')
          .slice(0, 160) ?? ''
      count.refused.set(message, (count.refused.get(message) ?? 0) + 1)
      return
    }
    if (!allowed?.sometimes) expect([cell, at, engine, allowed?.message.source]).toEqual([cell, at, engine, undefined])
    compare(outcome.seen)
    count.cells.add(cell)
    count.reads++
    count.rows += outcome.seen.rows.length
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
