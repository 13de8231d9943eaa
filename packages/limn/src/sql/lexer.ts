/** A token of SQL text. `word` covers keywords, identifiers and numbers; whitespace is skipped. */
export interface Token {
  readonly kind: 'word' | 'string' | 'quoted' | 'comment' | 'parameter' | 'symbol'
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

/** Splits DuckDB SQL into tokens: strings (also E'' and $tag$), quoted identifiers, comments (also nested), `$name`. */
export function* lexSql(text: string): Generator<Token> {
  let at = 0
  while (at < text.length) {
    const start = at
    const char = text[at] ?? ''
    const next = text[at + 1]
    if (/\s/.test(char)) {
      at++
      continue
    }
    if (char === '-' && next === '-') {
      at = endOr(text, text.indexOf('\n', at))
      yield { kind: 'comment', start, end: at }
    } else if (char === '/' && next === '*') {
      at = endOfBlock(text, at)
      yield { kind: 'comment', start, end: at }
    } else if (char === "'" || ((char === 'e' || char === 'E') && next === "'")) {
      const escapes = char !== "'"
      at = endOfQuoted(text, escapes ? at + 1 : at, "'", escapes)
      yield { kind: 'string', start, end: at }
    } else if (char === '"') {
      at = endOfQuoted(text, at, '"', false)
      yield { kind: 'quoted', start, end: at }
    } else if (char === '$') {
      const tag = /^\$([A-Za-z_]\w*)?\$/.exec(text.slice(at))
      if (tag) {
        const close = text.indexOf(tag[0], at + tag[0].length)
        at = close < 0 ? text.length : close + tag[0].length
        yield { kind: 'string', start, end: at }
      } else {
        at += 1 + (/^\w+/.exec(text.slice(at + 1))?.[0].length ?? 0)
        yield { kind: 'parameter', start, end: at }
      }
    } else if (/[\p{L}\p{N}_]/u.test(char)) {
      at += /^[\p{L}\p{N}_$]+/u.exec(text.slice(at))?.[0].length ?? 1
      yield { kind: 'word', start, end: at }
    } else {
      at++
      yield { kind: 'symbol', start, end: at }
    }
  }
}

function endOr(text: string, index: number): number {
  return index < 0 ? text.length : index
}

function endOfBlock(text: string, start: number): number {
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
  return text.length
}

function endOfQuoted(text: string, start: number, quote: string, escapes: boolean): number {
  for (let at = start + 1; at < text.length; at++) {
    if (escapes && text[at] === '\\') at++
    else if (text[at] === quote) {
      if (text[at + 1] === quote) at++
      else return at + 1
    }
  }
  return text.length
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
