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
import { changesOf, type DeliveryChange, type RankedChange, type Rename, sortedChanges } from './delivery-changes.ts'
import { groupedFindings } from './delivery-groups.ts'
import type { Finding } from './finding.ts'

const oldRows: TableId = tableId('limn_rows.before')
const freshRows: TableId = tableId('limn_rows.after')
const otherRows: TableId = tableId('limn_rows.others')

/** Paths looked into one by one; more are looked at in groups. */
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

export interface DeliveriesApart {
  /** One for each thing done to rows in scope. */
  readonly findings: readonly Finding[]
  /** Paths that came under another name. */
  readonly renames: readonly Rename[]
  /** Paths that came again with the same rows, under their name. */
  readonly again: readonly SeenDelivery[]
  /** The deliveries of `renames` on the newer side. */
  readonly delivered: readonly SeenDelivery[]
}

/**
 * What the deliveries that only one of two states of a source has did to its rows. A delivery that changed no row in scope
 * is left out, and one that came under another name is compared with what it was. `changeOf` is told what each finding is of.
 */
export async function deliveryFindings(
  book: WhyBook,
  before: Point,
  after: Point,
  ask: DeliveryAsk,
  changeOf: WeakMap<Finding, DeliveryChange>,
): Promise<DeliveriesApart> {
  const [seenBefore, seenAfter] = [deliveriesSeen(before), deliveriesSeen(after)]
  // Two environments may give one ordinal to different deliveries.
  const isOne = (one: SeenDelivery, other: SeenDelivery | undefined) =>
    other?.sha256 === one.sha256 && other?.path === one.path
  const old = [...seenBefore.values()].filter((one) => !isOne(one, seenAfter.get(one.ordinal)))
  const fresh = [...seenAfter.values()].filter((one) => !isOne(one, seenBefore.get(one.ordinal)))
  if (old.length + fresh.length === 0) return { findings: [], renames: [], again: [], delivered: [] }
  const landed = new Map(
    after.rows.flatMap((row) => row.deliveries.map((one) => [one.ordinal, { ...one, run: row.run }])),
  )
  const wasThere = (one: SeenDelivery) => isOne(one, landed.get(one.ordinal))
  const changes = changesOf(book, before.dataset, old, fresh, wasThere)
  const known = [...seenAfter.values()].filter((one) => !fresh.includes(one))
  // Columns are known by their field ids: one that was renamed since is read under its present name.
  const isOneTable = before.pin.metadata.tableUuid === after.pin.metadata.tableUuid
  const former = isOneTable ? { ...before.pin, schemaId: after.pin.schemaId } : before.pin
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
        await bind(former, oldRows, ordinals(old)),
        await bind(after.pin, freshRows, ordinals(fresh)),
        await bind(after.pin, otherRows, ordinals(known)),
      ],
      { signal: book.context.signal },
    ),
  )
  const columns = dataColumnsOf(before.pin, after.pin, isOneTable)
  const given = { before: oldRows, after: freshRows, columns, where: ask.where }
  const sorted = await sortedChanges(session, changes, given)
  const look = async (change: RankedChange, doubled: boolean) => {
    const found = await findingsOf(session, before.dataset, change, doubled, [...known, ...fresh], columns, ask)
    for (const one of found) changeOf.set(one, change)
    return found
  }
  const matter = new Set(sorted.changes.flatMap((one) => one.paths))
  const again = changes.flatMap(({ paths, old: was, fresh: is }) =>
    was.length > 0 && is.length > 0 && !paths.some((path) => matter.has(path)) ? is : [],
  )
  const names = new Set(sorted.renames.map((one) => one.to))
  const rest = { renames: sorted.renames, again, delivered: fresh.filter((one) => names.has(one.path)) }
  if (sorted.changes.length > detailedMax) {
    const rows = { after: freshRows, others: otherRows, columns, identity: ask.identity?.columns ?? null }
    return { ...rest, findings: await groupedFindings(session, sorted.changes, rows, look) }
  }
  const findings: Finding[] = []
  for (const change of sorted.changes) findings.push(...(await look(change, false)))
  const [only] = changes
  const silent = findings.length === 0 && changes.length === 1 && only && only.old.length > 0 ? only.fresh : again
  return { ...rest, findings, again: silent }
}

/** Columns that both states have, those that limn adds aside, as they are called in the newer. */
function dataColumnsOf(before: PinnedTable, after: PinnedTable, isOneTable: boolean): readonly string[] {
  const known = new Set<string | number>(
    schemaOfPin(before).fields.map((field) => (isOneTable ? field.id : field.name)),
  )
  return schemaOfPin(after)
    .fields.filter((field) => known.has(isOneTable ? field.id : field.name) && !(field.name in deliveryColumns))
    .map((field) => field.name)
}

/** An earlier delivery, under another path, with the very bytes of this one. */
function twinOf(delivery: SeenDelivery, others: readonly SeenDelivery[]): SeenDelivery | null {
  if (delivery.sha256 === null) return null
  const isTwin = (one: SeenDelivery) =>
    one.sha256 === delivery.sha256 && one.ordinal < delivery.ordinal && one.path !== delivery.path
  return others.find(isTwin) ?? null
}

/** One path, with what it was called before; or several, by how many and which. */
function labelOf({ paths, formerly }: RankedChange): string {
  const [first = ''] = paths
  if (paths.length > 1) return `${paths.length.toLocaleString('en')} paths (${first} … ${paths.at(-1)})`
  return formerly === null ? first : `${first} (formerly ${formerly})`
}

async function findingsOf(
  session: Session,
  dataset: TableId,
  change: RankedChange,
  doubled: boolean,
  others: readonly SeenDelivery[],
  columns: readonly string[],
  ask: DeliveryAsk,
): Promise<readonly Finding[]> {
  const delivery =
    change.paths.length > 1 ? (change.fresh[0] ?? change.old[0]) : (change.fresh.at(-1) ?? change.old.at(-1))
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
    twin: change.old.length === 0 && change.paths.length === 1 ? twinOf(delivery, others) : null,
    others: otherRows,
    label: labelOf(change),
    many: change.paths.length > 1,
    withdrawn: change.withdrawn,
    doubled,
    also: (change.fresh.length > 0 ? change.fresh : change.old).filter((one) => one !== delivery),
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
