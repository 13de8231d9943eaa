import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteText } from '../../sql/index.ts'

interface Waiting {
  readonly sql: string
  readonly done: (json: string) => void
  readonly failed: (error: unknown) => void
}

/** Queries that one statement parses. */
const atOnceMax = 200

/**
 * DuckDB's parser. Queries that are asked for in one turn are parsed by one statement, which costs as much as two of them
 * alone: a project has hundreds.
 */
export class Parser {
  private readonly connect: () => Promise<DuckDBConnection>
  private waiting: Waiting[] = []

  constructor(connect: () => Promise<DuckDBConnection>) {
    this.connect = connect
  }

  /** `json_serialize_sql` of a text: the statements' tree, or the error, as JSON. */
  serialize(sql: string): Promise<string> {
    return new Promise((done, failed) => {
      this.waiting.push({ sql, done, failed })
      if (this.waiting.length === 1) setImmediate(() => this.flush())
    })
  }

  private flush(): void {
    const asked = this.waiting
    this.waiting = []
    for (let at = 0; at < asked.length; at += atOnceMax) void this.parse(asked.slice(at, at + atOnceMax))
  }

  private async parse(asked: readonly Waiting[]): Promise<void> {
    try {
      const connection = await this.connect()
      const texts = asked.map(({ sql }, i) => `(${i}, ${quoteText(sql)})`).join(', ')
      const reader = await connection.runAndReadAll(
        `SELECT i, json_serialize_sql(sql)::VARCHAR FROM (VALUES ${texts}) AS asked(i, sql)`,
      )
      for (const [i, json] of reader.getRowsJson()) asked[Number(i)]?.done(String(json))
    } catch (error) {
      for (const { failed } of asked) failed(error)
    }
  }
}
