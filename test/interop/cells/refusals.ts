import type { SeenAt } from '../../support/seen.ts'

/** The engines that may refuse; the Java reference may not. */
export type Engine = 'pyiceberg' | 'duckdb'

/** A cell that an engine does not read, and its words. A cell that starts to be read, or refuses otherwise, fails. */
export interface Refusal {
  readonly engine: Engine
  readonly cell: RegExp
  readonly at?: (at: SeenAt) => boolean
  readonly message: RegExp
}

export const refusals: readonly Refusal[] = [
  { engine: 'duckdb', cell: /^v3 nanoseconds$/, message: /Unrecognized primitive type: timestamptz_ns/ },
  { engine: 'pyiceberg', cell: /^v3 variants/, message: /Unsupported field type: 'variant'/ },
  { engine: 'duckdb', cell: /^v3 variants/, message: /Unsupported Arrow type VARIANT/ },
]

/**
 * Cells that limn itself refuses, by name, and its words: of tables that others write, and of its own writing. One that
 * it starts to do, or refuses otherwise, fails.
 */
export const ownRefusals: readonly { readonly cell: RegExp; readonly message: RegExp }[] = []

export function ownRefusal(cell: string): RegExp | undefined {
  return ownRefusals.find((one) => one.cell.test(cell))?.message
}
