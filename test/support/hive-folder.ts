import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { TableId } from '../../packages/limn/src/base/index.ts'
import { type StorePath, storePath } from '../../packages/limn/src/storage/index.ts'
import { pinRef, readPinned, type TableContext } from '../../packages/limn/src/table/index.ts'

/** DuckDB alone, without a line of ours: it writes the folders, and says what is in them. */
export async function bareDuck() {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run("SET TimeZone = 'UTC'")
  return {
    run: (sql: string) => connection.run(sql),
    rows: async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson(),
    /** Writes a query's rows as one Parquet file. */
    async file(folder: string, path: string, sql: string, options = ''): Promise<StorePath> {
      const local = join(folder, path)
      mkdirSync(dirname(local), { recursive: true })
      await connection.run(`COPY (${sql}) TO '${local.replaceAll("'", "''")}' (FORMAT parquet${options})`)
      return storePath(`file://${local}`)
    },
    [Symbol.dispose]() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** What a query says of a table as it is now; the table is named `t` in it. */
export async function ask(context: TableContext, table: TableId, sql: string): Promise<readonly unknown[][]> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const pin = loaded ? pinRef(loaded) : null
  if (!pin) throw new Error(`there is no table ${table}`)
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound])
  const [namespace, name] = table.split('.')
  const { rows } = await session.rows(sql.replace(/\bt\b/, `"${namespace}"."${name}"`))
  return rows.map((row) => [...row])
}

/** A hash of every file below a folder, by its path there. */
export function bytesIn(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  const paths = files.map((one) => join(one.parentPath, one.name)).sort()
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  )
}
