import { formatInterval, type Interval, type IntervalUnit } from '../dataset/index.ts'
import type { IntervalDelta, MeasureDelta, RowDelta, RowDiff } from '../pipeline/index.ts'
import { formatCount, formatTable } from './text.ts'

/** Intervals listed before the rest are only counted. */
const intervalsShown = 30

/** A row diff as lines: columns, then rows and measures per interval, then changed columns and some of the rows. */
export function rowDiffText(diff: RowDiff, width = Number.POSITIVE_INFINITY): readonly string[] {
  const { columns, total, intervals, unit } = diff
  const lines = [
    ...columns.added.map((one) => `+ column ${one.name} ${one.type}`),
    ...columns.removed.map((one) => `- column ${one.name} ${one.type}`),
    ...columns.renamed.map((one) => `~ column ${one.before} is now ${one.after}`),
    ...columns.retyped.map((one) => `~ column ${one.name} ${one.before} → ${one.after}, compared as ${one.compared}`),
  ]
  if (total.added + total.removed + total.changed === 0) return [...lines, 'every row is the same']
  const shown = intervals.slice(0, intervalsShown)
  const rows =
    unit === null ? [deltaRow('all rows', total)] : shown.map((one) => deltaRow(intervalLabel(unit, one), one))
  if (unit !== null && intervals.length > 1) rows.push(deltaRow(`${formatCount(intervals.length)} differ`, total))
  const moved = total.measures.filter(
    (one) => rows.length > 0 && (one.delta !== '0' || intervals.some((each) => differs(each, one.name))),
  )
  lines.push(
    formatTable(
      [unit ?? '', 'rows before', 'after', 'added', 'removed', 'changed', ...moved.map((one) => one.name)],
      rows.map((row) => [...row.cells, ...moved.map((one) => measureText(row.of, one.name))]),
      width,
    ),
  )
  if (intervals.length > shown.length)
    lines.push(`… and ${formatCount(intervals.length - shown.length)} more intervals`)
  if (total.columns.length > 0)
    lines.push('', `changed: ${total.columns.map((one) => `${one.name} in ${rowsText(one.rows)}`).join(', ')}`)
  const inexact = moved.filter((one) => one.inexact).map((one) => one.name)
  if (inexact.length > 0)
    lines.push(`${inexact.join(', ')}: sums of binary fractions; their last digits depend on the order of rows`)
  return [...lines, ...sampleText(diff, width)]
}

function differs(delta: RowDelta, name: string): boolean {
  return delta.measures.some((one) => one.name === name && one.delta !== '0')
}

function deltaRow(label: string, of: RowDelta) {
  const number = (count: number) => formatCount(count)
  return {
    of,
    cells: [label, number(of.before), number(of.after), number(of.added), number(of.removed), number(of.changed)],
  }
}

function measureText(of: RowDelta, name: string): string {
  const measure = of.measures.find((one) => one.name === name)
  return measure ? `${measure.before ?? 'null'} → ${measure.after ?? 'null'}${relativeText(measure)}` : ''
}

function relativeText({ relative }: MeasureDelta): string {
  if (relative === null || relative === 0) return ''
  const percent = Math.abs(relative) * 100
  const text = percent >= 0.01 ? percent.toFixed(2) : percent.toExponential(1)
  return ` (${relative > 0 ? '+' : '−'}${text} %)`
}

function intervalLabel(unit: IntervalUnit, { interval }: IntervalDelta): string {
  return interval === null ? 'no time' : formatInterval(unit, interval)
}

/** `1 row`, `2,000 rows`. */
export function rowsText(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'row' : 'rows'}`
}

function sampleText({ sample, keys, columns, total }: RowDiff, width: number): readonly string[] {
  const text = (value: string | null) => value ?? 'null'
  const lines: string[] = []
  const changed = sample.flatMap((one) => (one.kind === 'changed' ? [one] : []))
  const title = (kind: string, count: number, shown: number) =>
    `${rowsText(count)} ${kind}${count > shown ? `, the first ${shown}` : ''}`
  if (changed.length > 0)
    lines.push(
      '',
      title('changed', total.changed, changed.length),
      formatTable(
        [...keys, 'column', 'before', 'after'],
        changed.flatMap((row) =>
          row.columns.map((one) => [...row.key.map(text), one.name, text(one.before), text(one.after)]),
        ),
        width,
      ),
    )
  for (const kind of ['removed', 'added'] as const) {
    const own = sample.flatMap((one) => (one.kind === kind ? [one] : []))
    if (own.length === 0) continue
    const times = own.some((one) => one.times > 1)
    lines.push(
      '',
      title(
        kind,
        total[kind],
        own.reduce((sum, one) => sum + one.times, 0),
      ),
      formatTable(
        [...columns.compared, ...(times ? ['times'] : [])],
        own.map((row) => [...row.values.map(text), ...(times ? [row.times] : [])]),
        width,
      ),
    )
  }
  return lines
}

/** A row diff for `--json`: ends of intervals as text. */
export function rowDiffValue(diff: RowDiff, format: (at: number) => string) {
  const ends = (interval: Interval | null) => interval && { start: format(interval.start), end: format(interval.end) }
  return { ...diff, intervals: diff.intervals.map((one) => ({ ...one, interval: ends(one.interval) })) }
}
