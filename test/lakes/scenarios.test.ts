import { describe, expect, it } from 'vitest'
import {
  formatInterval,
  type Interval,
  IntervalSet,
  type IntervalUnit,
} from '../../packages/limn/dist/dataset/index.js'
import { environmentScenarios } from '../pipeline/scenarios/environments.ts'
import { lakeScenarios } from '../pipeline/scenarios/lakes.ts'
import type { LakeScenario } from '../pipeline/scenarios/scenario.ts'
import { shapeScenarios } from '../pipeline/scenarios/shapes.ts'
import { firstOrders, shop, shopSource } from '../pipeline/scenarios/shop.ts'
import { DrawnLake, type DrawnModel, type RunWish } from '../support/drawn-lake.ts'

/** Lines of times that belong to the same thing, joined, as people say them. */
function lines(
  parts: readonly {
    readonly head: string
    readonly tail: string
    readonly interval: Interval | null
    readonly unit: IntervalUnit | null
    readonly any: string
  }[],
): readonly string[] {
  const groups = new Map<string, (typeof parts)[number][]>()
  for (const part of parts) {
    const key = `${part.head}\n${part.tail}`
    groups.set(key, [...(groups.get(key) ?? []), part])
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (!first) return []
    const line = (range: string) => `${first.head}${range}${first.tail}`
    const times = IntervalSet.of(group.flatMap((one) => (one.interval ? [one.interval] : [])))
    const { unit } = first
    return [
      ...(unit === null ? [] : times.intervals.map((interval) => line(formatInterval(unit, interval)))),
      ...(group.some((one) => one.interval === null) ? [line(first.any)] : []),
    ]
  })
}

async function play(scenario: LakeScenario): Promise<void> {
  await using drawn = await DrawnLake.open('scenario')
  let models: Record<string, DrawnModel> = { ...shop }
  const deliver = (file: string, rows: readonly string[]) =>
    drawn.write(`inbox/${file}.csv`, `id,at,item,price\n${rows.join('\n')}\n`)
  const project = () => drawn.project([shopSource], Object.values(models))
  const planned = async (wish: RunWish) => {
    const { plan } = await drawn.plan(await project(), wish)
    return lines(
      plan.items.map(({ dataset, interval, unit, reason, atMost }) => ({
        head: `${dataset} ${atMost ? '≤ ' : ''}`,
        tail: ` ${reason}`,
        interval,
        unit,
        any: unit === null ? 'whole' : 'any',
      })),
    )
  }
  deliver('a', firstOrders)
  await drawn.run(await project())
  for (const [i, step] of scenario.steps.entries()) {
    const said = `step ${i + 1}, ${step.do}`
    switch (step.do) {
      case 'define':
        for (const [name, change] of Object.entries(step.models)) {
          const before = models[name]
          if (change === null) models = Object.fromEntries(Object.entries(models).filter(([other]) => other !== name))
          else models = { ...models, [name]: { ...before, ...change } as DrawnModel }
        }
        break
      case 'deliver':
        deliver(step.file, step.rows)
        break
      case 'run':
        expect((await drawn.run(await project(), step.wish)).outcome, said).not.toBe('refused')
        break
      case 'plan':
        expect(await planned(step.wish ?? {}), said).toEqual(step.expect)
        break
      case 'refuse': {
        const refused = async () => {
          await planned(step.wish ?? {})
          return 'nothing'
        }
        expect(await refused().catch((error: unknown) => (error as { kind?: string }).kind), said).toBe(step.kind)
        break
      }
      case 'create':
        await drawn.createEnvironment(await project(), step.env)
        break
      case 'drop':
        await drawn.dropEnvironment(await project(), step.env)
        break
      case 'promote': {
        const ended = drawn.promote(await project(), step.env).then((report) => report.outcome)
        expect(await ended.catch((error: unknown) => (error as { kind?: string }).kind), said).toBe(step.expect)
        break
      }
      case 'rows':
        expect(await drawn.query(step.sql, step.env), said).toEqual(step.expect)
        break
      case 'failed run': {
        const failed = drawn.run(await project(), step.wish).then(
          (report) => report.outcome,
          (error: unknown) => (error as { kind?: string }).kind,
        )
        expect(await failed, said).toBe(step.kind)
        break
      }
      case 'refused run':
        expect((await drawn.run(await project(), step.wish)).outcome, said).toBe('refused')
        break
      case 'rewrite': {
        const now = await project()
        const report = await drawn.run(now, step.wish)
        const written = report.datasets.flatMap(({ dataset, ranges }) => {
          const shape = now.nodes.get(dataset)?.shape
          const unit = shape?.kind === 'interval' ? shape.unit : null
          return ranges
            .filter(({ outcome }) => outcome === 'built' || outcome === 'landed')
            .map(({ interval }) => ({ head: `${dataset} `, tail: '', interval, unit, any: 'whole' }))
        })
        expect(lines(written), said).toEqual(step.expect)
        break
      }
    }
  }
}

describe('scenarios of another planner, on lakes', () => {
  const all = [...lakeScenarios, ...environmentScenarios, ...shapeScenarios]
  it.each(all.map((one) => [`${one.says} (${one.verdict.kind})`, one] as const))('%s', (_, scenario) => play(scenario))
})
