/** Results as text: aligned tables, CSV, and JSON with 64-bit integers intact. */

export type TextCell = string | number | bigint | boolean | null | Uint8Array | undefined

/** An aligned table; numbers to the right. Lines are cut to the terminal's width. */
export function formatTable(
  columns: readonly string[],
  rows: readonly (readonly TextCell[])[],
  width = Number.POSITIVE_INFINITY,
): string {
  const cells = rows.map((row) => columns.map((_name, i) => cellText(row[i])))
  const right = columns.map((_name, i) => rows.length > 0 && rows.every((row) => isNumber(row[i])))
  const widths = columns.map((name, i) => cells.reduce((max, row) => Math.max(max, (row[i] ?? '').length), name.length))
  const line = (values: readonly string[]) =>
    values
      .map((value, i) => (right[i] ? value.padStart(widths[i] ?? 0) : value.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  const lines = [line(columns), line(widths.map((count) => '─'.repeat(count))), ...cells.map(line)]
  return lines.map((text) => (text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text)).join('\n')
}

function isNumber(value: TextCell): boolean {
  return value === null || value === undefined || typeof value === 'number' || typeof value === 'bigint'
}

function cellText(value: TextCell): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return String(value).replaceAll('\n', '↵')
}

/** CSV by RFC 4180, with a header. Null is an empty field, an empty string is quoted. */
export function formatCsv(columns: readonly string[], rows: readonly (readonly TextCell[])[]): string {
  const quote = (text: string) => (/[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text)
  const cell = (value: TextCell) =>
    value === null || value === undefined
      ? ''
      : value instanceof Uint8Array
        ? Buffer.from(value).toString('hex')
        : quote(String(value))
  return [columns.map(quote), ...rows.map((row) => row.map(cell))].map((line) => line.join(',')).join('\r\n')
}

/** `{"columns": […], "rows": […]}`; 64-bit integers are numbers where they fit, strings where not. */
export function formatResultJson(columns: readonly string[], rows: readonly (readonly TextCell[])[]): string {
  return toJson({ columns, rows })
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return Number.isSafeInteger(Number(item)) ? Number(item) : String(item)
    if (item instanceof Uint8Array) return Buffer.from(item).toString('hex')
    return item
  })
}

/** Bytes as people read them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** As `toLocaleString('en')` does; of whole numbers without loading a language's data, which takes longer than a plan. */
export function formatCount(value: number): string {
  return Number.isSafeInteger(value) ? String(value).replace(/\B(?=(\d{3})+$)/g, ',') : value.toLocaleString('en')
}
