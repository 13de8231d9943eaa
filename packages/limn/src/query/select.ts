import { LimnError, type TableId, tableId } from '../base/index.ts'
import type { Bound, BoundView, ColumnShape, ResultSet } from '../engine/index.ts'
import type { Predicate } from '../expr/index.ts'
import type { LoadedTable } from '../iceberg/index.ts'
import { quoteIdentifier, type SqlText, type TableReference } from '../sql/index.ts'
import {
  bindMetadataTable,
  countRows,
  type MetadataTable,
  metadataTable,
  type PinnedTable,
  pinRef,
  readPinned,
  schemaOfPin,
  showsOneSnapshot,
  type TableContext,
} from '../table/index.ts'
import { type ResolvedName, resolveName, unknownTable } from './names.ts'
import { applyEdits, backtickEdits, blanks, type Edit, fromByteOffset, nameEnd, placed } from './rewrite.ts'
import { type Point, pinAt, pointOf } from './version.ts'
import { bindViews, completeName, expandViews, type FoundView, type ViewScope, viewsAmong } from './views/view-read.ts'

export interface SelectOptions {
  /** Where a table stands that the query names without a version; null: nowhere. Default: where `main` points. */
  readonly pin?: (loaded: LoadedTable) => PinnedTable | null
  /**
   * The table whose rows a statement changes, named first in the text: whoever runs it binds it, file by file. Behind
   * `offset` the same table is read whole, as by any query, under another name.
   */
  readonly subject?: { readonly table: TableId; readonly offset: number }
  /** Gives namespaces that no part of the statement speaks of, each once. Default: by this query alone. */
  readonly namespaces?: () => string
  /** Views that parts of one statement share, by name. Default: this query's alone. */
  readonly views?: Map<TableId, FoundView>
  /** Whose text the query is, and so how it names tables. Default: no view's. */
  readonly within?: ViewScope
}

/** A query that DuckDB reads as it is, over tables pinned and opened. Disposing lets go of their files. */
export interface BoundSelect extends AsyncDisposable {
  readonly sql: string
  readonly heads: readonly ReadHead[]
  readonly bound: readonly Bound[]
  /** The tables read, by the names they are bound under. */
  readonly pins: ReadonlyMap<TableId, PinnedTable>
  /** Metadata tables read, likewise. */
  readonly metadata: ReadonlyMap<TableId, MetadataTable>
  /** Views read, inner ones first. */
  readonly views: ReadonlyMap<TableId, BoundView>
}

/** A table a query reads: under which name it is bound, and what it stands for. */
export interface Source {
  readonly id: TableId
  readonly name: ResolvedName
  readonly point: Point | null
  /** Only its columns are asked for. */
  readonly unread?: true
}

/**
 * Binds one query. Tables read at a version, branches, tags and metadata tables (`t.snapshots`) are bound under names of
 * their own, so that one query may read a table at several points; the rest of the text keeps its lines and columns.
 * Only files that can hold a row the query uses are opened.
 */
export async function bindSelect(
  context: TableContext,
  query: SqlText,
  options: SelectOptions = {},
): Promise<BoundSelect> {
  const prepared = await prepareSelect(context, query, options)
  const open = await openTables(context, [prepared])
  const { sql, pins, metadata, views, heads } = prepared
  return {
    sql,
    pins,
    metadata,
    views,
    heads,
    bound: open.bound,
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  }
}

/** A branch that was read where it stood, at no version of its own. */
export interface ReadHead {
  readonly table: TableId
  readonly branch: string
  readonly snapshotId: bigint | null
}

/** What `readAt` of a change is, where its statement also reads the branch it writes; else nothing. */
export function readAtOf(
  heads: readonly ReadHead[],
  target: { readonly table: TableId; readonly branch: string },
): { readonly readAt?: bigint | null } {
  const own = heads.find((one) => one.table === target.table && one.branch === target.branch)
  return own ? { readAt: own.snapshotId } : {}
}

