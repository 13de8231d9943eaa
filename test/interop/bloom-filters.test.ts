import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Peer, peersPresent } from '../support/peers.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

describe.runIf(peersPresent('java'))('Bloom filters that limn writes', () => {
  let made: Awaited<ReturnType<typeof temporaryTables>>
  let java: Peer
  beforeAll(async () => {
    made = await temporaryTables({ seed: 'bloom' })
    java = new Peer('java')
  })
  afterAll(async () => {
    await java[Symbol.asyncDispose]()
    await made[Symbol.asyncDispose]()
  })

  it('are read by the reference implementation: every value is there, others are not', async () => {
    const { run } = runner(made.context)
    const columns = ['id', 'n', 'x', 'word', 'day', 'price', 'key', 'place.city']
    const wishes = columns.map((name) => `'write.parquet.bloom-filter-enabled.column.${name}' = 'true'`)
    await run(
      `CREATE TABLE b.t (id BIGINT, n INT, x DOUBLE, word STRING, day DATE, price DECIMAL(9, 2), key UUID, place STRUCT<city: STRING>, other STRING)
       TBLPROPERTIES ('write.parquet.row-group-row-limit' = '2048', ${wishes.join(', ')})`,
    )
    await run(`INSERT INTO b.t SELECT i, (i * 3)::INT, i / 4.0, 'w' || i, DATE '1970-01-01' + i::INT, (i / 4)::DECIMAL(9, 2),
      ('00000000-0000-0000-0000-' || lpad(i::VARCHAR, 12, '0'))::UUID, {city: 'c' || (i % 10)}, 'o' FROM range(5000) r(i)`)
    const [file] = (await Array.fromAsync(made.store.list(made.store.root)))
      .map((one) => String(one.path).replace('file://', ''))
      .filter((path) => path.endsWith('.parquet'))
    const probe = async (column: string, type: string, values: readonly (string | number)[]) =>
      (
        await java.ask<{ groups: readonly (readonly (boolean | null)[])[] }>({
          op: 'bloom',
          file,
          column,
          type,
          values,
        })
      ).groups
    const uuid = (i: number) => `${'0'.repeat(20)}${String(i).padStart(12, '0')}`
    const cases: readonly (readonly [string, string, (i: number) => string | number])[] = [
      ['id', 'long', (i) => i],
      ['n', 'int', (i) => i * 3],
      ['x', 'double', (i) => i / 4],
      ['word', 'string', (i) => `w${i}`],
      ['day', 'int', (i) => i],
      ['price', 'int', (i) => i * 25],
      ['key', 'bytes', uuid],
    ]
    const sample = [0, 1, 77, 2000, 2048, 3333, 4095, 4096, 4999]
    for (const [column, type, of] of cases) {
      const there = await probe(column, type, sample.map(of))
      const own = sample.map((i) => there[Math.floor(i / 2048)]?.[sample.indexOf(i)])
      expect([column, own]).toEqual([column, sample.map(() => true)])
      const absent = await probe(
        column,
        type,
        Array.from({ length: 100 }, (_, i) => of(1_000_000 + i)),
      )
      expect([column, absent.length]).toEqual([column, 3])
      for (const group of absent) expect([column, group.filter(Boolean).length < 6]).toEqual([column, true])
    }
    expect(await probe('place.city', 'string', ['c3', 'c11'])).toEqual(Array.from({ length: 3 }, () => [true, false]))
    expect(await probe('other', 'string', ['o'])).toEqual([[null], [null], [null]])
  })
})
