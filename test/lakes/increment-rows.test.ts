import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Lake, query } from '../../packages/limn/src/lake/index.ts'
import { temporaryFolder } from '../support/lake.ts'
import { bronzeEvent, deliver, writeLake } from '../support/small-lake.ts'

const at = '2026-01-01 08:00:00'

/** Datasets of one query, brought up to date in several ways, over events and the names of their kinds. */
interface Cast {
  readonly name: string
  readonly build: string
  readonly columns: Readonly<Record<string, string>>
  readonly keys: readonly string[]
  readonly rejects?: string
}

function datasetOf({ name, build, columns, keys, rejects }: Cast): string {
  const typed = Object.entries(columns).map(([column, type]) => {
    const nulls = type.endsWith('?') ? ", nulls: 'not known'" : ''
    return `    ${column}: { type: '${type.replace('?', '')}', doc: 'A column.'${nulls} },`
  })
  return `import { appendChanges, mergeByKey, model, sql, whole } from 'limn'
import { eventReport } from '../bronze/event.ts'
import { nameReport } from '../bronze/name.ts'
export const set = model('${name}', {
  doc: 'A set.', owner: 'test', grain: [${keys.map((key) => `'${key}'`).join(', ')}], keys: [],
  columns: {
${typed.join('\n')}
  },${rejects === undefined ? '' : ` rejects: [{ name: 'large', when: '${rejects}', reason: 'too large' }], rejectBudget: { ratio: 1 },`}
  build: ${build},
})
`
}

const bronzeName = bronzeEvent
  .replace("'bronze.event'", "'bronze.name'")
  .replace('eventReport', 'nameReport')
  .replace("'inbox/*.csv'", "'names/*.csv'")
  .replace(
    /columns: \{[\s\S]*?\n {2}\},/,
    "columns: { id: { type: 'long', doc: 'A kind.' }, name: { type: 'string', doc: 'Its name.' } },",
  )
  .replace("format: 'csv' }", "format: 'csv', withdrawn: 'remove' }")

class World implements Disposable {
  readonly folder: string
  private readonly lake: Disposable

  constructor(casts: readonly Cast[]) {
    const lake = temporaryFolder('increment-rows')
    this.lake = lake
    this.folder = lake.folder
    writeLake(this.folder, {
      'limn.config.ts': "import { defineLake } from 'limn'\nexport default defineLake({ name: 'small' })\n",
      'datasets/bronze/event.ts': bronzeEvent
        .replace("format: 'csv' }", "format: 'csv', withdrawn: 'remove' }")
        .replace("doc: 'Number of the event.'", "doc: 'Number of the event.', nulls: 'not known'")
        .replace("doc: 'Amount.'", "doc: 'Amount.', nulls: 'not known'"),
      'datasets/bronze/name.ts': bronzeName,
      ...Object.fromEntries(casts.map((one) => [`datasets/gold/${one.name.slice(5)}.ts`, datasetOf(one)])),
    })
    this.events('z', ['100', '1'])
    this.names(['0', 'none'])
  }

  /** Hands over a file of events: number and amount of each. */
  events(file: string, ...rows: readonly (readonly [string, string])[]): void {
    deliver(
      this.folder,
      file,
      rows.map(([id, amount]) => [id, at, amount]),
    )
  }

  withdraw(file: string): void {
    rmSync(join(this.folder, 'inbox', `${file}.csv`))
  }

  names(...rows: readonly (readonly [string, string])[]): void {
    writeLake(this.folder, { 'names/names.csv': `id,name\n${rows.map((row) => row.join(',')).join('\n')}\n` })
  }

  async run(): Promise<
    ReadonlyMap<string, { readonly because: string; readonly rows: number; readonly files: number }>
  > {
    await using lake = await Lake.open({ cwd: this.folder })
    const { datasets } = await lake.run()
    return new Map(datasets.flatMap((one) => one.ranges.slice(0, 1).map((range) => [one.dataset as string, range])))
  }

  /** The rows of a table, as text. */
  async rows(table: string, columns = '*'): Promise<readonly string[]> {
    await using lake = await Lake.open({ cwd: this.folder })
    const { rows } = await query(lake, `SELECT ${columns} FROM ${table} ORDER BY ALL`, { kind: 'now' })
    return rows.map((row) => row.map(String).join(' '))
  }

