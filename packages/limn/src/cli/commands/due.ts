import { dueText, dueValue, runDue } from '../../lake/index.ts'
import { parseWait, usage } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { toJson } from '../text.ts'
import { openLake, rangeOptionsOf, textOption } from './open.ts'

/** `limn run --due`: one round of what `limn up` does without end, for cron and orchestrators. */
export async function runWhatIsDue(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const given = [...args, ...Object.keys(rangeOptionsOf(invocation))]
  if (given.length > 0 || options.full === true)
    throw usage('--due runs what schedules say.', 'Leave out datasets, ranges and --full, or leave out --due.')
  const waitMs = parseWait(textOption(invocation, 'wait'))
  await using lake = await openLake(invocation)
  const { events } = await runDue(lake, {
    waitMs,
    onEvent: (event) => {
      if (!io.json) io.out(dueText(event))
    },
  })
  if (io.json) io.out(toJson({ events: events.map(dueValue) }))
  else if (events.length === 0) io.out('Nothing is due.')
  if (events.some((event) => event.kind === 'failed' || event.kind === 'timed-out')) return 1
  return events.some((event) => event.kind === 'refused') ? 3 : 0
}
