import { rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { LimnError } from '../../base/index.ts'
import {
  breakGlass,
  type Lake,
  looksOfEdit,
  parseAt,
  queryToParquet,
  runSql,
  type StatementResult,
  withNotifications,
} from '../../lake/index.ts'
import { parseStatement } from '../../sql/index.ts'
import { usage } from '../arguments.ts'
import type { Io } from '../io.ts'
import { commandsOf, printQueries } from '../looks.ts'
import type { Invocation } from '../main.ts'
import { formatBytes, formatCount, formatCsv, formatResultJson, formatTable, toJson } from '../text.ts'
import { openLake, textOption } from './open.ts'
import { printFailure } from './run.ts'

type Format = 'table' | 'csv' | 'json'
type Changed = Extract<StatementResult, { kind: 'changed' }>

export default async function sql(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const [text = ''] = args
  const at = parseAt(textOption(invocation, 'at'))
  const format = textOption(invocation, 'format') ?? (io.json ? 'json' : 'table')
  const out = textOption(invocation, 'out')
  const dryRun = invocation.options.dryRun === true
  if (format === 'parquet' && out === undefined) {
    throw new LimnError('usage/argument', {
      message: 'Parquet is not printed.',
      remedy: 'Name a file: --out result.parquet',
    })
  }
  const glass = invocation.options.breakGlass === true
  const reason = textOption(invocation, 'reason')
  if (glass !== (reason !== undefined)) throw usage('--break-glass and --reason go together.', 'Give both, or neither.')
  if (glass && (dryRun || out !== undefined || textOption(invocation, 'at') !== undefined))
    throw usage('--break-glass stands with --reason alone.', 'Leave --dry-run, --at and --out away.')
  if (invocation.options.write === true) requireChange(text)
  await using lake = await openLake(invocation)
  if (glass) return await edit(lake, io, text, reason ?? '')
  if (format === 'parquet' && out !== undefined) {
    await queryToParquet(lake, text, at, resolve(out))
    return 0
  }
  const result = await runSql(lake, text, { at, dryRun })
  const printed =
    result.kind === 'rows' ? printRows(io, result, format as Format, out) : printChange(result, io.json, dryRun)
  if (out === undefined) {
    io.out(printed)
    return 0
  }
  try {
    await writeFile(out, `${printed}\n`)
  } catch (cause) {
    await rm(out, { force: true }).catch(() => undefined)
    throw new LimnError('storage/not-writable', {
      message: `${out} could not be written.`,
      notDone: 'The result was not saved.',
      remedy: 'Choose another place with --out.',
      cause,
    })
  }
  return 0
}

/** Changes rows past their dataset's definition; 3 when its checks refuse. */
async function edit(lake: Lake, io: Io, text: string, reason: string): Promise<number> {
  // Owners are told of what the lake records; an error is read by whoever typed the statement.
  const [tried] = await withNotifications(lake, () =>
    Promise.allSettled([breakGlass(lake, text, { reason, by: userInfo().username })]),
  )
  if (tried.status === 'rejected') throw tried.reason
  const report = tried.value
  const looks = await looksOfEdit(lake, report)
  const { result, judgements, run, outcome } = report
  if (io.json) {
    const snapshotId = result.snapshotId === null ? null : String(result.snapshotId)
    io.out(toJson({ run, outcome, ...result, snapshotId, verdicts: judgements, look: commandsOf(run, looks) }))
    return outcome === 'refused' ? 3 : 0
  }
  for (const one of judgements.filter((each) => each.outcome === 'failed')) printFailure(one, io)
  if (outcome === 'idle') io.out(`${result.table}: no row was concerned`)
  else if (outcome === 'published')
    io.out(
      `${io.paint.green('Published')} run ${run}: ${counted(result.changedRows, 'row')} of ${result.table} changed by hand, ${judgements.length} checks.`,
    )
  else {
    io.out(`${io.paint.red('Refused to publish')} run ${run}. Readers still see what they had.`)
    printQueries(run, looks, io)
  }
  return outcome === 'refused' ? 3 : 0
}

/** A statement that was said to write and only reads is a slip. */
function requireChange(text: string): void {
  const { kind } = parseStatement(text)
  if (kind === 'query' || kind === 'show')
    throw usage('The statement reads, and was said to write.', 'Leave --write away, or write what is to change.')
}

function printRows(
  io: Io,
  { result }: Extract<StatementResult, { kind: 'rows' }>,
  format: Format,
  out: string | undefined,
): string {
  const columns = result.columns.map((column) => column.name)
  switch (format) {
    case 'json':
      return formatResultJson(columns, result.rows)
    case 'csv':
      return formatCsv(columns, result.rows)
    case 'table':
      return formatTable(columns, result.rows, out === undefined ? io.width : undefined)
  }
}

/** One line that says what happened, or the same as JSON. */
export function printChange(
  result: Exclude<StatementResult, { kind: 'rows' }>,
  json: boolean,
  dryRun: boolean,
): string {
  // What a dry run commits exists nowhere: its id would name nothing.
  const snapshotId = dryRun || result.snapshotId === null ? null : String(result.snapshotId)
  if (json) return toJson({ ...result, snapshotId, dryRun })
  const line = result.kind === 'changed' ? changedText(result) : alteredText(result)
  const tail = dryRun ? ' (dry run: nothing was changed)' : snapshotId === null ? '' : `, snapshot ${snapshotId}`
  return `${line}${tail}`
}

function changedText(result: Changed): string {
  const { added, removed, deletes, table, branch } = result
  const name = branch === 'main' ? table : `${table}, branch ${branch}`
  const files = (one: Changed['added'], what = 'file') => counted(one.files, what)
  const held = (one: Changed['added']) => `${counted(one.rows, 'row')}, ${formatBytes(one.bytes)}`
  if (added.files === 0 && removed.files === 0 && deletes.added.files === 0) return `${name}: no row was concerned`
  const parts = [
    ...rowsText(result),
    added.files > 0 ? `wrote ${files(added)} with ${held(added)}` : '',
    deletes.added.files > 0 ? `wrote ${files(deletes.added, 'delete file')}, ${formatBytes(deletes.added.bytes)}` : '',
    removed.files > 0 ? `took out ${files(removed)} with ${held(removed)}` : '',
  ].filter((part) => part !== '')
  return `${name}: ${parts.join('; ')}`
}

/** Rows by what became of them, where files do not say it. */
function rowsText({ statement, rows }: Changed): readonly string[] {
  if (statement === 'insert' || statement === 'create' || statement === 'replace') return []
  const said = (['inserted', 'updated', 'deleted'] as const).flatMap((kind) => {
    const count = rows[kind] ?? 0
    return count > 0 ? [`${kind} ${counted(count, 'row')}`] : []
  })
  return said.length > 0 ? [said.join(', ')] : []
}

function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`
}

function alteredText(result: Extract<StatementResult, { kind: 'altered' }>): string {
  const what = `${result.of} ${result.name}`
  return result.change === 'unchanged' ? `${what} was so already` : `${what} ${result.change}`
}
