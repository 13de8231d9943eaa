import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import {
  byInterval,
  type Dataset,
  files,
  ingest,
  type ModelSpec,
  model,
  whole,
} from '../../packages/limn/src/dataset/index.ts'
import { definitionOfNode } from '../../packages/limn/src/pipeline/ledger/definition.ts'
import { reachedBy } from '../../packages/limn/src/pipeline/plan/change.ts'
import { diffDefinitions } from '../../packages/limn/src/pipeline/plan/definition-diff.ts'
import { printDiff } from '../../packages/limn/src/pipeline/plan/print-diff.ts'
import { analyse } from '../../packages/limn/src/pipeline/project/project.ts'
import { columnsOf } from '../../packages/limn/src/pipeline/project/reads.ts'
import { temporaryEngine } from '../support/duckdb.ts'

const gold = tableId('gold.x')
const bronze = tableId('bronze.x')

type Columns = Readonly<
  Record<string, { readonly type: 'long' | 'int' | 'timestamp'; readonly nulls?: string; readonly doc?: string }>
>
interface Wish {
  readonly sql?: string
  readonly columns?: Columns
  readonly keys?: readonly string[]
  readonly rejects?: ModelSpec<never>['rejects']
  readonly by?: 'day' | 'month'
}

const columns: Columns = { a: { type: 'long' }, b: { type: 'long' } }

describe('how a definition differs from the one remembered', () => {
  let made: Awaited<ReturnType<typeof temporaryEngine>>
  beforeAll(async () => {
    made = await temporaryEngine()
  })
  afterAll(() => made[Symbol.asyncDispose]())

  async function projectOf(wish: Wish) {
    const text = wish.sql ?? 'SELECT a, b FROM bronze.x'
    const query = () => ({ kind: 'sql' as const, text })
    const source: Dataset = ingest('bronze.x', {
      doc: 'x',
      owner: 'x',
      from: files('*.csv', { format: 'csv' }),
      columns: { a: { type: 'long' }, b: { type: 'long' }, c: { type: 'long' }, t: { type: 'timestamp' } },
    })
    const reader = model('gold.x', {
      doc: 'x',
      owner: 'x',
      grain: [],
      keys: [...(wish.keys ?? [])],
      columns: wish.columns ?? columns,
      ...(wish.rejects ? { rejects: wish.rejects } : {}),
      build: wish.by ? byInterval('t', wish.by, query) : whole(query),
      edges: { 'bronze.x': wish.by ? { touches: 't' } : { reads: { kind: 'all' } } },
    })
    const file = 'x.ts'
    return analyse(
      [
        { dataset: source, file, query: null },
        { dataset: reader, file: 'y.ts', query: { text, origin: { file, line: 1, column: 1 } } },
      ],
      made.engine,
    )
  }

  async function diff(before: Wish, after: Wish) {
    const old = (await projectOf(before)).nodes.get(gold)
    const project = await projectOf(after)
    const node = project.nodes.get(gold)
    if (!old || !node) throw new Error('gold.x is missing')
    const remembered = { ...definitionOfNode(old), run: 'r', definedAtMs: 0, version: '' }
    const tables = columnsOf(new Map([...project.nodes].map(([id, one]) => [id, one.contract])))
    const found = diffDefinitions(remembered, node, tables)
    const lines = (await printDiff(made.engine, found)).map(
      ({ kind, subject, before: a, after: b }) => `${kind} ${subject}: ${a} → ${b}`,
    )
    return {
      lines,
      change: found.change === 'all' ? 'all' : [...found.change].sort(),
      contractOnly: found.contractOnly,
    }
  }

  it('names columns and their expressions, and what decides the rows', async () => {
    const wider: Columns = { ...columns, d: { type: 'long' } }
    expect(await diff({}, { sql: 'SELECT a, b + 1 AS b, c AS d FROM bronze.x', columns: wider })).toEqual({
      lines: ['column-added d: null → c', 'column-changed b: b → (b + 1)'],
      change: ['b', 'd'],
      contractOnly: false,
    })
    expect(await diff({}, { sql: 'SELECT a, b FROM bronze.x WHERE c > 1 GROUP BY a, b' })).toMatchObject({
      lines: [
        'rows-changed filter: null → (c > 1)',
        'rows-changed grouping: null → a',
        'rows-changed grouping: null → b',
      ],
      change: 'all',
    })
    expect(await diff({ sql: 'SELECT a, b, c AS d FROM bronze.x', columns: wider }, {})).toMatchObject({
      lines: ['column-removed d: c → null'],
      change: ['d'],
    })
  })

  it('names parts of the contract; those that change no value reach nobody', async () => {
    expect(await diff({}, { keys: ['a'] })).toEqual({
      lines: ['contract-changed keys: [] → ["a"]'],
      change: [],
      contractOnly: true,
    })
    expect(await diff({}, { columns: { a: { type: 'int' }, b: { type: 'long', nulls: 'none' } } })).toEqual({
      lines: ['contract-changed a: type: long → int', 'contract-changed b: nulls: required → nulls allowed'],
      change: ['a'],
      contractOnly: true,
    })
    expect(await diff({}, { rejects: [{ name: 'small', when: 'a < 1' }] })).toMatchObject({
      change: 'all',
      contractOnly: true,
    })
    expect(await diff({}, { columns: { b: { type: 'long' }, a: { type: 'long' } } })).toMatchObject({
      lines: ['contract-changed column order: a, b → b, a'],
      change: 'all',
    })
  })

  it('names the producer, and says of another spelling that it is one', async () => {
    const timed: Columns = { ...columns, t: { type: 'timestamp' } }
    const sql = 'SELECT a, b, t FROM bronze.x WHERE t >= $interval_start AND t < $interval_end'
    const found = await diff({ sql, columns: timed, by: 'month' }, { sql, columns: timed, by: 'day' })
    expect(found.change).toBe('all')
    expect(found.lines).toContain('producer-changed interval unit: "month" → "day"')
    expect(await diff({}, { sql: 'WITH p AS (SELECT * FROM bronze.x) SELECT a, b FROM p' })).toEqual({
      lines: ['respelled the query, in how it is written: null → null'],
      change: [],
      contractOnly: false,
    })
  })

  it('says what a change of some columns does to a reader', async () => {
    const { nodes } = await projectOf({ sql: 'SELECT a, max(b) AS b FROM bronze.x WHERE c > 0 GROUP BY a' })
    const reader = nodes.get(gold)
    if (!reader) throw new Error('gold.x is missing')
    const reached = (...names: readonly string[]) => {
      const change = reachedBy(reader, bronze as TableId, nodes.get(bronze), new Set(names))
      return change === null || change === 'all' ? change : [...change]
    }
    expect(reached('t', '_path')).toBeNull()
    expect(reached('b')).toEqual(['b'])
    expect(reached('c')).toBe('all')
    expect(reached('a')).toBe('all')
  })
})
