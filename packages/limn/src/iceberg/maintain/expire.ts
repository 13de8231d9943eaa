import { LimnError } from '../../base/index.ts'
import { ancestorsOf, snapshotById } from '../spec/lookup.ts'
import type { ManifestFile, Requirement, Snapshot, SnapshotRef, TableMetadata, Update } from '../spec/types.ts'

export interface ExpireOptions {
  readonly nowMs: number
  /** Snapshots older than this are not kept for their age. Default: `history.expire.max-snapshot-age-ms`, else 5 days. A branch's own retention wins. */
  readonly maxSnapshotAgeMs?: number
  /** Latest snapshots that every branch keeps whatever their age. Default: `history.expire.min-snapshots-to-keep`, else 1. A branch's own wins. */
  readonly minSnapshotsToKeep?: number
  /** Refs whose snapshot is older go, `main` never. Default: `history.expire.max-ref-age-ms`, else never. A ref's own wins. */
  readonly maxRefAgeMs?: number
  /** Snapshots to expire whatever their age; one that a ref stands on, or keeps by its own retention, is refused. */
  readonly snapshotIds?: readonly bigint[]
  /** Refs of runs that are alive: they and what they reach stay, whatever their age. */
  readonly liveRefs?: ReadonlySet<string>
  /**
   * Snapshots of branches that others tell changes from: they and all later ones of the branch stay, so that what has
   * changed since can still be told.
   */
  readonly toldFrom?: ReadonlySet<bigint>
}

export interface ExpirePlan {
  readonly expired: readonly Snapshot[]
  readonly removedRefs: readonly { readonly ref: string; readonly ageMs: number }[]
  /** Every snapshot that stays, oldest first, and what it stays for. */
  readonly kept: readonly { readonly snapshot: Snapshot; readonly because: string }[]
  readonly requirements: readonly Requirement[]
  readonly updates: readonly Update[]
}

const day = 86_400_000

function numberProperty(metadata: TableMetadata, name: string): number | undefined {
  const text = metadata.properties[name]
  const value = text === undefined ? Number.NaN : Number(text)
  return Number.isFinite(value) ? value : undefined
}

/**
 * Plans which snapshots and refs of a table go (specification, "Snapshot Retention Policy"). A ref goes when its snapshot
 * is older than the ref's maximum age; `main` and refs of live runs never do. Of every branch that stays, the latest
 * `minSnapshotsToKeep` snapshots stay, and those younger than the maximum age; a tag keeps its one snapshot. A snapshot
 * no ref leads to stays while it is younger. Pure; the plan holds as long as the refs it removes stand where they stood.
 */
export function planExpiry(metadata: TableMetadata, options: ExpireOptions): ExpirePlan {
  const { nowMs } = options
  const maxAge = options.maxSnapshotAgeMs ?? numberProperty(metadata, 'history.expire.max-snapshot-age-ms') ?? 5 * day
  const minKeep = options.minSnapshotsToKeep ?? numberProperty(metadata, 'history.expire.min-snapshots-to-keep') ?? 1
  const maxRefAge = options.maxRefAgeMs ?? numberProperty(metadata, 'history.expire.max-ref-age-ms') ?? Infinity
  if (minKeep < 1 || maxAge < 0 || maxRefAge < 0) throw refused('A retention is below what a table can have.')
  const refs = refsOf(metadata)
  const removedRefs: { ref: string; ageMs: number }[] = []
  const because = new Map<bigint, string>()
  const keep = (snapshot: Snapshot, why: string) => {
    if (!because.has(snapshot.snapshotId)) because.set(snapshot.snapshotId, why)
  }
  const referenced = new Set<bigint>()
  for (const [name, ref] of refs) {
    const head = snapshotById(metadata, ref.snapshotId)
    const ageMs = head ? nowMs - head.timestampMs : Infinity
    const live = name === 'main' || options.liveRefs?.has(name) === true
    if (!live && (!head || ageMs > (ref.maxRefAgeMs ?? maxRefAge))) {
      removedRefs.push({ ref: name, ageMs })
      continue
    }
    if (!head) continue
    keep(head, `${ref.type} ${name}`)
    if (ref.type === 'tag') {
      referenced.add(head.snapshotId)
      continue
    }
    const least = ref.minSnapshotsToKeep ?? minKeep
    const oldest = nowMs - (ref.maxSnapshotAgeMs ?? maxAge)
    let count = 0
    let open = true
    for (const snapshot of ancestorsOf(metadata, ref.snapshotId)) {
      referenced.add(snapshot.snapshotId)
      open = open && (count < least || snapshot.timestampMs >= oldest)
      if (open) keep(snapshot, count < least ? `the latest ${least} of ${name}` : `the age kept of ${name}`)
      count++
    }
    const line = [...ancestorsOf(metadata, ref.snapshotId)]
    const last = line.findLastIndex((snapshot) => options.toldFrom?.has(snapshot.snapshotId))
    for (const snapshot of line.slice(0, last + 1)) keep(snapshot, 'others tell changes from it')
  }
  for (const snapshot of metadata.snapshots) {
    if (referenced.has(snapshot.snapshotId)) continue
    if (snapshot.timestampMs >= nowMs - maxAge) keep(snapshot, 'its age, though no ref leads to it')
  }
  for (const id of options.snapshotIds ?? []) expireByName(metadata, id, because)
  const expired = metadata.snapshots.filter((one) => !because.has(one.snapshotId))
  return {
    expired,
    removedRefs,
    kept: metadata.snapshots
      .filter((one) => because.has(one.snapshotId))
      .map((snapshot) => ({ snapshot, because: because.get(snapshot.snapshotId) ?? '' })),
    ...commitOf(metadata, expired, removedRefs),
  }
}

