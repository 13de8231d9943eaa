import { ancestorsOf, type TableMetadata } from '../../iceberg/index.ts'

/** Which deliveries of a source's table later ones supersede: said in the snapshot, and true of every state after it. */
export const supersededProperty = 'limn.superseded-deliveries'

/** Up to which time a source has handed over all rows, in microseconds: said in the snapshot that its batch was committed with. */
export const watermarkProperty = 'limn.watermark'

/**
 * What a snapshot's summary, or its nearest ancestor's, says of the table's state. A snapshot that keeps rows as they are
 * says it again: the one that said it first may expire.
 */
export function carriedSummary(metadata: TableMetadata, snapshotId: bigint | null): Readonly<Record<string, string>> {
  if (snapshotId === null) return {}
  const out: Record<string, string> = {}
  for (const { summary } of ancestorsOf(metadata, snapshotId)) {
    for (const name of [supersededProperty, watermarkProperty]) {
      const said = summary[name]
      if (said !== undefined) out[name] ??= said
    }
    if (supersededProperty in out && watermarkProperty in out) break
  }
  return out
}
