import { counted, type TableId, tableId } from '../../../base/index.ts'
import type { Lake } from '../../../lake/index.ts'
import { requireFree } from '../../../query/index.ts'
import { type PrimitiveType, primitiveFromText } from '../../../schema/index.ts'
import {
  addFiles,
  type FolderTableOptions,
  migrateFolder,
  registerTable,
  snapshotFolder,
  snapshotTable,
} from '../../../table/index.ts'
import { parseSnapshotId, usage } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatBytes, formatCount } from '../../text.ts'
import { openLake, textOption } from '../open.ts'
import { given, idText, report } from './report.ts'
import { locationOf, requireFolder, sourceOf } from './source.ts'

interface Adopting {
  readonly lake: Lake
  readonly table: TableId
  readonly rest: readonly string[]
  readonly dryRun: boolean
}

/** `register`, `add-files`, `snapshot`, `migrate`: tables and files that others made. */
export default async function adopt(invocation: Invocation): Promise<number> {
  const [verb, name = '', ...rest] = invocation.args
  await using lake = await openLake(invocation)
  const table = tableId(name)
  requireFree(table, await lake.owners())
  const input: Adopting = { lake, table, rest, dryRun: invocation.options.dryRun === true }
  switch (verb) {
    case 'register':
      await register(input, invocation)
      break
    case 'add-files':
      await add(input, invocation)
      break
    case 'snapshot':
      await snapshot(input, invocation)
      break
    default:
      await migrate(input, invocation)
  }
  return 0
}

async function register({ lake, table, rest, dryRun }: Adopting, invocation: Invocation): Promise<void> {
  const done = await registerTable(await lake.context(), table, locationOf(rest[0] ?? ''), {
    dryRun,
    files: invocation.options.files !== false,
  })
  const value = {
    table,
    metadataLocation: done.loaded.metadataLocation,
    snapshotId: idText(done.snapshotId),
    files: done.files,
    rows: done.rows,
    writable: done.writable,
  }
  report(invocation, value, [
    `${table}: ${dryRun ? 'would be' : 'is'} ${done.loaded.metadataLocation}, ${counted(done.files, 'data file')} of ${counted(Number(done.rows), 'row')}`,
    ...(done.writable ? [] : [`it lies outside the warehouse: limn reads it, and writes nothing to it`]),
  ])
}

async function add({ lake, table, rest, dryRun }: Adopting, invocation: Invocation): Promise<void> {
  const { options } = invocation
  const context = await lake.context()
  const locations = rest.map(locationOf)
  const [only] = locations
  const isFiles = locations.length > 1 || (only !== undefined && /\.(parquet|parq)$/i.test(only))
  const base = textOption(invocation, 'base')
  const done = await addFiles(
    context,
    table,
    isFiles || only === undefined
      ? { kind: 'files', files: locations, ...(base === undefined ? {} : { base: locationOf(base) }) }
      : { kind: 'folder', folder: only, others: options.skipOthers === true ? 'skip' : 'refuse' },
    {
      dryRun,
      progress: context.progress,
      extraColumns: options.ignoreColumns === true ? 'ignore' : 'refuse',
      duplicates: options.skipPresent === true ? 'skip' : 'refuse',
      ...given({ branch: textOption(invocation, 'branch'), partition: partitionOf(options.partition) }),
    },
  )
  const would = dryRun ? 'would add' : 'added'
  report(invocation, { table, ...done, snapshotId: idText(done.snapshotId) }, [
    `${table}: ${would} ${counted(done.files, 'file')} of ${counted(done.rows, 'row')}, ${formatBytes(done.bytes)}, in ${counted(done.partitions, 'partition')}`,
    ...(done.mapped ? [`files without field ids are read by name from now on (schema.name-mapping.default)`] : []),
    ...(done.alreadyThere > 0 ? [`${counted(done.alreadyThere, 'file')} passed over: the table has them`] : []),
    ...(done.empty > 0 ? [`${counted(done.empty, 'file')} without rows left out`] : []),
    ...(done.skipped > 0 ? [`${counted(done.skipped, 'file')} of other names left out`] : []),
    ...(done.ignoredColumns.length > 0 ? [`columns not taken: ${done.ignoredColumns.join(', ')}`] : []),
  ])
}

