import { counted } from '../../../base/index.ts'
import { expireSnapshots, healthOf, removeOrphans, rewriteManifests } from '../../../table/index.ts'
import { parseAge, parseCount, parseSize, parseSnapshotId } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatBytes, formatCount, formatTable } from '../../text.ts'
import { textOption } from '../open.ts'
import { given, idText, type Maintaining, maintenanceOf, onTable, report } from './report.ts'

/** `expire`, `orphans`, `rewrite-manifests`, `health`. */
export default function clean(invocation: Invocation): Promise<number> {
  const [verb] = invocation.args
  return onTable(invocation, (input) => {
    switch (verb) {
      case 'expire':
        return expire(input, invocation)
      case 'orphans':
        return orphans(input, invocation)
      case 'rewrite-manifests':
        return manifests(input, invocation)
      default:
        return health(input, invocation)
    }
  })
}

async function expire(input: Maintaining, invocation: Invocation): Promise<void> {
  const { context, common, live } = await maintenanceOf(input, invocation)
  const ids = invocation.options.snapshot
  const result = await expireSnapshots(context, input.table, {
    ...common,
    live,
    ...given({
      maxSnapshotAgeMs: parseAge(textOption(invocation, 'olderThan')),
      minSnapshotsToKeep: parseCount('keep', textOption(invocation, 'keep')),
      snapshotIds: Array.isArray(ids) ? ids.map((id) => parseSnapshotId(String(id))) : undefined,
    }),
    ...(invocation.options.dropUnused === true ? { dropUnusedShapes: true } : {}),
  })
  const { expired, removedRefs, kept } = result.plan
  const files = Object.values(result.files).reduce((sum, count) => sum + count, 0)
  const value = {
    table: input.table,
    committed: result.committed,
    expired: expired.map((one) => String(one.snapshotId)),
    removedRefs: removedRefs.map((one) => one.ref),
    kept: kept.map(({ snapshot, because }) => ({ snapshotId: String(snapshot.snapshotId), because })),
    files: result.files,
    deleted: result.deleted.length,
    left: result.left.length,
    unreadable: result.unreadable,
    droppedShapes: result.droppedShapes,
  }
  const would = input.dryRun ? 'would expire' : 'expired'
  const lines = [
    expired.length === 0 && removedRefs.length === 0
      ? `${input.table}: nothing is past its retention, ${counted(kept.length, 'snapshot')} kept`
      : `${input.table}: ${would} ${counted(expired.length, 'snapshot')}${removedRefs.length > 0 ? ` and ${removedRefs.map((one) => one.ref).join(', ')}` : ''}, kept ${formatCount(kept.length)}; ${counted(files, 'file')} ${input.dryRun ? 'would go' : 'went'}`,
  ]
  if (value.left > 0)
    lines.push(`${counted(value.left, 'file')} left: they are outside the warehouse, or not the table's own`)
  for (const path of result.unreadable) lines.push(`could not be read: ${path}`)
  report(invocation, value, lines)
}

async function orphans(input: Maintaining, invocation: Invocation): Promise<void> {
  const { context, common, live } = await maintenanceOf(input, invocation)
  const result = await removeOrphans(context, input.table, {
    ...common,
    live,
    ...given({ ageMs: parseAge(textOption(invocation, 'olderThan')) }),
  })
  const { plan, deleted, notLooked } = result
  const value = {
    table: input.table,
    orphans: plan.orphans.map((one) => ({ path: one.path, bytes: one.bytes })),
    bytes: plan.bytes,
    listed: plan.listed,
    young: plan.young,
    deleted: deleted.length,
    notLooked,
  }
  const lines = [
    `${input.table}: ${counted(plan.orphans.length, 'orphan')} of ${formatCount(plan.listed)} listed, ${formatBytes(plan.bytes)}${input.dryRun ? '' : ', deleted'}; ${formatCount(plan.young)} too young to tell`,
    ...(input.dryRun ? plan.orphans.map((one) => `  ${one.path}`) : []),
    ...notLooked.map((folder) => `not looked into: ${folder}`),
  ]
  report(invocation, value, lines)
}

async function manifests(input: Maintaining, invocation: Invocation): Promise<void> {
  const { context, common } = await maintenanceOf(input, invocation)
  const result = await rewriteManifests(context, input.table, {
    ...common,
    ...given({ targetBytes: parseSize(textOption(invocation, 'targetSize')) }),
  })
  const { manifestsBefore, manifestsAfter } = result
  const value = { table: input.table, manifestsBefore, manifestsAfter, snapshotId: idText(result.snapshotId) }
  const line =
    result.plan.groups.length === 0
      ? `${input.table}: ${counted(manifestsBefore, 'manifest')}, none asks for it`
      : `${input.table}: ${counted(manifestsBefore, 'manifest')} ${input.dryRun ? 'would become' : 'became'} ${formatCount(manifestsAfter)}`
  report(invocation, value, [line])
}

async function health(input: Maintaining, invocation: Invocation): Promise<void> {
  const { context, common, live } = await maintenanceOf(input, invocation)
  const found = await healthOf(context, input.table, { live, ...given({ branch: common.branch }) })
  if (invocation.io.json) {
    const counted = found.statistics
    const statistics = counted && { ...counted, snapshotId: String(counted.snapshotId) }
    report(invocation, { table: input.table, ...found, snapshotId: idText(found.snapshotId), statistics }, [])
    return
  }
  const { files, deletes, partitions, manifests, snapshots, statistics } = found
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  const facts: readonly (readonly [string, string])[] = [
    ['data files', `${formatCount(files.count)}, ${formatBytes(files.bytes)}, ${counted(files.rows, 'row')}`],
    [
      'small files',
      `${formatCount(files.small)} (${percent(files.smallShare)}), median ${formatBytes(files.medianBytes)}, target ${formatBytes(files.targetBytes)}`,
    ],
    ['of other specs', formatCount(files.otherSpecs)],
    [
      'deletes',
      `${formatCount(deletes.vectors)} vectors, ${formatCount(deletes.positionFiles)} of positions, ${formatCount(deletes.equalityFiles)} of equality, ${formatCount(deletes.dangling)} dangling`,
    ],
    ['deleted rows', `${formatCount(deletes.knownRows)} known (${percent(deletes.knownRatio)})`],
    ['partitions', `${formatCount(partitions.count)}, the largest ${partitions.skew.toFixed(1)} times the mean`],
    ['manifests', `${formatCount(manifests.count)}, ${formatBytes(manifests.bytes)}`],
    ['snapshots', `${formatCount(snapshots.count)}, ${formatCount(snapshots.expirable)} past their retention`],
    ...(statistics
      ? ([
          [
            'distinct values',
            `${statistics.distinct.map(({ column, count }) => `${column} ${formatCount(Number(count))}`).join(', ')}${statistics.isCurrent ? '' : ' (counted at an earlier snapshot)'}`,
          ],
        ] as const)
      : []),
  ]
  invocation.io.out(formatTable(['what', 'how much'], facts, invocation.io.width))
  if (found.findings.length === 0) invocation.io.out('\nNothing to do.')
  else
    invocation.io.out(
      `\n${formatTable(
        ['', 'run', 'why'],
        found.findings.map((one) => [one.severity, one.remedy, one.message]),
        invocation.io.width,
      )}`,
    )
}
