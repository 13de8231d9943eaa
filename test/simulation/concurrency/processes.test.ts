import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../../packages/limn/src/base/index.ts'
import { ManifestReader, type Snapshot } from '../../../packages/limn/src/iceberg/index.ts'
import { createTable } from '../../../packages/limn/src/table/index.ts'
import { type Deed, type Entry, replay } from '../../support/deeds.ts'
import { type Column, fieldsOf, rowsAt } from '../../support/histories.ts'
import { root } from '../../support/lake.ts'
import { bagOf, type Row } from '../../support/naive-table.ts'
import { start } from '../../support/process.ts'
import { temporaryTables } from '../../support/tables.ts'

const seed = Number(process.env.LIMN_SEED ?? 1)
const seconds = Number(process.env.LIMN_SECONDS ?? 60)
const table = tableId('silver.t')
const columns: readonly Column[] = [
  { name: 'id', type: 'long' },
  { name: 'n', type: 'int' },
]

interface Logged {
  readonly name: string
  readonly deed: Deed | { readonly kind: 'expire' }
  readonly outcome: string
}

async function run(formatVersion: 2 | 3, mode: string): Promise<string> {
  await using tables = await temporaryTables({ seed: `processes ${seed}` })
  const { context, folder } = tables
  await createTable(context, table, {
    location: `${context.store.root}/silver/t`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(columns) },
    spec: { specId: 0, fields: [] },
    formatVersion,
    properties: {
      'write.delete.mode': mode,
      'write.merge.mode': mode,
      'commit.retry.num-retries': '50',
      'commit.retry.min-wait-ms': '5',
      'commit.retry.max-wait-ms': '200',
    },
  })
  const driver = join(root, 'test', 'support', 'concurrency-driver.ts')
  const args = (n: number) => [driver, folder, String(n), String(seed), String(seconds)]
  const children = Array.from({ length: 8 }, (_, n) => start(process.execPath, args(n)).ended)
  let ended = false
  const all = Promise.all(children).finally(() => {
    ended = true
  })
  // Expired snapshots leave the metadata: whoever wants the whole history has to watch it being made.
  const seen = new Map<bigint, Snapshot>()
  const look = async () => {
    const loaded = (await context.catalog.loadTables([table])).get(table)
    for (const snapshot of loaded?.metadata.snapshots ?? []) seen.set(snapshot.snapshotId, snapshot)
    return loaded
  }
  while (!ended) {
    await look()
    await sleep(200)
  }
  const outputs = await all
  for (const one of outputs) expect([one.code, one.stderr]).toEqual([0, ''])
  const log = outputs.flatMap((one) =>
    one.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Logged),
  )
  const loaded = await look()
  const kept = new Set(loaded?.metadata.snapshots.map((one) => one.snapshotId))
  const history = [...seen.values()].sort((a, b) => (a.sequenceNumber < b.sequenceNumber ? -1 : 1))
  const deeds = new Map(log.map((one) => [one.name, one]))
  const committed = new Set<string>()
  let rows: readonly Entry[] = []
  let compared = 0
  for (const [i, snapshot] of history.entries()) {
    // One line of snapshots, none missing: the order is the table's own.
    expect([snapshot.sequenceNumber, snapshot.parentSnapshotId]).toEqual([
      BigInt(i + 1),
      history[i - 1]?.snapshotId ?? null,
    ])
    const name = snapshot.summary.deed
    if (name !== undefined) {
      expect([name, committed.has(name)]).toEqual([name, false])
      committed.add(name)
      const logged = deeds.get(name)
      if (logged && logged.deed.kind !== 'expire') rows = replay(rows, logged.deed)
    }
    if (!kept.has(snapshot.snapshotId)) continue
    const expected = bagOf(rows.map(({ id, n }): Row => ({ id: BigInt(id), n })))
    const fresh = { ...context, manifests: new ManifestReader(context.store) }
    expect([name, bagOf(await rowsAt(fresh, table, snapshot.snapshotId, columns))]).toEqual([name, expected])
    compared++
  }
  for (const { name, deed, outcome } of log) {
    if (deed.kind !== 'append' && deed.kind !== 'merge') continue
    expect([name, deed, outcome, committed.has(name)]).toEqual([name, deed, outcome, outcome === 'done'])
  }
  const refused = log.filter((one) => one.outcome !== 'done').length
  return `version ${formatVersion}, ${mode}: ${log.length} deeds of 8 processes in ${seconds} s, ${history.length} snapshots, ${compared} compared, ${refused} refused`
}

describe('eight processes at one table', () => {
  it(`append, merge, delete, compact and expire, and a serial order explains all (seed ${seed})`, async () => {
    process.stdout.write(`${await run(2, 'copy-on-write')}\n`)
    process.stdout.write(`${await run(3, 'merge-on-read')}\n`)
  })
})
