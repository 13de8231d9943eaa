import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { env, redact, tableId } from '../../packages/limn/src/base/index.ts'
import type { LedgerRow, Outcome } from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import { deliver, type Notification } from '../../packages/limn/src/pipeline/notify/hooks.ts'
import { incidentsOf, inTimeAgain, lateIncidents } from '../../packages/limn/src/pipeline/notify/incidents.ts'
import { ledgerRow } from '../support/projects.ts'

const known = ['silver.a', 'silver.ab', 'gold.c'].map(tableId)
const brief = (rows: readonly LedgerRow[], after = 0) =>
  incidentsOf(rows, known, after).map((one) => [one.on, one.run, ...one.datasets])

describe('incidents', () => {
  const refused = (seq: number, run: string, message: string) => [
    ledgerRow({ seq, run, dataset: 'silver.a', outcome: 'refused', message }),
    ledgerRow({ seq: seq + 1, run, dataset: 'gold.c', outcome: 'refused', message }),
  ]

  it('are those of the datasets a run’s message names, whole names only', () => {
    expect(brief(refused(1, 'r1', 'silver.a: unique(id): 3 groups'))).toEqual([['refused', 'r1', 'silver.a']])
    expect(brief(refused(1, 'r1', 'silver.ab: unique(id): 3 groups'))).toEqual([['refused', 'r1', 'silver.ab']])
    expect(brief(refused(1, 'r1', 'no name'))).toEqual([['refused', 'r1', 'silver.a', 'gold.c']])
    expect(brief([ledgerRow({ run: 'r1', dataset: '*', outcome: 'abandoned' })])).toEqual([['failed', 'r1']])
    expect(brief([ledgerRow({ run: 'r1', dataset: '*', outcome: 'cancelled', message: 'asked to stop' })])).toEqual([])
  })

  it('end when what failed is published again, and only then', () => {
    const rows = [
      ...refused(1, 'r1', 'silver.a: unique(id)'),
      ledgerRow({ seq: 3, run: 'r2', dataset: 'gold.c' }),
      ledgerRow({ seq: 3, run: 'r2b', dataset: 'silver.a', outcome: 'cancelled' }),
      ledgerRow({ seq: 4, run: 'r3', dataset: 'silver.a', outcome: 'kept' }),
      ledgerRow({ seq: 5, run: 'r4', dataset: 'silver.a' }),
    ]
    expect(brief(rows)).toEqual([
      ['refused', 'r1', 'silver.a'],
      ['recovered', 'r3', 'silver.a'],
    ])
  })

  it('are found once each, with the same ids, however often and wherever the ledger was read', () => {
    const outcomes: readonly Outcome[] = ['built', 'landed', 'refused', 'failed', 'abandoned', 'kept']
    const run = fc.record({
      outcome: fc.constantFrom(...outcomes),
      dataset: fc.constantFrom(...known),
      names: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(run, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 12 })), (runs, cuts) => {
        const rows = runs.map(({ outcome, dataset, names }, i) =>
          ledgerRow({
            seq: i + 1,
            run: `r${i}`,
            outcome,
            dataset: outcome === 'failed' || outcome === 'abandoned' ? '*' : dataset,
            message: names ? `${dataset}: broken` : '',
          }),
        )
        const whole = incidentsOf(rows, known, 0)
        const reads = [...cuts.filter((cut) => cut < rows.length).sort((a, b) => a - b), rows.length]
        let after = 0
        const piecewise = reads.flatMap((upTo) => {
          const found = incidentsOf(rows.slice(0, upTo), known, after)
          after = upTo
          return found
        })
        expect(piecewise).toEqual(whole)
        expect(new Set(whole.map((one) => one.id)).size).toBe(whole.length)
        // Nobody recovers who had not failed since.
        for (const [i, one] of whole.entries()) {
          if (one.on !== 'recovered') continue
          expect(whole.slice(0, i).some((before) => before.on === 'failed' || before.on === 'refused')).toBe(true)
        }
      }),
      {
        numRuns: 100,
        examples: [
          [
            [
              { outcome: 'refused', dataset: tableId('silver.a'), names: false },
              { outcome: 'built', dataset: tableId('silver.a'), names: false },
            ],
            [1],
          ],
        ],
      },
    )
  })

  it('of lateness are told once as expected and once as come true, and end when the tick is done', () => {
    const outlook = {
      dataset: tableId('gold.c'),
      schedule: 'gold.*',
      tickMs: 1000,
      promise: 'deadline',
      byMs: 5000,
      expectedMs: 6000,
      slowMs: 7000,
      chain: [tableId('gold.c')],
    } as const
    const [soon] = lateIncidents([{ ...outlook, verdict: 'will-be-late' }], 2000)
    const [late] = lateIncidents([{ ...outlook, verdict: 'late' }], 6000)
    expect([soon?.predicted, late?.predicted, soon?.id === late?.id]).toEqual([true, false, false])
    expect(lateIncidents([{ ...outlook, verdict: 'at-risk' }], 2000)).toEqual([])
    const told = [soon, late].flatMap((one) => (one ? [one] : []))
    expect(inTimeAgain(told, () => false, 9000)).toEqual([])
    expect(inTimeAgain(told, (_, tick) => tick.atMs === 1000, 9000)).toHaveLength(1)
  })
})

