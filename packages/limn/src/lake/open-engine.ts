import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { makeFolder } from '../base/index.ts'
import { type FileEngine, openDuckDb } from '../engine/index.ts'
import type { EngineConfig } from './config.ts'

/** Opens the embedded engine with what a lake's configuration allows it, making the folder it spills to. */
export function openEngine(folder: string, config: EngineConfig): Promise<FileEngine> {
  const temporary = resolve(folder, config.tempDir ?? join('.limn', 'cache'))
  makeFolder(temporary)
  return openDuckDb({
    threads: config.threads ?? availableParallelism(),
    memoryLimit: config.memory ?? '1GB',
    temporaryFolder: temporary,
    ...(config.tempSize === undefined ? {} : { temporarySize: config.tempSize }),
    fileCache: config.fileCache ?? false,
  })
}
