import { describe, expect, it } from 'vitest'
import { LimnError, seededRandomness, tableId } from '../../packages/limn/src/base/index.ts'
import { ancestorsOf, ManifestReader } from '../../packages/limn/src/iceberg/index.ts'
import { createTable, expireSnapshots, removeOrphans, type TableContext } from '../../packages/limn/src/table/index.ts'
import { type Deed, type Entry, perform, replay } from '../support/deeds.ts'
import { type Column, fieldsOf, rowsAt } from '../support/histories.ts'
import { bagOf, type Row } from '../support/naive-table.ts'
import { Crashed, calm, type Odds, Simulation } from '../support/simulation.ts'
import { temporaryTables } from '../support/tables.ts'

const first = Number(process.env.LIMN_SEED ?? 1)
const worlds = Number(process.env.LIMN_WORLDS ?? 6)
const table = tableId('silver.t')
const columns: readonly Column[] = [
  { name: 'id', type: 'long' },
  { name: 'n', type: 'int' },
]
const hour = 3_600_000

type Outcome = 'done' | 'refused' | 'unknown'

interface World {
  readonly deeds: Map<string, Deed>
  readonly outcomes: Map<string, Outcome>
}

async function run(seed: number, odds: Odds): Promise<{ readonly commits: number; readonly events: number }> {
  await using tables = await temporaryTables({ seed: `world ${seed}` })
  const { context, store, catalog } = tables
  const mode = seed % 2 === 0 ? 'merge-on-read' : 'copy-on-write'
  await createTable(context, table, {
    location: `${store.root}/silver/t`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(columns) },
    spec: { specId: 0, fields: [] },
    formatVersion: seed % 4 < 2 ? 2 : 3,
    properties: {
      'write.delete.mode': mode,
      'write.merge.mode': mode,
      'commit.retry.min-wait-ms': '0',
      'commit.retry.max-wait-ms': '1',
      'commit.retry.num-retries': '8',
    },
  })
  const sim = new Simulation(seed, odds)
  const world: World = { deeds: new Map(), outcomes: new Map() }
  let nextId = 0
  const contextOf = (writer: string, incarnation: number): TableContext => {
    const own = sim.storeOf(`${writer}#${incarnation}`, store)
    return {
      ...context,
      store: own,
      catalog: sim.catalogOf(`${writer}#${incarnation}`, catalog),
      manifests: new ManifestReader(own),
      randomness: seededRandomness(`${seed} ${writer} ${incarnation}`),
    }
  }
  const drawDeed = (): Deed => {
    const kind = sim.draw(8)
    if (kind < 3) {
      const from = nextId
      nextId += 1 + sim.draw(6)
      return { kind: 'append', from, to: nextId }
    }
    if (kind < 5) return { kind: 'delete', residue: sim.draw(7) }
    if (kind < 7) {
      const from = sim.draw(nextId + 1)
      const to = from + 1 + sim.draw(5)
      nextId = Math.max(nextId, to)
      return { kind: 'merge', from, to, n: 1 + sim.draw(1000) }
    }
    return { kind: 'compact' }
  }
  const writers = new Map<string, () => Promise<void>>()
  for (const writer of ['a', 'b', 'c']) {
    writers.set(`${writer}#0`, async () => {
      const mine = contextOf(writer, 0)
      for (let i = 0; i < 5; i++) {
        const deed = drawDeed()
        const name = `${writer}${i}`
        world.deeds.set(name, deed)
        world.outcomes.set(name, 'unknown')
        try {
          await perform(mine, table, deed, name)
          world.outcomes.set(name, 'done')
        } catch (error) {
          if (error instanceof Crashed || sim.isDead(`${writer}#0`)) return
          if (!(error instanceof LimnError)) throw error
          if (error.kind !== 'catalog/unknown-outcome') world.outcomes.set(name, 'refused')
        }
      }
    })
  }
  // Upkeep with the clock far ahead, so that every file that nothing leads to is old enough to go.
  writers.set('upkeep#0', async () => {
    const mine = { ...contextOf('upkeep', 0), clock: { nowMs: () => Date.now() + 2 * hour } }
    for (let i = 0; i < 3; i++) {
      try {
        await expireSnapshots(mine, table, { maxSnapshotAgeMs: 6 * hour, minSnapshotsToKeep: 100 })
      } catch (error) {
        if (error instanceof Crashed || sim.isDead('upkeep#0')) return
        if (!(error instanceof LimnError)) throw error
      }
    }
  })
  await sim.run(writers)
  const where = `seed ${seed}\n${sim.events.join('\n')}\n${JSON.stringify([...world.outcomes])}`
  return { commits: await judge(context, world, where, odds), events: sim.events.length }
}

/** The table's own history, replayed over an array, explains every snapshot; nothing acknowledged is missing. */
async function judge(context: TableContext, world: World, where: string, odds: Odds): Promise<number> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  if (!loaded) throw new Error(`${where}: the table is gone`)
  const head = loaded.metadata.currentSnapshotId
  const history = head === null ? [] : [...ancestorsOf(loaded.metadata, head)].reverse()
  const seen = new Set<string>()
  let rows: readonly Entry[] = []
  for (const snapshot of history) {
    const name = snapshot.summary.deed
    if (name !== undefined) {
      expect([where, name, seen.has(name)]).toEqual([where, name, false])
      seen.add(name)
      const deed = world.deeds.get(name)
      if (deed) rows = replay(rows, deed)
    }
    const expected = bagOf(rows.map(({ id, n }): Row => ({ id: BigInt(id), n })))
    const found = bagOf(await rowsAt(context, table, snapshot.snapshotId, columns))
    expect([where, name ?? snapshot.operation, found]).toEqual([where, name ?? snapshot.operation, expected])
  }
  for (const [name, outcome] of world.outcomes) {
    const deed = world.deeds.get(name)
    // A deletion or compaction with nothing to do makes no snapshot.
    const mustBe = outcome === 'done' && (deed?.kind === 'append' || deed?.kind === 'merge')
    if (mustBe) expect([where, name, seen.has(name)]).toEqual([where, name, true])
    if (outcome === 'refused') expect([where, name, seen.has(name)]).toEqual([where, name, false])
  }
  // What crashes left behind goes, and nothing else: every snapshot is still whole.
  const later = { ...context, clock: { nowMs: () => Date.now() + 10 * hour } }
  const orphans = await removeOrphans(later, table, { ageMs: 2 * hour })
  if (odds === calm) expect([where, orphans.deleted]).toEqual([where, []])
  for (const snapshot of history) {
    const fresh = { ...context, manifests: new ManifestReader(context.store) }
    await rowsAt(fresh, table, snapshot.snapshotId, columns)
  }
  return history.length
}

describe('concurrent writers over a faulty store and catalog', () => {
  it(`lose no committed row, and none is there twice (seeds from ${first})`, async () => {
    const odds: Odds = { crash: 4, storeError: 12, lostResponse: 60, slowList: 200 }
    let commits = 0
    let events = 0
    for (let seed = first; seed < first + worlds; seed++) {
      const ended = await run(seed, odds)
      commits += ended.commits
      events += ended.events
    }
    process.stdout.write(`${worlds} worlds from seed ${first}: ${commits} commits, ${events} faults\n`)
    expect(commits).toBeGreaterThan(worlds * 3)
    expect(events).toBeGreaterThan(worlds)
  })

  it('leave nothing behind where nothing fails', async () => {
    for (let seed = first + 1000; seed < first + 1003; seed++) expect((await run(seed, calm)).events).toBe(0)
  })
})
