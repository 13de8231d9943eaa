import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import type { Datum } from '../../packages/limn/src/engine/index.ts'
import type { LoadedTable } from '../../packages/limn/src/iceberg/index.ts'
import {
  bindMetadataTable,
  createTable,
  type MetadataTable,
  type MetadataTableName,
  metadataTable,
  metadataTableNames,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { applyNaively, applyToTable, drawShape, fieldsOf, History, specOf } from '../support/histories.ts'
import { draws } from '../support/hostile.ts'
import { NaiveTable } from '../support/naive-table.ts'
import { type RawManifest, rawManifests } from '../support/raw-manifests.ts'
import { temporaryTables } from '../support/tables.ts'

const firstSeed = Number(process.env.LIMN_SEED ?? 1)
const histories = Number(process.env.LIMN_HISTORIES ?? 8)
const steps = 10
const table = tableId('silver.t')

async function all(made: MetadataTable): Promise<readonly Readonly<Record<string, Datum>>[]> {
  const rows: Readonly<Record<string, Datum>>[] = []
  for await (const batch of made.rows())
    for (const row of batch) {
      expect(row.length).toBe(made.schema.fields.length)
      rows.push(Object.fromEntries(made.schema.fields.map((field, i) => [field.name, row[i] ?? null])))
    }
  return rows
}

async function load(context: TableContext): Promise<LoadedTable> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  if (!loaded) throw new Error('no table')
  return loaded
}

const sorted = (list: readonly string[]) => [...list].sort()
const sum = (list: readonly bigint[]) => list.reduce((total, one) => total + one, 0n)

/** Holds every metadata table of one snapshot against the manifests as an Avro library alone reads them. */
async function agrees(context: TableContext, loaded: LoadedTable, snapshotId: bigint, raw: readonly RawManifest[]) {
  const at = (name: MetadataTableName) => all(metadataTable(context, loaded, name, { snapshotId }))
  const entries = raw.flatMap((manifest) => manifest.entries)
  const live = entries.filter((entry) => entry.status !== 2)
  const text = (...cells: unknown[]) => cells.map(String).join('|')
  for (const [name, of] of [
    ['files', live],
    ['data_files', live.filter((entry) => entry.content === 0)],
    ['delete_files', live.filter((entry) => entry.content !== 0)],
  ] as const) {
    const rows = await at(name)
    expect(
      sorted(rows.map((row) => text(row.content, row.file_path, row.record_count, row.file_size_in_bytes))),
    ).toEqual(sorted(of.map((entry) => text(entry.content, entry.path, entry.records, entry.bytes))))
  }
  const statuses = (await at('entries')).map((row) => text(row.status, (row.data_file as readonly Datum[])[1]))
  expect(sorted(statuses)).toEqual(sorted(entries.map((entry) => text(entry.status, entry.path))))
  const manifests = (await at('manifests')).map((row) =>
    row.content === 0
      ? text(
          row.path,
          row.length,
          0,
          row.added_data_files_count,
          row.existing_data_files_count,
          row.deleted_data_files_count,
        )
      : text(
          row.path,
          row.length,
          1,
          row.added_delete_files_count,
          row.existing_delete_files_count,
          row.deleted_delete_files_count,
        ),
  )
  expect(sorted(manifests)).toEqual(
    sorted(raw.map((one) => text(one.path, one.length, one.content, one.added, one.existing, one.deleted))),
  )
  const partitions = await at('partitions')
  const total = (content: number) => sum(live.filter((one) => one.content === content).map((one) => one.records))
  const column = (name: string) => sum(partitions.map((row) => BigInt(String(row[name]))))
  expect([
    column('record_count'),
    column('position_delete_record_count'),
    column('equality_delete_record_count'),
  ]).toEqual([total(0), total(1), total(2)])
  const files = ['file_count', 'position_delete_file_count', 'equality_delete_file_count'].map(column)
  expect(files).toEqual([0, 1, 2].map((content) => BigInt(live.filter((one) => one.content === content).length)))
  // Two specs may give one partition: never more rows than specs and values tell apart, one for each at least.
  const apart = new Set(live.map((one) => one.partition))
  if (loaded.metadata.partitionSpecs.length === 1) expect(partitions.length).toBe(apart.size)
  else expect(partitions.length).toBeLessThanOrEqual(apart.size)
}

async function run(seed: number): Promise<number> {
  const draw = draws(seed)
  const shape = drawShape(draw)
  const history = new History(draw, shape)
  await using tables = await temporaryTables({ seed: `metadata ${seed}` })
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
  for (let step = 0; step < steps; step++) {
    const { columns } = history
    const operation = history.next()
    await applyToTable(context, table, columns, operation)
    applyNaively(naive, operation)
    const loaded = await load(context)
    const [partitions, deletes] = await Promise.all(
      (['partitions', 'delete_files'] as const).map((name) => all(metadataTable(context, loaded, name))),
    )
    // Vectors name each deleted row once; then rows less vectors are the rows there are.
    if (!deletes?.every((row) => row.file_format === 'PUFFIN')) continue
    const rows = partitions?.map(
      (row) => BigInt(String(row.record_count)) - BigInt(String(row.position_delete_record_count)),
    )
    expect([seed, step, sum(rows ?? [])]).toEqual([seed, step, BigInt(naive.rows.length)])
  }
  const loaded = await load(context)
  const { snapshots } = loaded.metadata
  const everything = new Map<string, RawManifest>()
  let listed = 0
  for (const snapshot of snapshots) {
    const raw = await rawManifests(String(snapshot.manifestList))
    listed += raw.length
    for (const one of raw) everything.set(one.path, one)
    await agrees(context, loaded, snapshot.snapshotId, raw)
  }
  const entries = [...everything.values()].flatMap((manifest) => manifest.entries)
  const live = entries.filter((entry) => entry.status !== 2)
  const counts = await Promise.all(
    (['all_entries', 'all_files', 'all_data_files', 'all_delete_files', 'all_manifests', 'snapshots'] as const).map(
      async (name) => (await all(metadataTable(context, loaded, name))).length,
    ),
  )
  const isData = (one: { readonly content: number }) => one.content === 0
  expect(counts).toEqual([
    entries.length,
    live.length,
    live.filter(isData).length,
    live.filter((one) => !isData(one)).length,
    listed,
    snapshots.length,
  ])
  await using session = await context.engine.session(
    metadataTableNames.map((name) => bindMetadataTable(tableId(`m.${name}`), metadataTable(context, loaded, name))),
  )
  const { rows } = await session.rows('SELECT count(*), sum(data_file.record_count)::BIGINT FROM m.all_entries')
  expect(rows).toEqual([[BigInt(entries.length), entries.length === 0 ? null : sum(entries.map((one) => one.records))]])
  return snapshots.length
}

describe('metadata tables', () => {
  it(`say what the manifests say, at every snapshot of random histories (seeds from ${firstSeed})`, async () => {
    let checked = 0
    for (let seed = firstSeed; seed < firstSeed + histories; seed++) checked += await run(seed)
    process.stdout.write(
      `${histories} histories of ${steps} steps from seed ${firstSeed}: ${checked} snapshots compared\n`,
    )
    expect(checked).toBeGreaterThan(histories)
  })
})