/** A query whose tables are found and pinned; none is open. */
export interface PreparedSelect {
  readonly sql: string
  readonly pins: ReadonlyMap<TableId, PinnedTable>
  readonly heads: readonly ReadHead[]
  readonly metadata: ReadonlyMap<TableId, MetadataTable>
  /** Columns of metadata tables that matter; none: all of them. */
  readonly used: ReadonlyMap<TableId, ReadonlySet<string>>
  readonly views: ReadonlyMap<TableId, BoundView>
  /** Tables of which only the columns are asked for. */
  readonly unread: ReadonlySet<TableId>
  /** By table, what every row it uses satisfies; none: any row. */
  readonly predicates: ReadonlyMap<TableId, Predicate>
}

export async function prepareSelect(
  context: TableContext,
  query: SqlText,
  options: SelectOptions = {},
): Promise<PreparedSelect> {
  const given = { ...options, namespaces: options.namespaces ?? namespacesBeside(query.text) }
  const located = await locate(context, query, given)
  const { sql } = located
  const { sources, found } = await expandViews(context, located.sources, given, locate)
  const { pins, metadata } = await pinAll(context, sources, options)
  const unread = new Set(sources.flatMap((source) => (source.unread ? [source.id] : [])))
  const tables = shapesOf({ pins, metadata, views: new Map() })
  const views = await bindViews(context, found, tables)
  const columns = new Map<TableId, { readonly columns: readonly ColumnShape[]; readonly query?: string }>()
  for (const [id, shape] of tables) columns.set(id, { columns: shape })
  for (const [id, { schema, query }] of views) columns.set(id, { columns: schema.fields, query })
  const heads = sources.flatMap(({ id, name: { table, part }, point, unread }): readonly ReadHead[] => {
    if (point !== null || unread || part.kind === 'metadata' || (part.kind === 'ref' && part.type === 'tag')) return []
    return [{ table, branch: part.kind === 'ref' ? part.ref : 'main', snapshotId: pins.get(id)?.snapshotId ?? null }]
  })
  const predicates = await context.engine.filters(sql, columns)
  const used = metadata.size > 0 ? await context.engine.columnsUsed(sql, columns) : new Map()
  return { sql, pins, metadata, used, views, heads, unread, predicates }
}

function shapesOf(
  select: Pick<BoundSelect, 'pins' | 'metadata' | 'views'>,
): ReadonlyMap<TableId, readonly ColumnShape[]> {
  const shapes = new Map<TableId, readonly ColumnShape[]>()
  for (const [id, pin] of select.pins) shapes.set(id, schemaOfPin(pin).fields)
  for (const [id, table] of select.metadata) shapes.set(id, table.schema.fields)
  for (const [id, view] of select.views) shapes.set(id, view.schema.fields)
  return shapes
}

/** Tables held open for reading; disposing lets go of their files. */
export interface OpenTables extends AsyncDisposable {
  readonly bound: readonly Bound[]
}

