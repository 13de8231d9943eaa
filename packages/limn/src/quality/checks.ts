import { counted, LimnError, type TableId } from '../base/index.ts'
import type { Check, Contract, Severity } from '../contract/index.ts'
import { scopeOf } from '../contract/index.ts'
import { quoteIdentifier as q } from '../sql/index.ts'

/** What checks ask questions of. */
export interface Queryable {
  rows(
    sql: string,
  ): Promise<{ readonly columns: readonly { readonly name: string }[]; readonly rows: readonly (readonly unknown[])[] }>
}

export interface Sample {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly unknown[])[]
}

/** What a check found. `failures` and `judged` count rows, or groups and intervals where the check is about those. */
export interface Verdict {
  readonly check: string
  readonly kind: Check['kind']
  readonly severity: Severity
  readonly scope: 'interval' | 'table'
  readonly outcome: 'passed' | 'failed'
  readonly failures: number
  readonly judged: number
  /** One sentence with figures. */
  readonly explanation: string
  /** Some of the rows at fault; JSON-safe. */
  readonly sample: Sample
}

export interface EvaluateInput {
  readonly contract: Contract
  readonly checks: readonly Check[]
  /** The whole staged table, by its name. */
  readonly table: TableId
  /** The rows staged now, and the column and unit they are divided by. */
  readonly staged: { readonly view: TableId; readonly interval?: { readonly column: string; readonly unit: string } }
  /**
   * Conditions on this dataset's rows and on another's that leave out times which are stale; null or absent: all rows.
   * A reconcile compares only what is left on both sides.
   */
  readonly fresh?: { readonly own: string | null; of(other: TableId): string | null }
  /** Intervals staged, in microseconds: all of them are judged, empty ones too. */
  readonly stagedIntervals: readonly { readonly start: number; readonly end: number }[]
}

const sampleMax = 10
const noSample: Sample = { columns: [], rows: [] }

/** What one scan of the staged rows counts: all of them, those at fault with each check on single rows, and different keys. */
interface Scan {
  readonly checks: readonly Check[]
  readonly keys: readonly Extract<Check, { kind: 'unique' }>[]
  /** Empty: there is nothing to scan for. */
  readonly counts: readonly string[]
}

function scanOf(input: EvaluateInput): Scan {
  const checks = input.checks.filter((check) => check.kind === 'notNull' || check.kind === 'between')
  // Where the rows staged are all of the table, one scan tells of keys too.
  const keys = input.staged.view === input.table ? input.checks.filter((check) => check.kind === 'unique') : []
  if (checks.length === 0) return { checks, keys, counts: [] }
  const atFault = checks.map((check) => `count(*) FILTER (${conditionOf(check, input.contract)})`)
  return { checks, keys, counts: ['count(*)', ...atFault, ...keys.map(distinctOf)] }
}

/** What the scans of several datasets count, in their order. */
export type Counted = readonly (readonly number[] | undefined)[]

/**
 * Scans several datasets in one query, which costs half of what theirs would. Nothing where it fails: each by itself says
 * which check it is.
 */
export async function countTogether(query: Queryable, inputs: readonly EvaluateInput[]): Promise<Counted> {
  const scans = inputs.flatMap((input, i) => {
    const { counts } = scanOf(input)
    return counts.length === 0
      ? []
      : [`SELECT ${i} AS at, to_json([${counts.join(', ')}]::BIGINT[])::VARCHAR AS counts FROM ${input.staged.view}`]
  })
  if (scans.length < 2) return []
  try {
    const { rows } = await query.rows(scans.join(' UNION ALL '))
    const out: (readonly number[] | undefined)[] = inputs.map(() => undefined)
    for (const [at, counts] of rows) out[Number(at)] = JSON.parse(String(counts)) as readonly number[]
    return out
  } catch (error) {
    if (error instanceof LimnError && error.kind.startsWith('sql/')) return []
    throw error
  }
}

/**
 * Evaluates checks against bound tables. Verdicts come in the order of `checks`. An SQL error in a check is `sql/invalid`.
 * `counted`: what `countTogether` found of this dataset.
 */
