import type { Value } from '../schema/index.ts'

export type ComparisonOperator = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'

/**
 * A condition over one table's columns, by (dotted) name, under SQL's three-valued logic: a row is selected when the
 * predicate is true. Literals are values of the column's own type (see `Value`).
 */
export type Predicate =
  | { readonly kind: 'true' }
  | { readonly kind: 'false' }
  | { readonly kind: 'and'; readonly of: readonly Predicate[] }
  | { readonly kind: 'or'; readonly of: readonly Predicate[] }
  | { readonly kind: 'not'; readonly of: Predicate }
  | {
      readonly kind: 'compare'
      readonly operator: ComparisonOperator
      readonly column: string
      readonly value: Value
    }
  | { readonly kind: 'in'; readonly column: string; readonly values: readonly Value[] }
  | { readonly kind: 'startsWith'; readonly column: string; readonly prefix: string }
  | { readonly kind: 'isNull'; readonly column: string }
  | { readonly kind: 'notNull'; readonly column: string }

export const always: Predicate = { kind: 'true' }
export const never: Predicate = { kind: 'false' }

/** Conjunction with the obvious simplifications. */
export function and(...of: readonly Predicate[]): Predicate {
  const parts = of.flatMap((part) => (part.kind === 'and' ? part.of : [part])).filter((part) => part.kind !== 'true')
  if (parts.some((part) => part.kind === 'false')) return never
  if (parts.length === 0) return always
  const [only] = parts
  return parts.length === 1 && only ? only : { kind: 'and', of: parts }
}

/** Disjunction with the obvious simplifications. */
export function or(...of: readonly Predicate[]): Predicate {
  const parts = of.flatMap((part) => (part.kind === 'or' ? part.of : [part])).filter((part) => part.kind !== 'false')
  if (parts.some((part) => part.kind === 'true')) return always
  if (parts.length === 0) return never
  const [only] = parts
  return parts.length === 1 && only ? only : { kind: 'or', of: parts }
}

/** Stands for a bound that cannot be read: nothing is known. */
export const unknownValue = null
