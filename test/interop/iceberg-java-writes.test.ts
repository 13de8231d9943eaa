import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, tableId } from '../../packages/limn/src/base/index.ts'
import { Peer, peersPresent } from '../support/peers.ts'
import { answersWithAndWithoutPruning, limnSees, type Seen, type SeenAt, withPlainVariants } from '../support/seen.ts'
import { temporaryTables } from '../support/tables.ts'
import { dataCells, type JavaCell } from './cells/java-cells.ts'
import { shapeCells } from './cells/java-shape-cells.ts'
import { ownRefusal } from './cells/refusals.ts'

const cells: readonly JavaCell[] = [...dataCells, ...shapeCells]
const present = peersPresent('java')

describe.runIf(present)('Tables that the Java reference implementation writes', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let java: Peer
  const counts = { cells: 0, snapshots: 0, rows: 0, lineage: 0, filters: 0, pruned: 0, refused: 0 }
  const refused: string[] = []

  beforeAll(async () => {
    made = await temporaryTables({ seed: 'java writes' })
    java = new Peer('java')
  })
  afterAll(async () => {
    await java[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
    process.stdout.write(
      `Java wrote, limn read: ${counts.cells} tables, ${counts.snapshots} snapshots and refs, ${counts.rows} rows (${counts.lineage} with row lineage), ` +
        `${counts.filters} filters (${counts.pruned} pruned files), ${counts.refused} refused\n` +
        refused.map((line) => `  ${line}\n`).join(''),
    )
  })

  for (const [i, cell] of cells.entries()) {
    it(cell.name, async () => {
      const table = tableId(`cells.c${i}`)
      const catalog = { db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root }
      await java.ask({ op: 'write', catalog, table, steps: cell.steps })
      const now = await java.ask<Seen>({ op: 'read', catalog, table })
      const places: SeenAt[] = [
        {},
        ...now.snapshots.map((one) => ({ snapshot: one.id })),
        ...Object.keys(now.refs).map((ref) => ({ ref })),
      ]
      const refusal = ownRefusal(cell.name)
      if (refusal) {
        const error = await limnSees(made.context, table).catch((cause: unknown) => cause)
        expect(error instanceof LimnError && error.message).toMatch(refusal)
        refused.push(`${cell.name}: ${error instanceof LimnError ? error.message : ''}`)
        counts.refused++
        return
      }
      for (const at of places) {
        const lineage = now.formatVersion >= 3
        const theirs = await java.ask<Seen>({ op: 'read', catalog, table, ...at, lineage })
        const ours = await limnSees(made.context, table, { ...at, lineage })
        const { files, deletes, metadata, ...comparable } = theirs as Seen & Record<string, unknown>
        const rows = withPlainVariants(theirs)
        expect({ at, ...ours }).toEqual({ at, ...comparable, rows })
        counts.snapshots++
        counts.rows += ours.rows.length
        if (lineage) counts.lineage += ours.rows.length
      }
      for (const filter of cell.filters ?? []) {
        const answer = await answersWithAndWithoutPruning(made.context, table, filter)
        expect([filter, answer.pruned]).toEqual([filter, answer.whole])
        counts.filters++
        counts.pruned += answer.prunedFiles
      }
      counts.cells++
    })
  }
})
