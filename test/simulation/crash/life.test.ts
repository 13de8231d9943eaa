import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { listEnvironments } from '../../../packages/limn/src/lake/index.ts'
import { oneOfEachKind, type ReachedStep } from '../../support/crash.ts'
import { goldenLake, open, planIn, readAll, redefine, runIn } from '../../support/golden-lake.ts'
import { root, SavedLake } from '../../support/lake.ts'
import { start } from '../../support/process.ts'

const lake = goldenLake('life-crash')
const { folder } = lake
const elsewhere = `${folder}-elsewhere`
const backups = `${folder}-backups`
const driver = join(root, 'test/support/life-driver.ts')
let saved: SavedLake

type Verb = readonly [verb: string, argument?: string]

async function record(at: string, [verb, argument = '']: Verb): Promise<readonly ReachedStep[]> {
  const file = `${folder}.steps`
  rmSync(file, { force: true })
  const ended = await start(process.execPath, [driver, at, 'record', file, verb, argument]).ended
  expect([ended.code, ended.stderr]).toEqual([0, ''])
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  rmSync(file)
  return lines.map((line, index) => {
    const [name = '', edge = '', detail = ''] = line.split('\t')
    return { index, name, edge, detail }
  })
}

async function finish(at: string, [verb, argument = '']: Verb): Promise<number | null> {
  return (await start(process.execPath, [driver, at, 'kill', '-1', verb, argument]).ended).code
}

const deciding = /limn\.run|^environment |^move /

/** One step of each kind, and both sides of the commits that decide. */
function chosen(steps: readonly ReachedStep[]): readonly ReachedStep[] {
  const picked = new Map(oneOfEachKind(steps).map((step) => [step.index, step]))
  for (const step of steps)
    if (step.name === 'catalog.commit' && deciding.test(step.detail)) picked.set(step.index, step)
  return [...picked.values()].sort((a, b) => a.index - b.index)
}

function clean(): void {
  saved.restore()
  for (const path of [elsewhere, backups]) rmSync(path, { recursive: true, force: true })
}

/** Kills a verb at each chosen step and looks. `reset` brings everything back to where the verb begins. */
async function killed(
  verb: Verb,
  look: (step: ReachedStep) => Promise<void>,
  at = folder,
  reset: () => Promise<void> = async () => clean(),
): Promise<void> {
  await reset()
  const steps = chosen(await record(at, verb))
  expect(steps.length).toBeGreaterThan(1)
  for (const step of steps) {
    await reset()
    const [name, argument = ''] = verb
    const ended = await start(process.execPath, [driver, at, 'kill', String(step.index), name, argument]).ended
    expect(ended.signal).toBe('SIGKILL')
    await look(step)
  }
}

async function environments(): Promise<readonly string[]> {
  await using one = await open(folder)
  return (await listEnvironments(one)).map((each) => each.name)
}

let before: readonly string[] = []
let doubled: readonly string[] = []
const gold = (rows: readonly string[]) => rows.filter((row) => row.startsWith('gold.day'))

beforeAll(async () => {
  await runIn(folder)
  await finish(folder, ['fork'])
  redefine(folder, 'sum(amount) * 2')
  await runIn(folder, { environment: 'dev' })
  before = await readAll(folder)
  doubled = await readAll(folder, { environment: 'dev' })
  saved = new SavedLake(folder)
})
beforeEach(clean)
afterAll(() => {
  clean()
  saved[Symbol.dispose]()
  lake[Symbol.dispose]()
})

