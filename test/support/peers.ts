import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from './lake.ts'

/** The engines that limn is compared with; scripts/install-peers.sh installs them into .peers. */
export type PeerName = 'java' | 'spark' | 'python'

const folder = join(root, '.peers')

/** What Java 17 keeps from Spark unless it is opened. */
const opened = ['java.nio', 'java.lang', 'java.lang.invoke', 'java.util', 'java.net', 'java.util.concurrent']
  .map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`)
  .concat('--add-opens=java.base/sun.nio.ch=ALL-UNNAMED', '--add-opens=java.base/sun.util.calendar=ALL-UNNAMED')

function java(side: string, main: string, options: readonly string[]): readonly [string, ...string[]] {
  const classpath = `${join(folder, side, 'classes')}:${join(folder, side, 'lib')}/*`
  return ['java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...options, '-cp', classpath, main]
}

const commands: Readonly<Record<PeerName, readonly [string, ...string[]]>> = {
  java: java('reference', 'limn.interop.Peer', ['-Xmx700m', '-Dorg.slf4j.simpleLogger.defaultLogLevel=off']),
  spark: java('spark', 'limn.interop.SparkPeer', ['-Xmx1500m', '-Dlog4j2.level=ERROR', ...opened]),
  python: [join(folder, 'python', 'bin', 'python'), '-u', join(root, 'test', 'interop', 'peer.py')],
}

const evidence: Readonly<Record<PeerName, string>> = {
  java: join(folder, 'reference', 'classes', 'limn', 'interop', 'Peer.class'),
  spark: join(folder, 'spark', 'classes', 'limn', 'interop', 'SparkPeer.class'),
  python: join(folder, 'python', 'bin', 'python'),
}

/** Whether the peers are installed. Says so when one is not; throws where they are required. */
export function peersPresent(...names: readonly PeerName[]): boolean {
  const absent = names.filter((name) => !existsSync(evidence[name]))
  if (absent.length === 0) return true
  if (process.env.LIMN_REQUIRE_INTEROP === '1')
    throw new Error(`Required here and not installed: ${absent.join(', ')}. Run scripts/install-peers.sh`)
  process.stdout.write(
    `Not installed: ${absent.join(', ')}; this suite is left out. To have them: scripts/install-peers.sh\n`,
  )
  return false
}

/** A peer's answer that says what went wrong there. */
export class PeerError extends Error {}

interface Waiting {
  readonly line: string
  readonly done: (line: string) => void
  readonly failed: (error: Error) => void
}

/**
 * A process that answers one JSON line for each that it is given, in order. When it dies, its words are the answer to what
 * it was at, and a new one goes on with what waits.
 */
export class Peer {
  private readonly name: PeerName
  private child: ChildProcessWithoutNullStreams
  private readonly waiting: Waiting[] = []
  private said: string[] = []

  constructor(name: PeerName) {
    this.name = name
    this.child = this.begin()
  }

  /** Throws `PeerError` with the peer's own words when it refuses, or dies. */
  async ask<T>(request: unknown): Promise<T> {
    const line = `${JSON.stringify(request)}\n`
    const answer = JSON.parse(
      await new Promise<string>((done, failed) => {
        this.waiting.push({ line, done, failed })
        this.child.stdin.write(line)
      }),
    ) as T & { readonly error?: string }
    if (answer.error !== undefined) throw new PeerError(answer.error)
    return answer
  }

  /** Ends the process by ending its input. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null) return
    const closed = new Promise<void>((done) => this.child.once('close', () => done()))
    this.child.stdin.end()
    await closed
  }

  private begin(): ChildProcessWithoutNullStreams {
    const [command, ...args] = commands[this.name]
    const child = spawn(command, args, { cwd: folder })
    createInterface({ input: child.stdout }).on('line', (line) => this.waiting.shift()?.done(line))
    child.stderr.on('data', (chunk: Buffer) => {
      this.said.push(chunk.toString())
      if (this.said.length > 50) this.said.shift()
    })
    // Writing to one that is dying; what it was asked is asked again.
    child.stdin.on('error', () => undefined)
    child.on('error', (error) => {
      for (const one of this.waiting.splice(0)) one.failed(error)
    })
    child.on('close', (code, signal) => {
      const [asked, ...rest] = this.waiting
      if (!asked) return
      this.waiting.shift()
      asked.failed(new PeerError(`${this.name} died of ${signal ?? code}: ${this.said.join('')}`))
      this.said = []
      this.child = this.begin()
      for (const one of rest) this.child.stdin.write(one.line)
    })
    return child
  }
}
