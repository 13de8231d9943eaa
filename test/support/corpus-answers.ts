/** Cells as different systems print them, told equal when they mean the same. */

/** The cells of a row as Impala prints it: text between single quotes, doubled by nothing, so a quote ends before a comma. */
export function impalaCells(row: string): readonly string[] {
  const cells: string[] = []
  let at = 0
  while (at <= row.length) {
    if (/^(regex:)?'/.test(row.slice(at))) {
      const isPattern = row.startsWith('regex:', at)
      const start = at + (isPattern ? 7 : 1)
      let end = row.indexOf("'", start)
      while (end >= 0 && end + 1 < row.length && row[end + 1] !== ',') end = row.indexOf("'", end + 1)
      if (end < 0) end = row.length
      const text = row.slice(start, end)
      cells.push(isPattern ? `regex:${text}` : unescaped(text))
      at = end + 2
    } else {
      const comma = row.indexOf(',', at)
      const end = comma < 0 ? row.length : comma
      cells.push(row.slice(at, end))
      at = end + 1
    }
  }
  return cells
}

function unescaped(text: string): string {
  return text.replaceAll('\\\\', '\\')
}

/** Whether two lists of rows hold the same; `ordered`: in the same order. */
export function sameRows(
  actual: readonly (readonly string[])[],
  expected: readonly (readonly string[])[],
  ordered: boolean,
): boolean {
  if (actual.length !== expected.length) return false
  const same = (one: readonly string[], other: readonly string[] | undefined) =>
    other !== undefined && one.length === other.length && one.every((cell, i) => sameCell(cell, other[i] ?? ''))
  if (ordered) return expected.every((row, i) => same(row, actual[i]))
  const left = [...actual]
  return expected.every((row) => {
    const at = left.findIndex((one) => same(row, one))
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  })
}

/** `expected` as another system printed it, `actual` as DuckDB casts it to text; a null is `NULL` in both. */
export function sameCell(expected: string, actual: string): boolean {
  if (expected === actual) return true
  if (expected === '(empty)') return actual === ''
  // DuckDB has one null, whether a variant holds it or the table does.
  if (expected === 'null') return actual === 'NULL'
  // Impala's word for a variant that it cannot print; what it holds is not told.
  if (expected === '"<unsupported-type>"') return true
  if (expected.startsWith('regex:'))
    return new RegExp(`^${expected.slice('regex:'.length).replaceAll('$NAMENODE', '')}$`).test(actual)
  if (isBoolean(expected) && isBoolean(actual)) return truth(expected) === truth(actual)
  if (isNumber(expected) && isNumber(actual)) return sameNumber(expected, actual)
  const [one, other] = [instantOf(expected), instantOf(actual)]
  if (one !== null && other !== null) return one === other
  if (typeNames[expected] === actual) return true
  return sameJson(expected, actual)
}

/** DuckDB's type names that stand for a type of the specification under another name here: instants are UTC. */
const typeNames: Readonly<Record<string, string>> = { TIMESTAMPTZ_NS: 'TIMESTAMP_NS' }

function isBoolean(text: string): boolean {
  return text === 'true' || text === 'false' || text === '0' || text === '1'
}

function truth(text: string): boolean {
  return text === 'true' || text === '1'
}

function isNumber(text: string): boolean {
  return /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)
}

/** Integers exactly; with a point as decimals, or as near as single precision comes. */
function sameNumber(expected: string, actual: string): boolean {
  if (/^-?\d+$/.test(expected) && /^-?\d+$/.test(actual)) return BigInt(expected) === BigInt(actual)
  const plain = (text: string) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)
  if (plain(expected) === plain(actual)) return true
  const [one, other] = [Number(expected), Number(actual)]
  return one === other || Math.abs(one - other) <= Math.abs(one) * 1e-12 || Math.fround(one) === Math.fround(other)
}

/** A date and time without the trailing zeros of its fraction; with an offset, as of UTC. */
function instantOf(text: string): string | null {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d(?::?\d\d)?)?$/.exec(text)
  if (!match) return null
  const [, day = '', time = '', fraction = '', offset] = match
  const digits = fraction.replace(/\.?0+$/, '')
  if (offset === undefined) return `${day} ${time}${digits}`
  const [hours = '0', minutes = '0'] = offset.slice(1).match(/\d\d/g) ?? []
  const shift = (Number(hours) * 60 + Number(minutes)) * (offset.startsWith('-') ? -1 : 1)
  const utc = new Date(Date.parse(`${day}T${time}Z`) - shift * 60_000).toISOString()
  return `${utc.slice(0, 10)} ${utc.slice(11, 19)}${digits} UTC`
}

function sameJson(expected: string, actual: string): boolean {
  if (!/^[[{"]/.test(expected)) return false
  // limn keeps no map of a file's metrics apart from one without entries.
  if (expected === '{}' && actual === 'NULL') return true
  try {
    return sameValue(JSON.parse(expected.replace(/([{,])(-?\d+):/g, '$1"$2":')), JSON.parse(actual))
  } catch {
    return false
  }
}

/** Objects whatever the order of their keys; text that is a time without its trailing zeros; bytes in base64 or escaped. */
function sameValue(one: unknown, other: unknown): boolean {
  if (typeof one === 'string' && typeof other === 'string')
    return one === other || one === base64Of(other) || (instantOf(one) !== null && instantOf(one) === instantOf(other))
  if (typeof one !== 'object' || one === null || typeof other !== 'object' || other === null) return one === other
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const [left, right] = [Object.entries(one), new Map(Object.entries(other))]
  return left.length === right.size && left.every(([key, value]) => right.has(key) && sameValue(value, right.get(key)))
}

/** Bytes as DuckDB escapes them in text, in base64. */
function base64Of(escaped: string): string {
  const plain = escaped.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(plain, 'latin1').toString('base64')
}
