import type { Contract } from '../../contract/index.ts'
import { allChecks, compareContracts } from '../../contract/index.ts'
import { type FacetKind, lineageDifference, lineageOf, type QueryLineage, type TableColumns } from '../../sql/index.ts'
import type { Definition } from '../ledger/definition.ts'
import { definitionOfNode } from '../ledger/definition.ts'
import type { Node } from '../project/node.ts'
import type { Change } from './change.ts'

/** A part of a syntax tree to be printed, words, or nothing. */
export type Shown = Readonly<Record<string, unknown>> | string | null

/** One difference between two definitions of a dataset, named. */
export type DefinitionChange =
  | { readonly kind: 'column-added'; readonly column: string; readonly after: Shown }
  | { readonly kind: 'column-removed'; readonly column: string; readonly before: Shown }
  | { readonly kind: 'column-changed'; readonly column: string; readonly before: Shown; readonly after: Shown }
  | { readonly kind: 'rows-changed'; readonly part: FacetKind; readonly before: Shown; readonly after: Shown }
  | { readonly kind: 'contract-changed'; readonly path: string; readonly before: Shown; readonly after: Shown }
  | { readonly kind: 'check-changed'; readonly check: string; readonly before: Shown; readonly after: Shown }
  | { readonly kind: 'producer-changed'; readonly path: string; readonly before: Shown; readonly after: Shown }
  | { readonly kind: 'respelled' }
  | { readonly kind: 'unknown'; readonly why: string }

/** How the present definition of a dataset differs from one it was built with. */
export interface DefinitionDiff {
  readonly changes: readonly DefinitionChange[]
  /** What a rebuild with the same inputs may change. */
  readonly change: Change
  /** Whether the contract alone differs. */
  readonly contractOnly: boolean
}

export function unknownDiff(why: string): DefinitionDiff {
  return { changes: [{ kind: 'unknown', why }], change: 'all', contractOnly: false }
}

/**
 * Compares a remembered definition with the present one. Both queries are read against the present columns of the inputs:
 * what became of those is told by their own diff.
 */
export function diffDefinitions(before: Definition, node: Node, tables: TableColumns): DefinitionDiff {
  return diffWith(before, definitionOfNode(node), node.lineage, tables)
}

/** The same of two that are remembered, or one that is. */
export function diffRemembered(before: Definition, after: Defined, tables: TableColumns): DefinitionDiff {
  return diffWith(before, after, after.tree === '' ? null : lineageOf(after.tree, tables), tables)
}

type Defined = Omit<Definition, 'run' | 'definedAtMs' | 'version'>

function diffWith(
  before: Definition,
  after: Defined,
  lineage: QueryLineage | null,
  tables: TableColumns,
): DefinitionDiff {
  const producer = producerChanges(before, after)
  const contract = contractChanges(before.contract, after.contract)
  const query = queryChanges(before, after, lineage, tables)
  const told = new Set(query.changes.map(columnKey))
  const changes = [
    ...query.changes,
    ...contract.changes.filter((one) => columnKey(one) === '' || !told.has(columnKey(one))),
    ...producer,
  ]
  if (changes.length === 0) return unknownDiff('nothing in it differs: limn itself builds it in another way since then')
  const change: Change =
    producer.length > 0 || query.change === 'all' || contract.change === 'all'
      ? 'all'
      : new Set([...query.change, ...contract.change])
  const contractOnly = query.changes.length === 0 && producer.length === 0
  return { changes, change, contractOnly }
}

/** How checks differ from those that last judged a dataset, by name; they change no row. */
export function diffChecks(before: Contract, after: Contract): DefinitionDiff {
  const texts = (contract: Contract) =>
    new Map(allChecks(contract).map((check) => [check.name, `${check.severity} ${JSON.stringify(check)}`]))
  const [old, next] = [texts(before), texts(after)]
  const word = (one: string | undefined) => (one === undefined ? null : (one.split(' ')[0] ?? null))
  const changes = [...new Set([...old.keys(), ...next.keys()])]
    .filter((name) => old.get(name) !== next.get(name))
    .map((check): DefinitionChange => {
      const [a, b] = [word(old.get(check)), word(next.get(check))]
      return { kind: 'check-changed', check, before: a, after: b !== null && a === b ? `${b}, in another way` : b }
    })
  return { changes, change: new Set(), contractOnly: true }
}

function columnKey(change: DefinitionChange): string {
  return change.kind === 'column-added' || change.kind === 'column-removed' ? `${change.kind} ${change.column}` : ''
}

interface Changes {
  readonly changes: readonly DefinitionChange[]
  readonly change: Change
}

const none: Changes = { changes: [], change: new Set() }

