import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { decodeMetadata, snapshotAsOf, type TableMetadata } from '../../packages/limn/src/iceberg/index.ts'
import { type FileLease, type ObjectStore, type StorePath, storePath } from '../../packages/limn/src/storage/index.ts'
import type { PinnedTable } from '../../packages/limn/src/table/index.ts'
import { root } from './lake.ts'

/** Tables that other systems wrote, with what is known of each. `LIMN_CONFORMANCE` names another folder laid out alike. */
const shared = process.env.LIMN_SHARED ?? join(root, '..', 'shared')
export const corpus = join(process.env.LIMN_CONFORMANCE ?? join(shared, 'conformance'), 'iceberg')

export interface TableCase {
  readonly table: string
  readonly location: string
  readonly metadata_file: string
  readonly format_version: number
  readonly data_files?: number
  readonly delete_files?: number
  readonly summary?: Readonly<Record<string, string>>
  readonly prefix_map: Readonly<Record<string, string>>
  readonly missing?: readonly string[]
  readonly icebird_rows?: number
  readonly icebird_sample?: readonly Readonly<Record<string, unknown>>[]
}

export interface CaseFile {
  readonly name: string
  readonly folder: string
  readonly tables: readonly TableCase[]
  readonly expected_row_count?: number
}

/** The cases, in order of names. Empty where the corpus is not here; an error where it is required. */
export function loadCases(): readonly CaseFile[] {
  if (!existsSync(corpus)) {
    if (process.env.LIMN_REQUIRE_CONFORMANCE === '1')
      throw new Error(`The conformance corpus is required here and not at ${corpus}.`)
    process.stdout.write(
      'The conformance corpus is not here: this suite is left out. Name its folder with LIMN_SHARED or LIMN_CONFORMANCE.\n',
    )
    return []
  }
  return readdirSync(corpus)
    .filter((name) => existsSync(join(corpus, name, 'case.json')))
    .sort()
    .map((name) => {
      const folder = join(corpus, name)
      return { ...(JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as CaseFile), name, folder }
    })
}

/** Where a path that a table's metadata names stands on this disk. */
export function localPath(one: TableCase, folder: string, path: string): string {
  const prefix = Object.keys(one.prefix_map)
    .sort((a, b) => b.length - a.length)
    .find((candidate) => path.startsWith(candidate))
  if (prefix !== undefined) return join(folder, one.prefix_map[prefix] ?? '', path.slice(prefix.length))
  // A case without a map keeps the table's folder under its own name.
  const { location } = one
  return path.startsWith(location) ? join(folder, one.table, path.slice(location.length)) : join(folder, path)
}

/** The files of one case under the paths that its metadata has for them. Nothing can be written. */
export function mappedStore(one: TableCase, folder: string): ObjectStore {
  const local = (path: StorePath) => (path.startsWith(`${corpus}/`) ? path : localPath(one, folder, path))
  const refuse = async (): Promise<never> => {
    throw new Error('the corpus is only read')
  }
  return {
    root: storePath(folder),
    async read(path, range) {
      if (!range) return readFile(local(path))
      await using file = await open(local(path), 'r')
      const bytes = new Uint8Array(range.end - range.start)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, range.start)
      return bytes.subarray(0, bytesRead)
    },
    async lease(paths): Promise<FileLease> {
      const known = new Map(paths.map((path) => [path, local(path)]))
      for (const [path, file] of known) if (!existsSync(file)) throw new Error(`${path} is not in the case (${file})`)
      return {
        localOf: (path) => known.get(path) ?? local(path),
        pathOf: (name) => [...known].find(([, file]) => file === name)?.[0],
        async [Symbol.asyncDispose]() {},
      }
    },
    async stat(path) {
      const file = local(path)
      if (!existsSync(file)) return null
      const found = statSync(file)
      return { path, bytes: found.size, modifiedMs: found.mtimeMs }
    },
    async *list() {},
    write: refuse,
    putFile: refuse,
    putFiles: refuse,
    settle: async () => undefined,
    linkFiles: refuse,
    scratch: refuse,
    delete: refuse,
  }
}

/** A table of a case at one of its metadata files. */
export interface Found {
  readonly case: CaseFile
  readonly table: TableCase
  readonly metadataFile: string
}

export function readMetadata(found: Found): TableMetadata {
  const bytes = readFileSync(join(found.case.folder, found.metadataFile))
  return decodeMetadata(bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes)
}

/** Which state of a table a question is about. */
export type At =
  | { readonly kind: 'current' }
  | { readonly kind: 'snapshot'; readonly id: bigint }
  | { readonly kind: 'time'; readonly ms: number }

/** Null: the table had no snapshot then. */
export function pin(found: Found, at: At, id: TableId = tableId('corpus.one')): PinnedTable | null {
  const metadata = readMetadata(found)
  const current = { id, metadata, snapshotId: metadata.currentSnapshotId, schemaId: metadata.currentSchemaId }
  if (at.kind === 'current') return current
  const snapshotId = at.kind === 'snapshot' ? at.id : snapshotAsOf(metadata, at.ms)
  if (snapshotId === null) return null
  const snapshot = metadata.snapshots.find((one) => one.snapshotId === snapshotId)
  if (!snapshot) throw new Error(`the table has no snapshot ${snapshotId}`)
  return { ...current, snapshotId, schemaId: snapshot.schemaId ?? metadata.currentSchemaId }
}

/**
 * The table a test file names by a path: its folder or a metadata file, under whatever root that test ran with. `version`
 * names a metadata file the way DuckDB's functions do. Null: no table of this case.
 */
export function findByPath(one: CaseFile, path: string, version?: string): Found | null {
  for (const table of one.tables) {
    const folder = localPath(table, one.folder, path).slice(one.folder.length + 1)
    const isFile = path.endsWith('.metadata.json')
    const own = baseName(table.location) === baseName(path) || folder === table.table
    const only = one.tables.length === 1 && one.name.replace(/^[a-z0-9]+_/, '') === baseName(path)
    const metadata = `${table.metadata_file.slice(0, table.metadata_file.lastIndexOf('/'))}`
    if (isFile) {
      const name = `${metadata}/${baseName(path)}`
      if ((folder === name || one.tables.length === 1) && existsSync(join(one.folder, name)))
        return { case: one, table, metadataFile: name }
    } else if (own || only) {
      if (version === undefined || version === '?') return { case: one, table, metadataFile: table.metadata_file }
      for (const name of [`v${version}.metadata.json`, `${version}.metadata.json`, `v${version}.gz.metadata.json`])
        if (existsSync(join(one.folder, metadata, name)))
          return { case: one, table, metadataFile: `${metadata}/${name}` }
    }
  }
  return null
}

/** The table that has this bare name, in the case itself or in another of the same origin. */
export function findByName(cases: readonly CaseFile[], own: CaseFile, name: string): Found | null {
  const wanted = name.toLowerCase()
  const origin = own.name.replace(/_.*$/, '_')
  for (const one of [own, ...cases.filter((each) => each.name.startsWith(origin))]) {
    for (const table of one.tables) {
      const names = [baseName(table.location), baseName(table.table)]
      if (one.tables.length === 1) names.push(one.name.replace(/^[a-z0-9]+_/, ''))
      if (names.some((each) => each.toLowerCase() === wanted))
        return { case: one, table, metadataFile: table.metadata_file }
    }
  }
  return null
}

export function baseName(path: string): string {
  return path.replace(/\/+$/, '').replace(/^.*\//, '')
}
