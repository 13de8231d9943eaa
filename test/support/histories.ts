import type { TableId } from '../../packages/limn/src/base/index.ts'
import {
  type PartitionSpec,
  specById,
  type TableChange,
  type Transform,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Field, PrimitiveType } from '../../packages/limn/src/schema/index.ts'
import {
  alterTable,
  append,
  type ChangeOptions,
  deleteRows,
  expireSnapshots,
  mergeRows,
  overwrite,
  pinSnapshot,
  readPinned,
  rewriteDataFiles,
  rewriteManifests,
  type TableContext,
  updateRows,
  upsertRows,
} from '../../packages/limn/src/table/index.ts'
import type { draws } from './hostile.ts'
import {
  type Assigned,
  type Assignments,
  type Cell,
  type Clause,
  type Condition,
  type NaiveTable,
  type Row,
  type Scalar,
  sqlOf,
} from './naive-table.ts'

/** Random tables and random things done to them: drawn once, done to limn's table and to the naive one. */
export type Draw = ReturnType<typeof draws>

export type ColumnType = 'int' | 'long' | 'string' | 'boolean' | 'double' | 'date'

export interface Column {
  readonly name: string
  readonly type: ColumnType
}

export interface Shape {
  readonly columns: readonly Column[]
  readonly partition: readonly { readonly column: string; readonly transform: Transform }[]
  readonly formatVersion: 2 | 3
  readonly mode: 'copy-on-write' | 'merge-on-read'
}

export type Operation =
  | { readonly kind: 'append'; readonly rows: readonly Row[] }
  | { readonly kind: 'delete'; readonly where: Condition }
  | { readonly kind: 'update'; readonly where: Condition; readonly set: Assignments }
  | { readonly kind: 'overwrite'; readonly where: Condition; readonly rows: readonly Row[] }
  | { readonly kind: 'merge'; readonly source: readonly Row[]; readonly clauses: readonly Clause[] }
  | { readonly kind: 'upsert'; readonly rows: readonly Row[] }
  | { readonly kind: 'addColumn'; readonly column: Column; readonly initial: Scalar }
  | { readonly kind: 'dropColumn'; readonly name: string }
  | { readonly kind: 'renameColumn'; readonly from: string; readonly to: string }
  | { readonly kind: 'widenColumn'; readonly name: string }
  | { readonly kind: 'repartition'; readonly column: string | null }
  | { readonly kind: 'compact' }
  | { readonly kind: 'rewriteManifests' }
  | { readonly kind: 'expire' }

const keys = ['id']

export function drawShape(draw: Draw): Shape {
  const transforms: Shape['partition'][number][] = [
    { column: 'id', transform: { kind: 'bucket', count: 3 } },
    { column: 'n', transform: { kind: 'truncate', width: 4 } },
    { column: 's', transform: { kind: 'identity' } },
    { column: 'on', transform: { kind: 'month' } },
    { column: 'b', transform: { kind: 'identity' } },
  ]
  const partition =
    draw(3) === 0
      ? []
      : [transforms[draw(transforms.length)] ?? { column: 'b', transform: { kind: 'identity' } as const }]
  return {
    columns: [
      { name: 'id', type: 'long' },
      { name: 'n', type: 'int' },
      { name: 's', type: 'string' },
      { name: 'b', type: 'boolean' },
      { name: 'd', type: 'double' },
      { name: 'on', type: 'date' },
    ],
    partition,
    formatVersion: draw(2) === 0 ? 2 : 3,
    mode: draw(2) === 0 ? 'copy-on-write' : 'merge-on-read',
  }
}

/** A history in progress: what the table's columns are now. */
export class History {
  columns: readonly Column[]
  private readonly draw: Draw
  private readonly shape: Shape
  private named = 0
  private repartitioned = false

  constructor(draw: Draw, shape: Shape) {
    this.draw = draw
    this.shape = shape
    this.columns = shape.columns
  }

