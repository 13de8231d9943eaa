import { counted, LimnError } from '../../../base/index.ts'
import { type LoadedTable, snapshotAsOf, snapshotById } from '../../../iceberg/index.ts'
import { loadTable, parseAt } from '../../../lake/index.ts'
import type { Field } from '../../../schema/index.ts'
import { diffTables, type FilesDiffer, type PinnedTable, pinRef, pinSnapshot } from '../../../table/index.ts'
import type { Invocation } from '../../main.ts'
import { formatBytes, formatCount } from '../../text.ts'
import { idText, onTable, report } from './report.ts'

/** Compares two states of a table. */
export default function diff(invocation: Invocation): Promise<number> {
  return onTable(invocation, async ({ lake, table, rest }) => {
    const loaded = await loadTable(lake, table)
    const [from, to] = [pointOf(loaded, rest[0] ?? ''), pointOf(loaded, rest[1] ?? '')]
    const rows = invocation.options.rows !== false
    const found = await diffTables(await lake.context(), from, to, { rows })
    const { columns, data, deletes } = found
    const lines = [
      `${table}: snapshot ${from.snapshotId ?? 'none'} → ${to.snapshotId ?? 'none'}`,
      ...columns.added.map((field) => `+ column ${fieldText(field)}`),
      ...columns.removed.map((field) => `- column ${fieldText(field)}`),
      ...columns.changed.map((one) => `~ column ${fieldText(one.from)} → ${fieldText(one.to)}`),
      filesText('data files', data),
      ...(deletes.added.files + deletes.removed.files + deletes.kept > 0 ? [filesText('delete files', deletes)] : []),
      ...(found.rows === null
        ? []
        : [`rows: +${formatCount(Number(found.rows.added))} −${formatCount(Number(found.rows.removed))}`]),
    ]
    report(invocation, { table, ...found, from: idText(found.from), to: idText(found.to) }, lines)
  })
}

function filesText(what: string, { added, removed, kept }: FilesDiffer): string {
  const sum = (one: FilesDiffer['added']) =>
    `${formatCount(one.files)} (${counted(one.rows, 'row')}, ${formatBytes(one.bytes)})`
  return `${what}: +${sum(added)} −${sum(removed)}, ${formatCount(kept)} kept`
}

function fieldText(field: Field): string {
  const type = typeof field.type === 'string' ? field.type : field.type.type
  return `${field.id} ${field.name} ${type}${field.required ? ' required' : ''}`
}

function pointOf(loaded: LoadedTable, text: string): PinnedTable {
  const pin = pinAt(loaded, text)
  if (pin) return pin
  throw new LimnError('usage/unknown-snapshot', {
    message: `${loaded.table} has nothing at ${text}.`,
    notDone: 'Nothing was compared.',
    remedy: `List what it has: limn table history ${loaded.table}`,
  })
}

function pinAt(loaded: LoadedTable, text: string): PinnedTable | null {
  if (loaded.metadata.refs[text]) return pinRef(loaded, text)
  const at = parseAt(text)
  switch (at.kind) {
    case 'snapshot':
      return snapshotById(loaded.metadata, at.snapshotId) ? pinSnapshot(loaded, at.snapshotId) : null
    case 'time': {
      const snapshotId = snapshotAsOf(loaded.metadata, at.timestampMs)
      return snapshotId === null ? null : pinSnapshot(loaded, snapshotId)
    }
    case 'ref':
    case 'run':
    case 'backfill':
    case 'now':
      return pinRef(loaded, text)
  }
}
