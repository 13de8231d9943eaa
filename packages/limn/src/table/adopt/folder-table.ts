import { counted, LimnError, type Progress, randomUuid, silentProgress, type TableId } from '../../base/index.ts'
import {
  applyUpdates,
  createTableUpdates,
  type DataFile,
  isUnder,
  nameMappingOf,
  nameMappingProperty,
  nameMappingToText,
  type PartitionSpec,
  shapeOf,
  type TableMetadata,
} from '../../iceberg/index.ts'
import { type Field, type PrimitiveType, type Schema, schemaToJson } from '../../schema/index.ts'
import { type ObjectInfo, type StorePath, storePath } from '../../storage/index.ts'
import { changeTable } from '../commit/commit.ts'
import { transaction } from '../commit/transaction.ts'
import type { TableContext } from '../context.ts'
import { loadTable } from '../shape/alter.ts'
import { createTable, type TableShape } from '../shape/create.ts'
import { sumOf } from './add-files.ts'
import { against, Judge, requireFits } from './adopt-facts.ts'
import { findFiles, type OtherFiles, readFooters } from './folder-files.ts'
import { hiveParts, typeOfPathTexts } from './hive-path.ts'
import { requireFreeName } from './register.ts'
import { newLocation } from './snapshot-table.ts'
import { UnionSchema } from './union-schema.ts'

export interface FolderTableOptions {
  /** Types of columns that folder names tell of, by name. Default: long, date or timestamp where every value is one, else string. */
  readonly partitionTypes?: Readonly<Record<string, PrimitiveType>>
  readonly others?: OtherFiles
  readonly properties?: Readonly<Record<string, string>>
  /** Default 2; 3 where a column's type asks for it. */
  readonly formatVersion?: 2 | 3
  readonly progress?: Progress
  readonly dryRun?: boolean
}

export interface FolderTable {
  /** The table as it is now, or as it would be. */
  readonly metadata: TableMetadata
  /** Null: it has no rows, or it was a dry run. */
  readonly snapshotId: bigint | null
  readonly files: number
  readonly rows: number
  readonly bytes: number
  readonly partitions: number
  readonly empty: number
  readonly skipped: number
}

/**
 * Makes a new table over the Parquet files below a folder, without rewriting or moving one: columns are the union of the
 * files', and Hive-style `name=value` folders become identity partitions, whose columns come last. The folder stays as it
 * is, and the table never deletes a file of it (`gc.enabled` is false); new files go to `location`, by default a new folder
 * in the warehouse. One commit makes the table with all its rows. Throws as `addFiles`, and `usage/table-exists`.
 */
export function snapshotFolder(
  context: TableContext,
  table: TableId,
  folder: StorePath,
  options: FolderTableOptions & { readonly location?: StorePath } = {},
): Promise<FolderTable> {
  const location = options.location ?? newLocation(context, table)
  return overFolder(context, table, folder, options, { location, own: { 'gc.enabled': 'false', snapshot: 'true' } })
}

/**
 * As `snapshotFolder`, and the folder becomes the table's own: its location. From then on the files are the table's, to be
 * compacted and in the end deleted. The folder has to lie in the warehouse. Throws `table/unsafe-change` where it does not.
 */
export async function migrateFolder(
  context: TableContext,
  table: TableId,
  folder: StorePath,
  options: FolderTableOptions = {},
): Promise<FolderTable> {
  const location = storePath(folder.replace(/\/+$/, ''))
  await requireFreeName(context, table)
  await requireOwnable(context, location)
  return overFolder(context, table, folder, options, { location, own: { migrated: 'true' } })
}

async function requireOwnable({ catalog, store, signal }: TableContext, location: StorePath): Promise<void> {
  const refuse = (message: string, remedy: string) =>
    new LimnError('table/unsafe-change', { message, notDone: 'No table was made.', remedy })
  if (!isUnder(location, store.root))
    throw refuse(
      `${location} lies outside the warehouse ${store.root}, where limn writes nothing.`,
      'Move the folder into the warehouse, or make a table over it: limn table snapshot.',
    )
  for (const one of (await catalog.loadTables(await catalog.listTables({ signal }), { signal })).values())
    if (one && (isUnder(one.metadata.location, location) || isUnder(location, one.metadata.location)))
      throw refuse(
        `${location} and ${one.metadata.location}, where ${one.table} lies, are within one another.`,
        'Two tables never share a folder: move it elsewhere.',
      )
}