/** Opens the tables of several queries, each once. Where several read one, it is opened whole. */
export async function openTables(context: TableContext, prepared: readonly PreparedSelect[]): Promise<OpenTables> {
  const wanted = new Map<TableId, { readonly pin: PinnedTable; readonly predicate: Predicate }>()
  const made = new Map<TableId, { readonly table: MetadataTable; readonly columns: ReadonlySet<string> | undefined }>()
  const viewed = new Map<TableId, BoundView>()
  for (const { pins, metadata, used, views, unread, predicates } of prepared) {
    for (const [id, table] of metadata) {
      const before = made.get(id)
      const own = used.get(id)
      // Two queries share one of a view.
      made.set(id, { table, columns: before && own ? before.columns?.union(own) : own })
    }
    for (const [id, view] of views) if (!viewed.has(id)) viewed.set(id, view)
    for (const [id, pin] of pins) {
      if (unread.has(id)) continue
      const before = wanted.get(id)
      const predicate = before ? undefined : predicates.get(id)
      wanted.set(id, { pin: before?.pin ?? pin, predicate: predicate ?? { kind: 'true' } })
    }
  }
  const stack = new AsyncDisposableStack()
  try {
    const bound: Bound[] = Array.from(made, ([id, { table, columns }]) => bindMetadataTable(id, table, columns))
    for (const [id, { pin, predicate }] of wanted)
      bound.push(stack.use(await readPinned(context, { ...pin, id }, { predicate })).bound)
    bound.push(...viewed.values())
    return { bound, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

/** Binds a query and runs it. */
export async function runSelect(
  context: TableContext,
  query: SqlText,
  options: SelectOptions = {},
): Promise<ResultSet> {
  const counted = await countOf(context, query, options)
  if (counted !== null) return counted
  await using select = await bindSelect(context, query, options)
  await using session = await context.engine.session(select.bound, { signal: context.signal })
  return await session.rows(select.sql)
}

const counting = /^\s*select\s+count\s*\(\s*\*\s*\)\s+from\s+[\w."]+\s*;?\s*$/i

/** `SELECT count(*) FROM t`, at any version, is answered from metadata where they say it: no data file is opened. */
async function countOf(context: TableContext, query: SqlText, options: SelectOptions): Promise<ResultSet | null> {
  if (!/^\s*select\s+count\b/i.test(query.text)) return null
  const { sql, sources } = await locate(context, query, options)
  const [source] = sources
  if (!source || sources.length > 1 || !counting.test(sql)) return null
  if ((await viewsAmong(context, [source.name.table])).size > 0) return null
  const pin = (await pinAll(context, sources, options)).pins.get(source.id)
  const rows = pin ? await countRows(context, pin) : null
  return rows === null ? null : { columns: [{ name: 'count_star()', type: 'BIGINT' }], rows: [[rows]] }
}

/** The columns a bound query puts out. */
export function describeSelect(
  context: TableContext,
  select: Pick<BoundSelect, 'sql' | 'pins' | 'metadata' | 'views'>,
) {
  return context.engine.describe(select.sql, shapesOf(select))
}

/** Finds the tables of a query and gives those that are not plain their own names. */
async function locate(
  context: TableContext,
  query: SqlText,
  { subject, namespaces: given, within }: SelectOptions,
): Promise<{ readonly sql: string; readonly sources: readonly Source[] }> {
  const { text, travels } = placed(query)
  const namespaces = given ?? namespacesBeside(text)
  const sources: Source[] = []
  const edits: Edit[] = []
  for (const travel of travels) {
    const name = resolveName(within ? completeName(travel.table, within) : travel.table)
    if (name.part.kind === 'ref')
      throw new LimnError('sql/invalid', {
        message: `${travel.table.join('.')} is a ${name.part.type} already and is read at no other version.`,
        notDone: 'Nothing was run.',
        remedy: 'Name the table, or the branch or tag, once.',
      })
    const id = tableId(`${namespaces()}.${lastWord(name)}`)
    // Behind a dot any word is a name to DuckDB: no quotes are needed.
    edits.push({ start: travel.start, end: travel.nameEnd, by: id })
    const over = id.length - (travel.nameEnd - travel.start)
    edits.push({ start: travel.nameEnd, end: travel.end, by: blanks(text.slice(travel.nameEnd, travel.end), over) })
    sources.push({ id, name, point: await pointOf(context, travel.version) })
  }
  const inTravel = (edit: Edit) => travels.some((one) => edit.start >= one.start && edit.end <= one.end)
  const plain = applyEdits(text, [...edits, ...backtickEdits(text).filter((edit) => !inTravel(edit))])
  const parsed = await context.engine.parse(plain)
  const renamed: Edit[] = []
  const travelled = new Set(sources.map((source) => source.id))
  const taken = new Set(travelled)
  for (const table of parsed.tables) {
    const parts = partsOf(table, within !== undefined)
    if (parts === null || (table.catalog === null && travelled.has(boundIdOf(parts)))) continue
    const complete = within ? completeName(parts, within) : parts
    const name = resolveName(complete)
    const start = fromByteOffset(plain, table.location)
    const isSubject = name.part.kind === 'rows' && name.table === subject?.table
    if (name.part.kind === 'rows' && !(isSubject && start >= subject.offset)) {
      if (!taken.has(name.table))
        sources.push({ id: name.table, name, point: null, ...(isSubject ? { unread: true } : {}) })
      taken.add(name.table)
      if (complete.length !== parts.length)
        renamed.push({ start, end: nameEnd(plain, start), by: complete.map(quoteIdentifier).join('.') })
      continue
    }
    const id = tableId(`${namespaces()}.${lastWord(name)}`)
    const end = nameEnd(plain, start)
    renamed.push({ start, end, by: id.padEnd(end - start) })
    sources.push({ id, name, point: null })
    taken.add(id)
  }
  return { sql: applyEdits(plain, renamed), sources }
}

/** Null for a name without a namespace, but in a view, and for DuckDB's own schema: DuckDB resolves them. */
function partsOf(table: TableReference, within: boolean): readonly string[] | null {
  if (table.schema === null) return within ? [table.name] : null
  if (table.schema.toLowerCase() === 'information_schema') return null
  return [...(table.catalog === null ? [] : [table.catalog]), table.schema, table.name]
}

function boundIdOf(parts: readonly string[]): TableId {
  return parts.join('.').toLowerCase() as TableId
}

/** A table's own name, so that `t.column` still reads; a metadata table's for `t.snapshots`. */
function lastWord(name: ResolvedName): string {
  return name.part.kind === 'metadata' ? name.part.name : name.table.slice(name.table.indexOf('.') + 1)
}

/** Namespaces `_0`, `_1`, … that the text does not speak of. */
export function namespacesBeside(text: string): () => string {
  let next = 0
  return () => {
    while (text.includes(`_${next}`)) next++
    return `_${next++}`
  }
}

async function pinAll(
  context: TableContext,
  sources: readonly Source[],
  options: SelectOptions,
): Promise<Pick<BoundSelect, 'pins' | 'metadata'>> {
  const ids = [...new Set(sources.map((source) => source.name.table))]
  const loaded = await context.catalog.loadTables(ids, { signal: context.signal })
  const pins = new Map<TableId, PinnedTable>()
  const metadata = new Map<TableId, MetadataTable>()
  for (const source of sources) {
    const table = loaded.get(source.name.table)
    if (!table) throw await unknownTable(context, source.name.table)
    const { part } = source.name
    if (part.kind === 'metadata') metadata.set(source.id, metadataOf(context, table, part.name, source, options))
    else pins.set(source.id, pinSource(table, source, options))
  }
  return { pins, metadata }
}

/** A metadata table as the query wants it: one that shows the whole history stands at no version, whatever `pin` says. */
function metadataOf(
  context: TableContext,
  table: LoadedTable,
  name: MetadataTable['name'],
  source: Source,
  options: SelectOptions,
): MetadataTable {
  if (source.point === null && !showsOneSnapshot(name)) return metadataTable(context, table, name)
  return metadataTable(context, table, name, { snapshotId: pinSource(table, source, options).snapshotId })
}

function pinSource(table: LoadedTable, source: Source, options: SelectOptions): PinnedTable {
  const { part } = source.name
  if (part.kind === 'ref') return pinAt(table, { kind: 'ref', ref: part.ref })
  if (source.point !== null) return pinAt(table, source.point)
  const pin = (options.pin ?? pinRef)(table)
  if (pin) return pin
  throw new LimnError('usage/unknown-snapshot', {
    message: `${table.table} has nothing at that point.`,
    notDone: 'Nothing was run.',
    remedy: `List what it has: limn table history ${table.table}`,
  })
}
