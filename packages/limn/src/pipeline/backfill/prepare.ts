import { invariant, type TableId } from '../../base/index.ts'
import { IntervalSet } from '../../dataset/index.ts'
import {
  type DataFile,
  diffFiles,
  type LoadedTable,
  partitionKey,
  schemaById,
  snapshotById,
} from '../../iceberg/index.ts'
import { liveTableFiles, pinRef } from '../../table/index.ts'
import { onlyRewritten } from '../plan/facts.ts'
import type { Node } from '../project/node.ts'
import { Overtaken } from '../run/takeover.ts'
import { quarantineOf } from '../stage/quarantine.ts'
import { targetAt, targetOf } from '../stage/staged-table.ts'
import { intervalOfFile, timesOfFiles } from '../stage/view.ts'
import {
  type Branch,
  backfillBranch,
  changedTimes,
  commitToBranch,
  readBranch,
  rootSummary,
  type Step,
  shapeOf,
} from './branch.ts'
import type { Pass } from './pass.ts'
import { requestText } from './request.ts'

export interface Prepared {
  readonly branch: Branch
  /** Whether others changed rows of main that the steps on the branch replace. */
  readonly displaced: boolean
}

/**
 * The branch of a dataset on main as the pass found it. It is made where there is none, and made anew where the definition or
 * the table's shape has changed: then no step holds. Where only main has moved, its steps are carried over.
 */
export async function prepareBranch(pass: Pass, node: Node): Promise<Prepared> {
  const main = pass.mains.get(node.id) ?? null
  const fresh = await freshOf(pass, node.id, main)
  const branch = readBranch(fresh, pass.run)
  const mainHead = main?.metadata.currentSnapshotId ?? null
  if (branch && branch.fingerprint === node.fingerprint && branch.mainShape === (main ? shapeOf(main.metadata) : '')) {
    if (branch.base === mainHead) return { branch, displaced: false }
    const carried = fresh && main ? await carryOver(pass, node, branch, fresh) : null
    if (carried) return carried
  }
  return { branch: await newRoot(pass, node, fresh, main !== null), displaced: false }
}

/** The table as it is now, which must be as the pass pinned it. */
async function freshOf(pass: Pass, id: TableId, main: LoadedTable | null): Promise<LoadedTable | null> {
  const registered = (await pass.registered.catalog.loadTables([id], { signal: pass.own.signal })).get(id) ?? null
  if ((registered === null) !== (main === null)) throw new Overtaken(id)
  if (registered && registered.metadata.currentSnapshotId !== main?.metadata.currentSnapshotId) throw new Overtaken(id)
  return registered ?? (await pass.own.catalog.loadTables([id], { signal: pass.own.signal })).get(id) ?? null
}

async function newRoot(pass: Pass, node: Node, fresh: LoadedTable | null, registered: boolean): Promise<Branch> {
  const { own, run, record } = pass
  if (!registered) await own.runs.dropPointer(run, node.id)
  await dropQuarantine(pass, node)
  const base = registered ? fresh : null
  const target = targetOf(own, node.contract, base)
  const root = { fingerprint: node.fingerprint, request: requestText(record.request), steps: [] }
  const loaded = await commitToBranch(own, run, {
    target,
    parent: base?.metadata.currentSnapshotId ?? null,
    expected: base?.metadata.refs[backfillBranch(run)]?.snapshotId ?? null,
    added: [],
    removed: [],
    summary: rootSummary(target, root),
  })
  return branchIn(loaded, pass)
}

/** Steps of rows that are no more are of no use with their rejected rows. */
async function dropQuarantine(pass: Pass, node: Node): Promise<void> {
  const id = quarantineOf(node.id)
  const { own, run } = pass
  await own.runs.dropPointer(run, id)
  const loaded = pass.mains.get(id)
  if (!loaded?.metadata.refs[backfillBranch(run)]) return
  const updates = [{ action: 'remove-snapshot-ref', ref: backfillBranch(run) }] as const
  await own.catalog.commit([{ table: id, requirements: [], updates }], { timestampMs: own.clock.nowMs() })
}

function branchIn(loaded: LoadedTable, pass: Pass): Branch {
  const branch = readBranch(loaded, pass.run)
  invariant(branch, `${loaded.table} has the backfill's branch`)
  return branch
}

