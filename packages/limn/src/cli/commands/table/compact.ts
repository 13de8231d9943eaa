import { counted, LimnError } from '../../../base/index.ts'
import { columnOf, currentSchema, type LoadedTable, type SortField } from '../../../iceberg/index.ts'
import { loadTable } from '../../../lake/index.ts'
import { type RewriteOrder, rewriteDataFiles, rewritePositionDeletes } from '../../../table/index.ts'
import { parseCount, parseShare, parseSize } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatBytes, formatCount } from '../../text.ts'
import { textOption } from '../open.ts'
import { given, idText, maintenanceOf, onTable, report } from './report.ts'

/** Rewrites data files, then the deletes that are left. */
export default function compact(invocation: Invocation): Promise<number> {
  return onTable(invocation, async (input) => {
    const { context, common } = await maintenanceOf(input, invocation)
    const { table } = input
    const text = (name: string) => textOption(invocation, name)
    const data = await rewriteDataFiles(context, table, {
      ...common,
      strategy: strategyOf(invocation, await loadTable(input.lake, table)),
      ...given({
        filter: text('where'),
        targetFileBytes: parseSize(text('targetSize')),
        minInputFiles: parseCount('min-files', text('minFiles')),
        deleteRatioMin: parseShare('delete-ratio', text('deleteRatio')),
        deletesPerFileMin: parseCount('deletes-per-file', text('deletesPerFile')),
        commitsMax: parseCount('commits', text('commits')),
      }),
      ...(invocation.options.all === true ? { all: true } : {}),
      ...(invocation.options.otherSpecs === true ? { otherSpecs: true } : {}),
    })
    const deletes = await rewritePositionDeletes(context, table, common)
    const { plan } = data
    const groups = plan.commits.flat()
    const planned = {
      groups: groups.length,
      files: plan.files,
      bytes: plan.bytes,
      outputFiles: groups.reduce((sum, group) => sum + group.outputFiles, 0),
      leftAlone: plan.leftAlone,
      reasons: reasonsOf(groups.flatMap((group) => group.files.flatMap((file) => file.reasons))),
    }
    const deletesPlanned = {
      groups: deletes.plan.groups.map((group) => ({ kind: group.kind, files: group.deletes.length })),
      dangling: deletes.plan.dangling.length,
    }
    const value = {
      table,
      planned,
      groups: data.groups,
      removed: data.removed,
      added: data.added,
      removedDeletes: data.removedDeletes,
      skipped: data.skipped.map(({ group, why }) => ({ files: group.files.length, why })),
      snapshotIds: [...data.snapshotIds, ...(deletes.snapshotId === null ? [] : [deletes.snapshotId])].map(String),
      deletes: {
        ...deletesPlanned,
        removed: deletes.removed.length,
        added: deletes.added.length,
        snapshotId: idText(deletes.snapshotId),
      },
    }
    report(invocation, value, linesOf(value, input.dryRun))
  })
}

function reasonsOf(reasons: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries([...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]) => [reason, all.length]))
}

interface Told {
  readonly table: string
  readonly planned: {
    readonly files: number
    readonly bytes: number
    readonly outputFiles: number
    readonly leftAlone: number
    readonly reasons: Readonly<Record<string, number>>
  }
  readonly removed: { readonly files: number; readonly bytes: number; readonly rows: number }
  readonly added: { readonly files: number; readonly bytes: number; readonly rows: number }
  readonly removedDeletes: number
  readonly skipped: readonly { readonly files: number; readonly why: string }[]
  readonly deletes: {
    readonly groups: readonly { readonly files: number }[]
    readonly dangling: number
    readonly removed: number
    readonly added: number
  }
}

function linesOf(
  { table, planned, removed, added, removedDeletes, skipped, deletes }: Told,
  dryRun: boolean,
): string[] {
  const lines: string[] = []
  if (planned.files === 0)
    lines.push(`${table}: no data file asks for it (${formatCount(planned.leftAlone)} left alone)`)
  else if (dryRun) {
    const why = Object.entries(planned.reasons).map(([reason, count]) => `${formatCount(count)} ${reason}`)
    lines.push(
      `${table}: would join ${counted(planned.files, 'file')}, ${formatBytes(planned.bytes)}, to about ${formatCount(planned.outputFiles)} (${why.join(', ')})`,
    )
  } else {
    const dropped = removedDeletes > 0 ? `, ${counted(removedDeletes, 'delete file')} dropped` : ''
    lines.push(
      `${table}: ${counted(removed.files, 'file')} with ${formatBytes(removed.bytes)} became ${formatCount(added.files)} with ${formatBytes(added.bytes)}, ${counted(added.rows, 'row')}${dropped}`,
    )
  }
  for (const one of skipped) lines.push(`skipped ${counted(one.files, 'file')}: ${one.why}`)
  const asked = deletes.groups.reduce((sum, group) => sum + group.files, deletes.dangling)
  if (asked > 0)
    lines.push(
      dryRun
        ? `${counted(asked, 'delete file')} would be written anew or dropped`
        : `${counted(deletes.removed, 'delete file')} became ${formatCount(deletes.added)}`,
    )
  return lines
}

function strategyOf(invocation: Invocation, loaded: LoadedTable): RewriteOrder {
  const { sort } = invocation.options
  const z = textOption(invocation, 'zOrder')
  if (sort !== undefined && z !== undefined) {
    throw new LimnError('usage/argument', {
      message: 'Rows are either sorted or z-ordered.',
      notDone: 'Nothing was rewritten.',
      remedy: 'Give --sort or --z-order.',
    })
  }
  if (z !== undefined) return { kind: 'z-order', columns: z.split(',').map((name) => name.trim()) }
  if (sort === undefined) return { kind: 'bin-pack' }
  return typeof sort === 'string' ? { kind: 'sort', fields: sortFields(sort, loaded) } : { kind: 'sort' }
}

/** `a, b desc, c asc nulls last`. */
function sortFields(text: string, { metadata }: LoadedTable): readonly SortField[] {
  return text.split(',').map((part) => {
    const [name = '', ...words] = part.trim().split(/\s+/)
    const said = words.join(' ').toLowerCase()
    const match = /^(asc|desc)?(?: ?nulls (first|last))?$/.exec(said)
    if (!match || name === '') {
      throw new LimnError('usage/argument', {
        message: `"${part.trim()}" is no column to sort by.`,
        notDone: 'Nothing was rewritten.',
        remedy: 'Write for example: --sort "day, id desc nulls last".',
      })
    }
    const direction = match[1] === 'desc' ? 'desc' : 'asc'
    const nulls = match[2] ?? (direction === 'asc' ? 'first' : 'last')
    const { field } = columnOf(currentSchema(metadata).fields, name, false)
    return {
      sourceId: field.id,
      transform: { kind: 'identity' },
      direction,
      nullOrder: nulls === 'first' ? 'nulls-first' : 'nulls-last',
    }
  })
}