export async function evaluateChecks(
  query: Queryable,
  input: EvaluateInput,
  counted?: readonly number[],
): Promise<readonly Verdict[]> {
  const verdicts = new Map<Check, Verdict>()
  for (const [check, verdict] of await judgeRows(query, input, scanOf(input), counted)) verdicts.set(check, verdict)
  for (const check of input.checks) {
    if (!verdicts.has(check)) verdicts.set(check, await guarded(input, check, () => judgeOne(query, input, check)))
  }
  return input.checks.flatMap((check) => verdicts.get(check) ?? [])
}

function verdict(check: Check, failures: number, judged: number, explanation: string, sample: Sample): Verdict {
  return {
    check: check.name,
    kind: check.kind,
    severity: check.severity,
    scope: scopeOf(check),
    outcome: failures > 0 ? 'failed' : 'passed',
    failures,
    judged,
    explanation,
    sample,
  }
}

/** All conditions on single rows in one scan, and with them the keys that hold; of keys that do not, there is no verdict yet. */
async function judgeRows(
  query: Queryable,
  input: EvaluateInput,
  { checks, keys, counts }: Scan,
  counted: readonly number[] | undefined,
): Promise<ReadonlyMap<Check, Verdict>> {
  const out = new Map<Check, Verdict>()
  if (counts.length === 0) return out
  const view = input.staged.view
  const [first] = checks
  const scan = async () => (await query.rows(`SELECT ${counts.join(', ')} FROM ${view}`)).rows[0] ?? []
  const row = counted ?? (await guarded(input, first, scan))
  const judged = Number(row[0] ?? 0)
  for (const [i, check] of checks.entries()) {
    const failures = Number(row[i + 1] ?? 0)
    const where = conditionOf(check, input.contract)
    const sample = failures > 0 ? await take(query, `SELECT * FROM ${view} WHERE ${where}`) : noSample
    const what =
      check.kind === 'notNull'
        ? `null in ${check.column}`
        : check.kind === 'between'
          ? `${check.column} outside ${check.min} … ${check.max}`
          : ''
    const text =
      failures > 0
        ? `${count(failures)} of ${count(judged)} rows have ${what}`
        : `none of ${count(judged)} rows has ${what}`
    out.set(check, verdict(check, failures, judged, text, sample))
  }
  for (const [i, check] of keys.entries())
    if (Number(row[checks.length + i + 1] ?? 0) === judged) out.set(check, allDifferent(check, judged))
  return out
}

/** Counting distinct values is much cheaper than grouping; only a failure needs the groups. */
function distinctOf({ columns }: Extract<Check, { kind: 'unique' }>): string {
  const list = columns.map(q).join(', ')
  return columns.length === 1
    ? `count(DISTINCT ${list}) + count(DISTINCT CASE WHEN ${list} IS NULL THEN 1 END)`
    : `count(DISTINCT row(${list}))`
}

function allDifferent(check: Extract<Check, { kind: 'unique' }>, judged: number): Verdict {
  return verdict(
    check,
    0,
    judged,
    `${counted(judged, 'row')}, all with different ${check.columns.join(', ')}`,
    noSample,
  )
}

/** The SQL condition of rows at fault with a check on single rows. */
export function conditionOf(check: Check, contract: Contract): string {
  if (check.kind === 'notNull') return `${q(check.column)} IS NULL`
  if (check.kind !== 'between') return 'FALSE'
  const type = contract.columns[check.column]?.type
  const bound = (value: number | string) => {
    if (typeof value === 'number') return String(value)
    const quoted = `'${value.replaceAll("'", "''")}'`
    return type === 'timestamp' || type === 'date' || type === 'timestamptz' || type === 'time'
      ? `${quoted}::${type}`
      : quoted
  }
  return `${q(check.column)} < ${bound(check.min)} OR ${q(check.column)} > ${bound(check.max)}`
}

