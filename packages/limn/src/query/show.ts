import { LimnError, type TableId } from '../base/index.ts'
import type { OutputColumn, ResultSet } from '../engine/index.ts'
import { currentSchema, specById, type TableMetadata, type Transform } from '../iceberg/index.ts'
import type { Field, Schema, Type } from '../schema/index.ts'
import { type ColumnDefinition, type Path, printStatement, type Show, type Term } from '../sql/index.ts'
import { metadataTable, type TableContext } from '../table/index.ts'
import { defaultSql } from './defaults.ts'
import { loadTable, resolveName } from './names.ts'
import { nodeOf, typeText } from './types.ts'
import { columnsOfView, propertiesOfView, showCreateView, showViews, viewNamed } from './views/view-show.ts'

const text = (name: string): OutputColumn => ({ name, type: 'VARCHAR' })

/** Runs SHOW and DESCRIBE. */
export async function runShow(context: TableContext, statement: Show): Promise<ResultSet> {
  const { what } = statement
  switch (what.kind) {
    case 'views':
      return showViews(context, what.namespace)
    case 'createView':
      return showCreateView(context, what.view)
    case 'tables': {
      const wanted = what.namespace?.text.toLowerCase()
      const ids = await context.catalog.listTables({ signal: context.signal })
      const split = ids.map((id) => id.split('.'))
      return {
        columns: [text('namespace'), text('table')],
        rows: split
          .filter(([namespace]) => wanted === undefined || namespace === wanted)
          .map(([namespace = '', name = '']) => [namespace, name]),
      }
    }
    case 'columns': {
      const view = await viewNamed(context, what.table)
      if (view) return columnsOfView(view)
      const loaded = await load(context, what.table)
      const { part } = resolveName(what.table.parts)
      const schema =
        part.kind === 'metadata' ? metadataTable(context, loaded, part.name).schema : currentSchema(loaded.metadata)
      return {
        columns: [
          text('column'),
          text('type'),
          { name: 'required', type: 'BOOLEAN' },
          text('default'),
          text('comment'),
        ],
        rows: schema.fields.map((field) => [
          field.name,
          typeText(field.type),
          field.required,
          field.writeDefault === undefined ? null : defaultSql(field),
          field.doc ?? null,
        ]),
      }
    }
    case 'properties': {
      const view = await viewNamed(context, what.table)
      if (view) return propertiesOfView(view)
      const { metadata } = await load(context, what.table)
      const all = { ...metadata.properties, 'format-version': String(metadata.formatVersion) }
      return {
        columns: [text('key'), text('value')],
        rows: Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)),
      }
    }
    case 'createTable': {
      const { table, metadata } = await load(context, what.table)
      return { columns: [text('statement')], rows: [[createText(table, metadata)]] }
    }
  }
}

function load(context: TableContext, path: Path) {
  return loadTable(context, resolveName(path.parts).table)
}

const at = { offset: 0, line: 1, column: 1 }

/** The statement that makes an empty table like one that is there. */
export function createText(table: TableId, metadata: TableMetadata): string {
  const schema = currentSchema(metadata)
  const { comment = null, ...properties } = metadata.properties
  return printStatement({
    kind: 'createTable',
    at,
    create: 'create',
    ifNotExists: false,
    table: { at, parts: table.split('.') },
    columns: schema.fields.map(definitionOf),
    partitionedBy: specById(metadata, metadata.defaultSpecId).fields.flatMap((field) => {
      const column = pathOf(schema, field.sourceId)
      return column ? [termOf(field.transform, column)] : []
    }),
    location: metadata.location,
    comment,
    properties: Object.entries({ 'format-version': String(metadata.formatVersion), ...properties }).map(
      ([key, value]) => ({ at, key, value }),
    ),
    query: null,
  })
}

function definitionOf(field: Field): ColumnDefinition {
  return {
    name: { at, text: field.name },
    type: nodeOf(field.type),
    required: field.required,
    defaultValue: field.writeDefault === undefined ? null : { at, text: defaultSql(field), travels: [] },
    comment: field.doc ?? null,
  }
}

/** The names that lead to a field, through structs. */
function pathOf(schema: Schema, id: number): Path | null {
  const search = (fields: readonly Field[], before: readonly string[]): readonly string[] | null => {
    for (const field of fields) {
      const path = [...before, field.name]
      if (field.id === id) return path
      const inner = isStruct(field.type) ? search(field.type.fields, path) : null
      if (inner) return inner
    }
    return null
  }
  const parts = search(schema.fields, [])
  return parts ? { at, parts } : null
}

function isStruct(type: Type): type is Extract<Type, { type: 'struct' }> {
  return typeof type === 'object' && type.type === 'struct'
}

function termOf(transform: Transform, column: Path): Term {
  switch (transform.kind) {
    case 'bucket':
      return { at, transform: 'bucket', argument: transform.count, column }
    case 'truncate':
      return { at, transform: 'truncate', argument: transform.width, column }
    case 'unknown':
      throw new LimnError('iceberg/unsupported', {
        message: `The table is partitioned by ${transform.text}, which SQL has no word for.`,
        notDone: 'The statement was not written down.',
      })
    default:
      return { at, transform: transform.kind, argument: null, column }
  }
}
