/**
 * When two spellings name one object. Tables of other writers spell one file `s3://b/x`, `s3a://b/x` or `file:/x`,
 * `file:///x`; taking them for two files would delete a live one.
 */

export interface LocationParts {
  /** Lower case, with equal ones made one (`s3` for `s3a` and `s3n`); `file` where none is stated. */
  readonly scheme: string
  readonly authority: string
  /** Starts with `/`; without empty, `.` or `..` steps. Never percent-decoded. */
  readonly path: string
}

const equalSchemes: Readonly<Record<string, string>> = { s3a: 's3', s3n: 's3', gcs: 'gs', wasbs: 'wasb', abfss: 'abfs' }

export function locationParts(location: string): LocationParts {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):(\/\/([^/]*))?(.*)$/.exec(location)
  const scheme = (match?.[1] ?? 'file').toLowerCase()
  const authority = match?.[3] ?? ''
  const rest = match ? (match[4] ?? '') : location
  const steps: string[] = []
  for (const step of rest.split('/')) {
    if (step === '..') steps.pop()
    else if (step !== '' && step !== '.') steps.push(step)
  }
  return {
    scheme: equalSchemes[scheme] ?? scheme,
    authority: scheme === 'file' && authority === 'localhost' ? '' : authority,
    path: `/${steps.join('/')}`,
  }
}

/** Equal for two spellings of one object. */
export function locationKey(location: string): string {
  const { scheme, authority, path } = locationParts(location)
  return `${scheme}://${authority}${path}`
}

/** Whether an object lies under a folder, by whole steps: `/a/bc` is not under `/a/b`. */
export function isUnder(location: string, folder: string): boolean {
  const inner = locationKey(location)
  const outer = locationKey(folder)
  return inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`)
}
