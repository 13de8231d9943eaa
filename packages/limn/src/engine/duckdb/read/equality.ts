import { LimnError } from '../../../base/index.ts'
import type { Field, Schema } from '../../../schema/index.ts'
import { quoteText } from '../../../sql/index.ts'
import type { BoundDelete, BoundFile, BoundTable } from '../../bound.ts'
import type { Binder } from './bind.ts'
import type { FileFacts } from './file-facts.ts'
import { inner, type ScanPart } from './parts.ts'

/** A key is in this many delete files of a partition at most, while repeated ones are not looked for. */
const repeatMax = 4

/** More keys than this, in no more files than that, are read again by each query rather than held beside its hash table. */
const heldKeysMax = 100_000
const readAgainMax = 100

type EqualityFile = Extract<BoundDelete, { kind: 'equality' }>

/** Equality deletes by one set of key columns, ready to be joined against. */
export interface EqualityJoin {
  readonly table: string
  readonly files: ReadonlySet<BoundDelete>
  /** Whether all its deletes apply to all these files, so that neither sequence nor partition needs comparing. */
  appliesToAll(files: readonly BoundFile[]): boolean
  /** Joins what a part yields as `x`. */
  antiJoin(alias: string, files: readonly BoundFile[], facts: FileFacts): string
}

export interface EqualityDeletes {
  /** The top-level fields that hold key columns. */
  readonly fields: readonly Field[]
  readonly joins: readonly EqualityJoin[]
  /** The partitions that deletes are scoped by, numbered: a number is joined faster than a text. */
  readonly scopes: ReadonlyMap<string, number>
}

/**
 * Loads the equality deletes of a table: for each set of key columns, and apart for those that apply in every partition, a
 * table of distinct keys with the highest sequence number that deletes them. A key that is null deletes nulls.
 */
export async function loadEqualityDeletes(binder: Binder, table: BoundTable): Promise<EqualityDeletes> {
  const all = new Set<EqualityFile>()
  for (const file of table.files) for (const one of file.deletes ?? []) if (one.kind === 'equality') all.add(one)
  const scopes = new Map<string, number>()
  for (const { scope } of all) if (scope !== null && !scopes.has(scope)) scopes.set(scope, scopes.size)
  const sets = Map.groupBy(all, (one) => `${one.equalityIds.join()} ${one.scope === null ? 'everywhere' : 'scoped'}`)
  const fields = new Map<number, Field>()
  const joins: EqualityJoin[] = []
  for (const files of sets.values()) {
    const keys = (files[0]?.equalityIds ?? []).map((id) => keyOf(table, id))
    for (const key of keys) fields.set(key.top.id, key.top)
    joins.push(await load(binder, table, files, keys, scopes))
  }
  return { fields: [...fields.values()], joins, scopes }
}

/** A key column: the top-level field it stands in, and how it is taken out of what a part yields. */
interface Key {
  readonly top: Field
  readonly of: (alias: string) => string
}

function keyOf(table: BoundTable, id: number): Key {
  for (const schema of [table.schema, ...newestFirst(table.olderSchemas ?? [])]) {
    for (const top of schema.fields) {
      const path = pathTo(top, id)
      if (!path) continue
      const of = (alias: string) =>
        path.reduce((sql, name) => `struct_extract(${sql}, ${quoteText(name)})`, `${alias}.${inner(top.id)}`)
      return { top, of }
    }
  }
  throw new LimnError('iceberg/invalid-metadata', {
    message: `${table.id} has deletes by field ${id}, which none of its schemas has.`,
    notDone: 'The table was not read: its deleted rows are not known.',
    remedy: 'Compact the table with the engine that wrote it.',
  })
}

function newestFirst(schemas: readonly Schema[]): readonly Schema[] {
  return [...schemas].sort((a, b) => b.schemaId - a.schemaId)
}

/** Names from a field down to the one of an id within its structs; null when it is not there. */
function pathTo(field: Field, id: number): readonly string[] | null {
  if (field.id === id) return []
  if (typeof field.type === 'string' || field.type.type !== 'struct') return null
  for (const one of field.type.fields) {
    const below = pathTo(one, id)
    if (below) return [one.name, ...below]
  }
  return null
}

