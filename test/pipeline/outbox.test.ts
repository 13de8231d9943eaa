import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pipelineMigrations } from '../../packages/limn/src/pipeline/ledger/run-state.ts'
import { Outbox } from '../../packages/limn/src/pipeline/notify/outbox.ts'
import { ScheduleMarks } from '../../packages/limn/src/pipeline/schedule/marks.ts'
import { StateDatabase } from '../../packages/limn/src/state/index.ts'

function opened() {
  const folder = mkdtempSync(join(tmpdir(), 'limn-outbox-'))
  const state = new StateDatabase({ path: join(folder, 'state.db'), migrations: pipelineMigrations })
  return {
    state,
    [Symbol.dispose]: () => {
      state.close()
      rmSync(folder, { recursive: true })
    },
  }
}
const letter = { id: 'refused r1\nops\nops 0', payload: '{}' }
const minute = 60_000

describe('the outbox', () => {
  it('keeps a letter until it is delivered, and takes each once', async () => {
    using here = opened()
    const outbox = new Outbox(here.state)
    expect(outbox.readUpTo()).toBeNull()
    await outbox.put([letter], 7, 0)
    await outbox.put([letter], 5, 0)
    expect([outbox.readUpTo(), outbox.waiting(0)]).toEqual([7, [expect.objectContaining(letter)]])
    await outbox.delivered(letter.id, 1)
    await outbox.put([letter], 8, 2)
    expect(outbox.waiting(minute)).toEqual([])
    expect(outbox.ofKind('refused ')).toHaveLength(1)
  })

  it('tries one that fails again with the next runs, then less and less often, for a week', async () => {
    using here = opened()
    const outbox = new Outbox(here.state)
    await outbox.put([letter], 1, 0)
    const tries: number[] = []
    for (let now = 0; now < 12 * 60 * minute; now += minute) {
      if (outbox.waiting(now).length === 0) continue
      tries.push(now / minute)
      await outbox.failed(letter.id, 'no line', now)
    }
    expect(tries.slice(0, 10)).toEqual([0, 1, 2, 3, 5, 9, 17, 33, 65, 125])
    await outbox.put([], 1, 8 * 24 * 60 * minute)
    expect(outbox.waiting(8 * 24 * 60 * minute)).toEqual([])
  })
})

describe('a mark', () => {
  it('never goes back', async () => {
    using here = opened()
    const marks = new ScheduleMarks(here.state)
    expect(marks.get('tick x')).toBeNull()
    await marks.advance('tick x', 5, 0)
    await marks.advance('tick x', 3, 1)
    expect(marks.get('tick x')).toBe(5)
  })
})
