import { LimnError, type TableId, tableId } from '../../base/index.ts'
import { barePath, decodeMetadata, type LoadedTable } from '../../iceberg/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'

/**
 * Reads an Iceberg table that no catalog here knows: by its metadata file, or by its folder, of which the newest metadata
 * is taken: the one `metadata/version-hint.text` names or a later one, else that of the highest version. The table is
 * called `table` then (default `external.table`). Throws `source/missing`, `iceberg/invalid-metadata`,
 * `iceberg/unsupported`; `usage/argument` when two files share the highest version, for then only a catalog knows which
 * one counts.
 */
export async function openExternal(
  context: TableContext,
  location: StorePath,
  table: TableId = tableId('external.table'),
): Promise<LoadedTable> {
  const metadataLocation = /\.metadata\.json(\.gz)?$/.test(location)
    ? location
    : await newestMetadata(context, location)
  const { store, signal } = context
  try {
    return {
      table,
      metadataLocation,
      metadata: decodeMetadata(await store.read(metadataLocation, undefined, { signal })),
    }
  } catch (cause) {
    if (!(cause instanceof LimnError)) throw cause
    throw new LimnError(cause.kind === 'storage/missing' ? 'source/missing' : cause.kind, {
      message: `${metadataLocation} cannot be read as a table's metadata: ${cause.message}`,
      notDone: 'The table was not read.',
      remedy: cause.remedy ?? 'Name a metadata.json, or the folder of a table, which holds metadata/.',
      cause,
    })
  }
}

interface Version {
  readonly path: StorePath
  readonly version: number
}

async function newestMetadata(context: TableContext, folder: StorePath): Promise<StorePath> {
  const { store, signal } = context
  const metadata = storePath(`${folder.replace(/\/+$/, '')}/metadata`)
  const depth = barePath(metadata).split('/').length
  const found: Version[] = []
  for await (const { path } of store.list(metadata, { signal })) {
    const name = path.slice(path.lastIndexOf('/') + 1)
    const match = /^v?(\d+)(?:-[^/]*)?(?:\.gz)?\.metadata\.json(?:\.gz)?$/.exec(name)
    if (match && barePath(path).split('/').length === depth + 1) found.push({ path, version: Number(match[1]) })
  }
  const hinted = await hintOf(context, metadata)
  // A hint may lag behind: writers replace it after the commit.
  const highest = found.reduce((most, one) => Math.max(most, one.version), -1)
  const newest = found.filter((one) => one.version === highest)
  const [only] = newest
  if (only && newest.length === 1) return only.path
  const named = newest.find((one) => hinted !== null && one.path.endsWith(`/${hinted}`))
  if (named) return named.path
  if (!only)
    throw new LimnError('source/missing', {
      message: `There is no Iceberg table in ${folder}: ${metadata} holds no metadata.json.`,
      notDone: 'The table was not read.',
      remedy: "Name the table's folder, or its metadata.json.",
    })
  throw new LimnError('usage/argument', {
    message: `${folder} has ${newest.length} metadata files of version ${highest}: ${newest.map((one) => one.path.slice(one.path.lastIndexOf('/') + 1)).join(', ')}.`,
    notDone: 'The table was not read: only its catalog knows which of them counts.',
    remedy: 'Name the metadata.json that its catalog names.',
  })
}

/** The file name a hint stands for, where it is a name; a number stands for `v<number>.metadata.json`. */
async function hintOf({ store, signal }: TableContext, metadata: StorePath): Promise<string | null> {
  const path = storePath(`${metadata}/version-hint.text`)
  if (!(await store.stat(path, { signal }))) return null
  const text = Buffer.from(await store.read(path, undefined, { signal }))
    .toString('utf8')
    .trim()
  return /^\d+$/.test(text) ? `v${text}.metadata.json` : text
}
