import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../../packages/limn/dist/observe/index.js'
import { oneValue } from '../support/hooked.ts'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { eventsOf, lakeTelling, told } from '../support/run-events.ts'
import { silverEvent, smallLake, writeLake } from '../support/small-lake.ts'

describe('a run with lineage', () => {
  it('tells START and COMPLETE of itself and of every dataset: who, from what, into what, how much', async () => {
    using lake = lakeTelling('events.ndjson')
    const { folder } = lake
    const report = JSON.parse((await limn(folder, 'run', '--json')).stdout)
    const events = eventsOf(folder)
    const jobs = ['bronze.event', 'gold.day', 'silver.event', 'small.run']
    expect(told(events)).toEqual(jobs.flatMap((job) => [`${job} COMPLETE`, `${job} START`]).sort())
    expect([events[0], events.at(-1)].map((one) => `${one?.job.name} ${one?.eventType}`)).toEqual([
      'small.run START',
      'small.run COMPLETE',
    ])
    // One run id per run; datasets are children of the run as a whole.
    for (const job of jobs)
      expect(new Set(events.filter((one) => one.job.name === job).map((one) => one.run.runId)).size).toBe(1)
    const whole = events[0]?.run.runId
    for (const one of events.slice(1, -1)) expect(one.run.facets.parent?.run).toEqual({ runId: whole })

    const gold = events.find((one) => one.job.name === 'gold.day' && one.eventType === 'COMPLETE')
    const snapshot = await oneValue(
      folder,
      "SELECT max(output_snapshot)::VARCHAR FROM limn.run WHERE dataset = 'gold.day'",
    )
    const [output] = gold?.outputs ?? []
    expect(output?.name).toBe(join(folder, 'warehouse', 'gold', 'day'))
    expect(output?.facets.version).toMatchObject({ datasetVersion: snapshot })
    expect(output?.outputFacets?.outputStatistics).toMatchObject({ rowCount: 3 })
    expect(output?.facets.schema).toMatchObject({
      fields: [
        { name: 'day', type: 'timestamp' },
        { name: 'events', type: 'long' },
        { name: 'amount', type: 'long' },
      ],
    })
    const place = { namespace: 'file', name: join(folder, 'warehouse', 'silver', 'event') }
    const lineage = output?.facets.columnLineage as unknown as {
      readonly fields: Record<string, { readonly inputFields: readonly unknown[] }>
      readonly dataset: readonly unknown[]
    }
    expect(lineage.fields.amount?.inputFields).toMatchObject([{ ...place, field: 'amount' }])
    expect(lineage.fields.day?.inputFields).toMatchObject([{ ...place, field: 'happened_at' }])
    expect(lineage.dataset).toMatchObject([{ ...place, field: 'happened_at' }])
    expect(gold?.job.facets.sql?.query).toContain('GROUP BY ALL')
    const [input] = gold?.inputs ?? []
    const silver = await oneValue(
      folder,
      "SELECT max(output_snapshot)::VARCHAR FROM limn.run WHERE dataset = 'silver.event'",
    )
    expect(input).toMatchObject({ ...place, facets: { version: { datasetVersion: silver } } })
    const bronze = events.find((one) => one.job.name === 'bronze.event' && one.eventType === 'COMPLETE')
    expect(bronze?.inputs).toMatchObject([{ namespace: 'file', name: join(folder, 'inbox', 'a.csv') }])
    expect(events.at(-1)?.run.facets.limn_run?.run).toBe(report.run)

    await limn(folder, 'run', '--json')
    expect(told(eventsOf(folder, events.length))).toEqual(['small.run COMPLETE', 'small.run START'])
  })

  it('tells FAIL of what a gate refused and ABORT of what was refused with it', async () => {
    using lake = lakeTelling('events.ndjson')
    const { folder } = lake
    writeLake(folder, {
      'datasets/silver/event.ts': silverEvent.replace(
        'build:',
        "checks: (check) => [check.between('amount', 0, 15)],\n  build:",
      ),
    })
    expect((await limn(folder, 'run', '--json')).code).toBe(3)
    const ends = eventsOf(folder).filter((one) => one.eventType !== 'START')
    expect(told(ends)).toEqual(['bronze.event ABORT', 'gold.day ABORT', 'silver.event FAIL', 'small.run FAIL'])
    const silver = ends.find((one) => one.job.name === 'silver.event')
    expect(silver?.run.facets.errorMessage?.message).toContain('amount')
    for (const one of ends) for (const output of one.outputs) expect(output.facets.version).toBe(undefined)
  })

  it('tells FAIL with the error of what could not be built', async () => {
    using lake = lakeTelling('events.ndjson')
    const { folder } = lake
    writeLake(folder, { 'inbox/a.csv': 'id,happened_at\n1,2026-01-01 00:00:00\n' })
    expect((await limn(folder, 'run', '--json')).code).toBe(1)
    const ends = eventsOf(folder).filter((one) => one.eventType !== 'START')
    expect(told(ends)).toContain('small.run FAIL')
    expect(ends.at(-1)?.run.facets.errorMessage?.message).toMatch(/amount.*nothing was published/)
  })

  it('is as it would be without when nobody takes its events, and says so once', async () => {
    using lake = lakeTelling('http://127.0.0.1:9/lineage')
    const { folder } = lake
    const { code, stderr } = await limn(folder, 'run')
    expect(code).toBe(0)
    expect(stderr.match(/lineage events could not be sent/g)).toHaveLength(1)
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM gold.day')).toBe(3)
  })

  it('is a child of the run that started it, and prints events ahead of its result', async () => {
    using lake = lakeTelling('stdout')
    const { folder } = lake
    const parent = '7f3c7f6e-1d7a-4f7c-9a39-0a2f0d8c1111'
    const { ended } = start(process.execPath, [join(root, 'packages', 'limn', 'bin', 'limn.js'), 'run', '--json'], {
      cwd: folder,
      env: { ...process.env, OPENLINEAGE_PARENT_ID: `airflow/quakes.run/${parent}` },
    })
    const lines = (await ended).stdout.trimEnd().split('\n')
    const at = lines.findIndex((line) => !line.includes('"eventType"'))
    const events = lines.slice(0, at).map((line) => JSON.parse(line) as RunEvent)
    expect(events).toHaveLength(8)
    expect(JSON.parse(lines.slice(at).join('\n')).outcome).toBe('published')
    expect(events[0]?.run.facets.parent).toMatchObject({
      run: { runId: parent },
      job: { namespace: 'airflow', name: 'quakes.run' },
    })
    for (const one of events.slice(1, -1)) expect(one.run.facets.parent?.root).toMatchObject({ run: { runId: parent } })
  })
})

describe('a configuration that is not right', () => {
  for (const [options, message] of [
    ["lineage: { namespace: 'x' }", 'lineage.to is missing'],
    ["lineage: { to: 'stdout', retry: 3 }", 'lineage.retry'],
    ["engine: { memory: 'lots' }", 'engine.memory is "lots"'],
    ['engine: { threads: 0 }', 'engine.threads is 0'],
    ["engine: { memoryLimit: '1GB' }", 'engine.memoryLimit'],
  ] as const) {
    it(`is refused: ${options}`, async () => {
      using lake = smallLake('options')
      writeLake(lake.folder, {
        'limn.config.ts': `import { defineLake } from 'limn'\nexport default { name: 'small', ${options} }\n`,
      })
      const { code, stdout } = await limn(lake.folder, 'plan', '--json')
      expect([code, JSON.parse(stdout).error.kind]).toEqual([2, 'config/invalid'])
      expect(JSON.parse(stdout).error.message).toContain(message)
    })
  }
})
