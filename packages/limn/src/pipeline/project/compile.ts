import { LimnError, type TableId } from '../../base/index.ts'
import { addUnits, floorTo, type Interval } from '../../dataset/index.ts'
import type { PipelineContext } from '../context.ts'
import { FactBook } from '../plan/fact-book.ts'
import { boundSql } from '../stage/bound-sql.ts'
import { bindOwn, ownStateOf } from '../stage/own-rows.ts'
import { bindViews } from '../stage/stage.ts'
import { viewOf } from '../stage/view.ts'

export interface Compiled {
  readonly dataset: TableId
  readonly interval: Interval | null
  /** Statements that bind the pinned inputs as views, then the SELECT: runs as it is in DuckDB. */
  readonly sql: string
  /** The SELECT alone. */
  readonly select: string
  readonly views: readonly string[]
  readonly inputs: Readonly<Record<string, string>>
}

/** The SQL a model runs for one interval (the one holding `at`), inputs pinned at their present snapshots and pruned. */
export async function compileModel(context: PipelineContext, id: TableId, range: Interval | null): Promise<Compiled> {
  const node = context.project.nodes.get(id)
  if (!node?.query) {
    throw new LimnError('usage/argument', {
      message: `${id} is a source: it has no SQL.`,
      remedy: 'Name a model.',
    })
  }
  const book = await FactBook.open(context, { selected: new Set(), full: false, range: null })
  let interval: Interval | null = null
  if (node.shape.kind === 'interval') {
    const { unit } = node.shape
    const at = range?.start ?? node.shape.start ?? book.ledger.get(id)?.built.at(-1)?.interval?.start ?? null
    if (at === null) {
      throw new LimnError('usage/argument', {
        message: `${id} is built by ${unit}: say which.`,
        remedy: `limn compile ${id} --date 2001-01-01`,
      })
    }
    const start = floorTo(unit, at)
    const end = addUnits(unit, start, 1)
    // One that reads itself is built one interval at a time.
    interval = { start, end: range && !node.self ? Math.max(end, range.end) : end }
  }
  const select = boundSql(node, interval)
  const views = [...node.edges.keys()].map((input) => {
    const pin = book.pinOf(input)
    if (!pin)
      throw new LimnError('usage/unknown-table', {
        message: `${input} has not been built yet.`,
        remedy: `limn run +${id}`,
      })
    return viewOf(context.project.nodes.get(input), pin)
  })
  const ownPin = node.self ? book.pinOf(id) : null
  const own = node.self ? await ownStateOf(context, node.contract, ownPin) : null
  await using bound = await bindViews(context, views, select, own && { id, schema: own.schema })
  await using earlier = own && interval ? await bindOwn(context, node, own, interval) : null
  const statements = await Promise.all(bound.readings.map(({ reading }) => context.engine.viewSql(reading.bound)))
  if (earlier) {
    const [files, view] = earlier.bound
    statements.push(await context.engine.viewSql(files), `CREATE OR REPLACE VIEW ${id} AS ${view.query}`)
  }
  const names = [...views.map((view) => view.pin.id), ...(earlier?.bound.map((one) => one.id) ?? [])]
  const schemas = [...new Set(names.map((name) => name.split('.')[0]))].map(
    (name) => `CREATE SCHEMA IF NOT EXISTS "${name}"`,
  )
  return {
    dataset: id,
    interval,
    select,
    views: [...schemas, ...statements],
    sql: [...schemas, ...statements, select.trim()].map((statement) => `${statement};`).join('\n'),
    inputs: Object.fromEntries(
      [...views.map((view) => view.pin), ...(ownPin ? [ownPin] : [])].map((pin) => [pin.id, String(pin.snapshotId)]),
    ),
  }
}
