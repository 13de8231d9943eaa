import type { Token } from '../lexer.ts'
import type { Travel, Version } from './tree.ts'
import { isReserved, stringValue, unquote } from './words.ts'

type Fail = (offset: number, message: string, remedy: string) => Error

/**
 * Finds the tables that a text of SQL reads at a version: `t [FOR] VERSION | SYSTEM_VERSION AS OF n | 'ref'`,
 * `t [FOR] TIMESTAMP | SYSTEM_TIME AS OF time`, and DuckDB's `t AT (VERSION | TIMESTAMP => …)`.
 */
export function travelsOf(text: string, tokens: readonly Token[], fail: Fail): readonly Travel[] {
  const found: Travel[] = []
  const base = tokens[0]?.start ?? 0
  const word = (at: number) => {
    const token = tokens[at]
    return token?.kind === 'word' || token?.kind === 'symbol' ? text.slice(token.start, token.end).toUpperCase() : ''
  }
  for (let at = 1; at < tokens.length; at++) {
    const clause = clauseAt(word, at)
    const name = clause ? nameBefore(text, tokens, at) : null
    if (!clause || !name) continue
    const value = clause.enclosed
      ? enclosedValue(tokens, word, clause.value)
      : clause.of === 'version'
        ? { from: clause.value, to: clause.value + 1, next: clause.value + 1 }
        : operandAt(tokens, word, clause.value)
    const first = value ? tokens[value.from] : undefined
    const last = value ? tokens[value.to - 1] : undefined
    const closing = value ? tokens[value.next - 1] : undefined
    if (!value || !first || !last || !closing || startsNothing(word(value.from))) {
      // `SELECT x version AS of FROM t` is no query, and `FOR VERSION AS OF` with nothing behind it is a mistake.
      const offset = tokens[clause.value]?.start ?? text.length
      throw fail(
        offset,
        `Expected ${clause.of === 'version' ? 'a snapshot id or a ref in quotes' : 'a time'} after AS OF.`,
        clause.of === 'version' ? "Write AS OF 123 or AS OF 'branch'." : "Write AS OF '2026-01-31T12:00:00'.",
      )
    }
    const raw = text.slice(first.start, last.end)
    found.push({
      table: name.parts,
      version: clause.of === 'version' ? versionOf(raw, first, fail) : { kind: 'time', expression: raw },
      start: name.start - base,
      nameEnd: name.end - base,
      end: closing.end - base,
    })
    at = value.next - 1
  }
  return found
}

type WordAt = (at: number) => string

interface Clause {
  readonly of: 'version' | 'time'
  readonly value: number
  readonly enclosed: boolean
}

function clauseAt(word: WordAt, at: number): Clause | null {
  if (word(at) === 'AT' && word(at + 1) === '(' && word(at + 3) === '=' && word(at + 4) === '>') {
    const of = kindOf(word(at + 2))
    return of ? { of, value: at + 5, enclosed: true } : null
  }
  const from = word(at) === 'FOR' ? at + 1 : at
  const of = kindOf(word(from))
  return of && word(from + 1) === 'AS' && word(from + 2) === 'OF' ? { of, value: from + 3, enclosed: false } : null
}

function kindOf(word: string): Clause['of'] | null {
  if (word === 'VERSION' || word === 'SYSTEM_VERSION') return 'version'
  return word === 'TIMESTAMP' || word === 'SYSTEM_TIME' ? 'time' : null
}

/** The dotted name that ends right before a token; null when none does. */
function nameBefore(text: string, tokens: readonly Token[], before: number) {
  const parts: string[] = []
  let at = before - 1
  for (;;) {
    const token = tokens[at]
    const raw = token ? text.slice(token.start, token.end) : ''
    if (token?.kind === 'quoted') parts.unshift(unquote(raw))
    else if (token?.kind === 'word' && !(parts.length === 0 && isReserved(raw))) parts.unshift(raw)
    else return null
    const dot = tokens[at - 1]
    if (!dot || text.slice(dot.start, dot.end) !== '.') break
    at -= 2
  }
  const first = tokens[at]
  const last = tokens[before - 1]
  return first && last ? { parts, start: first.start, end: last.end } : null
}

