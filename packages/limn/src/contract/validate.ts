import { decimalOf, type PrimitiveType, primitiveFromText } from '../schema/index.ts'
import type { Check } from './checks.ts'
import type { Contract } from './contract.ts'
import { maintainProblems } from './maintain.ts'
import { parsePartitionTerm } from './partition.ts'

/** What is wrong with a contract, where, and what to do. */
export interface Problem {
  readonly path: string
  readonly message: string
  readonly remedy: string
}

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/
const moneyUnits = /^(money|[A-Z]{3})$/
const orderable = new Set<string>([
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
])

/** Every problem of a contract, in order of its parts; empty when it is valid. */
export function validateContract(contract: Contract): readonly Problem[] {
  const problems: Problem[] = []
  const add = (path: string, message: string, remedy: string) => problems.push({ path, message, remedy })
  const names = Object.keys(contract.columns)
  const known = (path: string, column: string) => {
    if (!(column in contract.columns)) add(path, `"${column}" is not a column.`, `The columns are ${names.join(', ')}.`)
  }
  if (!contract.doc?.trim()) add('doc', 'is empty.', 'Say in one sentence what one row is.')
  if (!contract.owner?.trim()) add('owner', 'is empty.', 'Name the team or person who answers for it.')
  if (names.length === 0) add('columns', 'are empty.', 'State at least one column.')
  for (const name of names) columnProblems(contract, name, add)
  for (const column of contract.grain) known('grain', column)
  for (const column of contract.keys) {
    known('keys', column)
    if (contract.columns[column]?.nulls !== undefined)
      add('keys', `"${column}" may be null.`, 'A key is never null: remove its `nulls`, or the key.')
  }
  for (const term of contract.partition) {
    const parsed = parsePartitionTerm(term)
    if (!parsed)
      add(
        'partition',
        `"${term}" is not understood.`,
        'Write a column, year(c), month(c), day(c), hour(c), truncate(n, c) or bucket(n, c).',
      )
    else known('partition', parsed.column)
  }
  checkProblems(contract.checks, known, contract, add)
  const { rows, ratio } = contract.rejectBudget
  if (rows !== undefined && (!Number.isInteger(rows) || rows < 0))
    add('rejectBudget.rows', 'is not a count.', 'State a whole number of rows, 0 or more.')
  if (ratio !== undefined && !(ratio >= 0 && ratio <= 1))
    add('rejectBudget.ratio', 'is not a share.', 'State a number from 0 to 1.')
  const { tolerance } = contract
  if (tolerance?.rows !== undefined && !(tolerance.rows >= 0 && tolerance.rows <= 1))
    add('tolerance.rows', 'is not a share.', 'State a number between 0 and 1.')
  for (const [column, limit] of Object.entries(tolerance?.sums ?? {})) {
    known('tolerance.sums', column)
    if (!(Number.isFinite(limit) && limit >= 0))
      add(`tolerance.sums.${column}`, 'is not a limit.', 'State a share below 1 or an amount, 0 or more.')
  }
  for (const { path, message } of maintainProblems(contract.maintain ?? {}))
    add(path, message, 'Correct it, or leave it out for the default.')
  return problems
}

type Add = (path: string, message: string, remedy: string) => void

function columnProblems(contract: Contract, name: string, add: Add): void {
  const column = contract.columns[name]
  const path = `columns.${name}`
  if (!column) return
  if (!identifier.test(name) || name.startsWith('__limn'))
    add(path, 'is not a usable name.', 'Use letters, digits and underscores.')
  try {
    primitiveFromText(column.type)
  } catch {
    add(
      path,
      `has the unknown type ${column.type}.`,
      'Types are boolean, int, long, float, double, decimal(p,s), date, time, timestamp, timestamptz, string, uuid, binary.',
    )
  }
  const decimal = decimalOf(column.type)
  if (decimal && (decimal.precision < 1 || decimal.precision > 38 || decimal.scale > decimal.precision)) {
    add(path, `has the impossible type ${column.type}.`, 'Precision is 1 to 38, scale at most the precision.')
  }
  if (column.nullSentinels && column.nullSentinels.length > 0 && column.nulls === undefined) {
    add(path, 'has null sentinels, but does not say what null means.', 'State `nulls`.')
  }
  if (
    (column.type === 'float' || column.type === 'double') &&
    column.unit !== undefined &&
    moneyUnits.test(column.unit)
  ) {
    add(path, `holds money (${column.unit}) as ${column.type}.`, 'Money is decimal: use decimal(18,2) or finer.')
  }
}

function checkProblems(
  checks: readonly Check[],
  known: (path: string, column: string) => void,
  contract: Contract,
  add: Add,
): void {
  const names = new Set<string>()
  for (const check of checks) {
    const path = `checks.${check.name}`
    if (names.has(check.name)) add(path, 'is stated twice.', 'Give one of them another name.')
    names.add(check.name)
    if (check.kind === 'unique' || check.kind === 'reference') for (const column of check.columns) known(path, column)
    if (check.kind === 'notNull' || check.kind === 'between') known(path, check.column)
    if (check.kind === 'between') {
      const type: PrimitiveType | undefined = contract.columns[check.column]?.type
      if (type && !orderable.has(type) && !decimalOf(type))
        add(path, `compares a ${type}.`, 'Only ordered types have a range.')
    }
    if (check.kind === 'reference' && check.columns.length !== check.toColumns.length) {
      add(path, 'pairs different numbers of columns.', 'Name as many columns on both sides.')
    }
    if (check.kind === 'volume' && check.min > check.max) add(path, 'has min above max.', 'Swap them.')
  }
}