  next(): Operation {
    const { draw } = this
    switch (draw(15)) {
      case 0:
      case 1:
      case 2:
        return { kind: 'append', rows: this.rows(1 + draw(8)) }
      case 3:
      case 4:
        return { kind: 'delete', where: this.condition(2) }
      case 5:
      case 6:
        return { kind: 'update', where: this.condition(2), set: this.assignments(false) }
      case 7:
        return { kind: 'overwrite', where: this.condition(1), rows: this.rows(draw(4)) }
      case 8:
      case 9:
        return { kind: 'merge', source: this.keyed(1 + draw(6)), clauses: this.clauses() }
      case 10:
        // Equality deletes reach one partition: its columns have to be among the keys.
        return this.shape.partition.every((one) => one.column === 'id') && !this.repartitioned
          ? { kind: 'upsert', rows: this.rows(1 + draw(4)) }
          : { kind: 'append', rows: this.rows(1) }
      case 11:
        return this.evolution()
      case 12:
        return { kind: 'compact' }
      case 13:
        if (draw(3) > 0) return { kind: 'rewriteManifests' }
        this.repartitioned = true
        return { kind: 'repartition', column: draw(2) === 0 ? null : 'n' }
      default:
        return draw(3) === 0 ? { kind: 'expire' } : { kind: 'append', rows: this.rows(1 + draw(3)) }
    }
  }

  private evolution(): Operation {
    const { draw } = this
    const free = this.columns.filter((one) => one.name.startsWith('x'))
    const some = free[draw(Math.max(1, free.length))]
    const kind = draw(4)
    if (!some || kind === 0) {
      const type = (['int', 'string', 'double'] as const)[draw(3)] ?? 'int'
      const column: Column = { name: `x${this.named++}`, type }
      const initial = this.shape.formatVersion === 3 && draw(2) === 0 ? this.value(type) : null
      this.columns = [...this.columns, column]
      return { kind: 'addColumn', column, initial }
    }
    if (kind === 1) {
      this.columns = this.columns.filter((one) => one !== some)
      return { kind: 'dropColumn', name: some.name }
    }
    if (kind === 2 && some.type === 'int') {
      this.columns = this.columns.map((one) => (one === some ? { ...one, type: 'long' } : one))
      return { kind: 'widenColumn', name: some.name }
    }
    const to = `x${this.named++}`
    this.columns = this.columns.map((one) => (one === some ? { ...one, name: to } : one))
    return { kind: 'renameColumn', from: some.name, to }
  }

  rows(count: number): readonly Row[] {
    return Array.from({ length: count }, () =>
      Object.fromEntries(
        this.columns.map((column): [string, Cell] => [
          column.name,
          this.draw(6) === 0 && column.name !== 'id' ? null : this.value(column.type),
        ]),
      ),
    )
  }

  /** Rows with keys of their own: no two match the same row. */
  private keyed(count: number): readonly Row[] {
    const rows = new Map(this.rows(count).map((row) => [String(row.id), row]))
    return [...rows.values()]
  }

  private value(type: ColumnType): Scalar {
    const { draw } = this
    switch (type) {
      case 'int':
        return draw(20) - 8
      case 'long':
        return BigInt(draw(30))
      case 'string':
        return ['', 'a', 'ab', 'żółw', '𝕏', "o'k"][draw(6)] ?? ''
      case 'boolean':
        return draw(2) === 0
      case 'double':
        return draw(16) / 4 - 2
      case 'date':
        return `2024-0${1 + draw(3)}-1${draw(10)}`
    }
  }

  private condition(depth: number): Condition {
    const { draw } = this
    const kind = draw(depth > 0 ? 6 : 3)
    if (kind === 3) return { is: 'not', of: this.condition(depth - 1) }
    if (kind > 3) return { is: kind === 4 ? 'and' : 'or', of: [this.condition(depth - 1), this.condition(depth - 1)] }
    const column = this.columns[draw(this.columns.length)] ?? { name: 'id', type: 'long' }
    if (kind === 2) return { is: 'null', column: column.name }
    const operator = (['=', '<>', '<', '<=', '>', '>='] as const)[draw(6)] ?? '='
    return { is: 'compare', column: column.name, operator, value: this.value(column.type) }
  }

  private assignments(merging: boolean): Assignments {
    const { draw } = this
    const out: Record<string, Assigned> = {}
    for (let i = 0; i <= draw(2); i++) {
      const column = this.columns[1 + draw(this.columns.length - 1)]
      if (!column) continue
      if (merging && draw(2) === 0) out[column.name] = { to: 'source', column: column.name }
      else if (column.type === 'int' && draw(2) === 0) out[column.name] = { to: 'plus', column: column.name, by: 1 }
      else out[column.name] = { to: 'value', value: draw(5) === 0 ? null : this.value(column.type) }
    }
    return out
  }

