import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import {
  allChecks,
  type Contract,
  compareContracts,
  fingerprintParts,
  validateContract,
} from '../../packages/limn/src/contract/index.ts'
import { partitionSpecOf, schemaOf } from '../../packages/limn/src/dataset/index.ts'

const contract: Contract = {
  id: tableId('silver.t'),
  doc: 'One row per thing.',
  owner: 'test',
  grain: ['id'],
  keys: ['id'],
  columns: {
    id: { type: 'long' },
    at: { type: 'timestamp' },
    note: { type: 'string', nulls: 'none' },
    price: { type: 'decimal(9,2)', unit: 'EUR' },
  },
  partition: ['month(at)'],
  checks: [],
  rejects: [],
  rejectBudget: {},
  tags: [],
}
const problem = (change: Partial<Contract>) =>
  validateContract({ ...contract, ...change }).map((one) => `${one.path} ${one.message}`)

describe('a contract', () => {
  it('is valid as it stands, and says what is wrong when it is not', () => {
    expect(problem({})).toEqual([])
    expect(problem({ doc: ' ' })).toEqual(['doc is empty.'])
    expect(problem({ grain: ['di'] })[0]).toContain('"di" is not a column')
    expect(problem({ keys: ['note'] })[0]).toContain('may be null')
    expect(problem({ partition: ['week(at)'] })[0]).toContain('not understood')
    expect(problem({ columns: { ...contract.columns, price: { type: 'double', unit: 'EUR' } } })[0]).toContain(
      'holds money (EUR) as double',
    )
    expect(
      problem({ columns: { ...contract.columns, at: { type: 'timestamp', nullSentinels: ['NA'] } } })[0],
    ).toContain('does not say what null means')
    expect(problem({ rejectBudget: { ratio: 2 } })[0]).toContain('not a share')
  })

  it('implies that keys are unique and that no column is null unless it says why', () => {
    expect(allChecks(contract).map((check) => `${check.severity} ${check.name}`)).toEqual([
      'hard unique(id)',
      'hard not_null(id)',
      'hard not_null(at)',
      'hard not_null(price)',
    ])
  })

  it('is compared part by part, and its fingerprint leaves out what decides no row', () => {
    const changed: Contract = {
      ...contract,
      owner: 'other',
      columns: { ...contract.columns, note: { type: 'string', nulls: 'unknown', doc: 'x' } },
    }
    expect(compareContracts(contract, contract)).toEqual([])
    expect(compareContracts(contract, changed).map((one) => one.path)).toEqual(['owner', 'columns.note'])
    expect(fingerprintParts(changed)).toEqual(fingerprintParts(contract))
    expect(fingerprintParts({ ...contract, keys: [] })).not.toEqual(fingerprintParts(contract))
    expect(fingerprintParts({ ...contract, rejects: [{ name: 'x', when: 'id < 0' }] })).not.toEqual(
      fingerprintParts(contract),
    )
  })
})

describe('the schema a contract asks for', () => {
  const first = schemaOf(contract, { lastColumnId: 0 }).schema

  it('numbers new columns, and keeps the ids of those that stay', () => {
    expect(first.fields.map((field) => [field.id, field.name, field.required])).toEqual([
      [1, 'id', true],
      [2, 'at', true],
      [3, 'note', false],
      [4, 'price', true],
    ])
    const { id, at, price } = contract.columns
    const next = schemaOf(
      {
        ...contract,
        columns: { price: { ...price, type: 'decimal(12,2)' }, id, at, extra: { type: 'int' } } as Contract['columns'],
      },
      { current: first, lastColumnId: 4 },
    )
    expect(next.kind).toBe('evolved')
    expect(next.schema.fields.map((field) => [field.id, field.name, field.type, field.required])).toEqual([
      [4, 'price', 'decimal(12,2)', true],
      [1, 'id', 'long', true],
      [2, 'at', 'timestamp', true],
      [5, 'extra', 'int', false],
    ])
    expect(schemaOf(contract, { current: first, lastColumnId: 4 }).kind).toBe('same')
  })

  it('refuses a change that old files cannot follow', () => {
    const columns: Contract['columns'] = { ...contract.columns, at: { type: 'string' } }
    expect(() => schemaOf({ ...contract, columns }, { current: first, lastColumnId: 4 })).toThrow(
      expect.objectContaining({ kind: 'contract/breaking-change' }),
    )
  })

  it('partitions by fields named as Iceberg names them', () => {
    const spec = partitionSpecOf(
      { ...contract, partition: ['month(at)', 'bucket(4, id)', 'truncate(2, note)', 'id'] },
      first,
      0,
      1000,
    )
    expect(spec.fields.map((field) => [field.fieldId, field.name, field.sourceId])).toEqual([
      [1000, 'at_month', 2],
      [1001, 'id_bucket', 1],
      [1002, 'note_trunc', 3],
      [1003, 'id', 1],
    ])
  })
})
