import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/lake.ts'

it('the launcher resolves what built files name of each other itself: the disk is asked for other modules alone', () => {
  using made = temporaryFolder('launcher')
  const seen = join(made.folder, 'seen.mjs')
  // Hooks that are registered later are asked first: this one sees what the launcher's own leaves to Node.
  writeFileSync(
    seen,
    `import { registerHooks } from 'node:module'
    const built = []
    let all = 0
    registerHooks({ resolve: (specifier, context, next) => {
      all++
      if (specifier.startsWith('.') && (context.parentURL ?? '').includes('/limn/dist/')) built.push(specifier)
      return next(specifier, context)
    } })
    process.on('exit', () => process.stderr.write(JSON.stringify({ all, built: built.slice(0, 5) })))`,
  )
  const launcher = fileURLToPath(new URL('../../packages/limn/bin/limn.js', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, ['--import', seen, launcher, 'plan'], {
    cwd: made.folder,
    encoding: 'utf8',
  })
  // No lake is here: it ends when all that opens one was loaded.
  expect(status).toBe(2)
  const { all, built } = JSON.parse(stderr.slice(stderr.lastIndexOf('\n') + 1)) as {
    all: number
    built: readonly string[]
  }
  expect(all).toBeGreaterThan(0)
  expect(built).toEqual([])
})
