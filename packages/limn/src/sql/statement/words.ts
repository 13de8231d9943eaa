/** Words that DuckDB reserves: as a name they must stand in quotes. */
const reservedWords: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default
  deferrable desc describe distinct do else end except false fetch for foreign from group having in initially intersect
  into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing primary
  qualify references returning select show some summarize symmetric table then to trailing true union unique unpivot
  using variadic when where window with`
    .split(/\s+/)
    .map((word) => word.toUpperCase()),
)

/** Words that follow a table's name in some statement or query, and so are no alias there without `AS`. */
const notAliases: ReadonlySet<string> = new Set(
  `SET VALUES USING WHERE ON WHEN PARTITION REPLACE BY INSERT OVERWRITE JOIN INNER LEFT RIGHT FULL CROSS NATURAL
  SEMI ANTI ASOF POSITIONAL TABLESAMPLE AT VERSION TIMESTAMP SYSTEM_VERSION SYSTEM_TIME FOR`.split(/\s+/),
)

export function isReserved(word: string): boolean {
  return reservedWords.has(word.toUpperCase())
}

export function isAliasWord(word: string): boolean {
  return !isReserved(word) && !notAliases.has(word.toUpperCase())
}

/** A name that reads back as itself without quotes wherever a name may stand. */
export function isPlainName(name: string): boolean {
  if (name === '' || !isAliasWord(name)) return false
  return [...name].every((char, i) => {
    const code = char.charCodeAt(0)
    const letter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95
    return letter || (i > 0 && code >= 48 && code <= 57)
  })
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

/** A quoted name's text. */
export function unquote(raw: string): string {
  const quote = raw[0] ?? ''
  return raw.slice(1, -1).replaceAll(quote + quote, quote)
}

/** The value of a '…' or $tag$…$tag$ string; null for one with escapes, which only DuckDB reads. */
export function stringValue(raw: string): string | null {
  if (raw.startsWith("'")) return raw.slice(1, -1).replaceAll("''", "'")
  if (!raw.startsWith('$')) return null
  const tag = raw.slice(0, raw.indexOf('$', 1) + 1)
  return raw.slice(tag.length, -tag.length)
}
