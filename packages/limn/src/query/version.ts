import { LimnError } from '../base/index.ts'
import { type LoadedTable, snapshotAsOf, snapshotById } from '../iceberg/index.ts'
import type { Version } from '../sql/index.ts'
import { type PinnedTable, pinRef, pinSnapshot, type TableContext } from '../table/index.ts'
import { duckText } from './rewrite.ts'

/** A version with its time known. */
export type Point =
  | { readonly kind: 'snapshot'; readonly snapshotId: bigint }
  | { readonly kind: 'ref'; readonly ref: string }
  | { readonly kind: 'time'; readonly timestampMs: number }

/** Evaluates the time of a version: an expression without columns, or seconds since 1970. A time without zone is UTC. */
export async function pointOf(context: TableContext, version: Version): Promise<Point> {
  if (version.kind !== 'time') return version
  const { expression } = version
  if ([...expression].every((char) => char >= '0' && char <= '9'))
    return { kind: 'time', timestampMs: Number(BigInt(expression) * 1000n) }
  await using session = await context.engine.session([], { signal: context.signal })
  const { rows } = await session.rows(`SELECT epoch_ms(CAST((${duckText(expression)}\n) AS TIMESTAMPTZ))`)
  const value = rows[0]?.[0]
  if (typeof value !== 'bigint' && typeof value !== 'number')
    throw new LimnError('usage/argument', {
      message: `The time ${expression} is null.`,
      notDone: 'Nothing was run.',
      remedy: "Write a time: TIMESTAMP AS OF '2026-01-31T12:00:00'.",
    })
  return { kind: 'time', timestampMs: Number(value) }
}

/** A table at a point. Throws `usage/unknown-snapshot` when it has nothing there. */
export function pinAt(loaded: LoadedTable, point: Point): PinnedTable {
  const pin = pinOf(loaded, point)
  if (pin) return pin
  throw new LimnError('usage/unknown-snapshot', {
    message: `${loaded.table} has nothing at ${describePoint(point)}.`,
    notDone: 'Nothing was run.',
    remedy: `List what it has: limn sql 'SELECT * FROM ${loaded.table}.${point.kind === 'ref' ? 'refs' : 'history'}'`,
  })
}

function pinOf(loaded: LoadedTable, point: Point): PinnedTable | null {
  switch (point.kind) {
    case 'snapshot':
      return snapshotById(loaded.metadata, point.snapshotId) ? pinSnapshot(loaded, point.snapshotId) : null
    case 'ref': {
      const pin = pinRef(loaded, point.ref)
      if (pin) return pin
      // `VERSION AS OF '123'`: a ref of that name wins, then the snapshot.
      const isId = point.ref !== '' && [...point.ref].every((char) => char >= '0' && char <= '9')
      return isId ? pinOf(loaded, { kind: 'snapshot', snapshotId: BigInt(point.ref) }) : null
    }
    case 'time': {
      const snapshotId = snapshotAsOf(loaded.metadata, point.timestampMs)
      return snapshotId === null ? null : pinSnapshot(loaded, snapshotId)
    }
  }
}

export function describePoint(point: Point): string {
  switch (point.kind) {
    case 'snapshot':
      return `snapshot ${point.snapshotId}`
    case 'ref':
      return point.ref
    case 'time':
      return new Date(point.timestampMs).toISOString()
  }
}
