import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { bronzeEvent, deliver, smallLake, writeLake } from '../support/small-lake.ts'

const launcher = join(root, 'packages', 'limn', 'bin', 'limn.js')

/** Starts a run whose source takes a while, and waits until it holds the lease. */
async function slowRun(folder: string, ...select: readonly string[]) {
  const slow = bronzeEvent
    .replace(
      "import { files, ingest } from 'limn'",
      "import { ingest, source } from 'limn'\nimport { setTimeout as sleep } from 'node:timers/promises'",
    )
    .replace(
      "files('inbox/*.csv', { format: 'csv' })",
      "source(async function* ({ cursor }) { if (cursor === 1) return; await sleep(Number(process.env.SLOW_MS ?? 0)); yield { rows: [{ id: 7, happened_at: '2026-01-01T08:00:00', amount: 3 }], cursor: 1 } })",
    )
  writeLake(folder, { 'datasets/bronze/event.ts': slow })
  const run = start(process.execPath, [launcher, 'run', '--json', ...select], {
    cwd: folder,
    env: { ...process.env, SLOW_MS: '2500' },
  })
  while (holderOf(folder) !== run.child.pid) await sleep(50)
  return run
}

/** The process that holds leases on writing datasets and has begun its run, read without limn; null while there is none. */
function holderOf(folder: string): number | null {
  const path = join(folder, '.limn', 'state.db')
  if (!existsSync(path)) return null
  try {
    using database = new DatabaseSync(path, { readOnly: true })
    const row = database
      .prepare(
        "SELECT run.pid FROM run JOIN lease ON lease.pid = run.pid WHERE name LIKE 'run %' AND phase = 'running'",
      )
      .get()
    return row ? Number(row.pid) : null
  } catch {
    // The database is being made.
    return null
  }
}

describe('the run lease', () => {
  it('refuses a second run and names the holder', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    const second = await limn(lake.folder, 'run', '--json')
    const { error } = JSON.parse(second.stdout) as { error: { kind: string; message: string } }
    expect([second.code, error.kind]).toEqual([1, 'lease/held'])
    expect(error.message).toContain(`process ${first.child.pid}`)
    expect((await first.ended).code).toBe(0)
  })

  it('lets a second run wait for the first with --wait, and then finds nothing to do', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    const second = await limn(lake.folder, 'run', '--json', '--wait', '30s')
    expect((await first.ended).code).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ outcome: 'idle' })
  })

  it('is taken over from a dead holder at once, and the ledger says what became of its run', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    first.child.kill('SIGKILL')
    await first.ended
    const planned = await limn(lake.folder, 'plan', '--json')
    expect((JSON.parse(planned.stdout) as { inDoubt: readonly unknown[] }).inDoubt).toHaveLength(1)
    const second = await limn(lake.folder, 'run', '--json')
    const report = JSON.parse(second.stdout) as { outcome: string; recovery: { abandoned: readonly string[] } }
    expect(report.outcome).toBe('published')
    expect(report.recovery.abandoned).toHaveLength(1)
    expect(await oneValue(lake.folder, "SELECT count(*)::INTEGER FROM limn.run WHERE outcome = 'abandoned'")).toBe(1)
  })

  it('fences a paused holder: when it wakes after a take-over it cannot publish', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    first.child.kill('SIGSTOP')
    // A minute of silence, told to the database instead of waited for.
    using database = new DatabaseSync(join(lake.folder, '.limn', 'state.db'))
    database.exec(
      'UPDATE lease SET heartbeat_ms = heartbeat_ms - 61000; UPDATE lease_beat SET ticks_ms = ticks_ms - 61000',
    )
    const second = await limn(lake.folder, 'run', '--json')
    expect(JSON.parse(second.stdout)).toMatchObject({ outcome: 'published' })
    first.child.kill('SIGCONT')
    const woken = await first.ended
    expect(woken.code).toBe(1)
    expect((JSON.parse(woken.stdout) as { error: { kind: string } }).error.kind).toBe('run/fenced')
    expect(await oneValue(lake.folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(1)
    expect(await oneValue(lake.folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(3)
  })

  it('is not taken over because the clock was set: the run goes on and publishes', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    // What another process sees right after a jump, before the holder has beaten again.
    await using late = await Lake.open({ cwd: lake.folder, clock: { nowMs: () => Date.now() + 7_200_000 } })
    await expect(late.run()).rejects.toMatchObject({ kind: 'lease/held' })
    const ended = await first.ended
    expect([ended.code, JSON.parse(ended.stdout)]).toEqual([0, expect.objectContaining({ outcome: 'published' })])
    expect(await oneValue(lake.folder, "SELECT count(*)::INTEGER FROM limn.run WHERE outcome = 'abandoned'")).toBe(0)
  })

  it('is of the datasets a run writes: another, of other datasets, goes on beside it and both publish', async () => {
    using lake = smallLake('lease')
    writeLake(lake.folder, {
      'datasets/other/thing.ts': bronzeEvent.replace("'bronze.event'", "'other.thing'").replace('eventReport', 'thing'),
    })
    const first = await slowRun(lake.folder, 'bronze.event+')
    const second = await limn(lake.folder, 'run', '--json', 'other.thing')
    expect(JSON.parse(second.stdout)).toMatchObject({ outcome: 'published', recovery: { abandoned: [] } })
    expect(first.child.exitCode).toBeNull()
    expect((await first.ended).code).toBe(0)
    const runs = "SELECT count(DISTINCT run_id)::INTEGER FROM limn.run WHERE outcome = 'landed'"
    expect(await oneValue(lake.folder, runs)).toBe(2)
    expect(JSON.parse((await limn(lake.folder, 'run', '--json')).stdout)).toMatchObject({ outcome: 'idle' })
  })

  it('of one of its datasets taken over fences a paused run as a whole', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    first.child.kill('SIGSTOP')
    using database = new DatabaseSync(join(lake.folder, '.limn', 'state.db'))
    database.exec(
      'UPDATE lease SET heartbeat_ms = heartbeat_ms - 61000; UPDATE lease_beat SET ticks_ms = ticks_ms - 61000',
    )
    // It asks for one dataset alone; the dead run held it and three others.
    const second = await limn(lake.folder, 'run', '--json', 'bronze.event')
    expect(JSON.parse(second.stdout)).toMatchObject({
      outcome: 'published',
      recovery: { abandoned: [expect.any(String)] },
    })
    first.child.kill('SIGCONT')
    const woken = await first.ended
    expect((JSON.parse(woken.stdout) as { error: { kind: string } }).error.kind).toBe('run/fenced')
    const held = database.prepare('SELECT count(*) AS n FROM lease WHERE holder IS NOT NULL').get()
    expect(held).toMatchObject({ n: 0 })
  })

  it('ends with 130 and publishes nothing when interrupted', async () => {
    using lake = smallLake('lease')
    const first = await slowRun(lake.folder)
    first.child.kill('SIGINT')
    const ended = await first.ended
    expect(ended.code).toBe(130)
    const listed = await limn(lake.folder, 'table', 'ls', '--json')
    expect((JSON.parse(listed.stdout) as { table: string }[]).map((one) => one.table)).toEqual(['limn.run'])
    deliver(lake.folder, 'b', [])
  })
})