  async expectSame(one: string, other: string): Promise<void> {
    expect([one, await this.rows(one)]).toEqual([one, await this.rows(other)])
  }

  [Symbol.dispose](): void {
    this.lake[Symbol.dispose]()
  }
}

const rejected = '_scope, reason, "row"'
const perKind =
  'SELECT e.id % 3 AS kind, n.name, sum(e.amount)::BIGINT AS amount FROM ${eventReport} e LEFT JOIN ${nameReport} n ON n.id = e.id % 3 GROUP BY ALL'
const kinds = { kind: 'long?', name: 'string?', amount: 'long?' }

describe('rows merged by key', () => {
  it('equal a build of the whole over changed inputs of both kinds, null keys, groups that go, and rejects', async () => {
    const touches = "{ 'bronze.event': 'id % 3', 'bronze.name': 'id' }"
    const common = { columns: kinds, keys: ['kind'], rejects: 'amount > 50' }
    using world = new World([
      {
        ...common,
        name: 'gold.merged',
        build: `mergeByKey({ keys: ['kind'], touches: ${touches} }, sql\`${perKind}\`)`,
      },
      { ...common, name: 'gold.whole', build: `whole(sql\`${perKind}\`)` },
    ])
    const same = async () => {
      const ran = await world.run()
      await world.expectSame('gold.merged', 'gold.whole')
      const [a, b] = [
        await world.rows('gold.merged_quarantine', rejected).catch(() => []),
        await world.rows('gold.whole_quarantine', rejected).catch(() => []),
      ]
      expect(a).toEqual(b)
      return ran.get('gold.merged')
    }
    expect((await same())?.because).toBe('first build')
    world.events('a', ['0', '10'], ['1', '20'], ['', '5'])
    expect((await same())?.because).toContain('merged by key')
    expect(await world.rows('gold.merged')).toEqual(['0 none 10', '1 null 21', 'null null 5'])
    // A kind passes what is allowed, and its row leaves the table for the quarantine.
    world.events('b', ['3', '45'])
    world.names(['0', 'zero'], ['1', 'one'])
    await same()
    expect(await world.rows('gold.merged')).toEqual(['1 one 21', 'null null 5'])
    expect(await world.rows('gold.merged_quarantine', '"row"')).toEqual(['{"kind":0,"name":"zero","amount":55}'])
    // Another does; the first stays where it is.
    world.events('c', ['4', '99'])
    await same()
    expect(await world.rows('gold.merged_quarantine', 'json_extract_string("row", \'$.kind\')')).toEqual(['0', '1'])
    // The first is well again, the null key has no rows any more, and a name is gone.
    world.withdraw('b')
    world.events('a', ['0', '10'], ['1', '20'])
    world.names(['0', 'zero'])
    await same()
    expect(await world.rows('gold.merged')).toEqual(['0 zero 10'])
    expect(await world.rows('gold.merged_quarantine', 'json_extract_string("row", \'$.kind\')')).toEqual(['1'])
  })

  it('of two keys are known by both, and only files that have such keys are written', async () => {
    const pairs = 'SELECT id % 3 AS a, id % 2 AS b, count(*) AS events FROM ${eventReport} GROUP BY ALL'
    const common = { columns: { a: 'long?', b: 'long?', events: 'long' }, keys: ['a', 'b'] }
    const touches = "{ 'bronze.event': ['id % 3', 'id % 2'] }"
    using world = new World([
      {
        ...common,
        name: 'gold.merged',
        build: `mergeByKey({ keys: ['a', 'b'], touches: ${touches} }, sql\`${pairs}\`)`,
      },
      { ...common, name: 'gold.whole', build: `whole(sql\`${pairs}\`)` },
    ])
    world.events('a', ['0', '1'], ['1', '1'], ['2', '1'], ['3', '1'], ['4', '1'], ['5', '1'])
    await world.run()
    world.events('b', ['6', '1'], ['', '1'])
    expect((await world.run()).get('gold.merged')).toMatchObject({ rows: 7 })
    await world.expectSame('gold.merged', 'gold.whole')
    // Nothing of a pair is left.
    world.events('a', ['1', '1'], ['2', '1'], ['3', '1'], ['4', '1'], ['5', '1'])
    world.withdraw('b')
    await world.run()
    await world.expectSame('gold.merged', 'gold.whole')
    expect(await world.rows('gold.merged', 'a, b')).toEqual(['0 1', '1 0', '1 1', '2 0', '2 1'])
  })
})

