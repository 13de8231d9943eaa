import { cpSync, existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, start } from './process.ts'
import { diskFolder, root, scratchFolder } from './scratch.ts'

export { root }
export const flightsExample = join(root, 'examples', 'flights')

/** A fresh folder from which `limn` resolves upward, in memory where there is enough of it. Disposing removes it. */
export function temporaryFolder(
  name: string,
  options: { readonly onDisk?: boolean } = {},
): Disposable & { readonly folder: string } {
  const folder = options.onDisk ? diskFolder(name) : scratchFolder(name)
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

/** The flights project without its data. */
export function copyFlights(folder: string): void {
  for (const part of ['limn.config.ts', 'datasets'])
    cpSync(join(flightsExample, part), join(folder, part), { recursive: true })
}

/** Keeps a lake as it is; tables name files by absolute paths, so it can only be put back where it was. */
export class SavedLake implements Disposable {
  private readonly folder: string
  private readonly copy: string

  constructor(folder: string) {
    this.folder = folder
    this.copy = `${folder}.saved`
    rmSync(this.copy, { recursive: true, force: true })
    cpSync(folder, this.copy, { recursive: true })
  }

  restore(): void {
    rmSync(this.folder, { recursive: true, force: true })
    cpSync(this.copy, this.folder, { recursive: true })
  }

  [Symbol.dispose](): void {
    rmSync(this.copy, { recursive: true, force: true })
  }
}

/** Forgets everything a lake has built, deliveries aside. */
export function forgetLake(folder: string): void {
  for (const part of ['.limn', 'warehouse']) {
    if (!existsSync(join(folder, part))) continue
    const gone = join(folder, `${part}.gone`)
    renameSync(join(folder, part), gone)
    rmSync(gone, { recursive: true, force: true })
  }
}

/** Runs the command line in a lake. */
export function limn(folder: string, ...args: readonly string[]): Promise<Command> {
  return start(process.execPath, [join(root, 'packages', 'limn', 'bin', 'limn.js'), ...args], { cwd: folder }).ended
}
