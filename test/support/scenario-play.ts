import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Clock, type Steps, tableId } from '../../packages/limn/dist/base/index.js'
import {
  formatInterval,
  type Interval,
  IntervalSet,
  type IntervalUnit,
  parseMicros,
} from '../../packages/limn/dist/dataset/index.js'
import { liveRunsOf } from '../../packages/limn/dist/lake/index.js'
import type { PlanReport, Project, RunReport } from '../../packages/limn/dist/pipeline/index.js'
import { executeStatement } from '../../packages/limn/dist/query/index.js'
import { expireSnapshots } from '../../packages/limn/dist/table/index.js'
import type { LakeScenario, Step } from '../pipeline/scenarios/scenario.ts'
import { firstOrders, shop, shopSource } from '../pipeline/scenarios/shop.ts'
import { DrawnLake, type DrawnModel, type DrawnSource, type RunWish } from './drawn-lake.ts'
import { SavedLake, temporaryFolder } from './lake.ts'

/** Plays scenarios on real lakes. Each begins with the same lake, which is built once for every place and put back. */

const noon = '2023-01-08T12:00'

/** A clock that goes on by itself, and can be moved forward. */
class MovedClock implements Clock {
  private baseMs = 0
  private sinceMs = 0

  constructor(now: string) {
    this.move(now)
  }

  nowMs(): number {
    return this.baseMs + Math.floor(performance.now() - this.sinceMs)
  }

  move(now: string): void {
    this.baseMs = parseMicros(now) / 1000
    this.sinceMs = performance.now()
  }
}

/** Does something once, when a run is about to publish. */
class Meanwhile implements Steps {
  what: (() => Promise<void>) | null = null

  async reach(name: string, edge: 'before' | 'after', detail: string): Promise<void> {
    const { what } = this
    if (what === null || name !== 'catalog.commit' || edge !== 'before' || !/(^| )limn\.run( |$)/.test(detail)) return
    this.what = null
    await what()
  }
}

/** Folders that hold the lake scenarios begin with, one for each that is played at the same time. */
export class Places implements Disposable {
  private readonly folders: readonly { readonly made: ReturnType<typeof temporaryFolder>; readonly saved: SavedLake }[]
  private readonly free: { readonly folder: string; readonly saved: SavedLake }[]
  private readonly waiting: (() => void)[] = []

  private constructor(folders: Places['folders']) {
    this.folders = folders
    this.free = folders.map(({ made, saved }) => ({ folder: made.folder, saved }))
  }

  static async prepare(count: number): Promise<Places> {
    return new Places(
      await Promise.all(
        Array.from({ length: count }, async () => {
          const made = temporaryFolder('scenario')
          {
            await using drawn = await DrawnLake.at(made.folder, { clock: new MovedClock('2023-01-08T11:00') })
            deliver(drawn, 'a', firstOrders)
            await drawn.run(await drawn.project([shopSource], Object.values(shop)))
          }
          return { made, saved: new SavedLake(made.folder) }
        }),
      ),
    )
  }

  /** Waits for a place, puts the first lake there and does something with it. */
  async use(body: (folder: string) => Promise<void>): Promise<void> {
    while (this.free.length === 0) await new Promise<void>((resolve) => this.waiting.push(resolve))
    const place = this.free.pop()
    if (!place) return this.use(body)
    try {
      place.saved.restore()
      await body(place.folder)
    } finally {
      this.free.push(place)
      this.waiting.shift()?.()
    }
  }

  [Symbol.dispose](): void {
    for (const { made, saved } of this.folders) {
      saved[Symbol.dispose]()
      made[Symbol.dispose]()
    }
  }
}

function deliver(drawn: DrawnLake, file: string, rows: readonly string[]): void {
  drawn.write(`inbox/${file}.csv`, `id,at,item,price\n${rows.join('\n')}\n`)
}

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

/** Plays a scenario in a folder with the first lake. Throws at the step where it does not hold. */
export async function play(folder: string, scenario: LakeScenario): Promise<void> {
  await using player = await Player.open(folder)
  await player.play(scenario.steps)
}

/** A scenario under way: the lake, and the definitions as they are by now. */
class Player implements AsyncDisposable {
  private drawn: DrawnLake
  private readonly clock: MovedClock
  private readonly meanwhile: Meanwhile
  private models: Readonly<Record<string, DrawnModel>> = shop
  private source: DrawnSource = shopSource

  private constructor(drawn: DrawnLake, clock: MovedClock, meanwhile: Meanwhile) {
    this.drawn = drawn
    this.clock = clock
    this.meanwhile = meanwhile
  }

  static async open(folder: string): Promise<Player> {
    const [clock, steps] = [new MovedClock(noon), new Meanwhile()]
    return new Player(await DrawnLake.at(folder, { clock, steps }), clock, steps)
  }

