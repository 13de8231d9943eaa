import { isDeepStrictEqual } from 'node:util'
import { LimnError, type TableId } from '../../base/index.ts'
import type { OutputColumn } from '../../engine/index.ts'
import {
  alterViewProperties,
  createView,
  currentViewVersion,
  dropView,
  findView,
  type LoadedView,
  loadView,
  nameTaken,
  renameView,
  replaceView,
  schemaOfViewVersion,
  type ViewDefinition,
  viewsOf,
} from '../../iceberg/index.ts'
import { assignFieldIds, type Field } from '../../schema/index.ts'
import {
  type AlterView,
  type CreateView,
  type DropView,
  parseStatement,
  quoteText,
  type SqlText,
  type Version,
} from '../../sql/index.ts'
import type { TableContext } from '../../table/index.ts'
import { again } from '../again.ts'
import type { CreateOptions } from '../create.ts'
import { type OwnerOf, tableOf } from '../guard.ts'
import type { StatementResult } from '../result.ts'
import { applyEdits, backtickEdits, duckText, type Edit } from '../rewrite.ts'
import { describeSelect, prepareSelect } from '../select.ts'
import { columnTypeOf } from '../types.ts'
import { queryColumnNamesKey, readableDialects, type ViewScope } from './view-read.ts'

/**
 * Runs CREATE VIEW. The query is bound first: what a view is made of is known to be read. It is kept in the SQL of DuckDB,
 * its single words meaning the view's own namespace, its columns by the names its schema gives them. A replaced view keeps
 * its versions, its place and its other properties. Throws `usage/table-exists`, and `table/unsafe-change` where a
 * definition in another dialect would be lost.
 */
export async function runCreateView(
  context: TableContext,
  statement: CreateView,
  options: CreateOptions,
): Promise<StatementResult> {
  const view = tableOf(statement.view, options.owner)
  const change = await again(async () => {
    const there = await findView(context, view)
    if (there && statement.ifNotExists) return 'unchanged'
    if (there && statement.create === 'create') throw nameTaken(view, 'view')
    if (!there) await requireNoTable(context, view)
    const comment = statement.comment === null ? [] : [['comment', statement.comment] as const]
    const given = statement.properties.map((one) => [one.key, one.value] as const)
    const definition: ViewDefinition = {
      ...(await definitionOf(context, view, statement.query, statement.columns, options)),
      properties: Object.fromEntries([...given, ...comment]),
    }
    if (there) {
      const { metadata } = await replaceView(context, view, definition)
      return isDeepStrictEqual(metadata, there.metadata) ? 'unchanged' : 'replaced'
    }
    await createView(context, view, definition)
    return 'created'
  })
  return altered(view, change)
}

/** Runs DROP VIEW. A table of the name is an error, also with IF EXISTS. */
export async function runDropView(
  context: TableContext,
  statement: DropView,
  owner: OwnerOf,
): Promise<StatementResult> {
  const view = tableOf(statement.view, owner)
  if (await dropView(context, view)) return altered(view, 'dropped')
  await requireView(context, view)
  if (!statement.ifExists) await loadView(context, view)
  return altered(view, 'unchanged')
}

/**
 * Runs ALTER VIEW. A new query keeps the comments of columns of the same name; a new name of one word is of the same
 * namespace.
 */
export async function runAlterView(
  context: TableContext,
  statement: AlterView,
  options: CreateOptions,
): Promise<StatementResult> {
  const view = tableOf(statement.view, options.owner)
  const { action } = statement
  const before = await viewOrNoTable(context, view)
  switch (action.kind) {
    case 'setProperties': {
      const set = Object.fromEntries(action.properties.map((one) => [one.key, one.value]))
      return alteredFrom(before, await alterViewProperties(context, view, { set }))
    }
    case 'unsetProperties': {
      const missing = action.keys.find((key) => !Object.hasOwn(before.metadata.properties, key))
      if (missing !== undefined && !action.ifExists)
        throw new LimnError('usage/argument', {
          message: `${view} has no property ${missing}.`,
          notDone: 'The view is unchanged.',
          remedy: 'Write UNSET TBLPROPERTIES IF EXISTS to pass over it.',
        })
      return alteredFrom(before, await alterViewProperties(context, view, { remove: action.keys }))
    }
    case 'rename': {
      const [namespace = ''] = view.split('.')
      const { parts } = action.to
      const to = tableOf({ ...action.to, parts: parts.length === 1 ? [namespace, ...parts] : parts }, options.owner)
      await renameView(context, view, to)
      return altered(to, 'renamed')
    }
    case 'replaceQuery':
      return again(async () => {
        const now = await loadView(context, view)
        const made = await definitionOf(context, view, action.query, [], options)
        const old = schemaOfViewVersion(now.metadata, currentViewVersion(now.metadata)).fields
        const fields = made.schema.fields.map((field) => {
          const doc = old.find((one) => one.name === field.name)?.doc
          return doc === undefined ? field : { ...field, doc }
        })
        const definition = { ...made, schema: { ...made.schema, fields } }
        return alteredFrom(now, await replaceView(context, view, definition))
      })
  }
}

