import { join } from 'node:path'
import { LimnError, type TableId } from '../../base/index.ts'
import { castSql, defaultSql, type Session } from '../../engine/index.ts'
import type { Predicate } from '../../expr/index.ts'
import { type DataFile, mightMatch, type ScanTask, specById } from '../../iceberg/index.ts'
import type { Field } from '../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { type ChangeOptions, changeTable, type Worked, type Working } from '../commit/commit.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from '../context.ts'
import { liveTableTasks } from '../read/read.ts'
import { writeRows } from '../write/write.ts'
import { writePositionDeletes } from '../write/write-deletes.ts'
import type { RowSource } from './change.ts'
import { keyPairs, keysPredicate, type MergeAliases } from './merge-keys.ts'
import {
  type ChangedFiles,
  changedFiles,
  columnList,
  isolationOf,
  modeOf,
  openTarget,
  rowChecks,
  sharedTable,
  targetName,
} from './target-rows.ts'
import { assignedColumns, type SetClause } from './update-rows.ts'

/** What a clause does with a row. `updateAll` and `insertAll` take every column from the source, by name. */
export type MergeAction =
  | { readonly kind: 'update'; readonly set: SetClause }
  | { readonly kind: 'updateAll' }
  | { readonly kind: 'delete' }
  /** Columns that are left out get their write default, or null. */
  | { readonly kind: 'insert'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'insertAll' }

/** The first clause of its kind whose condition (SQL over `target` and `source`) is true for a row applies to it. */
export interface MergeClause {
  readonly when: 'matched' | 'notMatched' | 'notMatchedBySource'
  readonly and?: string
  readonly action: MergeAction
}

export interface MergeRowsInput {
  readonly source: RowSource
  /** An SQL condition over `target` and `source`; null is no match. Equalities of columns make it a hash join. */
  readonly on: string
  readonly clauses: readonly MergeClause[]
  /** What the SQL calls a row of the table. Default `target`. */
  readonly targetAlias?: string
  /** What it calls a row of the source. Default `source`. */
  readonly sourceAlias?: string
}

export interface MergeRowsResult extends ChangedFiles {
  /** Null when nothing changed: nothing was committed. */
  readonly snapshotId: bigint | null
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** Rows that stayed as they were and were written again. */
  readonly copied: number
}

/**
 * Merges a source into a table in one snapshot (SQL's MERGE). Files that cannot hold a key of the source, by their
 * partition and bounds, are not read, unless a clause is about rows without a match. Files with a changed row are written
 * again (`write.merge.mode` = `copy-on-write`, the default) or keep their place with delete files (`merge-on-read`). A row of the
 * table with several matches in the source, where a clause is about matched rows, is an error (`table/ambiguous-merge`) that names
 * its key, and nothing is written. In version 3 a row keeps its id. Throws what `changeTable` does.
 */
export function mergeRows(
  context: TableContext,
  table: TableId,
  input: MergeRowsInput,
  options: ChangeOptions = {},
): Promise<MergeRowsResult> {
  for (const clause of input.clauses) requireFits(clause)
  return changeTable(context, table, options, (working) => work(context, input, options, working))
}

function requireFits({ when, action }: MergeClause): void {
  const inserts = action.kind === 'insert' || action.kind === 'insertAll'
  const fits =
    when === 'notMatched' ? inserts : !inserts && !(when === 'notMatchedBySource' && action.kind === 'updateAll')
  if (fits) return
  throw new LimnError('sql/invalid', {
    message: `A row ${when === 'matched' ? 'that is matched' : when === 'notMatched' ? 'of the source without a match' : 'of the target without a match'} cannot be ${inserts ? 'inserted' : `changed by ${action.kind}`}.`,
    notDone: 'Nothing was written.',
  })
}

type Result = Omit<MergeRowsResult, 'snapshotId'>

