import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Free memory that a machine must have for folders of tests to be kept in it: several times what any suite takes. */
const wantedBytes = 4 * 2 ** 30

/**
 * Where folders of tests are made. On a machine whose temporary file system is in memory, there: a test waits for the disk longer
 * than it computes, because whatever a commit names is synced first, and what is proved is the order of those steps, which is the
 * same. Else inside the repository. `LIMN_SCRATCH` names another place. From all of them `limn` resolves upward.
 */
function findScratch(): string {
  const given = process.env.LIMN_SCRATCH
  const folder = given ?? memoryFolder()
  if (folder === null) return join(root, 'test', '.lakes')
  mkdirSync(folder, { recursive: true })
  try {
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return folder
}

function memoryFolder(): string | null {
  const memory = '/dev/shm'
  try {
    accessSync(memory, constants.W_OK)
    const { bavail, bsize } = statfsSync(memory)
    if (bavail * bsize < wantedBytes) return null
  } catch {
    return null
  }
  // Each clone has its own, because its `limn` is found from it.
  return join(memory, `limn-${createHash('sha256').update(root).digest('hex').slice(0, 12)}`)
}

const scratch = findScratch()
mkdirSync(scratch, { recursive: true })
sweep()

/** Removes what processes that are gone have left: memory is not to fill with tests that were interrupted. */
function sweep(): void {
  for (const name of readdirSync(scratch)) {
    const maker = Number(/-p(\d+)-/.exec(name)?.[1])
    if (Number.isInteger(maker) && !isAlive(maker)) rmSync(join(scratch, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** A fresh folder from which `limn` resolves upward; what is put beside it under its name and a suffix is swept with it. */
export function scratchFolder(name: string): string {
  return mkdtempSync(join(scratch, `${name}-p${process.pid}-`))
}

/** A fresh folder on a disk inside the repository, for a test that weighs memory. */
export function diskFolder(name: string): string {
  const disk = join(root, 'test', '.lakes')
  mkdirSync(disk, { recursive: true })
  return mkdtempSync(join(disk, `${name}-`))
}
