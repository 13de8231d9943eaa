import { LimnError, nearest } from '../../base/index.ts'
import { lexSql, type Token } from '../lexer.ts'
import { travelsOf } from './travel.ts'
import type { Name, Path, Position, SqlText } from './tree.ts'
import { isAliasWord, isDigit, isReserved, stringValue, unquote } from './words.ts'

/** Where an expression or query ends: at a word or symbol outside all brackets. */
export type Stop = (reader: TokenReader) => boolean

const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** The tokens of one statement, read from left to right. Comments are skipped. Fails with `sql/syntax` and a place. */
export class TokenReader {
  readonly text: string
  private readonly tokens: readonly Token[]
  private readonly lines: readonly number[]
  private index = 0

  constructor(text: string) {
    this.text = text
    this.lines = lineStarts(text)
    const tokens: Token[] = []
    for (const token of lexSql(text)) {
      if (token.open) {
        const what = token.kind === 'string' ? 'A string' : token.kind === 'comment' ? 'A comment' : 'A name in quotes'
        throw this.error(token.start, `${what} begins here and does not end.`, 'Close it.')
      }
      if (token.kind !== 'comment') tokens.push(token)
    }
    this.tokens = tokens
  }

  get token(): Token | undefined {
    return this.tokens[this.index]
  }

  get ended(): boolean {
    return this.index >= this.tokens.length
  }

  /** Where the next token begins, or the text ends. */
  here(): Position {
    return this.position(this.token?.start ?? this.text.trimEnd().length)
  }

