import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contentsOf, pointersOf } from '../support/contents.ts'
import { limn, temporaryFolder } from '../support/lake.ts'
import { writeLake } from '../support/small-lake.ts'

interface DoubtJson {
  readonly column: string | null
  readonly kind: string
  readonly expression: string
  readonly rows: number
}

interface ProofJson {
  readonly dataset: string
  readonly interval: { readonly start: string } | null
  readonly verdict: string
  readonly rows: number
  readonly differs: readonly DoubtJson[]
  readonly mayDiffer: readonly DoubtJson[]
}

const bronze = `import { files, ingest } from 'limn'
export const reading = ingest('bronze.reading', {
  doc: 'One row per reading.', owner: 'test',
  from: files('inbox/*.csv', { format: 'csv' }),
  columns: {
    id: { type: 'long', doc: 'Number.' },
    read_at: { type: 'timestamp', doc: 'When.' },
    sensor: { type: 'int', doc: 'Which.' },
    value: { type: 'double', doc: 'What.', additivity: 'non-additive' },
    grade: { type: 'int', doc: 'Quality, 1 to 3.', additivity: 'non-additive' },
  },
})
`

/** A model per sensor and day, of one more column. */
function model(name: string, type: string, expression: string): string {
  return `import { byInterval, model, same, sql } from 'limn'
import { reading } from '../bronze/reading.ts'
export const ${name} = model('gold.${name}', {
  doc: 'One row per day and sensor.', owner: 'test', grain: ['day', 'sensor'], keys: ['day', 'sensor'],
  columns: {
    day: { type: 'timestamp', doc: 'The day.' },
    sensor: { type: 'int', doc: 'Which.' },
    readings: { type: 'long', doc: 'How many.', additivity: 'additive' },
    it: { type: '${type}', doc: 'The column in doubt.', additivity: 'non-additive', nulls: 'none' },
  },
  build: byInterval('day', 'day', ({ interval }) => sql\`
    SELECT date_trunc('day', read_at)::TIMESTAMP AS day, sensor, count(*) AS readings, ${expression} AS it
    FROM \${reading} WHERE read_at >= \${interval.start} AND read_at < \${interval.end} GROUP BY ALL\`),
  edges: { 'bronze.reading': { reads: same, touches: 'read_at' } },
})
`
}

const models = {
  draws: ['double', 'max(value) + random()'],
  asks_time: ['timestamptz', 'now()'],
  asks_date: ['date', 'current_date'],
  takes_first: ['double', 'first(value)'],
  takes_list: ['string', 'list(grade)::VARCHAR'],
  sums: ['double', 'sum(value)'],
  joins_texts: ['string', "string_agg(grade::VARCHAR, '')"],
  takes_best: ['double', 'arg_max(value, grade)'],
  gives_names: ['uuid', 'max(uuid())'],
  asks_hours: ['double', "date_diff('hour', max(read_at), localtimestamp)::DOUBLE"],
  counts_about: ['long', 'approx_count_distinct(id)'],
  clean: ['double', 'max(value)'],
  ordered: ['string', 'list(grade ORDER BY id)::VARCHAR'],
  whole_numbers: ['double', 'avg(grade)'],
} as const

