import { formatMicros, type Interval } from '../dataset/index.ts'
import type { Doubt, Proof } from '../pipeline/index.ts'
import { rowsText } from './row-diff-text.ts'
import { formatTable } from './text.ts'

const reasons: Readonly<Record<Doubt['kind'], string>> = {
  random: 'draws at random',
  clock: 'asks the time',
  order: 'takes rows as they come: give it an order',
  ties: 'orders rows by what need not tell them apart: add columns until it does',
  'sum-order': 'adds binary fractions, whose last digits depend on the order: use decimal, or round',
  sample: 'takes some of the rows',
  approximate: 'counts by a sketch that depends on the order of rows',
  unexplained: 'differs, and nothing in its expression says why',
}

/** What proofs found: a table of verdicts, then each expression that came out otherwise. */
export function proofsText(proofs: readonly Proof[], width: number): readonly string[] {
  const lines = [
    formatTable(
      ['model', 'interval', 'rows', 'verdict', 'first s', 'second s', 'compare s'],
      proofs.map((one) => [
        one.dataset,
        one.interval ? formatMicros(one.interval.start).slice(0, 10) : one.verdict === 'unbuilt' ? '' : 'whole',
        one.rows,
        one.verdict,
        one.seconds.first.toFixed(2),
        one.seconds.second.toFixed(2),
        one.seconds.compare.toFixed(2),
      ]),
      width,
    ),
  ]
  for (const proof of proofs) {
    lines.push(...unprovenText(proof))
    for (const one of proof.differs)
      lines.push(
        '',
        `${proof.dataset}${one.column === null ? '' : `.${one.column}`} differs in ${rowsText(one.rows)}: ${one.expression} ${reasons[one.kind]}.`,
        ...sampleText(proof, one),
      )
    for (const one of proof.mayDiffer)
      lines.push(
        '',
        `${proof.dataset}${one.column === null ? '' : `.${one.column}`} came out the same and need not: ${one.expression} ${reasons[one.kind]}.`,
      )
  }
  return lines
}

function spanText({ start, end }: Interval): string {
  return `${formatMicros(start)} to ${formatMicros(end)}`
}

/** Why nothing was proven of a model, and what to do. */
function unprovenText({ dataset, interval, verdict, domain }: Proof): readonly string[] {
  switch (verdict) {
    case 'same':
    case 'differs':
      return []
    case 'unbuilt':
      return [
        '',
        `Nothing was proven of ${dataset}: it, or what it reads, has no rows yet. Build it: limn run +${dataset}`,
      ]
    case 'outside': {
      const asked = interval ? `from ${spanText(interval)}` : 'then'
      const there = domain ? `its rows are from ${spanText(domain)}` : 'it has none at any time'
      return ['', `Nothing was proven of ${dataset}: there are no rows ${asked}; ${there}.`]
    }
  }
}

function sampleText(proof: Proof, doubt: Doubt): readonly string[] {
  for (const row of proof.sample)
    if (row.kind === 'changed') {
      const cell = row.columns.find((one) => one.name === doubt.column)
      if (cell)
        return [
          `  ${row.key.map((value) => value ?? 'null').join(', ')}: ${cell.before ?? 'null'} and ${cell.after ?? 'null'}`,
        ]
    }
  return []
}

/** A proof for `--json`: ends of its interval and domain as text. */
export function proofValue(proof: Proof) {
  const ends = (one: Interval | null) => one && { start: formatMicros(one.start), end: formatMicros(one.end) }
  return { ...proof, interval: ends(proof.interval), domain: ends(proof.domain) }
}
