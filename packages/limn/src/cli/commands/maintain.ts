import { maintain, purgeExpiredDrops, type TableMaintained } from '../../lake/index.ts'
import type { Invocation } from '../main.ts'
import { formatBytes, formatCount, formatTable, toJson } from '../text.ts'
import { openLake } from './open.ts'

/** Maintains tables by policy; exits with 1 when one of them failed. */
export default async function maintainCommand(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  await using lake = await openLake(invocation)
  const dryRun = options.dryRun === true
  const tables = await maintain(lake, { select: args, dryRun })
  const purged = args.length === 0 ? await purgeExpiredDrops(lake, { dryRun }) : { tables: [], files: 0 }
  const failed = tables.filter((one) => one.failed !== null)
  if (io.json) {
    const told = tables.map((one) => ({
      ...one,
      failed: one.failed && { kind: one.failed.kind, message: one.failed.message },
    }))
    io.out(toJson({ tables: told, purged: purged.tables, dryRun }))
  } else {
    io.out(
      formatTable(['table', 'data files', 'deletes', 'manifests', 'snapshots', 'orphans'], tables.map(cells), io.width),
    )
    for (const { table, failed: error } of failed) io.err(`${table}: ${error?.message ?? ''}`)
    for (const { from } of purged.tables)
      io.out(`${from}, dropped long ago: ${dryRun ? 'would be deleted' : 'deleted'}`)
    if (dryRun) io.out('(dry run: nothing was changed)')
  }
  return failed.length > 0 ? 1 : 0
}

function cells({ table, compacted, deletes, manifests, expired, orphans }: TableMaintained): readonly string[] {
  const became = (from: number, to: number) => `${formatCount(from)} → ${formatCount(to)}`
  return [
    table,
    compacted ? became(compacted.files, compacted.into) : '',
    deletes ? became(deletes.files, deletes.into) : '',
    manifests ? became(manifests.before, manifests.after) : '',
    expired ? `−${formatCount(expired.snapshots)}` : '',
    orphans ? `−${formatCount(orphans.files)}, ${formatBytes(orphans.bytes)}` : '',
  ]
}
