import { counted, LimnError, type TableId, tableId } from '../../base/index.ts'
import type { Increment } from '../../dataset/index.ts'
import type { Bound, Session } from '../../engine/index.ts'
import { ancestorsOf, differ, type ScanTask, snapshotById } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import {
  bindFiles,
  leaseFiles,
  type PinnedTable,
  pinRef,
  putFiles,
  schemaOfPin,
  writeLocal,
} from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Built } from '../ledger/ledger.ts'
import type { PlanItem } from '../plan/plan.ts'
import { incrementOf } from '../project/increment.ts'
import type { Node } from '../project/node.ts'
import { sourceColumns } from './landing.ts'
import { quarantineWriter } from './quarantine.ts'
import { Rejecting } from './reject-increment.ts'
import { bindViews, inputSnapshots, type RangeResult, type StagedDataset, type StageInputs } from './stage.ts'
import { type StagedTable, stageTable, type Target } from './staged-table.ts'
import { type DatasetView, tasksOfView, viewOf } from './view.ts'

/** What came to an input and what left it since a dataset was built, as files. */
interface Changed {
  readonly input: TableId
  readonly pin: PinnedTable
  readonly added: readonly ScanTask[]
  readonly removed: readonly ScanTask[]
}

/** Names under which an increment binds rows that are no table. */
const oldRows = tableId('limn_diff.old')
const addedOf = (i: number) => tableId(`limn_diff.added_${i}`)
const removedOf = (i: number) => tableId(`limn_diff.removed_${i}`)

/** What an increment comes to. */
interface Step {
  /** The SQL of all rows to be written. */
  readonly rows: string
  /** Old files that these rows replace. */
  readonly removed: readonly ScanTask[]
  /** Nothing of the table changes. */
  readonly nothing: boolean
  /** Rows that reject rules took out of these. */
  readonly quarantined: number
}

/**
 * Brings a dataset up to date from what changed in its inputs between the snapshots that the ledger has for its last build
 * and those this run reads. That the ledger's row and the rows are one commit is what makes each change count exactly
 * once. Null when the dataset is to be built whole: it states no increment, was not built by this definition, was asked to
 * be rebuilt, was written to by others, or a snapshot it was built from is gone.
 */
