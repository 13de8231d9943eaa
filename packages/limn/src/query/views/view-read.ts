import { LimnError, type TableId } from '../../base/index.ts'
import { type BoundView, type ColumnShape, castSql, type OutputColumn } from '../../engine/index.ts'
import { currentViewVersion, type LoadedView, schemaOfViewVersion, type ViewVersion } from '../../iceberg/index.ts'
import { canPromote, type Type } from '../../schema/index.ts'
import { duckType, parseStatement, parseType, quoteIdentifier, type SqlText } from '../../sql/index.ts'
import type { TableContext } from '../../table/index.ts'
import { isPartName } from '../names.ts'
import type { SelectOptions, Source } from '../select.ts'
import { columnTypeOf, typeOf } from '../types.ts'

/** Dialects of views whose text is limn's own: DuckDB's expressions and queries. The first that a view has is read. */
export const readableDialects = ['duckdb', 'limn'] as const

/** Where the summary of a version keeps the names of its query's columns, a JSON list in the schema's order. */
export const queryColumnNamesKey = 'limn.query-column-names'

/** Views within views go no deeper. */
const depthMax = 100

/** How the text of a view names tables. */
export interface ViewScope {
  readonly view: TableId
  /** The name of the catalog that holds the view. */
  readonly catalog: string
  /** Null: the catalog that holds the view. */
  readonly defaultCatalog: string | null
  readonly defaultNamespace: readonly string[]
}

/** A view whose tables are found. */
export interface FoundView {
  readonly loaded: LoadedView
  readonly sql: string
  /** Tables and views it reads. */
  readonly sources: readonly Source[]
}

type Locate = (
  context: TableContext,
  query: SqlText,
  options: SelectOptions,
) => Promise<{ readonly sql: string; readonly sources: readonly Source[] }>

/** A table's name in a view's text, with the namespace and without the catalog. Throws where it is another catalog's. */
export function completeName(parts: readonly string[], scope: ViewScope): readonly string[] {
  const [first = '', , third] = parts
  const named = parts.length > 2 && first.toLowerCase() === scope.catalog.toLowerCase() && !isPartName(third ?? '')
  if (named) return parts.slice(1)
  const name = parts.join('.')
  if (scope.defaultCatalog !== null && scope.defaultCatalog.toLowerCase() !== scope.catalog.toLowerCase())
    throw new LimnError('iceberg/unsupported', {
      message: `${name} is of the catalog ${scope.defaultCatalog}, and this is ${scope.catalog}.`,
      notDone: 'Nothing was run.',
      remedy: 'Replace the view by one without a default catalog, or with this one.',
    })
  if (parts.length > 1) return parts
  const [namespace, ...inner] = scope.defaultNamespace
  if (namespace !== undefined && inner.length === 0) return [namespace, ...parts]
  throw new LimnError('iceberg/unsupported', {
    message:
      namespace === undefined
        ? `${name} names no namespace, and the view has no default.`
        : `${name} is of the namespace ${scope.defaultNamespace.join('.')}; limn's have one level.`,
    notDone: 'Nothing was run.',
    remedy: 'Replace the view by one that writes namespace.name.',
  })
}

/** Those of some names that views have. */
export async function viewsAmong(
  context: TableContext,
  names: readonly TableId[],
): Promise<ReadonlyMap<TableId, LoadedView>> {
  const loaded = await context.catalog.views?.loadViews(names, { signal: context.signal })
  return new Map([...(loaded ?? [])].flatMap(([id, view]) => (view ? [[id, view] as const] : [])))
}

/**
 * Puts the tables that views read in the place of the views, down to the last: what is left is pinned at one instant.
 * `found` has inner views before those that read them. Throws `sql/invalid` for a view that reads itself, or that is asked
 * for at a version; `iceberg/unsupported` for one in other dialects only.
 */
