import type { TableId } from '../../packages/limn/src/base/index.ts'
import type { Predicate } from '../../packages/limn/src/expr/index.ts'
import { type LoadedTable, transformToText } from '../../packages/limn/src/iceberg/index.ts'
import type { DefaultValue, Field, Schema, Type } from '../../packages/limn/src/schema/index.ts'
import {
  lineageFields,
  type PinnedTable,
  pinRef,
  pinSnapshot,
  readPinned,
  schemaOfPin,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'

/** A field, nested ones too: id, full name, type, required, doc, initial default, write default. */
export type SeenColumn = readonly [
  number,
  string,
  string,
  boolean,
  string | null,
  (CanonicalValue | null)?,
  (CanonicalValue | null)?,
]

export type CanonicalValue =
  | boolean
  | string
  | null
  | readonly CanonicalValue[]
  | { readonly [kind: string]: CanonicalValue }

export interface SeenSnapshot {
  readonly id: string
  readonly parent: string | null
  readonly sequence: string
  readonly operation: string
  readonly schemaId: number | null
  readonly firstRowId: string | null
  readonly addedRows: string | null
  readonly timestampMs: string
  readonly summary: Readonly<Record<string, string>>
}

/** What an engine sees in a table at one snapshot; test/interop/java says how values are spelled. */
export interface Seen {
  readonly formatVersion: number
  readonly uuid: string
  readonly location: string
  readonly lastColumnId: number
  readonly lastSequenceNumber: string
  readonly nextRowId: string
  readonly schemaId: number
  readonly schemas: Readonly<Record<string, readonly SeenColumn[]>>
  readonly columns: readonly SeenColumn[]
  /** The columns' names in the order of the schema. */
  readonly order: readonly string[]
  readonly identifierFieldIds: readonly number[]
  readonly specId: number
  readonly specs: Readonly<Record<string, readonly (readonly [number, number, string, string])[]>>
  readonly sortOrderId: number
  readonly sortOrders: Readonly<Record<string, readonly (readonly [number, string, string, string])[]>>
  readonly current: string | null
  readonly snapshots: readonly SeenSnapshot[]
  readonly refs: Readonly<Record<string, readonly [string, string]>>
  readonly properties: Readonly<Record<string, string>>
  readonly statistics: number
  readonly rows: readonly string[]
}

export interface SeenAt {
  readonly snapshot?: string
  readonly ref?: string
  /** Each row also has its `_row_id` and `_last_updated_sequence_number`, behind its columns. */
  readonly lineage?: boolean
}

/** What limn sees in a table. */
export async function limnSees(context: TableContext, table: TableId, at: SeenAt = {}): Promise<Seen> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  if (!loaded) throw new Error(`${table} is not in the catalog`)
  const pin = at.snapshot === undefined ? pinRef(loaded, at.ref) : pinSnapshot(loaded, BigInt(at.snapshot))
  if (!pin) throw new Error(`${table} has no ref ${at.ref}`)
  const schema = schemaOfPin(pin)
  const order = schema.fields.map((field) => field.name)
  return {
    ...describeMetadata(loaded),
    columns: columnsOf(schema),
    order,
    rows: await rowsOf(context, pin, { lineage: at.lineage ?? false }),
  }
}

/** The rows under a condition, read with what pruning leaves and read whole. */
export async function answersWithAndWithoutPruning(
  context: TableContext,
  table: TableId,
  filter: string,
): Promise<{ readonly pruned: readonly string[]; readonly whole: readonly string[]; readonly prunedFiles: number }> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const pin = loaded && pinRef(loaded)
  if (!pin) throw new Error(`${table} is not in the catalog`)
  const query = `SELECT * FROM ${table} WHERE ${filter}`
  const columns = schemaOfPin(pin).fields
  const predicate = (await context.engine.filters(query, new Map([[table, { columns }]]))).get(table)
  await using reading = await readPinned(context, pin, predicate ? { predicate } : {})
  return {
    pruned: await rowsOf(context, pin, { filter, ...(predicate ? { predicate } : {}) }),
    whole: await rowsOf(context, pin, { filter }),
    prunedFiles: reading.scan.pruned.files,
  }
}

async function rowsOf(
  context: TableContext,
  pin: PinnedTable,
  options: { readonly filter?: string; readonly predicate?: Predicate; readonly lineage?: boolean } = {},
): Promise<readonly string[]> {
  const { lineage = false, predicate } = options
  const fields = [...schemaOfPin(pin).fields, ...(lineage ? lineageFields : [])]
  await using reading = await readPinned(context, pin, {
    metadataColumns: lineage,
    ...(predicate ? { predicate } : {}),
  })
  await using session = await context.engine.session([reading.bound])
  const { rows } = await session.rows(
    `SELECT ${structText(fields, quoted)} FROM ${pin.id} WHERE ${options.filter ?? 'TRUE'}`,
  )
  return sortedTexts(rows.map((row) => exactStruct(fields, JSON.parse(String(row[0])))))
}