describe('rows that tell which delivery they came with', () => {
  it('are followed where the query reads that', async () => {
    const latest = 'SELECT id, arg_max(amount, _delivery)::BIGINT AS amount FROM ${eventReport} GROUP BY ALL'
    const common = { columns: { id: 'long?', amount: 'long?' }, keys: ['id'] }
    using world = new World([
      { ...common, name: 'gold.merged', build: `mergeByKey({ keys: ['id'] }, sql\`${latest}\`)` },
      { ...common, name: 'gold.whole', build: `whole(sql\`${latest}\`)` },
    ])
    world.events('a', ['1', '10'], ['2', '20'])
    await world.run()
    world.events('b', ['1', '99'])
    await world.run()
    expect(await world.rows('gold.merged')).toEqual(['1 99', '2 20', '100 1'])
    // The first file again, with its rows as they were and one more: it is the latest to speak of each.
    world.events('a', ['1', '10'], ['2', '20'], ['3', '30'])
    expect((await world.run()).get('gold.merged')?.because).toBe('bronze.event, merged by key')
    await world.expectSame('gold.merged', 'gold.whole')
    expect(await world.rows('gold.merged')).toEqual(['1 10', '2 20', '3 30', '100 1'])
  })
})

describe('rows that are appended', () => {
  const log = 'SELECT e.id, e.amount, n.name FROM ${eventReport} e LEFT JOIN ${nameReport} n ON n.id = e.id'
  const columns = { id: 'long?', amount: 'int?', name: 'string?' }

  it('are those that came, each once, with other inputs as they are then, and rejected ones beside those of before', async () => {
    using world = new World([
      {
        name: 'gold.log',
        build: `appendChanges('bronze.event', sql\`${log}\`)`,
        columns,
        keys: ['id'],
        rejects: 'amount > 50',
      },
    ])
    await world.run()
    expect(await world.rows('gold.log')).toEqual(['100 1 null'])
    world.events('a', ['0', '10'], ['1', '60'])
    expect((await world.run()).get('gold.log')).toMatchObject({ because: 'bronze.event, appended', rows: 1, files: 1 })
    // What another input is told now changes no row that is there.
    world.names(['0', 'zero'], ['2', 'two'])
    await world.run()
    expect(await world.rows('gold.log')).toEqual(['0 10 none', '100 1 null'])
    // The file again, grown: a row that was there twice by now comes once.
    world.events('a', ['0', '10'], ['1', '60'], ['0', '10'], ['2', '70'], ['2', '7'])
    expect((await world.run()).get('gold.log')).toMatchObject({ because: 'bronze.event, appended', rows: 2 })
    expect(await world.rows('gold.log')).toEqual(['0 10 none', '0 10 zero', '2 7 two', '100 1 null'])
    expect(await world.rows('gold.log_quarantine', '"row"')).toEqual([
      '{"id":1,"amount":60,"name":null}',
      '{"id":2,"amount":70,"name":"two"}',
    ])
    // A row leaves: it is built whole, and so is its quarantine.
    world.events('a', ['0', '10'], ['1', '60'])
    expect((await world.run()).get('gold.log')?.because).toBe('bronze.event')
    expect(await world.rows('gold.log')).toEqual(['0 10 zero', '100 1 null'])
    expect(await world.rows('gold.log_quarantine', '"row"')).toEqual(['{"id":1,"amount":60,"name":null}'])
  })

  it('are none when only rows went, where that is ignored', async () => {
    using world = new World([
      {
        name: 'gold.log',
        build: `appendChanges('bronze.event', sql\`${log}\`, { removed: 'ignore' })`,
        columns,
        keys: ['id'],
      },
    ])
    world.events('a', ['0', '10'], ['1', '20'])
    await world.run()
    world.events('a', ['1', '20'])
    await world.run()
    world.withdraw('a')
    world.events('b', ['1', '20'])
    await world.run()
    expect(await world.rows('gold.log', 'id, amount')).toEqual(['0 10', '1 20', '100 1'])
  })
})
