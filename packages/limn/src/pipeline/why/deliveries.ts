import { type TableId, tableId } from '../../base/index.ts'
import { deliveryColumns } from '../../dataset/index.ts'
import type { Session } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { bindFiles, leaseFiles, liveTableTasks, type PinnedTable, schemaOfPin } from '../../table/index.ts'
import type { Delivery } from '../ledger/ledger.ts'
import { deliveryOf, supersededAt } from '../stage/view.ts'
import type { Point, WhyBook } from './book.ts'
import { classifyRows, type DeliveredRows, type DeliveryAsk, wholeColumn } from './delivered-rows.ts'
import { type Finding, noEvidence } from './finding.ts'

const oldRows: TableId = tableId('limn_rows.before')
const freshRows: TableId = tableId('limn_rows.after')
const otherRows: TableId = tableId('limn_rows.others')

/** Deliveries looked into row by row; more are only counted. */
const detailedMax = 24

/** A delivery that readers of a snapshot see, with the run that landed it. */
export interface SeenDelivery extends Delivery {
  readonly run: string
}

/** The deliveries whose rows readers of a point see, by ordinal. */
export function deliveriesSeen(point: Point): ReadonlyMap<number, SeenDelivery> {
  const superseded = supersededAt(point.pin.metadata, point.pin.snapshotId)
  const out = new Map<number, SeenDelivery>()
  for (const row of point.rows)
    for (const delivery of row.deliveries)
      if (delivery.sha256 !== null && !superseded.has(delivery.ordinal))
        out.set(delivery.ordinal, { ...delivery, run: row.run })
  return out
}

/** What one path has on either side. */
interface PathChange {
  readonly path: string
  readonly old: readonly SeenDelivery[]
  readonly fresh: readonly SeenDelivery[]
}

/**
 * What the deliveries that only one of two states of a source has did to its rows, one finding for each thing done. A
 * delivery that changed no row in scope is left out.
 */
export async function deliveryFindings(
  book: WhyBook,
  before: Point,
  after: Point,
  ask: DeliveryAsk,
): Promise<readonly Finding[]> {
  const [seenBefore, seenAfter] = [deliveriesSeen(before), deliveriesSeen(after)]
  const old = [...seenBefore.values()].filter((one) => !seenAfter.has(one.ordinal))
  const fresh = [...seenAfter.values()].filter((one) => !seenBefore.has(one.ordinal))
  if (old.length + fresh.length === 0) return []
  const changes = changesOf(book, before.dataset, old, fresh)
  const known = [...seenAfter.values()].filter((one) => !fresh.includes(one))
  await using resources = new AsyncDisposableStack()
  const bind = async (pin: PinnedTable, id: TableId, ordinals: ReadonlySet<number>) => {
    const ordinalOf = deliveryOf(pin)
    const wanted = (file: DataFile) => ordinals.has(ordinalOf(file) ?? -1)
    const tasks = (await liveTableTasks(book.context, pin)).filter((task) => wanted(task.file))
    const lease = resources.use(await leaseFiles(book.context, tasks))
    return bindFiles({ ...pin, id }, tasks, lease)
  }
  const ordinals = (list: readonly SeenDelivery[]) => new Set(list.map((one) => one.ordinal))
  const session = resources.use(
    await book.context.engine.session(
      [
        await bind(before.pin, oldRows, ordinals(old)),
        await bind(after.pin, freshRows, ordinals(fresh)),
        await bind(after.pin, otherRows, ordinals(known)),
      ],
      { signal: book.context.signal },
    ),
  )
  const columns = dataColumnsOf(before.pin, after.pin)
  const out: Finding[] = []
  for (const change of changes.slice(0, detailedMax))
    out.push(...(await findingsOf(session, before.dataset, change, known, columns, ask)))
  if (changes.length > detailedMax) out.push(manyDeliveries(before.dataset, changes.slice(detailedMax)))
  return out
}

