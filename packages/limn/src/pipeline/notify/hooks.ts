import { spawn } from 'node:child_process'
import { LimnError, redact, reveal, type Secret } from '../../base/index.ts'
import type { Incident, NotifyOn } from './incidents.ts'

/** Where an owner's incidents go. */
export type Hook = { readonly on: readonly NotifyOn[] } & (
  | {
      /** Gets the incident as JSON by POST; answers with a status of 200 to 299. */
      readonly webhook: string | Secret
      readonly headers?: Readonly<Record<string, string | Secret>>
    }
  | {
      /** Gets the incident as JSON on its standard input; ends with 0. */
      readonly command: readonly (string | Secret)[]
    }
)

/** By owner; `*` stands for every owner. */
export type Notify = Readonly<Record<string, readonly Hook[]>>

/** What a hook is given. `id` is the same whenever the same is told again. */
export interface Notification extends Omit<Incident, 'atMs'> {
  readonly lake: string
  readonly owner: string
  readonly at: string
}

export interface DeliveryPorts {
  readonly signal: AbortSignal
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Of one try. */
  readonly timeoutMs: number
  readonly cwd: string
}

/** Waits before a webhook is tried again, in milliseconds. */
const retryMs = [1000, 4000] as const

/**
 * Hands a notification to a hook. A webhook that does not answer in time, or answers 429 or 500 and above, is tried again
 * twice. Throws an error that names no secret; what went wrong with a hook is nobody else's affair.
 */
export async function deliver(hook: Hook, notification: Notification, ports: DeliveryPorts): Promise<void> {
  const secrets = 'webhook' in hook ? [hook.webhook, ...Object.values(hook.headers ?? {})] : hook.command
  try {
    if ('webhook' in hook) await post(hook, notification, ports)
    else await execute(hook.command, notification, ports)
  } catch (cause) {
    if (ports.signal.aborted) throw ports.signal.reason
    const text = cause instanceof Error ? cause.message : String(cause)
    const why = cause instanceof Error && cause.cause instanceof Error ? ` (${cause.cause.message})` : ''
    throw new Error(redact(`${text}${why}`.replace(/\.?$/, '.'), secrets, ports.variables))
  }
}

async function post(
  hook: Extract<Hook, { readonly webhook: unknown }>,
  notification: Notification,
  ports: DeliveryPorts,
): Promise<void> {
  const address = reveal(hook.webhook, ports.variables)
  if (!URL.canParse(address)) throw new Error('The webhook is not an address.')
  const headers = {
    'content-type': 'application/json',
    'idempotency-key': notification.id,
    ...Object.fromEntries(
      Object.entries(hook.headers ?? {}).map(([name, value]) => [name, reveal(value, ports.variables)]),
    ),
  }
  for (let attempt = 0; ; attempt++) {
    const wait = retryMs[attempt]
    try {
      const signal = AbortSignal.any([ports.signal, AbortSignal.timeout(ports.timeoutMs)])
      const answer = await fetch(address, { method: 'POST', headers, body: JSON.stringify(notification), signal })
      await answer.body?.cancel()
      if (answer.ok) return
      if (wait === undefined || (answer.status !== 429 && answer.status < 500))
        throw new RefusedError(`The webhook answered ${answer.status}.`)
    } catch (error) {
      if (error instanceof RefusedError || wait === undefined || ports.signal.aborted) throw error
    }
    await ports.sleep(wait, ports.signal)
  }
}

/** An answer that trying again does not change. */
class RefusedError extends Error {}

async function execute(
  command: readonly (string | Secret)[],
  notification: Notification,
  ports: DeliveryPorts,
): Promise<void> {
  const [program, ...args] = command.map((part) => reveal(part, ports.variables))
  if (program === undefined) throw new LimnError('config/invalid', { message: 'A hook has an empty command.' })
  const signal = AbortSignal.any([ports.signal, AbortSignal.timeout(ports.timeoutMs)])
  const child = spawn(program, args, {
    cwd: ports.cwd,
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...ports.variables, LIMN_NOTIFICATION_ID: notification.id, LIMN_NOTIFICATION_ON: notification.on },
    signal,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 500) said += text
  })
  // A command that does not read its input is no failure.
  child.stdin.on('error', () => undefined)
  child.stdin.end(`${JSON.stringify(notification)}\n`)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`The command ended with ${code}: ${said.trim().slice(0, 500)}`)
}
