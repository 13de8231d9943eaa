import { LimnError } from '../../../base/index.ts'
import { type Field, isPrimitive, type Schema, type Type } from '../../../schema/index.ts'
import { quoteFile, quoteIdentifier, quoteText } from '../../../sql/index.ts'
import type { RunSql } from './write-metrics.ts'

/**
 * Throws `source/schema` when a row of a written file is null where the schema requires a value, at any depth: a field of
 * a struct that is there, an element, a map's value.
 */
export async function checkRequired(run: RunSql, local: string, schema: Schema): Promise<void> {
  const checks = schema.fields.flatMap((field) => missing(field, quoteIdentifier(field.name), field.name, 0))
  if (checks.length === 0) return
  const counts = checks.map((check) => `count_if(${check.sql})`).join(', ')
  const [row = []] = await run(`SELECT ${counts} FROM read_parquet(${quoteFile(local)}, hive_partitioning = false)`)
  const wrong = checks.findIndex((_check, i) => Number(row[i]) > 0)
  const check = checks[wrong]
  if (!check) return
  throw new LimnError('source/schema', {
    message: `${String(row[wrong])} rows have no value in ${check.path}, which the table requires.`,
    notDone: 'Nothing was written.',
    remedy: 'Give every row a value, or make the column optional.',
  })
}

interface Check {
  /** The column, dotted. */
  readonly path: string
  /** True of a row at fault. */
  readonly sql: string
}

function missing(field: Field, value: string, path: string, depth: number): readonly Check[] {
  if (field.type === 'unknown') return []
  const own = field.required ? [{ path, sql: `${value} IS NULL` }] : []
  return [...own, ...inside(field.type, value, path, depth)]
}

/** Checks on what a value holds; none is true of a null. */
function inside(type: Type, value: string, path: string, depth: number): readonly Check[] {
  if (isPrimitive(type)) return []
  const item = `item${depth}`
  const within = (items: string, checks: readonly Check[]): readonly Check[] =>
    checks.map((check) => ({
      path: check.path,
      sql: `coalesce(len(list_filter(${items}, lambda ${item}: ${check.sql})) > 0, false)`,
    }))
  switch (type.type) {
    case 'struct':
      return type.fields.flatMap((field) =>
        missing(field, `struct_extract(${value}, ${quoteText(field.name)})`, `${path}.${field.name}`, depth).map(
          (check) => ({ path: check.path, sql: `(${value} IS NOT NULL AND ${check.sql})` }),
        ),
      )
    case 'list': {
      const element = { id: 0, name: 'element', required: type.elementRequired, type: type.element }
      return within(value, missing(element, item, `${path}.element`, depth + 1))
    }
    case 'map': {
      const field = { id: 0, name: 'value', required: type.valueRequired, type: type.value }
      return within(`map_values(${value})`, missing(field, item, `${path}.value`, depth + 1))
    }
  }
}
