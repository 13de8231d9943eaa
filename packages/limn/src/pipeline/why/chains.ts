import type { TableId } from '../../base/index.ts'
import type { IntervalSet } from '../../dataset/index.ts'
import { columnsHandedThrough, rootOf } from '../../sql/index.ts'
import { readPinned } from '../../table/index.ts'
import { diffRows } from '../diff/diff-rows.ts'
import type { Project } from '../project/node.ts'
import type { Code, Point, WhyBook } from './book.ts'
import { expressionText } from './code-change.ts'
import { namesIn, renamedCondition } from './conditions.ts'
import { deliveriesSeen } from './deliveries.ts'
import { type Finding, noEvidence, type Origin } from './finding.ts'
import { multipliedBy } from './joins.ts'
import { touchesAreLists } from './reader.ts'
import { conditionOf, everything, readsOf, type Scope, sideOf } from './scope.ts'
import { hullOf, joinSession, type Multiplicity, multiplicityOf, serialized, type Variant } from './variant.ts'
import { narrowed, type Step, type Walk } from './walk.ts'

/** One model on the way from a table down to what two tables share, with the input that the way goes on by. */
interface Link {
  readonly point: Point
  readonly code: Code
  readonly input: TableId
  readonly inputs: ReadonlyMap<TableId, Point>
  readonly scope: Scope
  readonly times: IntervalSet | null
}

interface Chain {
  readonly links: readonly Link[]
  /** The shared dataset as this side has it. */
  readonly end: Point
  readonly endScope: Scope
}

/** Datasets that both read or are, none of which is upstream of another of them. */
export function sharedBy(project: Project, a: TableId, b: TableId): readonly TableId[] {
  const [left, right] = [upstreamOf(project, a), upstreamOf(project, b)]
  const shared = [...left].filter((id) => right.has(id))
  return shared.filter((id) => !shared.some((other) => other !== id && upstreamOf(project, other).has(id))).sort()
}

function upstreamOf(project: Project, id: TableId): ReadonlySet<TableId> {
  const out = new Set<TableId>()
  const visit = (one: TableId) => {
    if (out.has(one)) return
    out.add(one)
    for (const input of project.nodes.get(one)?.edges.keys() ?? []) visit(input)
  }
  visit(id)
  return out
}

/** The shortest way from a table down to a dataset; empty when it is the table itself. */
function wayTo(project: Project, from: TableId, to: TableId): readonly TableId[] | null {
  if (from === to) return []
  const queue: { readonly id: TableId; readonly way: readonly TableId[] }[] = [{ id: from, way: [] }]
  const seen = new Set<TableId>([from])
  for (let next = queue.shift(); next; next = queue.shift())
    for (const input of [...(project.nodes.get(next.id)?.edges.keys() ?? [])].sort()) {
      if (input === to) return [...next.way, input]
      if (seen.has(input)) continue
      seen.add(input)
      queue.push({ id: input, way: [...next.way, input] })
    }
  return null
}

/**
 * Why one number of two tables is not the same: compares what both read. Where they read the same rows of it, the joins and
 * filters on the way up are asked what they make of each row, and what only one side does is named, with the rows that do it.
 */
export async function tablesApart(
  book: WhyBook,
  before: Point,
  after: Point,
  times: { readonly before: IntervalSet | null; readonly after: IntervalSet | null },
  conditions: readonly string[],
  out: Walk,
): Promise<readonly Finding[]> {
  const { project } = book.context
  const shared = sharedBy(project, before.dataset, after.dataset)
  if (shared.length === 0) {
    out.unknown.push(`${before.dataset} and ${after.dataset} read nothing in common.`)
    return []
  }
  const findings: Finding[] = []
  for (const id of shared) {
    const chains = async (asked: readonly string[]) => [
      await chainTo(book, before, id, { times: times.before, conditions: asked }, out),
      await chainTo(book, after, id, { times: times.after, conditions: asked }, out),
    ]
    let [left, right] = await chains(conditions)
    // Rows of one side alone must not be left out: then all are looked at.
    if (left && right && left.endScope.conditions.join() !== right.endScope.conditions.join()) {
      out.wider.push(`${id}: the two tables do not read it by the same columns.`)
      const whole = await chains([])
      left = whole[0]
      right = whole[1]
    }
    if (!left || !right) continue
    const stale = await staleState(book, left, right, before, after, out)
    if (stale) {
      findings.push(stale)
      continue
    }
    findings.push(...(await linksApart(book, left, right, out)))
  }
  return findings
}

