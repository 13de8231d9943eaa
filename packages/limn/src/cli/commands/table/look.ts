import { counted, tableId } from '../../../base/index.ts'
import { currentSchema, specById, transformToText } from '../../../iceberg/index.ts'
import { filesOf, historyOf, type Lake, listTables, loadTable, partitionsOf, summaryOf } from '../../../lake/index.ts'
import { fieldById } from '../../../schema/index.ts'
import type { Io } from '../../io.ts'
import type { Invocation } from '../../main.ts'
import { formatBytes, formatTable, type TextCell, toJson } from '../../text.ts'
import { openLake } from '../open.ts'

export default async function table(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const [verb, name = ''] = args
  await using lake = await openLake(invocation)
  if (verb === 'ls') await list(lake, io)
  else if (verb === 'show') await show(lake, io, name)
  else if (verb === 'history') await history(lake, io, name)
  else if (verb === 'files') {
    const files = await filesOf(lake, tableId(name))
    print(
      io,
      files,
      ['path', 'partition', 'rows', 'bytes'],
      files.map((file) => [file.path, file.partition, file.rows, formatBytes(file.bytes)]),
    )
  } else {
    const parts = await partitionsOf(lake, tableId(name))
    print(
      io,
      parts,
      ['partition', 'files', 'rows', 'bytes'],
      parts.map((part) => [part.partition, part.files, part.rows, formatBytes(part.bytes)]),
    )
  }
  return 0
}

function print(io: Io, value: unknown, columns: readonly string[], rows: readonly (readonly TextCell[])[]): void {
  io.out(io.json ? toJson(value) : formatTable(columns, rows, io.width))
}

const iso = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, 19)

async function list(lake: Lake, io: Io): Promise<void> {
  const tables = await listTables(lake)
  const values = tables.map((one) => ({ ...one, snapshotId: one.snapshotId === null ? null : String(one.snapshotId) }))
  print(
    io,
    values,
    ['table', 'rows', 'files', 'bytes', 'updated (UTC)'],
    tables.map((one) => [one.table, one.rows, one.files, formatBytes(one.bytes), iso(one.updatedMs)]),
  )
}

async function show(lake: Lake, io: Io, name: string): Promise<void> {
  const loaded = await loadTable(lake, tableId(name))
  const { metadata } = loaded
  const schema = currentSchema(metadata)
  const spec = specById(metadata, metadata.defaultSpecId)
  const value = {
    ...summaryOf(loaded),
    snapshotId: metadata.currentSnapshotId === null ? null : String(metadata.currentSnapshotId),
    location: metadata.location,
    metadataLocation: loaded.metadataLocation,
    formatVersion: metadata.formatVersion,
    columns: schema.fields,
    partitioning: spec.fields.map((field) => ({
      name: field.name,
      source: fieldById(schema, field.sourceId)?.name,
      transform: transformToText(field.transform),
    })),
    properties: metadata.properties,
    refs: Object.fromEntries(Object.entries(metadata.refs).map(([ref, to]) => [ref, String(to.snapshotId)])),
  }
  if (io.json) {
    io.out(toJson(value))
    return
  }
  io.out(`${name}: ${counted(value.rows, 'row')} in ${counted(value.files, 'file')}, ${formatBytes(value.bytes)}`)
  io.out(
    `location ${value.location}\nsnapshot ${value.snapshotId ?? 'none'}\npartitioned by ${value.partitioning.map((one) => `${one.transform}(${one.source})`).join(', ') || 'nothing'}\nrefs ${Object.keys(value.refs).join(', ')}\n`,
  )
  io.out(
    formatTable(
      ['id', 'column', 'type', 'required', 'doc'],
      schema.fields.map((field) => [
        field.id,
        field.name,
        typeof field.type === 'string' ? field.type : field.type.type,
        field.required ? 'yes' : 'no',
        field.doc ?? '',
      ]),
      io.width,
    ),
  )
}

async function history(lake: Lake, io: Io, name: string): Promise<void> {
  const entries = historyOf(await loadTable(lake, tableId(name)))
  const values = entries.map((entry) => ({
    published: new Date(entry.publishedMs).toISOString(),
    snapshotId: String(entry.snapshotId),
    operation: entry.snapshot?.operation ?? null,
    run: entry.snapshot?.summary['limn.run'] ?? null,
    addedRows: Number(entry.snapshot?.summary['added-records'] ?? 0),
    deletedRows: Number(entry.snapshot?.summary['deleted-records'] ?? 0),
    totalRows: Number(entry.snapshot?.summary['total-records'] ?? 0),
  }))
  print(
    io,
    values,
    ['published (UTC)', 'snapshot', 'operation', 'run', 'added', 'deleted', 'total'],
    values.map((one) => [
      one.published.replace('T', ' ').slice(0, 19),
      one.snapshotId,
      one.operation,
      one.run ?? '',
      one.addedRows,
      one.deletedRows,
      one.totalRows,
    ]),
  )
}
