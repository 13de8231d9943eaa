import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { findLake } from '../../lake/index.ts'
import { parseShare, usage } from '../arguments.ts'
import { formatError, type ToldError } from '../errors.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { toJson } from '../text.ts'
import { environmentOption, textOption } from './open.ts'

/** A change of several files is one change. */
const quietMs = 250

/** What a project consists of; everything else a lake writes itself. */
const projectFile = /^(datasets[/\\].*|limn\.config\.ts|tsconfig\.json)$/

interface Round {
  readonly folder: string
  readonly io: Io
  readonly sample: string
  readonly environment: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Watches the project's files. At each change types, SQL and contracts are checked; where definitions differ from what is
 * published, a sample of their intervals is built on a scratch branch, compared with what is published, and dropped. Ends
 * with Ctrl-C; with `--once` after one round, and as the command ended that found something wrong (2: the check). `--json` takes `--once`: what the check, the
 * list of what changed and the sample came to, as those commands print it.
 */
export default async function dev(invocation: Invocation): Promise<number> {
  const { io, options, signal } = invocation
  const sample = textOption(invocation, 'sample') ?? '10%'
  if (parseShare('sample', sample) === 0)
    throw usage('--sample 0 builds nothing.', 'Write a share above 0, for example 10%.')
  const environment = environmentOption(invocation)
  const folder = findLake(process.cwd())
  const round: Round = {
    folder,
    io,
    sample,
    environment: environment === undefined ? [] : ['--env', environment],
    signal,
  }
  if (io.json) {
    if (options.once !== true) throw usage('--json prints one value at the end.', 'Add --once.')
    return await onceAsJson(round)
  }
  if (options.once === true) return await once(round)
  await following(round)
  return 0
}

/** A round now, and one more whenever files have changed since it began. */
async function following(round: Round): Promise<void> {
  const { folder, io, signal } = round
  let changed: (() => void) | null = null
  const watcher = watch(folder, { recursive: true }, (_event, name) => {
    if (name !== null && projectFile.test(name)) changed?.()
  })
  try {
    for (;;) {
      const next = new Promise<void>((resolve) => {
        let timer: NodeJS.Timeout | null = null
        changed = () => {
          if (timer) clearTimeout(timer)
          timer = setTimeout(resolve, quietMs)
        }
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      await once(round)
      if (signal.aborted) return
      io.err(io.paint.dim('Watching. Ctrl-C ends it.'))
      await next
      if (signal.aborted) return
    }
  } finally {
    watcher.close()
  }
}

/** Exit code: 0 when everything was in order. */
async function once(round: Round): Promise<number> {
  const { io, environment } = round
  const checked = await limn(round, ['check', ...environment])
  tell(io, checked.err)
  if (checked.code !== 0) return checked.code
  io.out(checked.out.trimEnd())
  const planned = await limn(round, ['plan', '--json', ...environment])
  if (planned.code !== 0) {
    io.err(failureIn(planned, io))
    return planned.code
  }
  const stale = changedOf(planned.out)
  if (stale.datasets.length === 0) {
    io.out('No definition differs from what is published.')
    return 0
  }
  io.out(
    `Changed: ${stale.datasets.join(', ')}. Building ${round.sample} of ${stale.datasets.length === 1 ? 'it' : 'them'} to look at.`,
  )
  return await sampled(round, stale)
}

/** The same round as one value. */
async function onceAsJson(round: Round): Promise<number> {
  const { io, environment } = round
  const run = async (...args: readonly string[]) => {
    const { code, out, err } = await limn(round, [...args, '--json', ...environment])
    if (err.trim() !== '') io.err(err.trimEnd())
    return { code, value: out.trim() === '' ? null : (JSON.parse(out) as unknown), text: out }
  }
  const check = await run('check')
  const planned = check.code === 0 ? await run('plan') : null
  const changed = planned?.code === 0 ? changedOf(planned.text) : null
  let sample: Awaited<ReturnType<typeof run>> | null = null
  if (changed !== null && changed.datasets.length > 0) {
    const range = ['--from', changed.from, '--to', changed.to]
    sample = await run('backfill', ...changed.datasets, ...range, '--sample', round.sample, '--diff')
    const backfill = backfillOf(sample.value)
    if (backfill !== undefined) await limn(round, ['backfill', 'discard', backfill, ...environment])
  }
  const code = check.code || planned?.code || sample?.code || 0
  const failed = planned && planned.code !== 0 ? { plan: planned.value } : {}
  const changedNames = changed?.datasets ?? []
  const value = { ok: code === 0, check: check.value, ...failed, changed: changedNames, sample: sample?.value ?? null }
  io.out(toJson(value))
  return code
}

/** Which backfill a report, or the error that ended one, is about. */
function backfillOf(value: unknown): string | undefined {
  type Told = { readonly backfill?: string; readonly error?: { readonly context?: { readonly backfill?: string } } }
  const { backfill, error } = (value ?? {}) as Told
  return backfill ?? error?.context?.backfill
}

interface Changed {
  readonly datasets: readonly string[]
  readonly from: string
  readonly to: string
}

/** A time of its own for datasets that are built whole: the backfill takes them with any range. */
const anyRange = { from: '1970-01-01', to: '2100-01-01' }

/** What is published and would be built by another definition. */
function changedOf(plan: string): Changed {
  const { items } = JSON.parse(plan) as {
    readonly items: readonly {
      readonly dataset: string
      readonly reason: string
      readonly interval: { readonly start: string; readonly end: string } | null
    }[]
  }
  const own = items.filter((item) => item.reason === 'definition-changed')
  const intervals = own.flatMap((item) => item.interval ?? [])
  const first = intervals.map((one) => one.start).sort()[0]
  const last = intervals
    .map((one) => one.end)
    .sort()
    .at(-1)
  return {
    datasets: [...new Set(own.map((item) => item.dataset))],
    from: first?.slice(0, 19) ?? anyRange.from,
    to: last?.slice(0, 19) ?? anyRange.to,
  }
}

/** Builds a sample, shows what it changes, and drops it. */
async function sampled(round: Round, { datasets, from, to }: Changed): Promise<number> {
  const { io, sample, environment } = round
  const range = ['--from', from, '--to', to]
  const built = await limn(round, ['backfill', ...datasets, ...range, '--sample', sample, '--diff', ...environment])
  tell(io, withoutItself(built.err))
  if (built.out.trim() !== '') io.out(withoutItself(built.out).trimEnd())
  const id = begun.exec(built.err)?.[1]
  if (id !== undefined) await limn(round, ['backfill', 'discard', id, ...environment])
  return built.code
}

const begun = /^Backfill (\S+)\.$/m

/** What the sample says of itself: it is gone when this is read. */
const ofItself = [
  /^(Backfill \S+\.|A sample is only to look at; .*|Go on when it is mended: .*|\d+ steps? failed; nothing was published\. .*)\n/gm,
  /; the steps that were built stand on the branches of the backfill(?=\.)/g,
  / Then: limn backfill resume \S+/g,
]

function withoutItself(text: string): string {
  return ofItself.reduce((left, one) => left.replaceAll(one, ''), text)
}

function tell(io: Io, text: string): void {
  if (text.trim() !== '') io.err(text.trimEnd())
}

/** The error that a command printed as JSON, as it is told. */
function failureIn({ out, err }: { readonly out: string; readonly err: string }, io: Io): string {
  const { error } = (out.trim() === '' ? {} : JSON.parse(out)) as { readonly error?: ToldError }
  return error === undefined ? err.trimEnd() : formatError(error, io)
}

/** One command in a process of its own: files that changed are loaded anew there alone. */
function limn(
  { folder, signal }: Round,
  args: readonly string[],
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const bin = fileURLToPath(new URL('../../../bin/limn.js', import.meta.url))
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const stop = () => child.kill('SIGINT')
  signal.addEventListener('abort', stop, { once: true })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      signal.removeEventListener('abort', stop)
      resolve({ code: code ?? 130, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() })
    })
  })
}
