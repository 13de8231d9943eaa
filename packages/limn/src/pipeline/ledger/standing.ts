import { invariant, type TableId } from '../../base/index.ts'
import type { Interval } from '../../dataset/index.ts'
import { ancestorsOf, type LoadedTable, type TableMetadata } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import { appendProperty } from './append.ts'
import { type BuildSample, type Built, type DatasetLedger, type Delivery, foldLedger, foldRename } from './ledger.ts'
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

/** Raised when what is folded, or how it is kept, changes. */
const form = 2

/** An interval's start and end, null for a whole dataset; which text is its fingerprint; which inputs it has. */
type KeptBuilt = readonly [start: number | null, end: number | null, fingerprint: number, inputs: number]

type KeptSample = readonly [
  run: number,
  start: number | null,
  end: number | null,
  outcome: BuildSample['outcome'],
  rows: number,
  bytes: number,
  deliveries: number,
  startedAtMs: number,
  seconds: number,
]

interface KeptDataset extends Omit<DatasetLedger, 'built' | 'latest' | 'outputSnapshot' | 'samples'> {
  readonly id: string
  readonly built: readonly KeptBuilt[]
  readonly samples: readonly KeptSample[]
  readonly latest: readonly (readonly [string, Delivery])[]
  readonly outputSnapshot: string | null
}

/** Texts and inputs that thousands of entries have in common are kept once. */
interface Kept {
  readonly form: number
  readonly snapshotId: string
  readonly lastSeq: number
  readonly texts: readonly string[]
  readonly inputs: readonly Readonly<Record<string, string>>[]
  readonly datasets: readonly KeptDataset[]
}

/** Numbers things in the order in which they first come. */
class Numbered<T> {
  private readonly numbers = new Map<T, number>()

  of(one: T): number {
    let number = this.numbers.get(one)
    if (number === undefined) {
      number = this.numbers.size
      this.numbers.set(one, number)
    }
    return number
  }

  all(): readonly T[] {
    return [...this.numbers.keys()]
  }
}

function write(snapshotId: bigint, standing: Standing): string {
  const texts = new Numbered<string>()
  const inputs = new Numbered<Built['inputs']>()
  const datasets = [...standing.datasets].map(
    ([id, one]): KeptDataset => ({
      ...one,
      id,
      built: one.built.map(({ interval, fingerprint, inputs: of }) => [
        interval?.start ?? null,
        interval?.end ?? null,
        texts.of(fingerprint),
        inputs.of(of),
      ]),
      samples: one.samples.map(({ run, interval, outcome, rows, bytes, deliveries, startedAtMs, seconds }) => [
        texts.of(run),
        interval?.start ?? null,
        interval?.end ?? null,
        outcome,
        rows,
        bytes,
        deliveries,
        startedAtMs,
        seconds,
      ]),
      latest: [...one.latest],
      outputSnapshot: one.outputSnapshot === null ? null : String(one.outputSnapshot),
    }),
  )
  const kept: Kept = {
    form,
    snapshotId: String(snapshotId),
    lastSeq: standing.lastSeq,
    texts: texts.all(),
    inputs: inputs.all().map(asText),
    datasets,
  }
  return JSON.stringify(kept)
}

function asText(ids: Readonly<Record<string, bigint>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, String(id)]))
}

function read(text: string | null): { readonly snapshotId: bigint; readonly standing: Standing } | null {
  const kept = text === null ? null : (JSON.parse(text) as Kept)
  if (kept === null || kept.form !== form) return null
  const inputs = kept.inputs.map(revivedIds)
  const textOf = (number: number) => named(kept.texts[number])
  const inputsOf = (number: number) => named(inputs[number])
  const datasets = new Map(
    kept.datasets.map(({ id, ...one }): readonly [TableId, DatasetLedger] => [
      id as TableId,
      {
        ...one,
        built: one.built.map(([start, end, fingerprint, of]) => ({
          interval: intervalOf(start, end),
          fingerprint: textOf(fingerprint),
          inputs: inputsOf(of),
        })),
        samples: one.samples.map(([run, start, end, outcome, rows, bytes, deliveries, startedAtMs, seconds]) => ({
          run: textOf(run),
          interval: intervalOf(start, end),
          outcome,
          rows,
          bytes,
          deliveries,
          startedAtMs,
          seconds,
        })),
        latest: new Map(one.latest),
        outputSnapshot: one.outputSnapshot === null ? null : BigInt(one.outputSnapshot),
      },
    ]),
  )
  return { snapshotId: BigInt(kept.snapshotId), standing: { datasets, lastSeq: kept.lastSeq } }
}

function intervalOf(start: number | null, end: number | null): Interval | null {
  return start === null || end === null ? null : { start, end }
}

function named<T>(one: T | undefined): T {
  invariant(one !== undefined, 'what is kept of the ledger names what it has')
  return one
}