function queryChanges(before: Definition, after: Defined, lineage: QueryLineage | null, tables: TableColumns): Changes {
  if (!lineage || before.tree === after.tree) return none
  if (before.tree === '') return { changes: [{ kind: 'unknown', why: 'it was a source' }], change: 'all' }
  const old = lineageOf(before.tree, tables)
  const found = lineageDifference(old, lineage)
  const { columns } = after.contract
  const changes: DefinitionChange[] = []
  for (const column of found.added) {
    const tree = lineage.columns.find((one) => one.name === column)?.tree ?? null
    if (column in columns && !(column in before.contract.columns))
      changes.push({ kind: 'column-added', column, after: tree })
    // The contract had it: a star gave it, or what is compared could not be read.
    else changes.push({ kind: 'column-changed', column, before: null, after: tree })
  }
  for (const column of found.removed) {
    const tree = old.columns.find((one) => one.name === column)?.tree ?? null
    if (column in before.contract.columns) changes.push({ kind: 'column-removed', column, before: tree })
  }
  for (const one of found.changed)
    changes.push({ kind: 'column-changed', column: one.name, before: one.before, after: one.after })
  for (const one of found.facets)
    changes.push({ kind: 'rows-changed', part: one.kind, before: one.before, after: one.after })
  if (changes.length === 0 && found.rowsDiffer)
    changes.push({ kind: 'rows-changed', part: 'other', before: null, after: null })
  if (changes.length === 0) changes.push({ kind: 'respelled' })
  const named = changes.flatMap((one) => ('column' in one ? [one.column] : []))
  return { changes, change: found.rowsDiffer ? 'all' : new Set(named) }
}

/** Parts of a contract that decide a build; what only describes or judges is left out. */
function contractChanges(before: Contract, after: Contract): Changes {
  const changes: DefinitionChange[] = []
  const touched = new Set<string>()
  let all = false
  for (const difference of compareContracts(before, after)) {
    const { path } = difference
    const column = path.startsWith('columns.') ? path.slice('columns.'.length) : null
    if (column !== null) {
      const [old, next] = [before.columns[column], after.columns[column]]
      if (!old || !next) {
        touched.add(column)
        changes.push(
          next ? { kind: 'column-added', column, after: null } : { kind: 'column-removed', column, before: null },
        )
        continue
      }
      for (const part of ['type', 'nulls', 'nullSentinels'] as const) {
        const value = (one: typeof old) => (part === 'nulls' ? one.nulls !== undefined : (one[part] ?? null))
        const [a, b] = [JSON.stringify(value(old)), JSON.stringify(value(next))]
        if (a === b) continue
        // Whether null is allowed changes no value.
        if (part !== 'nulls') touched.add(column)
        const words = (text: string) =>
          part === 'nulls' ? (text === 'true' ? 'nulls allowed' : 'required') : text.replaceAll('"', '')
        changes.push({ kind: 'contract-changed', path: `${column}: ${part}`, before: words(a), after: words(b) })
      }
    } else if (path === 'keys' || path === 'partition') {
      changes.push({
        kind: 'contract-changed',
        path,
        before: difference.before ?? null,
        after: difference.after ?? null,
      })
    } else if (path.startsWith('rejects.')) {
      all = true
      changes.push({
        kind: 'contract-changed',
        path,
        before: difference.before ?? null,
        after: difference.after ?? null,
      })
    }
  }
  // A reader that takes all columns by their place gets others.
  const common = (one: Contract, other: Contract) => Object.keys(one.columns).filter((name) => name in other.columns)
  const [old, next] = [common(before, after).join(', '), common(after, before).join(', ')]
  if (old !== next) {
    all = true
    changes.push({ kind: 'contract-changed', path: 'column order', before: old, after: next })
  }
  return { changes, change: all ? 'all' : touched }
}

/** By which path a difference names how a dataset reads an input. */
export const edgePath = (input: string) => `edge to ${input}`

function producerChanges(before: Definition, after: Defined): readonly DefinitionChange[] {
  const out: DefinitionChange[] = []
  const parts = (one: typeof after) =>
    new Map<string, unknown>([
      ...Object.entries(one.producer).map(([key, value]): [string, unknown] => [key, value]),
      ...Object.entries(one.shape).map(([key, value]): [string, unknown] => [`interval ${key}`, value]),
      ...Object.entries(one.edges).map(([key, value]): [string, unknown] => [edgePath(key), value]),
    ])
  const [old, next] = [parts(before), parts(after)]
  for (const path of new Set([...old.keys(), ...next.keys()])) {
    const text = (value: unknown) => (value === undefined ? null : JSON.stringify(value))
    const [a, b] = [text(old.get(path)), text(next.get(path))]
    if (a !== b) out.push({ kind: 'producer-changed', path, before: a, after: b })
  }
  return out
}
