import { rmSync } from 'node:fs'
import { type FileEngine, openDuckDb } from '../../packages/limn/src/engine/index.ts'
import { scratchFolder } from './scratch.ts'

/** An engine and a folder for its files; disposing closes and removes both. */
export async function temporaryEngine(): Promise<
  AsyncDisposable & { readonly engine: FileEngine; readonly folder: string }
> {
  const folder = scratchFolder('engine')
  const engine = await openDuckDb({ threads: 2, memoryLimit: '500MB', temporaryFolder: folder })
  return {
    engine,
    folder,
    async [Symbol.asyncDispose]() {
      engine.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
