import { formatInterval, formatMicros, type Interval, IntervalSet, type IntervalUnit } from '../dataset/index.ts'
import type { ApartReport, Finding, NumberApart } from '../pipeline/index.ts'
import { rowsText } from './row-diff-text.ts'
import { formatCount, formatTable } from './text.ts'

const intervalsShown = 12
const alsoShown = 4

/** Two numbers and why they part, from the top down. */
export function apartText(report: ApartReport, width: number): readonly string[] {
  const { numbers, against, findings, unknown } = report
  const same = against.table === report.table
  const lines = [
    `${numbers.measure} of ${report.table}${same ? ' now' : ''}: ${numbers.total.after ?? 'null'}`,
    `${same ? `at ${against.text}` : `of ${against.table}`}: ${numbers.total.before ?? 'null'}${deltaText(numbers.total)}`,
  ]
  lines.push(...alsoText(report))
  const sides = same ? ['before', 'after'] : [against.table, report.table]
  const { unit } = numbers
  if (unit !== null && numbers.intervals.length > 0)
    lines.push(
      '',
      formatTable(
        [unit, ...sides, 'difference'],
        numbers.intervals
          .slice(0, intervalsShown)
          .map((one) => [
            formatInterval(unit, one.interval),
            one.before ?? 'null',
            one.after ?? 'null',
            one.delta ?? '',
          ]),
        width,
      ),
      ...more(numbers.intervals.length - intervalsShown, 'intervals'),
    )
  if (numbers.groups.length > 0)
    lines.push(
      '',
      formatTable(
        [...numbers.by, ...sides, 'difference'],
        numbers.groups
          .slice(0, intervalsShown)
          .map((one) => [
            ...one.values.map((value) => value ?? 'null'),
            one.before ?? 'null',
            one.after ?? 'null',
            one.delta ?? '',
          ]),
        width,
      ),
      ...more(numbers.groupsApart - intervalsShown, 'groups'),
    )
  if (report.steps.length > 0)
    lines.push(
      '',
      formatTable(
        ['looked at', 'rows that differ', ''],
        report.steps.map((one) => [one.dataset, one.rows === null ? '' : formatCount(one.rows), one.verdict]),
        width,
      ),
    )
  if (findings.length === 0)
    lines.push('', numbers.total.before === numbers.total.after ? 'The numbers are the same.' : 'No cause was found.')
  for (const one of findings) lines.push('', ...findingText(one, unit, width))
  if (report.wider.length > 0) lines.push('', ...report.wider.map((one) => `Not narrowed: ${one}`))
  if (unknown.length > 0) lines.push('', ...unknown.map((one) => `Not known: ${one}`))
  return lines
}

/** What else differs, so that each cause has a number that it moves. */
function alsoText({ numbers, moved }: ApartReport): readonly string[] {
  const lines = numbers.also.map(({ measure, intervals, ...one }) => {
    const within =
      one.before === one.after ? ` (differs in ${formatCount(intervals)} ${numbers.unit ?? 'interval'}s)` : ''
    return `also ${measure}: ${one.before ?? 'null'} → ${one.after ?? 'null'}${deltaText(one)}${within}`
  })
  if (moved === null) return lines
  const { added, removed, changed, columns } = moved
  const parts = [
    ...(added > 0 ? [`${rowsText(added)} added`] : []),
    ...(removed > 0 ? [`${rowsText(removed)} removed`] : []),
    ...(changed > 0 ? [`${rowsText(changed)} changed`] : []),
  ]
  const named = columns.map((one) => `${one.name} in ${rowsText(one.rows)}`).join(', ')
  if (parts.length > 0) lines.push(`of its rows: ${parts.join(', ')}${named === '' ? '' : ` (${named})`}`)
  return lines
}

function more(count: number, what: string): readonly string[] {
  return count > 0 ? [`… and ${formatCount(count)} more ${what}`] : []
}

function deltaText({ before, after, delta }: NumberApart): string {
  return before === after || delta === null
    ? ''
    : ` (difference ${delta.startsWith('-') ? delta.replace('-', '−') : `+${delta}`})`
}

/** A finding: its kind and sentence, where it begins, and the rows that do it. */
export function findingText(finding: Finding, unit: IntervalUnit | null, width: number): readonly string[] {
  const { origin, evidence } = finding
  const lines = [`${finding.kind}: ${finding.sentence}`]
  switch (origin.kind) {
    case 'delivery':
      lines.push(
        `  ${origin.source}, delivery ${origin.ordinal} of ${origin.path}, landed by run ${origin.run}${origin.sha256 === null ? '' : `, sha256 ${origin.sha256.slice(0, 12)}…`}`,
      )
      for (const one of origin.also.slice(0, alsoShown))
        lines.push(`  … delivery ${one.ordinal} of ${one.path}, run ${one.run}`)
      if (origin.also.length > alsoShown)
        lines.push(`  … and ${formatCount(origin.also.length - alsoShown)} more deliveries`)
      break
    case 'code':
      lines.push(...origin.changes.map((one) => `  ${one.part}: ${one.before ?? '(none)'} → ${one.after ?? '(none)'}`))
      if (origin.built) lines.push(`  built by run ${origin.built.run}, because ${origin.built.because}`)
      break
    case 'state':
      lines.push(`  ${origin.input}: snapshot ${String(origin.before)} and ${String(origin.after)}`)
      break
    case 'unknown':
      break
  }
  const shown = evidence.rows.length
  const first = shown > 0 && shown < finding.rows ? `, the first ${shown}` : ''
  if (finding.rows > 0) lines.push(`  ${rowsText(finding.rows)}${spanText(finding.intervals, unit)}${first}`)
  if (shown > 0)
    lines.push(
      ...formatTable(
        evidence.columns,
        evidence.rows.map((row) => row.map((value) => value ?? 'null')),
        width,
      )
        .split('\n')
        .map((line) => `  ${line}`),
    )
  return lines
}

function spanText(intervals: readonly Interval[], unit: IntervalUnit | null): string {
  const parts = IntervalSet.of(intervals).intervals
  if (parts.length === 0) return ''
  const text = (one: Interval) =>
    unit === null
      ? `${formatMicros(one.start).slice(0, 10)} … ${formatMicros(one.end).slice(0, 10)}`
      : formatInterval(unit, one)
  return `, ${parts.slice(0, 5).map(text).join(', ')}${parts.length > 5 ? `, and ${parts.length - 5} more ranges` : ''}`
}
