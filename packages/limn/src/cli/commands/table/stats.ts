import { counted } from '../../../base/index.ts'
import { computePartitionStatistics, computeTableStatistics } from '../../../table/index.ts'
import { parseSnapshotId } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatCount, formatTable } from '../../text.ts'
import { textOption } from '../open.ts'
import { given, type Maintaining, maintenanceOf, onTable, report } from './report.ts'

/** `stats`, `partition-stats`. */
export default function stats(invocation: Invocation): Promise<number> {
  const [verb] = invocation.args
  return onTable(invocation, (input) =>
    verb === 'stats' ? distinct(input, invocation) : partitions(input, invocation),
  )
}

async function distinct(input: Maintaining, invocation: Invocation): Promise<void> {
  const { context } = await maintenanceOf(input, invocation)
  const columns = textOption(invocation, 'columns')
    ?.split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
  const found = await computeTableStatistics(
    context,
    input.table,
    given({ snapshotId: snapshotOf(invocation), columns }),
  )
  if (!found) return nothing(input, invocation)
  const value = {
    table: input.table,
    snapshotId: String(found.snapshotId),
    file: found.file.statisticsPath,
    distinct: found.distinct.map(({ column, count }) => ({ column, count: Number(count) })),
  }
  report(invocation, value, [
    formatTable(
      ['column', 'distinct values'],
      found.distinct.map(({ column, count }) => [column, formatCount(Number(count))]),
      invocation.io.width,
    ),
    `\n${input.table}: counted at ${found.snapshotId}, in ${found.file.statisticsPath}`,
  ])
}

async function partitions(input: Maintaining, invocation: Invocation): Promise<void> {
  const { context } = await maintenanceOf(input, invocation)
  const found = await computePartitionStatistics(context, input.table, given({ snapshotId: snapshotOf(invocation) }))
  if (!found) return nothing(input, invocation)
  const value = {
    table: input.table,
    snapshotId: String(found.snapshotId),
    file: found.file.statisticsPath,
    partitions: found.partitions.length,
  }
  report(invocation, value, [
    `${input.table}: ${counted(found.partitions.length, 'partition')} at ${found.snapshotId}, in ${found.file.statisticsPath}`,
  ])
}

function snapshotOf(invocation: Invocation): bigint | undefined {
  const text = textOption(invocation, 'snapshot')
  return text === undefined ? undefined : parseSnapshotId(text)
}

function nothing(input: Maintaining, invocation: Invocation): void {
  report(invocation, { table: input.table, snapshotId: null }, [`${input.table}: it has no snapshot yet`])
}