async function snapshot({ lake, table, rest, dryRun }: Adopting, invocation: Invocation): Promise<void> {
  const context = await lake.context()
  const source = await sourceOf(context, rest[0] ?? '')
  const at = textOption(invocation, 'at')
  if (source.kind === 'folder') {
    if (at !== undefined) throw usage('--at is for tables.', 'A folder has no snapshots: leave it out.')
    const done = await snapshotFolder(context, table, source.folder, folderOptions(invocation, context.progress))
    report(invocation, { table, ...sumsOf(done) }, [folderText(table, done, dryRun, `over ${source.folder}`)])
    return
  }
  const made = await snapshotTable(context, source.loaded, table, {
    dryRun,
    ...given({ snapshotId: at === undefined ? undefined : parseSnapshotId(at) }),
  })
  const snapshotId = idText(made.metadata.currentSnapshotId)
  report(invocation, { table, source: source.loaded.metadataLocation, snapshotId, location: made.metadata.location }, [
    `${table}: ${dryRun ? 'would be' : 'is'} a table of its own over the files of ${rest[0]}, at snapshot ${snapshotId ?? 'none'}`,
    `what ${rest[0]} expires or drops is gone from it too: a tag there keeps the snapshot`,
  ])
}

async function migrate({ lake, table, rest, dryRun }: Adopting, invocation: Invocation): Promise<void> {
  const context = await lake.context()
  const folder = await requireFolder(context, rest[0] ?? '')
  const done = await migrateFolder(context, table, folder, folderOptions(invocation, context.progress))
  report(invocation, { table, ...sumsOf(done) }, [
    folderText(table, done, dryRun, `in ${folder}, which is its own now`),
  ])
}

type Done = Awaited<ReturnType<typeof snapshotFolder>>

function sumsOf({ metadata, snapshotId, ...sums }: Done) {
  const columns = metadata.schemas[0]?.fields.map(({ name, type }) => ({ name, type })) ?? []
  const partitionedBy = metadata.partitionSpecs[0]?.fields.map((one) => one.name) ?? []
  return { ...sums, location: metadata.location, snapshotId: idText(snapshotId), columns, partitionedBy }
}

function folderText(table: TableId, done: Done, dryRun: boolean, where: string): string {
  const { columns, partitionedBy } = sumsOf(done)
  const by = partitionedBy.length > 0 ? `, partitioned by ${partitionedBy.join(', ')}` : ''
  const list = columns.map((one) => `${one.name} ${typeof one.type === 'string' ? one.type : one.type.type}`).join(', ')
  const left = done.empty + done.skipped > 0 ? `; ${formatCount(done.empty + done.skipped)} left out` : ''
  return `${table}: ${dryRun ? 'would be' : 'is'} ${where}: ${counted(done.files, 'file')} of ${counted(done.rows, 'row')}, ${formatBytes(done.bytes)}${left}\n  ${list}${by}`
}

function folderOptions(
  { options }: Invocation,
  progress: NonNullable<FolderTableOptions['progress']>,
): FolderTableOptions {
  const types: Record<string, PrimitiveType> = {}
  for (const text of Array.isArray(options.type) ? options.type.map(String) : []) {
    const at = text.indexOf('=')
    if (at <= 0) throw usage(`--type ${text} names no type.`, 'Write --type month=int.')
    types[text.slice(0, at)] = primitiveFromText(text.slice(at + 1))
  }
  return {
    dryRun: options.dryRun === true,
    progress,
    partitionTypes: types,
    others: options.skipOthers === true ? 'skip' : 'refuse',
  }
}

function partitionOf(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!Array.isArray(value)) return undefined
  return Object.fromEntries(
    value.map(String).map((text) => {
      const at = text.indexOf('=')
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
      throw usage(`--partition ${text} names no value.`, 'Write --partition day=2026-01-31.')
    }),
  )
}
