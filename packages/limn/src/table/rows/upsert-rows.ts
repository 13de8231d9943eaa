import { join } from 'node:path'
import { LimnError, type TableId } from '../../base/index.ts'
import { castSql, type Session } from '../../engine/index.ts'
import { type CommitCheck, type DataFile, isUnpartitioned, type PartitionSpec, specById } from '../../iceberg/index.ts'
import type { Field } from '../../schema/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { type ChangeOptions, changeTable } from '../commit/commit.ts'
import { type PinnedTable, schemaOfPin, snapshotOfPin, type TableContext } from '../context.ts'
import { writeRows } from '../write/write.ts'
import { writeEqualityDeletes } from '../write/write-deletes.ts'
import type { RowSource } from './change.ts'
import { type ChangedFiles, changedFiles, columnList } from './target-rows.ts'

export interface UpsertRowsInput {
  /** Rows with the table's columns, and what `orderBy` and `deleteWhen` name. */
  readonly source: RowSource
  /** Columns that identify a row. The columns the table is partitioned by have to be among them. */
  readonly keys: readonly string[]
  /** SQL, in order of weight: of several rows with one key the one that is greatest by them counts. Null is least. */
  readonly orderBy?: string | readonly string[]
  /** SQL: rows for which it is true delete their key and are not written. */
  readonly deleteWhen?: string
}

export interface UpsertRowsResult extends ChangedFiles {
  /** Null when the source was empty: nothing was committed. */
  readonly snapshotId: bigint | null
  /** Rows written; those that replace one of the table are not told from new ones. */
  readonly written: number
  /** Keys whose earlier rows are gone. */
  readonly keys: number
}

/**
 * Puts rows in place of those with the same key, without reading the table: the rows and equality deletes of their keys in
 * one snapshot, as streams do it. Null keys equal each other. Reading pays for it until the table is compacted. Equality
 * deletes reach the files of one spec, so that there are some for every spec that the table has files of. Several rows of
 * one key that `orderBy` does not tell apart, and that are not equal, are an error (`table/ambiguous-merge`).
 * Throws `usage/argument` for keys the table does not have or that leave out a partition column, and what `changeTable` does.
 */
export function upsertRows(
  context: TableContext,
  table: TableId,
  input: UpsertRowsInput,
  options: ChangeOptions = {},
): Promise<UpsertRowsResult> {
  return changeTable(context, table, options, async ({ pin, layout, folder }) => {
    const { fields } = schemaOfPin(pin)
    const keys = keyFields(fields, input.keys)
    requireKeysOf(table, fields, keys, layout.spec)
    const specs = await specsToReach(context, pin)
    for (const spec of specs) requireKeysOf(table, fields, keys, spec)
    await using session = await context.engine.session(input.source.tables ?? [], { signal: context.signal })
    await makeLatest(session, table, input, keys)
    const by = keyList(keys)
    const kept = `SELECT ${columnList(fields)} FROM limn_latest WHERE NOT limn_gone`
    const data = await writeRows(context, session, kept, layout, join(folder, 'rows'))
    const deletes: DataFile[] = []
    for (const spec of specs)
      deletes.push(
        ...(await writeEqualityDeletes(
          context,
          session,
          `SELECT ${by} FROM limn_latest`,
          keys.map((key) => key.id),
          { ...layout, spec },
          join(folder, `deletes-${spec.specId}`),
        )),
      )
    const added = [...data, ...deletes]
    const sum = (files: readonly DataFile[]) => files.reduce((total, file) => total + Number(file.recordCount), 0)
    const latest = await session.rows('SELECT count(*) FROM limn_latest')
    const replaced = specs.length === 0 ? 0 : Number(latest.rows[0]?.[0] ?? 0)
    const result = { written: sum(data), keys: replaced, ...changedFiles(added, []) }
    if (added.length === 0) return { change: null, result }
    const operation = deletes.length === 0 ? 'append' : data.length === 0 ? 'delete' : 'overwrite'
    const written = added.map((file) => file.path)
    const reaches = new Set(specs.map((spec) => spec.specId))
    const everywhere = specs.some(isUnpartitioned)
    const checks: readonly CommitCheck[] = everywhere ? [] : [{ kind: 'noOtherSpecs', specIds: reaches }]
    return { change: { operation, added, removed: [], written, checks }, result }
  })
}

