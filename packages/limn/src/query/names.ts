import { isTableId, LimnError, nearest, type TableId } from '../base/index.ts'
import type { LoadedTable } from '../iceberg/index.ts'
import { type MetadataTableName, metadataTableNames, type TableContext } from '../table/index.ts'

/** Where a statement writes. */
export interface Target {
  readonly table: TableId
  readonly branch: string
}

/** What a dotted name of a statement means. */
export interface ResolvedName {
  readonly table: TableId
  /** What stands behind the table's name. */
  readonly part:
    | { readonly kind: 'rows' }
    /** `t.branch_x` or `t.tag_x`. */
    | { readonly kind: 'ref'; readonly type: 'branch' | 'tag'; readonly ref: string }
    | { readonly kind: 'metadata'; readonly name: MetadataTableName }
}

/** Resolves `namespace.name`, also followed by `branch_x`, `tag_x` or the name of a metadata table. Case is ignored. */
export function resolveName(parts: readonly string[]): ResolvedName {
  const [namespace = '', name = '', part] = parts
  const table = `${namespace}.${name}`.toLowerCase()
  if (parts.length < 2 || parts.length > 3 || !isTableId(table)) throw noName(parts)
  if (part === undefined) return { table, part: { kind: 'rows' } }
  const word = part.toLowerCase()
  for (const type of ['branch', 'tag'] as const)
    if (word.startsWith(`${type}_`)) return { table, part: { kind: 'ref', type, ref: part.slice(type.length + 1) } }
  const metadata = metadataTableNames.find((one) => one === word)
  if (metadata) return { table, part: { kind: 'metadata', name: metadata } }
  const close = nearest(word, metadataTableNames)
  throw new LimnError('usage/unknown-table', {
    message: `There is no table ${parts.join('.')}.`,
    notDone: 'Nothing was run.',
    remedy: close
      ? `Did you mean ${table}.${close}?`
      : `Behind ${table} may stand branch_NAME, tag_NAME or one of: ${metadataTableNames.join(', ')}.`,
  })
}

/** Whether a word behind a table's name means a part of it: `branch_x`, `tag_x`, `snapshots`. */
export function isPartName(word: string): boolean {
  const lower = word.toLowerCase()
  return /^(branch|tag)_/.test(lower) || metadataTableNames.some((one) => one === lower)
}

function noName(parts: readonly string[]): LimnError {
  return new LimnError('usage/unknown-table', {
    message: `"${parts.join('.')}" names no table.`,
    notDone: 'Nothing was run.',
    remedy: 'Write namespace.name in letters, digits and underscores, for example bronze.event.',
  })
}

/** Throws `usage/unknown-table` with the nearest name. */
export async function unknownTable(context: TableContext, table: TableId): Promise<LimnError> {
  const { signal } = context
  const views = (await context.catalog.views?.listViews({ signal })) ?? []
  if (views.includes(table))
    return new LimnError('sql/invalid', {
      message: `${table} is a view: it has no rows, no versions and no shape of its own.`,
      notDone: 'Nothing was run.',
      remedy:
        'Name a table that it reads. A view is read by SELECT, and changed by CREATE OR REPLACE, ALTER and DROP VIEW.',
    })
  const close = nearest(table, [...(await context.catalog.listTables({ signal })), ...views])
  return new LimnError('usage/unknown-table', {
    message: `There is no table ${table}.`,
    notDone: 'Nothing was run.',
    remedy: close ? `Did you mean ${close}?` : 'List the tables with: limn table ls',
  })
}

export async function loadTable(context: TableContext, table: TableId): Promise<LoadedTable> {
  const loaded = (await context.catalog.loadTables([table], { signal: context.signal })).get(table)
  if (!loaded) throw await unknownTable(context, table)
  return loaded
}

/**
 * A table that a statement writes rows to, at a branch it has: a mistyped name makes no branch. The first write to a table
 * without snapshots makes its branch, as CREATE BRANCH cannot. Throws `usage/unknown-ref`.
 */
export async function loadTarget(context: TableContext, target: Target): Promise<LoadedTable> {
  const loaded = await loadTable(context, target.table)
  const { refs } = loaded.metadata
  const names = Object.keys(refs)
  if (target.branch === 'main' || Object.hasOwn(refs, target.branch) || names.length === 0) return loaded
  const close = nearest(target.branch, names)
  throw new LimnError('usage/unknown-ref', {
    message: `${target.table} has no branch ${target.branch}.`,
    notDone: 'Nothing was run.',
    remedy: close
      ? `Did you mean ${target.table}.branch_${close}?`
      : `Make it first: ALTER TABLE ${target.table} CREATE BRANCH ${target.branch}`,
  })
}