export async function stageIncrement(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  views: ReadonlyMap<TableId, DatasetView>,
  replaces: StagedDataset | null,
): Promise<StagedDataset | null> {
  const increment = incrementOf(node.producer)
  const pin = target.base && pinRef(target.base)
  const before = increment && pin ? builtBefore(inputs, node, items, target, pin) : null
  if (!increment || !pin || !before) return null
  const changed = await changedInputs(context, before, views)
  if (changed === null) return null
  if (increment.kind === 'append' && (await mustRebuild(context, node, increment, changed))) return null
  const startedAtMs = context.clock.nowMs()
  const task = context.progress.begin(node.id)
  await using stack = new AsyncDisposableStack()
  const scratch = stack.use(await context.store.scratch({ signal: context.signal }))
  const old = increment.kind === 'merge' ? await tasksOfView(context, viewOf(node, pin)) : []
  const query = node.query?.text ?? ''
  const reading = stack.use(await bindViews(context, [...views.values()], query))
  const driving = increment.kind === 'append' ? increment.input : null
  const bound: Bound[] = reading.readings.filter(({ id }) => id !== driving).map((one) => one.reading.bound)
  bound.push(...(await bindChanged(context, stack, node, changed, driving)))
  const oldLease = stack.use(await leaseFiles(context, old))
  bound.push({ ...bindFiles(pin, old, oldLease, { metadataColumns: true }), id: oldRows })
  const rejects = new Rejecting(node, await quarantineWriter(context, inputs.run, node), scratch.folder)
  bound.push(...(await rejects.bind(increment, stack)))
  const session = stack.use(await context.engine.session(bound, { signal: context.signal }))
  const step =
    increment.kind === 'merge'
      ? await mergeStep(context, session, node, increment, changed, old, rejects)
      : await appendStep(
          session,
          query,
          changed.some((one) => one.input === driving),
          rejects,
        )
  const written = step.nothing ? [] : await writeLocal(session, step.rows, target.layout, scratch.folder)
  const added = await putFiles(context, target.layout, written)
  const removed = step.removed.map((one) => one.file)
  if (increment.kind === 'append')
    rejects.requireTolerated(
      step.quarantined,
      written.reduce((total, file) => total + Number(file.recordCount), 0),
    )
  const table: StagedTable | null =
    added.length + removed.length === 0
      ? null
      : await stageTable(context, inputs.run, target, { added, removed, summary: {} }, replaces?.table ?? null)
  const [first] = items
  const range: RangeResult = {
    outcome: table ? 'built' : 'kept',
    reason: first?.reason ?? 'input-changed',
    because: `${first?.because ?? ''}, ${increment.kind === 'merge' ? 'merged by key' : 'appended'}`,
    interval: null,
    rows: added.reduce((total, file) => total + Number(file.recordCount), 0),
    files: added.length,
    bytes: added.reduce((total, file) => total + Number(file.fileSizeInBytes), 0),
    quarantined: step.quarantined,
    deliveries: [],
    startedAtMs,
    seconds: (context.clock.nowMs() - startedAtMs) / 1000,
  }
  task.end(`${counted(range.rows, 'row')} ${increment.kind === 'merge' ? 'merged' : 'appended'}`)
  const read = await inputSnapshots(inputs, node, null)
  const scans = reading.readings.map(({ id, reading: one }) => ({
    dataset: node.id,
    interval: null,
    input: id,
    scan: one.scan,
  }))
  const quarantine = await rejects.writer.stage(replaces?.quarantine ?? null)
  return { node, items, table, quarantine, ranges: [range], inputs: read, scans }
}

/** The last build, if what is published is still it, and only its inputs have moved. */
function builtBefore(
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  pin: PinnedTable,
): Built | null {
  const standing = inputs.standingOf?.(node.id)
  const [built] = standing?.built ?? []
  if (!standing || !built || built.interval !== null || built.fingerprint !== node.fingerprint) return null
  if (items.some((item) => item.reason !== 'input-changed') || target.reshaped || target.updates.length > 0) return null
  return pin.snapshotId !== null && isOnlyRewritten(pin, standing.outputSnapshot) ? built : null
}

/** Whether a table's rows are those of a snapshot: it is that one, or has only had its files rewritten since. */
function isOnlyRewritten(pin: PinnedTable, since: bigint | null): boolean {
  if (since === null || pin.snapshotId === null) return false
  for (const snapshot of ancestorsOf(pin.metadata, pin.snapshotId)) {
    if (snapshot.snapshotId === since) return true
    if (snapshot.operation !== 'replace') return false
  }
  return false
}

/** Inputs that moved since the last build; null when it cannot be told what of them did. */
async function changedInputs(
  context: PipelineContext,
  before: Built,
  views: ReadonlyMap<TableId, DatasetView>,
): Promise<readonly Changed[] | null> {
  const out: Changed[] = []
  for (const [input, view] of views) {
    const { pin } = view
    const from = before.inputs[input]
    if (from === undefined || !snapshotById(pin.metadata, from)) return null
    if (from === pin.snapshotId) continue
    const inputNode = context.project.nodes.get(input)
    const old = await tasksOfView(context, viewOf(inputNode, { ...pin, snapshotId: from }))
    const next = await tasksOfView(context, view)
    const [oldByPath, nextByPath] = [old, next].map((tasks) => new Map(tasks.map((task) => [task.file.path, task])))
    out.push({
      input,
      pin,
      added: next.filter((task) => differ(task, oldByPath?.get(task.file.path))),
      removed: old.filter((task) => differ(task, nextByPath?.get(task.file.path))),
    })
  }
  return out
}