const numbered = `import { model, sql, whole } from 'limn'
import { reading } from '../bronze/reading.ts'
export const numbered = model('gold.numbered', {
  doc: 'One row per reading of the best grade.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: {
    id: { type: 'long', doc: 'Number.' },
    place: { type: 'long', doc: 'Place among readings of its sensor.', additivity: 'non-additive' },
  },
  build: whole(() => sql\`SELECT id, row_number() OVER (PARTITION BY sensor) AS place FROM \${reading}\`),
})
export const tied = model('gold.tied', {
  doc: 'Place by a grade that many share.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: {
    id: { type: 'long', doc: 'Number.' },
    place: { type: 'long', doc: 'Place among readings of its sensor.', additivity: 'non-additive' },
  },
  build: whole(() => sql\`SELECT id, row_number() OVER (PARTITION BY sensor ORDER BY grade) AS place FROM \${reading}\`),
})
export const best = model('gold.best', {
  doc: 'Readings of the best grade, some of many.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: { id: { type: 'long', doc: 'Number.' } },
  build: whole(() => sql\`SELECT id FROM \${reading} ORDER BY grade DESC LIMIT 100\`),
})
export const one_each = model('gold.one_each', {
  doc: 'A reading of each sensor.', owner: 'test', grain: ['sensor'], keys: ['sensor'],
  columns: { sensor: { type: 'int', doc: 'Which.' }, id: { type: 'long', doc: 'Number.' } },
  build: whole(() => sql\`SELECT DISTINCT ON (sensor) sensor, id FROM \${reading}\`),
})
export const within = model('gold.within', {
  doc: 'A draw in a common table expression.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: { id: { type: 'long', doc: 'Number.' }, luck: { type: 'double', doc: 'A draw.', additivity: 'non-additive' } },
  build: whole(() => sql\`WITH drawn AS (SELECT id, random() AS luck FROM \${reading}) SELECT id, luck FROM drawn\`),
})
export const settled = model('gold.settled', {
  doc: 'Places and limits by what tells all rows apart.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: {
    id: { type: 'long', doc: 'Number.' },
    place: { type: 'long', doc: 'Place.', additivity: 'non-additive' },
  },
  build: whole(() => sql\`SELECT id, row_number() OVER (PARTITION BY sensor ORDER BY grade, id) AS place FROM \${reading} ORDER BY grade, id LIMIT 500\`),
})
export const limited = model('gold.limited', {
  doc: 'Some readings.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: { id: { type: 'long', doc: 'Number.' } },
  build: whole(() => sql\`SELECT id FROM \${reading} LIMIT 100\`),
})
`

const others = ['numbered', 'tied', 'best', 'one_each', 'within', 'settled', 'limited']

