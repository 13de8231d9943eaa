import type { DrawnModel, DrawnSource } from '../../support/drawn-lake.ts'

/** A small shop: orders land, items and orders by day, revenue by day and by month, the best day of all. */

export const shopSource: DrawnSource = {
  name: 'bronze.order',
  glob: 'inbox/*.csv',
  columns: { id: 'long', at: 'timestamp', item: 'string', price: 'long' },
}

/** One order a day for a week. */
export const firstOrders: readonly string[] = [1, 2, 3, 4, 5, 6, 7].map(
  (day) => `${day},2023-01-0${day} 10:00:00,tea,${day}`,
)

const day = "date_trunc('day', placed_at)::TIMESTAMP"
/** That a column lies in the interval that is built. */
export const within = (column: string) => `${column} >= $interval_start AND ${column} < $interval_end`

export const shop: Readonly<Record<string, DrawnModel>> = {
  'silver.item': {
    name: 'silver.item',
    by: 'day',
    at: 'placed_at',
    sql: `SELECT id, "at" AS placed_at, item, price FROM bronze.order WHERE ${within('"at"')}`,
    columns: { id: 'long', placed_at: 'timestamp', item: 'string', price: 'long' },
    edges: { 'bronze.order': { touches: '"at"' } },
  },
  'silver.order_item': {
    name: 'silver.order_item',
    by: 'day',
    at: 'placed_at',
    sql: `SELECT id, placed_at, item, price FROM silver.item WHERE ${within('placed_at')}`,
    columns: { id: 'long', placed_at: 'timestamp', item: 'string', price: 'long' },
    edges: { 'silver.item': { reads: { kind: 'same' } } },
  },
  'gold.revenue': {
    name: 'gold.revenue',
    by: 'day',
    sql: `SELECT ${day} AS day, sum(price)::BIGINT AS revenue FROM silver.order_item WHERE ${within('placed_at')} GROUP BY ALL`,
    columns: { day: 'timestamp', revenue: 'long' },
    edges: { 'silver.order_item': { reads: { kind: 'same' } } },
  },
  'gold.best': {
    name: 'gold.best',
    by: 'whole',
    sql: 'SELECT max(revenue) AS revenue FROM gold.revenue',
    columns: { revenue: 'long' },
    edges: { 'gold.revenue': { reads: { kind: 'all' } } },
  },
}

/** A column more, made of nothing else that is read. */
export const itemWithColumn = {
  sql: `SELECT id, "at" AS placed_at, item, price, 'foo' AS foo FROM bronze.order WHERE ${within('"at"')}`,
  columns: { id: 'long', placed_at: 'timestamp', item: 'string', price: 'long', foo: 'string' },
} as const

export const itemFiltered = {
  sql: `SELECT id, "at" AS placed_at, item, price FROM bronze.order WHERE ${within('"at"')} AND price > 1`,
} as const

export const revenueWithColumn = {
  sql: `SELECT ${day} AS day, sum(price)::BIGINT AS revenue, 1 AS one FROM silver.order_item WHERE ${within('placed_at')} GROUP BY ALL`,
  columns: { day: 'timestamp', revenue: 'long', one: 'int' },
} as const

export const revenueByMonth: DrawnModel = {
  name: 'gold.by_month',
  by: 'month',
  at: 'month',
  sql: `SELECT date_trunc('month', day)::TIMESTAMP AS month, sum(revenue)::BIGINT AS revenue FROM gold.revenue WHERE ${within('day')} GROUP BY ALL`,
  columns: { month: 'timestamp', revenue: 'long' },
  edges: { 'gold.revenue': { reads: { kind: 'same' } } },
}

/** Orders of each hour. */
export const byHour: DrawnModel = {
  name: 'silver.hour',
  by: 'hour',
  at: 'hour',
  sql: `SELECT date_trunc('hour', "at")::TIMESTAMP AS hour, count(*) AS orders FROM bronze.order WHERE ${within('"at"')} GROUP BY ALL`,
  columns: { hour: 'timestamp', orders: 'long' },
  edges: { 'bronze.order': { touches: '"at"' } },
}

export const ofHours: DrawnModel = {
  name: 'gold.day_of_hours',
  by: 'day',
  sql: `SELECT date_trunc('day', hour)::TIMESTAMP AS day, sum(orders)::BIGINT AS orders FROM silver.hour WHERE ${within('hour')} GROUP BY ALL`,
  columns: { day: 'timestamp', orders: 'long' },
  edges: { 'silver.hour': { reads: { kind: 'same' } } },
}

/** A column of a model by day, as it is. */
export const copyOf = (name: string, of: string, column: string): DrawnModel => ({
  name,
  by: 'day',
  sql: `SELECT day, ${column} AS value FROM ${of} WHERE ${within('day')}`,
  columns: { day: 'timestamp', value: 'long' },
  edges: { [of]: { reads: { kind: 'same' } } },
})

/** The days that the shop begins with, and what stands on its items then. */
export const week = '2023-01-01 … 2023-01-07'
export const below = [
  `silver.order_item ≤ ${week} input-changed`,
  `gold.revenue ≤ ${week} input-changed`,
  'gold.best ≤ whole input-changed',
]
