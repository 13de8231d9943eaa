import type { TableId } from '../../base/index.ts'
import type { Interval, IntervalSet } from '../../dataset/index.ts'
import type { Session } from '../../engine/index.ts'
import { type PartApart, partsApart, quoteIdentifier, selectOf } from '../../sql/index.ts'
import { bindFiles, leaseFiles, liveTableTasks } from '../../table/index.ts'
import { afterRows, beforeRows, type RowDiff } from '../diff/row-diff.ts'
import type { Code, Point, WhyBook } from './book.ts'
import { kindOf } from './delivered-rows.ts'
import type { CodeChange, EvidenceRows, Finding } from './finding.ts'
import { multipliedBy } from './joins.ts'
import { type Pattern, patternOf, patternText } from './pattern.ts'
import { conditionOf, readsOf, type Scope, sideOf } from './scope.ts'
import { hullOf, joinSession, multiplicityOf, printed, serialized, type Variant } from './variant.ts'

export interface CodeSides {
  readonly before: Code | null
  readonly after: Code | null
  /** The states both were built from, which are equal. */
  readonly inputs: ReadonlyMap<TableId, Point>
}

/**
 * What two definitions of a dataset do differently to the same inputs, as far as it shows in its rows: filters, joins,
 * and the columns that differ, each with its expression on both sides.
 */
export async function codeFindings(
  book: WhyBook,
  before: Point,
  after: Point,
  sides: CodeSides,
  diff: RowDiff,
  scope: Scope,
): Promise<readonly Finding[]> {
  const { dataset } = after
  const intervals = diff.intervals.flatMap((one) => (one.interval ? [one.interval] : []))
  const evidence = evidenceOf(diff)
  const base = { dataset, intervals, evidence, rows: diff.total.added + diff.total.removed + diff.total.changed }
  const [old, fresh] = [sides.before, sides.after]
  if (!old || !fresh) {
    return [
      {
        ...base,
        kind: 'code-changed',
        origin: {
          kind: 'code',
          before: old?.fingerprint ?? '',
          after: fresh?.fingerprint ?? '',
          changes: [],
          built: builtBy(after, fresh?.fingerprint ?? ''),
        },
        column: null,
        sentence: `${dataset} was computed by another definition, which this lake does not remember.`,
      },
    ]
  }
  const parts = partsApart(old.tree, fresh.tree)
  const changes = await changesOf(book, parts)
  const built = builtBy(after, fresh.fingerprint)
  const origin = { kind: 'code', before: old.fingerprint, after: fresh.fingerprint, changes, built } as const
  const out: Finding[] = []
  const filters = parts.filter((one) => ['where', 'having', 'qualify'].includes(one.kind))
  const joins = parts.filter((one) => one.kind === 'from')
  if (joins.length > 0) {
    const found = await joinFinding(
      book,
      { code: old, inputs: sides.inputs },
      { code: fresh, inputs: sides.inputs },
      scope.times,
    )
    if (found)
      out.push({ ...base, ...found, origin: { ...origin, changes: changes.filter((one) => one.part === 'from') } })
  }
  if (filters.length > 0) {
    const own = changes.filter((one) => /^(where|having|qualify)/.test(one.part))
    const [first] = own
    out.push({
      ...base,
      kind: 'filter-changed',
      origin: { ...origin, changes: own },
      column: null,
      sentence: `${dataset} keeps other rows: ${first?.part ?? 'where'} was ${first?.before ?? 'absent'} and is ${first?.after ?? 'absent'}.`,
    })
  }
  out.push(...(await columnFindings(book, before, after, parts, changes, diff, base, origin, scope)))
  if (out.length > 0) return out
  const text = changes.map((one) => one.part).join(', ')
  return [
    {
      ...base,
      kind: 'code-changed',
      origin,
      column: null,
      sentence: `${dataset} is computed otherwise: ${text === '' ? 'its contract or edges changed' : `${text} changed`}.`,
    },
  ]
}

/** The first run that published rows by a definition. */
function builtBy(point: Point, fingerprint: string): { readonly run: string; readonly because: string } | null {
  const row = point.rows.find((one) => one.outcome === 'built' && one.fingerprint === fingerprint)
  return row ? { run: row.run, because: row.reason } : null
}

type Base = Pick<Finding, 'dataset' | 'intervals' | 'evidence' | 'rows'>