/** Follows the state of each input that a table was built from, down to a dataset. */
async function chainTo(
  book: WhyBook,
  from: Point,
  to: TableId,
  asked: Pick<Scope, 'times' | 'conditions'>,
  out: Walk,
): Promise<Chain | null> {
  const way = wayTo(book.context.project, from.dataset, to)
  if (way === null) return null
  const links: Link[] = []
  let point = from
  let scope: Scope = { ...everything, ...asked }
  for (const input of way) {
    const built = book.builtFrom(point, scope.times)
    const last = built.at(-1)
    const code = last ? await book.code(point.dataset, last.fingerprint) : await book.codeOf(point)
    const inputs = new Map<TableId, Point>()
    for (const id of code?.edges.keys() ?? []) {
      const snapshotId = last?.inputs[id]
      const at = snapshotId === undefined ? null : await book.at(id, snapshotId)
      if (at) inputs.set(id, at)
    }
    const next = inputs.get(input)
    if (!code || !next) {
      out.unknown.push(
        `What ${point.dataset} was built from is not known: ${code ? `its state of ${input} is gone` : 'its definition is not remembered'}.`,
      )
      return null
    }
    if (built.length > 1)
      out.unknown.push(
        `Intervals of ${point.dataset} were built from ${built.length} different states; the latest was looked at.`,
      )
    const edge = code.edges.get(input)
    const lists = edge?.touches ? await touchesAreLists(book, input, edge.touches) : false
    const conditions = await narrowed(book, input, [code], scope.conditions, out)
    const below = { ...readsOf(edge, code.shape, next.shape, scope.times, lists), conditions }
    links.push({ point, code, input, inputs, scope: below, times: scope.times })
    point = next
    scope = below
  }
  return { links, end: point, endScope: scope }
}

/** A finding when the two sides were built from states of the shared dataset that differ where they read it. */
async function staleState(
  book: WhyBook,
  left: Chain,
  right: Chain,
  before: Point,
  after: Point,
  out: Walk,
): Promise<Finding | null> {
  const { dataset } = left.end
  const [a, b] = [left.end.pin.snapshotId, right.end.pin.snapshotId]
  const record = (rows: Step['rows'], verdict: string) =>
    out.steps.push({ dataset, before: a, after: b, rows, intervals: [], verdict })
  if (a === b) {
    record(null, 'both read the same snapshot')
    return null
  }
  const where = conditionOf(right.endScope, right.end.shape)
  const diff = await diffRows(
    book.context,
    sideOf(book.viewOf(left.end), left.end.shape, left.endScope),
    sideOf(book.viewOf(right.end), right.end.shape, right.endScope),
    { measures: [], sample: 5, ...(where === null ? {} : { where }) },
  )
  const rows = diff.total.added + diff.total.removed + diff.total.changed
  record(rows, rows > 0 ? 'they read different states' : 'they read equal rows')
  if (rows === 0) return null
  const seqOf = ({ end }: Chain) => end.rows.at(-1)?.seq ?? 0
  const older = seqOf(left) <= seqOf(right) ? before : after
  return {
    kind: 'not-rebuilt',
    dataset: older.dataset,
    origin: { kind: 'state', input: dataset, before: a, after: b },
    column: null,
    sentence: `${older.dataset} was built from an older state of ${dataset} than ${older === before ? after.dataset : before.dataset}: ${rows.toLocaleString('en')} rows differ between the two.`,
    rows,
    intervals: [],
    evidence: {
      columns: ['', ...diff.columns.compared],
      rows: diff.sample.flatMap((one) => (one.kind === 'changed' ? [] : [[one.kind, ...one.values]])),
    },
  }
}

interface LinkFact {
  readonly link: Link
  readonly made: Multiplicity
}

async function linksApart(book: WhyBook, left: Chain, right: Chain, out: Walk): Promise<readonly Finding[]> {
  const [a, b] = [await factsOf(book, left, out), await factsOf(book, right, out)]
  const findings: Finding[] = []
  for (const [own, others] of [
    [a, b],
    [b, a],
  ] as const)
    for (const fact of own) {
      const { made, link } = fact
      // What the other side does as often to the same dataset cancels.
      const same = (key: 'surplus' | 'unmatched' | 'filtered') =>
        others.some((one) => one.made.input === made.input && one.made[key] === made[key])
      if (made.surplus > 0 && !same('surplus')) findings.push(await multiplied(book, link, made))
      if (made.unmatched > 0 && !same('unmatched')) findings.push(leftOut(link, made, 'unmatched-rows'))
      if (made.filtered > 0 && !same('filtered')) findings.push(await filtered(book, link, made))
    }
  return findings
}

async function factsOf(book: WhyBook, chain: Chain, out: Walk): Promise<readonly LinkFact[]> {
  const facts: LinkFact[] = []
  for (const link of chain.links) {
    const { code, input, inputs } = link
    const variant: Variant = { code, inputs }
    const scopes = new Map([[input, link.scope]])
    await using joins = await joinSession(book, variant, hullOf(code, link.times), scopes)
    const where = conditionOf(link.scope, inputs.get(input)?.shape ?? null)
    const made = joins ? await multiplicityOf(joins, input, where) : null
    if (!made) {
      out.unknown.push(`What ${code.dataset} makes of each row of ${input}: its query is not a plain SELECT over it.`)
      continue
    }
    out.steps.push({
      dataset: code.dataset,
      before: null,
      after: link.point.pin.snapshotId,
      rows: null,
      intervals: link.times?.intervals ?? [],
      verdict: linkText(made),
    })
    facts.push({ link, made })
  }
  return facts
}

