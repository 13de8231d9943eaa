import type { DuckDBConnection } from '@duckdb/node-api'
import type { Field } from '../../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../../sql/index.ts'
import type { BoundDelete, BoundFile, BoundTable } from '../../bound.ts'
import { metadataColumns } from '../../bound.ts'
import type { AvroFiles } from './avro.ts'
import type { DeletedRows } from './deleted-bits.ts'
import { type EqualityDeletes, type EqualityJoin, loadEqualityDeletes } from './equality.ts'
import { type FileFacts, fileFacts } from './file-facts.ts'
import type { Footers } from './footers.ts'
import { fileListText, inner, namesApart, partsOf, type ScanFile, type ScanPart } from './parts.ts'
import { loadPositions } from './positions.ts'
import { duckTypeOf, nullOf } from './project.ts'
import type { ZonedNanos } from './zoned-nanos.ts'

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
  readonly avro: AvroFiles
  readonly nanos: ZonedNanos
  readonly statements: string[] = []
  private readonly short: boolean
  private held: string[]
  private names = 0
  private hasSchema = false

  /**
   * `portable`: every statement stands by itself, file lists as text. `before`: statements that are run with the first of its
   * own, because each call waits for the engine.
   */
  constructor(
    connection: DuckDBConnection,
    files: { readonly footers: Footers; readonly avro: AvroFiles; readonly nanos: ZonedNanos },
    options: { readonly portable?: boolean; readonly before?: readonly string[] } = {},
  ) {
    this.connection = connection
    this.held = [...(options.before ?? [])]
    this.footers = files.footers
    this.avro = files.avro
    this.nanos = files.nanos
    this.short = options.portable !== true
  }

  async run(sql: string): Promise<void> {
    this.hold(sql)
    await this.flush()
  }

  /** Runs a statement with the next one, or when the binder is flushed. */
  hold(sql: string): void {
    this.held.push(sql)
    this.statements.push(sql)
  }

  /** Runs what is held; before anything else uses the connection. */
  async flush(): Promise<void> {
    if (this.held.length === 0) return
    const held = this.held.join(';\n')
    this.held = []
    await this.connection.run(held)
  }

  private async ready(): Promise<DuckDBConnection> {
    await this.flush()
    return this.connection
  }

  /** A new name for a table beside the views; bare and as SQL names it. */
  async table(): Promise<{ readonly name: string; readonly sql: string }> {
    if (!this.hasSchema) await this.run(`CREATE SCHEMA IF NOT EXISTS ${boundSchema}`)
    this.hasSchema = true
    const name = `t${this.names++}`
    return { name, sql: `${boundSchema}.${name}` }
  }

  /** An expression for a value that is set once; the statement is added to `statements`. As text where each stands by itself. */
  variable(value: string, statements: string[]): string {
    if (!this.short) return value
    const name = `limn_facts_${this.names++}`
    statements.push(`SET VARIABLE ${name} = ${value}`)
    return `getvariable(${quoteText(name)})`
  }

  /** Groups files by how they are read; wanted are `fields`, each as `c<id>`. */
  async parts<F extends ScanFile & { readonly path?: string }>(
    files: readonly F[],
    fields: readonly Field[],
    mapping: BoundTable['nameMapping'],
    apart?: (file: F) => string,
  ): Promise<readonly ScanPart<F>[]> {
    const copies = await this.copiesOf(files)
    const localOf = (file: F) => copies.get(file.local) ?? file.local
    const footersOf = (asked: readonly F[]) =>
      this.footers.of(
        () => this.ready(),
        asked.map((file) => ({ local: localOf(file), keep: file.path !== undefined })),
      )
    let footers = await footersOf(files)
    const zoned = files.filter((file) => footers.get(localOf(file))?.zonedNanos)
    if (zoned.length > 0) {
      for (const file of zoned) copies.set(file.local, await this.nanos.copyOf(localOf(file)))
      footers = new Map([...footers, ...(await footersOf(zoned))])
    }
    const lists: { readonly name: string; readonly text: string }[] = []
    const listOf = (locals: readonly string[]) => {
      const text = fileListText(locals)
      if (!this.short || locals.length <= listedFilesMax) return text
      const name = `limn_files_${this.names++}`
      lists.push({ name, text })
      return `getvariable(${quoteText(name)})`
    }
    const parts = partsOf(files, fields, {
      footers,
      localOf,
      listOf,
      mapping: mapping ?? null,
      ...(apart ? { apart } : {}),
    })
    for (const { name, text } of lists) await this.run(`SET VARIABLE ${name} = ${text}`)
    return parts
  }

  /** The Parquet files that stand for Avro ones, by local file. */
  private async copiesOf(files: readonly ScanFile[]): Promise<Map<string, string>> {
    const copies = new Map<string, string>()
    for (const { local, format } of files)
      if (format === 'avro') copies.set(local, await this.avro.copyOf(await this.ready(), local))
    return copies
  }

  /** Makes the view of a table. */
  async bind(table: BoundTable): Promise<void> {
    const [schema = '', name = ''] = table.id.split('.')
    // What is deleted stands in tables that are filled here.
    if (table.files.some((file) => file.deletes && file.deletes.length > 0)) await this.flush()
    const selects = await selectsOf(this, table)
    this.hold(
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
    selects.push(await selectOf(binder, table, part, positions[i] ?? null, equality))
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
  positions: DeletedRows | null,
  equality: EqualityDeletes,
): Promise<string> {
  const names = viewNames(table)
  const joins = joinsOf(
    part.files.flatMap((file) => file.deletes ?? []),
    equality.joins,
  )
  if (joins.length === 0 && positions === null && !table.metadataColumns) {
    // Key columns of equality deletes that are no columns of the table are read for other files alone.
    const own = part.columns.slice(0, table.schema.fields.length)
    if (part.direct !== null && own.length === part.columns.length) return `SELECT * FROM ${part.direct}`
    const columns = own.map(({ sql }, i) => `${sql} AS ${names[i]}`)
    return `SELECT ${columns.join(', ')} FROM ${part.source}`
  }
  const perFile = table.metadataColumns === true || joins.some((join) => !join.appliesToAll(part.files))
  const variables: string[] = []
  const facts = fileFacts(perFile ? part.files : [], equality.scopes, (value) => binder.variable(value, variables))
  for (const statement of variables) await binder.run(statement)
  const columns = part.columns.map(({ field, sql }) => `${sql} AS ${inner(field.id)}`)
  const from = [
    `(SELECT ${[...columns, 'file_index', 'file_row_number'].join(', ')} FROM ${part.source}) x`,
    ...(positions === null ? [] : [positions.join]),
    ...joins.map((join, i) => join.antiJoin(`e${i}`, part.files, facts)),
  ]
  const own = table.schema.fields.map((field, i) => `x.${inner(field.id)} AS ${names[i]}`)
  const kept = positions?.keeps ? ` WHERE ${positions.keeps}` : ''
  return `SELECT ${[...own, ...(table.metadataColumns ? lineage(facts) : [])].join(', ')} FROM ${from.join(' ')}${kept}`
}

function lineage(facts: FileFacts): readonly string[] {
  return [
    `${facts.path} AS "_file"`,
    'x.file_row_number AS "_pos"',
    `${facts.spec} AS "_spec_id"`,
    `coalesce(x.${inner(rowId.id)}, ${facts.rowId} + x.file_row_number) AS "_row_id"`,
    `CASE WHEN ${facts.rowId} IS NULL THEN NULL ELSE coalesce(x.${inner(lastUpdated.id)}, ${facts.sequence}) END AS "_last_updated_sequence_number"`,
  ]
}

/** The view's column names. DuckDB's do not differ in case alone: a later one of two such gets a number. */
function viewNames(table: BoundTable): readonly string[] {
  return namesApart(table.schema.fields.map((field) => field.name)).map(quoteIdentifier)
}

function noRows(table: BoundTable): string {
  const names = viewNames(table)
  const own = table.schema.fields.map((field, i) => `${nullOf(field.type)} AS ${names[i]}`)
  const more = metadataColumns.map(({ name, type }) => `NULL::${duckTypeOf(type)} AS ${quoteIdentifier(name)}`)
  return `SELECT ${[...own, ...(table.metadataColumns ? more : [])].join(', ')} WHERE FALSE`
}
