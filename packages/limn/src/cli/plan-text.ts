import { counted } from '../base/index.ts'
import { formatInterval, type Interval, type IntervalUnit } from '../dataset/index.ts'
import type { PlannedCause, PlannedDataset, PlanReport, PrintedChange, Reached, Reason } from '../pipeline/index.ts'
import type { Paint } from './io.ts'
import { formatBytes, formatCount } from './text.ts'

/** A plan as a tree: each dataset under the input because of which it is planned. */

const reasons: Readonly<Record<Reason, string>> = {
  'new-delivery': 'new delivery',
  'withdrawn-delivery': 'withdrawn delivery',
  'asked-at-run': 'asked when it runs',
  'full-rebuild': 'full rebuild',
  restated: 'restated',
  'definition-changed': 'code changed',
  'contract-changed': 'contract changed',
  'never-built': 'never built',
  gap: 'a gap',
  'input-changed': 'data changed',
  'reads-itself': 'reads itself',
  'checks-changed': 'checks changed',
  accepted: 'accepted as it is',
  unsealed: 'held',
  backfill: 'backfill',
}

export function planTree(report: PlanReport, paint: Paint): readonly string[] {
  const planned = new Map(report.datasets.map((one) => [one.dataset, one]))
  const children = new Map<string, PlannedDataset[]>()
  const roots: PlannedDataset[] = []
  for (const one of report.datasets) {
    // Under the last of its inputs in graph order, so that everything it waits for stands above it.
    const parent = one.parents.filter((id) => planned.has(id)).at(-1)
    if (parent === undefined) roots.push(one)
    else children.set(parent, [...(children.get(parent) ?? []), one])
  }
  const lines: string[] = []
  const put = (one: PlannedDataset, head: string, indent: string) => {
    const below = children.get(one.dataset) ?? []
    const bar = below.length > 0 ? '│  ' : '   '
    const [first = '', ...more] = datasetLines(one, report.diffs.get(one.dataset) ?? [], paint)
    lines.push(head + first, ...more.map((line) => indent + bar + line))
    for (const [i, child] of below.entries()) {
      const isLast = i === below.length - 1
      put(child, `${indent}${isLast ? '└─ ' : '├─ '}`, `${indent}${isLast ? '   ' : '│  '}`)
    }
  }
  for (const root of roots) put(root, '', '')
  const total = totalLine(report.datasets)
  return total === null ? lines : [...lines, '', total]
}

function datasetLines(one: PlannedDataset, diff: readonly PrintedChange[], paint: Paint): readonly string[] {
  const lines = one.causes.map((cause) => causeLine(one, cause))
  const [first = '', ...more] = lines
  const out = [`${paint.bold(one.dataset)}  ${first}`, ...more.map((line) => `  ${line}`)]
  out.push(...diff.map((change) => `  ${changeLine(change)}`))
  if (one.breaks.length > 0) out.push(`  ${paint.yellow('reaches')} ${one.breaks.map(reachedText).join(', ')}`)
  if (one.unbroken.length > 0) out.push(`  does not reach ${one.unbroken.join(', ')}`)
  const { rows, bytes, seconds } = one.estimate
  if (rows !== null || seconds !== null)
    out.push(
      paint.dim(
        `  about ${[rows === null ? [] : [counted(rows, 'row')], bytes === null ? [] : [formatBytes(bytes)], seconds === null ? [] : [secondsText(seconds)]].flat().join(', ')}`,
      ),
    )
  return out
}

function causeLine(one: PlannedDataset, cause: PlannedCause): string {
  const because = causeText(cause)
  const where = one.unit === null ? '' : whereText(one.unit, cause)
  return [where, because].filter((part) => part !== '').join('  ')
}

function whereText(unit: IntervalUnit, cause: PlannedCause): string {
  if (cause.reason === 'checks-changed') return ''
  const most = cause.atMost ? 'at most ' : ''
  if (cause.intervals.length === 0) return cause.atMost ? 'any interval' : 'all intervals'
  const shown = cause.intervals.slice(0, 3).map((interval: Interval) => formatInterval(unit, interval))
  const more = cause.intervals.length > 3 ? `, and ${cause.intervals.length - 3} more ranges` : ''
  const count = cause.units === null || cause.units === 1 ? '' : ` (${formatCount(cause.units)} ${unit}s)`
  return `${most}${shown.join(', ')}${more}${count}`
}

function causeText(cause: PlannedCause): string {
  const said = reasons[cause.reason]
  switch (cause.reason) {
    case 'new-delivery':
    case 'withdrawn-delivery': {
      const shown = cause.because.slice(0, 3).join(', ')
      const more = cause.because.length > 3 ? `, and ${cause.because.length - 3} more` : ''
      return `${said}: ${shown}${more}`
    }
    case 'input-changed': {
      const rows =
        cause.rows === null ? '' : `, ${cause.atMost ? 'at most ' : ''}${counted(cause.rows, 'row')} added or removed`
      const columns = cause.columns === null ? '' : `, may change ${cause.columns.join(', ')}`
      return `${said}: ${cause.because.join(', ')}${rows}${columns}`
    }
    case 'asked-at-run':
    case 'full-rebuild':
    case 'restated':
    case 'definition-changed':
    case 'contract-changed':
    case 'never-built':
    case 'gap':
    case 'checks-changed':
    case 'accepted':
      return said
    case 'unsealed':
    case 'reads-itself':
    case 'backfill':
      return `${said}: ${cause.because.join(', ')}`
  }
}

const verbs: Readonly<Record<PrintedChange['kind'], string>> = {
  'column-added': '+ column',
  'column-removed': '- column',
  'column-changed': '~ column',
  'rows-changed': '~',
  'contract-changed': '~ contract',
  'producer-changed': '~',
  'check-changed': '~ check',
  respelled: '~',
  unknown: '?',
}

/** One difference between two definitions, in a line. */
export function changeLine({ kind, subject, before, after }: PrintedChange): string {
  const head = `${verbs[kind]} ${subject}`
  if (before === null && after === null) return head
  if (before === after) return `${head}: ${before}, of other rows`
  if (before === null) return `${head}: ${after}`
  if (after === null) return kind === 'column-removed' ? `${head}: ${before}` : `${head}: no longer ${before}`
  return `${head}: ${before} → ${after}`
}

function reachedText({ dataset, columns }: Reached): string {
  return columns === null ? dataset : `${dataset} (${columns.join(', ')})`
}

function secondsText(seconds: number): string {
  return seconds < 90
    ? `${seconds.toFixed(1)} s`
    : seconds < 5400
      ? `${(seconds / 60).toFixed(0)} min`
      : `${(seconds / 3600).toFixed(1)} h`
}

function totalLine(datasets: readonly PlannedDataset[]): string | null {
  const known = datasets.filter((one) => one.estimate.seconds !== null)
  if (known.length === 0) return null
  const sum = (key: 'rows' | 'bytes' | 'seconds') => known.reduce((total, one) => total + (one.estimate[key] ?? 0), 0)
  const unknown = datasets.length - known.length
  const rest = unknown > 0 ? `, and ${unknown} ${unknown === 1 ? 'dataset' : 'datasets'} without an estimate` : ''
  return `Together about ${counted(sum('rows'), 'row')}, ${formatBytes(sum('bytes'))}, ${secondsText(sum('seconds'))} of work${rest}.`
}
