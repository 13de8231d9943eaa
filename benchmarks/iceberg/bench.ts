import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { noSteps, seededRandomness, systemClock } from '../../packages/limn/dist/base/index.js'
import { SqliteCatalog } from '../../packages/limn/dist/catalog/index.js'
import { openDuckDb } from '../../packages/limn/dist/engine/index.js'
import { ManifestReader } from '../../packages/limn/dist/iceberg/index.js'
import { LocalStore } from '../../packages/limn/dist/storage/index.js'
import type { TableContext } from '../../packages/limn/dist/table/index.js'

/** What one case measured: figures by name, in the unit the name ends with. */
export type Figures = Readonly<Record<string, number | string>>

export const threads = 2
export const memoryLimit = '8GB'

/** limn over a folder, as a lake opens it: SQLite catalog, local store, embedded engine. */
export async function openTables(folder: string): Promise<TableContext & AsyncDisposable> {
  mkdirSync(folder, { recursive: true })
  const randomness = seededRandomness(`bench ${process.pid} ${Date.now()}`)
  const store = new LocalStore(join(folder, 'warehouse'))
  const catalog = new SqliteCatalog({ path: join(folder, 'catalog.db'), name: 'bench', store, randomness })
  const engine = await openDuckDb({ threads, memoryLimit, temporaryFolder: join(folder, 'spill') })
  return {
    catalog,
    store,
    engine,
    manifests: new ManifestReader(store),
    clock: systemClock,
    randomness,
    steps: noSteps,
    signal: new AbortController().signal,
    async [Symbol.asyncDispose]() {
      engine.close()
      catalog.close()
    },
  }
}

/** The process measures limn's memory: the peer, which would count too, does nothing. */
/** Whether limn works without its peer, for its memory. */
export const alone = process.argv.includes('alone')

/** A bare DuckDB with the settings limn gives its own. */
export async function bareDuckDb(): Promise<{ run(sql: string): Promise<readonly unknown[][]>; close(): void }> {
  if (alone) return { run: async () => [], close: () => undefined }
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: memoryLimit,
    preserve_insertion_order: 'false',
  })
  const connection = await instance.connect()
  await connection.run("SET TimeZone = 'UTC'")
  return {
    async run(sql) {
      return (await connection.runAndReadAll(sql)).getRowsJson()
    },
    close: () => {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

export async function timed(body: () => unknown): Promise<number> {
  const began = performance.now()
  await body()
  return performance.now() - began
}

/** Both sides in turn, so that what else the machine does meets both. Medians in milliseconds. */
export async function pair(
  rounds: number,
  own: () => unknown,
  peer: () => unknown,
): Promise<{ readonly own: number; readonly peer: number; readonly ratio: number }> {
  const times: [number, number][] = []
  for (let i = 0; i < rounds; i++) {
    const first = i % 2 === 0
    const a = first ? await timed(own) : 0
    const b = await timed(peer)
    times.push([first ? a : await timed(own), b])
  }
  const mine = median(times.map(([a]) => a))
  const theirs = median(times.map(([, b]) => b))
  return { own: mine, peer: theirs, ratio: median(times.map(([a, b]) => a / b)) }
}

/** The kernel's high-water mark of this process, MiB. */
export function peakMiB(): number {
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1024)
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}

/** A case is a process: it prints its figures as one line of JSON. */
export function report(figures: Figures): void {
  process.stdout.write(`${JSON.stringify({ ...(alone ? {} : figures), peak_mib: peakMiB() })}\n`)
}
