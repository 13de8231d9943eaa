import type { StorePath } from '../../storage/index.ts'

/**
 * When two spellings name one file. Delete files name data files by full paths, and some were written with a scheme and
 * authority that the manifests lack, or the other way round: then the paths alone decide. Two different authorities
 * are two different files.
 */

const withScheme = /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/]*))?/

/** A path with its scheme made canonical: no scheme for local files, `s3` for what Hadoop calls `s3a` and `s3n`. */
export function canonicalPath(path: string): string {
  const match = withScheme.exec(path)
  if (!match) return path
  const scheme = (match[1] ?? '').toLowerCase()
  const rest = path.slice(match[0].length)
  if (scheme === 'file') return rest
  const authority = match[2] ?? ''
  if (authority === '') return rest
  return `${scheme === 's3a' || scheme === 's3n' ? 's3' : scheme}://${authority}${rest}`
}

/** The path without scheme and authority. */
export function barePath(path: string): string {
  const match = withScheme.exec(path)
  return match ? path.slice(match[0].length) : path
}

/** Values by the file they are about, found by any spelling of its path. */
export class PathMap<T> {
  private readonly exact = new Map<string, T[]>()
  /** Under the bare path: what was added with an authority. */
  private readonly stripped = new Map<string, T[]>()

  add(path: StorePath, value: T): void {
    const key = canonicalPath(path)
    push(this.exact, key, value)
    const bare = barePath(key)
    if (bare !== key) push(this.stripped, bare, value)
  }

  get(path: StorePath): readonly T[] {
    const key = canonicalPath(path)
    const bare = barePath(key)
    const found = this.exact.get(key) ?? []
    const other = bare === key ? this.stripped.get(key) : this.exact.get(bare)
    return other ? [...found, ...other] : found
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
