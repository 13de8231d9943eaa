import { setTimeout as sleep } from 'node:timers/promises'
import { LimnError, processAlive, processStart } from '../base/index.ts'
import type { Migration, StateDatabase, Tx } from './database.ts'

/**
 * A lease is free, held, or dead. Dead: its process is gone (same host, by process id and start time), or it was not
 * heard of for a minute (another host, or a paused process). On one machine that minute is of ticks, so that a clock that is set, and a
 * machine that sleeps, let nobody be taken for dead; between machines it is of the clock. Whoever takes it over raises its epoch; the former
 * holder finds out by `assertHeld`. Several are taken at once, all or none, so holders never wait for each other in a circle.
 * A lease of one word, `run`, covers all that begin with it, `run silver.flight`: while either is held, the other is not free.
 */
export interface Leases {
  readonly held: readonly HeldLease[]
  /** Throws `lease/lost` when somebody took one of them over. */
  assertHeld(): void
  /** Gives them back; one that was taken over is left alone. */
  release(): Promise<void>
}

/** A name and the epoch it was taken with: what a record of work keeps, so that others can tell whether it goes on. */
export interface HeldLease {
  readonly name: string
  readonly epoch: number
}

/** One lease alone. */
export interface Lease extends Leases, HeldLease {}

export interface LeaseHolder {
  /** The lease that is held. */
  readonly name: string
  readonly holder: string
  readonly host: string
  readonly pid: number
  readonly sinceMs: number
}

export interface AcquireOptions {
  /** How long to wait for a live holder; 0 does not. */
  readonly waitMs: number
  readonly signal: AbortSignal
  /** Called once when waiting begins, with whoever holds one of them. */
  readonly onWait?: (holders: readonly LeaseHolder[]) => void
}

export const leaseTables: Migration = {
  id: 1,
  name: 'leases',
  sql: `CREATE TABLE lease (
    name TEXT PRIMARY KEY, holder TEXT, host TEXT, pid INTEGER, pid_started TEXT,
    epoch INTEGER NOT NULL, acquired_ms INTEGER, heartbeat_ms INTEGER
  ) STRICT`,
}

/** When a holder was last heard of, in ticks. Holders of releases that know no ticks have no row of their epoch. */
export const leaseBeats = `CREATE TABLE IF NOT EXISTS lease_beat (
  name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, source TEXT NOT NULL, ticks_ms INTEGER NOT NULL
) STRICT`

interface Row {
  readonly name: string
  readonly holder: string | null
  readonly host: string | null
  readonly pid: number | null
  readonly pid_started: string | null
  readonly epoch: number
  readonly acquired_ms: number | null
  readonly heartbeat_ms: number | null
  /** Null: it told no ticks with this epoch. */
  readonly source: string | null
  readonly ticks_ms: number | null
}

const leaseRows = `SELECT lease.*, source, ticks_ms
  FROM lease LEFT JOIN lease_beat ON lease_beat.name = lease.name AND lease_beat.epoch = lease.epoch`

const heartbeatMs = 5_000
const pollMs = 200

/** Takes all of `names`, waiting while somebody else holds any of them. Throws `lease/held` and then holds none. */
export async function acquireLeases(
  state: StateDatabase,
  names: readonly string[],
  holder: string,
  options: AcquireOptions,
): Promise<Leases> {
  const wanted = [...new Set(names)].sort()
  const deadline = state.ticks.nowMs() + options.waitMs
  let told = false
  for (;;) {
    options.signal.throwIfAborted()
    const taken = await state.change(`lease ${wanted.join(' ')}`, (tx) => tryTake(state, tx, wanted, holder))
    if (taken.kind === 'taken') return heldLeases(state, taken.held)
    if (state.ticks.nowMs() >= deadline) throw held(taken.by, options.waitMs)
    if (!told) options.onWait?.(taken.by)
    told = true
    await sleep(pollMs, undefined, { signal: options.signal })
  }
}

export async function acquireLease(
  state: StateDatabase,
  name: string,
  holder: string,
  options: AcquireOptions,
): Promise<Lease> {
  const leases = await acquireLeases(state, [name], holder, options)
  const epoch = leases.held[0]?.epoch ?? 0
  return { ...leases, name, epoch }
}

type Taking =
  | { readonly kind: 'taken'; readonly held: readonly HeldLease[] }
  | { readonly kind: 'held'; readonly by: readonly LeaseHolder[] }

function tryTake(state: StateDatabase, tx: Tx, names: readonly string[], holder: string): Taking {
  const rows = new Map(names.map((name) => [name, rowOf(tx, name)]))
  const related = names.flatMap((name) => relatedRows(tx, name))
  const inTheWay = [...rows.values(), ...related].filter((row) => row !== undefined)
  const by = [...new Map(inTheWay.map((row) => [row.name, row])).values()]
    .filter((row) => isHeld(state, row))
    .map(holderOf)
  if (by.length > 0) return { kind: 'held', by }
  const now = state.clock.nowMs()
  const started = processStart(process.pid)
  const taken = names.map((name) => ({ name, epoch: (rows.get(name)?.epoch ?? 0) + 1 }))
  for (const { name, epoch } of taken) {
    tx.run(
      'INSERT OR REPLACE INTO lease (name, holder, host, pid, pid_started, epoch, acquired_ms, heartbeat_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      [name, holder, state.host, process.pid, started, epoch, now, now],
    )
    noteTicks(state, tx, { name, epoch })
  }
  return { kind: 'taken', held: taken }
}

