import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Ticks } from '../../packages/limn/src/base/index.ts'
import { StateDatabase } from '../../packages/limn/src/state/index.ts'

const opened: StateDatabase[] = []
const folders: string[] = []
function open(
  options: {
    readonly path?: string
    readonly migrations?: readonly { id: number; name: string; sql: string }[]
    readonly host?: string
    readonly nowMs?: () => number
    readonly ticks?: Ticks
  } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'limn-state-'))
  folders.push(folder)
  const path = options.path ?? join(folder, 'state.db')
  const state = new StateDatabase({
    path,
    migrations: options.migrations ?? [{ id: 1, name: 'x', sql: 'CREATE TABLE x (n INTEGER) STRICT' }],
    ...(options.host ? { host: options.host } : {}),
    ...(options.nowMs ? { clock: { nowMs: options.nowMs } } : {}),
    ...(options.ticks ? { ticks: options.ticks } : {}),
  })
  opened.push(state)
  return { state, path }
}
afterEach(() => {
  for (const state of opened.splice(0)) state.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
/** Of another machine: not to be compared with those here. */
const elsewhere: Ticks = { source: 'elsewhere', nowMs: () => 0 }
const signal = new AbortController().signal

describe('the state database', () => {
  it('applies each migration once, in order, and refuses a newer database', () => {
    const { path } = open()
    const second = { id: 2, name: 'y', sql: 'CREATE TABLE y (n INTEGER) STRICT; INSERT INTO x VALUES (1)' }
    const both = [{ id: 1, name: 'x', sql: 'CREATE TABLE x (n INTEGER) STRICT' }, second]
    open({ path, migrations: both })
    const { state } = open({ path, migrations: both })
    expect(state.read((tx) => tx.all('SELECT n FROM x'))).toEqual([{ n: 1 }])
    expect(() => open({ path })).toThrow(expect.objectContaining({ kind: 'config/newer-lake' }))
  })

  it('undoes a transaction that throws', () => {
    const { state } = open()
    expect(() =>
      state.transact((tx) => {
        tx.run('INSERT INTO x VALUES (1)')
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(state.read((tx) => tx.all('SELECT * FROM x'))).toEqual([])
  })

  it('keeps what does not wait for the disk through the end of the process, and waits again afterwards', async () => {
    const { state, path } = open()
    await state.changeSoon('x', (tx) => tx.run('INSERT INTO x VALUES (1)'))
    expect(() =>
      state.transactSoon((tx) => {
        tx.run('INSERT INTO x VALUES (2)')
        throw new Error('no')
      }),
    ).toThrow('no')
    // 2: every change waits for the disk.
    expect(state.read((tx) => tx.get('PRAGMA synchronous'))).toEqual({ synchronous: 2 })
    const { state: other } = open({ path })
    expect(other.read((tx) => tx.all('SELECT n FROM x'))).toEqual([{ n: 1 }])
  })

  it('says that a file is no database', () => {
    const folder = mkdtempSync(join(tmpdir(), 'limn-state-'))
    folders.push(folder)
    writeFileSync(join(folder, 's.db'), 'x'.repeat(5000))
    expect(() => open({ path: join(folder, 's.db') })).toThrow(expect.objectContaining({ kind: 'storage/corrupt' }))
  })
})

describe('a lease', () => {
  it('has one holder, is free after release, and counts its epochs', async () => {
    const { state, path } = open()
    const other = open({ path }).state
    const first = await state.acquire('run', 'first', { waitMs: 0, signal })
    await expect(other.acquire('run', 'second', { waitMs: 0, signal })).rejects.toMatchObject({
      kind: 'lease/held',
      message: expect.stringContaining('first'),
    })
    await first.release()
    const second = await other.acquire('run', 'second', { waitMs: 0, signal })
    expect([first.epoch, second.epoch]).toEqual([1, 2])
    expect(() => first.assertHeld()).toThrow(expect.objectContaining({ kind: 'lease/lost' }))
    await first.release()
    second.assertHeld()
    await second.release()
  })

  it('of another host is dead only after a minute of silence', async () => {
    let now = 1_000_000
    const { state, path } = open({ host: 'elsewhere', nowMs: () => now, ticks: elsewhere })
    await state.acquire('run', 'theirs', { waitMs: 0, signal })
    const here = open({ path, host: 'here', nowMs: () => now }).state
    now += 59_000
    await expect(here.acquire('run', 'ours', { waitMs: 0, signal })).rejects.toMatchObject({ kind: 'lease/held' })
    now += 2_000
    expect((await here.acquire('run', 'ours', { waitMs: 0, signal })).epoch).toBe(2)
  })

  describe('on one machine', () => {
    /** Two processes of it, by their host names: as containers have. */
    function machine() {
      const time = { clock: 1_000_000, ticks: 5_000 }
      const nowMs = () => time.clock
      const ticks: Ticks = { source: 'machine', nowMs: () => time.ticks }
      const { state, path } = open({ host: 'one', nowMs, ticks })
      return { time, state, path, other: open({ path, host: 'two', nowMs, ticks }).state }
    }
    const taking = (state: StateDatabase) => state.acquire('run', 'another', { waitMs: 0, signal })

    it('is not dead because the clock was set, forward or back', async () => {
      for (const jumpMs of [-86_400_000, 61_000, 86_400_000]) {
        const { time, state, other } = machine()
        const lease = await state.acquire('run', 'a run', { waitMs: 0, signal })
        time.clock += jumpMs
        expect([other.alive(lease.held), await other.fence(lease.held)]).toEqual([true, false])
        await expect(taking(other)).rejects.toMatchObject({ kind: 'lease/held' })
        lease.assertHeld()
      }
    })

    it('is dead after a minute in which it was not heard of, whatever the clock says', async () => {
      for (const jumpMs of [-86_400_000, 0]) {
        const { time, state, other } = machine()
        const lease = await state.acquire('run', 'a run', { waitMs: 0, signal })
        time.clock += jumpMs
        time.ticks += 59_000
        expect(other.alive(lease.held)).toBe(true)
        time.ticks += 2_000
        expect((await taking(other)).epoch).toBe(2)
        expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ kind: 'lease/lost' }))
      }
    })

    it('is heard of by beats, in ticks and by the clock', async () => {
      vi.useFakeTimers()
      try {
        const { time, state, other } = machine()
        const lease = await state.acquire('run', 'a run', { waitMs: 0, signal })
        time.clock += 90_000
        time.ticks += 90_000
        vi.advanceTimersByTime(5_000)
        expect(other.alive(lease.held)).toBe(true)
        // A beat after a take-over tells nothing.
        other.transact((tx) => tx.run("UPDATE lease SET epoch = epoch + 1 WHERE name = 'run'"))
        time.ticks += 90_000
        vi.advanceTimersByTime(5_000)
        const rows = other.read((tx) => tx.all('SELECT epoch, ticks_ms FROM lease_beat'))
        expect(rows).toEqual([{ epoch: 1, ticks_ms: 95_000 }])
      } finally {
        vi.useRealTimers()
      }
    })

    it('is told by the clock where no ticks are known of it: another release, or a machine that has started again', async () => {
      const { time, state, other } = machine()
      const lease = await state.acquire('run', 'a run', { waitMs: 0, signal })
      time.clock += 61_000
      time.ticks = 10
      expect(other.alive(lease.held)).toBe(false)
      time.ticks = 5_000
      expect(other.alive(lease.held)).toBe(true)
      other.transact((tx) => tx.run('DELETE FROM lease_beat'))
      expect(other.alive(lease.held)).toBe(false)
    })

    it('is waited for as long as was said, though the clock is set meanwhile', async () => {
      const { time, state, other } = machine()
      const first = await state.acquire('run', 'first', { waitMs: 0, signal })
      const waiting = other.acquire('run', 'second', {
        waitMs: 60_000,
        signal,
        onWait: () => {
          time.clock += 3_600_000
        },
      })
      await new Promise((done) => setTimeout(done, 250))
      await first.release()
      expect((await waiting).epoch).toBe(2)
    })
  })

  it('waits as long as it is told to, and stops waiting when aborted', async () => {
    const { state, path } = open()
    const other = open({ path }).state
    const first = await state.acquire('run', 'first', { waitMs: 0, signal })
    const abort = new AbortController()
    const waiting = other.acquire('run', 'second', {
      waitMs: 60_000,
      signal: abort.signal,
      onWait: () => abort.abort(),
    })
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await first.release()
  })
})

describe('leases taken together', () => {
  const names = (leases: { readonly held: readonly { readonly name: string }[] }) => leases.held.map((one) => one.name)

  it('are all taken or none, and the refusal names who holds which', async () => {
    const { state, path } = open()
    const other = open({ path }).state
    const first = await state.acquireAll(['run b', 'run a'], 'first', { waitMs: 0, signal })
    expect(names(first)).toEqual(['run a', 'run b'])
    const refused = await other.acquireAll(['run c', 'run b'], 'second', { waitMs: 0, signal }).catch((error) => error)
    expect(refused).toMatchObject({ kind: 'lease/held', context: { held: [{ name: 'run b', holder: 'first' }] } })
    // Nothing of the refused set was taken.
    const third = await other.acquireAll(['run c'], 'third', { waitMs: 0, signal })
    expect(third.held).toEqual([{ name: 'run c', epoch: 1 }])
    await first.release()
    expect(names(await other.acquireAll(['run a', 'run b'], 'second', { waitMs: 0, signal }))).toHaveLength(2)
  })

  it('of one word cover all that begin with it, in both directions, and no others', async () => {
    const { state, path } = open()
    const other = open({ path }).state
    const taking = (name: string) =>
      other.acquire(name, 'second', { waitMs: 0, signal }).then(
        (lease) => lease.release().then(() => 'free'),
        (error) => error.kind,
      )
    const whole = await state.acquire('run', 'first', { waitMs: 0, signal })
    expect([await taking('run a'), await taking('run'), await taking('runs a'), await taking('backfill a')]).toEqual([
      'lease/held',
      'lease/held',
      'free',
      'free',
    ])
    await whole.release()
    const part = await state.acquire('run a', 'first', { waitMs: 0, signal })
    expect([await taking('run'), await taking('run b'), await taking('runs')]).toEqual(['lease/held', 'free', 'free'])
    await part.release()
    expect(await taking('run')).toBe('free')
  })

  it('wait with word of every holder, and get all at once when the last is free', async () => {
    const { state, path } = open()
    const other = open({ path }).state
    const a = await state.acquireAll(['a'], 'first', { waitMs: 0, signal })
    const b = await state.acquireAll(['b'], 'second', { waitMs: 0, signal })
    const told: string[][] = []
    const waiting = other.acquireAll(['a', 'b'], 'third', {
      waitMs: 10_000,
      signal,
      onWait: (holders) => told.push(holders.map((one) => `${one.holder} ${one.name}`)),
    })
    await a.release()
    await new Promise((done) => setTimeout(done, 300))
    await b.release()
    expect(names(await waiting)).toEqual(['a', 'b'])
    expect(told).toEqual([['first a', 'second b']])
  })

  it('are dead as a whole when one is lost, and fencing takes the rest from a dead holder alone', async () => {
    let now = 1_000_000
    const { state, path } = open({ host: 'elsewhere', nowMs: () => now, ticks: elsewhere })
    const theirs = await state.acquireAll(['a', 'b'], 'theirs', { waitMs: 0, signal })
    const here = open({ path, host: 'here', nowMs: () => now }).state
    expect([here.alive(theirs.held), await here.fence(theirs.held)]).toEqual([true, false])
    theirs.assertHeld()
    now += 61_000
    const ours = await here.acquireAll(['a'], 'ours', { waitMs: 0, signal })
    expect(here.alive(theirs.held)).toBe(false)
    expect(await here.fence(theirs.held)).toBe(true)
    expect(() => theirs.assertHeld()).toThrow(expect.objectContaining({ kind: 'lease/lost' }))
    ours.assertHeld()
    // Its heartbeat does not bring it back.
    expect(here.read((tx) => tx.get("SELECT holder, epoch FROM lease WHERE name = 'b'"))).toEqual({
      holder: null,
      epoch: 2,
    })
  })
})