/** Binds what came and went; of the input that drives an append, what came stands for the input itself. */
async function bindChanged(
  context: PipelineContext,
  stack: AsyncDisposableStack,
  node: Node,
  changed: readonly Changed[],
  driving: string | null,
): Promise<readonly Bound[]> {
  const out: Bound[] = []
  for (const [i, one] of changed.entries()) {
    const lease = stack.use(await leaseFiles(context, [...one.added, ...one.removed]))
    out.push({ ...bindFiles(one.pin, one.added, lease), id: addedOf(i) })
    out.push({ ...bindFiles(one.pin, one.removed, lease), id: removedOf(i) })
    if (one.input !== driving) continue
    const came =
      one.removed.length === 0
        ? `SELECT * FROM ${addedOf(i)}`
        : exceptAll(one.pin, comparedOf(context, node, one), addedOf(i), removedOf(i))
    out.push({ id: one.input, schema: schemaOfPin(one.pin), query: came })
  }
  return out
}

/** Whether rows left the input of an append, which it cannot follow. Throws `run/not-append` where that is an error. */
async function mustRebuild(
  context: PipelineContext,
  node: Node,
  increment: Extract<Increment, { readonly kind: 'append' }>,
  changed: readonly Changed[],
): Promise<boolean> {
  const at = changed.findIndex((one) => one.input === increment.input)
  const driving = changed[at]
  // Another input moved, and what was appended is not looked at again.
  if (!driving) return false
  if (driving.removed.length === 0 || increment.removed === 'ignore') return false
  await using stack = new AsyncDisposableStack()
  const bound = await bindChanged(context, stack, node, changed, null)
  const session = stack.use(await context.engine.session(bound, { signal: context.signal }))
  const names = columnList(comparedOf(context, node, driving))
  const gone = `SELECT ${names} FROM ${removedOf(at)} EXCEPT ALL SELECT ${names} FROM ${addedOf(at)}`
  if ((await session.rows(`${gone} LIMIT 1`)).rows.length === 0) return false
  if (increment.removed === 'rebuild') return true
  throw new LimnError('run/not-append', {
    message: `${node.id} appends what comes to ${driving.input}, and rows of that have left it or changed.`,
    notDone: 'Nothing was published.',
    remedy: `Build ${node.id} anew (limn run ${node.id} --full), or state removed: 'rebuild' or 'ignore'.`,
    location: { file: node.file },
  })
}

/**
 * Of a merge: rows of the keys that changed rows affect come from the query, other rows of the files that have such keys
 * are written again, and other files stay.
 */
