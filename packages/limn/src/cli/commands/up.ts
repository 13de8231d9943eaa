import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LimnError, silentProgress } from '../../base/index.ts'
import { Health, Lake, up, upText, upValue } from '../../lake/index.ts'
import { parseWait, usage } from '../arguments.ts'
import { logUnforeseen } from '../errors.ts'
import type { Invocation } from '../main.ts'
import { environmentOption, textOption } from './open.ts'

const heartbeatMs = 15_000

/** Runs until it is told to stop. The first signal lets the run under way finish, for a while; the second interrupts it. */
export default async function upCommand(invocation: Invocation): Promise<number> {
  const { io, signal: stop } = invocation
  const pollMs = parseWait(textOption(invocation, 'poll') ?? '30s')
  if (pollMs < 1000) throw usage('--poll is less than a second.', 'Write 1s or more.')
  const drainMs = parseWait(textOption(invocation, 'drain') ?? '10m')
  const interrupt = new AbortController()
  const environment = environmentOption(invocation)
  await using lake = await Lake.open({
    signal: interrupt.signal,
    progress: { ...silentProgress, note: io.err },
    makeEnvironment: true,
    ...(environment === undefined ? {} : { environment }),
  })
  const { pid, host, version, clock } = await lake.context()
  const path = resolve(
    textOption(invocation, 'health') ??
      join(lake.folder, '.limn', lake.environment === null ? 'up.json' : `up.${lake.environment}.json`),
  )
  const health = new Health(path, { pid, host, version }, () => clock.nowMs())
  const say = (event: Parameters<typeof upText>[0]) => {
    if ((event.kind === 'failed' || event.kind === 'error') && event.error.kind === 'internal')
      io.err(`Not foreseen; please report it with ${logUnforeseen(event.error.cause ?? event.error)}.`)
    const at = new Date(clock.nowMs()).toISOString()
    io.out(io.json ? JSON.stringify({ at, ...upValue(event) }) : `${at.slice(0, 19)}Z ${upText(event)}`)
  }
  const beat = setInterval(() => {
    try {
      health.beat()
    } catch {
      // The scheduler tells of it when it writes itself; a file that grows old tells whoever watches it.
    }
  }, heartbeatMs)
  let drain: NodeJS.Timeout | undefined
  const fatal = (error: unknown) => interrupt.abort(error)
  const now = () => interrupt.abort(interrupted())
  stop.addEventListener('abort', () => {
    io.err(`Stopping. A run under way has ${Math.round(drainMs / 1000)} s to finish; a second signal interrupts it.`)
    drain = setTimeout(now, drainMs)
    process.once('SIGINT', now)
    process.once('SIGTERM', now)
  })
  try {
    await up(lake, {
      pollMs,
      onEvent: say,
      stop,
      health,
      every: (ms, body) => {
        const timer = setInterval(() => void body().catch(fatal), ms)
        return () => clearInterval(timer)
      },
      sleep: async (ms, signal) => {
        await sleep(ms, undefined, { signal }).catch(() => undefined)
      },
    })
    return 0
  } finally {
    clearInterval(beat)
    clearTimeout(drain)
    process.off('SIGINT', now)
    process.off('SIGTERM', now)
  }
}

function interrupted(): LimnError {
  return new LimnError('interrupted', {
    message: 'Interrupted.',
    notDone: 'The run under way was not published; its tick stays due.',
    remedy: 'Start again: limn up',
  })
}
