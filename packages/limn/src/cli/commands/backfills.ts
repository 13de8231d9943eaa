import { formatMicros } from '../../dataset/index.ts'
import { approve, backfillOf, backfills, changesOf, discard, type Lake, resume } from '../../lake/index.ts'
import type { BackfillRecord } from '../../pipeline/index.ts'
import { parseWait } from '../arguments.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { formatTable, toJson } from '../text.ts'
import { changesValue, printBackfill, printChanges, tuningOf } from './backfill.ts'
import { openLake, textOption } from './open.ts'

/** `limn backfill ls | show | resume | approve | discard`. */
export default async function backfillsCommand(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const [verb, id = ''] = args
  const waitMs = parseWait(textOption(invocation, 'wait'))
  await using lake = await openLake(invocation)
  switch (verb) {
    case 'ls':
      await list(lake, io)
      return 0
    case 'show':
      await show(lake, io, id, invocation.options.diff === true)
      return 0
    case 'resume':
      return await printBackfill(lake, await resume(lake, id, tuningOf(invocation), waitMs), io)
    case 'approve':
      return await printBackfill(lake, await approve(lake, id, waitMs), io)
    default:
      await discard(lake, id)
      io.out(io.json ? toJson({ backfill: id, outcome: 'discarded' }) : `Discarded backfill ${id}.`)
      return 0
  }
}

/** How a backfill stands in one word, and what is to be said of it. */
function standing({ ended, alive, message }: BackfillRecord & { readonly alive: boolean }) {
  if (ended) return { state: ended, message }
  if (alive) return { state: 'building', message: '' }
  const [state = '', ...rest] = message.split(': ')
  return message === '' ? { state: 'stopped', message } : { state, message: rest.join(': ') }
}

async function list(lake: Lake, io: Io): Promise<void> {
  const all = await backfills(lake)
  if (io.json) {
    io.out(
      toJson(
        all.map((one) => ({
          backfill: one.id,
          ...standing(one),
          datasets: one.request.datasets,
          range: rangeText(one.request.range),
          created: new Date(one.createdMs).toISOString(),
        })),
      ),
    )
    return
  }
  if (all.length === 0) io.out('There are no backfills.')
  else
    io.out(
      formatTable(
        ['backfill', 'state', 'datasets', 'from', 'to', 'message'],
        all.map((one) => [
          one.id,
          standing(one).state,
          one.request.datasets.join(', '),
          rangeText(one.request.range).start,
          rangeText(one.request.range).end,
          standing(one).message,
        ]),
        io.width,
      ),
    )
}

function rangeText(range: { readonly start: number; readonly end: number }) {
  const short = (at: number) => formatMicros(at).replace('T00:00:00', '')
  return { start: short(range.start), end: short(range.end) }
}

async function show(lake: Lake, io: Io, id: string, withDiff: boolean): Promise<void> {
  const { record, alive, datasets } = await backfillOf(lake, id)
  const changes = withDiff && record.ended === null ? await changesOf(lake, id) : null
  const { state, message } = standing({ ...record, alive })
  if (io.json) {
    io.out(
      toJson({
        backfill: id,
        state,
        message,
        request: { ...record.request, range: rangeText(record.request.range) },
        datasets: datasets.map(({ dataset, steps, done, rows }) => ({ dataset, steps, done, rows })),
        changes: changes && changesValue(changes),
      }),
    )
    return
  }
  io.out(`backfill ${id}: ${state}${message === '' ? '' : ` (${message})`}`)
  if (datasets.length > 0)
    io.out(
      formatTable(
        ['dataset', 'steps', 'built', 'rows'],
        datasets.map((one) => [one.dataset, one.steps, one.done, one.rows]),
        io.width,
      ),
    )
  if (!changes) return
  io.out('')
  printChanges(changes, io)
}
