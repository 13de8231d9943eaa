import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import type { EnvironmentName } from '../../catalog/index.ts'
import { type LoadedTable, snapshotById } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import { type LedgerRow, publishedOutcomes } from '../ledger/ledger.ts'
import type { StagedTable } from '../stage/staged-table.ts'
import type { ChangedTable } from './changes.ts'
import { forkOriginOf } from './standing.ts'

/** A row of an environment's own ledger that says what was published there. */
export type EnvironmentRow = LedgerRow

/** What an environment did since it was made, in order. */
export function rowsSince(ledger: LoadedTable | null, rows: readonly LedgerRow[]): readonly EnvironmentRow[] {
  const last = (ledger && forkOriginOf(ledger.metadata)?.lastSeq) ?? 0
  // Names are each side's own: production renames by the definitions, as the environment did.
  return rows.filter(
    (row) => row.seq > last && row.dataset !== '*' && row.outcome !== 'renamed' && publishedOutcomes.has(row.outcome),
  )
}

/** Refuses rows of definitions that are no longer: production would be told that it has what nobody asks for. */
export function requireCurrentCode(
  { project }: PipelineContext,
  environment: EnvironmentName,
  rows: readonly EnvironmentRow[],
): void {
  const latest = new Map(rows.map((row) => [row.dataset as TableId, row.fingerprint]))
  for (const [id, fingerprint] of latest) {
    const node = project.nodes.get(id)
    if (node?.fingerprint === fingerprint) continue
    throw new LimnError('environment/stale', {
      message: node
        ? `${id} was built in ${environment} by another definition than the present one.`
        : `${id} was built in ${environment}, and no dataset of that name is defined.`,
      notDone: 'Nothing was published.',
      remedy: node ? `Build it by the present one: limn run --env ${environment}` : 'Put its definition back.',
      context: { dataset: id },
    })
  }
}

interface Common {
  readonly run: RunId
  readonly judgedAtMs: number
  readonly host: string
  readonly version: string
  /** What a gate said; empty when it is published. */
  readonly refused: string
}

/**
 * The rows of an environment as rows of production's ledger: the same intervals, fingerprints and deliveries, and inputs by
 * production's snapshots. An input is left out where production has no snapshot with the rows that were read: the next run
 * then takes it for changed, and builds again what reads it.
 */
export async function promotedRows(
  production: PipelineContext,
  environment: EnvironmentName,
  rows: readonly EnvironmentRow[],
  tables: readonly ChangedTable[],
  staged: ReadonlyMap<TableId, StagedTable>,
  common: Common,
): Promise<readonly Omit<LedgerRow, 'seq'>[]> {
  const ids = [...new Set(rows.flatMap((row) => [row.dataset as TableId, ...(Object.keys(row.inputs) as TableId[])]))]
  const mains = await production.catalog.loadTables(
    ids.filter((id) => production.project.nodes.has(id)),
    { signal: production.signal },
  )
  const changed = new Map(tables.map((one) => [one.table, one]))
  const { refused, ...rest } = common
  return rows.map((row) => {
    const id = row.dataset as TableId
    const main = mains.get(id)?.metadata.currentSnapshotId ?? null
    const inputs = Object.entries(row.inputs).flatMap(([input, snapshotId]) => {
      const known = productionSnapshot(
        changed.get(input as TableId),
        staged.get(input as TableId),
        mains.get(input as TableId) ?? null,
        snapshotId,
      )
      return known === null ? [] : [[input, known] as const]
    })
    return {
      ...row,
      ...rest,
      outcome: refused === '' ? row.outcome : 'refused',
      inputs: production.project.nodes.get(id)?.producer.kind === 'source' ? row.inputs : Object.fromEntries(inputs),
      baseSnapshot: main,
      outputSnapshot: staged.get(id)?.snapshotId ?? main,
      message: refused === '' ? `promoted from ${environment}, run ${row.run}` : refused,
    }
  })
}

/** The snapshot of production with the rows that a snapshot of an environment's table has; null: there is none. */
function productionSnapshot(
  change: ChangedTable | undefined,
  staged: StagedTable | undefined,
  main: LoadedTable | null,
  snapshotId: bigint,
): bigint | null {
  const head = change?.there?.metadata.currentSnapshotId
  if (staged && snapshotId === head) return change?.productionMoved && change.origin ? null : staged.snapshotId
  return main && snapshotById(main.metadata, snapshotId) ? snapshotId : null
}
