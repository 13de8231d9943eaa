import type { TableId } from '../../base/index.ts'
import type { Session } from '../../engine/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { joined, type RankedChange } from './delivery-changes.ts'
import type { Finding, FindingKind } from './finding.ts'

/** How often rows are classified for one dataset; what is left then is told together. */
export const looksMax = 48

/** What a look at a group may find for the whole of it to be one thing; anything else is divided further. */
const oneThing: ReadonlySet<FindingKind> = new Set([
  'partial-delivery',
  'value-dropped',
  'time-shift',
  'column-null',
  'unit-change',
  'rounding',
  'withdrawn-delivery',
  'not-landed',
  'double-delivery',
])
const cameAlong: ReadonlySet<FindingKind> = new Set(['late-rows', 'new-rows'])

export interface GroupedRows {
  /** Bound rows of deliveries that only the newer state has, and of those that both have. */
  readonly after: TableId
  readonly others: TableId
  readonly columns: readonly string[]
  readonly identity: readonly string[] | null
}

/** Looks at changes as one. */
export type Look = (change: RankedChange, doubled: boolean) => Promise<readonly Finding[]>

/**
 * Explains many changes with few looks: those of one sort are looked at as one, and a group of which more than one thing is
 * found is divided in two, until each part is one thing or one path. Changes of which something is wrong by themselves (rows
 * delivered before, a key twice) are told apart from the others first.
 */
export async function groupedFindings(
  session: Session,
  changes: readonly RankedChange[],
  rows: GroupedRows,
  look: Look,
): Promise<readonly Finding[]> {
  const doubled = await doubledPaths(session, changes, rows)
  const repeated = await repeatedPaths(session, changes, rows)
  const sortOf = (one: RankedChange) => {
    if (one.fresh.length === 0) return one.withdrawn ? 'gone' : 'absent'
    if (one.paths.some((path) => doubled.has(path))) return 'doubled'
    if (one.paths.some((path) => repeated.has(path))) return 'repeated'
    if (one.old.length === 0) return 'new'
    return one.come === 0 ? 'fewer' : one.gone === 0 ? 'more' : 'other'
  }
  const out: Finding[] = []
  let looks = 0
  const explain = async (group: readonly RankedChange[], isDoubled: boolean): Promise<void> => {
    looks++
    const found = await look(joined(group), isDoubled)
    const kinds = found.map((one) => one.kind)
    const isOne =
      kinds.length <= 1
        ? kinds.every((one) => oneThing.has(one) || cameAlong.has(one))
        : kinds.every((one) => cameAlong.has(one))
    if (group.length === 1 || isOne || looks + 2 > looksMax) {
      out.push(...found)
      return
    }
    const middle = Math.ceil(group.length / 2)
    await explain(group.slice(0, middle), isDoubled)
    await explain(group.slice(middle), isDoubled)
  }
  // Neighbours by path are more often alike than neighbours by size.
  const byPath = [...changes].sort((a, b) => ((a.paths[0] ?? '') < (b.paths[0] ?? '') ? -1 : 1))
  const groups = Map.groupBy(byPath, sortOf)
  for (const sort of ['repeated', 'doubled', 'other', 'fewer', 'gone', 'absent', 'more', 'new'] as const) {
    const group = groups.get(sort)
    if (!group) continue
    if (sort === 'repeated') for (const one of group) await explain([one], false)
    else await explain(group, sort === 'doubled')
  }
  return out
}

/** Of paths that are new: those whose every row, or whose very bytes, had been delivered before under another path. */
async function doubledPaths(
  session: Session,
  changes: readonly RankedChange[],
  { after, others, columns }: GroupedRows,
): Promise<ReadonlySet<string>> {
  const fresh = changes.filter((one) => one.old.length === 0)
  const out = new Set<string>()
  const seen = new Map<string, number>()
  for (const one of fresh.flatMap((change) => change.fresh).sort((a, b) => a.ordinal - b.ordinal)) {
    if (one.sha256 === null) continue
    if (seen.has(one.sha256)) out.add(one.path)
    seen.set(one.sha256, one.ordinal)
  }
  const ordinals = fresh.flatMap((change) => change.fresh.map((one) => one.ordinal))
  if (ordinals.length === 0) return out
  const hash = `hash(${columns.map(quoteIdentifier).join(', ')})`
  const { rows } = await session.rows(
    `SELECT _delivery FROM ${after} WHERE _delivery IN (${ordinals.join(', ')}) GROUP BY 1
     HAVING count(*) FILTER (${hash} NOT IN (SELECT ${hash} FROM ${others})) = 0`,
  )
  const known = new Set(rows.map((row) => Number(row[0])))
  for (const change of fresh) for (const one of change.fresh) if (known.has(one.ordinal)) out.add(one.path)
  return out
}

/** Paths with a key more than once in one delivery. */
async function repeatedPaths(
  session: Session,
  changes: readonly RankedChange[],
  { after, identity }: GroupedRows,
): Promise<ReadonlySet<string>> {
  if (!identity || identity.length === 0) return new Set()
  const names = identity.map(quoteIdentifier).join(', ')
  const { rows } = await session.rows(
    `SELECT DISTINCT _delivery FROM (SELECT _delivery FROM ${after} GROUP BY _delivery, ${names} HAVING count(*) > 1)`,
  )
  const found = new Set(rows.map((row) => Number(row[0])))
  return new Set(changes.flatMap((one) => (one.fresh.some((each) => found.has(each.ordinal)) ? one.paths : [])))
}
