import { afterAll, beforeAll, expect, it } from 'vitest'
import { landAll, months } from '../../examples/flights/land.ts'
import { contentsOf } from '../support/contents.ts'
import { copyFlights, forgetLake, limn, temporaryFolder } from '../support/lake.ts'

interface RunJson {
  readonly outcome: string
  readonly datasets: readonly { readonly dataset: string; readonly ranges: readonly { readonly outcome: string }[] }[]
}

const lake = temporaryFolder('flights-order')
const { folder } = lake

async function run(...args: readonly string[]): Promise<RunJson> {
  const ended = await limn(folder, 'run', '--json', ...args)
  expect(ended.stderr).toBe('')
  return JSON.parse(ended.stdout) as RunJson
}

beforeAll(async () => {
  copyFlights(folder)
  await landAll(folder)
})
afterAll(() => lake[Symbol.dispose]())

it('the flights lake is the same when months are built one by one, in reverse', async () => {
  expect((await run()).outcome).toBe('published')
  const first = await contentsOf(folder)
  forgetLake(folder)
  for (const month of [...months].reverse()) expect((await run('--date', month)).outcome).toBe('published')
  // Days that rows of a month built later reach are stale until a run may build them too.
  const last = await run()
  const built = last.datasets.filter((one) => one.ranges.some((range) => range.outcome === 'built'))
  expect(built.map((one) => one.dataset)).toEqual(['gold.airport_day_by_report'])
  expect(await contentsOf(folder)).toEqual(first)
  expect((await run()).outcome).toBe('idle')
})
