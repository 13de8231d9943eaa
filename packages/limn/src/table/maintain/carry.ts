import { ancestorsOf, type TableMetadata } from '../../iceberg/index.ts'

/** Which deliveries of a source's table later ones supersede: said in the snapshot, and true of every state after it. */
export const supersededProperty = 'limn.superseded-deliveries'

/**
 * What a snapshot's summary, or its nearest ancestor's, says of the table's state. A snapshot that keeps rows as they are
 * says it again: the one that said it first may expire.
 */
export function carriedSummary(metadata: TableMetadata, snapshotId: bigint | null): Readonly<Record<string, string>> {
  if (snapshotId === null) return {}
  for (const { summary } of ancestorsOf(metadata, snapshotId)) {
    const said = summary[supersededProperty]
    if (said !== undefined) return { [supersededProperty]: said }
  }
  return {}
}
