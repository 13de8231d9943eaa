import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { sqlLiteral } from '../../packages/limn/src/sql/index.ts'

describe('a literal', () => {
  it('gives back the least and the greatest whole numbers of its type', async () => {
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const read = async (sql: string) => (await connection.runAndReadAll(`SELECT ${sql}`)).getRows()[0]?.[0]
    for (const value of [-(2 ** 31), 2 ** 31 - 1, -1, 0]) expect(await read(sqlLiteral('int', value))).toBe(value)
    for (const value of [-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n])
      expect(await read(sqlLiteral('long', value))).toBe(value)
    connection.closeSync()
  })
})