async function mergeStep(
  context: PipelineContext,
  session: Session,
  node: Node,
  increment: Extract<Increment, { readonly kind: 'merge' }>,
  changed: readonly Changed[],
  old: readonly ScanTask[],
  rejects: Rejecting,
): Promise<Step> {
  const keys = increment.keys.map(quoteIdentifier)
  const affected = changed.map((one, i) => {
    const names = columnList(comparedOf(context, node, one))
    const exprs = (increment.touches[one.input] ?? keys).map((expr, at) => `(${expr}) AS ${keys[at] ?? 'k'}`)
    const side = (a: TableId, b: TableId) => `(SELECT ${names} FROM ${a} EXCEPT ALL SELECT ${names} FROM ${b})`
    const both = `${side(addedOf(i), removedOf(i))} UNION ALL ${side(removedOf(i), addedOf(i))}`
    return `SELECT ${exprs.join(', ')} FROM (${both})`
  })
  const none = `SELECT ${keys.join(', ')} FROM ${oldRows} WHERE FALSE`
  await session.exec(`CREATE TABLE limn_keys AS SELECT DISTINCT * FROM (${[...affected, none].join(' UNION ALL ')})`)
  const columns = columnList(Object.keys(node.contract.columns))
  const on = (a: string) => keys.map((key) => `${a}.${key} IS NOT DISTINCT FROM k.${key}`).join(' AND ')
  await session.exec(
    `CREATE TABLE limn_given AS SELECT ${columns} FROM (${node.query?.text ?? ''}\n) AS q SEMI JOIN limn_keys AS k ON ${on('q')}`,
  )
  const { kept, quarantined } = await rejects.merge(session, 'SELECT * FROM limn_given', increment.keys)
  await session.exec(`CREATE TABLE limn_fresh AS ${kept}`)
  const stale = `SELECT ${columns} FROM ${oldRows} AS o SEMI JOIN limn_keys AS k ON ${on('o')}`
  const differs = await session.rows(
    `SELECT 1 FROM ((SELECT * FROM limn_fresh EXCEPT ALL ${stale}) UNION ALL (${stale} EXCEPT ALL SELECT * FROM limn_fresh)) LIMIT 1`,
  )
  if (differs.rows.length === 0) return { rows: '', removed: [], nothing: true, quarantined }
  const hit = await session.rows(`SELECT DISTINCT _file FROM ${oldRows} AS o SEMI JOIN limn_keys AS k ON ${on('o')}`)
  const paths = new Set(hit.rows.map((row) => String(row[0])))
  const removed = old.filter((task) => paths.has(task.file.path))
  const others = `SELECT ${columns} FROM ${oldRows} AS o ANTI JOIN limn_keys AS k ON ${on('o')} WHERE o._file IN (SELECT _file FROM ${oldRows} AS h SEMI JOIN limn_keys AS k ON ${on('h')})`
  return { rows: `SELECT * FROM limn_fresh UNION ALL ${others}`, removed, nothing: false, quarantined }
}

/** What the query gives of the rows that came. */
async function appendStep(session: Session, query: string, came: boolean, rejects: Rejecting): Promise<Step> {
  if (!came) return { rows: '', removed: [], nothing: true, quarantined: 0 }
  const { kept, quarantined } = await rejects.append(session, query)
  return { rows: kept, removed: [], nothing: false, quarantined }
}

function columnList(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ')
}

/**
 * The columns by which rows of an input are the same: those that say how a row was delivered are aside, unless the dataset
 * reads them.
 */
function comparedOf(context: PipelineContext, node: Node, { input, pin }: Changed): readonly string[] {
  const all = schemaOfPin(pin).fields.map((field) => field.name)
  const inputNode = context.project.nodes.get(input)
  if (inputNode?.producer.kind !== 'source') return all
  const read = node.reads.get(input)?.columns ?? 'all'
  const data = new Set(sourceColumns(inputNode).map(({ name }) => name))
  return all.filter((name) => data.has(name) || read === 'all' || read.has(name))
}

/**
 * SQL for the rows of one table as often as they are there more often than in another, by some of their columns, the other
 * columns with them. Which of several that are the same stays is decided by the other columns.
 */
function exceptAll(pin: PinnedTable, columns: readonly string[], one: TableId, other: TableId): string {
  const names = columnList(columns)
  const rest = schemaOfPin(pin).fields.flatMap(({ name }) => (columns.includes(name) ? [] : [quoteIdentifier(name)]))
  const order = rest.length === 0 ? '' : ` ORDER BY ${rest.join(', ')}`
  const same = columns.map(quoteIdentifier).map((name) => `a.${name} IS NOT DISTINCT FROM b.${name}`)
  const numbered = `SELECT *, row_number() OVER (PARTITION BY ${names}${order}) AS __limn_nth FROM ${one}`
  const counted = `SELECT ${names}, count(*) AS __limn_gone FROM ${other} GROUP BY ALL`
  return `SELECT a.* EXCLUDE (__limn_nth) FROM (${numbered}) AS a LEFT JOIN (${counted}) AS b ON ${same.join(' AND ')}
    WHERE a.__limn_nth > coalesce(b.__limn_gone, 0)`
}
