import { countUnits, type IntervalUnit } from '../../dataset/index.ts'
import type { BuildSample, DatasetLedger } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import { isBuild, type PlanItem } from './plan.ts'

/** What planned work will take, by past work of the same dataset; null: nothing to tell it by. */
export interface Estimate {
  readonly rows: number | null
  readonly bytes: number | null
  readonly seconds: number | null
  /** Past builds it is told from. */
  readonly samples: number
}

interface PerUnit {
  readonly rows: number | null
  readonly bytes: number | null
  readonly seconds: number | null
}

/**
 * The median of past work per unit (interval, whole build, or delivery) times the units planned. Unknown for a dataset never
 * built, and where the plan does not say which intervals.
 */
export function estimateOf(node: Node, items: readonly PlanItem[], ledger: DatasetLedger | undefined): Estimate {
  const samples = ledger?.samples ?? []
  const unit = node.shape.kind === 'interval' ? node.shape.unit : null
  const units = unitsOf(items, unit)
  const builds = together(samples, unit)
  if (units === null || builds.length === 0) return { rows: null, bytes: null, seconds: null, samples: builds.length }
  const median = (key: keyof PerUnit) => {
    const values = builds.flatMap((one) => (one[key] === null ? [] : [one[key]])).sort((a, b) => a - b)
    const middle = values[values.length >> 1]
    return middle === undefined ? null : middle * units
  }
  const rounded = (value: number | null) => (value === null ? null : Math.round(value))
  return {
    rows: rounded(median('rows')),
    bytes: rounded(median('bytes')),
    seconds: median('seconds'),
    samples: builds.length,
  }
}

function unitsOf(items: readonly PlanItem[], unit: IntervalUnit | null): number | null {
  if (!items.some(isBuild)) return null
  let units = 0
  for (const item of items.filter(isBuild)) {
    if (item.reason === 'asked-at-run') return null
    if (unit === null) units += 1
    else if (item.interval === null) return null
    else units += countUnits(unit, item.interval)
  }
  return units
}

/** Ranges that one build made together share its time, so they count as one. */
function together(samples: readonly BuildSample[], unit: IntervalUnit | null): readonly PerUnit[] {
  const builds = new Map<string, BuildSample[]>()
  for (const sample of samples) {
    const key = `${sample.run} ${sample.startedAtMs} ${sample.seconds}`
    const found = builds.get(key)
    if (found) found.push(sample)
    else builds.set(key, [sample])
  }
  return [...builds.values()].flatMap((parts): PerUnit[] => {
    const unitsIn = (some: readonly BuildSample[]) => some.reduce((sum, one) => sum + unitsOfSample(one, unit), 0)
    const written = parts.filter((one) => one.outcome !== 'kept')
    const [all, wrote] = [unitsIn(parts), unitsIn(written)]
    if (all === 0) return []
    const total = (key: 'rows' | 'bytes') =>
      wrote === 0 ? null : written.reduce((sum, one) => sum + one[key], 0) / wrote
    return [{ rows: total('rows'), bytes: total('bytes'), seconds: (parts[0]?.seconds ?? 0) / all }]
  })
}

function unitsOfSample(sample: BuildSample, unit: IntervalUnit | null): number {
  if (sample.outcome === 'landed') return Math.max(1, sample.deliveries)
  return unit === null || sample.interval === null ? 1 : countUnits(unit, sample.interval)
}
