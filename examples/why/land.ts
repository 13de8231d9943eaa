/** Deliveries of a small shop, the same at every call. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const months = ['2026-01', '2026-02', '2026-03'] as const
const regions = ['North', 'East', 'South', 'West'] as const
const customers = 200
const ordersPerMonth = 1500

/** A small generator of numbers from 0 to below 1, the same for one seed. */
function draws(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function write(path: string, lines: readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${lines.join('\n')}\n`)
}

export function landOrders(folder: string, month: string): void {
  const draw = draws(Number(month.replace('-', '')))
  const lines = ['order_id,ordered_at,customer_id,amount']
  for (let n = 1; n <= ordersPerMonth; n++) {
    const id = `${month.replace('-', '')}${String(n).padStart(4, '0')}`
    const pad = (value: number) => String(value).padStart(2, '0')
    const at = `${month}-${pad(1 + Math.floor(draw() * 28))} ${pad(Math.floor(draw() * 24))}:${pad(Math.floor(draw() * 60))}:00`
    const customer = 1 + Math.floor(draw() * customers)
    for (let line = Math.ceil(draw() * 3); line > 0; line--)
      lines.push(`${id},${at},${customer},${(5 + Math.floor(draw() * 19_500) / 100).toFixed(2)}`)
  }
  write(join(folder, 'inbox', 'orders', `${month}.csv`), lines)
}

function customerLines(): string[] {
  const lines = ['customer_id,name,region']
  for (let n = 1; n <= customers; n++) lines.push(`${n},Customer ${n},${regions[n % regions.length]}`)
  return lines
}

export function landCustomers(folder: string): void {
  write(join(folder, 'inbox', 'customers.csv'), customerLines())
}

/** The customers again, three of them a second time: they moved, and their former rows were left in. */
export function landMovedCustomers(folder: string): void {
  const moved = [17, 42, 118].map((n) => `${n},Customer ${n},${regions[(n + 1) % regions.length]}`)
  write(join(folder, 'inbox', 'customers.csv'), [...customerLines(), ...moved])
}

export function landAll(folder: string): void {
  for (const month of months) landOrders(folder, month)
  landCustomers(folder)
}