const notification: Notification = {
  id: 'refused r1',
  on: 'refused',
  datasets: ['silver.a'],
  run: 'r1',
  message: 'silver.a: unique(id)',
  predicted: false,
  lake: 'small',
  owner: 'ops',
  at: '2026-01-01T00:00:00.000Z',
}

describe('a hook', () => {
  let server: Server
  let answers: (number | 'hang up' | 'silence')[] = []
  const got: { readonly id: unknown; readonly body: Notification; readonly token: unknown }[] = []
  const waits: number[] = []
  let address = ''
  let folder = ''
  const ports = () => ({
    signal: new AbortController().signal,
    sleep: async (ms: number) => void waits.push(ms),
    variables: { PATH: process.env.PATH, HOOK: address, TOKEN: 'hush-hush' },
    timeoutMs: 5000,
    cwd: folder,
  })
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'limn-hook-'))
    server = createServer((request, response) => {
      let text = ''
      request.on('data', (chunk: Buffer) => {
        text += String(chunk)
      })
      request.on('end', () => {
        got.push({
          id: request.headers['idempotency-key'],
          body: JSON.parse(text),
          token: request.headers.authorization,
        })
        const answer = answers.shift() ?? 200
        if (answer === 'hang up') response.destroy()
        else if (answer !== 'silence') response.writeHead(answer).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/very-secret?key=abcdef`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })
  const hook = { on: ['refused' as const], webhook: env('HOOK'), headers: { authorization: env('TOKEN') } }

  it('of the web is tried again while it hangs up or is in trouble, always with one id', async () => {
    answers = [503, 'hang up', 204]
    await deliver(hook, notification, ports())
    expect(got.map((one) => one.id)).toEqual(Array(3).fill('refused r1'))
    expect([got[2]?.body, got[2]?.token]).toEqual([notification, 'hush-hush'])
    expect(waits).toEqual([1000, 4000])
  })

  it('of the web that says nothing is waited for three times, and no longer', async () => {
    got.length = 0
    answers = ['silence', 'silence', 'silence', 204]
    await expect(deliver(hook, notification, { ...ports(), timeoutMs: 200 })).rejects.toThrow(/timeout/)
    answers = []
  })

  it('of the web that says no is not asked again, and nothing of its address is told', async () => {
    got.length = 0
    answers = [404]
    await expect(deliver(hook, notification, ports())).rejects.toThrow('The webhook answered 404.')
    expect(got).toHaveLength(1)
    const wrong = { ...ports(), variables: { HOOK: 'http://127.0.0.1:1/very-secret?key=abcdef', TOKEN: 'hush-hush' } }
    const said = await deliver(hook, notification, wrong).then(
      () => '',
      (error: Error) => error.message,
    )
    expect(said).not.toBe('')
    expect(said).not.toMatch(/very-secret|abcdef|hush|127\.0\.0\.1:1/)
    await expect(deliver(hook, notification, { ...ports(), variables: {} })).rejects.toThrow('HOOK is not set')
  })

  it('that is a command gets the incident on its input, and its own words are told when it fails', async () => {
    const script =
      "require('fs').writeFileSync('got.json', require('fs').readFileSync(0)); console.error('on ' + process.env.LIMN_NOTIFICATION_ID + ' with ' + process.argv[1]); process.exit(process.argv[1] === 'hush-hush' ? 7 : 0)"
    const node = process.execPath
    await deliver({ on: ['refused'], command: [node, '-e', script, 'x'] }, notification, {
      ...ports(),
      timeoutMs: 10_000,
    })
    expect(JSON.parse(readFileSync(join(folder, 'got.json'), 'utf8'))).toEqual(notification)
    await expect(
      deliver({ on: ['refused'], command: [node, '-e', script, env('TOKEN')] }, notification, {
        ...ports(),
        timeoutMs: 10_000,
      }),
    ).rejects.toThrow('The command ended with 7: on refused r1 with [TOKEN]')
    await expect(
      deliver({ on: ['refused'], command: [node, '-e', 'setTimeout(() => {}, 60000)'] }, notification, {
        ...ports(),
        timeoutMs: 200,
      }),
    ).rejects.toThrow()
  })

  it('is told of by the name of its variable, whatever part of the value is said', () => {
    const variables = { URL: 'https://user:pass-word@hooks.example/T0/B1?token=xyz9' }
    const secrets = [env('URL'), 'plain']
    expect(redact('POST https://user:pass-word@hooks.example/T0/B1?token=xyz9 failed', secrets, variables)).toBe(
      'POST [URL] failed',
    )
    for (const part of ['pass-word', '/T0/B1?token=xyz9', '?token=xyz9', 'hooks.example'])
      expect(redact(`no ${part}.`, secrets, variables)).toBe('no [URL].')
  })
})
