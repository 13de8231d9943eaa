/** How OpenLineage names a dataset: where it is, and what it is called there. */
export interface DatasetName {
  readonly namespace: string
  readonly name: string
}

/**
 * A place by the naming rules of OpenLineage (section "Naming Conventions"): `s3://bucket/a/b` is `a/b` of `s3://bucket`, a local
 * file is its absolute path in `file`. Tables are named by their place, so that events of other engines that read and
 * write the same table speak of the same dataset; the catalog's name is beside it as a symlink.
 */
export function nameOfPlace(location: string): DatasetName {
  const parts = /^([a-z][a-z0-9+.-]*):\/\/([^/]*)(\/.*)?$/i.exec(location)
  if (!parts) return { namespace: 'file', name: location.startsWith('file:') ? location.slice(5) : location }
  const [, scheme = '', authority = '', path = ''] = parts
  if (scheme === 'file') return { namespace: authority === '' ? 'file' : `file://${authority}`, name: path || '/' }
  return { namespace: `${scheme}://${authority}`, name: path.replace(/^\//, '') || '/' }
}