  position(offset: number): Position {
    let low = 0
    let high = this.lines.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.lines[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { offset, line: low + 1, column: offset - (this.lines[low] ?? 0) + 1 }
  }

  /** The text of the token that many after the next; upper case for a word that is not quoted; empty at the end. */
  peek(ahead = 0): string {
    const token = this.tokens[this.index + ahead]
    if (!token) return ''
    const text = this.text.slice(token.start, token.end)
    return token.kind === 'word' ? text.toUpperCase() : text
  }

  kindAt(ahead = 0): Token['kind'] | 'end' {
    return this.tokens[this.index + ahead]?.kind ?? 'end'
  }

  /** The text of a token, as written. */
  textAt(ahead = 0): string {
    const token = this.tokens[this.index + ahead]
    return token ? this.text.slice(token.start, token.end) : ''
  }

  skip(count = 1): void {
    this.index += count
  }

  /** Reads ahead: whatever the body takes is given back. */
  lookAhead<T>(body: () => T): T {
    const index = this.index
    const value = body()
    this.index = index
    return value
  }

  /** Whether the next tokens are these words and symbols. */
  looks(...words: readonly string[]): boolean {
    return words.every((word, i) => this.peek(i) === word)
  }

  /** Takes the words if all of them come next. */
  accept(...words: readonly string[]): boolean {
    if (!this.looks(...words)) return false
    this.index += words.length
    return true
  }

  expect(...words: readonly string[]): void {
    for (const word of words) if (!this.accept(word)) throw this.expected(word)
  }

  /** The first of some words that comes next, taken; fails naming them all. */
  oneOf<const W extends string>(...words: readonly W[]): W {
    const found = words.find((word) => this.accept(word))
    if (found === undefined) throw this.expected(...words)
    return found
  }

  /** An error that says what was expected and what stands there instead. */
  expected(...what: readonly string[]): LimnError {
    const list = what.length > 1 ? `${what.slice(0, -1).join(', ')} or ${what.at(-1)}` : (what[0] ?? 'something else')
    const found = this.ended ? 'the statement ends' : `found ${this.textAt().slice(0, 60)}`
    const close =
      this.kindAt() === 'word'
        ? nearest(
            this.peek(),
            what.filter((word) => word === word.toUpperCase()),
          )
        : null
    return this.error(
      this.here().offset,
      `Expected ${list}, ${found}.`,
      close ? `Did you mean ${close}?` : 'Correct the statement.',
    )
  }

  /** `sql/syntax` at an offset. */
  error(offset: number, message: string, remedy: string): LimnError {
    const { line, column } = this.position(offset)
    return new LimnError('sql/syntax', {
      message: `Line ${line}, column ${column}: ${message}`,
      notDone: 'Nothing was run.',
      remedy,
      context: { offset, line, column },
    })
  }

  isName(ahead = 0): boolean {
    const kind = this.kindAt(ahead)
    if (kind === 'quoted') return true
    return kind === 'word' && !isReserved(this.peek(ahead)) && !isDigit(this.peek(ahead).charCodeAt(0))
  }

  name(what = 'a name'): Name {
    if (!this.isName()) throw this.expected(what)
    const at = this.here()
    const raw = this.textAt()
    const text = this.kindAt() === 'quoted' ? unquote(raw) : raw
    if (text === '') throw this.error(at.offset, 'A name is empty.', 'Write the name between the quotes.')
    this.skip()
    return { at, text }
  }

  path(what = 'a name'): Path {
    const { at, text } = this.name(what)
    const parts = [text]
    while (this.looks('.')) {
      this.skip()
      // After a dot any word is a name.
      parts.push(this.kindAt() === 'word' ? this.word() : this.name(what).text)
    }
    return { at, parts }
  }

  /** `[AS] alias`, or null. */
  alias(): Name | null {
    if (this.accept('AS')) return this.name('an alias')
    if (this.kindAt() === 'quoted' || (this.isName() && isAliasWord(this.peek()))) return this.name()
    return null
  }

  string(what = 'a string'): string {
    const raw = this.textAt()
    if (this.kindAt() !== 'string') throw this.expected(what)
    const value = stringValue(raw)
    if (value === null)
      throw this.error(this.here().offset, 'This string has escapes.', "Write it as a plain '…' string.")
    this.skip()
    return value
  }

  /** A whole number of any size. */
  integer(what = 'a whole number'): bigint {
    if (!this.isInteger()) throw this.expected(what)
    const value = BigInt(this.textAt())
    this.skip()
    return value
  }

  isInteger(ahead = 0): boolean {
    const text = this.textAt(ahead)
    return this.kindAt(ahead) === 'word' && [...text].every((char) => isDigit(char.charCodeAt(0)))
  }

  /** A whole number from `min` to `max`. */
  count(what: string, min: number, max: number): number {
    const { offset } = this.here()
    const value = this.integer(what)
    if (value < BigInt(min) || value > BigInt(max))
      throw this.error(offset, `${value} is out of range for ${what}.`, `Use ${min} to ${max}.`)
    return Number(value)
  }

  /** One or more, between commas. */
  list<T>(item: () => T): readonly T[] {
    const items = [item()]
    while (this.accept(',')) items.push(item())
    return items
  }

  /** One or more in parentheses. */
  enclosed<T>(item: () => T): readonly T[] {
    this.expect('(')
    const items = this.list(item)
    if (!this.accept(')')) throw this.expected(',', ')')
    return items
  }

  /** An expression or query up to a stop, a closing bracket that it did not open, `;` or the end; never empty. */
  sqlText(what: string, stop: Stop = () => false): SqlText {
    const start = this.index
    const open: { symbol: string; offset: number }[] = []
    let cases = 0
    for (; this.token; this.skip()) {
      const symbol = this.kindAt() === 'symbol' ? this.peek() : ''
      if (open.length === 0 && cases === 0 && (symbol === ';' || stop(this))) break
      const closer = closers[symbol]
      const top = open.at(-1)
      if (closer !== undefined) open.push({ symbol, offset: this.token.start })
      else if (symbol === ')' || symbol === ']' || symbol === '}') {
        if (!top) break
        if (closers[top.symbol] !== symbol)
          throw this.error(
            top.offset,
            `This ${top.symbol} is closed by ${symbol}.`,
            `Close it by ${closers[top.symbol]}.`,
          )
        open.pop()
      } else if (open.length === 0 && this.kindAt() === 'word' && this.peek(-1) !== '.') {
        if (this.looks('CASE')) cases++
        else if (this.looks('END') && cases > 0) cases--
      }
    }
    const unclosed = open[0]
    if (unclosed)
      throw this.error(
        unclosed.offset,
        `This ${unclosed.symbol} is not closed.`,
        `Close it by ${closers[unclosed.symbol]}.`,
      )
    const first = this.tokens[start]
    const last = this.tokens[this.index - 1]
    if (!first || !last || this.index === start) throw this.expected(what)
    const tokens = this.tokens.slice(start, this.index)
    return {
      at: this.position(first.start),
      text: this.text.slice(first.start, last.end),
      travels: travelsOf(this.text, tokens, (offset, message, remedy) => this.error(offset, message, remedy)),
    }
  }

  /** Any word, reserved or not, as written. */
  word(): string {
    if (this.kindAt() !== 'word') throw this.expected('a name')
    const text = this.textAt()
    this.skip()
    return text
  }

  /** Nothing may follow but `;`. */
  end(...what: readonly string[]): void {
    const separated = this.looks(';')
    while (this.accept(';'));
    if (this.ended) return
    if (separated)
      throw this.error(this.here().offset, 'A second statement begins here.', 'Run one statement at a time.')
    throw this.expected(...what, 'the end of the statement')
  }
}

function lineStarts(text: string): readonly number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}
