import { describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn } from '../support/lake.ts'
import { bronzeEvent, smallLake, writeLake } from '../support/small-lake.ts'

const fromIceberg = (table: string, options = '') =>
  bronzeEvent
    .replace('{ files, ingest }', '{ iceberg, ingest }')
    .replace("files('inbox/*.csv', { format: 'csv' })", `iceberg('${table}'${options})`)

interface Ran {
  readonly outcome?: string
  readonly error?: { readonly kind: string; readonly message: string }
}
const run = async (folder: string): Promise<Ran> => JSON.parse((await limn(folder, 'run', '--json')).stdout) as Ran
const sql = async (folder: string, statement: string) => {
  const ended = await limn(folder, 'sql', statement)
  expect([statement, ended.code, ended.stderr]).toEqual([statement, 0, ''])
}
const amounts = (folder: string) => oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')
/** Rows that the latest delivery of bronze.event brought. */
async function landed(folder: string): Promise<number | undefined> {
  const text = await oneValue(
    folder,
    "SELECT deliveries FROM limn.run WHERE dataset = 'bronze.event' AND outcome = 'landed' ORDER BY seq DESC LIMIT 1",
  )
  return (JSON.parse(String(text)) as readonly { readonly kept: number }[]).at(-1)?.kept
}

async function makeSource(folder: string): Promise<void> {
  await sql(folder, 'CREATE TABLE lab.event (id BIGINT, happened_at TIMESTAMP, amount INT, note STRING)')
  await sql(
    folder,
    "INSERT INTO lab.event VALUES (1, '2026-01-01 08:00:00', 10, 'a'), (2, '2026-01-02 08:00:00', 20, 'b')",
  )
}

describe('an Iceberg table outside the datasets', { timeout: 120_000 }, () => {
  it('is landed by snapshot: once, then what was appended, then as a whole after other changes', async () => {
    using lake = smallLake('iceberg')
    const { folder } = lake
    await makeSource(folder)
    writeLake(folder, { 'datasets/bronze/event.ts': fromIceberg('lab.event') })
    expect((await run(folder)).outcome).toBe('published')
    expect([await amounts(folder), await landed(folder)]).toEqual([30, 2])
    expect((await run(folder)).outcome).toBe('idle')

    await sql(folder, "INSERT INTO lab.event VALUES (3, '2026-01-03 08:00:00', 5, 'c')")
    expect((await limn(folder, 'plan', '--exit-code')).code).toBe(4)
    expect((await run(folder)).outcome).toBe('published')
    expect([await amounts(folder), await landed(folder)]).toEqual([35, 1])
    const named = await oneValue(folder, 'SELECT count(DISTINCT _path)::INTEGER FROM bronze.event')
    expect(named).toBe(2)

    await sql(folder, 'DELETE FROM lab.event WHERE id = 1')
    await sql(folder, 'UPDATE lab.event SET amount = 7 WHERE id = 3')
    expect((await run(folder)).outcome).toBe('published')
    expect([await amounts(folder), await landed(folder)]).toEqual([27, 2])
    const read = await oneValue(
      folder,
      "SELECT inputs FROM limn.run WHERE dataset = 'bronze.event' ORDER BY seq DESC LIMIT 1",
    )
    const history = (await limn(folder, 'table', 'history', 'lab.event')).stdout
    const [head = ''] = /\d{15,}/.exec(history) ?? []
    expect(JSON.parse(String(read))).toEqual({ 'lab.event': head })

    await sql(
      folder,
      "CALL system.rewrite_data_files(table => 'lab.event', options => map('rewrite-all', 'true', 'min-input-files', '1'))",
    )
    await run(folder)
    expect([await amounts(folder), await landed(folder)]).toEqual([27, 0])
    expect((await run(folder)).outcome).toBe('idle')
  })

  it('is read by field id, by its own branch, and is landed anew when the contract asks for other columns', async () => {
    using lake = smallLake('iceberg')
    const { folder } = lake
    await makeSource(folder)
    await sql(folder, 'ALTER TABLE lab.event CREATE BRANCH audit')
    await sql(folder, "INSERT INTO lab.event.branch_audit VALUES (4, '2026-01-04 08:00:00', 100, 'd')")
    writeLake(folder, { 'datasets/bronze/event.ts': fromIceberg('lab.event', ", { ref: 'audit' }") })
    await run(folder)
    expect(await amounts(folder)).toBe(130)
    const noted = fromIceberg('lab.event', ", { ref: 'audit' }").replace(
      "amount: { type: 'int', doc: 'Amount.' },",
      "amount: { type: 'int', doc: 'Amount.' }, note: { type: 'string', doc: 'Note.', nulls: 'none was made' },",
    )
    writeLake(folder, { 'datasets/bronze/event.ts': noted })
    expect((await run(folder)).outcome).toBe('published')
    expect(await landed(folder)).toBe(3)
    expect(await oneValue(folder, "SELECT count(*)::INTEGER FROM bronze.event WHERE note IN ('a', 'b', 'd')")).toBe(3)
    await sql(folder, 'ALTER TABLE lab.event RENAME COLUMN amount TO n')
    expect((await run(folder)).error).toMatchObject({
      kind: 'source/schema',
      message: 'lab.event does not fit the contract of bronze.event: it has no column amount.',
    })
    writeLake(folder, { 'datasets/bronze/event.ts': fromIceberg('lab.event', ", { ref: 'nowhere' }") })
    expect((await run(folder)).error).toMatchObject({ kind: 'source/missing' })
  })

  it('may lie in another warehouse, by its folder or its metadata file', async () => {
    using other = smallLake('iceberg-other')
    await makeSource(other.folder)
    const shown = JSON.parse((await limn(other.folder, 'table', 'show', 'lab.event', '--json')).stdout) as {
      readonly location: string
    }
    using lake = smallLake('iceberg')
    const { folder } = lake
    writeLake(folder, { 'datasets/bronze/event.ts': fromIceberg(shown.location) })
    expect((await run(folder)).outcome).toBe('published')
    await sql(other.folder, "INSERT INTO lab.event VALUES (3, '2026-01-03 08:00:00', 5, 'c')")
    expect((await run(folder)).outcome).toBe('published')
    expect([await amounts(folder), await landed(folder)]).toEqual([35, 1])
  })

  it('is an error when it is missing, or is made by a dataset', async () => {
    using lake = smallLake('iceberg')
    const { folder } = lake
    for (const [table, kind, message] of [
      ['lab.event', 'source/missing', 'There is no table lab.event, the source of bronze.event.'],
      ['./nowhere', 'source/missing', expect.stringContaining('There is no Iceberg table in')],
      [
        'silver.event',
        'dataset/invalid',
        'silver.event, the source of bronze.event, is made by a dataset of this lake.',
      ],
    ] as const) {
      writeLake(folder, { 'datasets/bronze/event.ts': fromIceberg(table) })
      expect((await run(folder)).error).toMatchObject({ kind, message })
    }
  })
})