async function work(
  context: TableContext,
  input: MergeRowsInput,
  options: ChangeOptions,
  { pin, layout, folder }: Working,
): Promise<Worked<Result>> {
  const tables = input.source.tables ?? []
  await requireTargetOnly(context, pin, input)
  // The source is read once: a second time its rows could come otherwise, where it calls a clock, chance or LIMIT.
  await using origin = await context.engine.session(tables, { signal: context.signal })
  await origin.exec(
    `CREATE TABLE limn_source AS SELECT row_number() OVER () AS limn_source_row, * FROM (${input.source.sql}\n)`,
  )
  const plan = new MergePlan(pin, input, await sharedTable(origin, 'limn_source'))
  const pairs = await keyPairs(context, pin, input.on, aliasesOf(input))
  const merged = modeOf(pin, 'write.merge.mode') === 'merge-on-read'
  const { tasks, predicate } = await prune(context, origin, plan, pairs)
  await using target = await openTarget(context, pin, tasks, tables)
  const { session } = target
  await session.exec(plan.hitsSql(merged))
  await requireUnambiguous(
    session,
    plan,
    pairs.map((pair) => pair.target),
  )
  const counted = await session.rows(
    `SELECT _file, count(*) FILTER (limn_effect = 'update'), count(*) FILTER (limn_effect = 'delete') FROM limn_hits WHERE limn_effect <> 'none' GROUP BY _file`,
  )
  const touched = new Set(counted.rows.map(([file]) => String(file)))
  const sum = (at: number) => counted.rows.reduce((total, row) => total + Number(row[at]), 0)
  const changed = tasks.filter((task) => touched.has(task.file.path))
  const added: DataFile[] = []
  const removed: DataFile[] = []
  const written: StorePath[] = []
  const lineage = pin.metadata.formatVersion >= 3
  const write = async (from: Session, sql: string, name: string) => {
    const files = await writeRows(context, from, sql, layout, join(folder, name), { lineage })
    added.push(...files)
    written.push(...files.map((file) => file.path))
    return files.reduce((total, file) => total + Number(file.recordCount), 0)
  }
  const updated = sum(1)
  let inserted = 0
  let copied = 0
  if (plan.inserts.length > 0) {
    await session.exec(`CREATE TABLE limn_new AS ${plan.insertedSql()}`)
    inserted = Number((await session.rows('SELECT count(*) FROM limn_new')).rows[0]?.[0] ?? 0)
  }
  if (merged) {
    const parts = [...(updated > 0 ? [plan.updatedSql()] : []), ...(inserted > 0 ? ['SELECT * FROM limn_new'] : [])]
    if (parts.length > 0) await write(session, parts.join('\nUNION ALL BY NAME\n'), 'rows')
    await session.exec(
      `CREATE TABLE limn_gone AS SELECT DISTINCT _file, _pos FROM limn_hits WHERE limn_effect <> 'none'`,
    )
    const deletes = await writePositionDeletes(context, {
      metadata: pin.metadata,
      layout,
      session,
      from: 'limn_gone',
      tasks: changed,
      folder: join(folder, 'deletes'),
    })
    added.push(...deletes.added)
    removed.push(...deletes.removed)
    written.push(...deletes.written)
  } else {
    if (changed.length > 0) {
      const hits = await sharedTable(session, 'limn_hits')
      await using again = changed.length < tasks.length ? await openTarget(context, pin, changed, tables) : undefined
      copied = (await write((again ?? target).session, plan.rewrittenSql(hits), 'rewritten')) - updated
    }
    if (inserted > 0) await write(session, 'SELECT * FROM limn_new', 'inserted')
    removed.push(...changed.map((task) => task.file))
  }
  const result = { inserted, updated, deleted: sum(2), copied, ...changedFiles(added, removed) }
  if (added.length === 0 && removed.length === 0) return { change: null, result }
  const checks = rowChecks({
    isolation: isolationOf(pin, 'merge', options.isolation),
    predicate,
    rewritten: merged ? [] : changed,
    referenced: merged ? changed : [],
    vectors: lineage,
    keepsRows: true,
  })
  return { change: { operation: 'overwrite', added, removed, written, checks }, result }
}

/** A clause about rows without a match in the source has no source to speak of. */
async function requireTargetOnly(context: TableContext, pin: PinnedTable, input: MergeRowsInput): Promise<void> {
  const columns = schemaOfPin(pin).fields
  const tables = new Map((input.source.tables ?? []).map((one) => [one.id, one.schema.fields]))
  for (const { when, and } of input.clauses)
    if (when === 'notMatchedBySource' && and !== undefined)
      await context.engine.condition(and, { id: pin.id, alias: aliasesOf(input).target, columns }, tables)
}

async function prune(
  context: TableContext,
  origin: Session,
  plan: MergePlan,
  pairs: Awaited<ReturnType<typeof keyPairs>>,
): Promise<{ readonly tasks: readonly ScanTask[]; readonly predicate: Predicate }> {
  const { pin } = plan
  const all = await liveTableTasks(context, pin)
  if (plan.orphans.length > 0 || pairs.length === 0) return { tasks: all, predicate: { kind: 'true' } }
  const predicate = await keysPredicate(context, pin, origin, pairs)
  const schema = schemaOfPin(pin)
  const tasks = all.filter((task) => mightMatch(task.file, predicate, schema, specById(pin.metadata, task.file.specId)))
  return { tasks, predicate }
}

