import { temporaryFolder } from './lake.ts'
import { writeLake } from './small-lake.ts'

/** A lake of two datasets: movements as delivered, and what stands at the end of each day, which reads itself. */

export const balanceDays = 12

export const dayOf = (day: number) => `2026-01-${String(day).padStart(2, '0')}`

/** A delivery of movements: the day, and how much. */
export function moves(name: string, rows: readonly (readonly [day: number, amount: number])[]): Record<string, string> {
  const lines = rows.map(([day, amount], i) => `${i},${dayOf(day)} 10:00:00,${amount}`)
  return { [`inbox/${name}.csv`]: `id,t,amount\n${lines.join('\n')}\n` }
}

/** Day 1 moves 1, day 2 moves 2, and so on. */
export const firstMoves = moves(
  'a',
  Array.from({ length: balanceDays }, (_, n) => [n + 1, n + 1]),
)

/** What stands at the end of each day, by adding up. */
export function sums(more: readonly (readonly [day: number, amount: number])[]): readonly number[] {
  let sum = 0
  return Array.from({ length: balanceDays }, (_, n) => {
    sum += n + 1
    for (const [day, amount] of more) if (day === n + 1) sum += amount
    return sum
  })
}

/** The dataset that reads itself, under a name. */
export function balanceFile(name = 'gold.balance', former: string | null = null): string {
  return `import { byInterval, earlier, model, ref, sql } from 'limn'
import { move } from '../bronze/move.ts'
export const balance = model('${name}', {
  doc: 'What stands at the end of each day.', owner: 'test', grain: ['day'], keys: ['day'],${former === null ? '' : ` renamedFrom: '${former}',`}
  columns: { day: { type: 'timestamp', doc: 'The day.' }, balance: { type: 'long', doc: 'What stands.' } },
  build: byInterval('day', 'day', ({ interval }) => sql\`
    SELECT \${interval.start}::TIMESTAMP AS day,
      (coalesce((SELECT max_by(balance, day) FROM \${ref('${name}')}), 0)
       + coalesce((SELECT sum(amount) FROM \${move} WHERE t >= \${interval.start} AND t < \${interval.end}), 0))::BIGINT AS balance\`),
  edges: { 'bronze.move': { touches: 't' }, '${name}': { reads: earlier({ back: '1 day' }) } },
})
`
}

export function balanceLake(name: string): ReturnType<typeof temporaryFolder> {
  const lake = temporaryFolder(name)
  writeLake(lake.folder, {
    'limn.config.ts':
      "import { defineLake } from 'limn'\nexport default defineLake({ name: 'balances', engine: { threads: 1 } })\n",
    'datasets/bronze/move.ts': `import { files, ingest } from 'limn'
export const move = ingest('bronze.move', {
  doc: 'One row per movement.', owner: 'test', from: files('inbox/*.csv', { format: 'csv' }),
  columns: { id: { type: 'long', doc: 'Number.' }, t: { type: 'timestamp', doc: 'When.' }, amount: { type: 'long', doc: 'How much.' } },
})
`,
    'datasets/gold/balance.ts': balanceFile(),
    ...firstMoves,
  })
  return lake
}
