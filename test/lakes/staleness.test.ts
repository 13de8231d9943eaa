import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { DrawnLake, type DrawnModel, type DrawnSource } from '../support/drawn-lake.ts'
import { Chooser } from '../support/query-specs.ts'

/**
 * Histories of real lakes: rows come late, files are renamed and restored, definitions and contracts are edited, runs are
 * narrowed and refused. After each, tables are what plain SQL over the delivered files gives, and what was rewritten is what differs.
 */

const source: DrawnSource = {
  name: 'bronze.event',
  glob: 'inbox/*.csv',
  columns: { id: 'long', t: 'timestamp', a: 'long', b: 'long', c: 'string' },
}

interface Variant {
  readonly extra: boolean
  readonly filter: number
  readonly factor: number
  readonly comment: number
  readonly goldExtra: boolean
  /** Of the one that reads its own table. */
  readonly weight: number
  readonly refuses: boolean
}

/** The models in order; each text is run by limn by interval, and by the oracle day by day. */
function modelsOf(v: Variant): readonly (DrawnModel & { readonly readsItself?: boolean })[] {
  const within = (column: string) => `${column} >= $interval_start AND ${column} < $interval_end`
  return [
    {
      name: 'silver.event',
      by: 'day',
      at: 't',
      sql: `SELECT DISTINCT id, t, a, b * ${v.factor} AS b, c${v.extra ? ', a * 2 AS d' : ''} FROM bronze.event /* ${v.comment} */ WHERE ${within('t')} AND a >= ${v.filter}`,
      columns: {
        id: 'long',
        t: 'timestamp',
        a: 'long',
        b: 'long',
        c: 'string',
        ...(v.extra ? { d: 'long' as const } : {}),
      },
      edges: { 'bronze.event': { touches: 't' } },
      ...(v.refuses ? { mustHold: 'a < 0' } : {}),
    },
    {
      name: 'gold.day',
      by: 'day',
      sql: `WITH e AS (SELECT * FROM silver.event WHERE ${within('t')}) SELECT date_trunc('day', t)::TIMESTAMP AS day, sum(a)::BIGINT AS a, count(*) AS n${v.goldExtra ? ', max(b) AS b' : ''} FROM e GROUP BY ALL`,
      columns: { day: 'timestamp', a: 'long', n: 'long', ...(v.goldExtra ? { b: 'long' as const } : {}) },
      edges: { 'silver.event': { reads: { kind: 'same' } } },
    },
    {
      name: 'gold.two_days',
      by: 'day',
      sql: `SELECT $interval_start::TIMESTAMP AS day, sum(b)::BIGINT AS b FROM silver.event WHERE t >= $interval_start - INTERVAL 1 DAY AND t < $interval_end HAVING count(*) > 0`,
      columns: { day: 'timestamp', b: 'long' },
      edges: { 'silver.event': { reads: { kind: 'shift', before: 86_400_000_000, after: 0 } } },
    },
    {
      name: 'gold.running',
      by: 'day',
      readsItself: true,
      sql: `SELECT $interval_start::TIMESTAMP AS day, (sum(b) * ${v.weight} + coalesce((SELECT max_by(total, day) FROM gold.running), 0))::BIGINT AS total FROM silver.event WHERE ${within('t')} HAVING count(*) > 0`,
      columns: { day: 'timestamp', total: 'long' },
      edges: { 'silver.event': { reads: { kind: 'same' } } },
    },
    {
      name: 'gold.lately',
      by: 'day',
      readsItself: true,
      sql: `SELECT $interval_start::TIMESTAMP AS day, (count(*) + coalesce((SELECT sum(n) FROM gold.lately WHERE day >= $interval_start - INTERVAL 2 DAY AND day < $interval_start), 0))::BIGINT % 5 AS n FROM gold.running WHERE ${within('day')} HAVING count(*) > 0`,
      columns: { day: 'timestamp', n: 'long' },
      edges: {
        'gold.running': { reads: { kind: 'same' } },
        'gold.lately': { reads: { kind: 'earlier', back: { count: 2, unit: 'day' } } },
      },
    },
    {
      name: 'gold.by_c',
      by: 'whole',
      sql: 'SELECT c, max(a) AS a FROM silver.event GROUP BY ALL',
      columns: { c: 'string', a: 'long' },
      edges: { 'silver.event': { reads: { kind: 'all' } } },
    },
    {
      name: 'gold.total',
      by: 'whole',
      sql: 'SELECT sum(a)::BIGINT AS a, count(*) AS days FROM gold.day',
      columns: { a: 'long', days: 'long' },
      edges: { 'gold.day': { reads: { kind: 'all' } } },
    },
  ]
}