  private clauses(): readonly Clause[] {
    const { draw } = this
    const and = () => (draw(2) === 0 ? { and: this.condition(1) } : {})
    const clauses: Clause[] = []
    if (draw(4) > 0) clauses.push({ when: 'matched', ...and(), act: 'update', set: this.assignments(true) })
    if (draw(3) === 0) clauses.push({ when: 'matched', ...and(), act: 'delete' })
    if (draw(4) > 0) clauses.push({ when: 'notMatched', ...and(), act: 'insert' })
    if (draw(4) === 0) clauses.push({ when: 'notMatchedBySource', ...and(), act: 'delete' })
    if (draw(6) === 0)
      clauses.push({ when: 'notMatchedBySource', ...and(), act: 'update', set: this.assignments(false) })
    return clauses.length > 0 ? clauses : [{ when: 'notMatched', act: 'insert' }]
  }
}

/** Does it to the naive table. */
export function applyNaively(table: NaiveTable, operation: Operation): void {
  switch (operation.kind) {
    case 'append':
      table.append(operation.rows)
      return
    case 'delete':
      table.remove(operation.where)
      return
    case 'update':
      table.update(operation.where, operation.set)
      return
    case 'overwrite':
      table.replace(operation.where, operation.rows)
      return
    case 'merge':
      table.merge(operation.source, keys, operation.clauses)
      return
    case 'upsert':
      table.upsert(keys, operation.rows)
      return
    case 'addColumn':
      table.addColumn(operation.column.name, operation.initial)
      return
    case 'dropColumn':
      table.dropColumn(operation.name)
      return
    case 'renameColumn':
      table.renameColumn(operation.from, operation.to)
      return
    case 'widenColumn':
      table.widenColumn(operation.name)
      return
    default:
      return
  }
}

export function literal(type: ColumnType, value: Scalar): string {
  const sqlType = {
    int: 'INTEGER',
    long: 'BIGINT',
    string: 'VARCHAR',
    boolean: 'BOOLEAN',
    double: 'DOUBLE',
    date: 'DATE',
  }
  if (value === null) return `NULL::${sqlType[type]}`
  return `'${String(value).replaceAll("'", "''")}'::${sqlType[type]}`
}

/** A query that gives rows of these columns. */
export function rowsSql(columns: readonly Column[], rows: readonly Row[]): string {
  const names = columns.map((one) => `"${one.name}"`).join(', ')
  const tuples = rows.map(
    (row) => `(${columns.map((one) => literal(one.type, (row[one.name] ?? null) as Scalar)).join(', ')})`,
  )
  if (tuples.length === 0)
    return `SELECT ${columns.map((one) => `${literal(one.type, null)} AS "${one.name}"`).join(', ')} WHERE FALSE`
  return `SELECT * FROM (VALUES ${tuples.join(', ')}) AS given(${names})`
}