describe('a verb of the whole lake that is killed', () => {
  it('leaves an environment whole or absent when it is dropped, and production as it was', async () => {
    await killed(['drop-environment'], async () => {
      expect(await readAll(folder)).toEqual(before)
      if ((await environments()).length > 0) expect(await readAll(folder, { environment: 'dev' })).toEqual(doubled)
      expect(await finish(folder, ['drop-environment'])).toBeOneOf([0, 1])
      expect(await environments()).toEqual([])
      expect(await readAll(folder)).toEqual(before)
      const left = join(folder, 'warehouse/env.dev')
      const files = existsSync(left) ? readdirSync(left, { recursive: true, withFileTypes: true }) : []
      expect(files.filter((entry) => entry.isFile())).toEqual([])
    })
  })

  it('leaves an environment whole or absent when it is made', async () => {
    const reset = async () => {
      clean()
      await finish(folder, ['drop-environment'])
    }
    await killed(
      ['fork'],
      async () => {
        expect(await readAll(folder)).toEqual(before)
        if ((await environments()).length === 0) expect(await finish(folder, ['fork'])).toBe(0)
        expect(await readAll(folder, { environment: 'dev' })).toEqual(before)
      },
      folder,
      reset,
    )
  })

  it('leaves production before or after when an environment is promoted, with its ledger', async () => {
    await killed(['promote'], async () => {
      const rows = gold(await readAll(folder))
      const published = JSON.stringify(rows) === JSON.stringify(gold(doubled))
      if (!published) expect(rows).toEqual(gold(before))
      expect(await planIn(folder)).toEqual(published ? [] : [expect.stringContaining('definition-changed')])
      // The next run settles what died, and what it then builds is what the environment had.
      await runIn(folder)
      expect(gold(await readAll(folder))).toEqual(gold(doubled))
      expect(await planIn(folder)).toEqual([])
    })
  })

  it('leaves the lake as it was when it is relocated, or moved as a whole, and goes on when it is asked again', async () => {
    await killed(['relocate', elsewhere], async () => {
      expect(await readAll(folder)).toEqual(before)
      const moved = readFileSync(join(folder, 'limn.config.ts'), 'utf8').includes(elsewhere)
      if (!moved) expect(await finish(folder, ['relocate', elsewhere])).toBe(0)
      expect(readFileSync(join(folder, 'limn.config.ts'), 'utf8')).toContain(elsewhere)
      expect(await readAll(folder)).toEqual(before)
      expect(await readAll(folder, { environment: 'dev' })).toEqual(doubled)
    })
  })

  it('leaves the source and earlier backups as they were when it is backed up', async () => {
    const statement = 'UPDATE silver.event SET amount = 11 WHERE id = 1'
    const reset = async () => {
      clean()
      await finish(folder, ['backup', backups])
      await finish(folder, ['edit', statement])
    }
    await reset()
    const edited = await readAll(folder)
    expect(edited).not.toEqual(before)
    await killed(
      ['backup', backups],
      async () => {
        expect(await readAll(folder)).toEqual(edited)
        rmSync(elsewhere, { recursive: true, force: true })
        expect(await finish(elsewhere, ['restore', backups])).toBe(0)
        expect(await readAll(elsewhere)).toEqual(before)
      },
      folder,
      reset,
    )
  })

  it('leaves no lake when it is restored, and goes on when it is asked again', async () => {
    const sizes = () =>
      readdirSync(backups, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => `${entry.name} ${statSync(join(entry.parentPath, entry.name)).size}`)
        .sort()
    const reset = async () => {
      clean()
      await finish(folder, ['backup', backups])
    }
    await killed(
      ['restore', backups],
      async () => {
        const had = sizes()
        expect(await finish(elsewhere, ['restore', backups])).toBe(0)
        expect(await readAll(elsewhere)).toEqual(before)
        expect(sizes()).toEqual(had)
      },
      elsewhere,
      reset,
    )
  })

  it('leaves rows changed by hand before or after', async () => {
    const statement = 'UPDATE silver.event SET amount = 11 WHERE id = 1'
    await killed(['edit', statement], async () => {
      const silver = (rows: readonly string[]) => rows.filter((row) => row.startsWith('silver.event'))
      const now = silver(await readAll(folder))
      const after = silver(before).map((row) => row.replace('event 1 10', 'event 1 11'))
      expect([silver(before), after]).toContainEqual(now)
      await runIn(folder)
      expect(silver(await readAll(folder))).toEqual(now)
      expect(await planIn(folder)).toEqual([])
    })
  })
})
