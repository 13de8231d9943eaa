import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Emitter, nameOfPlace, parentOf, type RunEvent } from '../../packages/limn/src/observe/index.ts'
import { temporaryFolder } from '../support/lake.ts'
import { problemsOf } from '../support/run-events.ts'

const event: RunEvent = {
  eventType: 'START',
  eventTime: '2026-01-01T00:00:00.000Z',
  producer: 'https://example.org/p',
  schemaURL: 'https://example.org/s',
  run: { runId: '7f3c7f6e-1d7a-4f7c-9a39-0a2f0d8c1111', facets: {} },
  job: { namespace: 'limn://a', name: 'a.run', facets: {} },
  inputs: [],
  outputs: [],
}
const numbered = (n: number): RunEvent => ({ ...event, job: { ...event.job, name: `job ${n}` } })
const ports = { print: () => undefined, resolve: (path: string) => path }

/** A server that answers as told, in turn; the last answer stays. */
async function endpoint(answers: readonly (number | 'hang')[]) {
  const bodies: { readonly name: string; readonly authorization: string | undefined }[] = []
  let asked = 0
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const answer = answers[Math.min(asked++, answers.length - 1)] ?? 200
    if (answer === 'hang') return
    if (answer < 300) bodies.push({ name: JSON.parse(text).job.name, authorization: request.headers.authorization })
    response.writeHead(answer).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    to: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/lineage`,
    bodies,
    asked: () => asked,
    [Symbol.dispose]: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

describe('events over HTTP', () => {
  it('arrive in order, with the headers of the configuration', async () => {
    using server = await endpoint([201])
    const emitter = new Emitter({ to: server.to, headers: { Authorization: 'Bearer x' } }, ports)
    for (const n of [1, 2, 3]) emitter.emit(numbered(n))
    expect(await emitter.close()).toEqual({ sent: 3, lost: 0, reason: null })
    expect(server.bodies).toEqual([1, 2, 3].map((n) => ({ name: `job ${n}`, authorization: 'Bearer x' })))
  })

  it('are sent anew while the endpoint is not well, and not when it refuses them', async () => {
    using unwell = await endpoint([503, 429, 200])
    const patient = new Emitter({ to: unwell.to }, ports)
    patient.emit(numbered(1))
    patient.emit(numbered(2))
    expect(await patient.close()).toEqual({ sent: 2, lost: 0, reason: null })
    expect(unwell.bodies.map((one) => one.name)).toEqual(['job 1', 'job 2'])

    using refusing = await endpoint([401])
    const refused = new Emitter({ to: refusing.to }, ports)
    refused.emit(numbered(1))
    expect(await refused.close()).toEqual({ sent: 0, lost: 1, reason: 'the endpoint answered 401' })
    expect(refusing.asked()).toBe(1)
  })

  it('are lost and counted, without an error, when nobody is there or nobody answers', async () => {
    const nobody = new Emitter({ to: 'http://127.0.0.1:9/x', retries: 1 }, ports)
    nobody.emit(event)
    nobody.emit(event)
    expect(await nobody.close()).toMatchObject({ sent: 0, lost: 2 })

    using silent = await endpoint(['hang'])
    const waiting = new Emitter({ to: silent.to, retries: 0, timeoutMs: 100 }, ports)
    waiting.emit(event)
    expect(await waiting.close()).toMatchObject({ sent: 0, lost: 1 })
    const hurried = new Emitter({ to: silent.to, retries: 0, timeoutMs: 400 }, ports)
    hurried.emit(event)
    expect(await hurried.close(50)).toEqual({ sent: 0, lost: 1, reason: 'the endpoint did not answer in time' })
  })
})

describe('events in a file', () => {
  it('go to the same one, whether it is said as a path or as an address', async () => {
    using place = temporaryFolder('events')
    const file = join(place.folder, 'deep', 'events.ndjson')
    const there = { ...ports, resolve: (path: string) => resolve(place.folder, path) }
    for (const to of ['deep/events.ndjson', 'file:deep/events.ndjson', `file://${file}`]) {
      const emitter = new Emitter({ to }, there)
      emitter.emit(event)
      expect(await emitter.close()).toEqual({ sent: 1, lost: 0, reason: null })
    }
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(3)
    expect(() => new Emitter({ to: 'file://events.ndjson' }, there)).toThrow('names a host')
  })
})

describe('the schema of run events', () => {
  it('holds for an event and not for one with a part left out or of another form', () => {
    expect(problemsOf(event)).toEqual([])
    const { run: _run, ...without } = event
    expect(problemsOf(without)).not.toEqual([])
    expect(problemsOf({ ...event, run: { runId: 'r1', facets: {} } })).not.toEqual([])
    expect(problemsOf({ ...event, eventType: 'DONE' })).not.toEqual([])
    expect(problemsOf({ ...event, outputs: [{ namespace: 'file', name: '/t', facets: { schema: {} } }] })).not.toEqual(
      [],
    )
  })
})

describe('names', () => {
  it('of places are those of the specification', () => {
    expect(nameOfPlace('file:///lake/warehouse/silver/a')).toEqual({
      namespace: 'file',
      name: '/lake/warehouse/silver/a',
    })
    expect(nameOfPlace('/inbox/a.csv')).toEqual({ namespace: 'file', name: '/inbox/a.csv' })
    expect(nameOfPlace('s3://bucket/w/silver/a')).toEqual({ namespace: 's3://bucket', name: 'w/silver/a' })
  })

  it('of a parent are taken apart from behind, and anything else is no parent', () => {
    const runId = '7f3c7f6e-1d7a-4f7c-9a39-0a2f0d8c1111'
    expect(parentOf(`http://airflow:8080/dag.task/${runId}`)).toEqual({
      namespace: 'http://airflow:8080',
      name: 'dag.task',
      runId,
    })
    for (const text of [undefined, '', 'a/b', `a/b/not-a-uuid`, `/${runId}`]) expect(parentOf(text)).toBe(null)
  })
})
