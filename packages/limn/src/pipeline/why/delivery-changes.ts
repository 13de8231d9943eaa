import type { TableId } from '../../base/index.ts'
import type { Session } from '../../engine/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { WhyBook } from './book.ts'
import type { SeenDelivery } from './deliveries.ts'

/** What one path, or several taken together, have on either side. */
export interface DeliveryChange {
  /** In order; as they are called now. */
  readonly paths: readonly string[]
  readonly old: readonly SeenDelivery[]
  readonly fresh: readonly SeenDelivery[]
  /** What it was called, when it came under another name; null: it kept its name. */
  readonly formerly: string | null
  /** Of one that only the older side has: whether the newer had it too, and has it no more. */
  readonly withdrawn: boolean
}

/** A change with how many rows in scope it moved. */
export interface RankedChange extends DeliveryChange {
  /** Rows in scope that only the older side has, and only the newer; null: not counted. */
  readonly gone: number | null
  readonly come: number | null
}

export interface Rename {
  readonly from: string
  readonly to: string
  /** Whether it has the same rows, whatever is in scope. */
  readonly same: boolean
}

export interface SortedChanges {
  /** Those that moved rows in scope, those that moved most first. */
  readonly changes: readonly RankedChange[]
  readonly renames: readonly Rename[]
}

export interface ChangedRows {
  /** Bound rows of deliveries that only the older state has, and only the newer. */
  readonly before: TableId
  readonly after: TableId
  readonly columns: readonly string[]
  readonly where: string | null
}

/** By path; the states of a table outside are one thing whatever they are called. */
export function changesOf(
  book: WhyBook,
  dataset: TableId,
  old: readonly SeenDelivery[],
  fresh: readonly SeenDelivery[],
  wasThere: (delivery: SeenDelivery) => boolean,
): readonly DeliveryChange[] {
  const producer = book.context.project.nodes.get(dataset)?.producer
  const whole = producer?.kind === 'source' && producer.input.kind === 'iceberg'
  const key = (one: SeenDelivery) => (whole ? producer.input.kind : one.path)
  const [left, right] = [Map.groupBy(old, key), Map.groupBy(fresh, key)]
  return [...new Set([...left.keys(), ...right.keys()])].sort().map((name) => {
    const own = { old: left.get(name) ?? [], fresh: right.get(name) ?? [] }
    return {
      ...own,
      paths: [[...own.fresh, ...own.old][0]?.path ?? name],
      formerly: null,
      withdrawn: own.old.some(wasThere),
    }
  })
}

/**
 * Counts in one pass what each change did to the rows in scope, so that of any number of deliveries only those that matter
 * are looked into; and finds the paths that were withdrawn and came again under another name, by their bytes or by most of
 * their rows. Leaves `limn_hashed`: per change, side and hash of a row how many there are.
 */
export async function sortedChanges(
  session: Session,
  changes: readonly DeliveryChange[],
  rows: ChangedRows,
): Promise<SortedChanges> {
  const [only] = changes
  if (only && changes.length === 1) return { changes: [{ ...only, gone: null, come: null }], renames: [] }
  await hashRows(session, changes, rows)
  const pairs = await renamedPairs(session, changes)
  const from = new Map(pairs.map((pair) => [pair.come, pair.gone]))
  const taken = new Set(from.values())
  for (const { gone, come } of pairs)
    await session.exec(`UPDATE limn_hashed SET limn_change = ${come} WHERE limn_change = ${gone}`)
  const differ = `SELECT limn_change, limn_hash, sum(limn_side * limn_rows) AS limn_all, sum(limn_side * limn_scoped) AS limn_own FROM limn_hashed GROUP BY 1, 2`
  const counted = await session.rows(
    `SELECT limn_change, coalesce(-sum(limn_own) FILTER (limn_own < 0), 0)::BIGINT, coalesce(sum(limn_own) FILTER (limn_own > 0), 0)::BIGINT,
       count(*) FILTER (limn_all <> 0) FROM (${differ}) GROUP BY 1`,
  )
  const counts = new Map(counted.rows.map(([change, ...own]) => [Number(change), own.map(Number)]))
  const out: RankedChange[] = []
  const renames: Rename[] = []
  for (const [i, change] of changes.entries()) {
    if (taken.has(i)) continue
    const [gone = 0, come = 0, apart = 0] = counts.get(i) ?? []
    const former = changes[from.get(i) ?? -1]
    const whole = former ? { ...change, old: former.old, formerly: former.paths[0] ?? null } : change
    if (former) renames.push({ from: former.paths[0] ?? '', to: change.paths[0] ?? '', same: apart === 0 })
    if (gone + come > 0) out.push({ ...whole, gone, come })
  }
  const moved = (one: RankedChange) => (one.gone ?? 0) + (one.come ?? 0)
  return { changes: out.sort((a, b) => moved(b) - moved(a)), renames }
}

