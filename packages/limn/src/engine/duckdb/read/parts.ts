import { LimnError } from '../../../base/index.ts'
import type { NameMapping } from '../../../iceberg/index.ts'
import type { Field, Value } from '../../../schema/index.ts'
import { quoteFile, quoteIdentifier, quoteText } from '../../../sql/index.ts'
import type { FooterSchema } from './footers.ts'
import { mapNames, numberByPosition, type PhysicalColumn } from './physical.ts'
import { duckTypeOf, type Projection, projectionOf } from './project.ts'

/** A file to scan: a data file, or a delete file whose rows are wanted. */
export interface ScanFile {
  readonly local: string
  /** Default `parquet`. */
  readonly format?: 'parquet' | 'avro'
  readonly constants?: ReadonlyMap<number, Value | null>
  /** Rows, where known. */
  readonly recordCount?: bigint
}

/**
 * Files that one `read_parquet` reads alike. `columns` computes each wanted field as `c<id>` from what `source` yields;
 * the file and the position of a row are DuckDB's `file_index` (the place in `files`) and `file_row_number`.
 */
export interface ScanPart<F extends ScanFile> {
  readonly files: readonly F[]
  readonly columns: readonly { readonly field: Field; readonly sql: string }[]
  readonly source: string
  /** Set where every field is read as it is: the whole scan as one `read_parquet` with the fields' own names. */
  readonly direct: string | null
}

/** How the file list of a part is spelled: its text, or the name of a variable that holds it. */
export type FileList = (files: readonly string[]) => string

export function fileListText(files: readonly string[]): string {
  return `[${files.map(quoteFile).join(', ')}]`
}

/** The column a field has within a part. */
export function inner(fieldId: number): string {
  return `c${fieldId}`
}

/** How files are found and told apart. */
export interface Layout<F> {
  /** By Parquet file. */
  readonly footers: ReadonlyMap<string, FooterSchema>
  /** The Parquet file to read: the file itself, or what stands for it. */
  readonly localOf: (file: F) => string
  readonly mapping: NameMapping | null
  readonly listOf: FileList
  /** Files with different answers are never read together. */
  readonly apart?: (file: F) => string
}

/** Groups files into as few scans as their schemas allow. */
export function partsOf<F extends ScanFile>(
  files: readonly F[],
  fields: readonly Field[],
  layout: Layout<F>,
): readonly ScanPart<F>[] {
  const { footers, localOf, mapping, apart = () => '' } = layout
  const groups = new Map<string, { readonly resolved: Resolved; readonly files: F[] }>()
  const memo = new Map<FooterSchema, Resolved>()
  for (const file of files) {
    const footer = footers.get(localOf(file))
    if (!footer) throw new RangeError(`the footer of ${file.local} was not read`)
    let resolved = memo.get(footer)
    if (!resolved) {
      resolved = inFile(file, () => resolve(footer, fields, mapping))
      memo.set(footer, resolved)
    }
    if (resolved.lacks.some((id) => file.constants?.has(id))) resolved = withConstants(footer, fields, mapping, file)
    const key = `${apart(file)}\n${resolved.key}`
    const group = groups.get(key)
    if (group) group.files.push(file)
    else groups.set(key, { resolved, files: [file] })
  }
  return [...groups.values()].map((group) => partOf(group.resolved, group.files, fields, layout))
}

/** An error about "a data file" says which. */
function inFile<T>(file: ScanFile, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof LimnError)) throw error
    const { kind, notDone, remedy } = error
    throw new LimnError(kind, {
      message: error.message.replace('a data file', `the data file ${file.local}`),
      ...(notDone === undefined ? {} : { notDone }),
      ...(remedy === undefined ? {} : { remedy }),
      cause: error,
    })
  }
}

interface Resolved {
  readonly key: string
  readonly byId: boolean
  readonly projections: readonly Projection[]
  readonly columns: readonly (PhysicalColumn | undefined)[]
  /** Ids of wanted fields that the file has no column for. */
  readonly lacks: readonly number[]
  /** Names as DuckDB has them when it reads the file by name. */
  readonly names: ReadonlyMap<PhysicalColumn, string>
}

function resolve(
  footer: FooterSchema,
  fields: readonly Field[],
  mapping: NameMapping | null,
  constants?: ReadonlyMap<number, Value | null>,
): Resolved {
  const byId = footer.hasIds
  const own = byId
    ? footer.columns
    : mapping
      ? mapNames(footer.columns, mapping)
      : numberByPosition(footer.columns, fields)
  const columns = fields.map((field) => own.find((column) => column.id === field.id))
  const projections = fields.map((field, i) => projectionOf(field, columns[i], constants?.get(field.id)))
  const shapes = projections.map(shapeOf)
  return {
    key: byId ? JSON.stringify(shapes) : `${footer.key}${JSON.stringify(shapes)}`,
    byId,
    projections,
    columns,
    lacks: fields.flatMap((field, i) => (columns[i] ? [] : [field.id])),
    names: new Map(zip(own, namesApart(own.map((column) => column.name)))),
  }
}

