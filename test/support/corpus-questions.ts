import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJson } from '../../packages/limn/src/encoding/index.ts'
import type { CaseFile } from './corpus.ts'

/** What a case says is true of its tables. */
export type Question =
  /** A query and its rows, as DuckDB's logic tests print them: cells between tabs. */
  | { readonly kind: 'duckdb'; readonly sql: string; readonly rows: readonly string[] }
  /** A query in Impala's dialect; cells between commas, text between quotes. */
  | {
      readonly kind: 'impala'
      readonly sql: string
      readonly rows: readonly string[]
      readonly types: readonly string[]
      /** The test file it stands in. */
      readonly source: string
    }
  /** Impala says that it cannot answer. */
  | { readonly kind: 'impala-error'; readonly sql: string; readonly error: string }
  | { readonly kind: 'count'; readonly metadataFile: string | null; readonly rows: number; readonly from: string }
  /** Not understood: it has to be reported. */
  | { readonly kind: 'unknown'; readonly what: string }

/** Files that describe where a case comes from, without an expectation. */
const notes = /^(HOW_MADE|README|PROVENANCE|LICENSE|NOTICE)/

/** Every expectation in the folder `expected` and in `case.json`. */
export function questionsOf(one: CaseFile): readonly Question[] {
  const questions: Question[] = []
  for (const name of listed(one)) {
    if (notes.test(name)) continue
    const text = readFileSync(join(one.folder, 'expected', name), 'utf8')
    if (!name.endsWith('.json')) {
      questions.push({ kind: 'unknown', what: `expected/${name}` })
      continue
    }
    const items = parseJson(text)
    if (!Array.isArray(items)) questions.push({ kind: 'unknown', what: `expected/${name} is no list` })
    else for (const [i, item] of items.entries()) questions.push(questionOf(item, `expected/${name}[${i}]`))
  }
  if (one.expected_row_count !== undefined)
    questions.push({ kind: 'count', metadataFile: null, rows: one.expected_row_count, from: 'expected_row_count' })
  return questions
}

function listed(one: CaseFile): readonly string[] {
  try {
    return readdirSync(join(one.folder, 'expected')).sort()
  } catch {
    // A case without the folder has its counts alone.
    return []
  }
}

function questionOf(item: unknown, at: string): Question {
  if (typeof item !== 'object' || item === null) return { kind: 'unknown', what: `${at} is no object` }
  const one = item as Readonly<Record<string, unknown>>
  const { sql, results } = one
  if (typeof sql === 'string' && one.kind === 'query' && isTexts(results)) return { kind: 'duckdb', sql, rows: results }
  if (typeof sql === 'string' && typeof one.error === 'string')
    return { kind: 'impala-error', sql: uncommented(sql), error: one.error }
  if (typeof sql === 'string' && one.mode === 'RESULTS' && isTexts(results) && typeof one.types === 'string') {
    const types = one.types.split(/,(?![^(]*\))/).map((type) => type.trim().toUpperCase())
    return { kind: 'impala', sql: uncommented(sql), rows: results, types, source: String(one.source ?? '') }
  }
  if (typeof one.metadata === 'string' && typeof one.rows === 'number')
    return { kind: 'count', metadataFile: one.metadata, rows: one.rows, from: `${at}.rows` }
  return { kind: 'unknown', what: `${at} with the keys ${Object.keys(one).join(', ')}` }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function uncommented(sql: string): string {
  return sql
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .trim()
}
