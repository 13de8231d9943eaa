import { expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { findingText } from '../../packages/limn/src/cli/why-text.ts'

it('a finding says when it shows the first of its rows alone', () => {
  const finding = (rows: number) =>
    findingText(
      {
        kind: 'duplicate-key',
        dataset: tableId('silver.customer'),
        origin: { kind: 'unknown' },
        column: null,
        sentence: 'Twice.',
        rows,
        intervals: [],
        evidence: { columns: ['id'], rows: [['1'], ['1']] },
      },
      null,
      80,
    )
  expect(finding(2)[1]).toBe('  2 rows')
  expect(finding(6)[1]).toBe('  6 rows, the first 2')
})
