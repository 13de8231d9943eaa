import type { TableId } from '../../base/index.ts'
import { addUnits, type Interval, IntervalSet, type IntervalUnit } from '../../dataset/index.ts'
import type { Session } from '../../engine/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { SeenDelivery } from './deliveries.ts'
import type { EvidenceRows, Finding, FindingKind } from './finding.ts'
import { type Pattern, patternOf, patternText } from './pattern.ts'
import { timeCondition } from './scope.ts'

/** What whoever reads a source wants to know of its rows. */
export interface DeliveryAsk {
  /** A condition over the source's columns; null: all rows matter. */
  readonly where: string | null
  /** Columns that tell its reader's rows apart, and whether that holds less than before; null: not known. */
  readonly identity: { readonly columns: readonly string[]; readonly isBroken: () => Promise<boolean> } | null
  /** The times of its reader that a row belongs to, and which of them had been built before; null: it has none. */
  readonly lateness: { readonly sql: string; readonly unit: IntervalUnit; readonly built: IntervalSet } | null
}

export interface DeliveredRows {
  readonly dataset: TableId
  readonly columns: readonly string[]
  readonly delivery: SeenDelivery
  readonly state: 'new' | 'replaced' | 'gone'
  /** A delivery with the very bytes of this one that was there before. */
  readonly twin: SeenDelivery | null
  /** The bound rows of deliveries that both states have. */
  readonly others: TableId
  /** What the path, or the paths, are called in a sentence, and whether they are several. */
  readonly label: string
  readonly many: boolean
  /** Of what is gone: whether it was there. */
  readonly withdrawn: boolean
  /** Whether every row is known to have been delivered before. */
  readonly doubled: boolean
  /** The other deliveries of the newer side, else of the older. */
  readonly also: readonly SeenDelivery[]
  readonly ask: DeliveryAsk
}

/**
 * Tells what became of the rows of a path. Temporary tables: `limn_old` and `limn_fresh` are all its rows, `limn_gone` and
 * `limn_come` those that the other side lacks, each with `limn_in` where it is in scope.
 */
export async function classifyRows(session: Session, given: DeliveredRows): Promise<readonly Finding[]> {
  const { label, many, state } = given
  if (state === 'gone') {
    const [kind, said] = given.withdrawn
      ? (['withdrawn-delivery', many ? 'were withdrawn' : 'was withdrawn'] as const)
      : (['not-landed', many ? 'have not been landed here' : 'has not been landed here'] as const)
    return [await finding(session, given, kind, 'limn_gone', `${label} ${said}`)]
  }
  if (state === 'new') return classifyNew(session, given)
  const changed = await pairedColumns(session, given)
  const [gone, come] = [await rowsIn(session, 'limn_gone'), await rowsIn(session, 'limn_come')]
  const out = [...changed]
  if (gone > 0 && come > 0)
    out.push(
      await finding(
        session,
        given,
        'corrected-rows',
        'limn_come',
        `${label} ${many ? 'have' : 'has'} ${count(come)} in place of ${count(gone)}`,
      ),
    )
  else if (gone > 0) out.push(await lost(session, given, gone))
  else if (come > 0) out.push(...(await gained(session, given)))
  return out
}

async function classifyNew(session: Session, given: DeliveredRows): Promise<readonly Finding[]> {
  const { label, twin } = given
  if (twin)
    return [
      await finding(session, given, 'double-delivery', 'limn_come', `${label} is ${twin.path} again, byte for byte`),
    ]
  if (given.doubled || (await allIn(session, given, given.others)))
    return [
      await finding(session, given, 'double-delivery', 'limn_come', `Every row of ${label} had been delivered before`),
    ]
  return gained(session, given)
}

/** Rows that only the newer state has. */
async function gained(session: Session, given: DeliveredRows): Promise<readonly Finding[]> {
  const { label, many, ask, state } = given
  const repeated = await repeatedKeys(session, given)
  if (repeated) return [repeated]
  if (state === 'replaced' && (await allIn(session, given, 'limn_old')))
    return [
      await finding(session, given, 'double-delivery', 'limn_come', `${label} ${many ? 'have' : 'has'} rows twice`),
    ]
  const { lateness } = ask
  if (!lateness) return [await finding(session, given, 'new-rows', 'limn_come', `${label} brought rows`)]
  const late = lateness.built.isEmpty
    ? 'false'
    : timeCondition(`(${lateness.sql})::TIMESTAMP`, 'timestamp', lateness.built)
  await session.exec(`CREATE OR REPLACE TEMP TABLE limn_late AS SELECT * FROM limn_come WHERE ${late}`)
  await session.exec(`CREATE OR REPLACE TEMP TABLE limn_new AS SELECT * FROM limn_come WHERE (${late}) IS NOT TRUE`)
  const out: Finding[] = []
  if ((await rowsIn(session, 'limn_late')) > 0)
    out.push(
      await finding(
        session,
        given,
        'late-rows',
        'limn_late',
        `${label} brought rows for intervals that had been built`,
      ),
    )
  if ((await rowsIn(session, 'limn_new')) > 0)
    out.push(await finding(session, given, 'new-rows', 'limn_new', `${label} brought rows for new intervals`))
  return out
}