/** Does it to limn's table. `columns` are the table's at the time of the operation. */
export async function applyToTable(
  context: TableContext,
  table: TableId,
  columns: readonly Column[],
  operation: Operation,
  options: ChangeOptions = {},
): Promise<void> {
  const typeOf = (name: string) => columns.find((one) => one.name === name)?.type ?? 'string'
  const conditionSql = (condition: Condition, prefix = '') =>
    sqlOf(condition, (column, value) => literal(typeOf(column), value), prefix)
  const assignedSql = (column: string, how: Assigned): string => {
    switch (how.to) {
      case 'value':
        return literal(typeOf(column), how.value)
      case 'column':
        return `target."${how.column}"`
      case 'source':
        return `source."${how.column}"`
      case 'plus':
        return `target."${how.column}" + ${how.by}`
    }
  }
  const setOf = (set: Assignments, prefix: string) =>
    Object.fromEntries(
      Object.entries(set).map(([column, how]) => [column, assignedSql(column, how).replaceAll('target.', prefix)]),
    )
  switch (operation.kind) {
    case 'append':
      await append(context, table, { sql: rowsSql(columns, operation.rows) }, options)
      return
    case 'delete':
      await deleteRows(context, table, { filter: conditionSql(operation.where) }, options)
      return
    case 'update':
      await updateRows(
        context,
        table,
        { filter: conditionSql(operation.where), set: setOf(operation.set, '') },
        options,
      )
      return
    case 'overwrite':
      await overwrite(context, table, conditionSql(operation.where), { sql: rowsSql(columns, operation.rows) }, options)
      return
    case 'merge': {
      const clauses = operation.clauses.map((clause) => {
        const prefix = clause.when === 'notMatched' ? 'source.' : 'target.'
        const and = clause.and ? { and: conditionSql(clause.and, prefix) } : {}
        if (clause.act === 'update')
          return { when: clause.when, ...and, action: { kind: 'update' as const, set: setOf(clause.set, 'target.') } }
        if (clause.act === 'delete') return { when: clause.when, ...and, action: { kind: 'delete' as const } }
        return { when: clause.when, ...and, action: { kind: 'insertAll' as const } }
      })
      await mergeRows(
        context,
        table,
        { source: { sql: rowsSql(columns, operation.source) }, on: 'target.id = source.id', clauses },
        options,
      )
      return
    }
    case 'upsert':
      await upsertRows(context, table, { source: { sql: rowsSql(columns, uniqueById(operation.rows)) }, keys }, options)
      return
    case 'addColumn':
    case 'dropColumn':
    case 'renameColumn':
    case 'widenColumn':
    case 'repartition':
      await alterTable(context, table, changesOf(operation, await specNames(context, table)))
      return
    case 'compact':
      await rewriteDataFiles(context, table, { minInputFiles: 1 })
      return
    case 'rewriteManifests':
      await rewriteManifests(context, table, {})
      return
    case 'expire':
      await expireSnapshots(context, table, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 2 })
  }
}

function uniqueById(rows: readonly Row[]): readonly Row[] {
  return [...new Map(rows.map((row) => [String(row.id), row])).values()]
}

function changesOf(
  operation: Extract<
    Operation,
    { readonly kind: 'addColumn' | 'dropColumn' | 'renameColumn' | 'widenColumn' | 'repartition' }
  >,
  spec: readonly string[],
): readonly TableChange[] {
  switch (operation.kind) {
    case 'addColumn': {
      const { column, initial } = operation
      const value = initial === null ? {} : { default: initial }
      return [{ kind: 'add-column', name: column.name, type: column.type, ...value }]
    }
    case 'dropColumn':
      return [{ kind: 'drop-column', column: operation.name }]
    case 'renameColumn':
      return [{ kind: 'rename-column', column: operation.from, to: operation.to }]
    case 'widenColumn':
      return [{ kind: 'change-type', column: operation.name, type: 'long' }]
    case 'repartition': {
      const removed = spec.map((name) => ({ kind: 'remove-partition-field', field: { name } }) as const)
      const { column } = operation
      if (column === null) return removed
      return [...removed, { kind: 'add-partition-field', column, transform: { kind: 'truncate', width: 3 } }]
    }
  }
}

async function specNames(context: TableContext, table: TableId): Promise<readonly string[]> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  return loaded ? specById(loaded.metadata, loaded.metadata.defaultSpecId).fields.map((field) => field.name) : []
}

/** The rows of a snapshot as limn reads them. */
export async function rowsAt(
  context: TableContext,
  table: TableId,
  snapshotId: bigint,
  columns: readonly Column[],
): Promise<readonly Row[]> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  if (!loaded) throw new Error(`no table ${table}`)
  await using reading = await readPinned(context, pinSnapshot(loaded, snapshotId))
  await using session = await context.engine.session([reading.bound])
  const names = columns.map((one) => `"${one.name}"${one.type === 'date' ? '::VARCHAR' : ''}`).join(', ')
  const { rows } = await session.rows(`SELECT ${names} FROM ${table}`)
  return rows.map((row) => Object.fromEntries(columns.map((one, i) => [one.name, (row[i] ?? null) as Cell])))
}

export function fieldsOf(columns: readonly Column[]): readonly Field[] {
  return columns.map((one, i) => ({ id: i + 1, name: one.name, required: false, type: one.type as PrimitiveType }))
}

export function specOf(shape: Shape): PartitionSpec {
  return {
    specId: 0,
    fields: shape.partition.map((one, i) => ({
      sourceId: shape.columns.findIndex((column) => column.name === one.column) + 1,
      fieldId: 1000 + i,
      name: `${one.column}_part`,
      transform: one.transform,
    })),
  }
}