function startsNothing(word: string): boolean {
  return word === ',' || word === ')' || word === ';' || (isReserved(word) && word !== 'CAST' && word !== 'CASE')
}

function versionOf(raw: string, token: Token, fail: Fail): Version {
  const ref = token.kind === 'string' ? stringValue(raw) : null
  if (ref !== null) return { kind: 'ref', ref }
  if (token.kind === 'word' && [...raw].every((char) => char >= '0' && char <= '9'))
    return { kind: 'snapshot', snapshotId: BigInt(raw) }
  throw fail(token.start, `${raw} is neither a snapshot id nor a ref in quotes.`, "Write AS OF 123 or AS OF 'branch'.")
}

interface Extent {
  readonly from: number
  readonly to: number
  /** The token after everything. */
  readonly next: number
}

function enclosedValue(tokens: readonly Token[], word: WordAt, from: number): Extent | null {
  const close = closeOf(tokens, word, from - 1, 1)
  return close === null || close === from ? null : { from, to: close, next: close + 1 }
}

/** The token that closes brackets: `depth` of them are open before `at + 1`. */
function closeOf(tokens: readonly Token[], word: WordAt, at: number, depth: number): number | null {
  let open = depth
  for (let i = at + 1; i < tokens.length; i++) {
    if (word(i) === '(') open++
    else if (word(i) === ')' && --open === 0) return i
  }
  return null
}

/** A time: operands joined by `+ - * / ||`, each with casts: what an alias or a join may follow. */
function operandAt(tokens: readonly Token[], word: WordAt, from: number): Extent | null {
  let at = from
  for (;;) {
    if (word(at) === '-' || word(at) === '+') at++
    const end = primaryEnd(tokens, word, at)
    if (end === null) return null
    at = end
    while (word(at) === ':' && word(at + 1) === ':') {
      const type = typeEnd(tokens, word, at + 2)
      if (type === null) return null
      at = type
    }
    if (word(at) === '|' && word(at + 1) === '|') at += 2
    else if (['+', '-', '*', '/'].includes(word(at))) at++
    else return { from, to: at, next: at }
  }
}

function typeEnd(tokens: readonly Token[], word: WordAt, at: number): number | null {
  if (tokens[at]?.kind !== 'word') return null
  if (word(at + 1) === 'WITH' && word(at + 2) === 'TIME' && word(at + 3) === 'ZONE') return at + 4
  return at + 1
}

function primaryEnd(tokens: readonly Token[], word: WordAt, at: number): number | null {
  const token = tokens[at]
  if (!token) return null
  if (token.kind === 'string') return at + 1
  if (word(at) === '(') {
    const close = closeOf(tokens, word, at, 1)
    return close === null ? null : close + 1
  }
  if (token.kind !== 'word' || startsNothing(word(at))) return null
  if (word(at) === 'INTERVAL' && word(at + 1) !== 'INTERVAL') {
    const value = primaryEnd(tokens, word, at + 1)
    if (value === null) return null
    return tokens[at + 1]?.kind === 'word' || word(at + 1) === '(' || isUnit(word(value)) ? value + 1 : value
  }
  if (tokens[at + 1]?.kind === 'string' && ['TIMESTAMP', 'TIMESTAMPTZ', 'DATE'].includes(word(at))) return at + 2
  let end = at + 1
  while (word(end) === '.' && tokens[end + 1]?.kind === 'word') end += 2
  if (word(end) !== '(') return end
  const close = closeOf(tokens, word, end, 1)
  return close === null ? null : close + 1
}

function isUnit(word: string): boolean {
  const unit = word.endsWith('S') ? word.slice(0, -1) : word
  return ['SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR', 'MILLISECOND', 'MICROSECOND'].includes(unit)
}