async function hashRows(session: Session, changes: readonly DeliveryChange[], rows: ChangedRows): Promise<void> {
  const ordinals = changes.flatMap(({ old, fresh }, i) => [
    ...old.map((one) => `(${i}, -1, ${one.ordinal})`),
    ...fresh.map((one) => `(${i}, 1, ${one.ordinal})`),
  ])
  await session.exec(
    `CREATE OR REPLACE TEMP TABLE limn_ordinals AS SELECT * FROM (VALUES ${ordinals.join(', ')}) t(limn_change, limn_side, limn_ordinal)`,
  )
  const hash = `hash(${rows.columns.map((name) => `limn_o.${quoteIdentifier(name)}`).join(', ')})`
  const side = (from: TableId, sign: number) =>
    `SELECT limn_d.limn_change, limn_d.limn_side, ${hash} AS limn_hash, coalesce((${rows.where ?? 'true'}\n), false) AS limn_in
     FROM ${from} AS limn_o JOIN limn_ordinals AS limn_d ON limn_d.limn_side = ${sign} AND limn_d.limn_ordinal = limn_o._delivery`
  await session.exec(
    `CREATE OR REPLACE TEMP TABLE limn_hashed AS SELECT limn_change, limn_side, limn_hash, count(*) AS limn_rows, count(*) FILTER (limn_in) AS limn_scoped
     FROM (${side(rows.before, -1)} UNION ALL ${side(rows.after, 1)}) GROUP BY 1, 2, 3`,
  )
}

/** Changes that are one path under two names: by place in the list, the withdrawn one and the one that came. */
async function renamedPairs(
  session: Session,
  changes: readonly DeliveryChange[],
): Promise<readonly { readonly gone: number; readonly come: number }[]> {
  const places = changes.map((_one, i) => i)
  const gone = places.filter((i) => changes[i]?.fresh.length === 0)
  const come = places.filter((i) => changes[i]?.old.length === 0)
  if (gone.length === 0 || come.length === 0) return []
  const out: { readonly gone: number; readonly come: number }[] = []
  const taken = new Set<number>()
  const pair = (a: number, b: number) => {
    if (taken.has(a) || taken.has(b)) return
    taken.add(a).add(b)
    out.push({ gone: a, come: b })
  }
  const bytesOf = (i: number) => [...(changes[i]?.old ?? []), ...(changes[i]?.fresh ?? [])].at(-1)?.sha256
  const byBytes = Map.groupBy(gone, bytesOf)
  for (const i of come) {
    const former = byBytes.get(bytesOf(i))?.find((one) => !taken.has(one))
    if (former !== undefined) pair(former, i)
  }
  const left = (list: readonly number[]) => list.filter((i) => !taken.has(i)).join(', ')
  if (left(gone) === '' || left(come) === '') return out
  // Most rows of the smaller of the two are rows of the other: then it is the same thing, corrected or in part.
  const { rows } = await session.rows(
    `WITH limn_sizes AS (SELECT limn_change, sum(limn_rows) AS limn_size FROM limn_hashed GROUP BY 1)
     SELECT limn_l.limn_change, limn_r.limn_change FROM limn_hashed AS limn_l
     JOIN limn_hashed AS limn_r ON limn_r.limn_hash = limn_l.limn_hash AND limn_r.limn_side = 1 AND limn_r.limn_change IN (${left(come)})
     JOIN limn_sizes AS limn_a ON limn_a.limn_change = limn_l.limn_change JOIN limn_sizes AS limn_b ON limn_b.limn_change = limn_r.limn_change
     WHERE limn_l.limn_side = -1 AND limn_l.limn_change IN (${left(gone)})
     GROUP BY 1, 2 HAVING 2 * sum(least(limn_l.limn_rows, limn_r.limn_rows)) > max(least(limn_a.limn_size, limn_b.limn_size))
     ORDER BY sum(least(limn_l.limn_rows, limn_r.limn_rows)) DESC, 1, 2`,
  )
  for (const [a, b] of rows) pair(Number(a), Number(b))
  return out
}

/** Changes taken together, as one. */
export function joined(changes: readonly RankedChange[]): RankedChange {
  const [first] = changes
  if (first && changes.length === 1) return first
  const sum = (key: 'gone' | 'come') => changes.reduce((all, one) => all + (one[key] ?? 0), 0)
  return {
    paths: changes.flatMap((one) => one.paths).sort(),
    old: changes.flatMap((one) => one.old),
    fresh: changes.flatMap((one) => one.fresh),
    formerly: null,
    withdrawn: changes.every((one) => one.withdrawn),
    gone: sum('gone'),
    come: sum('come'),
  }
}
