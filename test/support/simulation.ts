import { LimnError } from '../../packages/limn/src/base/index.ts'
import type { Catalog } from '../../packages/limn/src/iceberg/index.ts'
import type { ObjectStore } from '../../packages/limn/src/storage/index.ts'
import { draws } from './hostile.ts'

/** A simulated process died here: nothing of it runs any more. */
export class Crashed extends Error {
  constructor(writer: string) {
    super(`${writer} crashed`)
  }
}

/** How often, in a thousand calls, each thing goes wrong. */
export interface Odds {
  readonly crash: number
  /** A write to the store fails, with or without its effect. */
  readonly storeError: number
  /** The catalog does its work, or does not, and nobody hears of it. */
  readonly lostResponse: number
  /** A list gives way to others for some turns between two of its rows. */
  readonly slowList: number
}

export const calm: Odds = { crash: 0, storeError: 0, lostResponse: 0, slowList: 0 }

interface Waiting {
  readonly writer: string
  readonly go: () => void
}

/**
 * Several writers over one store and catalog. Each call of a writer to either waits for its turn; when every writer that
 * still runs is waiting, the seed says whose call goes on, and what goes wrong with it.
 */
export class Simulation {
  readonly draw: (below: number) => number
  readonly events: string[] = []
  private readonly odds: Odds
  private readonly waiting: Waiting[] = []
  private readonly running = new Set<string>()
  private readonly dead = new Set<string>()

  constructor(seed: number, odds: Odds) {
    this.draw = draws(seed)
    this.odds = odds
  }

  /** Runs the bodies as concurrent writers until all have ended or crashed. Errors of a body are its own affair. */
  async run(writers: ReadonlyMap<string, () => Promise<void>>): Promise<void> {
    for (const name of writers.keys()) this.running.add(name)
    // A writer with several calls at once comes back with none of its own: whoever still waits goes on after a while.
    const again = setInterval(() => this.release(), 2)
    await Promise.all(
      [...writers].map(async ([name, body]) => {
        try {
          await body()
        } finally {
          this.running.delete(name)
          this.release()
        }
      }),
    ).finally(() => clearInterval(again))
  }

  isDead(writer: string): boolean {
    return this.dead.has(writer)
  }

  /** A store as one writer meets it. */
  storeOf(writer: string, store: ObjectStore): ObjectStore {
    const sim = this
    const before = (what: string) => sim.turn(writer, what)
    const change = async <T>(what: string, body: () => Promise<T>): Promise<T> => {
      await before(what)
      if (sim.happens(sim.odds.crash)) sim.kill(writer, `before ${what}`)
      if (sim.happens(sim.odds.storeError)) {
        if (sim.draw(2) === 0) await body().catch(() => undefined)
        sim.events.push(`${writer}: ${what} fails`)
        throw new LimnError('storage/failed', { message: `${what} failed.`, retryable: true })
      }
      const result = await body()
      if (sim.happens(sim.odds.crash)) sim.kill(writer, `after ${what}`)
      return result
    }
    return {
      root: store.root,
      read: async (path, range, options) => {
        sim.alive(writer)
        return await store.read(path, range, options)
      },
      write: (path, bytes, options) => change(`write ${short(path)}`, () => store.write(path, bytes, options)),
      putFile: (local, path, options) => change(`put ${short(path)}`, () => store.putFile(local, path, options)),
      putFiles: (files, options) => change(`put ${files.length} files`, () => store.putFiles(files, options)),
      settle: async () => {
        sim.alive(writer)
        await store.settle()
      },
      linkFiles: (files, options) => change(`link ${files.length} files`, () => store.linkFiles(files, options)),
      scratch: (options) => {
        sim.alive(writer)
        return store.scratch(options)
      },
      lease: (paths, options) => {
        sim.alive(writer)
        return store.lease(paths, options)
      },
      stat: (path, options) => {
        sim.alive(writer)
        return store.stat(path, options)
      },
      async *list(prefix, options) {
        await before(`list ${short(prefix)}`)
        for await (const info of store.list(prefix, options)) {
          if (sim.happens(sim.odds.slowList)) await before('slow list')
          yield info
        }
      },
      delete: (paths, options) => change(`delete ${paths.length} files`, () => store.delete(paths, options)),
    }
  }

  /** A catalog as one writer meets it. */
  catalogOf(writer: string, catalog: Catalog): Catalog {
    const sim = this
    // Whatever else a catalog offers (views, renames) passes through.
    return new Proxy(catalog, {
      get(target, key, receiver) {
        if (key === 'loadTables')
          return async (...given: Parameters<Catalog['loadTables']>) => {
            await sim.turn(writer, 'load')
            return await target.loadTables(...given)
          }
        if (key === 'commit')
          return async (...given: Parameters<Catalog['commit']>) => {
            await sim.turn(writer, 'commit')
            if (sim.happens(sim.odds.crash)) sim.kill(writer, 'before commit')
            const lost = sim.happens(sim.odds.lostResponse)
            if (lost && sim.draw(2) === 0) {
              sim.events.push(`${writer}: a commit is lost on its way`)
              return { kind: 'unknown', cause: new Error('the request was lost') }
            }
            const outcome = await target.commit(...given)
            if (sim.happens(sim.odds.crash)) sim.kill(writer, 'after commit')
            if (!lost) return outcome
            sim.events.push(`${writer}: the answer "${outcome.kind}" is lost`)
            return { kind: 'unknown', cause: new Error('the answer was lost') }
          }
        const value: unknown = Reflect.get(target, key, receiver === target ? target : undefined)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  private happens(perThousand: number): boolean {
    return perThousand > 0 && this.draw(1000) < perThousand
  }

  private kill(writer: string, where: string): never {
    this.events.push(`${writer}: crashes ${where}`)
    this.dead.add(writer)
    throw new Crashed(writer)
  }

  private alive(writer: string): void {
    if (this.dead.has(writer)) throw new Crashed(writer)
  }

  private async turn(writer: string, _what: string): Promise<void> {
    this.alive(writer)
    await new Promise<void>((go) => {
      this.waiting.push({ writer, go })
      this.release()
    })
    this.alive(writer)
  }

  /** Lets one call go on when every running writer waits. */
  private release(): void {
    const names = [...new Set(this.waiting.map((one) => one.writer))].sort()
    if (names.length === 0 || [...this.running].some((name) => !names.includes(name))) return
    const chosen = names[this.draw(names.length)]
    const at = this.waiting.findIndex((one) => one.writer === chosen)
    const [next] = this.waiting.splice(at, 1)
    next?.go()
  }
}

function short(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).slice(0, 60)
}
