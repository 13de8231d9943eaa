import { DatabaseSync } from 'node:sqlite'
import { Lake } from 'limn'

/** Columns that differ from run to run and say nothing of the data. */
const runColumns = new Set(['_run', '_delivery'])

/**
 * What every published dataset holds, as one line per table: row count and an order-free sum of row hashes, run columns
 * aside. All tables are taken at one instant. The lake's own tables are left out.
 */
export async function contentsOf(folder: string): Promise<Readonly<Record<string, string>>> {
  await using lake = await Lake.open({ cwd: folder })
  const ids = (await lake.catalog.listTables()).filter((id) => !id.startsWith('limn.'))
  const loaded = await lake.catalog.loadTables(ids)
  const context = await lake.context(await lake.loadProject())
  const out: Record<string, string> = {}
  const { readPinned, pinRef } = await import('../../packages/limn/dist/table/index.js')
  const { viewOf } = await import('../../packages/limn/dist/pipeline/index.js')
  for (const id of ids) {
    const table = loaded.get(id)
    const pin = table && pinRef(table)
    if (!pin) continue
    const view = viewOf(context.project.nodes.get(id), pin)
    await using reading = await readPinned(context, pin, { keep: view.keep })
    await using session = await context.engine.session([reading.bound])
    const columns = reading.bound.schema.fields.map((field) => field.name).filter((name) => !runColumns.has(name))
    const list = columns.map((name) => `"${name}"`).join(', ')
    const { rows } = await session.rows(`SELECT count(*), sum(hash(${list})::HUGEINT) FROM ${id}`)
    out[id] = `${rows[0]?.[0]} rows ${rows[0]?.[1]}`
  }
  return out
}

/** The metadata pointers of a lake's dataset tables, straight from its catalog file. */
export function pointersOf(folder: string): Readonly<Record<string, string>> {
  using database = new DatabaseSync(`${folder}/.limn/catalog.db`, { readOnly: true })
  const rows = database
    .prepare('SELECT table_namespace AS ns, table_name AS name, metadata_location AS at FROM iceberg_tables')
    .all()
  return Object.fromEntries(
    rows.filter((row) => row.ns !== 'limn').map((row) => [`${row.ns}.${row.name}`, String(row.at)]),
  )
}
