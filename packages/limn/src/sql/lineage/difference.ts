import type { FacetKind, Json, QueryLineage } from './lineage.ts'

/** One of the things that decide a query's rows, before and after; null where there is none. */
export interface FacetChange {
  readonly kind: FacetKind
  readonly before: Json | string | null
  readonly after: Json | string | null
}

/** How two queries differ in meaning, as far as their trees tell. Spelling, comments and names of parts make no difference. */
export interface LineageDifference {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Columns of both whose values may differ, where the rows are the same. */
  readonly changed: readonly { readonly name: string; readonly before: Json | null; readonly after: Json | null }[]
  /** Whether the rows may differ; all columns then may. */
  readonly rowsDiffer: boolean
  readonly facets: readonly FacetChange[]
}

export function lineageDifference(before: QueryLineage, after: QueryLineage): LineageDifference {
  const old = new Map(before.columns.map((column) => [column.name.toLowerCase(), column]))
  const next = new Map(after.columns.map((column) => [column.name.toLowerCase(), column]))
  const rowsDiffer = before.rows.hash !== after.rows.hash || before.open || after.open
  return {
    added: after.columns.filter((column) => !old.has(column.name.toLowerCase())).map((column) => column.name),
    removed: before.columns.filter((column) => !next.has(column.name.toLowerCase())).map((column) => column.name),
    changed: after.columns.flatMap((column) => {
      const one = old.get(column.name.toLowerCase())
      return one && one.hash !== column.hash ? [{ name: column.name, before: one.tree, after: column.tree }] : []
    }),
    rowsDiffer,
    facets: rowsDiffer ? facetChanges(before, after) : [],
  }
}

/**
 * Facets of one only, those of a kind matched in order. The deepest come first, and what only follows from them (the same
 * words about other rows) is left out
 * where there is something they follow from.
 */
function facetChanges(before: QueryLineage, after: QueryLineage): readonly FacetChange[] {
  const keyOf = (facet: { readonly kind: FacetKind; readonly hash: string }) => `${facet.kind} ${facet.hash}`
  const old = new Set(before.facets.map(keyOf))
  const next = new Set(after.facets.map(keyOf))
  const gone = before.facets.filter((facet) => !next.has(keyOf(facet)))
  const come = after.facets.filter((facet) => !old.has(keyOf(facet)))
  const words = (shown: Json | string) => JSON.stringify(shown)
  const changes: FacetChange[] = []
  const following: FacetChange[] = []
  for (const kind of new Set([...gone, ...come].map((facet) => facet.kind))) {
    const left = gone.filter((facet) => facet.kind === kind)
    const right = come.filter((facet) => facet.kind === kind)
    for (const facet of [...left]) {
      const same = right.findIndex((one) => words(one.shown) === words(facet.shown))
      if (same < 0) continue
      following.push({ kind, before: facet.shown, after: facet.shown })
      right.splice(same, 1)
      left.splice(left.indexOf(facet), 1)
    }
    for (let i = 0; i < Math.max(left.length, right.length); i++)
      changes.push({ kind, before: left[i]?.shown ?? null, after: right[i]?.shown ?? null })
  }
  return changes.length > 0 ? changes : following
}
