import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Lake, type OpenLakeOptions } from 'limn'
import { afterEach, describe, expect, it } from 'vitest'
import { runId, tableId } from '../../packages/limn/dist/base/index.js'
import {
  approve,
  backfill,
  cancel,
  createEnvironment,
  discardRunOf,
  promoteEnvironment,
  resume,
} from '../../packages/limn/dist/lake/index.js'
import { discardRun } from '../../packages/limn/dist/pipeline/index.js'
import { oneValue } from '../support/hooked.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder> | null = null
afterEach(() => {
  lake?.[Symbol.dispose]()
  lake = null
})

/** A lake of three days, published. */
async function published(): Promise<string> {
  lake = smallLake('fencing')
  expect((await limn(lake.folder, 'run')).code).toBe(0)
  return lake.folder
}

/** Steps that do something once, at the first change of the state database whose detail ends so. */
function once(at: string, edge: 'before' | 'after', body: (detail: string) => Promise<void>): OpenLakeOptions['steps'] {
  let done = false
  return {
    reach: async (name, when, detail) => {
      if (done || name !== 'state.change' || when !== edge || !detail.endsWith(at)) return
      done = true
      await body(detail)
    },
  }
}

const micros = (text: string) => Date.parse(text) * 1000
const january = { start: micros('2026-01-01'), end: micros('2026-02-01') }
const count = (folder: string) => oneValue(folder, 'SELECT count(*)::INTEGER FROM silver.event')

describe('a backfill', () => {
  it('is not approved by somebody who could not get its leases', async () => {
    const folder = await published()
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '5']])
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    await using opened = await Lake.open({ cwd: folder })
    const { id, outcome } = await backfill(opened, { select: ['silver.event'], range: january })
    expect(outcome.kind).toBe('waiting')
    const { state, signal } = await opened.context()
    const other = await state.acquire('backfill silver.event', 'another process', { waitMs: 0, signal })
    await expect(resume(opened, id, { approved: true })).rejects.toMatchObject({
      kind: 'lease/held',
      notDone: 'Nothing was run.',
    })
    await other.release()
    expect((await resume(opened, id)).outcome.kind).toBe('waiting')
    expect(await count(folder)).toBe(3)
    expect((await approve(opened, id)).outcome.kind).toBe('published')
    expect(await count(folder)).toBe(4)
  })

  it('asked to stop right before it would publish does not', async () => {
    const folder = await published()
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '5']])
    expect((await limn(folder, 'run', 'bronze.event')).code).toBe(0)
    let id = ''
    const steps = once(' publishing', 'after', async () => {
      const all = JSON.parse((await limn(folder, 'backfill', 'ls', '--json')).stdout) as { backfill: string }[]
      id = all[0]?.backfill ?? ''
      await using other = await Lake.open({ cwd: folder })
      await cancel(other, id)
    })
    await using opened = await Lake.open({ cwd: folder, ...(steps ? { steps } : {}) })
    await expect(backfill(opened, { select: ['silver.event'], range: january, approved: true })).rejects.toMatchObject({
      kind: 'interrupted',
    })
    expect(await count(folder)).toBe(3)
    expect((await resume(opened, id)).outcome.kind).toBe('published')
    expect(await count(folder)).toBe(4)
  })
})

describe('the promotion of an environment', () => {
  it('publishes nothing when it was taken for dead there, where others may have run since', async () => {
    const folder = await published()
    await using opened = await Lake.open({ cwd: folder })
    await createEnvironment(opened, 'dev')
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '5']])
    expect((await limn(folder, 'run', '--env', 'dev')).code).toBe(0)
    const steps = once(' running', 'after', async () => {
      // As whoever takes over the leases of a process that is paused.
      using database = new DatabaseSync(join(folder, '.limn', 'state.dev.db'))
      database.exec('UPDATE lease SET epoch = epoch + 1, holder = NULL WHERE holder IS NOT NULL')
    })
    await using promoting = await Lake.open({ cwd: folder, ...(steps ? { steps } : {}) })
    await expect(promoteEnvironment(promoting, 'dev')).rejects.toMatchObject({ kind: 'lease/lost' })
    expect(await count(folder)).toBe(3)
    expect((await promoteEnvironment(opened, 'dev')).outcome).toBe('published')
    expect(await count(folder)).toBe(4)
  })
})

