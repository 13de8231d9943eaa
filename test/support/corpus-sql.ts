import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { schemaById } from '../../packages/limn/src/iceberg/index.ts'
import { type MetadataTableName, metadataTableNames } from '../../packages/limn/src/table/index.ts'
import { type At, type CaseFile, type Found, findByName, findByPath, readMetadata } from './corpus.ts'
import type { Question } from './corpus-questions.ts'

/** A table a query reads, and the name it is bound under. */
export interface Source {
  readonly id: TableId
  readonly found: Found
  readonly at: At
  /** The metadata table of it that is read instead of its rows. */
  readonly metadata?: MetadataTableName
}

/** What DuckDB's functions over Iceberg metadata answer. */
export interface Listing {
  readonly name: string
  readonly found: Found
  readonly at: At
  readonly of: 'metadata' | 'snapshots' | 'column_stats' | 'partition_stats'
}

/** A question as a query that limn can run; `apart`: it asks for something that is no table of the corpus. */
export type Ask =
  | {
      readonly kind: 'ask'
      readonly sql: string
      readonly sources: readonly Source[]
      readonly listings: readonly Listing[]
      readonly metadataColumns: boolean
      readonly ordered: boolean
    }
  | { readonly kind: 'apart'; readonly why: string }
  | { readonly kind: 'unknown'; readonly what: string }