async function judgeOne(query: Queryable, input: EvaluateInput, check: Check): Promise<Verdict> {
  switch (check.kind) {
    case 'unique':
      return judgeUnique(query, input, check)
    case 'reference':
      return judgeReference(query, input, check)
    case 'reconcile':
      return judgeReconcile(query, input, check)
    case 'volume':
      return judgeVolume(query, input, check)
    case 'sql': {
      const { rows } = await query.rows(`SELECT count(*) FROM (${check.sql}\n)`)
      const failures = Number(rows[0]?.[0] ?? 0)
      const sample = failures > 0 ? await take(query, check.sql) : noSample
      return verdict(
        check,
        failures,
        failures,
        failures > 0 ? `the query found ${counted(failures, 'row')}` : 'the query found no row',
        sample,
      )
    }
    default:
      throw new LimnError('internal', { message: `The check ${check.kind} is judged with the rows.` })
  }
}

async function judgeUnique(
  query: Queryable,
  input: EvaluateInput,
  check: Extract<Check, { kind: 'unique' }>,
): Promise<Verdict> {
  const columns = check.columns.map(q).join(', ')
  const { rows } = await query.rows(`SELECT count(*), ${distinctOf(check)} FROM ${input.table}`)
  const judged = Number(rows[0]?.[0] ?? 0)
  if (judged === Number(rows[0]?.[1] ?? 0)) return allDifferent(check, judged)
  const repeated = `SELECT ${columns} FROM ${input.table} GROUP BY ${columns} HAVING count(*) > 1`
  const found = await query.rows(`SELECT count(*) FROM (${repeated})`)
  const on = check.columns.map((column) => `t.${q(column)} IS NOT DISTINCT FROM d.${q(column)}`).join(' AND ')
  const sample = await take(
    query,
    `SELECT t.* FROM ${input.table} t JOIN (${repeated} ORDER BY ALL LIMIT 5) d ON ${on} ORDER BY ${check.columns.map((column) => `t.${q(column)}`).join(', ')}`,
  )
  const groups = Number(found.rows[0]?.[0] ?? 0)
  return verdict(
    check,
    groups,
    judged,
    `${counted(groups, 'value')} of ${check.columns.join(', ')} ${groups === 1 ? 'occurs' : 'occur'} more than once`,
    sample,
  )
}

async function judgeReference(
  query: Queryable,
  input: EvaluateInput,
  check: Extract<Check, { kind: 'reference' }>,
): Promise<Verdict> {
  const present = check.columns.map((column) => `${q(column)} IS NOT NULL`).join(' AND ')
  const columns = check.columns.map(q).join(', ')
  const on = check.columns.map((column, i) => `t.${q(column)} = r.${q(check.toColumns[i] ?? column)}`).join(' AND ')
  const orphans = `SELECT ${check.columns.map((column) => `t.${q(column)}`).join(', ')}, t.n AS "rows" FROM (SELECT ${columns}, count(*) AS n FROM ${input.table} WHERE ${present} GROUP BY ${columns}) t ANTI JOIN ${check.to} r ON ${on}`
  const { rows } = await query.rows(`SELECT coalesce(sum("rows"), 0), count(*) FROM (${orphans})`)
  const failures = Number(rows[0]?.[0] ?? 0)
  const total = await query.rows(`SELECT count(*) FROM ${input.table} WHERE ${present}`)
  const judged = Number(total.rows[0]?.[0] ?? 0)
  if (failures === 0)
    return verdict(
      check,
      0,
      judged,
      `${judged === 1 ? 'its row is' : `all ${count(judged)} rows are`} found in ${check.to}`,
      noSample,
    )
  const sample = await take(query, `${orphans} ORDER BY ALL`)
  return verdict(
    check,
    failures,
    judged,
    `${counted(failures, 'row refers', 'rows refer')} to ${counted(Number(rows[0]?.[1]), 'value')} that ${check.to} lacks`,
    sample,
  )
}

