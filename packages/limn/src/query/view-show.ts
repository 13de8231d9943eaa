import type { TableId } from '../base/index.ts'
import type { OutputColumn, ResultSet } from '../engine/index.ts'
import {
  currentViewVersion,
  findView,
  type LoadedView,
  listViews,
  loadView,
  schemaOfViewVersion,
} from '../iceberg/index.ts'
import { type Path, printStatement, type Show } from '../sql/index.ts'
import type { TableContext } from '../table/index.ts'
import { resolveName } from './names.ts'
import { typeText } from './types.ts'
import { readableOf } from './view-read.ts'

const text = (name: string): OutputColumn => ({ name, type: 'VARCHAR' })

/** What SHOW and DESCRIBE say of views; null where they ask for tables, or name one. */
export async function showView(context: TableContext, what: Show['what']): Promise<ResultSet | null> {
  switch (what.kind) {
    case 'views': {
      const namespace = what.namespace?.text.toLowerCase()
      const ids = context.catalog.views ? await listViews(context, namespace === undefined ? {} : { namespace }) : []
      return { columns: [text('namespace'), text('view')], rows: ids.map((id) => id.split('.')) }
    }
    case 'createView': {
      const loaded = await loadView(context, idOf(what.view))
      return { columns: [text('statement')], rows: [[createViewText(loaded)]] }
    }
    case 'columns': {
      const view = await maybeView(context, what.table)
      return view && columnsOf(view)
    }
    case 'properties': {
      const view = await maybeView(context, what.table)
      if (!view) return null
      const all = Object.entries({ ...view.metadata.properties, 'format-version': '1' })
      return { columns: [text('key'), text('value')], rows: all.sort(([a], [b]) => (a < b ? -1 : 1)) }
    }
    case 'tables':
    case 'createTable':
      return null
  }
}

function idOf(path: Path): TableId {
  return resolveName(path.parts).table
}

function maybeView(context: TableContext, path: Path): Promise<LoadedView | null> {
  const { table, part } = resolveName(path.parts)
  return context.catalog.views && part.kind === 'rows' ? findView(context, table) : Promise.resolve(null)
}

/** In the shape of a table's; a view's columns have no defaults. */
function columnsOf({ metadata }: LoadedView): ResultSet {
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
