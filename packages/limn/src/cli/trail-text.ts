import { formatMicros } from '../dataset/index.ts'
import type { TrailReport, TrailStep } from '../pipeline/index.ts'
import { rowsText } from './row-diff-text.ts'
import { formatTable } from './text.ts'

const deliveriesShown = 8

/** The way from a table's rows down to their deliveries, indented by layer. */
export function trailText(report: TrailReport, width: number): readonly string[] {
  const lines: string[] = []
  if (report.rows.length > 0)
    lines.push(
      formatTable(
        report.columns,
        report.rows.map((row) => row.map((value) => value ?? 'null')),
        width,
      ),
      '',
    )
  for (const step of report.steps) lines.push(...stepText(step))
  if (report.history.length > 0) {
    lines.push('', 'What it was, latest first:')
    lines.push(
      formatTable(
        ['since (UTC)', 'run', 'snapshot', ...report.columns],
        report.history.flatMap((state) => {
          const head = [momentText(state.publishedMs), state.run ?? 'none', String(state.snapshotId)]
          if (state.rows.length === 0) return [[...head, '(no row)']]
          return state.rows.map((row) => [...head, ...row.map((value) => value ?? 'null')])
        }),
        width,
      ),
    )
  }
  if (report.column.length > 0) {
    lines.push('', 'How it is computed:')
    for (const one of report.column) {
      const said = one.expression === null ? '' : ` = ${one.expression.replace(/\s+/g, ' ')}`
      lines.push(`  ${one.dataset}.${one.column}${said}${one.note === '' ? '' : ` (${one.note})`}`)
    }
  }
  if (report.unknown.length > 0) lines.push('', ...report.unknown.map((one) => `Not known: ${one}`))
  return lines
}

function momentText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}

function stepText(step: TrailStep): readonly string[] {
  const pad = '  '.repeat(step.depth)
  const { run, code, direct } = step
  const times = step.scope.times?.hull
  const span = times ? `, ${formatMicros(times.start).slice(0, 16)} … ${formatMicros(times.end).slice(0, 16)}` : ''
  const lines = [`${pad}${step.dataset}: ${rowsText(step.rows)}${span}`]
  lines.push(
    `${pad}  snapshot ${step.snapshotId ?? 'none'}${step.moved ? ' (main has moved on since)' : ''}${run ? `, ${run.outcome} by run ${run.id} at ${momentText(run.startedAtMs)} UTC, limn ${run.limnVersion}` : ', made by no run'}`,
  )
  if (run && run.reason !== '')
    lines.push(
      `${pad}  because ${run.reason}${run.approval === null ? '' : `, approved ${run.approval.replace('-', ' ')}`}`,
    )
  if (code)
    lines.push(
      `${pad}  definition ${code.fingerprint.slice(0, 8)} of ${code.file}${code.present === true ? ', the present one' : code.present === false ? ', which has changed since' : ', not remembered'}`,
    )
  if (direct.length > 0) lines.push(`${pad}  written past the runs by snapshot ${direct.map(String).join(', ')}`)
  for (const one of step.deliveries.slice(0, deliveriesShown))
    lines.push(
      `${pad}  delivery ${one.ordinal}: ${one.path}, ${rowsText(one.rows)} of ${rowsText(one.kept)}${one.sha256 === null ? '' : `, sha256 ${one.sha256.slice(0, 12)}…`}, run ${one.run}`,
    )
  if (step.deliveries.length > deliveriesShown)
    lines.push(`${pad}  … and ${step.deliveries.length - deliveriesShown} more deliveries`)
  return lines
}
