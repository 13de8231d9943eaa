import type { DuckDBConnection } from '@duckdb/node-api'
import type { Field } from '../../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../../sql/index.ts'
import type { BoundDelete, BoundFile, BoundTable } from '../../bound.ts'
import { metadataColumns } from '../../bound.ts'
import { type EqualityJoin, loadEqualityDeletes } from './equality.ts'
import type { Footers } from './footers.ts'
import { fileListText, inner, partsOf, type ScanFile, type ScanPart } from './parts.ts'
import { loadPositions } from './positions.ts'
import { duckTypeOf, nullOf } from './project.ts'

/** Where the tables stand that a bind makes beside its view. */
export const boundSchema = 'limn_bound'

/** Longer lists of files are kept in a variable: as text they would be parsed anew by every query. */
const listedFilesMax = 100

/** Field ids of row lineage (specification, "Reserved Field IDs"). */
const rowId: Field = { id: 2147483540, name: '_row_id', required: false, type: 'long' }
const lastUpdated: Field = {
  id: 2147483539,
  name: '_last_updated_sequence_number',
  required: false,
  type: 'long',
}

/** Binds tables on one connection; keeps what it ran, so that it can be shown. */
export class Binder {
  readonly connection: DuckDBConnection
  readonly footers: Footers
  readonly statements: string[] = []
  private readonly short: boolean
  private names = 0
  private hasSchema = false

  /** `portable`: every statement stands by itself, file lists as text. */
  constructor(connection: DuckDBConnection, footers: Footers, options: { readonly portable?: boolean } = {}) {
    this.connection = connection
    this.footers = footers
    this.short = options.portable !== true
  }

  async run(sql: string): Promise<void> {
    await this.connection.run(sql)
    this.statements.push(sql)
  }

  /** A new name for a table beside the views; bare and as SQL names it. */
  async table(): Promise<{ readonly name: string; readonly sql: string }> {
    if (!this.hasSchema) await this.run(`CREATE SCHEMA IF NOT EXISTS ${boundSchema}`)
    this.hasSchema = true
    const name = `t${this.names++}`
    return { name, sql: `${boundSchema}.${name}` }
  }

  /** Groups files by how they are read; wanted are `fields`, each as `c<id>`. */
  async parts<F extends ScanFile & { readonly path?: string }>(
    files: readonly F[],
    fields: readonly Field[],
    mapping: BoundTable['nameMapping'],
    apart?: (file: F) => string,
  ): Promise<readonly ScanPart<F>[]> {
    const footers = await this.footers.of(
      this.connection,
      files.map((file) => ({ local: file.local, keep: file.path !== undefined })),
    )
    const lists: { readonly name: string; readonly text: string }[] = []
    const listOf = (locals: readonly string[]) => {
      const text = fileListText(locals)
      if (!this.short || locals.length <= listedFilesMax) return text
      const name = `limn_files_${this.names++}`
      lists.push({ name, text })
      return `getvariable(${quoteText(name)})`
    }
    const parts = partsOf(files, fields, footers, mapping ?? null, listOf, apart)
    for (const { name, text } of lists) await this.run(`SET VARIABLE ${name} = ${text}`)
    return parts
  }

  /** Makes the view of a table. */
  async bind(table: BoundTable): Promise<void> {
    const [schema = '', name = ''] = table.id.split('.')
    const selects = await selectsOf(this, table)
    await this.run(
      `CREATE OR REPLACE VIEW ${quoteIdentifier(schema)}.${quoteIdentifier(name)} AS ${selects.join('\nUNION ALL\n')}`,
    )
  }
}

async function selectsOf(binder: Binder, table: BoundTable): Promise<readonly string[]> {
  const { files } = table
  if (files.length === 0) return [noRows(table)]
  const equality = await loadEqualityDeletes(binder, table)
  const extra = [...equality.fields.filter((field) => !table.schema.fields.some((own) => own.id === field.id))]
  if (table.metadataColumns) extra.push(rowId, lastUpdated)
  const fields = [...table.schema.fields, ...extra]
  const parts = await binder.parts(files, fields, table.nameMapping, (file) => deletesKey(file, equality.joins))
  const positions = await loadPositions(binder, parts)
  const selects: string[] = []
  for (const [i, part] of parts.entries())
    selects.push(await selectOf(binder, table, part, positions[i] ?? null, equality.joins))
  return selects
}

