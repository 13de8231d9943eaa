import type { TokenReader } from './reader.ts'
import type { AlterAction, RefRetention } from './tree.ts'

export const unitMs = { DAYS: 86_400_000, HOURS: 3_600_000, MINUTES: 60_000 } as const

/** A branch or tag, behind its word: `[IF NOT EXISTS] name [AS OF VERSION n] [RETAIN …] [WITH SNAPSHOT RETENTION …]`. */
export function readRef(
  reader: TokenReader,
  word: 'BRANCH' | 'TAG',
  create: 'create' | 'createOrReplace' | 'replace',
): AlterAction {
  const type = word === 'BRANCH' ? 'branch' : 'tag'
  const ifNotExists = create === 'create' && reader.accept('IF', 'NOT', 'EXISTS')
  const name = reader.name(`a ${type}`)
  let snapshotId: bigint | null = null
  if (reader.accept('AS')) {
    reader.expect('OF', 'VERSION')
    snapshotId = reader.integer('a snapshot id')
  }
  const maxRefAgeMs = reader.accept('RETAIN') ? readDuration(reader) : null
  const kept = type === 'branch' && reader.accept('WITH') ? readSnapshotRetention(reader) : noRetention
  return {
    kind: 'createRef',
    type,
    create,
    ifNotExists,
    name,
    snapshotId,
    retention: { maxRefAgeMs, ...kept },
  }
}

type SnapshotRetention = Omit<RefRetention, 'maxRefAgeMs'>

const noRetention: SnapshotRetention = { minSnapshotsToKeep: null, maxSnapshotAgeMs: null }

function readSnapshotRetention(reader: TokenReader): SnapshotRetention {
  reader.expect('SNAPSHOT', 'RETENTION')
  if (reader.peek(1) !== 'SNAPSHOTS') return { minSnapshotsToKeep: null, maxSnapshotAgeMs: readDuration(reader) }
  const minSnapshotsToKeep = reader.count('a number of snapshots', 1, 2 ** 31 - 1)
  reader.expect('SNAPSHOTS')
  return { minSnapshotsToKeep, maxSnapshotAgeMs: reader.isInteger() ? readDuration(reader) : null }
}

/** `n DAYS | HOURS | MINUTES` in milliseconds. */
function readDuration(reader: TokenReader): number {
  const count = reader.count('a duration', 1, 1_000_000)
  return count * unitMs[reader.oneOf('DAYS', 'HOURS', 'MINUTES')]
}
