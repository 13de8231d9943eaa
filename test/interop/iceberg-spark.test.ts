import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { Peer, peersPresent } from '../support/peers.ts'
import { limnSees, type Seen, type SeenAt, withPlainVariants } from '../support/seen.ts'
import { temporaryTables } from '../support/tables.ts'
import { sparkCells } from './cells/spark-cells.ts'

const present = peersPresent('spark', 'java')

describe.runIf(present)('Spark SQL', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let spark: Peer
  let java: Peer
  const counts = { tables: 0, snapshots: 0, rows: 0, lineage: 0 }
  const catalog = () => ({ db: `${made.folder}/catalog.db`, name: 'test', warehouse: made.store.root })

  beforeAll(async () => {
    made = await temporaryTables({ seed: 'spark' })
    java = new Peer('java')
    spark = new Peer('spark')
    await spark.ask({ op: 'catalog', alias: 'peer', ...catalog() })
    await spark.ask({ op: 'sql', statements: ['CREATE NAMESPACE IF NOT EXISTS peer.cells', 'USE peer.cells'] })
  })
  afterAll(async () => {
    await spark[Symbol.asyncDispose]()
    await java[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
    process.stdout.write(
      `Spark wrote, limn read: ${counts.tables} tables, ${counts.snapshots} snapshots and refs, ${counts.rows} rows (${counts.lineage} with row lineage)\n`,
    )
  })

  for (const [i, cell] of sparkCells.entries()) {
    it(`writes what limn reads: ${cell.name}`, async () => {
      const table = tableId(`cells.s${i}`)
      const statements = cell.statements.map((statement) => statement.replaceAll('TARGET', `s${i}`))
      await spark.ask({ op: 'sql', statements })
      const now = await java.ask<Seen>({ op: 'read', catalog: catalog(), table })
      const places: SeenAt[] = [
        {},
        ...now.snapshots.map((one) => ({ snapshot: one.id })),
        ...Object.keys(now.refs).map((ref) => ({ ref })),
      ]
      for (const at of places) {
        const lineage = now.formatVersion >= 3
        const theirs = await java.ask<Seen>({ op: 'read', catalog: catalog(), table, ...at, lineage })
        const ours = await limnSees(made.context, table, { ...at, lineage })
        const { files, deletes, metadata, ...comparable } = theirs as Seen & Record<string, unknown>
        expect({ at, ...ours }).toEqual({ at, ...comparable, rows: withPlainVariants(theirs) })
        counts.snapshots++
        counts.rows += ours.rows.length
        if (lineage) counts.lineage += ours.rows.length
      }
      const answer = await spark.ask<{ rows: readonly string[][] }>({
        op: 'sql',
        statements: [`SELECT count(*), sum(id) FROM s${i}`],
      })
      const sum = now.rows.reduce((total, row) => total + BigInt((JSON.parse(row) as string[])[0] ?? 0), 0n)
      expect(answer.rows).toEqual([[String(now.rows.length), String(sum)]])
      counts.tables++
    })
  }
})
