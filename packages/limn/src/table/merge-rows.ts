import { join } from 'node:path'
import { LimnError, type TableId } from '../base/index.ts'
import { defaultSql, type Session } from '../engine/index.ts'
import type { Predicate } from '../expr/index.ts'
import { type DataFile, mightMatch, type ScanTask, specById } from '../iceberg/index.ts'
import type { Field } from '../schema/index.ts'
import { quoteIdentifier } from '../sql/index.ts'
import type { StorePath } from '../storage/index.ts'
import type { RowSource } from './change.ts'
import { type ChangeOptions, changeTable, type Worked, type Working } from './commit.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from './context.ts'
import { keyPairs, keysPredicate } from './merge-keys.ts'
import { liveTableTasks } from './read.ts'
import {
  type ChangedFiles,
  changedFiles,
  columnList,
  isolationOf,
  modeOf,
  openTarget,
  rowChecks,
  targetName,
} from './target-rows.ts'
import { assignedColumns, type SetClause } from './update-rows.ts'
import { writeRows } from './write.ts'
import { writePositionDeletes } from './write-deletes.ts'

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
  const plan = new MergePlan(pin, input)
  const pairs = await keyPairs(context, pin, input.on)
  const merged = modeOf(pin, 'write.merge.mode') === 'merge-on-read'
  const { tasks, predicate } = await prune(context, input, plan, pairs)
  await using target = await openTarget(context, pin, tasks, input.source.tables ?? [])
  const { session } = target
  await makeSource(session, input)
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
  const inserted = plan.inserts.length === 0 ? 0 : await count(session, plan.insertedSql())
  const updated = sum(1)
  let copied = 0
  if (merged) {
    const parts = [...(updated > 0 ? [plan.updatedSql()] : []), ...(inserted > 0 ? [plan.insertedSql()] : [])]
    if (parts.length > 0) await write(session, parts.join('\nUNION ALL BY NAME\n'), 'rows')
    await session.exec(
      `CREATE TEMP TABLE limn_gone AS SELECT DISTINCT _file, _pos FROM limn_hits WHERE limn_effect <> 'none'`,
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
    if (inserted > 0) await session.exec(`CREATE TEMP TABLE limn_new AS ${plan.insertedSql()}`)
    const fresh = inserted > 0 ? await session.rows('SELECT count(*) FROM limn_new') : null
    if (changed.length > 0) {
      await using again = await openTarget(context, pin, changed, input.source.tables ?? [])
      await makeSource(again.session, input)
      copied = (await write(again.session, plan.rewrittenSql(), 'rewritten')) - updated
    }
    if (fresh) await write(session, 'SELECT * FROM limn_new', 'inserted')
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

async function count(session: Session, sql: string): Promise<number> {
  const { rows } = await session.rows(`SELECT count(*) FROM (${sql})`)
  return Number(rows[0]?.[0] ?? 0)
}

/** The source, read once, each row with a number: what a row of the table matched is told by it. */
async function makeSource(session: Session, input: MergeRowsInput): Promise<void> {
  await session.exec(
    `CREATE TEMP TABLE limn_source AS SELECT row_number() OVER () AS limn_source_row, * FROM (${input.source.sql}\n)`,
  )
}

async function prune(
  context: TableContext,
  input: MergeRowsInput,
  plan: MergePlan,
  pairs: Awaited<ReturnType<typeof keyPairs>>,
): Promise<{ readonly tasks: readonly ScanTask[]; readonly predicate: Predicate }> {
  const { pin } = plan
  const all = await liveTableTasks(context, pin)
  if (plan.orphans.length > 0 || pairs.length === 0) return { tasks: all, predicate: { kind: 'true' } }
  await using session = await context.engine.session(input.source.tables ?? [], { signal: context.signal })
  await makeSource(session, input)
  const predicate = await keysPredicate(context, pin, session, pairs)
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
    `SELECT ${named.map((field) => `${quoteIdentifier(field.name)}::VARCHAR`).join(', ')} FROM ${targetName} WHERE _file = '${String(twice[0]).replaceAll("'", "''")}' AND _pos = ${String(twice[1])}`,
  )
  const values = named.map((field, i) => `${field.name} = ${String(shown.rows[0]?.[i] ?? 'null')}`).join(', ')
  throw new LimnError('table/ambiguous-merge', {
    message: `Several rows of the source match one row of ${plan.pin.id}: ${values}.`,
    notDone: 'Nothing was written.',
    remedy: 'Make the source unique in the columns of the condition, for example with row_number() or DISTINCT ON.',
  })
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
  private readonly lineage: boolean

  constructor(pin: PinnedTable, input: MergeRowsInput) {
    this.pin = pin
    this.fields = schemaOfPin(pin).fields
    this.on = input.on
    this.lineage = pin.metadata.formatVersion >= 3
    const of = (when: MergeClause['when']) => input.clauses.filter((clause) => clause.when === when)
    this.matched = of('matched')
    this.inserts = of('notMatched')
    this.orphans = of('notMatchedBySource')
  }

  /**
   * `limn_hits`: every pair that matches, and, where a clause is about them, rows of the table without a match; each with
   * the number of the clause that applies and its effect. With the row's columns where the clause needs them later.
   */
  hitsSql(keepRows: boolean): string {
    const kept = keepRows ? `, ${columnList(this.fields, 'target.')}${this.lineage ? ', target._row_id' : ''}` : ''
    const one = (clauses: readonly MergeClause[]) =>
      `${numberOf(clauses)} AS limn_clause, ${effectOf(clauses)} AS limn_effect, target._file, target._pos${kept}`
    const pairs = `SELECT source.limn_source_row, ${one(this.matched)} FROM ${targetName} AS target JOIN limn_source AS source ON (${this.on})`
    if (this.orphans.length === 0) return `CREATE TEMP TABLE limn_hits AS ${pairs}`
    const alone = `SELECT NULL AS limn_source_row, ${one(this.orphans)} FROM ${targetName} AS target WHERE NOT EXISTS (SELECT 1 FROM limn_source AS source WHERE ${this.on})`
    return `CREATE TEMP TABLE limn_hits AS ${pairs}\nUNION ALL SELECT * FROM (${alone}) WHERE limn_effect <> 'none'`
  }

  /** New rows in place of updated ones, from `limn_hits`. */
  updatedSql(): string {
    const columns = this.fields.map((field) => {
      const value = this.valueOf(field, 'target.limn_source_row IS NOT NULL', 'target.limn_clause')
      return `${value} AS ${quoteIdentifier(field.name)}`
    })
    return `SELECT ${columns.join(', ')}${this.lineage ? ', target._row_id, NULL::BIGINT AS _last_updated_sequence_number' : ''}
      FROM limn_hits AS target LEFT JOIN limn_source AS source USING (limn_source_row) WHERE target.limn_effect = 'update'`
  }

  /** What is left of whole files, changed rows and unchanged: one pass over them. */
  rewrittenSql(): string {
    const isMatched = 'source.limn_source_row IS NOT NULL'
    const clause = `CASE WHEN ${isMatched} THEN ${numberOf(this.matched)} ELSE ${numberOf(this.orphans)} END`
    const effect = `CASE WHEN ${isMatched} THEN ${effectOf(this.matched)} ELSE ${effectOf(this.orphans)} END`
    const columns = this.fields.map((field) => {
      return `${this.valueOf(field, isMatched, clause)} AS ${quoteIdentifier(field.name)}`
    })
    const since = `CASE WHEN ${effect} = 'update' THEN NULL ELSE target._last_updated_sequence_number END`
    const extra = this.lineage ? `, target._row_id, ${since} AS _last_updated_sequence_number` : ''
    return `SELECT ${columns.join(', ')}${extra} FROM ${targetName} AS target LEFT JOIN limn_source AS source ON (${this.on}) WHERE ${effect} <> 'delete'`
  }

  insertedSql(): string {
    const clause = numberOf(this.inserts)
    const columns = this.fields.map((field) => {
      const cases = this.inserts.map((one, i) => `WHEN ${i} THEN ${this.insertedValue(one.action, field)}`)
      return `CASE ${clause} ${cases.join(' ')} END AS ${quoteIdentifier(field.name)}`
    })
    const extra = this.lineage ? ', NULL::BIGINT AS _row_id, NULL::BIGINT AS _last_updated_sequence_number' : ''
    return `SELECT ${columns.join(', ')}${extra} FROM limn_source AS source
      WHERE limn_source_row NOT IN (SELECT limn_source_row FROM limn_hits WHERE limn_source_row IS NOT NULL) AND ${clause} >= 0`
  }

  private insertedValue(action: MergeAction, field: Field): string {
    if (action.kind === 'insertAll') return `source.${quoteIdentifier(field.name)}`
    const value = action.kind === 'insert' ? action.values[field.name] : undefined
    return value === undefined ? defaultSql(field.type, field.writeDefault) : `(${value})`
  }

  /** A column's value under the clause that applies; as it was where none sets it. */
  private valueOf(field: Field, isMatched: string, clause: string): string {
    const name = `target.${quoteIdentifier(field.name)}`
    const of = (clauses: readonly MergeClause[], guard: string) =>
      clauses.flatMap(({ action }, i) => {
        const value = this.updatedValue(action, field)
        return value === null ? [] : [`WHEN ${guard} AND ${clause} = ${i} THEN ${value}`]
      })
    const cases = [...of(this.matched, isMatched), ...of(this.orphans, `NOT (${isMatched})`)]
    return cases.length === 0 ? name : `CASE ${cases.join(' ')} ELSE ${name} END`
  }

  private updatedValue(action: MergeAction, field: Field): string | null {
    if (action.kind === 'updateAll') return `source.${quoteIdentifier(field.name)}`
    if (action.kind !== 'update') return null
    return assignedColumns(this.fields, action.set, 'target.').get(field.name) ?? null
  }
}

/** The number of the first clause that applies; -1: none. */
function numberOf(clauses: readonly MergeClause[]): string {
  if (clauses.length === 0) return '-1'
  return `CASE ${clauses.map((one, i) => `WHEN (${one.and ?? 'TRUE'}) THEN ${i}`).join(' ')} ELSE -1 END`
}

function effectOf(clauses: readonly MergeClause[]): string {
  if (clauses.length === 0) return "'none'"
  const effect = (action: MergeAction) => (action.kind === 'delete' ? "'delete'" : "'update'")
  return `CASE ${clauses.map((one) => `WHEN (${one.and ?? 'TRUE'}) THEN ${effect(one.action)}`).join(' ')} ELSE 'none' END`
}
