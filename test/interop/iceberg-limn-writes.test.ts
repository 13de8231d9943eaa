import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, tableId } from '../../packages/limn/src/base/index.ts'
import { loadTable } from '../../packages/limn/src/table/index.ts'
import { Peer, PeerError, peersPresent } from '../support/peers.ts'
import { limnSees, type Seen, type SeenAt, withPlainVariants } from '../support/seen.ts'
import { temporaryTables } from '../support/tables.ts'
import { limnCells as changedCells } from './cells/limn-cells.ts'
import { fileCells } from './cells/limn-file-cells.ts'
import { LimnWriter } from './cells/limn-writer.ts'
import { type Engine, ownRefusal, type Refusal, refusals } from './cells/refusals.ts'

const limnCells = [...changedCells, ...fileCells]
const present = peersPresent('java', 'python')

interface Count {
  reads: number
  rows: number
  readonly refused: Map<string, number>
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
    java: { reads: 0, rows: 0, refused: new Map() },
    pyiceberg: { reads: 0, rows: 0, refused: new Map() },
    duckdb: { reads: 0, rows: 0, refused: new Map() },
  }
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
    const lines = Object.entries(counts).flatMap(([engine, count]) => [
      `  ${engine}: ${count.reads} reads, ${count.rows} rows, ${[...count.refused.values()].reduce((a, b) => a + b, 0)} refused`,
      ...[...count.refused].map(([message, times]) => `    ${times} × ${message}`),
    ])
    process.stdout.write(
      `limn wrote ${limnCells.length - unwritten.length} tables, others read:\n${lines.join('\n')}\n` +
        (unwritten.length > 0 ? `limn did not write:\n${unwritten.map((line) => `  ${line}\n`).join('')}` : ''),
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
      await cell.write(new LimnWriter(made.context, table))
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
        const ours = await limnSees(made.context, table, at)
        const catalog = { db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root }
        const theirs = await java.ask<Seen>({ op: 'read', catalog, table, ...at })
        const { files, deletes, metadata, ...comparable } = theirs as Seen & Record<string, unknown>
        const rows = withPlainVariants(theirs)
        expect({ at, ...ours }).toEqual({ at, ...comparable, rows })
        counts.java.reads++
        counts.java.rows += rows.length
        await readOrRefuse(cell.name, 'pyiceberg', { catalog, table }, at, (seen: Seen) => {
          expect({ at, ...comparedWithPyIceberg(seen) }).toEqual({ at, ...comparedWithPyIceberg(ours) })
        })
        if (at.ref === undefined)
          await readOrRefuse(cell.name, 'duckdb', { metadata: metadataLocation }, at, (seen: DuckSeen) => {
            const { order, snapshots } = ours
            expect({ at, ...seen }).toEqual({
              at,
              names: order,
              rows: ours.rows,
              snapshots: snapshots.map((one) => ({ id: one.id, sequence: one.sequence })),
            })
          })
      }
    })
  }

  it('are refused only where the list of refusals says so', () => {
    expect([...unused].map((one) => `${one.engine}: ${one.cell}`)).toEqual([])
  })

  async function readOrRefuse<T extends { readonly rows: readonly string[] }>(
    cell: string,
    engine: Engine,
    request: object,
    at: SeenAt,
    compare: (seen: T) => void,
  ): Promise<void> {
    const allowed = refusals.find((one) => one.engine === engine && one.cell.test(cell) && (one.at ?? (() => true))(at))
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
    expect([cell, at, engine, allowed?.message.source]).toEqual([cell, at, engine, undefined])
    compare(outcome.seen)
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
