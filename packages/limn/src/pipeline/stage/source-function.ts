import { LimnError, sha256, type TableId } from '../../base/index.ts'
import {
  type FunctionSource,
  formatMicros,
  parseMicros,
  type SourceBatch,
  type SourceRow,
} from '../../dataset/index.ts'
import type { Session } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { pinRef, putFiles, readPinned, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { DatasetLedger, Delivery } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import { type Landing, sourceColumns, withDelivery } from './landing.ts'
import type { StageInputs } from './stage.ts'
import type { Target } from './staged-table.ts'
import { watermarkAt } from './view.ts'

/**
 * Lands the batches of an author's function, each a delivery. With a safety window the function is asked from before its
 * cursor on; rows it hands over again are counted as read and not kept, and the cursor never goes back.
 */
export async function landBatches(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  source: FunctionSource,
  ledger: DatasetLedger,
  target: Target,
): Promise<Landing> {
  requireKeys(node, source)
  const files: DataFile[] = []
  const deliveries: Delivery[] = []
  const again = source.safety && new RowsAgain(source.safety.keys)
  let ordinal = ledger.lastOrdinal
  let cursor = ledger.cursor
  const base = target.base?.metadata
  let watermark = base ? watermarkAt(base, base.currentSnapshotId) : null
  const from = source.safety ? movedBack(node.id, ledger.cursor, source.safety.windowMs) : ledger.cursor
  for await (const batch of guarded(node.id, source.read({ cursor: from, signal: context.signal }))) {
    context.signal.throwIfAborted()
    const all = [...batch.rows]
    const reached = watermarkOf(node.id, batch)
    const advanced = reached !== null && (watermark === null || reached > watermark)
    if (advanced) watermark = reached
    const next = source.safety ? laterCursor(node.id, cursor, batch.cursor ?? null) : (batch.cursor ?? null)
    await using scratch = await context.store.scratch({ signal: context.signal })
    await using landed = again && target.base ? await latestLanded(context, target) : null
    await using session = await context.engine.session(landed ? [landed.bound] : [], { signal: context.signal })
    const rows = again ? again.lastOfEachKey(all) : all
    const sql = again
      ? await newRows(session, node, again.parted(rows), again.keys, landed !== null)
      : await ingestRows(session, node, 'limn_batch', rows)
    const path = JSON.stringify(next)
    const written = await writeLocal(
      session,
      withDelivery(sql, ordinal + 1, path, inputs.run),
      target.layout,
      scratch.folder,
    )
    const kept = written.reduce((total, file) => total + Number(file.recordCount), 0)
    // What is read again and found as it was is no delivery, unless it says something new.
    if (again && kept === 0 && !advanced && path === JSON.stringify(cursor)) continue
    again?.note(rows)
    cursor = next
    ordinal++
    files.push(...(await putFiles(context, target.layout, written)))
    deliveries.push({
      ordinal,
      path,
      sha256: hashRows(all),
      replaces: null,
      read: all.length,
      kept,
      quarantined: 0,
    })
  }
  return { files, deliveries, superseded: [], watermark }
}

function requireKeys(node: Node, source: FunctionSource): void {
  const missing = source.safety?.keys.find((key) => !sourceColumns(node).some((column) => column.name === key))
  if (missing === undefined) return
  throw new LimnError('dataset/invalid', {
    message: `The source of ${node.id} knows its rows by "${missing}", which is not a column of its contract.`,
    notDone: 'Nothing was published.',
    remedy: 'Name columns of the contract as keys of the safety window.',
    location: { file: node.file },
  })
}

/** Errors of the author's function carry the dataset's name. */
async function* guarded<T>(id: TableId, batches: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* batches
  } catch (cause) {
    if (cause instanceof LimnError) throw cause
    throw new LimnError('source/failed', {
      message: `The source of ${id} failed: ${cause instanceof Error ? cause.message : String(cause)}`,
      notDone: 'Nothing was published; the cursor is where it was.',
      remedy: 'Correct the source function or what it reads, then run again.',
      cause,
    })
  }
}

function watermarkOf(id: TableId, batch: SourceBatch): number | null {
  const { watermark } = batch
  if (watermark === undefined) return null
  const text = watermark instanceof Date ? watermark.toISOString() : watermark
  try {
    return parseMicros(text)
  } catch (cause) {
    throw new LimnError('source/failed', {
      message: `The source of ${id} yields the watermark "${text}", which is not a time.`,
      notDone: 'Nothing was published; the cursor is where it was.',
      remedy: 'Yield a Date, or a text such as 2026-01-31T06:00.',
      cause,
    })
  }
}