async function judgeReconcile(
  query: Queryable,
  input: EvaluateInput,
  check: Extract<Check, { kind: 'reconcile' }>,
): Promise<Verdict> {
  const rowsOf = (table: TableId, where: string | null | undefined) =>
    where ? `(SELECT * FROM ${table} WHERE ${where})` : table
  const own = rowsOf(input.table, input.fresh?.own)
  const other = rowsOf(check.with, input.fresh?.of(check.with))
  const sides = check.by
    ? `SELECT coalesce(l.g, r.g) AS "group", l.v AS "left", r.v AS "right"
       FROM (SELECT ${check.by.left} AS g, ${check.left} AS v FROM ${own} GROUP BY ALL) l
       FULL JOIN (SELECT ${check.by.right} AS g, ${check.right} AS v FROM ${other} GROUP BY ALL) r ON l.g IS NOT DISTINCT FROM r.g`
    : `SELECT (SELECT ${check.left} FROM ${own}) AS "left", (SELECT ${check.right} FROM ${other}) AS "right"`
  const differs =
    check.tolerance > 0
      ? `coalesce(abs("left" - "right") > ${check.tolerance}, "left" IS DISTINCT FROM "right")`
      : '"left" IS DISTINCT FROM "right"'
  const { rows } = await query.rows(
    `SELECT count(*), count(*) FILTER (${differs}), min("left")::VARCHAR, min("right")::VARCHAR FROM (${sides})`,
  )
  const judged = Number(rows[0]?.[0] ?? 0)
  const failures = Number(rows[0]?.[1] ?? 0)
  const sample = failures > 0 ? await take(query, `SELECT * FROM (${sides}) WHERE ${differs} ORDER BY ALL`) : noSample
  const sums = check.by ? `${count(judged)} groups` : `${rows[0]?.[2]} against ${rows[0]?.[3]}`
  return verdict(
    check,
    failures,
    judged,
    failures > 0
      ? `${check.left} does not agree with ${check.with}: ${check.by ? `${count(failures)} of ${sums}` : sums}`
      : `agrees with ${check.with}: ${sums}`,
    sample,
  )
}

async function judgeVolume(
  query: Queryable,
  input: EvaluateInput,
  check: Extract<Check, { kind: 'volume' }>,
): Promise<Verdict> {
  const interval = input.staged.interval
  const counts = new Map<number, number>()
  if (interval) {
    const start = `epoch_us(date_trunc('${interval.unit}', ${q(interval.column)})::TIMESTAMP)`
    const { rows } = await query.rows(`SELECT ${start}, count(*) FROM ${input.staged.view} GROUP BY 1`)
    for (const row of rows) counts.set(Number(row[0]), Number(row[1]))
  } else {
    const { rows } = await query.rows(`SELECT count(*) FROM ${input.staged.view}`)
    counts.set(0, Number(rows[0]?.[0] ?? 0))
  }
  const starts = interval ? input.stagedIntervals.map((one) => one.start) : [0]
  const iso = (start: number) => new Date(start / 1000).toISOString().slice(0, 10)
  const partial = new Set(
    check.partial.map((text) => Date.parse(`${text.padEnd(10, '-01').slice(0, 10)}T00:00:00Z`) * 1000),
  )
  const bad = starts
    .map((start) => ({ start, rows: counts.get(start) ?? 0 }))
    .filter(({ start, rows }) => rows > check.max || (rows < check.min && !partial.has(start)))
  const sample: Sample = {
    columns: ['interval', 'rows'],
    rows: bad.slice(0, sampleMax).map((one) => [iso(one.start), one.rows]),
  }
  const text =
    bad.length > 0
      ? `${bad.length} of ${starts.length} intervals have a row count outside ${count(check.min)} … ${count(check.max)}`
      : `${counted(starts.length, 'interval')} within ${count(check.min)} … ${count(check.max)} rows`
  return verdict(check, bad.length, starts.length, text, bad.length > 0 ? sample : noSample)
}

async function take(query: Queryable, sql: string): Promise<Sample> {
  const { columns, rows } = await query.rows(`SELECT * FROM (${sql}\n) LIMIT ${sampleMax}`)
  return { columns: columns.map((column) => column.name), rows: rows.map((row) => row.map(jsonSafe)) }
}

function jsonSafe(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
}

function count(value: number): string {
  return value.toLocaleString('en')
}

async function guarded<T>(input: EvaluateInput, check: Check | undefined, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (cause) {
    if (!(cause instanceof LimnError) || !cause.kind.startsWith('sql/')) throw cause
    throw new LimnError('sql/invalid', {
      message: `The check ${check?.name} of ${input.contract.id} cannot be evaluated: ${cause.message}`,
      notDone: 'Nothing was published.',
      remedy: 'Correct the SQL of the check.',
      cause,
    })
  }
}
