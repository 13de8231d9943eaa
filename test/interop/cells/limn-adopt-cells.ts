import { join } from 'node:path'
import { schemaFromJson } from '../../../packages/limn/src/schema/index.ts'
import { localFile, type StorePath, storePath } from '../../../packages/limn/src/storage/index.ts'
import { addFiles, loadTable, snapshotFolder, snapshotTable } from '../../../packages/limn/src/table/index.ts'
import { bareDuck } from '../../support/hive-folder.ts'
import { each, inMode, type LimnCell, more, people, person, some, start } from './limn-cell.ts'
import { type LimnWriter, literal } from './limn-writer.ts'
import type { Row } from './values.ts'

/** Writes rows of people as Parquet files without field ids, by DuckDB alone, below a folder of the cell's own. */
async function deliver(
  writer: LimnWriter,
  files: Readonly<Record<string, readonly Row[]>>,
  columns = 'id, name, day, amount',
): Promise<StorePath> {
  const folder = join(localFile(writer.context.store.root), '..', 'delivered', writer.table)
  const schema = schemaFromJson(people)
  using duck = await bareDuck()
  for (const [path, rows] of Object.entries(files)) {
    const values = rows.map(
      (row) =>
        `SELECT ${schema.fields.map((field, i) => `${literal(field.type, row[i] ?? null)} AS ${field.name}`).join(', ')}`,
    )
    await duck.file(folder, path, `SELECT ${columns} FROM (${values.join(' UNION ALL ')})`)
  }
  return storePath(`file://${folder}`)
}

const named = (name: string | null, rows: readonly Row[]) => rows.map((row) => [row[0] ?? null, name, ...row.slice(2)])

/** Files and tables that others made, adopted without a rewrite, then changed like every other table. */
export const adoptCells: readonly LimnCell[] = [
  ...each('adopted files, partitions by folder names', async (writer, version) => {
    await writer.create(people, { version, partition: [[2, 'identity', 'name']], properties: inMode('merge-on-read') })
    const folder = await deliver(
      writer,
      { 'name=a%2Fb %C3%A9/1.parquet': some, 'name=__HIVE_DEFAULT_PARTITION__/2.parquet': more },
      'id, day, amount',
    )
    await addFiles(writer.context, writer.table, { kind: 'folder', folder })
    writer.ends([...named('a/b é', some), ...named(null, more)])
  }),
  ...each('adopted files, partitions by bounds', async (writer, version) => {
    const partition = [
      [3, 'year', 'day_year'],
      [1, 'bucket[3]', 'id_bucket'],
    ] as const
    await writer.create(people, { version, partition })
    const rows = [person(1, 'ada', 20000, '1.00'), person(2, 'bob', null, null), person(3, null, -1, '-3.50')]
    const folder = await deliver(writer, Object.fromEntries(rows.map((row, i) => [`${i}.parquet`, [row, row]])))
    await addFiles(writer.context, writer.table, { kind: 'folder', folder })
    await writer.append(more)
    writer.ends([...rows, ...rows, ...more])
  }),
  ...(['copy-on-write', 'merge-on-read'] as const).flatMap((mode) =>
    each(`adopted files, columns renamed and rows changed in ${mode}`, async (writer, version) => {
      await writer.create(people, { version, properties: inMode(mode) })
      const folder = await deliver(writer, { 'a.parquet': some, 'b/c.parquet': more })
      await addFiles(writer.context, writer.table, { kind: 'folder', folder })
      await writer.alter({ kind: 'rename-column', column: 'name', to: 'called' })
      await writer.delete('id = 2', 1)
      await writer.update('id = 5', { called: "'eva'" }, 1)
      await writer.append([person(8, 'hal', 3, '8.00')])
      writer.ends([
        ...some.filter((row) => row[0] !== '2'),
        ...more.map((row) => (row[0] === '5' ? [row[0], 'eva', ...row.slice(2)] : row)),
        person(8, 'hal', 3, '8.00'),
      ])
    }),
  ),
  ...each('a folder made a table', async (writer, version) => {
    const folder = await deliver(writer, { 'part=1/a.parquet': some, 'part=2/b.parquet': more })
    await snapshotFolder(writer.context, writer.table, folder, { formatVersion: version })
    await writer.delete('part = 2 AND id = 6', 1)
    writer.ends([
      ...some.map((row) => [...row, '1']),
      ...more.filter((row) => row[0] !== '6').map((row) => [...row, '2']),
    ])
  }),
  ...each('a table over the files of another', async (writer, version) => {
    const source = writer.beside('source')
    await start(source, { version, partition: [[3, 'day', 'day_day']], properties: inMode('merge-on-read') })
    await source.delete('id = 1', 1)
    await snapshotTable(writer.context, await loadTable(writer.context, source.table), writer.table)
    await source.delete('id = 7', 1)
    await writer.delete('id = 2', 1)
    await writer.append([person(9, 'ida', 1, '9.00')])
    writer.ends([...some.slice(2), ...more, person(9, 'ida', 1, '9.00')])
  }),
]