/** Refs with `main`, which tables of version 1 may only state as their current snapshot. */
function refsOf(metadata: TableMetadata) {
  const refs = Object.entries(metadata.refs)
  if (metadata.refs.main || metadata.currentSnapshotId === null) return refs
  const main = { snapshotId: metadata.currentSnapshotId, type: 'branch' } as const
  return [['main', main] as const, ...refs] as [string, TableMetadata['refs'][string]][]
}

/** A snapshot named by the caller goes, unless a ref points at it or it is not there. */
function expireByName(metadata: TableMetadata, id: bigint, because: Map<bigint, string>): void {
  if (!snapshotById(metadata, id)) throw refused(`The table has no snapshot ${id}.`)
  const holder = refsOf(metadata).find(([, ref]) => ref.snapshotId === id)
  if (holder) throw refused(`Snapshot ${id} is where ${holder[1].type} ${holder[0]} stands.`)
  const keeper = refsOf(metadata).find(([name, ref]) => name !== 'main' && retains(metadata, ref, id))
  if (keeper) throw refused(`Snapshot ${id} is one of those that the branch ${keeper[0]} keeps by its own retention.`)
  because.delete(id)
}

/** Whether a branch states itself that so many of its snapshots stay, and this one is among them. */
function retains(metadata: TableMetadata, ref: SnapshotRef, id: bigint): boolean {
  const least = ref.type === 'branch' ? (ref.minSnapshotsToKeep ?? 0) : 0
  return [...ancestorsOf(metadata, ref.snapshotId)].slice(0, least).some((one) => one.snapshotId === id)
}

function refused(message: string): LimnError {
  return new LimnError('usage/argument', {
    message,
    notDone: 'Nothing was expired.',
    remedy: 'Look at the table: limn table history NAME, and its refs: limn table show NAME',
  })
}

function commitOf(
  metadata: TableMetadata,
  expired: readonly Snapshot[],
  removedRefs: readonly { readonly ref: string }[],
): Pick<ExpirePlan, 'requirements' | 'updates'> {
  if (expired.length === 0 && removedRefs.length === 0) return { requirements: [], updates: [] }
  return {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata.tableUuid },
      ...removedRefs.map(
        ({ ref }): Requirement => ({
          type: 'assert-ref-snapshot-id',
          ref,
          snapshotId: metadata.refs[ref]?.snapshotId ?? null,
        }),
      ),
    ],
    updates: [
      ...removedRefs.map(({ ref }): Update => ({ action: 'remove-snapshot-ref', ref })),
      ...(expired.length === 0
        ? []
        : [{ action: 'remove-snapshots', snapshotIds: expired.map((one) => one.snapshotId) } as const]),
    ],
  }
}

/**
 * Specs and schemas that nothing left names: not the table's own, no snapshot's, no manifest's. `manifests` are those of
 * every snapshot that stays. Empty updates where there is none.
 */
export function unusedShapes(metadata: TableMetadata, manifests: readonly ManifestFile[]): readonly Update[] {
  const specs = new Set([metadata.defaultSpecId, ...manifests.map((one) => one.specId)])
  const schemas = new Set<number | null>([metadata.currentSchemaId, ...metadata.snapshots.map((one) => one.schemaId)])
  const specIds = metadata.partitionSpecs.map((one) => one.specId).filter((id) => !specs.has(id))
  const schemaIds = metadata.schemas.map((one) => one.schemaId).filter((id) => !schemas.has(id))
  return [
    ...(specIds.length > 0 ? [{ action: 'remove-partition-specs', specIds } as const] : []),
    ...(schemaIds.length > 0 ? [{ action: 'remove-schemas', schemaIds } as const] : []),
  ]
}