/** Files that need the same joins are read together. */
function deletesKey(file: BoundFile, joins: readonly EqualityJoin[]): string {
  const { deletes } = file
  if (!deletes || deletes.length === 0) return ''
  const byPosition = deletes.some((one) => one.kind !== 'equality')
  return `${byPosition ? 'p' : ''}${joinsOf(deletes, joins)
    .map((one) => one.table)
    .join(',')}`
}

function joinsOf(deletes: readonly BoundDelete[], joins: readonly EqualityJoin[]): readonly EqualityJoin[] {
  return joins.filter((join) => deletes.some((one) => join.files.has(one)))
}

async function selectOf(
  binder: Binder,
  table: BoundTable,
  part: ScanPart<BoundFile>,
  positions: string | null,
  equality: readonly EqualityJoin[],
): Promise<string> {
  const joins = joinsOf(
    part.files.flatMap((file) => file.deletes ?? []),
    equality,
  )
  if (joins.length === 0 && positions === null && !table.metadataColumns) {
    if (part.direct !== null) return `SELECT * FROM ${part.direct}`
    const columns = part.columns.map(({ field, sql }) => `${sql} AS ${quoteIdentifier(field.name)}`)
    return `SELECT ${columns.join(', ')} FROM ${part.source}`
  }
  const perFile = table.metadataColumns === true || joins.some((join) => !join.appliesToAll(part.files))
  const columns = part.columns.map(({ field, sql }) => `${sql} AS ${inner(field.id)}`)
  const from = [
    `(SELECT ${[...columns, 'file_index', 'file_row_number'].join(', ')} FROM ${part.source}) x`,
    ...(perFile ? [`JOIN ${await filesTable(binder, table, part.files)} f ON f.i = x.file_index`] : []),
    ...(positions === null ? [] : [`ANTI JOIN ${positions} p ON p.i = x.file_index AND p.p = x.file_row_number`]),
    ...joins.map((join, i) => join.antiJoin(`e${i}`, part.files)),
  ]
  const own = table.schema.fields.map((field) => `x.${inner(field.id)} AS ${quoteIdentifier(field.name)}`)
  return `SELECT ${[...own, ...(table.metadataColumns ? lineage : [])].join(', ')} FROM ${from.join(' ')}`
}

const lineage = [
  'f.path AS "_file"',
  'x.file_row_number AS "_pos"',
  'f.spec AS "_spec_id"',
  `coalesce(x.${inner(rowId.id)}, f.row_id + x.file_row_number) AS "_row_id"`,
  `CASE WHEN f.row_id IS NULL THEN NULL ELSE coalesce(x.${inner(lastUpdated.id)}, f.q) END AS "_last_updated_sequence_number"`,
]

/** What is known of each file of a part, by its place in the list. */
async function filesTable(binder: Binder, table: BoundTable, files: readonly BoundFile[]): Promise<string> {
  const { sql } = await binder.table()
  await binder.run(
    `CREATE TABLE ${sql} (i UBIGINT, path VARCHAR, spec INTEGER, row_id BIGINT, q BIGINT, scope VARCHAR)`,
  )
  for (let at = 0; at < files.length; at += 1000) {
    const rows = files.slice(at, at + 1000).map((file, k) => {
      const path = table.metadataColumns ? quoteText(file.path ?? file.local) : 'NULL'
      const scope = file.scope === undefined ? 'NULL' : quoteText(file.scope)
      const sequence = file.dataSequenceNumber ?? 'NULL'
      return `(${at + k}, ${path}, ${file.specId ?? 'NULL'}, ${file.firstRowId ?? 'NULL'}, ${sequence}, ${scope})`
    })
    await binder.run(`INSERT INTO ${sql} VALUES ${rows.join(', ')}`)
  }
  return sql
}

function noRows(table: BoundTable): string {
  const own = table.schema.fields.map((field) => `${nullOf(field.type)} AS ${quoteIdentifier(field.name)}`)
  const more = metadataColumns.map(({ name, type }) => `NULL::${duckTypeOf(type)} AS ${quoteIdentifier(name)}`)
  return `SELECT ${[...own, ...(table.metadataColumns ? more : [])].join(', ')} WHERE FALSE`
}
