/** A token of SQL text. `word` covers keywords, identifiers and the digits of numbers; whitespace is skipped. */
export interface Token {
  readonly kind: 'word' | 'string' | 'quoted' | 'comment' | 'parameter' | 'symbol'
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** True for a string, quoted name or block comment that the text ends within. */
  readonly open?: true
}

/**
 * Splits SQL into tokens as DuckDB does: strings (also E'' and $tag$), names quoted by `"`, comments (also nested),
 * `$name`; and, as Spark does, names quoted by backticks. A symbol is one character.
 */
export function* lexSql(text: string): Generator<Token> {
  let at = 0
  while (at < text.length) {
    const start = at
    const char = text[at] ?? ''
    const next = text[at + 1]
    if (isSpace(text, at)) {
      at++
      continue
    }
    if (char === '-' && next === '-') {
      at = endOr(text, text.indexOf('\n', at))
      yield { kind: 'comment', start, end: at }
    } else if (char === '/' && next === '*') {
      const end = endOfBlock(text, at)
      at = end ?? text.length
      yield { kind: 'comment', start, end: at, ...(end === null ? { open: true } : {}) }
    } else if (char === "'" || ((char === 'e' || char === 'E') && next === "'")) {
      const escapes = char !== "'"
      const end = endOfQuoted(text, escapes ? at + 1 : at, "'", escapes)
      at = end ?? text.length
      yield { kind: 'string', start, end: at, ...(end === null ? { open: true } : {}) }
    } else if (char === '"' || char === '`') {
      const end = endOfQuoted(text, at, char, false)
      at = end ?? text.length
      yield { kind: 'quoted', start, end: at, ...(end === null ? { open: true } : {}) }
    } else if (char === '$') {
      const tag = dollarTag(text, at)
      if (tag !== null) {
        const close = text.indexOf(tag, at + tag.length)
        at = close < 0 ? text.length : close + tag.length
        yield { kind: 'string', start, end: at, ...(close < 0 ? { open: true } : {}) }
      } else {
        at++
        while (at < text.length && isWordPart(text, at) && text[at] !== '$') at++
        yield { kind: 'parameter', start, end: at }
      }
    } else if (isWordPart(text, at)) {
      while (at < text.length && isWordPart(text, at)) at++
      yield { kind: 'word', start, end: at }
    } else {
      at++
      yield { kind: 'symbol', start, end: at }
    }
  }
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  if (code < 128) return code === 32 || (code >= 9 && code <= 13)
  return (text[at] ?? '').trim() === ''
}

/** Letters, digits, `_`, `$` and whatever is not ASCII, as in DuckDB. */
function isWordPart(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  if (code >= 128) return !isSpace(text, at)
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    (code >= 48 && code <= 57) ||
    code === 95 ||
    code === 36
  )
}

/** `$$` or `$tag$` at an offset, or null. */
function dollarTag(text: string, start: number): string | null {
  let at = start + 1
  const first = text.charCodeAt(at)
  if (first >= 48 && first <= 57) return null
  while (at < text.length && text[at] !== '$' && isWordPart(text, at)) at++
  return text[at] === '$' ? text.slice(start, at + 1) : null
}

function endOr(text: string, index: number): number {
  return index < 0 ? text.length : index
}

function endOfBlock(text: string, start: number): number | null {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const two = text.slice(at, at + 2)
    if (two === '/*') {
      depth++
      at++
    } else if (two === '*/') {
      depth--
      at++
      if (depth === 0) return at + 1
    }
  }
  return null
}

function endOfQuoted(text: string, start: number, quote: string, escapes: boolean): number | null {
  for (let at = start + 1; at < text.length; at++) {
    if (escapes && text[at] === '\\') at++
    else if (text[at] === quote) {
      if (text[at + 1] === quote) at++
      else return at + 1
    }
  }
  return null
}

/** Names of the `$name` parameters in SQL text, each once, in order. */
export function parametersOf(text: string): readonly string[] {
  const names = [...lexSql(text)]
    .filter((token) => token.kind === 'parameter')
    .map((token) => text.slice(token.start + 1, token.end))
  return [...new Set(names)]
}

/** Puts SQL text in place of `$name` parameters; strings and comments are left alone, unknown parameters stay. */
export function substituteParameters(text: string, values: Readonly<Record<string, string>>): string {
  return substitute(text, values).text
}

/** Where an offset of the substituted text stands in the original. */
export function originalOffset(text: string, values: Readonly<Record<string, string>>, offset: number): number {
  let shift = 0
  for (const edit of substitute(text, values).edits) {
    if (offset < edit.at + edit.length) return offset < edit.at ? offset - shift : edit.original
    shift += edit.length - edit.originalLength
  }
  return offset - shift
}

function substitute(text: string, values: Readonly<Record<string, string>>) {
  const edits: { at: number; length: number; original: number; originalLength: number }[] = []
  let out = ''
  let last = 0
  for (const token of lexSql(text)) {
    if (token.kind !== 'parameter') continue
    const value = values[text.slice(token.start + 1, token.end)]
    if (value === undefined) continue
    out += text.slice(last, token.start)
    edits.push({ at: out.length, length: value.length, original: token.start, originalLength: token.end - token.start })
    out += value
    last = token.end
  }
  return { text: out + text.slice(last), edits }
}

/** Line and column, both from 1, of an offset. */
export function offsetToPosition(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, Math.max(0, offset))
  const line = before.split('\n').length
  return { line, column: before.length - before.lastIndexOf('\n') }
}
