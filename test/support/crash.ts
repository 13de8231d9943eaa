import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { contentsOf } from './contents.ts'
import { limn, root } from './lake.ts'
import { start } from './process.ts'

const driver = join(root, 'test', 'support', 'crash-driver.ts')

/** A named step that a run reached, and where in the sequence. */
export interface ReachedStep {
  readonly index: number
  readonly name: string
  readonly edge: string
  readonly detail: string
}

/** Runs the lake to its end and tells every step it reached. */
export async function recordSteps(folder: string): Promise<readonly ReachedStep[]> {
  const file = `${folder}.steps`
  rmSync(file, { force: true })
  const ended = await start(process.execPath, [driver, folder, 'record', file]).ended
  expect(ended.stderr).toBe('')
  expect(ended.code).toBe(0)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  rmSync(file)
  return lines.map((line, index) => {
    const [name = '', edge = '', detail = ''] = line.split('\t')
    return { index, name, edge, detail }
  })
}

/** The first step of each kind and edge. */
export function oneOfEachKind(steps: readonly ReachedStep[]): readonly ReachedStep[] {
  return [...Map.groupBy(steps, (step) => `${step.name} ${step.edge}`).values()].flatMap((group) => group.slice(0, 1))
}

export async function killAtStep(folder: string, index: number): Promise<void> {
  const ended = await start(process.execPath, [driver, folder, 'kill', String(index)]).ended
  expect(ended.signal).toBe('SIGKILL')
}

/** Starts a run and kills it after a while; tells whether it was still going. */
export async function killAfter(folder: string, ms: number): Promise<boolean> {
  const { child, ended } = start(process.execPath, [join(root, 'packages', 'limn', 'bin', 'limn.js'), 'run'], {
    cwd: folder,
  })
  await sleep(ms)
  child.kill('SIGKILL')
  return (await ended).signal === 'SIGKILL'
}

/** After a kill: readers see one complete state, old or new; after a restart, the new one. */
export async function expectWhole(
  folder: string,
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): Promise<void> {
  const seen = await contentsOf(folder)
  expect([before, after]).toContainEqual(seen)
  const again = await limn(folder, 'run', '--json')
  expect(again.stderr).toBe('')
  expect(again.code).toBe(0)
  expect(await contentsOf(folder)).toEqual(after)
}
