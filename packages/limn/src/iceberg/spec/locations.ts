import type { TableMetadata } from './types.ts'

type Placed = Pick<TableMetadata, 'location' | 'properties'>

/** Where a table's new data files go, without trailing slash: `write.data.path`, or `data` under its location. */
export function dataFolder(table: Placed): string {
  return trimmed(table.properties['write.data.path'] ?? `${trimmed(table.location)}/data`)
}

/** Where metadata files, manifests and lists go: `write.metadata.path`, or `metadata` under the table's location. */
export function metadataFolder(table: Placed): string {
  return trimmed(table.properties['write.metadata.path'] ?? `${trimmed(table.location)}/metadata`)
}

function trimmed(path: string): string {
  return path.replace(/(?<=[^/])\/+$/, '')
}