async function overFolder(
  context: TableContext,
  table: TableId,
  folder: StorePath,
  options: FolderTableOptions,
  place: { readonly location: StorePath; readonly own: Readonly<Record<string, string>> },
): Promise<FolderTable> {
  const { clock, randomness } = context
  await requireFreeName(context, table)
  const task = (options.progress ?? silentProgress).begin(`${table} over ${folder}`)
  try {
    const { others } = options
    const listed = await findFiles(context, { kind: 'folder', folder, ...(others ? { others } : {}) })
    const count = listed.files.length
    const shape = await shapeOfFolder(context, folder, listed.files, options, (done) =>
      task.update(`columns of ${done} of ${count} files`),
    )
    const wanted: TableShape = {
      location: place.location,
      ...shape,
      properties: {
        [nameMappingProperty]: nameMappingToText(nameMappingOf(shape.schema.fields)),
        ...options.properties,
        ...place.own,
      },
    }
    const created = createTableUpdates({
      ...wanted,
      tableUuid: randomUuid(randomness),
      properties: { ...wanted.properties },
    })
    const base = applyUpdates(null, created, { timestampMs: clock.nowMs() })
    const judge = new Judge(against(base), { base: folder, extraColumns: 'refuse' })
    const judged = await readFooters(
      context,
      listed.files,
      (footer, file) => judge.judge(footer, file),
      (done) => task.update(`${done} of ${count} files`),
    )
    requireFits(judged, `the table they would make`)
    const added = judged.flatMap((one) => (one.kind === 'fits' ? [one.file] : []))
    const sums = {
      ...sumOf(added),
      empty: judged.filter((one) => one.kind === 'empty').length,
      skipped: listed.skipped,
    }
    const made = options.dryRun ? { metadata: base, snapshotId: null } : await commitNew(context, table, wanted, added)
    task.end(`${counted(sums.rows, 'row')} in ${counted(sums.files, 'file')}`)
    return { ...made, ...sums }
  } catch (error) {
    task.end('failed')
    throw error
  }
}

/** One commit: there is no moment at which the table is there and empty. Adopted files are never deleted. */
async function commitNew(
  context: TableContext,
  table: TableId,
  wanted: TableShape,
  added: readonly DataFile[],
): Promise<{ readonly metadata: TableMetadata; readonly snapshotId: bigint | null }> {
  const snapshotId = await transaction(context, async (inside) => {
    await createTable(inside, table, wanted)
    if (added.length === 0) return null
    const change = { operation: 'append', added, removed: [], written: [] } as const
    return (await changeTable(inside, table, {}, async () => ({ change, result: {} }))).snapshotId
  })
  return { metadata: (await loadTable(context, table)).metadata, snapshotId }
}

interface FolderShape {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly formatVersion: 2 | 3
}

async function shapeOfFolder(
  context: TableContext,
  folder: StorePath,
  files: readonly ObjectInfo[],
  options: FolderTableOptions,
  tell: (done: number) => void,
): Promise<FolderShape> {
  const parts = partsOf(folder, files)
  // Files of one writer share a shape; only different ones are kept, by the place of the first file that has it.
  const shapes = new Map<
    string,
    { readonly at: number; readonly shape: ReturnType<typeof shapeOf>; readonly path: StorePath }
  >()
  const places = new Map(files.map((file, at) => [file.path, at]))
  await readFooters(
    context,
    files,
    (footer, { path }) => {
      const shape = shapeOf(footer)
      const key = JSON.stringify(shape, (name, value) => (name === 'leaf' || name === 'leaves' ? undefined : value))
      const at = places.get(path) ?? 0
      if (at < (shapes.get(key)?.at ?? Number.POSITIVE_INFINITY)) shapes.set(key, { at, shape, path })
    },
    tell,
  )
  const union = new UnionSchema()
  for (const one of [...shapes.values()].sort((a, b) => a.at - b.at)) union.add(one.shape, one.path)
  const inFiles = new Set(union.finished([]).map((field) => field.name))
  const told = [...parts].filter(([name]) => !inFiles.has(name))
  const fields = union.finished(
    told.map(([name, texts]) => [name, options.partitionTypes?.[name] ?? typeOfPathTexts(texts)] as const),
  )
  requireNamesApart(fields)
  const schema: Schema = { schemaId: 0, fields, identifierFieldIds: [] }
  const spec: PartitionSpec = {
    specId: 0,
    fields: [...parts.keys()].map((name, i) => ({
      fieldId: 1000 + i,
      sourceId: fields.find((field) => field.name === name)?.id ?? 0,
      name,
      transform: { kind: 'identity' },
    })),
  }
  const text = JSON.stringify(schemaToJson(schema))
  const later = /"(timestamp_ns|timestamptz_ns|unknown|variant)"/.test(text)
  return { schema, spec, formatVersion: options.formatVersion ?? (later ? 3 : 2) }
}

/** Every text of each `name=value` folder. Throws `source/schema` where files do not lie equally deep. */
function partsOf(folder: StorePath, files: readonly ObjectInfo[]): ReadonlyMap<string, ReadonlySet<string | null>> {
  const out = new Map<string, Set<string | null>>()
  let first: { readonly path: StorePath; readonly names: string } | null = null
  for (const { path } of files) {
    const parts = hiveParts(path, folder)
    const names = parts.map((one) => one.name).join('/')
    first ??= { path, names }
    if (first.names !== names || new Set(parts.map((one) => one.name)).size < parts.length)
      throw new LimnError('source/schema', {
        message: `${first.path} and ${path} lie in folders of other partitions (${first.names || 'none'}; ${names || 'none'}).`,
        notDone: 'No table was made.',
        remedy: 'Adopt a folder whose files all lie at the same depth of name=value folders.',
      })
    for (const { name, text } of parts) out.set(name, (out.get(name) ?? new Set()).add(text))
  }
  return out
}

function requireNamesApart(fields: readonly Field[]): void {
  const seen = new Map<string, string>()
  for (const { name } of fields) {
    const before = seen.get(name.toLowerCase())
    seen.set(name.toLowerCase(), name)
    if (before === undefined) continue
    throw new LimnError('source/schema', {
      message: `The columns ${before} and ${name} differ in case alone.`,
      notDone: 'No table was made: DuckDB does not tell them apart.',
      remedy: 'Write the files of one spelling anew, or adopt them apart.',
    })
  }
}
