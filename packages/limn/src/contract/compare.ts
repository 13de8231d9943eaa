import type { Check } from './checks.ts'
import type { Contract } from './contract.ts'

/** Checks a contract implies: its keys are unique, and no column is null unless it says what null means. All hard. */
export function impliedChecks(contract: Contract): readonly Check[] {
  const stated = new Set(contract.checks.map((check) => check.name))
  const implied: Check[] = []
  if (contract.keys.length > 0) {
    implied.push({
      kind: 'unique',
      columns: contract.keys,
      name: `unique(${contract.keys.join(', ')})`,
      severity: 'hard',
    })
  }
  for (const [name, column] of Object.entries(contract.columns)) {
    if (column.nulls === undefined)
      implied.push({ kind: 'notNull', column: name, name: `not_null(${name})`, severity: 'hard' })
  }
  return implied.filter((check) => !stated.has(check.name))
}

/** Implied and stated checks, in that order. */
export function allChecks(contract: Contract): readonly Check[] {
  return [...impliedChecks(contract), ...contract.checks]
}

/**
 * The part of a contract that decides a build's result: names, types, keys, partition, null sentinels, whether null is
 * allowed, reject rules. Docs, owners, tags and checks are outside.
 */
export function fingerprintParts(contract: Contract): unknown {
  return {
    columns: Object.entries(contract.columns).map(([name, column]) => [
      name,
      column.type,
      column.nulls !== undefined,
      column.nullSentinels ?? [],
    ]),
    keys: contract.keys,
    partition: contract.partition,
    rejects: contract.rejects.map((rule) => [rule.name, rule.when, rule.reason ?? rule.name]),
  }
}

/** One difference between two contracts: where, and both values as JSON. */
export interface Difference {
  readonly path: string
  readonly before: string | undefined
  readonly after: string | undefined
}

/** How two contracts differ, part by part; empty when they are equal. Order matters only in columns, keys and partition. */
export function compareContracts(before: Contract, after: Contract): readonly Difference[] {
  const a = flatten(before)
  const b = flatten(after)
  const paths = [...new Set([...a.keys(), ...b.keys()])]
  return paths
    .filter((path) => a.get(path) !== b.get(path))
    .map((path) => ({ path, before: a.get(path), after: b.get(path) }))
}

function flatten(contract: Contract): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  const put = (path: string, value: unknown) => out.set(path, JSON.stringify(value) ?? 'undefined')
  put('doc', contract.doc)
  put('owner', contract.owner)
  put('grain', [...contract.grain].sort())
  put('keys', contract.keys)
  put('partition', contract.partition)
  put('rejectBudget', contract.rejectBudget)
  put('tags', [...contract.tags].sort())
  put('column order', Object.keys(contract.columns))
  for (const [name, column] of Object.entries(contract.columns)) put(`columns.${name}`, column)
  for (const check of contract.checks) put(`checks.${check.name}`, check)
  for (const rule of contract.rejects) put(`rejects.${rule.name}`, rule)
  return out
}
