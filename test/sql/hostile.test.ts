import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { lexSql, parseStatement } from '../../packages/limn/src/sql/index.ts'

const words =
  `SELECT FROM INSERT INTO OVERWRITE UPDATE SET DELETE MERGE USING ON WHEN NOT MATCHED BY SOURCE THEN CREATE OR
  REPLACE TABLE VIEW IF EXISTS AS PARTITIONED TBLPROPERTIES ALTER ADD COLUMN COLUMNS DROP RENAME TO WRITE ORDERED LOCALLY
  BRANCH TAG VERSION TIMESTAMP OF FOR AT RETAIN DAYS WITH SNAPSHOT RETENTION CALL DEFAULT NULL CASE END INTERVAL STRUCT
  ARRAY MAP DECIMAL a a.t b "q" \`r\` 1 2.5 'text' $$d$$ $p ( ) [ ] { } < > , ; . = * + - / : | ' " \` /* -- ä 🧊`.split(
    /\s+/,
  )

const text = fc.oneof(
  fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((all) => all.join(' ')),
  fc.array(fc.constantFrom(...words), { maxLength: 20 }).map((all) => all.join('')),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
)

describe('any text', () => {
  it('is read, or refused as a syntax error within it', () => {
    fc.assert(
      fc.property(text, (sql) => {
        try {
          parseStatement(sql)
        } catch (error) {
          if (!(error instanceof LimnError)) throw error
          expect(error.kind).toBe('sql/syntax')
          const { offset, line, column } = error.context as { offset: number; line: number; column: number }
          expect(offset).toBeGreaterThanOrEqual(0)
          expect(offset).toBeLessThanOrEqual(sql.length)
          const lines = sql.slice(0, offset).split('\n')
          expect([line, column]).toEqual([lines.length, (lines.at(-1) ?? '').length + 1])
        }
      }),
      { numRuns: 5000 },
    )
  })

  it('is split into tokens that follow each other with nothing but blanks between', () => {
    fc.assert(
      fc.property(text, (sql) => {
        let last = 0
        for (const token of lexSql(sql)) {
          expect(token.start).toBeGreaterThanOrEqual(last)
          expect(token.end).toBeGreaterThan(token.start)
          expect(sql.slice(last, token.start).trim()).toBe('')
          last = token.end
        }
        expect(last).toBeLessThanOrEqual(sql.length)
        expect(sql.slice(last).trim()).toBe('')
      }),
      { numRuns: 3000 },
    )
  })

  it('takes time in proportion to its length', () => {
    const rows = (count: number) =>
      `INSERT INTO a.t VALUES ${Array.from({ length: count }, (_, i) => `(${i}, 'row ${i}')`).join(', ')}`
    const timed = (sql: string) => {
      const began = performance.now()
      parseStatement(sql)
      return performance.now() - began
    }
    timed(rows(1000))
    // Two megabytes of values; a reader that looked back at all of them would take minutes.
    expect(timed(rows(100_000))).toBeLessThan(5_000)
    const deep = `DELETE FROM a.t WHERE ${'('.repeat(50_000)}x${')'.repeat(50_000)}`
    expect(timed(deep)).toBeLessThan(5_000)
    for (const type of [`INT${'[]'.repeat(100_000)}`, 'STRUCT<a: '.repeat(100_000), 'MAP<INT, '.repeat(100_000)])
      expect(() => parseStatement(`CREATE TABLE a.t (x ${type})`)).toThrow(LimnError)
    const intervals = `SELECT 1 FROM a.t TIMESTAMP AS OF ${'INTERVAL '.repeat(100_000)}`
    expect(timed(intervals)).toBeLessThan(5_000)
    const signs = `SELECT 1 FROM a.t TIMESTAMP AS OF ${'- '.repeat(100_000)}1`
    expect(() => parseStatement(signs)).toThrow(LimnError)
    expect(() => parseStatement(`CREATE TABLE a.t (x ${'ARRAY<'.repeat(100_000)}INT${'>'.repeat(100_000)})`)).toThrow(
      LimnError,
    )
  })
})
