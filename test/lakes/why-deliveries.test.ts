import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limn, SavedLake } from '../support/lake.ts'
import { bronzeEvent, deliver, silverEvent, smallLake, writeLake } from '../support/small-lake.ts'
import { headOf, named, pathsOf, runLake, whyOf } from '../support/why.ts'

const files = 60

/** The rows of one file: ten events of a day of its own. */
function rowsOf(file: number): string[][] {
  const day = new Date(Date.UTC(2026, 0, 1 + file)).toISOString().slice(0, 10)
  return Array.from({ length: 10 }, (_, i) => [
    `${file * 100 + i}`,
    `${day} ${String(i).padStart(2, '0')}:30:00`,
    `${17 + ((file * 31 + i * 7) % 900)}`,
  ])
}

const nameOf = (file: number) => `f${String(file).padStart(3, '0')}`
const pathOf = (file: number) => `inbox/${nameOf(file)}.csv`

describe('limn why among many deliveries', () => {
  const lake = smallLake('many')
  const { folder } = lake
  let saved: SavedLake
  let before = ''

  const why = (table = 'gold.day', ...args: readonly string[]) => whyOf(folder, table, before, ...args)
  const run = () => runLake(folder)

  beforeAll(async () => {
    writeLake(folder, {
      'datasets/bronze/event.ts': bronzeEvent.replace("format: 'csv' }", "format: 'csv', withdrawn: 'remove' }"),
      'datasets/silver/event.ts': silverEvent.replace("keys: ['id']", 'keys: []'),
    })
    rmSync(join(folder, 'inbox/a.csv'))
    for (let file = 0; file < files; file++) deliver(folder, nameOf(file), rowsOf(file))
    await run()
    before = await headOf(folder, 'gold.day')
    saved = new SavedLake(folder)
  })
  afterAll(() => {
    saved[Symbol.dispose]()
    lake[Symbol.dispose]()
  })

  it('names the few that are wrong among many that are only new', async () => {
    saved.restore()
    for (let file = files; file < 2 * files; file++) deliver(folder, nameOf(file), rowsOf(file))
    deliver(
      folder,
      nameOf(7),
      rowsOf(7).map(([id = '', at = '', amount]) => [id, at, `${Number(amount) * 60}`]),
    )
    deliver(folder, nameOf(31), rowsOf(31).slice(0, 4))
    deliver(folder, 'resent', rowsOf(12))
    await run()
    const found = await why('gold.day', '--measure', 'sum(amount)')
    // The same events again are made distinct above, and change no number.
    expect(named(found)).toEqual([
      ['new-rows', 'bronze.event', null],
      ['partial-delivery', 'bronze.event', null],
      ['unit-change', 'bronze.event', 'amount'],
    ])
    const paths = Object.fromEntries(found.findings.map((one) => [one.kind, pathsOf(one)]))
    expect(paths['unit-change']).toEqual([pathOf(7)])
    expect(paths['partial-delivery']).toEqual([pathOf(31)])
    expect(paths['new-rows']).toEqual(Array.from({ length: files }, (_, i) => pathOf(files + i)))
    expect(found.unknown).toEqual([])
  })

  it('tells what happened to all of them as one thing, and one that is not so by itself', async () => {
    saved.restore()
    for (let file = 0; file < files; file++)
      deliver(
        folder,
        nameOf(file),
        file === 41
          ? rowsOf(file).slice(3)
          : rowsOf(file).map(([id = '', at = '', amount]) => [id, at, `${Number(amount) * 100}`]),
      )
    await run()
    const found = await why()
    const units = found.findings.filter((one) => one.kind === 'unit-change')
    expect(new Set(named(found).map((one) => one[0]))).toEqual(new Set(['unit-change', 'partial-delivery']))
    expect(units.flatMap(pathsOf).sort()).toEqual(
      Array.from({ length: files }, (_, i) => pathOf(i)).filter((path) => path !== pathOf(41)),
    )
    // Divided in two again and again, not one by one.
    expect(units.length).toBeLessThan(12)
    expect(found.findings.filter((one) => one.kind === 'partial-delivery').flatMap(pathsOf)).toEqual([pathOf(41)])
  })

  it('does not accuse files that were only renamed, and says so', async () => {
    saved.restore()
    for (const file of [3, 4, 5]) renameSync(join(folder, pathOf(file)), join(folder, `inbox/new-${file}.csv`))
    await run()
    const found = await whyOf(folder, 'bronze.event', await firstOf('bronze.event'), '--measure', 'count(*)')
    expect(named(found)).toEqual([])
    expect(found.steps.map((one) => one.verdict)).toEqual([
      'no delivery that matters differs; inbox/f003.csv is now inbox/new-3.csv; inbox/f004.csv is now inbox/new-4.csv; inbox/f005.csv is now inbox/new-5.csv',
    ])
    expect(named(await why())).toEqual([])
  })

  it('compares a file that came corrected under another name with what it was', async () => {
    saved.restore()
    renameSync(join(folder, pathOf(3)), join(folder, 'inbox/new-3.csv'))
    rmSync(join(folder, pathOf(9)))
    deliver(folder, 'new-9', rowsOf(9).slice(0, 6))
    await run()
    const found = await why()
    expect(named(found)).toEqual([['partial-delivery', 'bronze.event', null]])
    expect(found.findings[0]?.origin.path).toBe('inbox/new-9.csv')
    expect(found.findings[0]?.sentence).toBe(
      'inbox/new-9.csv (formerly inbox/f009.csv) came again with 6 of 10 rows; 4 rows that mattered here are missing.',
    )
  })

  it('names a rename where the query looks at the path', async () => {
    saved.restore()
    const file = join(folder, 'datasets/silver/event.ts')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(
        'SELECT DISTINCT id, happened_at, amount',
        "SELECT DISTINCT id, happened_at, amount + CASE WHEN _path LIKE '%new%' THEN 1 ELSE 0 END AS amount",
      ),
    )
    await run()
    const then = await headOf(folder, 'gold.day')
    renameSync(join(folder, pathOf(3)), join(folder, 'inbox/new-3.csv'))
    await run()
    const found = await whyOf(folder, 'gold.day', then)
    expect(named(found)).toEqual([['renamed-delivery', 'bronze.event', '_path']])
    expect(found.findings[0]?.sentence).toBe(
      'inbox/f003.csv is now inbox/new-3.csv, with the same rows, and silver.event looks at _path.',
    )
  })

  it('calls rows duplicates only where they are too many of the grain of their reader', async () => {
    saved.restore()
    // The grain of its one reader is a day: events of one day are no duplicates.
    writeLake(folder, {
      'datasets/silver/event.ts': silverEvent
        .replace("grain: ['id'], keys: ['id']", "grain: ['happened_at'], keys: []")
        .replace(
          'SELECT DISTINCT id, happened_at, amount',
          'SELECT min(id) AS id, happened_at, sum(amount)::INTEGER AS amount',
        )
        .replace('< ${interval.end}', '< ${interval.end} GROUP BY happened_at'),
    })
    await run()
    const then = await headOf(folder, 'gold.day')
    deliver(folder, 'more', [
      ['9001', '2026-01-04 22:00:00', '5'],
      ['9002', '2026-01-04 22:00:00', '6'],
    ])
    await run()
    expect(named(await whyOf(folder, 'gold.day', then))).toEqual([['late-rows', 'bronze.event', null]])

    saved.restore()
    deliver(folder, 'more', [
      ['9001', '2026-01-04 22:00:00', '5'],
      ['9001', '2026-01-04 22:00:00', '6'],
    ])
    await run()
    expect(named(await why())).toEqual([['duplicate-key', 'bronze.event', 'id']])
  })

  it('tries deliveries of one day apart, and lets those go whose rows are not used', async () => {
    saved.restore()
    writeLake(folder, {
      'datasets/silver/event.ts': silverEvent.replace('WHERE', 'WHERE amount < 5000 AND'),
    })
    deliver(folder, 'large', [
      ['9001', '2026-01-04 22:00:00', '6000'],
      ['9002', '2026-01-04 22:10:00', '70'],
    ])
    await run()
    const then = await headOf(folder, 'gold.day')
    // What is filtered out is corrected; a row of the same day is new; rows of the day come that are too large.
    deliver(folder, 'large', [
      ['9001', '2026-01-04 22:00:00', '6001'],
      ['9002', '2026-01-04 22:10:00', '70'],
    ])
    deliver(folder, 'larger', [['9003', '2026-01-04 23:00:00', '8000']])
    deliver(folder, 'small', [['9004', '2026-01-04 23:00:00', '8']])
    await run()
    const found = await whyOf(folder, 'gold.day', then)
    expect(found.findings.map((one) => [one.kind, ...pathsOf(one)])).toEqual([['late-rows', 'inbox/small.csv']])
  })

  it('is the same state where a run landed nothing new', async () => {
    saved.restore()
    expect((await limn(folder, 'run', '--json')).code).toBe(0)
    expect(named(await why())).toEqual([])
  })

  async function firstOf(table: string): Promise<string> {
    const shown = await limn(folder, 'table', 'history', table, '--json')
    return String((JSON.parse(shown.stdout) as readonly { snapshotId: string }[]).at(-1)?.snapshotId)
  }
})