/** A cursor's time in microseconds. */
function timeOfCursor(
  id: TableId,
  cursor: unknown,
  remedy = 'Yield as cursor a text such as 2026-01-31T06:00:00Z, or milliseconds.',
): number {
  if (typeof cursor === 'number') return cursor * 1000
  try {
    if (typeof cursor === 'string') return parseMicros(cursor)
  } catch {
    // Told below, like any other value that is no time.
  }
  throw new LimnError('source/failed', {
    message: `The source of ${id} states a safety window, but its cursor ${JSON.stringify(cursor)} is not a time.`,
    notDone: 'Nothing was published; the cursor is where it was.',
    remedy,
  })
}

/** The cursor, of the same form, a span earlier. */
function movedBack(id: TableId, cursor: unknown, spanMs: number): unknown {
  if (cursor === null) return null
  const micros =
    timeOfCursor(
      id,
      cursor,
      'It was published so, before the source had a window. Leave the window out, or begin anew: drop the table while it has no definition.',
    ) -
    spanMs * 1000
  if (typeof cursor === 'number') return micros / 1000
  return `${formatMicros(micros)}${String(cursor).endsWith('Z') ? 'Z' : ''}`
}

function laterCursor(id: TableId, before: unknown, next: unknown): unknown {
  if (next === null || before === null) return next ?? before
  return timeOfCursor(id, next) >= timeOfCursor(id, before) ? next : before
}

interface PartedRows {
  /** Of keys this run has not landed: to be compared with what is published. */
  readonly first: readonly SourceRow[]
  /** Of keys it has landed, and other than they then were. */
  readonly changed: readonly SourceRow[]
}

/** What one run has landed so far, by key. */
class RowsAgain {
  readonly keys: readonly string[]
  private readonly seen = new Map<string, string>()

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  /** Of rows with one key in one batch, the last. */
  lastOfEachKey(rows: readonly SourceRow[]): readonly SourceRow[] {
    return [...new Map(rows.map((row) => [this.keyOf(row), row])).values()]
  }

  parted(rows: readonly SourceRow[]): PartedRows {
    const first = rows.filter((row) => !this.seen.has(this.keyOf(row)))
    const changed = rows.filter((row) => {
      const before = this.seen.get(this.keyOf(row))
      return before !== undefined && before !== plainText(row)
    })
    return { first, changed }
  }

  note(rows: readonly SourceRow[]): void {
    for (const row of rows) this.seen.set(this.keyOf(row), plainText(row))
  }

  private keyOf(row: SourceRow): string {
    return plainText(this.keys.map((key) => row[key] ?? null))
  }
}

async function latestLanded(context: PipelineContext, target: Target) {
  const pin = target.base && pinRef(target.base)
  return pin && pin.snapshotId !== null ? readPinned(context, pin) : null
}

/** The rows of a batch that do not equal the latest landed row of their key. */
async function newRows(
  session: Session,
  node: Node,
  parted: PartedRows,
  keys: readonly string[],
  compare: boolean,
): Promise<string> {
  const first = await ingestRows(session, node, 'limn_batch', parted.first)
  const changed = await ingestRows(session, node, 'limn_changed', parted.changed)
  if (!compare) return `${first} UNION ALL ${changed}`
  const names = sourceColumns(node).map((column) => quoteIdentifier(column.name))
  const alike = (columns: readonly string[]) =>
    columns.map((name) => `l.${name} IS NOT DISTINCT FROM b.${name}`).join(' AND ')
  const keyNames = keys.map(quoteIdentifier)
  const landed = `SELECT ${names.map((name) => `l.${name}`).join(', ')} FROM ${node.id} AS l SEMI JOIN limn_batch AS b ON ${alike(keyNames)}
    QUALIFY row_number() OVER (PARTITION BY ${keyNames.map((name) => `l.${name}`).join(', ')} ORDER BY l._delivery DESC) = 1`
  return `SELECT ${names.map((name) => `b.${name}`).join(', ')} FROM limn_batch AS b ANTI JOIN (${landed}) AS l ON ${alike(names)} UNION ALL ${changed}`
}

async function ingestRows(session: Session, node: Node, name: string, rows: readonly SourceRow[]): Promise<string> {
  const columns = sourceColumns(node)
  const known = new Set(columns.map((column) => column.name))
  for (const row of rows) {
    const stranger = Object.keys(row).find((name) => !known.has(name))
    if (stranger === undefined) continue
    throw new LimnError('source/schema', {
      message: `The source of ${node.id} yields a column "${stranger}" that its contract lacks.`,
      notDone: 'Nothing was published.',
      remedy: 'Add the column to the contract, or leave it out of the rows.',
    })
  }
  await session.ingest(
    name,
    columns,
    rows.map((row) => columns.map((column) => row[column.name] ?? null)),
  )
  return `SELECT ${columns.map((column) => quoteIdentifier(column.name)).join(', ')} FROM ${name}`
}

function hashRows(rows: readonly SourceRow[]): string {
  return sha256(plainText(rows))
}

/** JSON that tells all values of rows apart. */
function plainText(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? `${part}n` : part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part,
  )
}