const call =
  /\biceberg_(scan|metadata|snapshots|column_stats|partition_stats)\s*\(\s*('[^']*'|[\w."]+)((?:\s*,\s*\w+\s*=>?\s*(?:'[^']*'|"[^"]*"|[\w:.-]+))*)\s*\)(?:\s+at\s*\(\s*(version|timestamp)\s*=>\s*([^)]+)\))?/gi

/** Options of DuckDB's functions that say nothing of what is read. */
const indifferent = new Set(['allow_moved_paths', 'metadata_compression_codec', 'version_name_format', 'mode'])

export function askDuckDb(cases: readonly CaseFile[], own: CaseFile, given: string): Ask {
  const sql = given.replace(/\{WORKING_DIRECTORY\}\/|__WORKING_DIRECTORY__\//g, '').replace(/;\s*$/, '')
  if (/duckdb_logs\s*\(/i.test(sql)) return { kind: 'apart', why: "asks for DuckDB's own log" }
  if (sql.includes('{TEST_DIR}')) return { kind: 'apart', why: 'asks for a table that its own test writes' }
  if (/from\s+'[^']*\.(parquet|csv|json)'/i.test(sql)) return { kind: 'apart', why: 'reads a bare file' }
  const sources: Source[] = []
  const listings: Listing[] = []
  let problem: Ask | null = null
  const place = (found: Found, at: At, of: string): string => {
    if (of !== 'scan') {
      const name = `listing_${listings.length}`
      listings.push({ name, found, at, of: of as Listing['of'] })
      return name
    }
    const id = tableId(`corpus.t${sources.length}`)
    sources.push({ id, found, at })
    return id
  }
  let text = sql.replace(call, (whole, of: string, target: string, rest: string, travel?: string, point?: string) => {
    const options = optionsOf(rest)
    let at: At = { kind: 'current' }
    for (const [name, value] of options) {
      if (name === 'snapshot_from_id') at = { kind: 'snapshot', id: BigInt(value) }
      else if (name === 'snapshot_from_timestamp') at = { kind: 'time', ms: Date.parse(`${value.replace(' ', 'T')}Z`) }
      else if (name !== 'version' && !indifferent.has(name))
        problem = { kind: 'unknown', what: `the option ${name} in ${given}` }
    }
    if (travel !== undefined && point !== undefined) at = pointOf(travel, point)
    const found = target.startsWith("'")
      ? findByPath(own, target.slice(1, -1), options.get('version'))
      : named(cases, own, target)
    if (found) return place(found, at, of.toLowerCase())
    problem = { kind: 'apart', why: 'names a table that is in no case' }
    return whole
  })
  text = text.replace(
    /\b(from|join)\s+("?\w+"?\."?\w+"?\."?\w+"?)(?:\s+at\s*\(\s*(version|timestamp)\s*=>\s*([^)]+)\))?/gi,
    (whole, word: string, name: string, travel?: string, point?: string) => {
      const found = named(cases, own, name)
      const at: At = travel !== undefined && point !== undefined ? pointOf(travel, point) : { kind: 'current' }
      return found ? `${word} ${place(found, at, 'scan')}` : whole
    },
  )
  if (problem) return problem
  const metadataColumns = /\bfilename\b/i.test(text)
  text = text.replace(/\bfilename\b/gi, '_file')
  return { kind: 'ask', sql: text, sources, listings, metadataColumns, ordered: isOrdered(text) }
}

/** The table of a name in an attached catalog: by its last part, or the one table of the case. */
function named(cases: readonly CaseFile[], own: CaseFile, name: string): Found | null {
  const last = name.replaceAll('"', '').replace(/^.*\./, '')
  const found = findByName(cases, own, last)
  const [only] = own.tables
  if (found || !only || own.tables.length !== 1) return found
  return { case: own, table: only, metadataFile: only.metadata_file }
}

function optionsOf(text: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>()
  for (const [, name = '', value = ''] of text.matchAll(/(\w+)\s*=>?\s*('[^']*'|"[^"]*"|[\w:.-]+)/g))
    options.set(name.toLowerCase(), value.replace(/^['"]|['"]$/g, ''))
  return options
}

function pointOf(kind: string, text: string): At {
  const plain = text.replace(/^\s*(timestamp\s*)?'|'\s*$/gi, '').trim()
  if (kind.toLowerCase() === 'version') return { kind: 'snapshot', id: BigInt(plain) }
  return {
    kind: 'time',
    ms: /^now\(\)$/i.test(plain) ? Number.MAX_SAFE_INTEGER : Date.parse(`${plain.replace(' ', 'T')}Z`),
  }
}

function isOrdered(sql: string): boolean {
  return /\border\s+by\b[^)]*$/i.test(sql)
}

/** Columns of Impala that stand for limn's metadata columns. */
const hidden: Readonly<Record<string, string>> = {
  input__file__name: '_file',
  file__position: '_pos',
  partition__spec__id: '_spec_id',
  _row_id: '_row_id',
  _last_updated_sequence_number: '_last_updated_sequence_number',
}

const apartImpala: readonly (readonly [RegExp, string])[] = [
  [/\btablesample\b/i, 'asks for a sample by the rules of the engine'],
  [/\brand\s*\(/i, 'asks for random rows'],
  [/\biceberg__partition__serialized\b/i, "asks for Impala's own encoding of a partition"],
  [/\b(_file_row_id|_file_last_updated_sequence_number)\b/i, 'asks for what a file stores, not what a row has'],
]

const chain =
  /(\bfrom\s+|\bjoin\s+|,\s*)([\w$`]+(?:\.[\w$`]+)*)(?:\s+for\s+system_(version|time)\s+as\s+of\s+('[^']*'|\d+|now\(\)))?(\s+(?:as\s+)?(?!(?:as|from|select|where|order|group|union|minus|except|intersect|join|on|limit|left|right|full|inner|cross|having|for|tablesample|using)\b)[a-z_]\w*)?/gi

export function askImpala(
  cases: readonly CaseFile[],
  own: CaseFile,
  question: Extract<Question, { readonly kind: 'impala' | 'impala-error' }>,
): Ask {
  for (const [pattern, why] of apartImpala) if (pattern.test(question.sql)) return { kind: 'apart', why }
  if (question.kind === 'impala' && /fgac/i.test(question.source))
    return { kind: 'apart', why: 'is answered through masking rules' }
  let zone = 'UTC'
  let text = question.sql.replace(/\s*set\s+timezone\s*=\s*'?([^;']+)'?\s*;\s*/gi, (_, name: string) => {
    zone = name.trim()
    return ''
  })
  text = text.replace(/;\s*$/, '')
  if (text.includes(';')) return { kind: 'unknown', what: `more than one statement: ${question.sql}` }
  const sources: Source[] = []
  let problem: Ask | null = null
  text = text.replace(chain, (whole, lead: string, dotted: string, travel?: string, point?: string, alias?: string) => {
    const parts = dotted.replaceAll('`', '').split('.')
    if (new RegExp(`\\b${parts[0]?.replaceAll('$', '')}\\s+as\\s*\\(`, 'i').test(question.sql)) return whole
    const at = parts.findIndex((part) => findByName(cases, own, part) !== null)
    const found = at < 0 ? null : findByName(cases, own, parts[at] ?? '')
    if (!found) return travel === undefined ? whole : `${lead}${dotted}${alias ?? ''}`
    const rest = parts.slice(at + 1)
    const name = parts[at] ?? ''
    const metadata = rest.length === 1 ? metadataTableNames.find((one) => one === rest[0]?.toLowerCase()) : undefined
    if (metadata) {
      const id = tableId(`corpus.t${sources.length}`)
      sources.push({ id, found, at: { kind: 'current' }, metadata })
      if (travel !== undefined) problem = { kind: 'unknown', what: `a metadata table at a version: ${question.sql}` }
      return `${lead}${zonedColumns(instantsOf[metadata] ?? [], id, zone)}${alias ?? ` AS ${metadata}`}`
    }
    if (rest.length > 0) return `${lead}${collection(found, [name, ...rest], (alias ?? ` AS ${name}`).trim())}`
    const id = tableId(`corpus.t${sources.length}`)
    const when: At = travel !== undefined && point !== undefined ? pointOf(travel, point) : { kind: 'current' }
    sources.push({ id, found, at: when })
    return `${lead}${zoned(found, id, zone)}${alias ?? ` AS ${name}`}`
  })
  if (problem) return problem
  const metadataColumns = Object.keys(hidden).some((name) => new RegExp(`\\b${name}\\b`, 'i').test(text))
  for (const [name, column] of Object.entries(hidden)) text = text.replace(new RegExp(`\\b${name}\\b`, 'gi'), column)
  if (metadataColumns) {
    const columns = Object.values(hidden).join(', ')
    text = text.replace(/(select\s+|,\s*)((?:\w+\.)?\*)(?=\s*(?:,|from\b))/gi, `$1$2 EXCLUDE (${columns})`)
  }
  // A join that says nothing of how rows meet.
  if (!/\b(on|using)\b/i.test(text)) text = text.replace(/(?<!cross\s)\bjoin\b/gi, 'CROSS JOIN')
  text = text
    .replace(/\bto_timestamp\(('[^']*'),\s*'yyyy-MM-dd HH:mm:ss'\)/g, "strptime($1, '%Y-%m-%d %H:%M:%S')")
    .replace(/\bstrright\(/gi, 'right(')
    .replace(/\bminus\b/gi, 'EXCEPT')
    .replace(/(?<![\w."`])user(?![\w"`(])/gi, '"user"')
    .replaceAll('`', '"')
  return { kind: 'ask', sql: text, sources, listings: [], metadataColumns, ordered: isOrdered(text) }
}

/** Impala shows an instant in the session's zone, and compares it so. */
function zoned(found: Found, id: TableId, zone: string): string {
  const metadata = readMetadata(found)
  const { fields } = schemaById(metadata, metadata.currentSchemaId)
  const instants = fields.filter((field) => field.type === 'timestamptz')
  return zonedColumns(
    instants.map((field) => field.name),
    id,
    zone,
  )
}

function zonedColumns(names: readonly string[], id: TableId, zone: string): string {
  if (names.length === 0) return id
  const columns = names.map((name) => `timezone('${zone}', "${name}") AS "${name}"`)
  return `(SELECT * REPLACE (${columns.join(', ')}) FROM ${id})`
}

/** Columns of metadata tables that are instants. */
const instantsOf: Readonly<Partial<Record<MetadataTableName, readonly string[]>>> = {
  history: ['made_current_at'],
  metadata_log_entries: ['timestamp'],
  partitions: ['last_updated_at'],
  snapshots: ['committed_at'],
}

/** A nested collection named like a table: one row for each element, with `pos` and `item`, or `key` and `value`. */
function collection(found: Found, path: readonly string[], alias: string): string {
  const metadata = readMetadata(found)
  let type: unknown = { type: 'struct', fields: schemaById(metadata, metadata.currentSchemaId).fields }
  for (const name of path.slice(1)) {
    const { fields = [] } = type as { readonly fields?: readonly { readonly name: string; readonly type: unknown }[] }
    type = fields.find((field) => field.name === name)?.type
  }
  const value = path.map((part) => `"${part}"`).join('.')
  const as = alias.replace(/^as\s+/i, '')
  if ((type as { readonly type?: string } | undefined)?.type === 'map')
    return `(SELECT unnest(map_entries(${value})) AS ${as})`
  const items = `list_transform(range(len(${value})), lambda i: {'pos': i, 'item': (${value})[i + 1]})`
  return `(SELECT unnest(${items}) AS ${as})`
}