function linkText({ input, rows, surplus, unmatched, filtered, multiplied }: Multiplicity): string {
  const n = (count: number) => count.toLocaleString('en')
  const parts = [
    ...(multiplied > 0 ? [`${n(multiplied)} come out as ${n(surplus)} rows more`] : []),
    ...(unmatched > 0 ? [`${n(unmatched)} find no partner`] : []),
    ...(filtered > 0 ? [`${n(filtered)} are filtered out`] : []),
  ]
  return `of ${n(rows)} rows of ${input} ${parts.length > 0 ? parts.join(', ') : 'each comes out once'}`
}

async function multiplied(book: WhyBook, link: Link, made: Multiplicity): Promise<Finding> {
  const { code, input, inputs } = link
  const where = conditionOf(link.scope, inputs.get(input)?.shape ?? null)
  const variant: Variant = { code, inputs }
  await using joins = await joinSession(book, variant, hullOf(code, link.times), new Map([[input, link.scope]]))
  const by = joins ? await multipliedBy(book, joins, variant, input, where) : null
  const effect = `${made.multiplied.toLocaleString('en')} rows of ${input} count more than once in ${code.dataset} (${made.surplus.toLocaleString('en')} rows too many)`
  if (by?.repeated && by.rows !== null) {
    const table = inputs.get(by.table)
    const traced = table ? await deliveredBy(book, table, by.rows) : null
    const from = traced
      ? `${traced.path} (delivery ${traced.ordinal}) brought it`
      : 'which delivery brought it is not known'
    return {
      kind: 'duplicate-key',
      dataset: by.table,
      origin: traced ?? { kind: 'unknown' },
      column: by.grain.join(', '),
      sentence: `${by.table} has one ${by.grain.join(', ')} more than once, so ${effect}; ${from}.`,
      rows: by.evidence.rows.length,
      intervals: [],
      evidence: by.evidence,
    }
  }
  return {
    kind: 'fan-out',
    dataset: code.dataset,
    origin: { kind: 'code', before: '', after: code.fingerprint, changes: [], built: null },
    column: null,
    sentence: `${code.dataset} joins a row of ${input} to several${by ? ` of ${by.table}` : ''}: ${effect}.`,
    rows: made.multiplied,
    intervals: link.times?.intervals ?? [],
    evidence: by?.evidence ?? noEvidence,
  }
}

function leftOut(link: Link, made: Multiplicity, kind: 'unmatched-rows' | 'filter-changed'): Finding {
  const { code, input } = link
  return {
    kind,
    dataset: code.dataset,
    origin: { kind: 'code', before: '', after: code.fingerprint, changes: [], built: null },
    column: null,
    sentence: `${made.unmatched.toLocaleString('en')} rows of ${input} find no partner in the join of ${code.dataset} and are lost.`,
    rows: made.unmatched,
    intervals: link.times?.intervals ?? [],
    evidence: noEvidence,
  }
}

async function filtered(book: WhyBook, link: Link, made: Multiplicity): Promise<Finding> {
  await using session = await book.context.engine.session([], { signal: book.context.signal })
  const where = rootOf(link.code.tree)?.where_clause
  const template = await serialized(session, 'SELECT 1')
  const text = where ? await expressionText(session, where, template) : 'its WHERE'
  return {
    ...leftOut(link, made, 'filter-changed'),
    sentence: `${link.code.dataset} leaves out ${made.filtered.toLocaleString('en')} rows of ${made.input} that the other counts: ${text}.`,
    rows: made.filtered,
  }
}

/** The latest delivery that holds some rows of a dataset, followed down by columns of one name. */
async function deliveredBy(
  book: WhyBook,
  point: Point,
  rows: string,
): Promise<Extract<Origin, { readonly kind: 'delivery' }> | null> {
  const node = book.context.project.nodes.get(point.dataset)
  if (node?.producer.kind === 'source') {
    await using reading = await readPinned(book.context, point.pin, { keep: book.viewOf(point).keep })
    await using session = await book.context.engine.session([reading.bound], { signal: book.context.signal })
    const found = await session.rows(`SELECT max(_delivery) FROM ${point.dataset} WHERE ${rows}`)
    const delivery = deliveriesSeen(point).get(Number(found.rows[0]?.[0] ?? -1))
    return delivery
      ? {
          kind: 'delivery',
          source: point.dataset,
          path: delivery.path,
          ordinal: delivery.ordinal,
          sha256: delivery.sha256,
          run: delivery.run,
          also: [],
        }
      : null
  }
  const [built] = book.builtFrom(point, null)
  const code = built ? await book.code(point.dataset, built.fingerprint) : null
  for (const [input, snapshotId] of Object.entries(built?.inputs ?? {})) {
    const below = await book.at(input as TableId, snapshotId)
    if (!below) continue
    const renamed = renamedCondition(rows, columnsHandedThrough(code?.tree))
    const columns = Object.keys(book.context.project.nodes.get(below.dataset)?.contract.columns ?? {})
    if (!namesIn(renamed).every((name) => columns.includes(name))) continue
    const found = await deliveredBy(book, below, renamed)
    if (found) return found
  }
  return null
}
