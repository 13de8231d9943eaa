import { runId } from '../../base/index.ts'
import { formatMicros } from '../../dataset/index.ts'
import { cancel, diffOf, discardRunOf, type Lake, logOf, looksOfReport, retry } from '../../lake/index.ts'
import type { CodeVersions as RunCode } from '../../pipeline/index.ts'
import { parseWait } from '../arguments.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { changeLine } from '../plan-text.ts'
import { rowDiffText, rowDiffValue } from '../row-diff-text.ts'
import { toJson } from '../text.ts'
import { openLake, textOption } from './open.ts'
import { printRun, showFailure } from './run.ts'

/** `limn runs logs | diff | retry | discard | cancel`. */
export default async function runsAct(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const [verb, id = ''] = args
  runId(id)
  await using lake = await openLake(invocation)
  switch (verb) {
    case 'logs':
      printLog(lake, io, id)
      return 0
    case 'diff':
      await printDiff(lake, io, id)
      return 0
    case 'retry':
      return await retryRun(lake, invocation, id)
    case 'cancel': {
      const kind = await cancel(lake, id)
      const what =
        kind === 'run'
          ? `Asked ${id} to stop. It ends as cancelled and publishes nothing.`
          : `Asked ${id} to stop. It publishes nothing and keeps the steps it has built; go on: limn backfill resume ${id}`
      io.out(io.json ? toJson({ run: id, asked: true }) : what)
      return 0
    }
    default: {
      const tables = await discardRunOf(lake, id)
      const what =
        tables.length === 0 ? 'it had nothing staged any more' : `dropped what it staged of ${tables.join(', ')}`
      io.out(io.json ? toJson({ run: id, discarded: tables }) : `Run ${id}: ${what}.`)
      return 0
    }
  }
}

async function retryRun(lake: Lake, invocation: Invocation, id: string): Promise<number> {
  const { io } = invocation
  try {
    const report = await retry(lake, id, parseWait(textOption(invocation, 'wait')))
    return printRun(report, await looksOfReport(lake, report), io, false)
  } catch (error) {
    return await showFailure(lake, error, io)
  }
}

function printLog(lake: Lake, io: Io, id: string): void {
  const lines = logOf(lake, id)
  if (io.json) io.out(toJson(lines))
  else
    for (const { at, kind, label, text } of lines) {
      const mark = { begin: '·', progress: ' ', end: '✓', note: '!' }[kind]
      io.out(
        `${at.replace('T', ' ').slice(0, 23)} ${mark} ${label === '' ? '' : `${label.padEnd(24)} `}${text}`.trimEnd(),
      )
    }
}

/** By what the rows were made, in a line, and how that differs. */
function codeLines({ before, others, after, changes }: RunCode): readonly string[] {
  const text = ({ fingerprint, limn }: RunCode['after']) =>
    `${fingerprint.slice(0, 12)}${limn === null ? '' : ` (limn ${limn})`}`
  const same = before.length === 1 && before[0]?.fingerprint === after.fingerprint && before[0].limn === after.limn
  if (same) return [`code ${text(after)}, as before`]
  const alike = others?.fingerprint === after.fingerprint && others.limn === after.limn
  if (alike) return [`code ${text(after)}, as that of other intervals: these are built for the first time`]
  if (others) {
    const made = `code ${text(others)} of other intervals → ${text(after)}: these are built for the first time`
    return [made, ...changes.map((change) => `  ${changeLine(change)}`)]
  }
  const from = before.length === 0 ? 'first build' : before.map(text).join(' and ')
  return [`code ${from} → ${text(after)}`, ...changes.map((change) => `  ${changeLine(change)}`)]
}

async function printDiff(lake: Lake, io: Io, id: string): Promise<void> {
  const { changes, unchanged, gone } = await diffOf(lake, id)
  if (io.json) {
    io.out(
      toJson({
        run: id,
        changes: changes.map(({ dataset, fingerprint, code, diff }) => ({
          dataset,
          fingerprint,
          code,
          diff: rowDiffValue(diff, formatMicros),
        })),
        unchanged,
        gone,
      }),
    )
    return
  }
  if (changes.length === 0 && gone.length === 0) io.out('It changed no rows.')
  for (const { dataset, code, diff } of changes) {
    io.out(io.paint.bold(dataset))
    for (const line of codeLines(code)) io.out(line)
    for (const line of rowDiffText(diff, io.width)) io.out(line)
    io.out('')
  }
  for (const dataset of unchanged) io.out(`${dataset}: its rows are as they were.`)
  for (const dataset of gone) io.err(`${dataset}: its snapshots have expired, so that it cannot be compared any more.`)
}
