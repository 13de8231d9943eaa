// Links the pinned Node as node_modules/.bin/node where npm did not: npm 10 loses the link, because the packages of other
// platforms, which it skips, name the same command. Runs on any Node, on every install.
import { existsSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const modules = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules')
const link = join(modules, '.bin', 'node')
const names = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`]
const found = names.find((name) => existsSync(join(modules, name, 'bin', 'node')))
if (found !== undefined && !existsSync(link) && process.platform !== 'win32') {
  symlinkSync(join('..', found, 'bin', 'node'), link)
}