  async play(steps: readonly Step[], within = ''): Promise<void> {
    for (const [i, step] of steps.entries()) await this.take(step, `${within}step ${i + 1}, ${step.do}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drawn[Symbol.asyncDispose]()
  }

  private project(): Promise<Project> {
    return this.drawn.project([this.source], Object.values(this.models))
  }

  private async planned(wish: RunWish): Promise<PlanReport> {
    return this.drawn.plan(await this.project(), wish)
  }

  private async take(step: Step, said: string): Promise<void> {
    const { drawn } = this
    switch (step.do) {
      case 'define':
        for (const [name, change] of Object.entries(step.models)) {
          const { [name]: before, ...others } = this.models
          // A model keeps its place, so that plans list models as they were first defined.
          if (change === null) this.models = others
          else this.models = { ...this.models, [name]: { ...before, ...change } as DrawnModel }
        }
        return
      case 'source':
        this.source = { ...this.source, ...step.change }
        return
      case 'deliver':
        deliver(drawn, step.file, step.rows)
        return
      case 'file':
        drawn.write(step.path, '')
        return
      case 'time':
        this.clock.move(step.now)
        return
      case 'run':
        expect((await drawn.run(await this.project(), step.wish)).outcome, said).not.toBe('refused')
        return
      case 'during': {
        let done = false
        this.meanwhile.what = async () => {
          await this.play(step.steps, `${said}, `)
          done = true
        }
        expect((await drawn.run(await this.project(), step.wish)).outcome, said).toBe('published')
        expect(done, said).toBe(true)
        return
      }
      case 'plan':
        expect(planLines(await this.planned(step.wish ?? {})), said).toEqual(step.expect)
        return
      case 'causes':
        expect(causeLines(await this.planned(step.wish ?? {})), said).toEqual(step.expect)
        return
      case 'refuse':
        expect(await endOf(this.planned(step.wish ?? {}).then(() => 'a plan')), said).toBe(step.kind)
        return
      case 'create':
        await drawn.createEnvironment(await this.project(), step.env)
        return
      case 'drop':
        await drawn.dropEnvironment(await this.project(), step.env)
        return
      case 'promote': {
        const promoted = this.project().then((project) => drawn.promote(project, step.env))
        expect(await endOf(promoted.then((report) => report.outcome)), said).toBe(step.expect)
        return
      }
      case 'rows':
        expect(await drawn.query(step.sql, step.env), said).toEqual(step.expect)
        return
      case 'failed run': {
        const failed = this.project().then((project) => drawn.run(project, step.wish))
        expect(await endOf(failed.then((report) => report.outcome)), said).toBe(step.kind)
        return
      }
      case 'refused run':
        expect((await drawn.run(await this.project(), step.wish)).outcome, said).toBe('refused')
        return
      case 'rewrite': {
        const project = await this.project()
        expect(writtenLines(project, await drawn.run(project, step.wish)), said).toEqual(step.expect)
        return
      }
      case 'sql':
        await executeStatement(await drawn.lake.context(), step.sql, {
          owner: () => null,
          live: (table) => liveRunsOf(drawn.lake, table),
        })
        return
      case 'lose table': {
        const table = tableId(step.table)
        const loaded = (await drawn.lake.catalog.loadTables([table])).get(table)
        expect(loaded && (await drawn.lake.base.names.drop(table, loaded.metadataLocation)), said).toBe(true)
        return
      }
      case 'lose state': {
        await drawn[Symbol.asyncDispose]()
        for (const end of ['', '-wal', '-shm']) rmSync(join(drawn.folder, '.limn', `state.db${end}`), { force: true })
        this.drawn = await DrawnLake.at(drawn.folder, { clock: this.clock, steps: this.meanwhile })
        return
      }
      case 'clean': {
        const table = tableId(step.table)
        const live = await liveRunsOf(drawn.lake, table)
        const cleaned = await expireSnapshots(await drawn.lake.context(), table, { maxSnapshotAgeMs: 0, live })
        expect(cleaned.deleted.length, said).toBeGreaterThan(0)
        return
      }
    }
  }
}

/** How it ends: what it says, or the kind of its error. */
const endOf = (ending: Promise<string>): Promise<string | undefined> =>
  ending.catch((error: unknown) => {
    if (error instanceof Error && 'kind' in error) return String(error.kind)
    throw error
  })

function planLines({ plan }: PlanReport): readonly string[] {
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

function causeLines({ datasets }: PlanReport): readonly string[] {
  return datasets.map(
    ({ dataset, causes }) => `${dataset}: ${[...new Set(causes.flatMap((cause) => cause.because))].sort().join(', ')}`,
  )
}

function writtenLines(project: Project, report: RunReport): readonly string[] {
  return lines(
    report.datasets.flatMap(({ dataset, ranges }) => {
      const shape = project.nodes.get(dataset)?.shape
      const unit = shape?.kind === 'interval' ? shape.unit : null
      return ranges
        .filter(({ outcome }) => outcome === 'built' || outcome === 'landed')
        .map(({ interval }) => ({ head: `${dataset} `, tail: '', interval, unit, any: 'whole' }))
    }),
  )
}