/** Columns that both states have, those that limn adds aside. */
function dataColumnsOf(before: PinnedTable, after: PinnedTable): readonly string[] {
  const known = new Set(schemaOfPin(before).fields.map((field) => field.name))
  return schemaOfPin(after)
    .fields.map((field) => field.name)
    .filter((name) => known.has(name) && !(name in deliveryColumns))
}

/** By path; the states of a table outside are one thing whatever they are called. */
function changesOf(
  book: WhyBook,
  dataset: TableId,
  old: readonly SeenDelivery[],
  fresh: readonly SeenDelivery[],
): readonly PathChange[] {
  const producer = book.context.project.nodes.get(dataset)?.producer
  const whole = producer?.kind === 'source' && producer.input.kind === 'iceberg'
  const key = (one: SeenDelivery) => (whole ? producer.input.kind : one.path)
  const paths = new Set([...old, ...fresh].map(key))
  return [...paths].sort().map((path) => ({
    path: [...fresh, ...old].find((one) => key(one) === path)?.path ?? path,
    old: old.filter((one) => key(one) === path),
    fresh: fresh.filter((one) => key(one) === path),
  }))
}

async function findingsOf(
  session: Session,
  dataset: TableId,
  change: PathChange,
  known: readonly SeenDelivery[],
  columns: readonly string[],
  ask: DeliveryAsk,
): Promise<readonly Finding[]> {
  const delivery = change.fresh.at(-1) ?? change.old.at(-1)
  if (!delivery) return []
  const list = columns.map(quoteIdentifier).join(', ')
  const inScope = `coalesce((${ask.where ?? 'true'}), false) AS limn_in`
  const rows = (from: TableId, of: readonly SeenDelivery[]) =>
    `SELECT ${list}, ${inScope} FROM ${from} WHERE _delivery IN (${[-1, ...of.map((one) => one.ordinal)].join(', ')})`
  await session.exec(`CREATE OR REPLACE TEMP TABLE limn_old AS ${rows(oldRows, change.old)}`)
  await session.exec(`CREATE OR REPLACE TEMP TABLE limn_fresh AS ${rows(freshRows, change.fresh)}`)
  const given: DeliveredRows = {
    dataset,
    columns,
    delivery,
    state: change.old.length === 0 ? 'new' : change.fresh.length === 0 ? 'gone' : 'replaced',
    twin: change.old.length === 0 ? (known.find((one) => one.sha256 === delivery.sha256) ?? null) : null,
    others: otherRows,
    ask,
  }
  const whole = given.state === 'replaced' ? await wholeColumn(session, given) : null
  if (whole) return whole
  const apart = (a: string, b: string) =>
    `SELECT row_number() OVER () AS limn_id, *, ${inScope} FROM (SELECT ${list} FROM ${a} EXCEPT ALL SELECT ${list} FROM ${b})`
  await session.exec(`CREATE OR REPLACE TEMP TABLE limn_gone AS ${apart('limn_old', 'limn_fresh')}`)
  await session.exec(`CREATE OR REPLACE TEMP TABLE limn_come AS ${apart('limn_fresh', 'limn_old')}`)
  const concerned = await session.rows(
    'SELECT (SELECT count(*) FROM limn_gone WHERE limn_in) + (SELECT count(*) FROM limn_come WHERE limn_in)',
  )
  return Number(concerned.rows[0]?.[0] ?? 0) === 0 ? [] : classifyRows(session, given)
}

function manyDeliveries(dataset: TableId, changes: readonly PathChange[]): Finding {
  const fresh = changes.flatMap((one) => one.fresh)
  const rows = fresh.reduce((sum, one) => sum + one.kept, 0)
  const [first] = fresh.length > 0 ? fresh : changes.flatMap((one) => one.old)
  return {
    kind: 'new-rows',
    dataset,
    origin: first
      ? {
          kind: 'delivery',
          source: dataset,
          path: first.path,
          ordinal: first.ordinal,
          sha256: first.sha256,
          run: first.run,
        }
      : { kind: 'unknown' },
    column: null,
    sentence: `${changes.length} more deliveries of ${dataset} differ; they were counted and not looked into.`,
    rows,
    intervals: [],
    evidence: noEvidence,
  }
}
