import { LimnError } from '../base/index.ts'
import type { PartitionSpec } from '../iceberg/index.ts'
import { type Field, fieldById, type Schema } from '../schema/index.ts'
import { type Insert, quoteIdentifier, quoteText, type SqlText } from '../sql/index.ts'
import { append, layoutOf, overwrite, overwritePartitions, type TableContext } from '../table/index.ts'
import { again } from './again.ts'
import { type OwnerOf, targetOf } from './guard.ts'
import { loadTarget, type Target } from './names.ts'
import { type Assigned, assignByName, assignByPosition, projectionSql, topColumn } from './project.ts'
import type { RowsChanged } from './result.ts'
import { duckText, followed } from './rewrite.ts'
import { type BoundSelect, bindSelect, describeSelect, readAtOf, type SelectOptions } from './select.ts'
import { changedOf, insertedOf } from './totals.ts'

/** Runs an INSERT: rows are appended, or replace partitions or what a condition matches, in one snapshot. */
export function runInsert(
  context: TableContext,
  statement: Insert,
  owner: OwnerOf,
  options: SelectOptions,
): Promise<RowsChanged> {
  const target = targetOf(statement.table, owner)
  return again(() => insertOnce(context, statement, target, options))
}

async function insertOnce(
  context: TableContext,
  statement: Insert,
  target: Target,
  options: SelectOptions,
): Promise<RowsChanged> {
  const { schema, spec } = layoutOf((await loadTarget(context, target)).metadata)
  const given = await staticValues(context, statement, schema, spec)
  await using select = await bindSelect(context, queryOf(statement), options)
  const sql = await rowsOf(context, statement, target.table, schema, given, select)
  const { mode } = statement
  const rows = { sql, tables: select.bound }
  const write = { branch: target.branch, onConflict: 'fail', ...readAtOf(select.heads, target) } as const
  switch (mode.kind) {
    case 'append':
      return insertedOf('insert', target, await append(context, target.table, rows, write))
    case 'replaceWhere': {
      const condition = duckText(mode.condition.text)
      const within = { ...rows, sql: withinSql(sql, target.table, condition) }
      return insertedOf('insert', target, await overwrite(context, target.table, condition, within, write))
    }
    case 'overwrite': {
      const dynamic = spec.fields.length > 0 && (given.size === 0 || mode.partition.some((one) => one.value === null))
      if (dynamic) {
        const change = await overwritePartitions(context, target.table, rows, write)
        return changedOf('insert', target, change, { inserted: change.written })
      }
      const filter = [...given].map(
        ([field, value]) => `${quoteIdentifier(field.name)} IS NOT DISTINCT FROM (${value})`,
      )
      const all = filter.join(' AND ') || 'TRUE'
      return insertedOf('insert', target, await overwrite(context, target.table, all, rows, write))
    }
  }
}

/** The query with the common table expressions that stand before INSERT. */
function queryOf(statement: Insert): SqlText {
  const ctes = statement.with
  if (ctes === null) return statement.query
  const gap = statement.query.at.offset - ctes.at.offset
  const head = `WITH ${ctes.text}`
  const shift = Math.max(gap + 'WITH '.length, head.length + 1)
  // The insert's own words between the two become blanks, so that both keep their places.
  const moved = (by: number) => (one: SqlText['travels'][number]) => ({
    ...one,
    start: one.start + by,
    nameEnd: one.nameEnd + by,
    end: one.end + by,
  })
  return followed(
    {
      at: ctes.at,
      text: `${head.padEnd(shift)}FROM (${statement.query.text}`,
      travels: [
        ...ctes.travels.map(moved('WITH '.length)),
        ...statement.query.travels.map(moved(shift + 'FROM ('.length)),
      ],
    },
    ')',
  )
}

/** Values that `PARTITION (p = v)` gives, as SQL. */
async function staticValues(
  context: TableContext,
  statement: Insert,
  schema: Schema,
  spec: PartitionSpec,
): Promise<ReadonlyMap<Field, string>> {
  const given = new Map<Field, string>()
  if (statement.mode.kind !== 'overwrite') return given
  for (const { column, value } of statement.mode.partition) {
    const field = topColumn(schema, column, statement.table.parts.join('.'))
    const partitioned = spec.fields.some(
      (one) => one.sourceId === field.id && (value === null || one.transform.kind === 'identity'),
    )
    if (!partitioned)
      throw new LimnError('sql/invalid', {
        message: `${field.name} is no partition of ${statement.table.parts.join('.')}.`,
        notDone: 'Nothing was run.',
        remedy: `It is partitioned by ${partitionText(schema, spec)}; other rows are replaced by INSERT INTO t REPLACE WHERE ….`,
      })
    if (value === null) continue
    await context.engine.describe(`SELECT ${duckText(value.text)}`, new Map())
    given.set(field, duckText(value.text))
  }
  return given
}

function partitionText(schema: Schema, spec: PartitionSpec): string {
  const names = spec.fields.map((field) => {
    const source = fieldById(schema, field.sourceId)?.name ?? String(field.sourceId)
    return field.transform.kind === 'identity' ? source : `${field.transform.kind}(${source})`
  })
  return names.join(', ') || 'nothing'
}

async function rowsOf(
  context: TableContext,
  statement: Insert,
  table: string,
  schema: Schema,
  given: ReadonlyMap<Field, string>,
  select: BoundSelect,
): Promise<string> {
  const output = await describeSelect(context, select)
  const open = schema.fields.filter((field) => !given.has(field))
  const listed = statement.columns?.map((path) => topColumn(schema, path, table))
  const twice = listed?.find((field, i) => listed.indexOf(field) !== i || given.has(field))
  if (twice)
    throw new LimnError('sql/invalid', {
      message: `${twice.name} is given twice.`,
      notDone: 'Nothing was run.',
      remedy: 'Keep one of them.',
    })
  const assigned: Assigned = statement.byName
    ? assignByName(open, output, table)
    : assignByPosition(listed ?? open, output, table)
  return projectionSql(select.sql, output, schema, assigned, given)
}

/** Rows that a REPLACE WHERE may write: one outside its condition would be a row that nobody asked to replace. */
function withinSql(sql: string, table: string, condition: string): string {
  const name = quoteIdentifier(table.slice(table.indexOf('.') + 1))
  const message = `a new row lies outside REPLACE WHERE ${condition}`
  return `SELECT * FROM (${sql}\n) AS ${name} WHERE CASE WHEN (${condition}\n) THEN TRUE ELSE error(${quoteText(message)}) END`
}