async function load(
  binder: Binder,
  table: BoundTable,
  files: readonly EqualityFile[],
  keys: readonly Key[],
  scopeNumbers: EqualityDeletes['scopes'],
): Promise<EqualityJoin> {
  const tops = [...new Map(keys.map((key) => [key.top.id, key.top])).values()]
  const scoped = files.some((file) => file.scope !== null)
  const { sql } = await binder.table()
  const selects: string[] = []
  for (const part of await binder.parts(files, tops, table.nameMapping))
    selects.push(await keysSql(binder, part, keys, scopeNumbers))
  const names = keys.map((_key, i) => `k${i}`)
  const lowest = lowestOf(files)
  const scopes = new Set(files.map((file) => file.scope))
  const inEveryScope = (data: readonly BoundFile[]) =>
    !scoped || (scopes.size === 1 && data.every((file) => scopes.has(file.scope ?? '')))
  const afterAll = (data: readonly BoundFile[]) => data.every((file) => (file.dataSequenceNumber ?? 0n) < lowest)
  const own = new Set<BoundDelete>(files)
  const reached = table.files.filter((file) => file.deletes?.some((one) => own.has(one)))
  const told = inEveryScope(reached) ? names : [...names, 'scope']
  const rows = `(${selects.join(' UNION ALL ')})`
  // Keys that hardly repeat are cheaper to join twice than to be told apart.
  const repeat =
    Math.max(
      ...Map.groupBy(files, (file) => file.partition)
        .values()
        .map((same) => same.length),
    ) > repeatMax
  const keyCount = files.reduce((sum, file) => sum + Number(file.recordCount), 0)
  const readAgain = !repeat && keyCount > heldKeysMax && files.length <= readAgainMax
  await binder.run(
    afterAll(reached)
      ? `CREATE ${readAgain ? 'VIEW' : 'TABLE'} ${sql} AS SELECT ${repeat ? 'DISTINCT ' : ''}${told.join(', ')} FROM ${rows}`
      : `CREATE TABLE ${sql} AS SELECT ${told.join(', ')}, max(q) AS q FROM ${rows} GROUP BY ALL`,
  )
  const reader = await binder.connection.runAndReadAll(
    `SELECT ${names.map((name) => `coalesce(bool_or(${name} IS NULL), false)`).join(', ')} FROM ${sql}`,
  )
  const [mayBeNull = []] = reader.getRows()
  return {
    table: sql,
    files: own,
    appliesToAll: (data) => afterAll(data) && inEveryScope(data),
    antiJoin(alias, data, facts) {
      // Equality is the faster join, and the same where no null is deleted.
      const equals = (i: number) => (mayBeNull[i] === false ? '=' : 'IS NOT DISTINCT FROM')
      const same = keys.map((key, i) => `${alias}.k${i} ${equals(i)} ${key.of('x')}`)
      if (!inEveryScope(data)) same.push(`${alias}.scope = ${facts.scope}`)
      if (!afterAll(data)) same.push(`${alias}.q > ${facts.sequence}`)
      return `ANTI JOIN ${sql} ${alias} ON ${same.join(' AND ')}`
    },
  }
}

/** The keys that some delete files of one shape hold, with scope and sequence number of each. */
async function keysSql(
  binder: Binder,
  part: ScanPart<EqualityFile>,
  keys: readonly Key[],
  scopes: EqualityDeletes['scopes'],
): Promise<string> {
  const { sql: about } = await binder.table()
  await binder.run(`CREATE TABLE ${about} (i UBIGINT, scope INTEGER, q BIGINT)`)
  for (let at = 0; at < part.files.length; at += 1000) {
    const rows = part.files
      .slice(at, at + 1000)
      .map(
        (file, k) =>
          `(${at + k}, ${file.scope === null ? 'NULL' : scopes.get(file.scope)}, ${file.dataSequenceNumber})`,
      )
    await binder.run(`INSERT INTO ${about} VALUES ${rows.join(', ')}`)
  }
  const columns = part.columns.map(({ field, sql }) => `${sql} AS ${inner(field.id)}`)
  const own = keys.map((key, i) => `${key.of('x')} AS k${i}`)
  return `SELECT ${[...own, 'a.scope', 'a.q'].join(', ')}
    FROM (SELECT ${columns.join(', ')}, file_index FROM ${part.source}) x JOIN ${about} a ON a.i = x.file_index`
}

function lowestOf(files: readonly EqualityFile[]): bigint {
  let lowest = files[0]?.dataSequenceNumber ?? 0n
  for (const { dataSequenceNumber } of files) if (dataSequenceNumber < lowest) lowest = dataSequenceNumber
  return lowest
}
