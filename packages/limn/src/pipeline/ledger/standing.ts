import type { TableId } from '../../base/index.ts'
import { ancestorsOf, type LoadedTable, type TableMetadata } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import { appendProperty } from './append.ts'
import { type Built, type DatasetLedger, type Delivery, foldLedger, foldRename } from './ledger.ts'
import { readFoldedRows, revivedIds } from './ledger-read.ts'

/** Where each dataset stands, as published in one state of the ledger. */
export interface Standing {
  readonly datasets: ReadonlyMap<TableId, DatasetLedger>
  /** The order of publication of the last row; 0 before the first. */
  readonly lastSeq: number
}

const nothing: Standing = { datasets: new Map(), lastSeq: 0 }

/** A standing larger than this as JSON is not kept: reading the ledger anew is cheaper than keeping it twice. */
const keptCharactersMax = 50_000_000

/**
 * Folds the ledger. The last fold is kept in the state database with the snapshot it was of, and only rows after it are
 * read where limn's own appends alone lie between; otherwise, or without it, all rows are.
 */
export async function standingOf(context: PipelineContext, loaded: LoadedTable | null): Promise<Standing> {
  const published = await publishedStanding(context, loaded)
  if (!context.renames || context.renames.length === 0) return published
  const datasets = new Map(published.datasets)
  for (const rename of context.renames) foldRename(datasets, rename)
  return { ...published, datasets }
}

async function publishedStanding(context: PipelineContext, loaded: LoadedTable | null): Promise<Standing> {
  const snapshotId = loaded?.metadata.currentSnapshotId ?? null
  if (!loaded || snapshotId === null) return nothing
  const key = `standing ${loaded.metadata.tableUuid}`
  const kept = read(context.runs.fact(key))
  if (kept && kept.snapshotId === snapshotId) return kept.standing
  const from = kept && onlyAppendedSince(loaded.metadata, kept.snapshotId) ? kept.standing : nothing
  let { datasets, lastSeq } = from
  for await (const rows of readFoldedRows(context, loaded, from.lastSeq)) {
    datasets = foldLedger(rows, datasets)
    lastSeq = rows.at(-1)?.seq ?? lastSeq
  }
  const standing: Standing = { datasets, lastSeq }
  const text = write(snapshotId, standing)
  if (text.length <= keptCharactersMax) context.runs.rememberFact(key, text)
  return standing
}

function onlyAppendedSince(metadata: TableMetadata, since: bigint): boolean {
  if (metadata.currentSnapshotId === null) return false
  for (const snapshot of ancestorsOf(metadata, metadata.currentSnapshotId)) {
    if (snapshot.snapshotId === since) return true
    if (snapshot.summary[appendProperty] === undefined && snapshot.operation !== 'replace') return false
  }
  return false
}

/** Raised when what is folded, or how, changes. */
const form = 1

interface KeptBuilt extends Omit<Built, 'inputs'> {
  readonly inputs: Readonly<Record<string, string>>
}

interface KeptDataset extends Omit<DatasetLedger, 'built' | 'latest' | 'outputSnapshot'> {
  readonly id: string
  readonly built: readonly KeptBuilt[]
  readonly latest: readonly (readonly [string, Delivery])[]
  readonly outputSnapshot: string | null
}

interface Kept {
  readonly form: number
  readonly snapshotId: string
  readonly lastSeq: number
  readonly datasets: readonly KeptDataset[]
}

function write(snapshotId: bigint, standing: Standing): string {
  const kept: Kept = {
    form,
    snapshotId: String(snapshotId),
    lastSeq: standing.lastSeq,
    datasets: [...standing.datasets].map(([id, one]) => ({
      ...one,
      id,
      built: one.built.map((entry) => ({ ...entry, inputs: asText(entry.inputs) })),
      latest: [...one.latest],
      outputSnapshot: one.outputSnapshot === null ? null : String(one.outputSnapshot),
    })),
  }
  return JSON.stringify(kept)
}

function asText(ids: Readonly<Record<string, bigint>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, String(id)]))
}

function read(text: string | null): { readonly snapshotId: bigint; readonly standing: Standing } | null {
  const kept = text === null ? null : (JSON.parse(text) as Kept)
  if (kept === null || kept.form !== form) return null
  const datasets = new Map(
    kept.datasets.map(({ id, ...one }): readonly [TableId, DatasetLedger] => [
      id as TableId,
      {
        ...one,
        built: one.built.map((entry) => ({ ...entry, inputs: revivedIds(entry.inputs) })),
        latest: new Map(one.latest),
        outputSnapshot: one.outputSnapshot === null ? null : BigInt(one.outputSnapshot),
      },
    ]),
  )
  return { snapshotId: BigInt(kept.snapshotId), standing: { datasets, lastSeq: kept.lastSeq } }
}
