import { describe, expect, it } from 'vitest'
import { nearest, tableId } from '../../packages/limn/src/base/index.ts'
import { buildGraph, select } from '../../packages/limn/src/dataset/index.ts'

const node = (id: string, ...inputs: string[]) => ({
  id: tableId(id),
  inputs: inputs.map(tableId),
  file: `datasets/${id}.ts`,
})
const graph = buildGraph([
  node('gold.day', 'silver.flight'),
  node('gold.route', 'silver.flight', 'silver.dim'),
  node('silver.flight', 'bronze.flight'),
  node('silver.dim', 'bronze.dim'),
  node('bronze.flight'),
  node('bronze.dim'),
])
const pick = (...patterns: string[]) => select(graph, (id) => (id.startsWith('gold.d') ? ['daily'] : []), patterns)

describe('the graph', () => {
  it('puts inputs before what reads them, by name among the ready', () => {
    expect(graph.order).toEqual([
      'bronze.dim',
      'bronze.flight',
      'silver.dim',
      'silver.flight',
      'gold.day',
      'gold.route',
    ])
  })

  it('refuses a cycle and prints it', () => {
    expect(() => buildGraph([node('a.a', 'a.b'), node('a.b', 'a.c'), node('a.c', 'a.a'), node('a.d', 'a.a')])).toThrow(
      /a\.a ← a\.b ← a\.c ← a\.a/,
    )
    expect(() => buildGraph([node('a.a', 'a.a')])).toThrow(/a\.a ← a\.a/)
  })

  it('refuses a name twice, naming both files, and an input nobody defines, naming the nearest', () => {
    expect(() => buildGraph([node('a.a'), { ...node('a.a'), file: 'other.ts' }])).toThrow(
      /datasets\/a\.a\.ts and other\.ts/,
    )
    expect(() => buildGraph([node('silver.flight'), node('a.b', 'silver.fligth')])).toThrow(
      expect.objectContaining({ remedy: 'Did you mean silver.flight?' }),
    )
  })
})

describe('a selection', () => {
  it('names datasets, their ancestors and descendants, namespaces and tags, in order', () => {
    expect(pick()).toEqual(graph.order)
    expect(pick('silver.flight')).toEqual(['silver.flight'])
    expect(pick('+silver.flight')).toEqual(['bronze.flight', 'silver.flight'])
    expect(pick('silver.flight+')).toEqual(['silver.flight', 'gold.day', 'gold.route'])
    expect(pick('+gold.day+')).toEqual(['bronze.flight', 'silver.flight', 'gold.day'])
    expect(pick('gold.*')).toEqual(['gold.day', 'gold.route'])
    expect(pick('*.flight')).toEqual(['bronze.flight', 'silver.flight'])
    expect(pick('tag:daily')).toEqual(['gold.day'])
    expect(pick('gold.route', 'bronze.dim')).toEqual(['bronze.dim', 'gold.route'])
  })

  it('that matches nothing is an error with the nearest name', () => {
    expect(() => pick('sliver.flight')).toThrow(
      expect.objectContaining({ kind: 'usage/unknown-dataset', remedy: 'Did you mean silver.flight?' }),
    )
    expect(() => pick('tag:dialy')).toThrow(expect.objectContaining({ remedy: 'Did you mean tag:daily?' }))
    expect(() => pick('platinum.*')).toThrow(expect.objectContaining({ kind: 'usage/unknown-dataset' }))
  })

  it('guesses by transposed, missing and wrong letters, and not wildly', () => {
    expect(nearest('gold.dya', graph.order)).toBe('gold.day')
    expect(nearest('something else entirely', graph.order)).toBeNull()
  })
})