/** Columns of the outermost SELECT that changed both in code and in rows, one finding for each pattern. */
async function columnFindings(
  book: WhyBook,
  before: Point,
  after: Point,
  parts: readonly PartApart[],
  changes: readonly CodeChange[],
  diff: RowDiff,
  base: Base,
  origin: Extract<Finding['origin'], { readonly kind: 'code' }>,
  scope: Scope,
): Promise<readonly Finding[]> {
  const shown = new Set(diff.total.columns.map((one) => one.name))
  const inner = parts.some((one) => one.kind === 'column' && one.within !== '')
  const own = parts.filter((one) => one.kind === 'column' && one.within === '' && shown.has(one.name))
  const grouped = parts.some((one) => ['group', 'order', 'other'].includes(one.kind))
  if (own.length === 0 && !inner && !grouped) return []
  const names = own.length > 0 ? own.map((one) => one.name) : [...shown]
  const patterns = new Map<string, { readonly pattern: Pattern; readonly columns: string[] }>()
  for (const name of names) {
    const pattern: Pattern =
      diff.keys.length > 0 ? await columnPattern(book, before, after, name, diff.keys, scope) : { kind: 'none' }
    const known = patterns.get(pattern.kind)
    if (known && pattern.kind === 'none') known.columns.push(name)
    else patterns.set(pattern.kind === 'none' ? 'none' : `${pattern.kind} ${name}`, { pattern, columns: [name] })
  }
  if (patterns.size === 0) patterns.set('none', { pattern: { kind: 'none' }, columns: [] })
  return [...patterns.values()].map(({ pattern, columns }) => {
    const mine = changes.filter((one) => columns.includes(one.part.replace(/^column /, '')))
    const [first] = mine
    const said = first ? ` was ${first.before ?? 'absent'} and is ${first.after ?? 'absent'}` : ' is computed otherwise'
    const what = pattern.kind === 'none' ? '' : `; ${patternText(pattern, columns[0] ?? '')}`
    return {
      ...base,
      kind: kindOf(pattern, 'code-changed'),
      origin: { ...origin, changes: mine.length > 0 ? mine : changes },
      column: columns[0] ?? null,
      sentence: `In ${base.dataset}, ${columns.join(', ') || 'a row'}${said}${what}.`,
    }
  })
}

/** How the values of a column of rows with one key became others. */
async function columnPattern(
  book: WhyBook,
  before: Point,
  after: Point,
  column: string,
  keys: readonly string[],
  scope: Scope,
): Promise<Pattern> {
  await using resources = new AsyncDisposableStack()
  const bind = async (point: Point, id: TableId) => {
    const side = sideOf(book.viewOf(point), point.shape, scope)
    const tasks = (await liveTableTasks(book.context, side.pin)).filter((task) => side.keep?.(task.file) ?? true)
    const lease = resources.use(await leaseFiles(book.context, tasks))
    return bindFiles({ ...side.pin, id }, tasks, lease)
  }
  const session = resources.use(
    await book.context.engine.session([await bind(before, beforeRows), await bind(after, afterRows)], {
      signal: book.context.signal,
    }),
  )
  const name = quoteIdentifier(column)
  const on = keys.map((key) => `limn_l.${quoteIdentifier(key)} IS NOT DISTINCT FROM limn_r.${quoteIdentifier(key)}`)
  const where = conditionOf(scope, after.shape)
  const rows = (from: TableId) => `(SELECT * FROM ${from}${where === null ? '' : ` WHERE ${where}`})`
  await session.exec(
    `CREATE TEMP TABLE limn_pairs AS SELECT limn_l.${name} AS o, limn_r.${name} AS n FROM ${rows(beforeRows)} AS limn_l JOIN ${rows(afterRows)} AS limn_r ON ${on.join(' AND ')}
     WHERE limn_l.${name} IS DISTINCT FROM limn_r.${name}`,
  )
  return await patternOf(session, 'limn_pairs', await typeOf(session))
}

async function typeOf(session: Session): Promise<string> {
  const { rows } = await session.rows('DESCRIBE SELECT n FROM limn_pairs')
  return String(rows[0]?.[1] ?? '')
}

