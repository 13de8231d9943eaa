import { snapshotById } from '../../iceberg/index.ts'
import { fieldByName, type Schema } from '../../schema/index.ts'
import { lineageOf } from '../../sql/index.ts'
import { type PinnedTable, schemaOfPin } from '../../table/index.ts'
import type { ColumnsRead, Node, Project } from '../project/node.ts'
import { columnsOf } from '../project/reads.ts'

/**
 * The columns by which two states of an input are compared for a reader, in the order of the table. Null: nothing would be
 * left out, whole files are compared. `incomparable`: a column that the reader reads is gone or has another type, so that equal
 * values may mean another result.
 */
export function comparedColumns(
  project: Project,
  node: Node,
  input: Node,
  from: bigint | null,
  to: PinnedTable,
): readonly string[] | null | 'incomparable' {
  const read = node.reads.get(input.id)
  const schemaId = from === null ? null : (snapshotById(to.metadata, from)?.schemaId ?? null)
  const before = to.metadata.schemas.find((one) => one.schemaId === schemaId)
  if (!read || !before) return null
  const after = schemaOfPin(to)
  const all = after.fields.map((field) => field.name)
  const { columns: wanted } = read
  const columns = wanted === 'all' ? all : all.filter((name) => wanted.has(name))
  const isSame = shapeOf(before) === shapeOf(after)
  if (!isSame && (retyped(before, after, columns) || missed(project, node, input, read, before, after)))
    return 'incomparable'
  // A model's files are new only where a row is.
  return isSame && columns.length === all.length && input.producer.kind === 'model' ? null : columns
}

function shapeOf(schema: Schema): string {
  return JSON.stringify(schema.fields.map(({ id, name, type }) => [id, name, type]))
}

/** Whether one of the columns is another one, or of another type, than before. A new one is compared with null. */
function retyped(before: Schema, after: Schema, columns: readonly string[]): boolean {
  return columns.some((name) => {
    const [a, b] = [fieldByName(before, name), fieldByName(after, name)]
    return a !== undefined && b !== undefined && (a.id !== b.id || JSON.stringify(a.type) !== JSON.stringify(b.type))
  })
}

/** Whether a column that is gone, or the order of those that stay, mattered to a reader that takes whatever there is. */
function missed(project: Project, node: Node, input: Node, read: ColumnsRead, before: Schema, after: Schema): boolean {
  const gone = before.fields.filter((field) => fieldByName(after, field.name) === undefined)
  const order = (one: Schema, other: Schema) =>
    one.fields.flatMap((field) => (fieldByName(other, field.name) ? [field.name] : [])).join()
  if (!read.starred && read.columns !== 'all') return false
  if (order(before, after) !== order(after, before)) return true
  if (gone.length === 0) return false
  if (read.columns === 'all' || !node.query) return true
  const contracts = new Map([...project.nodes].map(([id, one]) => [id, one.contract]))
  const tables = new Map(columnsOf(contracts)).set(
    input.id,
    before.fields.map((field) => field.name),
  )
  const used = lineageOf(node.query.canonical, tables).uses.get(input.id) ?? 'all'
  return used === 'all' || gone.some((field) => used.has(field.name))
}