type Inbox = ReadonlyMap<string, readonly string[]>
const days = 8
const row = (choose: Chooser) =>
  `${choose.below(4)},2026-01-0${1 + choose.below(days)} 0${choose.below(9)}:00:00,${choose.below(5)},${choose.below(5)},${choose.one(['x', 'y'])}`

/** Everything by plain SQL over the files, whole, one day at a time. */
async function oracle(
  inbox: Inbox,
  models: ReturnType<typeof modelsOf>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  try {
    await connection.run('CREATE SCHEMA bronze; CREATE SCHEMA silver; CREATE SCHEMA gold')
    await connection.run('CREATE TABLE bronze.event (id BIGINT, t TIMESTAMP, a BIGINT, b BIGINT, c VARCHAR)')
    for (const line of [...inbox.values()].flat()) {
      const [id, t, a, b, c] = line.split(',')
      await connection.run(`INSERT INTO bronze.event VALUES (${id}, TIMESTAMP '${t}', ${a}, ${b}, '${c}')`)
    }
    const out = new Map<string, readonly string[]>()
    for (const model of models) {
      const at = (day: number) => `TIMESTAMP '2026-01-${String(day).padStart(2, '0')}'`
      const parts =
        model.by === 'whole'
          ? [model.sql]
          : Array.from({ length: days + 3 }, (_, i) =>
              model.sql.replaceAll('$interval_start', at(i + 1)).replaceAll('$interval_end', at(i + 2)),
            )
      if (model.readsItself) {
        const columns = Object.entries(model.columns).map(
          ([name, type]) => `${name} ${type === 'long' ? 'BIGINT' : type}`,
        )
        await connection.run(`CREATE TABLE ${model.name} (${columns.join(', ')})`)
        for (const part of parts) await connection.run(`INSERT INTO ${model.name} ${part}`)
      } else
        await connection.run(`CREATE TABLE ${model.name} AS ${parts.map((part) => `(${part})`).join(' UNION ALL ')}`)
      const list = Object.keys(model.columns).map((column) => `"${column}"::VARCHAR`)
      const rows = (await connection.runAndReadAll(`SELECT ${list.join(', ')} FROM ${model.name}`)).getRowsJson()
      out.set(model.name, rows.map((one) => JSON.stringify(one)).sort())
    }
    return out
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** Days on which two lists of rows differ; a row's day is in its one timestamp. */
function differing(before: readonly string[], after: readonly string[]): readonly string[] {
  const dayOf = (text: string) => /2026-\d\d-\d\d/.exec(text)?.[0] ?? 'whole'
  const count = (rows: readonly string[]) => {
    const found = new Map<string, number>()
    for (const one of rows) found.set(one, (found.get(one) ?? 0) + 1)
    return found
  }
  const [a, b] = [count(before), count(after)]
  const out = new Set([...new Set([...a.keys(), ...b.keys()])].filter((one) => a.get(one) !== b.get(one)).map(dayOf))
  return [...out].sort()
}

async function play(seed: string): Promise<number> {
  const choose = new Chooser(seed)
  await using drawn = await DrawnLake.open('staleness')
  let inbox: Inbox = new Map([['a', Array.from({ length: 6 }, () => row(choose))]])
  let kept: { readonly name: string; readonly lines: readonly string[] } | null = null
  let variant: Variant = { extra: false, filter: 0, factor: 1, comment: 0, goldExtra: false, weight: 1, refuses: false }
  let before: ReadonlyMap<string, readonly string[]> = new Map()
  let published = variant
  let compared = 0
  for (let step = 0; step < 6; step++) {
    const said = `${seed}, step ${step}`
    variant = { ...variant, refuses: false }
    if (step > 0) {
      const names = [...inbox.keys()]
      const name = choose.one(names)
      const lines = inbox.get(name) ?? []
      const next = new Map(inbox)
      switch (choose.below(7)) {
        case 0:
          next.set(`f${step}`, [row(choose), row(choose)])
          break
        case 1:
          kept = { name, lines }
          next.set(name, [...lines.slice(1), row(choose)])
          break
        case 2:
          next.delete(name)
          next.set(`renamed${step}`, lines)
          break
        case 3:
          if (kept && next.has(kept.name)) next.set(kept.name, kept.lines)
          break
        case 4:
          variant = choose.one([
            { ...variant, extra: !variant.extra },
            { ...variant, factor: variant.factor + 1 },
            { ...variant, filter: 1 - variant.filter },
            { ...variant, goldExtra: !variant.goldExtra },
            { ...variant, weight: variant.weight + 1 },
          ])
          break
        case 5:
          variant = { ...variant, comment: variant.comment + 1 }
          break
        default:
          variant = { ...variant, refuses: true, factor: variant.factor + 1 }
      }
      inbox = next
    }
    rmSync(join(drawn.folder, 'inbox'), { recursive: true, force: true })
    for (const [name, lines] of inbox) drawn.write(`inbox/${name}.csv`, `id,t,a,b,c\n${lines.join('\n')}\n`)
    const models = modelsOf(variant)
    const project = await drawn.project([source], models)
    const narrow = step > 0 && !variant.refuses && choose.chance(4)
    if (narrow) await drawn.run(project, { range: ['2026-01-03', '2026-01-05'] })
    const report = await drawn.run(project)
    const expected = await oracle(inbox, models)
    if (report.outcome === 'refused') {
      // Nothing of it is to be seen; what it would have changed is then stale again.
      for (const model of modelsOf(published))
        expect(await drawn.rows(model.name, Object.keys(model.columns)), `${said}, refused: ${model.name}`).toEqual(
          before.get(model.name),
        )
      variant = { ...variant, factor: published.factor }
      continue
    }
    for (const [i, model] of models.entries()) {
      const rows = await drawn.rows(model.name, Object.keys(model.columns))
      expect(rows, `${said}: ${model.name}`).toEqual(expected.get(model.name))
      const same = JSON.stringify(modelsOf(published)[i]?.columns) === JSON.stringify(model.columns)
      if (step === 0 || narrow || !same) continue
      const ranges = report.datasets.find((one) => one.dataset === model.name)?.ranges ?? []
      const rewritten = ranges.flatMap(({ outcome, interval }) => {
        if (outcome !== 'built') return []
        if (!interval) return ['whole']
        const count = (interval.end - interval.start) / 86_400_000_000
        return Array.from({ length: count }, (_, day) =>
          new Date(interval.start / 1000 + day * 86_400_000).toISOString().slice(0, 10),
        )
      })
      expect(rewritten.sort(), `${said}: rewritten of ${model.name}`).toEqual(
        differing(before.get(model.name) ?? [], rows),
      )
      compared++
    }
    expect((await drawn.plan(project)).plan.items, `${said}: stale right after`).toEqual([])
    before = expected
    published = variant
  }
  return compared
}

describe('histories of lakes', () => {
  const seed = process.env.LIMN_SEED ?? 'lakes 1'
  it(`publish what a full rebuild would give, and rewrite what differs and nothing else (seed ${seed})`, async () => {
    let compared = 0
    for (let i = 0; i < (process.env.LIMN_SEED === undefined ? 4 : 12); i++) compared += await play(`${seed} ${i}`)
    expect(compared).toBeGreaterThan(20)
  })
})
