import { tableId } from '../../base/index.ts'
import { formatMicros, type Interval } from '../../dataset/index.ts'
import { whyAgainst, whyTrail } from '../../lake/index.ts'
import type { ApartReport, TrailReport } from '../../pipeline/index.ts'
import { parseRange } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { toJson } from '../text.ts'
import { trailText } from '../trail-text.ts'
import { apartText } from '../why-text.ts'
import { openLake, rangeOptionsOf, textOption } from './open.ts'

/** Says where a number comes from, or why it is not the same as another. */
export default async function why(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const table = tableId(args[0] ?? '')
  const against = textOption(invocation, 'against')
  await using lake = await openLake(invocation)
  if (against !== undefined) {
    const [measure, measureAgainst] = [textOption(invocation, 'measure'), textOption(invocation, 'measureAgainst')]
    const [by, key, where, at] = [
      textOption(invocation, 'by'),
      textOption(invocation, 'key'),
      textOption(invocation, 'where'),
      textOption(invocation, 'at'),
    ]
    const report = await whyAgainst(lake, table, {
      against,
      range: parseRange(rangeOptionsOf(invocation)),
      ...(measure === undefined ? {} : { measure }),
      ...(measureAgainst === undefined ? {} : { measureAgainst }),
      ...(by === undefined ? {} : { by: by.split(',').map((name) => name.trim()) }),
      ...(key === undefined ? {} : { key: key.split(',').map((value) => value.trim()) }),
      ...(where === undefined ? {} : { where }),
      ...(at === undefined ? {} : { at }),
    })
    io.out(io.json ? toJson(apartValue(report)) : apartText(report, io.width).join('\n'))
    return 0
  }
  const [key, column, where] = [
    textOption(invocation, 'key'),
    textOption(invocation, 'column'),
    textOption(invocation, 'where'),
  ]
  const report = await whyTrail(lake, table, {
    range: parseRange(rangeOptionsOf(invocation)),
    ...(key === undefined ? {} : { key: key.split(',').map((value) => value.trim()) }),
    ...(column === undefined ? {} : { column }),
    ...(where === undefined ? {} : { where }),
  })
  io.out(io.json ? toJson(trailValue(report)) : trailText(report, io.width).join('\n'))
  return 0
}

function trailValue(report: TrailReport) {
  const id = (value: bigint | null) => (value === null ? null : String(value))
  return {
    ...report,
    steps: report.steps.map((one) => ({
      ...one,
      snapshotId: id(one.snapshotId),
      direct: one.direct.map(String),
      scope: { ...one.scope, times: one.scope.times?.intervals.map(ends) ?? null },
    })),
    history: report.history.map((one) => ({ ...one, snapshotId: id(one.snapshotId) })),
  }
}

function ends(interval: Interval) {
  return { start: formatMicros(interval.start), end: formatMicros(interval.end) }
}

/** Snapshot ids as text, ends of intervals as dates. */
function apartValue(report: ApartReport) {
  const id = (value: bigint | null) => (value === null ? null : String(value))
  return {
    ...report,
    snapshotId: id(report.snapshotId),
    against: { ...report.against, snapshotId: id(report.against.snapshotId) },
    numbers: {
      ...report.numbers,
      intervals: report.numbers.intervals.map((one) => ({ ...one, interval: ends(one.interval) })),
    },
    steps: report.steps.map((one) => ({
      ...one,
      before: id(one.before),
      after: id(one.after),
      intervals: one.intervals.map(ends),
    })),
    findings: report.findings.map((one) => ({
      ...one,
      origin:
        one.origin.kind === 'state'
          ? { ...one.origin, before: id(one.origin.before), after: id(one.origin.after) }
          : one.origin,
      intervals: one.intervals.map(ends),
    })),
  }
}
