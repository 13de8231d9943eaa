import { randomUuid, type TableId, tableId } from '../../../packages/limn/src/base/index.ts'
import {
  createTableUpdates,
  type PartitionSpec,
  type RefChange,
  type TableChange,
  transformFromText,
} from '../../../packages/limn/src/iceberg/index.ts'
import { schemaFromJson, type Type } from '../../../packages/limn/src/schema/index.ts'
import {
  alterRefs,
  alterTable,
  append,
  type ChangeOptions,
  cherryPickSnapshot,
  deleteRows,
  loadTable,
  type MergeClause,
  mergeRows,
  overwrite,
  overwritePartitions,
  type RowSource,
  type SetClause,
  type TableContext,
  transaction,
  truncateTable,
  updateRows,
  upsertRows,
} from '../../../packages/limn/src/table/index.ts'
import type { CanonicalValue } from '../../support/seen.ts'
import type { JsonSchema, Row } from './values.ts'

export interface CreateOptions {
  readonly version: 2 | 3
  /** `[source id, transform, name]` of each partition field. */
  readonly partition?: readonly (readonly [number, string, string])[]
  readonly properties?: Readonly<Record<string, string>>
}

/** One table, changed through limn's own operations with rows given canonically. */
export class LimnWriter {
  readonly context: TableContext
  readonly table: TableId
  /** Every table that this writer and those made from it write, for readers to go through. */
  readonly written: Set<TableId>
  /** The rows that main has to have in the end, where the cell says so. */
  expected: readonly Row[] | null = null

  constructor(context: TableContext, table: TableId, written = new Set<TableId>()) {
    this.context = context
    this.table = table
    this.written = written
    written.add(table)
  }

  /** Another table beside this one. */
  beside(suffix: string): LimnWriter {
    return new LimnWriter(this.context, tableId(`${this.table}_${suffix}`), this.written)
  }

  /** Changes of several tables, or several of one, in one commit. */
  async together(
    others: readonly LimnWriter[],
    body: (...writers: readonly [LimnWriter, ...LimnWriter[]]) => Promise<void>,
  ) {
    await transaction(this.context, async (context) => {
      const inside = (one: LimnWriter) => new LimnWriter(context, one.table, one.written)
      await body(inside(this), ...others.map(inside))
    })
  }

  /** States the rows that main has in the end, whatever order. */
  ends(rows: readonly Row[]): void {
    this.expected = rows
  }

  async create(schema: JsonSchema, options: CreateOptions): Promise<void> {
    const spec: PartitionSpec = {
      specId: 0,
      fields: (options.partition ?? []).map(([sourceId, transform, name], i) => ({
        sourceId,
        fieldId: 1000 + i,
        name,
        transform: transformFromText(transform),
      })),
    }
    const updates = createTableUpdates({
      tableUuid: randomUuid(this.context.randomness),
      location: `${this.context.store.root}/${this.table.replace('.', '/')}`,
      schema: schemaFromJson(schema),
      spec,
      properties: options.properties ?? {},
      formatVersion: options.version,
    })
    const outcome = await this.context.catalog.commit(
      [{ table: this.table, requirements: [{ type: 'assert-create' }], updates }],
      { timestampMs: this.context.clock.nowMs() },
    )
    if (outcome.kind !== 'committed') throw new Error(`${this.table} was not created: ${outcome.kind}`)
  }

  async append(rows: readonly Row[], options: ChangeOptions = {}): Promise<bigint> {
    return (await append(this.context, this.table, await this.source(rows), options)).snapshotId
  }

  async overwrite(filter: string, rows: readonly Row[], options: ChangeOptions = {}): Promise<bigint> {
    return (await overwrite(this.context, this.table, filter, await this.source(rows), options)).snapshotId
  }

  async overwritePartitions(rows: readonly Row[], options: ChangeOptions = {}): Promise<bigint> {
    return made((await overwritePartitions(this.context, this.table, await this.source(rows), options)).snapshotId)
  }

  /** A list of rows is deleted by a condition; the number of rows that went is checked. */
  async delete(filter: string, count: number, options: ChangeOptions = {}): Promise<bigint> {
    const done = await deleteRows(this.context, this.table, { filter, alias: 'target' }, options)
    return counted(done, done.deleted, count)
  }

  async update(filter: string, set: SetClause, count: number, options: ChangeOptions = {}): Promise<bigint> {
    const done = await updateRows(this.context, this.table, { filter, set, alias: 'target' }, options)
    return counted(done, done.updated, count)
  }

  /** `count`: rows inserted, updated and deleted together. */
  async merge(
    rows: readonly Row[],
    on: string,
    clauses: readonly MergeClause[],
    count: number,
    options: ChangeOptions = {},
  ): Promise<bigint> {
    const source = await this.source(rows)
    const done = await mergeRows(this.context, this.table, { source, on, clauses }, options)
    return counted(done, done.inserted + done.updated + done.deleted, count)
  }

  async upsert(
    rows: readonly Row[],
    keys: readonly string[],
    options: ChangeOptions & { readonly deleteWhen?: string; readonly orderBy?: string } = {},
  ): Promise<bigint> {
    const { deleteWhen, orderBy, ...rest } = options
    const source = await this.source(rows)
    const input = { source, keys, ...(deleteWhen ? { deleteWhen } : {}), ...(orderBy ? { orderBy } : {}) }
    return made((await upsertRows(this.context, this.table, input, rest)).snapshotId)
  }

  async truncate(): Promise<bigint> {
    return made((await truncateTable(this.context, this.table)).snapshotId)
  }

  async refs(...changes: readonly RefChange[]): Promise<void> {
    await alterRefs(this.context, this.table, changes)
  }

