import type { TableId } from '../../base/index.ts'
import { isUnpublishedOutcome, type LedgerRow } from '../ledger/ledger.ts'
import type { Outlook } from '../schedule/outlook.ts'

/** What an owner may want to be told of. */
export type NotifyOn = 'failed' | 'refused' | 'late' | 'recovered'

/** What happened, to be told to the owners of the datasets. */
export interface Incident {
  /** The same incident has the same id, however often it is found. */
  readonly id: string
  readonly on: NotifyOn
  /** Empty: all of them. */
  readonly datasets: readonly string[]
  readonly run: string | null
  readonly atMs: number
  readonly message: string
  /** It has not happened yet: it is what past runs let expect. */
  readonly predicted: boolean
  /** Of something late: the tick it is late with. */
  readonly tick?: { readonly schedule: string; readonly atMs: number }
}

/**
 * What the ledger says went wrong, and went well again, with rows after `afterSeq`; what came before decides what there
 * was to recover from. Pure: whoever reads the same ledger finds the same incidents under the same ids.
 */
export function incidentsOf(
  rows: readonly LedgerRow[],
  known: readonly TableId[],
  afterSeq: number,
): readonly Incident[] {
  const failing = new Set<string>()
  const out: Incident[] = []
  for (const [run, own] of Map.groupBy(
    [...rows].sort((a, b) => a.seq - b.seq),
    (row) => row.run,
  )) {
    const isNew = own.some((row) => row.seq > afterSeq)
    const ended = own.find((row) => isUnpublishedOutcome(row.outcome))
    const atMs = Math.max(...own.map((row) => row.judgedAtMs))
    const tell = (on: NotifyOn, datasets: readonly string[], message: string) => {
      if (isNew) out.push({ id: `${on} ${run}`, on, datasets, run, atMs, message, predicted: false })
    }
    // Whoever stops a run knows that it stopped; and nothing is well again by it.
    if (ended?.outcome === 'cancelled') continue
    if (ended) {
      const datasets = atFault(own, ended.message, known)
      for (const dataset of datasets.length > 0 ? datasets : ['*']) failing.add(dataset)
      const said = ended.outcome === 'abandoned' ? 'The process of the run is gone.' : ended.message
      tell(ended.outcome === 'refused' ? 'refused' : 'failed', datasets, said)
      continue
    }
    const again = [...new Set(own.map((row) => row.dataset))].filter((dataset) => failing.has(dataset))
    if (failing.has('*')) again.push('*')
    for (const dataset of again) failing.delete(dataset)
    const datasets = again.includes('*') ? [] : again
    if (again.length > 0) tell('recovered', datasets, `Published again: ${datasets.join(', ') || 'the whole run'}.`)
  }
  return out
}

/** The datasets that a run's message names; of a refused run, if it names none, all that were judged. */
function atFault(rows: readonly LedgerRow[], message: string, known: readonly TableId[]): readonly string[] {
  const named = known.filter((id) => new RegExp(`(^|[^a-z0-9_.])${id.replace('.', '\\.')}($|[^a-z0-9_])`).test(message))
  if (named.length > 0) return named
  return [...new Set(rows.map((row) => row.dataset))].filter((dataset) => dataset !== '*')
}

function toTheSecond(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** What the outlook says is late, or will be. */
export function lateIncidents(outlooks: readonly Outlook[], nowMs: number): readonly Incident[] {
  return outlooks.flatMap((one): Incident[] => {
    if (one.verdict !== 'late' && one.verdict !== 'will-be-late') return []
    const by = new Date(one.byMs).toISOString()
    const expected = one.expectedMs === null ? '' : `; expected ${toTheSecond(one.expectedMs)}`
    const decided = one.chain.length > 0 ? `, decided by ${one.chain.join(' → ')}` : ''
    return [
      {
        id: `late ${one.dataset} ${one.promise} ${by}${one.verdict === 'late' ? '' : ' predicted'}`,
        on: 'late',
        datasets: [one.dataset],
        run: null,
        atMs: nowMs,
        message: `${one.dataset} ${one.verdict === 'late' ? 'is late' : 'will be late'}: promised by ${toTheSecond(one.byMs)} (${one.promise})${expected}${decided}.`,
        predicted: one.verdict === 'will-be-late',
        tick: { schedule: one.schedule ?? '', atMs: one.tickMs },
      },
    ]
  })
}

/** Of what was told to be late, what its tick has been met for since. Pure. */
export function inTimeAgain(
  told: readonly Pick<Incident, 'datasets' | 'tick'>[],
  isMet: (dataset: string, tick: NonNullable<Incident['tick']>) => boolean,
  nowMs: number,
): readonly Incident[] {
  const out = new Map<string, Incident>()
  for (const { datasets, tick } of told) {
    const [dataset] = datasets
    if (dataset === undefined || tick === undefined || !isMet(dataset, tick)) continue
    const at = new Date(tick.atMs).toISOString()
    const id = `recovered ${dataset} ${at}`
    const message = `${dataset} is up to date again${tick.schedule === '' ? '' : `: its tick of ${at} is done`}.`
    out.set(id, { id, on: 'recovered', datasets: [dataset], run: null, atMs: nowMs, message, predicted: false, tick })
  }
  return [...out.values()]
}