describe('a run', () => {
  it('whose state database was taken away does not land what another has landed', async () => {
    const folder = await published()
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '5']])
    const steps = once(' running', 'after', async () => {
      // Another process on a new state database knows nothing of this one.
      await using other = await Lake.open({ cwd: folder, statePath: join(folder, '.limn', 'other.db') })
      expect((await other.run()).outcome).toBe('published')
    })
    await using opened = await Lake.open({ cwd: folder, ...(steps ? { steps } : {}) })
    await expect(opened.run()).rejects.toMatchObject({ kind: 'run/conflict', retryable: true })
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(4)
    expect((await opened.run()).outcome).toBe('idle')
  })

  it('that is published says so, though the state database could not be told', async () => {
    const folder = await published()
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '5']])
    const steps = once(' published', 'before', async () => {
      throw new Error('disk I/O error')
    })
    const opened = await Lake.open({ cwd: folder, ...(steps ? { steps } : {}) })
    const { outcome, run } = await opened.run()
    await opened[Symbol.asyncDispose]()
    expect(outcome).toBe('published')
    expect(await count(folder)).toBe(4)
    const next = JSON.parse((await limn(folder, 'run', '--json')).stdout)
    expect(next).toMatchObject({ outcome: 'idle', recovery: { published: [run], abandoned: [] } })
    const outcomes = `SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM limn.run WHERE run_id = '${run}'`
    expect(await oneValue(folder, outcomes)).toBe('built carried landed')
  })

  it('that was taken for dead changes nothing of how it ended when it wakes', async () => {
    const folder = await published()
    await using opened = await Lake.open({ cwd: folder })
    const { runs, state, signal, host, pid } = await opened.context()
    const id = runId('20260101T000000-000001')
    const lease = await state.acquire('run silver.event', 'a run', { waitMs: 0, signal })
    await runs.begin({ id, host, pid, startedAtMs: 0, leases: lease.held, request: null })
    await lease.release()
    const at = { endedAtMs: 1, message: 'its process is gone', recorded: true }
    await runs.end(id, 'abandoned', at)
    await runs.publishing(id, new Map([[tableId('silver.event'), 1n]]))
    await runs.end(id, 'failed', { endedAtMs: 2, message: 'woke', recorded: false })
    await runs.end(id, 'idle', { endedAtMs: 2, message: '', recorded: true })
    expect(runs.runs().find((one) => one.id === id)).toMatchObject({ phase: 'abandoned', ...at })
    expect(runs.intent(id).size).toBe(0)
  })

  it('keeps in mind the branches that others kept from being dropped', async () => {
    const folder = await published()
    deliver(folder, 'b', [['9', '2026-01-03 09:00:00', '5']])
    const steps = once(' publishing', 'before', async () => {
      throw new Error('killed')
    })
    await using opened = await Lake.open({ cwd: folder, ...(steps ? { steps } : {}) })
    await expect(opened.run()).rejects.toThrow('killed')
    const context = await opened.context(await opened.loadProject())
    const failed = context.runs.runs().find((one) => one.phase === 'failed')
    const id = runId(failed?.id ?? '')
    const requirement = { type: 'pointer-moved' } as const
    const busy = Object.assign(Object.create(context.catalog), {
      commit: async () => ({ kind: 'conflict', table: tableId('silver.event'), requirement }),
    })
    await expect(discardRun({ ...context, catalog: busy }, id)).rejects.toMatchObject({ kind: 'catalog/conflict' })
    expect(await discardRunOf(opened, id)).toEqual(['bronze.event', 'gold.day', 'silver.event'])
    const refs = "SELECT count(*)::INTEGER FROM silver.event.refs WHERE name LIKE 'run/%'"
    expect(await oneValue(folder, refs)).toBe(0)
  })
})
