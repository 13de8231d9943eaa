import { LimnError, randomUuid, type TableId } from '../base/index.ts'
import {
  createTableUpdates,
  evolveSchema,
  evolveSpec,
  type FormatVersion,
  type PartitionSpec,
  type Update,
} from '../iceberg/index.ts'
import { assignFieldIds, type Field, type Schema } from '../schema/index.ts'
import type { CreateTable, Term } from '../sql/index.ts'
import { committed, type TableContext } from '../table/index.ts'
import { evaluateDefault } from './defaults.ts'
import { type OwnerOf, tableOf } from './guard.ts'
import { assignByName, projectionSql } from './project.ts'
import type { StatementResult } from './result.ts'
import { type BoundSelect, bindSelect, describeSelect, type SelectOptions } from './select.ts'
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

/** Runs CREATE TABLE without a query. */
export async function runCreateTable(
  context: TableContext,
  statement: CreateTable,
  options: CreateOptions,
): Promise<StatementResult> {
  const table = tableOf(statement.table, options.owner)
  const there = (await context.catalog.loadTables([table], { signal: context.signal })).get(table) ?? null
  const altered = { kind: 'altered', of: 'table', name: table, snapshotId: null } as const
  if (there && statement.ifNotExists) return { ...altered, change: 'unchanged' }
  if (there && statement.create === 'create') throw existsAlready(table)
  if (!there && statement.create === 'replace') throw notThere(table)
  const wanted = wantedTable(context, statement, table, await fieldsWithDefaults(context, statement))
  const outcome = await context.catalog.commit(
    [{ table, requirements: [{ type: 'assert-create' }], updates: updatesOf(context, wanted) }],
    { timestampMs: context.clock.nowMs(), signal: context.signal },
  )
  committed(outcome, table)
  return { ...altered, change: 'created' }
}

/** The updates that make the table. */
export function updatesOf(context: TableContext, wanted: WantedTable): readonly Update[] {
  return createTableUpdates({ tableUuid: randomUuid(context.randomness), ...wanted })
}

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
export async function fieldsOfQuery(context: TableContext, select: BoundSelect): Promise<readonly Field[]> {
  const output = await describeSelect(context, select)
  const fields = output.map((column) => ({ id: 0, name: column.name, required: false, type: columnTypeOf(column) }))
  return assignFieldIds(fields).fields
}

/** A query's rows in the order and types of a table made for it. */
export async function rowsOfQuery(context: TableContext, select: BoundSelect, schema: Schema): Promise<string> {
  const output = await describeSelect(context, select)
  return projectionSql(select.sql, output, schema, assignByName(schema.fields, output, 'the table'), new Map())
}

/** Binds the query of CREATE TABLE … AS. */
export function bindQuery(
  context: TableContext,
  statement: CreateTable,
  options: SelectOptions,
): Promise<BoundSelect> | null {
  return statement.query ? bindSelect(context, statement.query, options) : null
}

/** Everything but the columns comes from the statement; a location of its own where it gives none. */
export function wantedTable(
  context: TableContext,
  statement: CreateTable,
  table: TableId,
  fields: readonly Field[],
): WantedTable {
  const { properties, formatVersion } = propertiesOf(statement)
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
  return {
    location: statement.location ?? defaultLocation(context, table),
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

function propertiesOf(statement: CreateTable): {
  readonly properties: Readonly<Record<string, string>>
  readonly formatVersion: 2 | 3
} {
  const all = Object.fromEntries(statement.properties.map((one) => [one.key, one.value]))
  const { 'format-version': version = '2', ...rest } = all
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
  const unique = Buffer.from(context.randomness.bytes(4)).toString('hex')
  return `${context.store.root}/${table.replace('.', '/')}-${unique}`
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