/** Rows as text, in the order of their bytes. */
export function sortedTexts(rows: readonly CanonicalValue[]): readonly string[] {
  return rows.map((row) => JSON.stringify(row)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

/** The rows of `lineage: true` without it. */
export function withoutLineage(rows: readonly string[]): readonly string[] {
  return sortedTexts(rows.map((row) => (JSON.parse(row) as readonly CanonicalValue[]).slice(0, -2)))
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

function structText(fields: readonly Field[], access: (name: string) => string): string {
  return `json_array(${fields.map((field) => jsonText(field.type, access(field.name))).join(', ')})`
}

/** An SQL expression that gives a value as JSON in which every leaf but a boolean is DuckDB's text of it. */
function jsonText(type: Type, value: string, depth = 0): string {
  if (typeof type === 'string') {
    if (type === 'boolean') return `to_json(${value})`
    if (type === 'date') return `to_json(date_diff('day', DATE '1970-01-01', ${value})::VARCHAR)`
    if (type === 'time' || type === 'timestamp' || type === 'timestamptz') return `to_json(epoch_us(${value})::VARCHAR)`
    if (type === 'timestamp_ns' || type === 'timestamptz_ns') return `to_json(epoch_ns(${value})::VARCHAR)`
    if (type === 'binary' || type.startsWith('fixed')) return `to_json(lower(hex(${value})))`
    if (type === 'variant') return `${value}::JSON`
    return `to_json(${value}::VARCHAR)`
  }
  const item = `x${depth}`
  switch (type.type) {
    case 'struct':
      return `CASE WHEN ${value} IS NOT NULL THEN ${structText(type.fields, (name) => `${value}.${quoted(name)}`)} END`
    case 'list':
      return `to_json(list_transform(${value}, lambda ${item}: ${jsonText(type.element, item, depth + 1)}))`
    case 'map': {
      const key = jsonText(type.key, `${item}.key`, depth + 1)
      const inner = jsonText(type.value, `${item}.value`, depth + 1)
      return `to_json(list_transform(map_entries(${value}), lambda ${item}: json_array(${key}, ${inner})))`
    }
  }
}

function exactStruct(fields: readonly Field[], values: unknown): CanonicalValue {
  const list = values as readonly unknown[]
  return fields.map((field, i) => exact(field.type, list[i]))
}

/** DuckDB's text of a leaf in its canonical form. */
function exact(type: Type, value: unknown): CanonicalValue {
  if (value === null || value === undefined) return null
  if (typeof type === 'string') {
    if (type === 'float' || type === 'double') return floatBits(type, floatOf(String(value)))
    if (type === 'variant') return plain(value)
    return typeof value === 'boolean' ? value : String(value)
  }
  switch (type.type) {
    case 'struct':
      return exactStruct(type.fields, value)
    case 'list':
      return (value as readonly unknown[]).map((one) => exact(type.element, one))
    case 'map':
      return sortedPairs(
        (value as readonly (readonly [unknown, unknown])[]).map(([key, inner]) => [
          exact(type.key, key),
          exact(type.value, inner),
        ]),
      )
  }
}

/** A variant as JSON has it: numbers of every kind alike. */
function plain(value: unknown): CanonicalValue {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'number') return { number: String(value) }
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value)) return value.map(plain)
  return { object: Object.entries(value).map(([name, inner]) => [name, plain(inner)]) }
}

/** Another engine's rows with their variants made plain, so that they compare with limn's. */
export function withPlainVariants({ rows, columns }: Seen): readonly string[] {
  if (!columns.some(([, , type]) => type === 'variant')) return rows
  // Of what is spelled canonically, variants alone are objects.
  const plained = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plained)
    return value !== null && typeof value === 'object' ? plain(plainValue(value)) : value
  }
  return rows.map((row) => JSON.stringify(plained(JSON.parse(row))))
}

/** `{kind: value}` without its kind. */
function plainValue(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return null
  const [kind, inner] = Object.entries(value)[0] ?? ['null', null]
  switch (kind) {
    case 'object':
      return Object.fromEntries(Object.entries(inner as object).map(([name, one]) => [name, plainValue(one)]))
    case 'array':
      return (inner as readonly unknown[]).map(plainValue)
    case 'int':
    case 'decimal':
      return Number(inner)
    case 'json':
      return JSON.parse(String(inner))
    case 'double':
      return Buffer.from(String(inner), 'hex').readDoubleBE()
    case 'float':
      return Buffer.from(String(inner), 'hex').readFloatBE()
    default:
      return inner
  }
}

function sortedPairs(pairs: readonly (readonly [CanonicalValue, CanonicalValue])[]): CanonicalValue {
  const text = (value: CanonicalValue) => Buffer.from(JSON.stringify(value))
  return [...pairs].sort(([a], [b]) => Buffer.compare(text(a), text(b)))
}