/** A new root on main with the steps that still say what they did. Null when what main was is gone. */
async function carryOver(pass: Pass, node: Node, branch: Branch, fresh: LoadedTable): Promise<Prepared | null> {
  const { own, run, record } = pass
  const { metadata } = fresh
  const main = metadata.currentSnapshotId
  if (main === null || (branch.base !== null && !snapshotById(metadata, branch.base))) return null
  const foreign = await foreignTimes(pass, node, branch, fresh)
  // A step that found main as it should be says nothing of what others have written there since.
  const steps = branch.steps.filter((step) => !(keptAny(step) && touches(foreign, step)))
  const changed = changedTimes(steps)
  const schemaId = snapshotById(metadata, branch.head)?.schemaId ?? metadata.currentSchemaId
  const within = (file: DataFile) => {
    if (changed === 'all' || node.shape.kind !== 'interval') return changed === 'all'
    const own = intervalOfFile(file, metadata, schemaById(metadata, schemaId), node.shape)
    return own !== null && changed.overlaps(own)
  }
  const reading = { manifests: own.manifests, metadata, signal: own.signal }
  const { added } = await diffFiles({ ...reading, from: branch.base, to: branch.head })
  const live = await liveTableFiles(own, fresh)
  const target = targetAt(fresh, schemaId, branch.specId)
  const loaded = await commitToBranch(own, run, {
    target,
    parent: main,
    expected: branch.head,
    added: added.filter(within),
    removed: live.filter(within),
    summary: rootSummary(target, {
      fingerprint: node.fingerprint,
      request: requestText(record.request),
      steps,
    }),
  })
  await carryQuarantine(pass, quarantineOf(node.id))
  return { branch: branchIn(loaded, pass), displaced: branch.steps.some((step) => touches(foreign, step)) }
}

function keptAny(step: Step): boolean {
  return step.ranges.some((range) => range.outcome !== 'built')
}

function touches(foreign: IntervalSet | 'all', step: Step): boolean {
  if (foreign === 'all') return true
  return step.interval === null ? !foreign.isEmpty : foreign.overlaps(step.interval)
}

/** Times of main whose rows others have changed since the branch was put onto it; `all` when they cannot be placed. */
async function foreignTimes(pass: Pass, node: Node, branch: Branch, fresh: LoadedTable): Promise<IntervalSet | 'all'> {
  const pin = pinRef(fresh)
  if (!pin) return 'all'
  if (onlyRewritten(pin, branch.base)) return IntervalSet.empty
  const { metadata } = fresh
  const { added, removed } = await diffFiles({
    manifests: pass.own.manifests,
    metadata,
    from: branch.base,
    to: pin.snapshotId ?? branch.head,
    signal: pass.own.signal,
  })
  const files = [...added, ...removed]
  if (files.length === 0) return IntervalSet.empty
  if (node.shape.kind !== 'interval') return 'all'
  return timesOfFiles(files, metadata, schemaById(metadata, metadata.currentSchemaId), node.shape) ?? 'all'
}

/** Rejected rows are kept by scope: those of the backfill's scopes replace main's, whatever main holds by now. */
async function carryQuarantine(pass: Pass, id: TableId): Promise<void> {
  const { own, run } = pass
  const loaded = (await pass.registered.catalog.loadTables([id], { signal: own.signal })).get(id) ?? null
  const head = loaded?.metadata.refs[backfillBranch(run)]?.snapshotId
  if (!loaded || head === undefined) return
  const base = quarantineBase(loaded, head)
  const main = loaded.metadata.currentSnapshotId
  if (base === main || main === null) return
  const reading = { manifests: own.manifests, metadata: loaded.metadata, signal: own.signal }
  const { added, removed } = await diffFiles({ ...reading, from: base, to: head })
  const scopes = new Set([...added, ...removed].map(partitionKey))
  const live = await liveTableFiles(own, loaded)
  const { metadata } = loaded
  await commitToBranch(own, run, {
    target: targetAt(
      loaded,
      snapshotById(metadata, head)?.schemaId ?? metadata.currentSchemaId,
      metadata.defaultSpecId,
    ),
    parent: main,
    expected: head,
    added,
    removed: live.filter((file) => scopes.has(partitionKey(file))),
    summary: {},
  })
}

/** The snapshot of main that a quarantine's branch stands on. */
export function quarantineBase(loaded: LoadedTable, head: bigint): bigint | null {
  let at: bigint | null = head
  while (at !== null) {
    const snapshot = snapshotById(loaded.metadata, at)
    if (!snapshot) return null
    if (snapshot.summary['limn.backfill'] === undefined) return at
    at = snapshot.parentSnapshotId
  }
  return null
}