/** Rows whose key is in the delivered state more than once, and was not before; null when keys are not the matter. */
async function repeatedKeys(session: Session, given: DeliveredRows): Promise<Finding | null> {
  const identity = given.ask.identity?.columns
  if (!identity || identity.length === 0 || identity.length === given.columns.length) return null
  const keys = identity.map(quoteIdentifier).join(', ')
  const twice = (from: string) => `SELECT ${keys} FROM ${from} GROUP BY ${keys} HAVING count(*) > 1`
  const { rows } = await session.rows(`SELECT count(*) FROM (${twice('limn_old')})`)
  // A column that was no key before is none now.
  if (given.state === 'replaced' && Number(rows[0]?.[0] ?? 0) > 0) return null
  const same = identity.map(
    (name) => `limn_t.${quoteIdentifier(name)} IS NOT DISTINCT FROM limn_r.${quoteIdentifier(name)}`,
  )
  await session.exec(
    `CREATE OR REPLACE TEMP TABLE limn_twice AS SELECT limn_r.* EXCLUDE (limn_in), true AS limn_in FROM limn_fresh AS limn_r JOIN (${twice('limn_fresh')}) AS limn_t ON ${same.join(' AND ')}`,
  )
  const repeated = await rowsIn(session, 'limn_twice')
  const foreign = await session.rows(
    `SELECT count(*) FROM limn_come AS limn_r WHERE limn_in AND NOT EXISTS (SELECT 1 FROM limn_twice AS limn_t WHERE ${same.join(' AND ')})`,
  )
  if (repeated === 0 || Number(foreign.rows[0]?.[0] ?? 0) > 0) return null
  if (!(await given.ask.identity?.isBroken())) return null
  const values = await session.rows(
    `SELECT DISTINCT ${identity.map((name) => `${quoteIdentifier(name)}::VARCHAR`).join(` || ', ' || `)} AS limn_k FROM limn_twice ORDER BY 1 LIMIT 5`,
  )
  const shown = values.rows.map((row) => String(row[0] ?? 'null')).join('; ')
  return finding(
    session,
    given,
    'duplicate-key',
    'limn_twice',
    `${given.label} ${given.many ? 'have' : 'has'} ${identity.join(', ')} more than once: ${shown}`,
    identity.join(', '),
    identity,
  )
}

/** Rows that only the older state has. */
async function lost(session: Session, given: DeliveredRows, gone: number): Promise<Finding> {
  const { label, many } = given
  const dropped = await droppedValue(session, given)
  if (dropped)
    return finding(
      session,
      given,
      'value-dropped',
      'limn_gone',
      `${label} ${many ? 'have' : 'has'} no row with ${dropped.column} = ${dropped.values.join(', ')} any more`,
      dropped.column,
    )
  const { rows } = await session.rows('SELECT (SELECT count(*) FROM limn_old), (SELECT count(*) FROM limn_fresh)')
  const [old = 0, fresh = 0] = (rows[0] ?? []).map(Number)
  return finding(
    session,
    given,
    'partial-delivery',
    'limn_gone',
    `${label} came again with ${fresh.toLocaleString('en')} of ${count(old)}; ${count(gone)} that mattered here ${gone === 1 ? 'is' : 'are'} missing`,
  )
}

/** A column of which few values vanished altogether, and with them all the rows that are gone. */
async function droppedValue(session: Session, given: DeliveredRows) {
  const types = await typesOf(session)
  for (const column of given.columns) {
    const type = types.get(column) ?? ''
    if (!/^(VARCHAR|BOOLEAN|INTEGER|BIGINT|SMALLINT|UUID)$/.test(type)) continue
    const name = quoteIdentifier(column)
    const { rows } = await session.rows(
      `SELECT (SELECT count(DISTINCT ${name}) FROM limn_gone), (SELECT count(*) FROM limn_gone), (SELECT count(DISTINCT ${name}) FROM limn_old), (SELECT count(*) FROM limn_old),
         (SELECT count(*) FROM limn_fresh WHERE ${name} IN (SELECT ${name} FROM limn_gone)), (SELECT count(*) FROM limn_gone WHERE ${name} IS NULL)`,
    )
    const [values = 0, gone = 0, all = 0, old = 0, left = 0, nulls = 0] = (rows[0] ?? []).map(Number)
    // Few values of many rows each, none of them left: a value of its own per row tells nothing.
    if (values === 0 || values > 3 || values >= all || left > 0 || nulls > 0) continue
    if (gone < 5 * values || old < 5 * all) continue
    const found = await session.rows(`SELECT DISTINCT ${name}::VARCHAR FROM limn_gone ORDER BY 1`)
    return { column, values: found.rows.map((row) => String(row[0])) }
  }
  return null
}

