import { addUnits, ceilTo, type Edge, earlierOf, type IntervalSet, type IntervalUnit } from '../../dataset/index.ts'
import { quoteIdentifier, sqlLiteral } from '../../sql/index.ts'
import { schemaOfPin } from '../../table/index.ts'
import type { RowSide } from '../diff/row-diff.ts'
import type { Shape } from '../project/node.ts'
import type { DatasetView } from '../stage/view.ts'
import { intervalOfFile } from '../stage/view.ts'

/** Which rows of a dataset are looked at. */
export interface Scope {
  /** Of a dataset built by interval; null: all. */
  readonly times: IntervalSet | null
  /** What the edge above says of its rows, as an SQL condition over its columns; null: nothing. */
  readonly where: string | null
  /** What was asked of them, in its words. */
  readonly conditions: readonly string[]
}

export const everything: Scope = { times: null, where: null, conditions: [] }

/** An SQL condition that a time lies in a set. */
export function timeCondition(sql: string, type: 'timestamp' | 'timestamptz' | 'date', times: IntervalSet): string {
  if (times.isEmpty) return 'false'
  const literal = (at: number) =>
    type === 'date' ? sqlLiteral('date', Math.floor(at / 86_400_000_000)) : sqlLiteral(type, BigInt(at))
  const parts = times.intervals.map(({ start, end }) => `(${sql} >= ${literal(start)} AND ${sql} < ${literal(end)})`)
  return `(${parts.join(' OR ')})`
}

/** A scope as one condition; null: all rows. */
export function conditionOf(scope: Scope, shape: Shape | null): string | null {
  const parts: string[] = []
  if (scope.times && shape?.kind === 'interval')
    parts.push(timeCondition(quoteIdentifier(shape.column), shape.columnType, scope.times))
  for (const one of [...(scope.where === null ? [] : [scope.where]), ...scope.conditions]) parts.push(`(${one}\n)`)
  return parts.length > 0 ? parts.join(' AND ') : null
}

/**
 * The rows of an input that some intervals of its reader were built from, by the edge between them: by what a row touches
 * where the edge says it, else by time. Errs towards more.
 */
export function readsOf(
  edge: Edge | undefined,
  reader: Shape,
  input: Shape | null,
  times: IntervalSet | null,
  touchesAreLists: boolean,
): Scope {
  if (times === null || reader.kind !== 'interval' || !edge) return everything
  const own = input?.kind === 'interval' ? readTimes(edge, reader.unit, times) : null
  if (edge.touches === null) return { times: own, where: null, conditions: [] }
  const hull = touchesAreLists
    ? `len(list_filter(${edge.touches}, lambda limn_x: ${timeCondition('limn_x::TIMESTAMP', 'timestamp', times)})) > 0`
    : timeCondition(`(${edge.touches})::TIMESTAMP`, 'timestamp', times)
  return { times: own, where: hull, conditions: [] }
}

function readTimes(edge: Edge, unit: IntervalUnit, times: IntervalSet): IntervalSet | null {
  switch (edge.reads.kind) {
    case 'same':
      return times
    case 'shift': {
      const { before, after } = edge.reads
      return times.map(({ start, end }) => ({ start: start - before, end: end + after }))
    }
    case 'all':
      return null
    case 'earlier': {
      const { reads } = edge
      return times.map((interval) => {
        const first = earlierOf(reads, interval).start ?? Number.MIN_SAFE_INTEGER
        return { start: first, end: Math.max(first, addUnits(unit, ceilTo(unit, interval.end), -1)) }
      })
    }
  }
}

/** A view as a side of a row diff, without files that hold no row of a scope. */
export function sideOf(view: DatasetView, shape: Shape | null, scope: Scope): RowSide & { readonly kind: 'table' } {
  const { times } = scope
  const keep: RowSide & { readonly kind: 'table' } = { kind: 'table', pin: view.pin, keep: view.keep }
  if (times === null || shape?.kind !== 'interval') return keep
  const schema = schemaOfPin(view.pin)
  return {
    ...keep,
    keep: (file) => {
      if (!view.keep(file)) return false
      const own = intervalOfFile(file, view.pin.metadata, schema, shape)
      return own === null || times.overlaps(own)
    },
  }
}

/** A scope restricted to another set of times as well. */
export function within(scope: Scope, times: IntervalSet | null): Scope {
  if (times === null) return scope
  return { ...scope, times: scope.times === null ? times : scope.times.intersect(times) }
}