export async function expandViews(
  context: TableContext,
  named: readonly Source[],
  options: SelectOptions & { readonly namespaces: () => string },
  locate: Locate,
): Promise<{ readonly sources: readonly Source[]; readonly found: readonly FoundView[] }> {
  const views = options.views ?? new Map<TableId, FoundView>()
  const tables = new Map<TableId, Source>()
  const used = new Set<TableId>()
  const visit = async (sources: readonly Source[], path: readonly TableId[]): Promise<void> => {
    const loaded = await viewsAmong(context, [...new Set(sources.map((one) => one.name.table))])
    for (const source of sources) {
      const view = loaded.get(source.name.table)
      if (!view) {
        addTable(tables, source)
        continue
      }
      requirePlain(source)
      requireNoCycle(view.view, path)
      if (used.has(view.view)) continue
      const known = views.get(view.view) ?? (await inView(view.view, () => find(context, view, options, locate)))
      await visit(known.sources, [...path, view.view])
      // Behind those it reads.
      views.delete(view.view)
      views.set(view.view, known)
      used.add(view.view)
    }
  }
  await visit(named, options.within ? [options.within.view] : [])
  const found = [...used].flatMap((id) => views.get(id) ?? [])
  return { sources: [...tables.values()], found }
}

function addTable(tables: Map<TableId, Source>, source: Source): void {
  const before = tables.get(source.id)
  if (before && JSON.stringify(meaningOf(before)) !== JSON.stringify(meaningOf(source)))
    throw new LimnError('sql/invalid', {
      message: `The name ${source.id} means two tables here, one of them in a view.`,
      notDone: 'Nothing was run.',
      remedy: 'Namespaces of an underscore and a number are for limn alone: rename that one.',
    })
  if (!before) tables.set(source.id, source)
}

function meaningOf({ name, point }: Source) {
  return [name, point && { ...point, ...(point.kind === 'snapshot' ? { snapshotId: String(point.snapshotId) } : {}) }]
}

function requirePlain({ name, point }: Source): void {
  if (name.part.kind === 'rows' && point === null) return
  throw new LimnError('sql/invalid', {
    message:
      point === null
        ? `${name.table} is a view: it has no branches, tags or metadata tables.`
        : `${name.table} is a view: it is read as it is now, at no version.`,
    notDone: 'Nothing was run.',
    remedy: 'Read the tables of the view at that version; --at of limn sql pins them all.',
  })
}

function requireNoCycle(view: TableId, path: readonly TableId[]): void {
  if (path.includes(view))
    throw new LimnError('sql/invalid', {
      message: `The view ${view} reads itself: ${[...path.slice(path.indexOf(view)), view].join(' → ')}.`,
      notDone: 'Nothing was run.',
      remedy: 'Replace one of them by a view that does not read the others.',
    })
  if (path.length >= depthMax)
    throw new LimnError('sql/invalid', {
      message: `Views read views more than ${depthMax} deep, down to ${view}.`,
      notDone: 'Nothing was run.',
      remedy: 'Replace some of them by views that read tables.',
    })
}

/** Reads a view's text and finds its tables. */
async function find(
  context: TableContext,
  loaded: LoadedView,
  options: SelectOptions & { readonly namespaces: () => string },
  locate: Locate,
): Promise<FoundView> {
  const version = currentViewVersion(loaded.metadata)
  const { sql: text } = readableOf(loaded.view, version)
  const statement = parseStatement(text)
  if (statement.kind !== 'query')
    throw new LimnError('sql/not-read-only', {
      message: 'Its text is no query.',
      notDone: 'Nothing was run.',
      remedy: 'Replace the view by a SELECT.',
    })
  const within: ViewScope = {
    view: loaded.view,
    catalog: context.catalog.views?.name ?? '',
    defaultCatalog: version.defaultCatalog,
    defaultNamespace: version.defaultNamespace,
  }
  const { subject, namespaces } = options
  const located = await locate(context, statement.query, {
    within,
    namespaces: () => {
      let next = namespaces()
      while (text.includes(next)) next = namespaces()
      return next
    },
    ...(subject ? { subject: { ...subject, offset: 0 } } : {}),
  })
  return { loaded, ...located }
}

/** The definition that limn reads. Throws `iceberg/unsupported` naming the dialects there are. */
export function readableOf(view: TableId, version: ViewVersion) {
  const queries = version.representations.flatMap((one) => (one.type === 'sql' ? [one] : []))
  for (const dialect of readableDialects) {
    const found = queries.find((one) => one.dialect.toLowerCase() === dialect)
    if (found) return found
  }
  const dialects = queries.map((one) => one.dialect).join(', ')
  throw new LimnError('iceberg/unsupported', {
    message: `The view ${view} is defined in ${dialects || 'no dialect of SQL'}; limn reads ${readableDialects[0]}.`,
    notDone: 'Nothing was run.',
    remedy: 'Add its definition in the SQL of DuckDB beside the others: replaceView of limn/iceberg.',
    context: { view, dialects: queries.map((one) => one.dialect) },
  })
}

