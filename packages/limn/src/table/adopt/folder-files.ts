import { LimnError, mapConcurrently } from '../../base/index.ts'
import { type ParquetFooter, readParquetFooter } from '../../encoding/index.ts'
import { barePath, canonicalPath } from '../../iceberg/index.ts'
import type { ObjectInfo, StorePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'

/** Files of others that are to be adopted. */
export type Found =
  /** Every Parquet file below a folder; files and folders whose names begin with `_` or `.` are passed over. */
  | { readonly kind: 'folder'; readonly folder: StorePath; readonly others?: OtherFiles }
  /** These; folder names tell of partitions from `base` on, or of the whole path without it. */
  | { readonly kind: 'files'; readonly files: readonly StorePath[]; readonly base?: StorePath }

/** What files below the folder mean that are not named `.parquet` or `.parq`: an error (default), or nothing. */
export type OtherFiles = 'refuse' | 'skip'

export interface FoundFiles {
  readonly base: StorePath | null
  readonly files: readonly ObjectInfo[]
  /** Passed over, hidden ones aside. */
  readonly skipped: number
}

const filesAtOnce = 32

/**
 * Lists what is to be adopted, in byte order of paths. Throws `source/missing` when there is none, and
 * `table/unsafe-change` for a folder that a table format keeps: which of its files are live only its metadata says.
 */
export async function findFiles(context: TableContext, found: Found): Promise<FoundFiles> {
  const listed = found.kind === 'folder' ? await listFolder(context, found) : await statFiles(context, found.files)
  if (listed.files.length > 0) return { ...listed, base: found.kind === 'folder' ? found.folder : (found.base ?? null) }
  throw new LimnError('source/missing', {
    message: found.kind === 'folder' ? `There is no Parquet file below ${found.folder}.` : 'No file is named.',
    notDone: 'Nothing was added: a folder that is missing is not an empty one.',
    remedy: 'Name a folder with files whose names end in .parquet, or name the files.',
  })
}

type Listed = Pick<FoundFiles, 'files' | 'skipped'>

async function listFolder(
  { store, signal }: TableContext,
  { folder, others = 'refuse' }: Extract<Found, { kind: 'folder' }>,
): Promise<Listed> {
  const start = barePath(folder).replace(/\/+$/, '').length
  const files: ObjectInfo[] = []
  let skipped = 0
  for await (const one of store.list(folder, { signal })) {
    const steps = barePath(one.path).slice(start).split('/').filter(Boolean)
    const format = formatOf(steps)
    if (format !== null) throw isTable(folder, format, one.path)
    if (steps.some((step) => /^[_.]/.test(step))) continue
    if (/\.(parquet|parq)$/i.test(one.path)) files.push(one)
    else if (others === 'skip') skipped++
    else
      throw new LimnError('source/schema', {
        message: `${one.path} is not named as a Parquet file.`,
        notDone: 'Nothing was added: what is not adopted would be missing from the table.',
        remedy: 'Name the files to add, or skip files of other names.',
      })
  }
  return { files, skipped }
}

/** Which table format a path below a folder gives away. */
function formatOf(steps: readonly string[]): string | null {
  const folders = steps.slice(0, -1)
  const name = steps.at(-1) ?? ''
  if (folders.at(-1) === 'metadata' && /\.metadata\.json$/.test(name)) return 'Iceberg'
  if (folders.includes('_delta_log')) return 'Delta'
  return folders.includes('.hoodie') ? 'Hudi' : null
}

function isTable(folder: StorePath, format: string, path: StorePath): LimnError {
  const remedy =
    format === 'Iceberg'
      ? 'Register the table, or take a snapshot of it: limn table register, limn table snapshot.'
      : `Export the ${format} table as Parquet files first.`
  return new LimnError('table/unsafe-change', {
    message: `${folder} holds a table of the format ${format} (${path}).`,
    notDone: 'Nothing was added: which of its files still count only its metadata says.',
    remedy,
  })
}

async function statFiles({ store, signal }: TableContext, paths: readonly StorePath[]): Promise<Listed> {
  const files = await mapConcurrently(paths, filesAtOnce, async (path) => {
    const info = await store.stat(path, { signal })
    if (info) return info
    throw new LimnError('source/missing', {
      message: `${path} is not there.`,
      notDone: 'Nothing was added.',
      remedy: 'Correct the path.',
    })
  })
  const sorted = files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
  const twice = sorted.find((one, i) => i > 0 && canonicalPath(one.path) === canonicalPath(sorted[i - 1]?.path ?? ''))
  if (!twice) return { files: sorted, skipped: 0 }
  throw new LimnError('usage/argument', {
    message: `${twice.path} is named twice.`,
    notDone: 'Nothing was added: its rows would count twice.',
    remedy: 'Name each file once.',
  })
}

/**
 * Reads the footers of files, several at once, and keeps of each what `take` makes of it; results stand in the order of
 * the files. Throws `source/unreadable`, naming the file, for one that is no Parquet file.
 */
export function readFooters<T>(
  context: TableContext,
  files: readonly ObjectInfo[],
  take: (footer: ParquetFooter, file: ObjectInfo) => T,
  tell: (done: number) => void = () => undefined,
): Promise<readonly T[]> {
  const { store, signal } = context
  let done = 0
  return mapConcurrently(files, filesAtOnce, async (file) => {
    signal.throwIfAborted()
    try {
      const footer = await readParquetFooter(
        (start, end) => store.read(file.path, { start, end }, { signal }),
        file.bytes,
      )
      return take(footer, file)
    } catch (cause) {
      if (!(cause instanceof LimnError)) throw cause
      throw new LimnError(cause.kind === 'iceberg/unsupported' ? cause.kind : 'source/unreadable', {
        message: `${file.path}: ${cause.message}`,
        notDone: 'Nothing was added.',
        remedy: cause.remedy ?? 'Deliver the file again, whole, or leave it out.',
        context: { path: file.path },
        cause,
      })
    } finally {
      if (++done % 100 === 0 || done === files.length) tell(done)
    }
  })
}