async function requireUnambiguous(session: Session, plan: MergePlan, keys: readonly Field[]): Promise<void> {
  if (plan.matched.length === 0) return
  const { rows } = await session.rows(
    'SELECT _file, _pos FROM limn_hits WHERE limn_source_row IS NOT NULL GROUP BY _file, _pos HAVING count(*) > 1 ORDER BY ALL LIMIT 1',
  )
  const [twice] = rows
  if (!twice) return
  const named = keys.length > 0 ? keys : plan.fields.slice(0, 1)
  const shown = await session.rows(
    `SELECT ${named.map((field) => `${quoteIdentifier(field.name)}::VARCHAR`).join(', ')} FROM ${targetName} WHERE _file = ${quoteText(String(twice[0]))} AND _pos = ${String(twice[1])}`,
  )
  const values = named.map((field, i) => `${field.name} = ${String(shown.rows[0]?.[i] ?? 'null')}`).join(', ')
  throw new LimnError('table/ambiguous-merge', {
    message: `Several rows of the source match one row of ${plan.pin.id}: ${values}.`,
    notDone: 'Nothing was written.',
    remedy: 'Make the source unique in the columns of the condition, for example with row_number() or DISTINCT ON.',
  })
}

function aliasesOf(input: MergeRowsInput): MergeAliases {
  return { target: input.targetAlias ?? 'target', source: input.sourceAlias ?? 'source' }
}

/** The statements of a merge. */
class MergePlan {
  readonly pin: PinnedTable
  readonly fields: readonly Field[]
  readonly matched: readonly MergeClause[]
  readonly inserts: readonly MergeClause[]
  /** Clauses about rows of the table that nothing in the source matches. */
  readonly orphans: readonly MergeClause[]
  private readonly on: string
  /** What the clauses call a row of the table, and one of the source; quoted. */
  private readonly row: string
  private readonly from: string
  private readonly lineage: boolean
  private readonly source: string

  /** `source`: the table of its rows, each with its number as `limn_source_row`. */
  constructor(pin: PinnedTable, input: MergeRowsInput, source: string) {
    this.pin = pin
    this.source = source
    this.fields = schemaOfPin(pin).fields
    this.on = input.on
    const { target, source: from } = aliasesOf(input)
    this.row = quoteIdentifier(target)
    this.from = quoteIdentifier(from)
    this.lineage = pin.metadata.formatVersion >= 3
    const of = (when: MergeClause['when']) => input.clauses.filter((clause) => clause.when === when)
    this.matched = of('matched')
    this.inserts = of('notMatched')
    this.orphans = of('notMatchedBySource')
  }

  /**
   * `limn_hits`: every pair that matches, and, where a clause is about them, rows of the table without a match; each with
   * the number of the clause that applies and its effect. With the row's columns where they are needed later.
   */
  hitsSql(keepRows: boolean): string {
    const kept = keepRows
      ? `, ${columnList(this.fields, `${this.row}.`)}${this.lineage ? `, ${this.row}._row_id` : ''}`
      : ''
    const some = this.orphans.length > 0
    const decide = (matched: string, orphans: string) =>
      some ? `CASE WHEN limn_source_row IS NOT NULL THEN ${matched} ELSE ${orphans} END` : matched
    const clause = decide(numberOf(this.matched), numberOf(this.orphans))
    const pairs = `SELECT ${this.from}.limn_source_row, ${clause} AS limn_clause, ${this.row}._file, ${this.row}._pos${kept}
      FROM ${targetName} AS ${this.row} ${some ? 'LEFT ' : ''}JOIN ${this.source} AS ${this.from} ON (${this.on})`
    // From the number, not from the conditions once more: a condition is decided once for a row.
    const effect = decide(effectOf(this.matched), effectOf(this.orphans))
    const unless = some ? ` WHERE limn_source_row IS NOT NULL OR limn_effect <> 'none'` : ''
    return `CREATE TABLE limn_hits AS SELECT * FROM (SELECT *, ${effect} AS limn_effect FROM (${pairs}))${unless}`
  }

  /** New rows in place of updated ones, from `limn_hits` with its rows. */
  updatedSql(): string {
    const columns = this.fields.map((field) => `${this.valueOf(field)} AS ${quoteIdentifier(field.name)}`)
    return `SELECT ${columns.join(', ')}${this.lineage ? `, ${this.row}._row_id, NULL::BIGINT AS _last_updated_sequence_number` : ''}
      FROM (SELECT *, limn_source_row AS limn_hit_row FROM limn_hits WHERE limn_effect = 'update') AS ${this.row}
      LEFT JOIN ${this.source} AS ${this.from} ON ${this.from}.limn_source_row = ${this.row}.limn_hit_row`
  }

