import { LimnError, mapConcurrently, type TableId } from '../../base/index.ts'
import { allChecks } from '../../contract/index.ts'
import type { ColumnShape, FileEngine } from '../../engine/index.ts'
import { duckType, quoteIdentifier } from '../../sql/index.ts'
import { incrementOf } from './increment.ts'
import { inputsOf, type Node, type Project } from './node.ts'

/** Literals that stand for the interval when a model is only bound. */
const sampleInterval = {
  interval_start: "TIMESTAMP '2001-01-01 00:00:00'",
  interval_end: "TIMESTAMP '2001-02-01 00:00:00'",
} as const

/** The columns of every dataset, as others see them. */
export function shapesOf(project: Project): ReadonlyMap<TableId, readonly ColumnShape[]> {
  return new Map(
    [...project.nodes.values()].map((node) => [
      node.id,
      Object.entries(node.contract.columns).map(([name, column]) => ({ name, type: column.type })),
    ]),
  )
}

/**
 * Binds every model, edge and SQL check against the contracts of its inputs, without reading a row. Returns problems in
 * order of datasets: SQL that does not bind, a column the contract lacks or the query does not give, a type that does
 * not fit.
 */
export async function checkProject(
  project: Project,
  engine: FileEngine,
  only?: ReadonlySet<TableId>,
): Promise<readonly LimnError[]> {
  const shapes = shapesOf(project)
  const found = await mapConcurrently([...project.order], checkedAtOnce, async (id) => {
    const node = project.nodes.get(id)
    return node && (!only || only.has(id)) ? problemsOf(node, engine, shapes) : []
  })
  return found.flat()
}

/** Datasets bound at once: each waits for the engine several times. */
const checkedAtOnce = 4

async function problemsOf(node: Node, engine: FileEngine, shapes: Shapes): Promise<readonly LimnError[]> {
  const problems: LimnError[] = []
  for (const check of [checkQuery, checkEdges, checkIncrement, checkChecks]) {
    try {
      await check(node, engine, shapes)
    } catch (error) {
      if (!(error instanceof LimnError)) throw error
      problems.push(error)
    }
  }
  return problems
}

type Shapes = ReadonlyMap<TableId, readonly ColumnShape[]>

function pick(shapes: Shapes, ids: Iterable<TableId>): Shapes {
  return new Map([...ids].flatMap((id) => (shapes.has(id) ? [[id, shapes.get(id) ?? []] as const] : [])))
}

async function checkQuery(node: Node, engine: FileEngine, shapes: Shapes): Promise<void> {
  if (!node.query) return
  const parameters = node.shape.kind === 'interval' ? sampleInterval : {}
  const inputs = pick(shapes, inputsOf(node))
  const given = await engine.describe(node.query.text, inputs, node.query.origin, parameters, { parsed: true })
  const wanted = Object.entries(node.contract.columns)
  const location = node.query.origin
  const mismatch = (message: string, remedy: string) =>
    new LimnError('contract/mismatch', {
      message: `${node.id}: ${message}`,
      notDone: 'Nothing was run.',
      remedy,
      location,
    })
  for (const column of given) {
    if (column.name in node.contract.columns) continue
    throw mismatch(
      `the query yields a column "${column.name}" that the contract lacks.`,
      'Add it to columns, or leave it out of the query.',
    )
  }
  for (const [name, column] of wanted) {
    const found = given.find((one) => one.name === name)
    if (!found)
      throw mismatch(
        `the query does not yield the column "${name}" of the contract.`,
        'Select it, or remove it from columns.',
      )
    if (!converts(found.type, duckType(column.type))) {
      throw mismatch(
        `column "${name}" is ${found.type} in the query and ${column.type} in the contract.`,
        'Cast it in the query, or correct the contract.',
      )
    }
  }
}

const integers = [
  'TINYINT',
  'SMALLINT',
  'INTEGER',
  'BIGINT',
  'HUGEINT',
  'UTINYINT',
  'USMALLINT',
  'UINTEGER',
  'UBIGINT',
  'UHUGEINT',
]

/** Whether a query's type goes into a contract's without changing what a value means; values out of range fail at run. */
function converts(from: string, to: string): boolean {
  if (from === to || from === '"NULL"' || from === 'NULL') return true
  const integer = (type: string) => integers.includes(type)
  const number = (type: string) => integer(type) || type.startsWith('DECIMAL')
  if (integer(from) && integer(to)) return true
  if (number(from) && (to.startsWith('DECIMAL') || to === 'DOUBLE')) return true
  return from === 'FLOAT' && to === 'DOUBLE'
}

async function checkEdges(node: Node, engine: FileEngine, shapes: Shapes): Promise<void> {
  for (const [input, edge] of node.edges) {
    if (edge.touches === null) continue
    const sql = `SELECT (${edge.touches}) AS t FROM ${input}`
    const [column] = await engine.describe(sql, pick(shapes, [input]), { file: node.file, line: 1, column: 1 })
    if (column && /^(DATE|TIMESTAMP.*)(\[\])?$/.test(column.type)) continue
    throw new LimnError('dataset/invalid', {
      message: `${node.id}: what a row of ${input} touches is ${column?.type}, not a time.`,
      notDone: 'Nothing was run.',
      remedy: 'Give `touches` as a date or timestamp expression, or a list of them.',
      location: { file: node.file },
    })
  }
}

/** Keys that changed rows affect are compared with those of the dataset: they have to be values of their types. */
async function checkIncrement(node: Node, engine: FileEngine, shapes: Shapes): Promise<void> {
  const increment = incrementOf(node.producer)
  if (increment?.kind !== 'merge') return
  for (const input of node.edges.keys()) {
    const given = increment.touches[input] ?? increment.keys.map(quoteIdentifier)
    const columns = given.map((expr, i) => `(${expr}) AS k${i}`)
    const sql = `SELECT ${columns.join(', ')} FROM ${input}`
    const found = await engine.describe(sql, pick(shapes, [input]), { file: node.file, line: 1, column: 1 })
    for (const [i, key] of increment.keys.entries()) {
      const wanted = node.contract.columns[key]?.type
      const type = found[i]?.type
      if (wanted === undefined || type === undefined || converts(type, duckType(wanted))) continue
      throw new LimnError('dataset/invalid', {
        message: `${node.id}: the key "${key}" that a row of ${input} affects is ${type}, and ${wanted} in the contract.`,
        notDone: 'Nothing was run.',
        remedy: 'Cast it in `touches`, or correct the contract.',
        location: { file: node.file },
      })
    }
  }
}

async function checkChecks(node: Node, engine: FileEngine, shapes: Shapes): Promise<void> {
  const tables = pick(shapes, [node.id, ...node.checkInputs])
  for (const check of allChecks(node.contract)) {
    const sql =
      check.kind === 'sql'
        ? check.sql
        : check.kind === 'reconcile'
          ? `SELECT (SELECT ${check.left} FROM ${node.id}) = (SELECT ${check.right} FROM ${check.with})`
          : check.kind === 'reference'
            ? `SELECT ${check.toColumns.map((column) => `"${column}"`).join(', ')} FROM ${check.to}`
            : null
    if (sql === null) continue
    try {
      await engine.describe(sql, tables)
    } catch (cause) {
      if (!(cause instanceof LimnError)) throw cause
      throw new LimnError(cause.kind, {
        message: `The check ${check.name} of ${node.id}: ${cause.message}`,
        notDone: 'Nothing was run.',
        remedy: cause.remedy ?? 'Correct the check.',
        location: { file: node.file },
        cause,
      })
    }
  }
}
