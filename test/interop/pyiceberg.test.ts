import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { landAll, landJuneAgain } from '../../examples/flights/land.ts'
import { copyFlights, limn, root, temporaryFolder } from '../support/lake.ts'
import { start } from '../support/process.ts'

const python = join(root, '.peers', 'python', 'bin', 'python')
const present = existsSync(python)
if (!present) {
  if (process.env.LIMN_REQUIRE_INTEROP === '1')
    throw new Error('PyIceberg is required here: run scripts/install-peers.sh')
  process.stdout.write('PyIceberg is not installed: this suite is left out. To have it: scripts/install-peers.sh\n')
}

interface Found {
  readonly rows: number
  readonly sums: Readonly<Record<string, number | readonly [string, string]>>
  readonly columns: readonly (readonly [number, string, string, boolean])[]
  readonly spec: readonly (readonly [string, string])[]
  readonly snapshot: string
  readonly files: number
  readonly earlier: number | null
}

interface Shown {
  readonly rows: number
  readonly files: number
  readonly snapshotId: string
  readonly columns: readonly {
    readonly id: number
    readonly name: string
    readonly type: string
    readonly required: boolean
  }[]
  readonly partitioning: readonly { readonly name: string; readonly transform: string }[]
}

const names = [
  'bronze.airport',
  'bronze.federal_holiday',
  'bronze.flight_report',
  'gold.airport_day',
  'gold.airport_day_by_report',
  'gold.route_month',
  'limn.check_result',
  'limn.definition',
  'limn.run',
  'silver.dim_airport',
  'silver.dim_date',
  'silver.flight',
]

describe.runIf(present)('PyIceberg on the lake of three million flights', () => {
  const lake = temporaryFolder('interop')

  async function json<T>(...args: readonly string[]): Promise<T> {
    const ended = await limn(lake.folder, ...args, '--json')
    expect(ended.stderr).toBe('')
    return JSON.parse(ended.stdout) as T
  }

  async function readAll(snapshots: Readonly<Record<string, string>>): Promise<Readonly<Record<string, Found>>> {
    const ended = await start(python, [
      join(root, 'test', 'interop', 'read_tables.py'),
      lake.folder,
      JSON.stringify(snapshots),
    ]).ended
    expect(ended.stderr.split('\n').filter((line) => /Error|Traceback/.test(line))).toEqual([])
    return JSON.parse(ended.stdout) as Record<string, Found>
  }

  async function expectAgreement(found: Readonly<Record<string, Found>>): Promise<void> {
    expect(Object.keys(found).sort()).toEqual(names)
    for (const name of names) {
      const peer = found[name]
      const own = await json<Shown>('table', 'show', name)
      expect([name, peer?.rows, peer?.files, peer?.snapshot]).toEqual([name, own.rows, own.files, own.snapshotId])
      expect(peer?.columns).toEqual(own.columns.map((column) => [column.id, column.name, column.type, column.required]))
      expect(peer?.spec).toEqual(own.partitioning.map((part) => [part.name, part.transform]))
      for (const [column, value] of Object.entries(peer?.sums ?? {})) {
        const list = Array.isArray(value)
        const expression = list
          ? `min("${column}")::TIMESTAMP::VARCHAR, max("${column}")::TIMESTAMP::VARCHAR`
          : `sum("${column}")::HUGEINT::VARCHAR`
        const { rows } = await json<{ rows: readonly (readonly string[])[] }>(
          'sql',
          `SELECT ${expression} FROM ${name}`,
        )
        const theirs = list
          ? value.map((text) => text.replace('+00:00', '').replace(/(\.\d*?)0+$/, '$1'))
          : [String(value)]
        expect([name, column, rows[0]?.map((cell) => cell ?? '0')]).toEqual([name, column, theirs])
      }
    }
  }

  beforeAll(async () => {
    copyFlights(lake.folder)
    await landAll(lake.folder)
    expect((await limn(lake.folder, 'run')).code).toBe(0)
  })
  afterAll(() => lake[Symbol.dispose]())

  it('reads every table: rows, sums, schema, partitioning, files and snapshot agree', async () => {
    await expectAgreement(await readAll({}))
  })

  it('reads the tables after June was delivered again, and the state before it by snapshot', async () => {
    const before = await json<Shown>('table', 'show', 'gold.airport_day')
    const flights = await json<Shown>('table', 'show', 'silver.flight')
    await landJuneAgain(lake.folder)
    expect((await limn(lake.folder, 'run')).code).toBe(0)
    const found = await readAll({ 'gold.airport_day': before.snapshotId, 'silver.flight': flights.snapshotId })
    await expectAgreement(found)
    expect(found['silver.flight']?.earlier).toBe(2_999_809)
    expect(found['silver.flight']?.rows).toBe(3_000_309)
    expect(found['gold.airport_day']?.earlier).toBe(before.rows)
  })
})
