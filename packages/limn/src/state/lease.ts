import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { LimnError, processAlive } from '../base/index.ts'
import type { Migration, StateDatabase, Tx } from './database.ts'

/**
 * A lease is free, held, or dead. Dead: its process is gone (same host, by process id and start time), or it was not
 * heard of for a minute (another host, or a paused process). Whoever takes it over raises its epoch; the former holder
 * finds out by `assertHeld`.
 */
export interface Lease {
  readonly name: string
  readonly epoch: number
  /** Throws `lease/lost` when somebody took it over. */
  assertHeld(): void
  /** Gives it back; a lease that was taken over is left alone. */
  release(): Promise<void>
}

export interface LeaseHolder {
  readonly holder: string
  readonly host: string
  readonly pid: number
  readonly sinceMs: number
}

export interface AcquireOptions {
  /** How long to wait for a live holder; 0 does not. */
  readonly waitMs: number
  readonly signal: AbortSignal
  /** Called once when waiting begins. */
  readonly onWait?: (holder: LeaseHolder) => void
}

export const leaseTables: Migration = {
  id: 1,
  name: 'leases',
  sql: `CREATE TABLE lease (
    name TEXT PRIMARY KEY, holder TEXT, host TEXT, pid INTEGER, pid_started TEXT,
    epoch INTEGER NOT NULL, acquired_ms INTEGER, heartbeat_ms INTEGER
  ) STRICT`,
}

interface Row {
  readonly holder: string | null
  readonly host: string | null
  readonly pid: number | null
  readonly pid_started: string | null
  readonly epoch: number
  readonly acquired_ms: number | null
  readonly heartbeat_ms: number | null
}

const heartbeatMs = 5_000
const pollMs = 200

export async function acquireLease(
  state: StateDatabase,
  name: string,
  holder: string,
  options: AcquireOptions,
): Promise<Lease> {
  const deadline = state.clock.nowMs() + options.waitMs
  let told = false
  for (;;) {
    options.signal.throwIfAborted()
    const taken = await state.change(`lease ${name}`, (tx) => tryTake(state, tx, name, holder))
    if (taken.kind === 'taken') return heldLease(state, name, taken.epoch)
    if (state.clock.nowMs() >= deadline) throw held(name, taken.by, options.waitMs)
    if (!told) options.onWait?.(taken.by)
    told = true
    await sleep(pollMs, undefined, { signal: options.signal })
  }
}

function tryTake(
  state: StateDatabase,
  tx: Tx,
  name: string,
  holder: string,
): { readonly kind: 'taken'; readonly epoch: number } | { readonly kind: 'held'; readonly by: LeaseHolder } {
  const row = tx.get<Row>('SELECT * FROM lease WHERE name = ?', [name])
  if (row && row.holder !== null && !isDead(state, row)) {
    return {
      kind: 'held',
      by: { holder: row.holder, host: row.host ?? '', pid: Number(row.pid), sinceMs: Number(row.acquired_ms) },
    }
  }
  const epoch = (row?.epoch ?? 0) + 1
  const now = state.clock.nowMs()
  tx.run(
    'INSERT OR REPLACE INTO lease (name, holder, host, pid, pid_started, epoch, acquired_ms, heartbeat_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    [name, holder, state.host, process.pid, processStart(process.pid), epoch, now, now],
  )
  return { kind: 'taken', epoch }
}

function isDead(state: StateDatabase, row: Row): boolean {
  if (state.clock.nowMs() - Number(row.heartbeat_ms) > state.leaseDeadMs) return true
  if (row.host !== state.host) return false
  const pid = Number(row.pid)
  return !processAlive(pid) || processStart(pid) !== row.pid_started
}

/** What tells two processes of one id apart: the start time in clock ticks since boot. Linux only; elsewhere constant. */
function processStart(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return fields.slice(fields.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

function heldLease(state: StateDatabase, name: string, epoch: number): Lease {
  const timer = setInterval(() => {
    state.transact((tx) =>
      tx.run('UPDATE lease SET heartbeat_ms = ? WHERE name = ? AND epoch = ?', [state.clock.nowMs(), name, epoch]),
    )
  }, heartbeatMs)
  timer.unref()
  return {
    name,
    epoch,
    assertHeld() {
      const row = state.read((tx) => tx.get<Row>('SELECT * FROM lease WHERE name = ?', [name]))
      if (row?.epoch === epoch && row.holder !== null) return
      throw new LimnError('lease/lost', {
        message: `The lease "${name}" was taken over while this process was paused.`,
        notDone: 'Nothing more is done by this process.',
        remedy: 'Run again.',
      })
    },
    async release() {
      clearInterval(timer)
      await state.change(`lease ${name} released`, (tx) =>
        tx.run('UPDATE lease SET holder = NULL WHERE name = ? AND epoch = ?', [name, epoch]),
      )
    },
  }
}

function held(name: string, by: LeaseHolder, waitMs: number): LimnError {
  const since = new Date(by.sinceMs).toISOString()
  return new LimnError('lease/held', {
    message: `${by.holder} holds the lease "${name}" since ${since}.`,
    notDone:
      waitMs > 0 ? `Nothing was run; it was still held after ${Math.round(waitMs / 1000)} s.` : 'Nothing was run.',
    remedy: 'Wait for it: limn run --wait 10m',
    context: { ...by },
    retryable: true,
  })
}
