import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lake.ts'

const shared = process.env.LIMN_SHARED ?? join(root, '..', 'shared')

/** A file of the real data beside the repository; null, with a line that says so, where it is not. CI requires it. */
export function sharedData(path: string): string | null {
  const file = join(shared, 'data', path)
  if (existsSync(file)) return file
  if (process.env.CI) throw new Error(`Required here and absent: ${file}. Name its folder with LIMN_SHARED.`)
  process.stdout.write(`${path} is not here: its suite is left out. Name the folder of the data with LIMN_SHARED.\n`)
  return null
}