function floatOf(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY
  if (text === '-inf') return Number.NEGATIVE_INFINITY
  return Number(text)
}

export function floatBits(type: 'float' | 'double', value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  const view = new DataView(new ArrayBuffer(8))
  if (type === 'float') {
    view.setFloat32(0, value)
    return view.getUint32(0).toString(16).padStart(8, '0')
  }
  view.setFloat64(0, value)
  return view.getBigUint64(0).toString(16).padStart(16, '0')
}

function describeMetadata({ metadata }: LoadedTable): Omit<Seen, 'rows' | 'columns' | 'order'> {
  const byId = <T, U>(list: readonly T[], id: (one: T) => number, what: (one: T) => U): Readonly<Record<string, U>> =>
    Object.fromEntries(list.map((one) => [String(id(one)), what(one)]))
  return {
    formatVersion: metadata.formatVersion,
    uuid: metadata.tableUuid,
    location: metadata.location,
    lastColumnId: metadata.lastColumnId,
    lastSequenceNumber: String(metadata.lastSequenceNumber),
    nextRowId: String(metadata.nextRowId),
    schemaId: metadata.currentSchemaId,
    schemas: byId(metadata.schemas, (one) => one.schemaId, columnsOf),
    identifierFieldIds: [
      ...(metadata.schemas.find((one) => one.schemaId === metadata.currentSchemaId)?.identifierFieldIds ?? []),
    ].sort((a, b) => a - b),
    specId: metadata.defaultSpecId,
    specs: byId(
      metadata.partitionSpecs,
      (one) => one.specId,
      (one) =>
        one.fields.map(
          (field) => [field.sourceId, field.fieldId, field.name, transformToText(field.transform)] as const,
        ),
    ),
    sortOrderId: metadata.defaultSortOrderId,
    sortOrders: byId(
      metadata.sortOrders,
      (one) => one.orderId,
      (one) =>
        one.fields.map(
          (field) => [field.sourceId, transformToText(field.transform), field.direction, field.nullOrder] as const,
        ),
    ),
    current: metadata.currentSnapshotId === null ? null : String(metadata.currentSnapshotId),
    snapshots: metadata.snapshots.map((one) => ({
      id: String(one.snapshotId),
      parent: one.parentSnapshotId === null ? null : String(one.parentSnapshotId),
      sequence: String(one.sequenceNumber),
      timestampMs: String(one.timestampMs),
      operation: one.operation,
      schemaId: one.schemaId,
      firstRowId: one.firstRowId === undefined ? null : String(one.firstRowId),
      addedRows: one.addedRows === undefined ? null : String(one.addedRows),
      summary: one.summary,
    })),
    refs: Object.fromEntries(
      Object.entries(metadata.refs).map(([name, ref]) => [name, [ref.type, String(ref.snapshotId)] as const]),
    ),
    properties: metadata.properties,
    statistics: metadata.statistics.length,
  }
}

export function columnsOf(schema: Schema): readonly SeenColumn[] {
  const out: SeenColumn[] = []
  const nested = (id: number, name: string, required: boolean, type: Type) => {
    out.push([id, name, nameOfType(type), required, null, null, null])
    inside(type, `${name}.`)
  }
  const field = (one: Field, prefix: string) => {
    const { id, type, required } = one
    const name = `${prefix}${one.name}`
    const initial = defaultOf(type, one.initialDefault)
    out.push([id, name, nameOfType(type), required, one.doc ?? null, initial, defaultOf(type, one.writeDefault)])
    inside(type, `${name}.`)
  }
  const inside = (type: Type, prefix: string): void => {
    if (typeof type === 'string') return
    switch (type.type) {
      case 'struct':
        for (const one of type.fields) field(one, prefix)
        return
      case 'list':
        nested(type.elementId, `${prefix}element`, type.elementRequired, type.element)
        return
      case 'map':
        nested(type.keyId, `${prefix}key`, true, type.key)
        nested(type.valueId, `${prefix}value`, type.valueRequired, type.value)
    }
  }
  for (const one of schema.fields) field(one, '')
  return out.sort(([a], [b]) => a - b)
}

function nameOfType(type: Type): string {
  return typeof type === 'string' ? type : type.type
}

function defaultOf(type: Type, value: DefaultValue | undefined): CanonicalValue {
  if (value === undefined) return null
  if (typeof type !== 'string' || (typeof value === 'object' && 'kind' in value)) return 'nested'
  if (typeof value === 'boolean') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (type === 'float' || type === 'double') return floatBits(type, Number(value))
  const scale = /^decimal\(\d+,\s*(\d+)\)$/.exec(type)?.[1]
  return scale === undefined ? String(value) : decimalText(BigInt(String(value)), Number(scale))
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return unscaled < 0n ? `-${text}` : text
}
