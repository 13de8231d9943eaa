import { resolve } from 'node:path'
import { isTableId, LimnError } from '../../../base/index.ts'
import type { LoadedTable } from '../../../iceberg/index.ts'
import { type StorePath, storePath } from '../../../storage/index.ts'
import { openExternal, type TableContext } from '../../../table/index.ts'

/** What a name or path on the command line stands for. */
export type Source =
  | { readonly kind: 'table'; readonly loaded: LoadedTable }
  | { readonly kind: 'folder'; readonly folder: StorePath }

/** A path, taken from the working directory, or a `file://` location. */
export function locationOf(text: string): StorePath {
  const local = text.replace(/^file:(?:\/\/)?(?=\/)/, '')
  return storePath(`file://${resolve(local)}`)
}

/** A table of the catalog, else an Iceberg table by its folder or metadata file, else a folder of Parquet files. */
export async function sourceOf(context: TableContext, text: string): Promise<Source> {
  const { catalog, store, signal } = context
  if (isTableId(text)) {
    const loaded = (await catalog.loadTables([text], { signal })).get(text)
    if (loaded) return { kind: 'table', loaded }
  }
  const location = locationOf(text)
  if (/\.metadata\.json(\.gz)?$/.test(location)) return { kind: 'table', loaded: await openExternal(context, location) }
  for await (const { path } of store.list(storePath(`${location}/metadata`), { signal }))
    if (/\.metadata\.json(\.gz)?$/.test(path)) return { kind: 'table', loaded: await openExternal(context, location) }
  for await (const _ of store.list(location, { signal })) return { kind: 'folder', folder: location }
  throw new LimnError('source/missing', {
    message: `${text} is neither a table nor a folder with files.`,
    notDone: 'Nothing was done.',
    remedy:
      'Name a table (limn table ls), the folder of an Iceberg table, its metadata.json, or a folder of Parquet files.',
  })
}

export async function requireFolder(context: TableContext, text: string): Promise<StorePath> {
  const source = await sourceOf(context, text)
  if (source.kind === 'folder') return source.folder
  throw new LimnError('usage/argument', {
    message: `${text} is a table, not a folder of Parquet files.`,
    notDone: 'Nothing was done.',
    remedy: 'Register it, or take a snapshot of it: limn table register, limn table snapshot.',
  })
}