function zip<A, B>(a: readonly A[], b: readonly B[]): [A, B][] {
  return a.flatMap((one, i): [A, B][] => (b[i] === undefined ? [] : [[one, b[i] as B]]))
}

/** What tells two projections of one field apart. */
function shapeOf(one: Projection): string {
  switch (one.kind) {
    case 'plain':
      return ''
    case 'constant':
      return `=${one.sql}`
    case 'computed':
      return `${one.type} ${one.of('x')}`
  }
}

function withConstants(
  footer: FooterSchema,
  fields: readonly Field[],
  mapping: NameMapping | null,
  file: ScanFile,
): Resolved {
  return resolve(footer, fields, mapping, file.constants)
}

/** DuckDB tells names that differ in case alone apart by a suffix. */
export function namesApart(names: readonly string[]): readonly string[] {
  const taken = new Set<string>()
  return names.map((own) => {
    let name = own
    for (let i = 1; taken.has(name.toLowerCase()); i++) name = `${own}_${i}`
    taken.add(name.toLowerCase())
    return name
  })
}

function partOf<F extends ScanFile>(
  resolved: Resolved,
  files: readonly F[],
  fields: readonly Field[],
  { listOf, localOf }: Layout<F>,
): ScanPart<F> {
  const list = `${listOf(files.map(localOf))}${cardinality(files)}`
  return resolved.byId ? partById(resolved, files, fields, list) : partByName(resolved, files, fields, list)
}

/**
 * How many rows there are, for the planner: it does not open files that it reads by a schema, takes each for a thousand
 * rows, and then builds the hash table of a join on the larger side.
 */
function cardinality(files: readonly ScanFile[]): string {
  let rows = 0n
  for (const { recordCount } of files) {
    if (recordCount === undefined) return ''
    rows += recordCount
  }
  return rows > 0n ? `, explicit_cardinality = ${rows}` : ''
}

function partById<F extends ScanFile>(
  { projections }: Resolved,
  files: readonly F[],
  fields: readonly Field[],
  list: string,
): ScanPart<F> {
  const wanted = fields.flatMap((field, i) => {
    const projection = projections[i] ?? plain
    if (projection.kind === 'constant') return []
    const type = projection.kind === 'plain' ? duckTypeOf(field.type) : projection.type
    return [{ id: field.id, name: inner(field.id), type }]
  })
  const columns = fields.map((field, i) => ({ field, sql: columnSql(projections[i] ?? plain, inner(field.id)) }))
  const isDirect =
    fields.length > 0 &&
    projections.every((one) => one.kind === 'plain') &&
    new Set(fields.map((field) => field.name.toLowerCase())).size === fields.length
  const named = fields.map((field) => ({ id: field.id, name: field.name, type: duckTypeOf(field.type) }))
  return {
    files,
    columns,
    source: readById(list, wanted.length > 0 ? wanted : [{ id: -1, name: inner(-1), type: 'INTEGER' }]),
    direct: isDirect ? readById(list, named) : null,
  }
}

const plain: Projection = { kind: 'plain' }

function columnSql(projection: Projection, column: string): string {
  switch (projection.kind) {
    case 'plain':
      return column
    case 'constant':
      return projection.sql
    case 'computed':
      return projection.of(column)
  }
}

function readById(
  list: string,
  columns: readonly { readonly id: number; readonly name: string; readonly type: string }[],
): string {
  const map = columns.map(
    ({ id, name, type }) => `${id}: {name: ${quoteText(name)}, type: ${quoteText(type)}, default_value: NULL}`,
  )
  return `read_parquet(${list}, hive_partitioning = false, schema = MAP {${map.join(', ')}})`
}

function partByName<F extends ScanFile>(
  { projections, columns: stored, names }: Resolved,
  files: readonly F[],
  fields: readonly Field[],
  list: string,
): ScanPart<F> {
  const columns = fields.map((field, i) => {
    const projection = projections[i] ?? plain
    const column = stored[i]
    const name = column ? quoteIdentifier(names.get(column) ?? column.name) : 'NULL'
    const sql = columnSql(projection, name)
    return { field, sql: projection.kind === 'plain' ? `${sql}::${duckTypeOf(field.type)}` : sql }
  })
  return { files, columns, source: `read_parquet(${list}, hive_partitioning = false)`, direct: null }
}
