import type { LimnError, TableId } from '../base/index.ts'
import { inputsOf, type Node, type Project } from '../pipeline/index.ts'
import { eventSchema, type FacetMaker, type Facets, type TableFacts } from './facets.ts'
import { type DatasetName, nameOfPlace } from './naming.ts'

/** How a run's state changed. `ABORT`: it ended without its own doing; `FAIL`: it is what went wrong. */
export type EventType = 'START' | 'RUNNING' | 'COMPLETE' | 'ABORT' | 'FAIL'

/** Which of limn's verbs a run is of. */
export type LakeVerb = 'run' | 'backfill' | 'promote'

export interface RunEvent {
  readonly eventType: EventType
  readonly eventTime: string
  readonly producer: string
  readonly schemaURL: string
  readonly run: { readonly runId: string; readonly facets: Facets }
  readonly job: { readonly namespace: string; readonly name: string; readonly facets: Facets }
  readonly inputs: readonly (DatasetName & { readonly facets: Facets; readonly inputFacets?: Facets })[]
  readonly outputs: readonly (DatasetName & { readonly facets: Facets; readonly outputFacets?: Facets })[]
}

/** A run of somebody else that this one is part of: an orchestrator's task. */
export interface ParentRun {
  readonly namespace: string
  readonly name: string
  readonly runId: string
}

