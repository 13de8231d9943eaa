import { appendFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LimnError, makeFolder } from '../base/index.ts'
import type { RunEvent } from './events.ts'
import type { OpenRuns } from './open-runs.ts'

/** Where events go. */
export interface LineageConfig {
  /** `stdout`, an `http://` or `https://` address that takes a POST per event, or a file (a path, or `file:` and one) that gets a line per event. */
  readonly to: string
  /** The namespace of jobs. Default `limn://<name of the lake>`. */
  readonly namespace?: string
  /** Sent with every event over HTTP, for example `{ Authorization: 'Bearer …' }`. Never shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** How often an event is sent anew after the endpoint failed to take it. Default 3. */
  readonly retries?: number
  /** How long one attempt may take. Default 5,000 ms. */
  readonly timeoutMs?: number
}

/** What became of the events. */
export interface Emitted {
  readonly sent: number
  readonly lost: number
  /** Of the first event that was lost; null when none was. */
  readonly reason: string | null
}

/**
 * Sends events in order, while the run goes on. An event that cannot be sent is lost and counted: nothing here throws, and nothing
 * waits but `close`, for at most `closeWaitMs`. After an event was lost the next ones are tried once each.
 */
export class Emitter {
  private readonly send: (line: string, attempts: number) => Promise<void>
  private readonly open: OpenRuns | null
  private readonly retries: number
  private queue: Promise<void> = Promise.resolve()
  private sent = 0
  private lost = 0
  private total = 0
  private reason: string | null = null

  constructor(
    config: LineageConfig,
    ports: {
      readonly print: (line: string) => void
      readonly resolve: (path: string) => string
      /** Where what has begun is noted until its end is told. */
      readonly open?: OpenRuns
    },
  ) {
    this.open = ports.open ?? null
    this.retries = config.retries ?? 3
    const { to } = config
    if (to === 'stdout') this.send = async (line) => ports.print(`${line}\n`)
    else if (/^https?:\/\//.test(to)) this.send = (line, attempts) => post(to, line, attempts, config)
    else {
      const file = ports.resolve(pathOf(to))
      this.send = (line) => append(file, line)
    }
  }

  emit(event: RunEvent): void {
    const line = JSON.stringify(event)
    this.total++
    const { eventType } = event
    if (eventType === 'START') this.open?.began(event)
    this.queue = this.queue.then(async () => {
      try {
        await this.send(line, this.lost > 0 ? 1 : 1 + this.retries)
        this.sent++
      } catch (error) {
        this.lost++
        this.reason ??= error instanceof Error ? error.message : String(error)
      }
      if (eventType !== 'START' && eventType !== 'RUNNING') this.open?.ended(event.run.runId)
    })
  }

  /** Waits until all is sent or given up. What is still under way after `closeWaitMs` counts as lost. */
  async close(closeWaitMs = 15_000): Promise<Emitted> {
    const timer = Promise.withResolvers<void>()
    const handle = setTimeout(timer.resolve, closeWaitMs)
    await Promise.race([this.queue, timer.promise])
    clearTimeout(handle)
    this.open?.close()
    const lost = this.total - this.sent
    return { sent: this.sent, lost, reason: lost === 0 ? null : (this.reason ?? 'the endpoint did not answer in time') }
  }
}

/** Said as an address, a file is still one. Throws `config/invalid` for one of another host. */
function pathOf(to: string): string {
  if (/^file:\/\/(localhost)?\//.test(to)) return fileURLToPath(to)
  if (to.startsWith('file://'))
    throw new LimnError('config/invalid', {
      message: `lineage.to is "${to}", which names a host.`,
      notDone: 'Nothing was run.',
      remedy: 'Write file:///a/path for a whole path, or file:a/path for one within the lake.',
    })
  return to.startsWith('file:') ? to.slice('file:'.length) : to
}

/** Appended in one write each, so that lines of runs side by side do not mix. */
async function append(file: string, line: string): Promise<void> {
  makeFolder(dirname(file))
  await appendFile(file, `${line}\n`)
}

const firstWaitMs = 200

/** Throws the last failure. An answer of 4xx other than 408 and 429 is final: the same event would be refused again. */
async function post(to: string, line: string, attempts: number, config: LineageConfig): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const failure = await tryPost(to, line, config)
    if (failure === null) return
    if (failure.final || attempt >= attempts) throw new Error(failure.message)
    await new Promise((resolve) => setTimeout(resolve, firstWaitMs * 3 ** (attempt - 1)))
  }
}

async function tryPost(
  to: string,
  line: string,
  { headers, timeoutMs = 5000 }: LineageConfig,
): Promise<{ readonly message: string; readonly final: boolean } | null> {
  try {
    const answer = await fetch(to, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: line,
      signal: AbortSignal.timeout(timeoutMs),
    })
    await answer.body?.cancel()
    if (answer.ok) return null
    const { status } = answer
    return { message: `the endpoint answered ${status}`, final: status < 500 && status !== 408 && status !== 429 }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
    const message = `${error instanceof Error ? error.message : String(error)}${cause}`
    return { message: withoutSecrets(message, to, headers ?? {}), final: false }
  }
}

/** What `fetch` says may repeat the address with its password, or a header. */
function withoutSecrets(message: string, to: string, headers: Readonly<Record<string, string>>): string {
  const secrets = [URL.parse(to)?.password ?? '', /:([^:@/]+)@/.exec(to)?.[1] ?? '', ...Object.values(headers)]
  return secrets.filter((one) => one !== '').reduce((text, secret) => text.replaceAll(secret, '…'), message)
}
