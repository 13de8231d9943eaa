import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { explainSystemError, LimnError, makeFolder } from '../../base/index.ts'
import type { Invocation } from '../main.ts'
import { newLakeFiles } from '../new-lake.ts'
import { toJson } from '../text.ts'

/** Where this limn is installed: the folder of its package. */
const packageFolder = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

export default async function init(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const folder = resolve(args[0] ?? '.')
  await requireEmpty(folder)
  const inWorkspace = resolvesLimn(folder)
  const files = newLakeFiles({
    name: basename(folder)
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]/g, '-'),
    limn: inWorkspace ? null : limnSpecifier(folder),
    platform: `${process.platform}-${process.arch}`,
  })
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, path)
    makeFolder(dirname(file), 'The lake was not made.')
    try {
      await writeFile(file, text)
    } catch (error) {
      throw explainSystemError(error, file, 'The lake was not made.')
    }
  }
  const install = !inWorkspace && options.install !== false
  if (install) await npmInstall(folder, io.json)
  const here = relative(process.cwd(), folder) || '.'
  if (io.json) io.out(toJson({ folder, files: Object.keys(files), installed: install }))
  else
    io.out(
      `Made a lake in ${here}. Next:\n  cd ${here}${inWorkspace || install ? '' : '\n  npm install'}\n  npx limn run\n  npx limn sql 'SELECT * FROM gold.customer_month'`,
    )
  return 0
}

async function requireEmpty(folder: string): Promise<void> {
  const entries = existsSync(folder) ? await readdir(folder) : []
  if (entries.length === 0) return
  throw new LimnError('usage/folder-not-empty', {
    message: `${folder} is not empty.`,
    notDone: 'Nothing was written.',
    remedy: 'Name a new folder: limn init my-lake',
  })
}

/** Whether project files in the folder would find limn in a clone's workspace above them. */
function resolvesLimn(folder: string): boolean {
  for (let at = folder; dirname(at) !== at; at = dirname(at)) {
    const installed = join(at, 'node_modules', 'limn', 'package.json')
    if (existsSync(installed) && existsSync(join(at, 'packages', 'limn', 'package.json'))) return true
  }
  return false
}

/** How the new project names limn: the clone or the tarball it was started from, or the exact version. */
function limnSpecifier(folder: string): string {
  // Sources are in a clone alone; no registry need have what it is a clone of.
  if (existsSync(join(packageFolder, 'src'))) return `file:${packageFolder}`
  const host = join(packageFolder, '..', '..', 'package.json')
  if (existsSync(host)) {
    const { dependencies = {} } = JSON.parse(readFileSync(host, 'utf8')) as { dependencies?: Record<string, string> }
    const spec = dependencies.limn
    if (spec?.startsWith('file:')) return `file:${relative(folder, resolve(dirname(host), spec.slice('file:'.length)))}`
  }
  return (JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string }).version
}

function npmInstall(folder: string, quiet: boolean): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn('npm', ['install', '--no-audit', '--no-fund'], {
      cwd: folder,
      stdio: ['ignore', quiet ? 'ignore' : 2, 2],
      shell: process.platform === 'win32',
    })
    child.on('error', failed)
    child.on('close', (code) => {
      if (code === 0) done()
      else {
        failed(
          new LimnError('config/load', {
            message: `npm install ended with code ${code}.`,
            notDone: 'The lake was made, but its packages are not installed.',
            remedy: `Run npm install in ${folder}.`,
          }),
        )
      }
    })
  })
}