/** `namespace/job/run`, as orchestrators hand it over in `OPENLINEAGE_PARENT_ID`; null for anything else. */
export function parentOf(text: string | undefined): ParentRun | null {
  const parts = (text ?? '').split('/')
  const [runId = '', name = ''] = [parts.at(-1), parts.at(-2)]
  const namespace = parts.slice(0, -2).join('/')
  return namespace !== '' && name !== '' && uuidForm.test(runId) ? { namespace, name, runId } : null
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** What a run did to one dataset, as the ledger says it. */
export interface DatasetOutcome {
  readonly dataset: TableId
  readonly snapshotId: bigint | null
  /** Input snapshots, by dataset. */
  readonly inputs: Readonly<Record<string, bigint>>
  /** Of sources: the files that were landed, absolute. */
  readonly delivered: readonly string[]
  readonly rows: number
  readonly bytes: number
  readonly files: number
}

/** What all events of one run have in common. */
export interface EventContext {
  readonly facets: FacetMaker
  readonly project: Project
  readonly version: string
  readonly lake: string
  readonly verb: LakeVerb
  /** The namespace of jobs. */
  readonly namespace: string
  readonly runId: string
  /** What is to be said with every event of it, beside what all runs say. */
  readonly always?: Facets
  readonly parent: ParentRun | null
  /** The location of a dataset's table. */
  readonly locationOf: (id: TableId) => string
}

export interface EventDetail {
  readonly type: EventType
  readonly atMs: number
  readonly error?: unknown
  /** The ledger's name of the run, once it is known. */
  readonly ledgerRun?: string | null
  /** What is to be said with this event alone. */
  readonly more?: Facets
}

/** An event of the run as a whole. */
export function lakeEvent(context: EventContext, detail: EventDetail): RunEvent {
  const { facets, parent } = context
  return {
    ...head(context, detail),
    run: { runId: context.runId, facets: { ...runFacets(context, detail), ...parentFacet(facets, parent, parent) } },
    job: {
      namespace: context.namespace,
      name: jobOf(context),
      facets: { jobType: jobType(context, context.verb.toUpperCase()) },
    },
    inputs: [],
    outputs: [],
  }
}

/** An event of one dataset's part in the run; its run is a child of the run as a whole. */
export function datasetEvent(
  context: EventContext,
  detail: EventDetail & { readonly runId: string },
  node: Node,
  outcome: DatasetOutcome | null,
): RunEvent {
  const { facets } = context
  const place = (id: TableId, snapshotId: bigint | null): TableFacts => tableFacts(context, id, snapshotId)
  const inputs = inputsOf(node).map((id) => place(id, outcome?.inputs[id] ?? null))
  const output = place(node.id, detail.type === 'COMPLETE' ? (outcome?.snapshotId ?? null) : null)
  const columns = node.lineage && facets.columnLineage(node.lineage, new Map(inputs.map((one) => [one.id, one])))
  return {
    ...head(context, detail),
    run: childRun(context, detail),
    job: {
      namespace: context.namespace,
      name: node.id,
      facets: {
        jobType: jobType(context, node.producer.kind === 'source' ? 'INGEST' : 'MODEL'),
        ...(node.query ? { sql: facets.of('sql', { query: node.query.text, dialect: 'duckdb' }) } : {}),
        documentation: facets.of('jobDocumentation', { description: node.contract.doc }),
      },
    },
    inputs: [
      ...inputs.map((one) => ({ ...nameOfPlace(one.location), facets: facets.table(one) })),
      ...(outcome?.delivered ?? []).map((file) => ({ ...nameOfPlace(file), facets: {} })),
    ],
    outputs: [
      {
        ...nameOfPlace(output.location),
        facets: { ...facets.table(output), ...(columns ? { columnLineage: columns } : {}) },
        ...statistics(facets, detail, outcome),
      },
    ],
  }
}

/** A table of an environment that is published: no query makes it, its rows are those that the environment has. */
export interface Moved {
  readonly table: TableId
  readonly from: { readonly location: string; readonly snapshotId: bigint | null }
}

/** An event of one table's part in the promotion of an environment. */
export function movedEvent(
  context: EventContext,
  detail: EventDetail & { readonly runId: string },
  { table, from }: Moved,
  outcome: DatasetOutcome | null,
): RunEvent {
  const { facets } = context
  const output = tableFacts(context, table, detail.type === 'COMPLETE' ? (outcome?.snapshotId ?? null) : null)
  const input = { ...output, ...from }
  return {
    ...head(context, detail),
    run: childRun(context, detail),
    job: {
      namespace: context.namespace,
      name: `${jobOf(context)}.${table}`,
      facets: { jobType: jobType(context, 'PROMOTE') },
    },
    inputs: [{ ...nameOfPlace(input.location), facets: facets.table(input) }],
    outputs: [
      {
        ...nameOfPlace(output.location),
        facets: facets.table(output),
        ...statistics(facets, detail, outcome),
      },
    ],
  }
}

function jobOf({ lake, verb }: EventContext): string {
  return `${lake}.${verb}`
}

function jobType({ facets }: EventContext, kind: string) {
  return facets.of('jobType', { processingType: 'BATCH', integration: 'LIMN', jobType: kind })
}

/** A run within the run as a whole. */
function childRun(context: EventContext, detail: EventDetail & { readonly runId: string }): RunEvent['run'] {
  const own: ParentRun = { namespace: context.namespace, name: jobOf(context), runId: context.runId }
  const parent = parentFacet(context.facets, own, context.parent ?? own)
  return { runId: detail.runId, facets: { ...runFacets(context, detail), ...parent } }
}

/** How much was published: nothing is until a run is complete. */
function statistics(facets: FacetMaker, { type }: EventDetail, outcome: DatasetOutcome | null) {
  if (type !== 'COMPLETE' || outcome === null) return {}
  const { rows, bytes, files } = outcome
  return {
    outputFacets: {
      outputStatistics: facets.of('outputStatistics', { rowCount: rows, size: bytes, fileCount: files }),
    },
  }
}

function head(context: EventContext, { type, atMs }: EventDetail) {
  return {
    eventType: type,
    eventTime: new Date(atMs).toISOString(),
    producer: context.facets.producer,
    schemaURL: eventSchema,
  }
}

function runFacets({ facets, version, always }: EventContext, { error, ledgerRun, more }: EventDetail): Facets {
  return {
    ...always,
    ...more,
    processing_engine: facets.of('processing_engine', { name: 'limn', version, openlineageAdapterVersion: version }),
    ...(ledgerRun ? { limn_run: facets.own({ run: ledgerRun }) } : {}),
    ...(error === undefined
      ? {}
      : { errorMessage: facets.of('errorMessage', { message: messageOf(error), programmingLanguage: 'TypeScript' }) }),
  }
}

/** The end of a run whose process is gone: what it told when it began, and that nobody knows more. */
export function abandonedEvent(began: RunEvent, facets: FacetMaker, atMs: number): RunEvent {
  const message = 'The process ended without a word. What it published, if anything, is in the ledger: limn runs ls'
  const errorMessage = facets.of('errorMessage', { message, programmingLanguage: 'TypeScript' })
  return {
    ...began,
    eventType: 'ABORT',
    eventTime: new Date(atMs).toISOString(),
    run: { ...began.run, facets: { ...began.run.facets, errorMessage } },
  }
}

/** What happened, what did not and what to do, without a stack. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { notDone, remedy } = error as Partial<LimnError>
  return [error.message, notDone, remedy].filter((part) => typeof part === 'string' && part !== '').join(' ')
}

function parentFacet(facets: FacetMaker, parent: ParentRun | null, root: ParentRun | null): Facets {
  if (!parent || !root) return {}
  const shape = ({ runId, namespace, name }: ParentRun) => ({ run: { runId }, job: { namespace, name } })
  return { parent: facets.of('parent', { ...shape(parent), root: shape(root) }) }
}

function tableFacts(context: EventContext, id: TableId, snapshotId: bigint | null): TableFacts {
  const contract = context.project.nodes.get(id)?.contract
  return {
    lake: context.namespace,
    id,
    location: context.locationOf(id),
    columns: contract?.columns ?? {},
    ...(contract ? { doc: contract.doc, owner: contract.owner } : {}),
    snapshotId,
  }
}