/** What a changed FROM makes of the rows of an input that the former one did not; null when nothing. */
async function joinFinding(
  book: WhyBook,
  old: Variant,
  fresh: Variant,
  times: IntervalSet | null,
): Promise<Pick<Finding, 'kind' | 'sentence' | 'rows' | 'column' | 'evidence'> | null> {
  const interval: Interval | null = hullOf(fresh.code, times)
  const scopes = new Map<TableId, Scope>()
  for (const [id, edge] of fresh.code.edges)
    scopes.set(id, readsOf(edge, fresh.code.shape, fresh.inputs.get(id)?.shape ?? null, times, false))
  await using before = await joinSession(book, old, interval, scopes)
  await using after = await joinSession(book, fresh, interval, scopes)
  if (!before || !after) return null
  for (const [id, scope] of scopes) {
    const where = conditionOf(scope, fresh.inputs.get(id)?.shape ?? null)
    const [was, is] = [await multiplicityOf(before, id, where), await multiplicityOf(after, id, where)]
    if (!was || !is) continue
    if (is.surplus > was.surplus) {
      const by = await multipliedBy(book, after, fresh, id, where)
      return {
        kind: 'fan-out',
        rows: is.multiplied,
        column: null,
        sentence: `${fresh.code.dataset} now joins ${is.multiplied.toLocaleString('en')} rows of ${id} to several${by ? ` of ${by.table}` : ''}: ${is.surplus.toLocaleString('en')} more rows than there were.`,
        evidence: by?.evidence ?? { columns: [], rows: [] },
      }
    }
    if (is.unmatched > was.unmatched)
      return {
        kind: 'unmatched-rows',
        rows: is.unmatched - was.unmatched,
        column: null,
        sentence: `${fresh.code.dataset} now loses ${(is.unmatched - was.unmatched).toLocaleString('en')} rows of ${id} that its join finds no partner for.`,
        evidence: { columns: [], rows: [] },
      }
  }
  return null
}

/** Parts of two queries as SQL. */
export async function changesOf(book: WhyBook, parts: readonly PartApart[]): Promise<readonly CodeChange[]> {
  if (parts.length === 0) return []
  await using session = await book.context.engine.session([], { signal: book.context.signal })
  const template = await serialized(session, 'SELECT 1')
  const out: CodeChange[] = []
  for (const part of parts) {
    const name = [part.kind, part.name].filter((one) => one !== '').join(' ')
    const where = part.within === '' ? '' : ` in ${part.within}`
    const text = async (tree: unknown) => {
      if (tree === null || tree === undefined) return null
      const single =
        part.kind === 'column' || part.kind === 'where' || part.kind === 'having' || part.kind === 'qualify'
      return single ? expressionText(session, tree, template) : fromText(session, tree, template, part.kind)
    }
    out.push({ part: `${name}${where}`, before: await text(part.before), after: await text(part.after) })
  }
  return out
}

export async function expressionText(session: Session, tree: unknown, template: unknown): Promise<string> {
  const text = (await printed(session, selectOf(unnamed(tree), template))).replace(/^SELECT /, '')
  return text.replace(/^\((.*)\)$/s, (all, inner: string) => (balanced(inner) ? inner : all))
}

/** An expression without the name it gives its column. */
function unnamed(tree: unknown): unknown {
  return typeof tree === 'object' && tree !== null ? { ...tree, alias: '' } : tree
}

function balanced(text: string): boolean {
  let depth = 0
  for (const char of text) {
    depth += char === '(' ? 1 : char === ')' ? -1 : 0
    if (depth < 0) return false
  }
  return depth === 0
}

async function fromText(session: Session, tree: unknown, template: unknown, kind: string): Promise<string> {
  if (kind !== 'from') return 'changed'
  const star = await serialized(session, 'SELECT *')
  const statements = (star as { statements: { node: object }[] }).statements
  const node = { ...statements[0]?.node, from_table: tree }
  const text = await printed(session, { ...(template as object), statements: [{ node, named_param_map: [] }] })
  return text.replace(/^SELECT \* FROM /, '')
}

function evidenceOf(diff: RowDiff): EvidenceRows {
  const changed = diff.sample.flatMap((one) => (one.kind === 'changed' ? [one] : []))
  if (changed.length > 0)
    return {
      columns: [...diff.keys, 'column', 'before', 'after'],
      rows: changed
        .slice(0, 5)
        .flatMap((row) => row.columns.map((one) => [...row.key, one.name, one.before, one.after]))
        .slice(0, 10),
    }
  return {
    columns: ['', ...diff.columns.compared],
    rows: diff.sample.slice(0, 5).flatMap((one) => (one.kind === 'changed' ? [] : [[one.kind, ...one.values]])),
  }
}
