import { describe, expect, it } from 'vitest'
import { temporaryEngine } from '../support/duckdb.ts'

describe('parts of a result', () => {
  it('have every row once, in the order of the query, and cells as `rows` has them', async () => {
    await using temporary = await temporaryEngine()
    await using session = await temporary.engine.session([])
    const sql = `SELECT i, i::DOUBLE, CASE WHEN i % 3 = 0 THEN NULL ELSE 'a text of more than twelve bytes ' || i END, DATE '2001-01-01' + i::INTEGER
      FROM range(10000) AS t(i) ORDER BY i DESC`
    const found: unknown[][] = []
    let parts = 0
    for await (const part of session.parts(sql)) {
      parts++
      for (let row = 0; row < part.rowCount; row++) found.push([0, 1, 2, 3].map((column) => part.cell(row, column)))
    }
    expect(parts).toBeGreaterThan(1)
    expect(found).toEqual((await session.rows(sql)).rows)
  })

  it('may be left unread: the session goes on', async () => {
    await using temporary = await temporaryEngine()
    await using session = await temporary.engine.session([])
    for await (const part of session.parts('SELECT i FROM range(100000) AS t(i) ORDER BY i')) {
      expect(part.cell(0, 0)).toBe(0n)
      break
    }
    expect((await session.rows('SELECT 1')).rows).toEqual([[1]])
  })

  it("of a statement that fails are an error in limn's words", async () => {
    await using temporary = await temporaryEngine()
    await using session = await temporary.engine.session([])
    const all = Array.fromAsync(session.parts("SELECT error('no') FROM range(3)"))
    await expect(all).rejects.toMatchObject({ kind: expect.stringContaining('/') })
  })
})

describe('the canonical tree of a query', () => {
  it('is its syntax tree with keys in order and without positions', async () => {
    await using temporary = await temporaryEngine()
    const { canonical } = await temporary.engine.parse(
      `WITH x AS (SELECT a, 'é "quoted" \\ text' AS t FROM silver.t WHERE a IN (1, 2.5, NULL)) SELECT * FROM x ORDER BY a LIMIT 3`,
    )
    const sorted = JSON.stringify(JSON.parse(canonical), (_key, value: unknown) =>
      typeof value !== 'object' || value === null || Array.isArray(value)
        ? value
        : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))),
    )
    expect(canonical).toBe(sorted)
    expect(canonical).not.toContain('query_location')
    expect(canonical).toContain('é \\"quoted\\" ')
  })
})