/** The specs under which deletes of keys meet every row there is: those that live data files have, one where it meets all. */
async function specsToReach(context: TableContext, pin: PinnedTable): Promise<readonly PartitionSpec[]> {
  const snapshot = snapshotOfPin(pin)
  if (snapshot === null) return []
  const manifests = await context.manifests.manifestsOf(snapshot, context.signal)
  const live = manifests.filter((one) => one.content === 'data' && one.addedFilesCount + one.existingFilesCount > 0)
  const ids = [...new Set(live.map((one) => one.specId))].sort((a, b) => a - b)
  if (ids.length < 2) return ids.map((id) => specById(pin.metadata, id))
  const everywhere = pin.metadata.partitionSpecs.find(isUnpartitioned)
  return everywhere ? [everywhere] : ids.map((id) => specById(pin.metadata, id))
}

/** `limn_latest`: of each key of the source the row that counts, with whether it deletes. */
async function makeLatest(
  session: Session,
  table: TableId,
  input: UpsertRowsInput,
  keys: readonly Field[],
): Promise<void> {
  const by = keyList(keys)
  const gone = input.deleteWhen === undefined ? 'FALSE' : `coalesce((${input.deleteWhen}), FALSE)`
  const order = [input.orderBy ?? []].flat().map((one) => `(${one}) DESC NULLS LAST`)
  // Keys are compared as the table has them: two that differ before the cast alone are one.
  const cast = keys.map((key) => `${castSql(key.type, quoteIdentifier(key.name))} AS ${quoteIdentifier(key.name)}`)
  const source = `SELECT * REPLACE (${cast.join(', ')}), ${gone} AS limn_gone FROM (${input.source.sql}\n)`
  const ranked =
    order.length === 0
      ? source
      : `SELECT * FROM (${source}) QUALIFY rank() OVER (PARTITION BY ${by} ORDER BY ${order.join(', ')}) = 1`
  await session.exec(`CREATE TABLE limn_latest AS ${ranked}`)
  const twice = `SELECT ${by} FROM limn_latest GROUP BY ${by} HAVING count(*) > 1 LIMIT 1`
  if ((await session.rows(twice)).rows.length === 0) return
  await session.exec('CREATE OR REPLACE TABLE limn_latest AS SELECT DISTINCT * FROM limn_latest')
  const [row] = (await session.rows(twice)).rows
  if (!row) return
  throw new LimnError('table/ambiguous-merge', {
    message: `Several rows of the source are for one row of ${table}: ${keys.map((key, i) => `${key.name} = ${String(row[i] ?? 'null')}`).join(', ')}.`,
    notDone: 'Nothing was written.',
    remedy: 'Say by orderBy which of them counts.',
  })
}

function keyList(keys: readonly Field[]): string {
  return keys.map((key) => quoteIdentifier(key.name)).join(', ')
}

function requireKeysOf(table: TableId, fields: readonly Field[], keys: readonly Field[], spec: PartitionSpec): void {
  const partitionedBy = spec.fields.filter((field) => field.transform.kind !== 'void')
  const outside = partitionedBy.find((part) => !keys.some((key) => key.id === part.sourceId))
  if (outside) throw needsKey(table, fields.find((field) => field.id === outside.sourceId)?.name ?? outside.name)
}

function keyFields(fields: readonly Field[], names: readonly string[]): readonly Field[] {
  const found = names.map((name) => {
    const field = fields.find((one) => one.name === name)
    if (field && typeof field.type === 'string' && field.type !== 'float' && field.type !== 'double') return field
    throw new LimnError('usage/argument', {
      message: field
        ? `${name} cannot be a key: it is of type ${describe(field)}.`
        : `The table has no column ${name}.`,
      notDone: 'Nothing was written.',
      remedy: 'Name the columns that identify a row.',
    })
  })
  if (found.length > 0) return found
  throw new LimnError('usage/argument', { message: 'An upsert needs a key.', notDone: 'Nothing was written.' })
}

function describe(field: Field): string {
  return typeof field.type === 'string' ? field.type : field.type.type
}

function needsKey(table: TableId, column: string): LimnError {
  return new LimnError('usage/argument', {
    message: `${table} is partitioned by ${column}, which is not among the keys: an earlier row in another partition would stay.`,
    notDone: 'Nothing was written.',
    remedy: `Add ${column} to the keys, or use a merge.`,
  })
}