function noteTicks(state: StateDatabase, tx: Tx, { name, epoch }: HeldLease): void {
  tx.run('INSERT OR REPLACE INTO lease_beat (name, epoch, source, ticks_ms) VALUES (?, ?, ?, ?)', [
    name,
    epoch,
    state.ticks.source,
    state.ticks.nowMs(),
  ])
}

function rowOf(tx: Tx, name: string): Row | undefined {
  return tx.get<Row>(`${leaseRows} WHERE lease.name = ?`, [name])
}

/** Leases that cover one, or are covered by it. */
function relatedRows(tx: Tx, name: string): readonly Row[] {
  const space = name.indexOf(' ')
  if (space > 0) {
    const whole = rowOf(tx, name.slice(0, space))
    return whole ? [whole] : []
  }
  const covered = "holder IS NOT NULL AND substr(lease.name, 1, length(?) + 1) = ? || ' '"
  return tx.all<Row>(`${leaseRows} WHERE ${covered}`, [name, name])
}

function holderOf(row: Row): LeaseHolder {
  return {
    name: row.name,
    holder: row.holder ?? '',
    host: row.host ?? '',
    pid: Number(row.pid),
    sinceMs: Number(row.acquired_ms),
  }
}

function isHeld(state: StateDatabase, row: Row): boolean {
  return row.holder !== null && !isDead(state, row)
}

/** Whether whoever took these leases is still taken for alive: none of them was given back, lost or is dead. */
export function leasesAlive(state: StateDatabase, leases: readonly HeldLease[]): boolean {
  return state.read((tx) => aliveIn(state, tx, leases))
}

function aliveIn(state: StateDatabase, tx: Tx, leases: readonly HeldLease[]): boolean {
  return (
    leases.length > 0 &&
    leases.every(({ name, epoch }) => {
      const row = rowOf(tx, name)
      return row?.epoch === epoch && isHeld(state, row)
    })
  )
}

/**
 * Shuts a dead holder out: unless all its leases are alive, those it still has are taken from it, epochs raised, so that it
 * finds out when it wakes. True when the holder is shut out now; false when it is alive and was left alone.
 */
export function fenceLeases(state: StateDatabase, leases: readonly HeldLease[]): Promise<boolean> {
  return state.change(`lease ${leases.map((one) => one.name).join(' ')} fenced`, (tx) => {
    if (aliveIn(state, tx, leases)) return false
    for (const { name, epoch } of leases)
      tx.run('UPDATE lease SET holder = NULL, epoch = epoch + 1 WHERE name = ? AND epoch = ?', [name, epoch])
    return true
  })
}

function isDead(state: StateDatabase, row: Row): boolean {
  if (silentMs(state, row) > state.leaseDeadMs) return true
  if (row.host !== state.host) return false
  const pid = Number(row.pid)
  return !processAlive(pid) || processStart(pid) !== row.pid_started
}

/** For how long a holder was not heard of. Ticks to come are of a machine that has started again, where the clock has to do. */
function silentMs(state: StateDatabase, row: Row): number {
  const ticks = state.ticks.nowMs() - Number(row.ticks_ms)
  if (row.source === state.ticks.source && ticks >= 0) return ticks
  return state.clock.nowMs() - Number(row.heartbeat_ms)
}

function heldLeases(state: StateDatabase, leases: readonly HeldLease[]): Leases {
  const timer = setInterval(() => beat(state, leases), heartbeatMs)
  timer.unref()
  return {
    held: leases,
    assertHeld() {
      const lost = state.read((tx) =>
        leases.find(({ name, epoch }) => {
          const row = rowOf(tx, name)
          return row?.epoch !== epoch || row.holder === null
        }),
      )
      if (lost === undefined) return
      throw new LimnError('lease/lost', {
        message: `The lease "${lost.name}" was taken over while this process was paused.`,
        notDone: 'Nothing more is done by this process.',
        remedy: 'Run again.',
      })
    },
    async release() {
      clearInterval(timer)
      const names = leases.map((one) => one.name).join(' ')
      await state.change(`lease ${names} released`, (tx) => {
        for (const { name, epoch } of leases)
          tx.run('UPDATE lease SET holder = NULL WHERE name = ? AND epoch = ?', [name, epoch])
      })
    },
  }
}

/** A beat that fails is left out: if none succeeds for a minute the leases count as dead, and `assertHeld` tells of it. */
function beat(state: StateDatabase, leases: readonly HeldLease[]): void {
  const now = state.clock.nowMs()
  try {
    state.transact((tx) => {
      for (const lease of leases) {
        const { name, epoch } = lease
        if (rowOf(tx, name)?.epoch !== epoch) continue
        tx.run('UPDATE lease SET heartbeat_ms = ? WHERE name = ?', [now, name])
        noteTicks(state, tx, lease)
      }
    })
  } catch {
    // The database is busy or closed.
  }
}

function held(by: readonly LeaseHolder[], waitMs: number): LimnError {
  const [first] = by
  const since = new Date(first?.sinceMs ?? 0).toISOString()
  const names = by.map((one) => `"${one.name}"`).join(', ')
  const others = new Set(by.map((one) => one.holder)).size > 1 ? ' and others' : ''
  return new LimnError('lease/held', {
    message: `${first?.holder}${others} ${others === '' ? 'holds' : 'hold'} the lease${by.length > 1 ? 's' : ''} ${names} since ${since}.`,
    notDone:
      waitMs > 0 ? `Nothing was run; it was still held after ${Math.round(waitMs / 1000)} s.` : 'Nothing was run.',
    remedy: 'Try again when it has ended; limn run waits with --wait 10m.',
    context: { ...first, held: by },
    retryable: true,
  })
}