describe('limn prove', () => {
  const lake = temporaryFolder('prove')
  const { folder } = lake
  let proofs: ReadonlyMap<string, ProofJson> = new Map()
  let before: unknown

  beforeAll(async () => {
    writeLake(folder, {
      'limn.config.ts': "import { defineLake } from 'limn'\nexport default defineLake({ name: 'prove' })\n",
      'datasets/bronze/reading.ts': bronze,
      'datasets/gold/numbered.ts': numbered,
      ...Object.fromEntries(
        Object.entries(models).map(([name, [type, sql]]) => [`datasets/gold/${name}.ts`, model(name, type, sql)]),
      ),
    })
    mkdirSync(join(folder, 'inbox'), { recursive: true })
    for (const part of [0, 1, 2, 3]) {
      const lines = ['id,read_at,sensor,value,grade']
      for (let i = 0; i < 5000; i++) {
        const id = part * 5000 + i
        lines.push(`${id},2026-01-0${1 + (i % 2)} 0${i % 10}:00:00,${i % 7},${(id * 0.37) % 1e3},${1 + (id % 3)}`)
      }
      writeFileSync(join(folder, 'inbox', `part-${part}.csv`), `${lines.join('\n')}\n`)
    }
    const ran = await limn(folder, 'run', '--json')
    expect(ran.code).toBe(0)
    before = [await contentsOf(folder), pointersOf(folder)]
    const ended = await limn(folder, 'prove', '--json')
    expect([ended.code, ended.stderr]).toEqual([3, ''])
    const list = (JSON.parse(ended.stdout) as { proofs: readonly ProofJson[] }).proofs
    proofs = new Map(list.map((one) => [one.dataset.replace('gold.', ''), one]))
  })
  afterAll(() => lake[Symbol.dispose]())

  it('names the column and the expression that came out otherwise', () => {
    const found = (name: string) => {
      const proof = proofs.get(name)
      return [proof?.verdict, ...(proof?.differs ?? []).map((one) => [one.column, one.kind, one.expression])]
    }
    expect(Object.fromEntries([...Object.keys(models), ...others].map((name) => [name, found(name)]))).toEqual({
      draws: ['differs', ['it', 'random', 'random()']],
      asks_time: ['differs', ['it', 'clock', 'now()']],
      asks_date: ['differs', ['it', 'clock', 'current_date']],
      takes_first: ['differs', ['it', 'order', '"first"("value")']],
      takes_list: ['differs', ['it', 'order', 'list(grade)']],
      sums: ['differs', ['it', 'sum-order', 'sum("value")']],
      joins_texts: ['differs', ['it', 'order', "string_agg(CAST(grade AS VARCHAR), '')"]],
      takes_best: ['differs', ['it', 'ties', 'arg_max("value", grade)']],
      gives_names: ['differs', ['it', 'random', 'uuid()']],
      asks_hours: ['differs', ['it', 'clock', 'localtimestamp']],
      counts_about: ['same'],
      clean: ['same'],
      ordered: ['same'],
      whole_numbers: ['same'],
      tied: ['differs', ['place', 'ties', 'row_number() OVER (PARTITION BY sensor ORDER BY grade)']],
      best: ['differs', ['id', 'ties', 'LIMIT']],
      one_each: ['differs', ['id', 'order', 'DISTINCT ON']],
      within: ['differs', ['luck', 'random', 'random()']],
      settled: ['same'],
      numbered: ['differs', ['place', 'order', 'row_number() OVER (PARTITION BY sensor)']],
      limited: ['differs', ['id', 'order', 'LIMIT']],
    })
  })

  it('has nothing to say of what is in order', () => {
    expect(proofs.get('clean')?.mayDiffer).toEqual([])
    expect(proofs.get('whole_numbers')?.mayDiffer).toEqual([])
    expect(proofs.get('ordered')?.mayDiffer).toMatchObject([{ column: 'it', kind: 'ties' }])
  })

  it('builds the latest interval of what is built by interval, and all of the rest', () => {
    expect(proofs.get('clean')).toMatchObject({ interval: { start: '2026-01-02T00:00:00' }, rows: 7 })
    expect(proofs.get('numbered')).toMatchObject({ interval: null, rows: 20000 })
  })

  it('publishes nothing and leaves nothing behind', async () => {
    expect([await contentsOf(folder), pointersOf(folder)]).toEqual(before)
    const runs = JSON.parse((await limn(folder, 'runs', 'ls', '--json')).stdout) as readonly unknown[]
    expect(runs.length).toBe(1)
  })

  it('is part of limn check --deep', async () => {
    const ended = await limn(folder, 'check', '--deep', '--json')
    expect(ended.code).toBe(3)
    const { problems, proofs: list } = JSON.parse(ended.stdout) as { problems: unknown[]; proofs: readonly ProofJson[] }
    expect([problems, list.length]).toEqual([[], Object.keys(models).length + others.length])
  })

  it('takes an interval, and refuses a selection without a model', async () => {
    const ended = await limn(folder, 'prove', 'gold.clean', '--interval', '2026-01-01', '--json')
    expect(ended.code).toBe(0)
    expect((JSON.parse(ended.stdout) as { proofs: readonly ProofJson[] }).proofs).toMatchObject([
      { verdict: 'same', interval: { start: '2026-01-01T00:00:00' } },
    ])
    expect((await limn(folder, 'prove', 'bronze.reading')).code).toBe(2)
  })

  it('says that nothing was proven where there is nothing to build', async () => {
    const ended = await limn(folder, 'prove', 'gold.clean', '--interval', '2019-05-01', '--json')
    expect([ended.code, ended.stderr]).toEqual([2, 'Nothing was proven.\n'])
    expect(JSON.parse(ended.stdout)).toMatchObject({
      proven: 0,
      proofs: [{ verdict: 'outside', rows: 0, domain: { start: '2026-01-01T00:00:00', end: '2026-01-03T00:00:00' } }],
    })
    const told = await limn(folder, 'prove', 'gold.clean', '--interval', '2019-05-01')
    expect([told.code, told.stdout]).toEqual([
      2,
      expect.stringContaining('its rows are from 2026-01-01T00:00:00 to 2026-01-03T00:00:00'),
    ])
    // Of one model that has no intervals something is proven all the same.
    const some = await limn(folder, 'prove', 'gold.clean', 'gold.settled', '--interval', '2019-05-01', '--json')
    const { proofs: both } = JSON.parse(some.stdout) as { proofs: readonly ProofJson[] }
    expect([some.code, both.map((one) => one.verdict)]).toEqual([0, ['outside', 'same']])
  })
})