  /** What is left of whole files, changed rows and unchanged: one pass over them. `hits`: the table, by its full name. */
  rewrittenSql(hits: string): string {
    const columns = this.fields.map((field) => `${this.valueOf(field)} AS ${quoteIdentifier(field.name)}`)
    const since = `CASE WHEN limn_hit.limn_effect IS NULL THEN ${this.row}._last_updated_sequence_number END`
    const extra = this.lineage ? `, ${this.row}._row_id, ${since} AS _last_updated_sequence_number` : ''
    const found = `SELECT _file AS limn_file, _pos AS limn_pos, limn_source_row AS limn_hit_row, limn_clause, limn_effect FROM ${hits} WHERE limn_effect <> 'none'`
    return `SELECT ${columns.join(', ')}${extra} FROM ${targetName} AS ${this.row}
      LEFT JOIN (${found}) AS limn_hit ON limn_hit.limn_file = ${this.row}._file AND limn_hit.limn_pos = ${this.row}._pos
      LEFT JOIN ${this.source} AS ${this.from} ON ${this.from}.limn_source_row = limn_hit.limn_hit_row
      WHERE limn_effect IS DISTINCT FROM 'delete'`
  }

  insertedSql(): string {
    const columns = this.fields.map((field) => {
      const cases = this.inserts.map((one, i) => `WHEN ${i} THEN ${this.insertedValue(one.action, field)}`)
      return `CASE limn_clause ${cases.join(' ')} END AS ${quoteIdentifier(field.name)}`
    })
    const extra = this.lineage ? ', NULL::BIGINT AS _row_id, NULL::BIGINT AS _last_updated_sequence_number' : ''
    return `SELECT ${columns.join(', ')}${extra} FROM (
      SELECT ${this.from}.*, ${numberOf(this.inserts)} AS limn_clause FROM ${this.source} AS ${this.from}
      ANTI JOIN (SELECT limn_source_row AS limn_hit_row FROM limn_hits) AS limn_hit ON limn_hit.limn_hit_row = ${this.from}.limn_source_row
      ) AS ${this.from} WHERE limn_clause >= 0`
  }

  private insertedValue(action: MergeAction, field: Field): string {
    if (action.kind === 'insertAll') return castSql(field.type, `${this.from}.${quoteIdentifier(field.name)}`)
    const value = action.kind === 'insert' ? action.values[field.name] : undefined
    return castSql(field.type, value ?? defaultSql(field.type, field.writeDefault))
  }

  /** A column's value under the clause that applies (`limn_clause`); as it was where none sets it. */
  private valueOf(field: Field): string {
    const name = `${this.row}.${quoteIdentifier(field.name)}`
    const of = (clauses: readonly MergeClause[], guard: string) =>
      clauses.flatMap(({ action }, i) => {
        const value = this.updatedValue(action, field)
        return value === null ? [] : [`WHEN limn_hit_row ${guard} AND limn_clause = ${i} THEN ${value}`]
      })
    const cases = [...of(this.matched, 'IS NOT NULL'), ...of(this.orphans, 'IS NULL')]
    return cases.length === 0 ? name : `CASE ${cases.join(' ')} ELSE ${name} END`
  }

  private updatedValue(action: MergeAction, field: Field): string | null {
    if (action.kind === 'updateAll') return castSql(field.type, `${this.from}.${quoteIdentifier(field.name)}`)
    if (action.kind !== 'update') return null
    return assignedColumns(this.fields, action.set, `${this.row}.`).get(field.name) ?? null
  }
}

/** The number of the first clause that applies; -1: none. */
function numberOf(clauses: readonly MergeClause[]): string {
  if (clauses.length === 0) return '-1'
  return `CASE ${clauses.map((one, i) => `WHEN (${one.and ?? 'TRUE'}) THEN ${i}`).join(' ')} ELSE -1 END`
}

/** What the clause of that number (`limn_clause`) does. */
function effectOf(clauses: readonly MergeClause[]): string {
  const effects = clauses.map(({ action }, i) => `WHEN ${i} THEN '${action.kind === 'delete' ? 'delete' : 'update'}'`)
  return effects.length === 0 ? "'none'" : `CASE limn_clause ${effects.join(' ')} ELSE 'none' END`
}
