import { fileURLToPath } from 'node:url'
import { LimnError, type TableId } from '../base/index.ts'

/** What a build's SQL may name besides datasets: the ends of the interval being built, as parameters. */
export interface IntervalParameters {
  readonly start: SqlParameter
  readonly end: SqlParameter
}

export interface SqlParameter {
  readonly kind: 'parameter'
  readonly name: 'interval_start' | 'interval_end'
}

export const intervalParameters: IntervalParameters = {
  start: { kind: 'parameter', name: 'interval_start' },
  end: { kind: 'parameter', name: 'interval_end' },
}

/** SQL text with datasets by name and parameters as `$interval_start`, `$interval_end`. Made by `sql` or read from a file. */
export interface SqlText {
  readonly kind: 'sql'
  readonly text: string
  /** Where the template's text begins, when it could be found: absolute path, line and column from 1. */
  readonly at?: { readonly file: string; readonly line: number; readonly column: number }
}

/** A sibling `.sql` file, relative to the dataset file that names it. Read when the project is loaded. */
export interface SqlFile {
  readonly kind: 'sql-file'
  readonly path: string
}

export type SqlQuery = SqlText | SqlFile

/** A dataset as others name it: a definition, or `ref('silver.flight')`. */
export interface DatasetReference {
  readonly id: TableId
}

export type SqlPart =
  | DatasetReference
  | SqlParameter
  | SqlText
  | SqlIdentifier
  | string
  | number
  | bigint
  | boolean
  | null

export interface SqlIdentifier {
  readonly kind: 'identifier'
  readonly name: string
}

/**
 * SQL with safe interpolation: a dataset becomes its name, an interval end its parameter, another `sql` its text,
 * a string a quoted literal, numbers and booleans literals.
 */
export function sql(strings: TemplateStringsArray, ...parts: readonly SqlPart[]): SqlText {
  const text = strings.map((chunk, i) => chunk + (i < parts.length ? printPart(parts[i] as SqlPart) : '')).join('')
  const at = callSite()
  return at ? { kind: 'sql', text, at } : { kind: 'sql', text }
}

/** Where `sql` was called: the text begins behind the tag and its backtick. */
function callSite(): SqlText['at'] | undefined {
  const stack = new Error().stack?.split('\n') ?? []
  const frame = /\(?(file:\/\/[^\s()]+|\/[^\s()]+):(\d+):(\d+)\)?$/.exec(stack[3]?.trim() ?? '')
  if (!frame?.[1]) return undefined
  const file = frame[1].startsWith('file:') ? fileURLToPath(frame[1]) : frame[1]
  return { file, line: Number(frame[2]), column: Number(frame[3]) + 'sql`'.length }
}

/** A model's SQL in its own file, by a path relative to the dataset file. */
export function sqlFile(path: string): SqlFile {
  return { kind: 'sql-file', path }
}

function printPart(part: SqlPart): string {
  if (part === null) return 'NULL'
  switch (typeof part) {
    case 'string':
      return `'${part.replaceAll("'", "''")}'`
    case 'number':
      if (!Number.isFinite(part)) throw new LimnError('sql/invalid', { message: `${part} cannot stand in SQL.` })
      return String(part)
    case 'bigint':
    case 'boolean':
      return String(part)
    case 'object':
      if ('id' in part) return part.id
      if (part.kind === 'parameter') return `$${part.name}`
      if (part.kind === 'identifier') return `"${part.name.replaceAll('"', '""')}"`
      return part.text
    default:
      throw new LimnError('dataset/invalid', {
        message: `A value of type ${typeof part} stands in an sql template.`,
        remedy:
          'Interpolate datasets, interval.start, interval.end, other sql templates, or plain values. If it is undefined, the imports form a cycle.',
      })
  }
}