/**
 * One column alone differs over a whole delivery: rows are paired by all others, in order of it, which keeps pairs right
 * under a shift, a factor and a rounding. Null when that is not so, nothing when no such row is in scope.
 */
export async function wholeColumn(session: Session, given: DeliveredRows): Promise<readonly Finding[] | null> {
  const sums = (from: string) =>
    `SELECT count(*)${given.columns.map((name) => `, sum(hash(${quoteIdentifier(name)})::HUGEINT)`).join('')} FROM ${from}`
  const [old = []] = (await session.rows(sums('limn_old'))).rows
  const [fresh = []] = (await session.rows(sums('limn_fresh'))).rows
  if (old[0] !== fresh[0]) return null
  const other = given.columns.filter((_name, i) => String(old[i + 1]) !== String(fresh[i + 1]))
  const [column] = other
  if (column === undefined || other.length > 1) return null
  await pair(session, given.columns, column, 'limn_old', 'limn_fresh')
  const { rows } = await session.rows('SELECT count(*) FROM limn_pairs')
  if (String(rows[0]?.[0]) !== String(old[0])) return null
  await session.exec('DELETE FROM limn_pairs WHERE o IS NOT DISTINCT FROM n')
  return (await rowsIn(session, 'limn_pairs')) === 0 ? [] : [await patterned(session, given, column)]
}

/** Rows that differ in one column each, column by column from the one that pairs most. */
async function pairedColumns(session: Session, given: DeliveredRows): Promise<readonly Finding[]> {
  const out: Finding[] = []
  const left = new Set(given.columns)
  while (left.size > 0 && (await rowsIn(session, 'limn_gone')) > 0 && (await rowsIn(session, 'limn_come')) > 0) {
    let best: { readonly column: string; readonly pairs: number } | null = null
    for (const column of left) {
      await pair(session, given.columns, column, 'limn_gone', 'limn_come')
      const pairs = Number((await session.rows('SELECT count(*) FROM limn_pairs')).rows[0]?.[0] ?? 0)
      if (pairs > (best?.pairs ?? 0)) best = { column, pairs }
    }
    if (best === null) break
    await pair(session, given.columns, best.column, 'limn_gone', 'limn_come')
    out.push(await patterned(session, given, best.column))
    await session.exec('DELETE FROM limn_gone WHERE limn_id IN (SELECT old_id FROM limn_pairs)')
    await session.exec('DELETE FROM limn_come WHERE limn_id IN (SELECT new_id FROM limn_pairs)')
    left.delete(best.column)
  }
  return out
}

async function pair(
  session: Session,
  columns: readonly string[],
  column: string,
  old: string,
  fresh: string,
): Promise<void> {
  const others = columns.filter((one) => one !== column).map(quoteIdentifier)
  const name = quoteIdentifier(column)
  const partition = others.length > 0 ? `PARTITION BY ${others.join(', ')}` : ''
  const id = old === 'limn_old' ? 'NULL::BIGINT AS limn_id, ' : ''
  const numbered = (from: string) =>
    `(SELECT ${id}*, row_number() OVER (${partition} ORDER BY ${name}) AS limn_rank FROM ${from})`
  const on = [
    'limn_l.limn_rank = limn_r.limn_rank',
    ...others.map((one) => `limn_l.${one} IS NOT DISTINCT FROM limn_r.${one}`),
  ]
  await session.exec(
    `CREATE OR REPLACE TEMP TABLE limn_pairs AS SELECT limn_l.limn_id AS old_id, limn_r.limn_id AS new_id, limn_l.${name} AS o, limn_r.${name} AS n, limn_l.limn_in OR limn_r.limn_in AS limn_in
     FROM ${numbered(old)} AS limn_l JOIN ${numbered(fresh)} AS limn_r ON ${on.join(' AND ')}`,
  )
}