function altered(
  name: TableId,
  change: 'created' | 'replaced' | 'dropped' | 'renamed' | 'altered' | 'unchanged',
): StatementResult {
  return { kind: 'altered', change, of: 'view', name, snapshotId: null }
}

function alteredFrom(before: LoadedView, after: LoadedView): StatementResult {
  return altered(after.view, isDeepStrictEqual(before.metadata, after.metadata) ? 'unchanged' : 'altered')
}

async function viewOrNoTable(context: TableContext, view: TableId): Promise<LoadedView> {
  const found = await findView(context, view)
  if (found) return found
  await requireView(context, view)
  return loadView(context, view)
}

/** Throws where a table has a view's name. */
async function requireNoTable(context: TableContext, view: TableId): Promise<void> {
  if (await isTable(context, view)) throw nameTaken(view, 'table')
}

/** Throws where a statement about a view names a table. */
async function requireView(context: TableContext, view: TableId): Promise<void> {
  if (!(await isTable(context, view))) return
  throw new LimnError('usage/table-exists', {
    message: `${view} is a table, not a view.`,
    notDone: 'Nothing was run.',
    remedy: 'Write ALTER TABLE or DROP TABLE, if the table is what you mean.',
  })
}

async function isTable({ catalog, signal }: TableContext, name: TableId): Promise<boolean> {
  return (await catalog.loadTables([name], { signal })).get(name) != null
}

/** What a statement says a view is to be. */
async function definitionOf(
  context: TableContext,
  view: TableId,
  query: SqlText,
  columns: CreateView['columns'],
  options: CreateOptions,
): Promise<ViewDefinition> {
  const sql = storedText(query)
  const within: ViewScope = {
    view,
    catalog: viewsOf(context.catalog).name,
    defaultCatalog: null,
    defaultNamespace: [view.slice(0, view.indexOf('.'))],
  }
  // As written first: errors tell its places. The stored text is what will be read.
  await describeSelect(context, await prepareSelect(context, query, { ...options, within }))
  const stored = parseStatement(sql)
  if (stored.kind !== 'query')
    throw new LimnError('sql/not-read-only', {
      message: 'A view is made of a query.',
      notDone: 'Nothing was run.',
      remedy: 'Write a SELECT behind AS.',
    })
  const output = await describeSelect(context, await prepareSelect(context, stored.query, { ...options, within }))
  return {
    schema: { schemaId: 0, identifierFieldIds: [], fields: fieldsOf(view, output, columns) },
    representations: [{ dialect: readableDialects[0], sql }],
    defaultNamespace: within.defaultNamespace,
    summary: { 'engine-name': 'limn', [queryColumnNamesKey]: JSON.stringify(output.map((one) => one.name)) },
  }
}

function fieldsOf(view: TableId, output: readonly OutputColumn[], columns: CreateView['columns']): readonly Field[] {
  if (columns.length > 0 && columns.length !== output.length)
    throw new LimnError('sql/invalid', {
      message: `${view} has ${columns.length} columns in parentheses, its query ${output.length}.`,
      notDone: 'Nothing was run.',
      remedy: 'Name each column of the query, or none.',
    })
  requireDistinct(
    output.map((one) => one.name),
    'The query puts out',
  )
  const fields = output.map((one, i): Field => {
    const given = columns[i]
    const doc = given?.comment ?? null
    return {
      id: 0,
      name: given?.name.text ?? one.name,
      required: false,
      type: columnTypeOf(one),
      ...(doc === null ? {} : { doc }),
    }
  })
  requireDistinct(
    fields.map((one) => one.name),
    `${view} would have`,
  )
  return assignFieldIds(fields).fields
}

/** Two columns of one name could not be told apart once a table the view reads has changed. */
function requireDistinct(names: readonly string[], subject: string): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name.toLowerCase()))
      throw new LimnError('sql/invalid', {
        message: `${subject} two columns ${name}.`,
        notDone: 'Nothing was run.',
        remedy: 'Give each its own name with AS.',
      })
    seen.add(name.toLowerCase())
  }
}

/** A query in the SQL that DuckDB reads: names in double quotes, versions as `AT (…)`. */
function storedText({ text, travels }: SqlText): string {
  const clauses = travels.map(
    ({ version, nameEnd, end }): Edit => ({ start: nameEnd, end, by: ` AT (${versionText(version)})` }),
  )
  const names = backtickEdits(text).filter(
    (name) => !clauses.some((one) => name.start >= one.start && name.end <= one.end),
  )
  return applyEdits(text, [...clauses, ...names]).trim()
}

function versionText(version: Version): string {
  switch (version.kind) {
    case 'snapshot':
      return `VERSION => ${version.snapshotId}`
    case 'ref':
      return `VERSION => ${quoteText(version.ref)}`
    case 'time': {
      const { expression } = version
      const seconds = [...expression].every((char) => char >= '0' && char <= '9')
      return `TIMESTAMP => ${seconds ? `to_timestamp(${expression})` : duckText(expression)}`
    }
  }
}
