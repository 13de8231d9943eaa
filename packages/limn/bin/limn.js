#!/usr/bin/env node
// Finds a Node that can run limn before anything of limn is imported. Plain JavaScript, so that any Node parses it.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const oldest = 24
const main = new URL('../dist/cli/main.js', import.meta.url)

function major(version) {
  return Number(version.replace(/^v/, '').split('.')[0])
}

/** Where a project's Node may be: the linked command, or the platform package itself (npm 10 may leave the link out). */
function candidates(modules) {
  const { platform, arch } = process
  const windows = platform === 'win32'
  return [
    join(modules, '.bin', windows ? 'node.cmd' : 'node'),
    join(modules, `node-${windows ? 'win' : platform}-${arch}`, 'bin', windows ? 'node.exe' : 'node'),
    join(modules, `node-bin-${platform}-${arch}`, 'bin', 'node'),
  ]
}

function pinnedNode() {
  const starts = [process.cwd(), dirname(fileURLToPath(import.meta.url))]
  for (const start of starts) {
    for (let folder = start; ; folder = dirname(folder)) {
      for (const file of candidates(join(folder, 'node_modules'))) {
        if (!existsSync(file)) continue
        const found = spawnSync(file, ['--version'], { encoding: 'utf8', shell: file.endsWith('.cmd') })
        if (found.status === 0 && major(found.stdout.trim()) >= oldest) return file
      }
      if (dirname(folder) === folder) break
    }
  }
  return null
}

function refuse(text) {
  process.stderr.write(`${text}\n`)
  process.exit(2)
}

if (!existsSync(main)) {
  refuse('error[config/invalid] limn has not been built.\n  To do: run npm ci (or npm run build) in the clone.')
}

if (major(process.versions.node) >= oldest) {
  process.env.UV_THREADPOOL_SIZE ??= '16'
  const { enableCompileCache, registerHooks } = await import('node:module')
  enableCompileCache()
  // The built files name each other by their real paths: asking the disk for each of hundreds takes a third of the start.
  const built = new URL('../', main).href
  registerHooks?.({
    resolve: (specifier, context, next) =>
      specifier.startsWith('.') && specifier.endsWith('.js') && context.parentURL?.startsWith(built)
        ? { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true }
        : next(specifier, context),
  })
  const { runCli } = await import(main.href)
  await runCli(process.argv.slice(2))
} else {
  const node = pinnedNode()
  if (node === null) {
    refuse(
      `error[usage/node-too-old] limn needs Node ${oldest} or newer; this is ${process.version}.\n` +
        '  Not done: nothing was run.\n' +
        `  To do: pin a Node for this project: npm install --save-exact node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}@26\n` +
        '         or install a newer Node from https://nodejs.org',
    )
  } else {
    const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
    child.on('exit', (code, signal) => {
      if (signal) process.exitCode = signal === 'SIGINT' ? 130 : 1
      else process.exitCode = code ?? 1
    })
  }
}
