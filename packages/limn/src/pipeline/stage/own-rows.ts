import { invariant, type TableId, tableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import { earlierOf, type Interval } from '../../dataset/index.ts'
import type { BoundTable, BoundView } from '../../engine/index.ts'
import { type DataFile, planOf, type ScanPlan, type ScanTask, type TableMetadata } from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { bindFiles, leaseFiles, liveTableTasks, type PinnedTable, schemaOfPin } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node } from '../project/node.ts'
import { boundQuery } from './bound-sql.ts'
import { type Target, targetOf } from './staged-table.ts'
import { intervalOfFile } from './view.ts'

/** The name under which the files of a dataset's own table stand; its query sees a view of them. */
const ownFiles: TableId = tableId('limn_own.rows')

/** A dataset that reads itself, as it is or was defined. */
export type OwnReader = Pick<Node, 'id' | 'self' | 'shape'>

/** A state of a dataset's own table that no snapshot need have: files of it, read by one of its schemas. */
export interface OwnState {
  readonly metadata: TableMetadata
  readonly schema: Schema
  readonly files: readonly ScanTask[]
}

/** A dataset's own table as it stands; without a row, and as its contract says, before it is built. */
export async function ownStateOf(
  context: PipelineContext,
  contract: Contract,
  pin: PinnedTable | null,
): Promise<OwnState> {
  return pin ? ownStateAt(context, pin) : new OwnTable(targetOf(context, contract, null), []).state
}

/** A dataset's own table as a snapshot has it. */
export async function ownStateAt(context: PipelineContext, pin: PinnedTable): Promise<OwnState> {
  const files = await liveTableTasks(context, pin)
  return { metadata: pin.metadata, schema: schemaOfPin(pin), files }
}

/** What a query of a dataset that reads itself has under its own name. */
export interface OwnReading extends AsyncDisposable {
  /** The files, then the view that the query sees. */
  readonly bound: readonly [BoundTable, BoundView]
  readonly scan: ScanPlan
}

/**
 * Binds a dataset's own name to the rows of its earlier intervals, as far back as it reads: a filter on the interval column over
 * its files, so that no query gets others, whatever it asks for.
 */
export async function bindOwn(
  context: PipelineContext,
  node: OwnReader,
  state: OwnState,
  interval: Interval,
): Promise<OwnReading> {
  const { metadata, schema } = state
  const files = state.files.filter(({ file }) => mayHoldEarlier(node, metadata, schema, file, interval))
  const bytes = state.files.reduce((sum, { file }) => sum + Number(file.fileSizeInBytes), 0)
  const lease = await leaseFiles(context, files)
  const pin = { id: node.id, metadata, snapshotId: null, schemaId: schema.schemaId }
  return {
    bound: [
      { ...bindFiles(pin, files, lease), id: ownFiles },
      { id: node.id, schema, query: earlierRows(node, interval, ownFiles) },
    ],
    scan: planOf(files, { manifests: 0, files: state.files.length, bytes }, 0),
    [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
  }
}

/** The rows of earlier intervals among those of a table, as a query. */
export function earlierRows(node: OwnReader, interval: Interval, from: TableId): string {
  const { self, shape } = node
  invariant(self && shape.kind === 'interval', `${node.id} reads itself`)
  const { start, end } = earlierOf(self, interval)
  const column = quoteIdentifier(shape.column)
  const since = start === null ? '' : `${column} >= $interval_start AND `
  return boundQuery(`SELECT * FROM ${from} WHERE ${since}${column} < $interval_end`, shape, {
    start: start ?? end,
    end,
  })
}

/** Whether a file can hold a row that an interval reads; one whose partition does not say can. */
function mayHoldEarlier(
  { self, shape }: OwnReader,
  metadata: TableMetadata,
  schema: Schema,
  file: DataFile,
  interval: Interval,
): boolean {
  if (!self || shape.kind !== 'interval') return false
  const own = intervalOfFile(file, metadata, schema, shape)
  if (own === null) return true
  const { start, end } = earlierOf(self, interval)
  return own.start < end && (start === null || own.end > start)
}

/** A dataset's own table while its intervals are built one after the other: main, with what was built since in its place. */
export class OwnTable {
  private readonly target: Target
  private files: readonly ScanTask[]

  constructor(target: Target, files: readonly ScanTask[]) {
    this.target = target
    this.files = files
  }

  /** As it is now. */
  get state(): OwnState {
    return { metadata: this.target.evolved, schema: this.target.layout.schema, files: this.files }
  }

  replace(change: { readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] }): void {
    this.files = withFiles(this.files, change)
  }
}

/** Files of a table with those of a change in the place of others. New files have no deletes. */
export function withFiles(
  files: readonly ScanTask[],
  { added, removed }: { readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] },
): readonly ScanTask[] {
  const gone = new Set(removed.map((file) => file.path))
  const fresh = added.map((file): ScanTask => ({ file, dataSequenceNumber: 0n, fileSequenceNumber: 0n, deletes: [] }))
  return [...files.filter(({ file }) => !gone.has(file.path)), ...fresh]
}
