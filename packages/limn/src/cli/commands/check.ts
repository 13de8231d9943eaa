import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { counted, LimnError } from '../../base/index.ts'
import { proveModels } from '../../lake/index.ts'
import { errorValue, formatError } from '../errors.ts'
import type { Invocation } from '../main.ts'
import { proofsText, proofValue } from '../proof-text.ts'
import { toJson } from '../text.ts'
import { openLake } from './open.ts'

export default async function check(invocation: Invocation): Promise<number> {
  const { io } = invocation
  await using lake = await openLake(invocation)
  const problems: LimnError[] = [...(await checkTypes(lake.folder, io.err))]
  try {
    problems.push(...(await lake.check()))
  } catch (error) {
    if (!(error instanceof LimnError)) throw error
    problems.push(error)
  }
  const deep = invocation.options.deep === true && problems.length === 0
  const proofs = deep ? await proveModels(lake) : []
  const differing = proofs.filter((one) => one.verdict === 'differs')
  if (io.json)
    io.out(toJson({ problems: problems.map(errorValue), ...(deep ? { proofs: proofs.map(proofValue) } : {}) }))
  else if (problems.length === 0)
    io.out(`${counted((await lake.loadProject()).order.length, 'dataset')}: types, SQL and contracts are in order.`)
  else for (const problem of problems) io.err(formatError(problem, io))
  if (deep && !io.json) io.out(proofsText(proofs, io.width).join('\n'))
  return problems.length > 0 ? 2 : differing.length > 0 ? 3 : 0
}

/** Runs the project's own TypeScript over its files: Node strips types and does not check them. */
async function checkTypes(folder: string, note: (text: string) => void): Promise<readonly LimnError[]> {
  const compiler = findUp(folder, join('node_modules', '.bin', process.platform === 'win32' ? 'tsc.cmd' : 'tsc'))
  if (!compiler) {
    note('TypeScript is not installed: types were not checked. To do: npm install --save-dev typescript')
    return []
  }
  const config = existsSync(join(folder, 'tsconfig.json'))
  const flags = config
    ? ['-p', folder]
    : [
        '--ignoreConfig',
        '--strict',
        '--skipLibCheck',
        '--target',
        'esnext',
        '--module',
        'nodenext',
        '--moduleResolution',
        'nodenext',
        '--allowImportingTsExtensions',
        '--types',
        'node',
        '--lib',
        'esnext',
      ]
  const files = config ? [] : await listFiles(folder)
  const { output, code } = await runQuietly(compiler, [...flags, '--noEmit', '--pretty', 'false', ...files], folder)
  const found = output.split('\n').flatMap((line) => {
    const match = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/.exec(line)
    if (!match) return []
    const [, file = '', row, column, code, message] = match
    return [
      new LimnError('dataset/type-error', {
        message: `${message} (${code})`,
        notDone: 'Nothing was run.',
        remedy: 'Correct the types.',
        location: { file, line: Number(row), column: Number(column) },
      }),
    ]
  })
  if (code === 0 || found.length > 0) return found
  return [
    new LimnError('config/load', {
      message: `TypeScript could not check the project: ${output.trim().split('\n')[0] ?? ''}`,
      notDone: 'Types were not checked.',
      remedy: 'Correct tsconfig.json.',
    }),
  ]
}

function findUp(folder: string, path: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, path)
    if (existsSync(file)) return file
    if (dirname(at) === at) return null
  }
}

async function listFiles(folder: string): Promise<string[]> {
  const { glob } = await import('node:fs/promises')
  const files = ['limn.config.ts']
  for await (const path of glob('datasets/**/*.ts', { cwd: folder })) files.push(path)
  return files.sort()
}

function runQuietly(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly output: string; readonly code: number | null }> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', failed)
    child.on('close', (code) => done({ output, code }))
  })
}
