import { LimnError, type TableId } from '../base/index.ts'
import { castSql, type OutputColumn } from '../engine/index.ts'
import { evolveSchema, evolveSpec, type FormatVersion, type LoadedTable, type PartitionSpec } from '../iceberg/index.ts'
import { assignFieldIds, type Field, type Schema } from '../schema/index.ts'
import { type CreateTable, quoteIdentifier, type Term } from '../sql/index.ts'
import {
  createTable,
  createTableAs,
  newLocation,
  replaceTable,
  requireUsableProperties,
  type TableContext,
} from '../table/index.ts'
import { again } from './again.ts'
import { evaluateDefault } from './defaults.ts'
import { type OwnerOf, tableOf } from './guard.ts'
import type { Target } from './names.ts'
import { assignByName, projectionSql } from './project.ts'
import type { StatementResult } from './result.ts'
import { bindSelect, describeSelect, readAtOf, type SelectOptions } from './select.ts'
import { changedOf, insertedOf } from './totals.ts'
import { transformOf } from './transforms.ts'
import { columnTypeOf, fieldsOf } from './types.ts'

/** What a statement says a table is to be. */
export interface WantedTable {
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly properties: Readonly<Record<string, string>>
  readonly formatVersion: 2 | 3
}

export interface CreateOptions extends SelectOptions {
  readonly owner: OwnerOf
}

/**
 * Runs CREATE TABLE, CREATE OR REPLACE TABLE and REPLACE TABLE, also AS a query: one commit, shape and rows together. A
 * replaced table keeps its history, its place and the ids of columns of the same name.
 */
export async function runCreateTable(
  context: TableContext,
  statement: CreateTable,
  options: CreateOptions,
): Promise<StatementResult> {
  const table = tableOf(statement.table, options.owner)
  return again(() => createOnce(context, statement, table, options))
}

async function createOnce(
  context: TableContext,
  statement: CreateTable,
  table: TableId,
  options: CreateOptions,
): Promise<StatementResult> {
  const there = (await context.catalog.loadTables([table], { signal: context.signal })).get(table) ?? null
  const altered = { kind: 'altered', of: 'table', name: table, snapshotId: null } as const
  if (there && statement.ifNotExists) return { ...altered, change: 'unchanged' }
  if (there && statement.create === 'create') throw existsAlready(table)
  if (!there && statement.create === 'replace') throw notThere(table)
  const target: Target = { table, branch: 'main' }
  const { query } = statement
  if (query === null) {
    const wanted = wantedTable(context, statement, table, await fieldsWithDefaults(context, statement), there)
    if (!there) {
      await createTable(context, table, wanted)
      return { ...altered, change: 'created' }
    }
    const none = wanted.schema.fields.map((field) => `${castSql(field.type, 'NULL')} AS ${quoteIdentifier(field.name)}`)
    const change = await replaceTable(context, table, wanted, { sql: `SELECT ${none.join(', ')} WHERE FALSE` }, failing)
    return { ...altered, change: 'replaced', snapshotId: change.snapshotId }
  }
  await using select = await bindSelect(context, query, options)
  const output = await describeSelect(context, select)
  const wanted = wantedTable(context, statement, table, fieldsOfQuery(output), there)
  const assigned = assignByName(wanted.schema.fields, output, table)
  const rows = { sql: projectionSql(select.sql, output, wanted.schema, assigned, new Map()), tables: select.bound }
  if (!there) return insertedOf('create', target, await createTableAs(context, table, wanted, rows))
  const change = await replaceTable(context, table, wanted, rows, { ...failing, ...readAtOf(select.heads, target) })
  return changedOf('replace', target, change, { inserted: change.written })
}

/** The statement as a whole runs anew, see `again`. */
const failing = { onConflict: 'fail' } as const

/** The columns of a statement, their defaults worked out. */
export async function fieldsWithDefaults(context: TableContext, statement: CreateTable): Promise<readonly Field[]> {
  const out: Field[] = []
  for (const [i, field] of fieldsOf(statement.columns).entries()) {
    const given = statement.columns[i]?.defaultValue ?? null
    const value = given === null ? null : await evaluateDefault(context, given, field.type)
    out.push(value === null ? field : { ...field, initialDefault: value, writeDefault: value })
  }
  return out
}