/** Runs what concerns a view's own text: errors say whose. */
export async function inView<T>(view: TableId, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (!(cause instanceof LimnError)) throw cause
    throw new LimnError(cause.kind, {
      message: `In the view ${view}: ${cause.message}`,
      notDone: cause.notDone ?? 'Nothing was run.',
      remedy: cause.remedy ?? 'Replace the view.',
      context: { ...cause.context, view },
      cause,
    })
  }
}

/** Views as the engine binds them: columns named and typed by their schemas. */
export async function bindViews(
  context: TableContext,
  found: readonly FoundView[],
  tables: ReadonlyMap<TableId, readonly ColumnShape[]>,
): Promise<ReadonlyMap<TableId, BoundView>> {
  const out = new Map<TableId, BoundView>()
  for (const { loaded, sql, sources } of found) {
    const shapes = new Map<TableId, readonly ColumnShape[]>()
    for (const { id } of sources) shapes.set(id, out.get(id)?.schema.fields ?? tables.get(id) ?? [])
    const bound = await inView(loaded.view, async () =>
      bindView(loaded, sql, await context.engine.describe(sql, shapes)),
    )
    out.set(loaded.view, bound)
  }
  return out
}

/**
 * The columns of a version's schema from its query's: by the names that the query had when the view was made, else by
 * position. A column that is gone, or whose type does not fit any more, is an error, never another column.
 */
function bindView(loaded: LoadedView, sql: string, output: readonly OutputColumn[]): BoundView {
  const version = currentViewVersion(loaded.metadata)
  const schema = schemaOfViewVersion(loaded.metadata, version)
  const names = queryColumnNames(version)
  if (names ? names.length !== schema.fields.length : output.length !== schema.fields.length)
    throw changedQuery(`its query has ${output.length} columns, its schema ${schema.fields.length}`)
  const columns = schema.fields.map((field, i) => {
    const wanted = names?.[i]
    const position = wanted === undefined ? i : output.findIndex((column) => column.name === wanted)
    const column = output[position]
    if (!column) throw changedQuery(`its query has no column ${wanted} any more`)
    if (!fits(columnTypeOf(column), field.type))
      throw changedQuery(`the column ${field.name} is ${column.type}, and was ${typeName(field.type)}`)
    return `${castSql(field.type, `c${position}`)} AS ${quoteIdentifier(`c${i}`)}`
  })
  const query = `SELECT ${columns.join(', ')} FROM (${sql}\n) AS q(${output.map((_one, i) => `c${i}`).join(', ')})`
  return { id: loaded.view, schema, query }
}

function changedQuery(why: string): LimnError {
  return new LimnError('sql/invalid', {
    message: `${why}: a table it reads changed.`,
    notDone: 'Nothing was run.',
    remedy: 'Replace the view: CREATE OR REPLACE VIEW … AS SELECT …',
  })
}

function queryColumnNames(version: ViewVersion): readonly string[] | null {
  const text = version.summary[queryColumnNamesKey]
  if (text === undefined) return null
  try {
    const names: unknown = JSON.parse(text)
    if (Array.isArray(names) && names.every((one) => typeof one === 'string')) return names
  } catch {
    // Said below.
  }
  throw new LimnError('iceberg/invalid-metadata', {
    message: `The member ${queryColumnNamesKey} of its summary is no JSON list of names.`,
    notDone: 'Nothing was run.',
    remedy: 'Replace the view.',
  })
}

/** Whether every value of a query's column is one of the schema's type, unchanged. */
function fits(from: Type, to: Type): boolean {
  if (typeof from === 'string' || typeof to === 'string') {
    if (typeof from !== 'string' || typeof to !== 'string') return from === 'unknown'
    return to === 'unknown' ? from === 'unknown' : canPromote(from, typeOf(parseType(duckType(to))), 3)
  }
  switch (from.type) {
    case 'struct':
      return (
        to.type === 'struct' &&
        from.fields.length === to.fields.length &&
        from.fields.every((field, i) => {
          const other = to.fields[i]
          return other !== undefined && field.name === other.name && fits(field.type, other.type)
        })
      )
    case 'list':
      return to.type === 'list' && fits(from.element, to.element)
    case 'map':
      return to.type === 'map' && fits(from.key, to.key) && fits(from.value, to.value)
  }
}

function typeName(type: Type): string {
  return typeof type === 'string' ? duckType(type) : type.type
}
