import type { OutputColumn, ResultSet } from '../../engine/index.ts'
import {
  currentViewVersion,
  findView,
  type LoadedView,
  listViews,
  loadView,
  schemaOfViewVersion,
} from '../../iceberg/index.ts'
import { type Name, type Path, printStatement } from '../../sql/index.ts'
import type { TableContext } from '../../table/index.ts'
import { resolveName } from '../names.ts'
import { typeText } from '../types.ts'
import { readableOf } from './view-read.ts'

const text = (name: string): OutputColumn => ({ name, type: 'VARCHAR' })

export async function showViews(context: TableContext, namespace: Name | null): Promise<ResultSet> {
  const wanted = namespace?.text.toLowerCase()
  const ids = context.catalog.views ? await listViews(context, wanted === undefined ? {} : { namespace: wanted }) : []
  return { columns: [text('namespace'), text('view')], rows: ids.map((id) => id.split('.')) }
}

export async function showCreateView(context: TableContext, path: Path): Promise<ResultSet> {
  const loaded = await loadView(context, resolveName(path.parts).table)
  return { columns: [text('statement')], rows: [[createViewText(loaded)]] }
}

/** The view a statement names; null where it names something else. */
export async function viewNamed(context: TableContext, path: Path): Promise<LoadedView | null> {
  const { table, part } = resolveName(path.parts)
  return context.catalog.views && part.kind === 'rows' ? findView(context, table) : null
}

export function propertiesOfView({ metadata }: LoadedView): ResultSet {
  const all = Object.entries({ ...metadata.properties, 'format-version': '1' })
  return { columns: [text('key'), text('value')], rows: all.sort(([a], [b]) => (a < b ? -1 : 1)) }
}

/** In the shape of a table's; a view's columns have no defaults. */
export function columnsOfView({ metadata }: LoadedView): ResultSet {
  const { fields } = schemaOfViewVersion(metadata, currentViewVersion(metadata))
  return {
    columns: [text('column'), text('type'), { name: 'required', type: 'BOOLEAN' }, text('default'), text('comment')],
    rows: fields.map((field) => [field.name, typeText(field.type), field.required, null, field.doc ?? null]),
  }
}

/** The statement that makes a view like one that is there, from the definition limn reads. */
export function createViewText({ view, metadata }: LoadedView): string {
  const at = { offset: 0, line: 1, column: 1 }
  const version = currentViewVersion(metadata)
  const { comment = null, ...properties } = metadata.properties
  return printStatement({
    kind: 'createView',
    at,
    create: 'create',
    ifNotExists: false,
    view: { at, parts: view.split('.') },
    columns: schemaOfViewVersion(metadata, version).fields.map((field) => ({
      name: { at, text: field.name },
      comment: field.doc ?? null,
    })),
    comment,
    properties: Object.entries(properties).map(([key, value]) => ({ at, key, value })),
    query: { at, text: readableOf(view, version).sql, travels: [] },
  })
}
