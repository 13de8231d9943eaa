import { lexSql, type SqlText } from '../sql/index.ts'

/** A part of a text to be replaced; `end` is exclusive. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly by: string
}

/** Applies edits that do not overlap, in any order. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let out = ''
  let last = 0
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    out += text.slice(last, edit.start) + edit.by
    last = edit.end
  }
  return out + text.slice(last)
}

/**
 * Blanks as long as a text, its line breaks kept, less `taken` characters that something before it took too many: what
 * follows keeps its line and column.
 */
export function blanks(text: string, taken: number): string {
  let left = Math.max(0, taken)
  return [...text]
    .map((char) => (char === '\n' ? '\n' : ' '))
    .filter((char) => {
      if (char === '\n' || left === 0) return true
      left--
      return false
    })
    .join('')
}

/** Names in backticks, which DuckDB does not read, as names in double quotes. */
export function backtickEdits(text: string): readonly Edit[] {
  const edits: Edit[] = []
  for (const token of lexSql(text)) {
    if (token.kind !== 'quoted' || text[token.start] !== '`') continue
    const name = text.slice(token.start + 1, token.end - 1).replaceAll('``', '`')
    edits.push({ start: token.start, end: token.end, by: `"${name.replaceAll('"', '""')}"` })
  }
  return edits
}

/** An expression as DuckDB reads it. */
export function duckText(text: string): string {
  return applyEdits(text, backtickEdits(text))
}

/** Where the dotted name that begins at an offset ends. */
export function nameEnd(text: string, start: number): number {
  let end = start
  let dot = true
  for (const token of lexSql(text.slice(start))) {
    const raw = text.slice(start + token.start, start + token.end)
    if (token.kind === 'comment') continue
    if (dot ? token.kind !== 'word' && token.kind !== 'quoted' : raw !== '.') break
    dot = !dot
    if (raw !== '.') end = start + token.end
  }
  return end
}

/** The UTF-16 offset of an offset in UTF-8 bytes. */
export function fromByteOffset(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString().length
}

/**
 * A text of a statement at the line and column it has there, behind blanks, so that DuckDB's errors tell the statement's
 * places. `before` goes right in front of it, on the line above where there is no room.
 */
export function placed(query: SqlText, before = ''): SqlText {
  const { line, column } = query.at
  const room = column - 1
  const pad =
    before.length <= room
      ? '\n'.repeat(line - 1) + ' '.repeat(room - before.length) + before
      : `${'\n'.repeat(Math.max(0, line - 2))}${before}\n${' '.repeat(room)}`
  return {
    at: { offset: 0, line: 1, column: 1 },
    text: pad + query.text,
    travels: query.travels.map((one) => ({
      ...one,
      start: one.start + pad.length,
      nameEnd: one.nameEnd + pad.length,
      end: one.end + pad.length,
    })),
  }
}

/** A text with more behind it, on a line of its own: a comment cannot swallow it. */
export function followed(query: SqlText, after: string): SqlText {
  return { ...query, text: `${query.text}\n${after}` }
}