/** The columns a query puts out, as columns of a table. */
function fieldsOfQuery(output: readonly OutputColumn[]): readonly Field[] {
  const fields = output.map((column) => ({ id: 0, name: column.name, required: false, type: columnTypeOf(column) }))
  return assignFieldIds(fields).fields
}

/** Everything but the columns comes from the statement; a location of its own where it gives none. */
export function wantedTable(
  context: TableContext,
  statement: CreateTable,
  table: TableId,
  fields: readonly Field[],
  there: LoadedTable | null,
): WantedTable {
  const { properties, formatVersion } = propertiesOf(statement, there)
  // Judged as if each column were added: names, types, defaults, all by the format version.
  evolveSchema(
    { schemaId: 0, fields: [], identifierFieldIds: [] },
    fields.map((field) => ({
      kind: 'add-column',
      name: field.name,
      type: field.type,
      required: field.required,
      ...(field.initialDefault === undefined ? {} : { default: field.initialDefault }),
    })),
    { formatVersion, lastColumnId: 0, allowIncompatible: true, caseSensitive: false },
  )
  const schema: Schema = { schemaId: 0, fields, identifierFieldIds: [] }
  requireUsableProperties(schema, properties)
  if (there && statement.location !== null && statement.location !== there.metadata.location)
    throw keepsIts(table, 'place', `ALTER TABLE ${table} SET LOCATION '${statement.location}'`)
  return {
    location: statement.location ?? there?.metadata.location ?? defaultLocation(context, table),
    schema,
    spec: specFor(schema, statement.partitionedBy, formatVersion),
    properties,
    formatVersion,
  }
}

export function specFor(schema: Schema, terms: readonly Term[], formatVersion: FormatVersion): PartitionSpec {
  return evolveSpec(
    { specId: 0, fields: [] },
    terms.map((term) => ({
      kind: 'add-partition-field',
      column: term.column.parts,
      transform: transformOf(term),
    })),
    { formatVersion, schema, specs: [], lastPartitionId: 999, caseSensitive: false },
  )
}

function propertiesOf(
  statement: CreateTable,
  there: LoadedTable | null,
): {
  readonly properties: Readonly<Record<string, string>>
  readonly formatVersion: 2 | 3
} {
  const all = Object.fromEntries(statement.properties.map((one) => [one.key, one.value]))
  const now = there ? String(there.metadata.formatVersion) : '2'
  const { 'format-version': version = now, ...rest } = all
  if (there && version !== now)
    throw keepsIts(
      there.table,
      'format version',
      `ALTER TABLE ${there.table} SET TBLPROPERTIES ('format-version' = '3')`,
    )
  if (version !== '2' && version !== '3')
    throw new LimnError('usage/argument', {
      message: `limn makes no tables of format version ${version}.`,
      notDone: 'Nothing was run.',
      remedy: "Use '2' or '3'.",
    })
  const properties = statement.comment === null ? rest : { ...rest, comment: statement.comment }
  return { properties, formatVersion: version === '3' ? 3 : 2 }
}

/** Two tables must never share a folder, and a name may be given again after a rename or a drop: the folder is new. */
function defaultLocation(context: TableContext, table: TableId): string {
  return newLocation(context, table)
}

function keepsIts(table: TableId, what: string, statement: string): LimnError {
  return new LimnError('usage/argument', {
    message: `${table} keeps its ${what} when it is replaced.`,
    notDone: 'Nothing was run.',
    remedy: `Leave it out, and change it by a statement of its own: ${statement}`,
  })
}

export function existsAlready(name: string): LimnError {
  return new LimnError('usage/table-exists', {
    message: `${name} exists already.`,
    notDone: 'Nothing was run.',
    remedy: 'Choose another name, or write CREATE OR REPLACE TABLE or CREATE TABLE IF NOT EXISTS.',
  })
}

function notThere(table: string): LimnError {
  return new LimnError('usage/unknown-table', {
    message: `There is no table ${table} to replace.`,
    notDone: 'Nothing was run.',
    remedy: 'Write CREATE OR REPLACE TABLE.',
  })
}