/** The finding for the pairs of one column. */
async function patterned(session: Session, given: DeliveredRows, column: string): Promise<Finding> {
  const type = (await typesOf(session)).get(column) ?? ''
  const pattern = await patternOf(session, 'limn_pairs', type)
  const { rows } = await session.rows(
    'SELECT o::VARCHAR, n::VARCHAR, count(*) FROM limn_pairs GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT 5',
  )
  const total = Number((await session.rows('SELECT count(*) FROM limn_pairs')).rows[0]?.[0] ?? 0)
  return {
    ...(await finding(
      session,
      given,
      kindOf(pattern),
      null,
      `In ${given.label} ${patternText(pattern, column)}`,
      column,
    )),
    rows: total,
    evidence: {
      columns: [`${column} before`, `${column} after`, 'rows'],
      rows: rows.map((row) => row.map((cell) => (cell === null ? null : String(cell)))),
    },
  }
}

/** What a pattern of values is called. */
export function kindOf(pattern: Pattern, otherwise: FindingKind = 'corrected-rows'): FindingKind {
  switch (pattern.kind) {
    case 'null':
      return 'column-null'
    case 'shift':
      return 'time-shift'
    case 'factor':
      return 'unit-change'
    case 'rounded':
      return 'rounding'
    case 'none':
      return otherwise
  }
}

async function typesOf(session: Session): Promise<ReadonlyMap<string, string>> {
  const { rows } = await session.rows('DESCRIBE SELECT * FROM limn_fresh')
  return new Map(rows.map((row) => [String(row[0]), String(row[1])]))
}

async function rowsIn(session: Session, table: string): Promise<number> {
  return Number((await session.rows(`SELECT count(*) FROM ${table} WHERE limn_in`)).rows[0]?.[0] ?? 0)
}

/** Whether every row that came is one of a table's. Rows are told by their hash. */
async function allIn(session: Session, given: DeliveredRows, table: string): Promise<boolean> {
  const hash = `hash(${given.columns.map(quoteIdentifier).join(', ')})`
  const { rows } = await session.rows(
    `SELECT count(*) FROM limn_come WHERE ${hash} NOT IN (SELECT ${hash} FROM ${table})`,
  )
  return Number(rows[0]?.[0] ?? 1) === 0
}

async function finding(
  session: Session,
  given: DeliveredRows,
  kind: FindingKind,
  table: string | null,
  sentence: string,
  column: string | null = null,
  order: readonly string[] = [],
): Promise<Finding> {
  const { dataset, delivery } = given
  return {
    kind,
    dataset,
    origin: {
      kind: 'delivery',
      source: dataset,
      path: delivery.path,
      ordinal: delivery.ordinal,
      sha256: delivery.sha256,
      run: delivery.run,
      also: given.also.map(({ path, ordinal, run }) => ({ path, ordinal, run })),
    },
    column,
    sentence: `${sentence}.`,
    rows: table === null ? 0 : await rowsIn(session, table),
    intervals: table === null ? [] : await intervalsOf(session, given.ask, table),
    evidence: table === null ? { columns: [], rows: [] } : await evidenceOf(session, given.columns, table, order),
  }
}

async function evidenceOf(
  session: Session,
  columns: readonly string[],
  table: string,
  order: readonly string[],
): Promise<EvidenceRows> {
  const cells = columns.map((name) => `${quoteIdentifier(name)}::VARCHAR`).join(', ')
  const by = [...new Set([...order, ...columns])]
    .map((name) => `${quoteIdentifier(name)}::VARCHAR NULLS FIRST`)
    .join(', ')
  const { rows } = await session.rows(`SELECT ${cells} FROM ${table} WHERE limn_in ORDER BY ${by} LIMIT 5`)
  return { columns, rows: rows.map((row) => row.map((cell) => (cell === null ? null : String(cell)))) }
}

async function intervalsOf(session: Session, ask: DeliveryAsk, table: string): Promise<readonly Interval[]> {
  const { lateness } = ask
  if (!lateness) return []
  // Rows are told by the day where their reader is built by more.
  const unit = lateness.unit === 'hour' ? 'hour' : 'day'
  const start = `epoch_us(date_trunc('${unit}', (${lateness.sql})::TIMESTAMP))`
  const { rows } = await session.rows(`SELECT DISTINCT ${start} FROM ${table} WHERE limn_in AND ${start} IS NOT NULL`)
  return IntervalSet.of(rows.map((row) => ({ start: Number(row[0]), end: addUnits(unit, Number(row[0]), 1) })))
    .intervals
}

function count(rows: number): string {
  return `${rows.toLocaleString('en')} ${rows === 1 ? 'row' : 'rows'}`
}
