import type { TableId } from '../../base/index.ts'
import type { OutputColumn, ResultSet } from '../../engine/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import { lexSql } from '../../sql/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import {
  addFiles,
  migrateFolder,
  openExternal,
  registerTable,
  snapshotFolder,
  snapshotTable,
  type TableContext,
} from '../../table/index.ts'
import { loadTable, resolveName } from '../names.ts'
import type { Arguments } from './call-arguments.ts'

/** The procedures that take over tables and files of others, with Spark's parameters and answers. */

export interface Adoption {
  readonly context: TableContext
  readonly table: TableId
  readonly given: Arguments
}

export async function runRegister({ context, table, given }: Adoption): Promise<ResultSet> {
  const file = given.required('metadata_file', await given.text('metadata_file'))
  const done = await registerTable(context, table, pathOf(given, 'metadata_file', file))
  return row({
    current_snapshot_id: done.snapshotId,
    total_records_count: done.rows,
    total_data_files_count: BigInt(done.files),
  })
}

export async function runAddFiles({ context, table, given }: Adoption): Promise<ResultSet> {
  const source = sourceOf(given, given.required('source_table', await given.text('source_table')))
  if (source.kind !== 'folder') throw given.wrong('adds Parquet files', sourceRemedy)
  const partition = given.options('partition_filter', null)
  const check = await given.flag('check_duplicate_files')
  const extra = (await given.text('extra_columns')) ?? 'refuse'
  if (extra !== 'refuse' && extra !== 'ignore')
    throw given.wrong(`is given extra_columns = '${extra}'`, "Write 'refuse' or 'ignore'.")
  const found = source.path.endsWith('.parquet')
    ? ({ kind: 'files', files: [source.path] } as const)
    : ({ kind: 'folder', folder: source.path } as const)
  const done = await addFiles(context, table, found, {
    duplicates: check === false ? 'unchecked' : 'refuse',
    extraColumns: extra,
    ...(partition.size > 0 ? { partition: Object.fromEntries(partition) } : {}),
  })
  return row({ added_files_count: BigInt(done.files), changed_partition_count: BigInt(done.partitions) })
}

export async function runSnapshot({ context, table, given }: Adoption): Promise<ResultSet> {
  const source = sourceOf(given, given.required('source_table', await given.text('source_table')))
  const place = await given.text('location')
  const properties = Object.fromEntries(given.options('properties', null))
  const options = { properties, ...(place === undefined ? {} : { location: pathOf(given, 'location', place) }) }
  if (source.kind === 'folder') {
    const { files } = await snapshotFolder(context, table, source.path, options)
    return row({ imported_files_count: BigInt(files) })
  }
  const made = await snapshotTable(context, await tableOf(context, source), table, options)
  const id = made.metadata.currentSnapshotId
  const summary = made.metadata.snapshots.find((one) => one.snapshotId === id)?.summary
  return row({ imported_files_count: BigInt(summary?.['total-data-files'] ?? 0) })
}

export async function runMigrate({ context, table, given }: Adoption): Promise<ResultSet> {
  const source = sourceOf(given, given.required('source_table', await given.text('source_table')))
  if (source.kind !== 'folder') throw given.wrong('makes a folder of Parquet files a table', sourceRemedy)
  const properties = Object.fromEntries(given.options('properties', null))
  const { files } = await migrateFolder(context, table, source.path, { properties })
  return row({ migrated_files_count: BigInt(files) })
}

const sourceRemedy = "Write source_table => '`parquet`.`/path/to/folder`'."

type Source =
  | { readonly kind: 'folder'; readonly path: StorePath }
  | { readonly kind: 'external'; readonly path: StorePath }
  | { readonly kind: 'table'; readonly table: TableId }

/** A table of the catalog, or `parquet`.`path`, or `iceberg`.`path`; as Spark writes them. */
function sourceOf(given: Arguments, text: string): Source {
  const parts = [...lexSql(text)].map((token) => text.slice(token.start, token.end)).filter((one) => one !== '.')
  const [format = '', path = ''] = parts.map((one) => (/^[`"].*[`"]$/s.test(one) ? one.slice(1, -1) : one))
  const quoted = parts.length === 2 && /^[`"]/.test(parts[1] ?? '')
  if (quoted && /^parquet$/i.test(format)) return { kind: 'folder', path: pathOf(given, 'source_table', path) }
  if (quoted && /^iceberg$/i.test(format)) return { kind: 'external', path: pathOf(given, 'source_table', path) }
  const { table, part } = resolveName(text.split('.'))
  if (part.kind !== 'rows') throw given.wrong('takes a table as a whole', sourceRemedy)
  return { kind: 'table', table }
}

function tableOf(context: TableContext, source: Exclude<Source, { kind: 'folder' }>): Promise<LoadedTable> {
  return source.kind === 'table' ? loadTable(context, source.table) : openExternal(context, source.path)
}

function pathOf(given: Arguments, name: string, text: string): StorePath {
  const local = text.replace(/^file:(?:\/\/)?(?=\/)/, '')
  if (local.startsWith('/')) return storePath(`file://${local}`)
  throw given.wrong(`is given ${name} = '${text}'`, 'Write a path that begins with /, or a file:// location.')
}

function row(values: Readonly<Record<string, bigint | null>>): ResultSet {
  const columns: OutputColumn[] = Object.keys(values).map((name) => ({ name, type: 'BIGINT' }))
  return { columns, rows: [Object.values(values)] }
}