  async cherryPick(snapshot: bigint, branch = 'main'): Promise<bigint> {
    return (await cherryPickSnapshot(this.context, this.table, snapshot, { branch })).snapshotId
  }

  async alter(...changes: readonly TableChange[]): Promise<void> {
    await alterTable(this.context, this.table, changes)
  }

  /** A query that gives the rows, in the columns of the table's current schema. */
  async source(rows: readonly Row[]): Promise<RowSource> {
    const { metadata } = await loadTable(this.context, this.table)
    const schema = metadata.schemas.find((one) => one.schemaId === metadata.currentSchemaId)
    if (!schema) throw new Error(`${this.table} has no current schema`)
    const select = (row: Row | null) =>
      `SELECT ${schema.fields
        .map((field, i) => `${literal(field.type, row?.[i] ?? null)} AS "${field.name}"`)
        .join(', ')}`
    if (rows.length === 0) return { sql: `${select(null)} WHERE FALSE` }
    return { sql: rows.map((row) => select(row)).join(' UNION ALL ') }
  }
}

function made(snapshotId: bigint | null): bigint {
  if (snapshotId === null) throw new Error('nothing was committed')
  return snapshotId
}

function counted(done: { readonly snapshotId: bigint | null }, found: number, count: number): bigint {
  if (found !== count) throw new Error(`${found} rows changed instead of ${count}`)
  return made(done.snapshotId)
}

/** DuckDB's name of a type. */
export function engineType(type: Type): string {
  if (typeof type === 'string') {
    if (type.startsWith('decimal')) return type.toUpperCase()
    if (type.startsWith('fixed')) return 'BLOB'
    return plainNames[type] ?? type.toUpperCase()
  }
  switch (type.type) {
    case 'struct':
      return `STRUCT(${type.fields.map((field) => `"${field.name}" ${engineType(field.type)}`).join(', ')})`
    case 'list':
      return `${engineType(type.element)}[]`
    case 'map':
      return `MAP(${engineType(type.key)}, ${engineType(type.value)})`
  }
}

const plainNames: Readonly<Record<string, string>> = {
  int: 'INTEGER',
  long: 'BIGINT',
  string: 'VARCHAR',
  binary: 'BLOB',
  timestamptz: 'TIMESTAMPTZ',
  timestamp_ns: 'TIMESTAMP_NS',
  timestamptz_ns: 'TIMESTAMP_NS',
  unknown: 'INTEGER',
}

const text = (value: string) => `'${value.replaceAll("'", "''")}'`

/** A canonical value as DuckDB's literal. */
export function literal(type: Type, value: CanonicalValue): string {
  if (value === null) return `NULL::${engineType(type)}`
  if (typeof type === 'string') {
    const plain = String(value)
    switch (type) {
      case 'boolean':
        return plain.toUpperCase()
      case 'float':
      case 'double':
        return plain === 'NaN' ? `'NaN'::${engineType(type)}` : `${text(floatText(type, plain))}::${engineType(type)}`
      case 'date':
        return `(DATE '1970-01-01' + (${plain}))`
      case 'time':
        return `(TIME '00:00:00' + to_microseconds(${plain}))`
      case 'timestamp':
        return `make_timestamp(${plain})`
      case 'timestamptz':
        return `make_timestamptz(${plain})`
      case 'timestamp_ns':
      case 'timestamptz_ns':
        return `make_timestamp_ns(${plain})`
      case 'binary':
        return `unhex(${text(plain)})`
      case 'variant':
        return variantLiteral(value)
      default:
        return type.startsWith('fixed') ? `unhex(${text(plain)})` : `${text(plain)}::${engineType(type)}`
    }
  }
  const items = value as readonly CanonicalValue[]
  switch (type.type) {
    case 'struct':
      return `{${type.fields.map((field, i) => `"${field.name}": ${literal(field.type, items[i] ?? null)}`).join(', ')}}`
    case 'list':
      return `[${items.map((one) => literal(type.element, one)).join(', ')}]::${engineType(type)}`
    case 'map': {
      const pairs = items as readonly (readonly [CanonicalValue, CanonicalValue])[]
      const side = (of: Type, at: 0 | 1) =>
        `[${pairs.map((pair) => literal(of, pair[at])).join(', ')}]::${engineType(of)}[]`
      return `map(${side(type.key, 0)}, ${side(type.value, 1)})`
    }
  }
}

function floatText(type: 'float' | 'double', bits: string): string {
  const bytes = Buffer.from(bits, 'hex')
  const number = type === 'float' ? bytes.readFloatBE() : bytes.readDoubleBE()
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf'
  return Object.is(number, -0) ? '-0.0' : String(number)
}

function variantLiteral(value: CanonicalValue): string {
  const [kind, inner] = Object.entries(value as Readonly<Record<string, CanonicalValue>>)[0] ?? ['null', null]
  const of = (type: string, one: string) => `(${one}::${type})::VARIANT`
  switch (kind) {
    case 'object':
      return `{${Object.entries(inner as Readonly<Record<string, CanonicalValue>>)
        .map(([name, one]) => `${text(name)}: ${variantLiteral(one)}`)
        .join(', ')}}::VARIANT`
    case 'array':
      return `[${(inner as readonly CanonicalValue[]).map(variantLiteral).join(', ')}]::VARIANT`
    case 'int':
      return of('BIGINT', String(inner))
    case 'decimal':
      return of('DECIMAL(9, 2)', text(String(inner)))
    case 'double':
      return of('DOUBLE', text(floatText('double', String(inner))))
    case 'boolean':
      return of('BOOLEAN', String(inner))
    case 'null':
      return 'NULL::VARIANT'
    default:
      return of('VARCHAR', text(String(inner)))
  }
}
