/**
 * Does one verb to a lake with steps that are counted, and kills the process at one of them. Started as a process of its own:
 *   node life-driver.ts FOLDER record FILE VERB [ARGUMENT]    writes every step reached, one per line
 *   node life-driver.ts FOLDER kill INDEX VERB [ARGUMENT]     SIGKILLs itself at the step of that index
 */
import { appendFileSync } from 'node:fs'
import type { Steps } from '../../packages/limn/dist/base/index.js'
import {
  backupLake,
  breakGlass,
  createEnvironment,
  dropEnvironmentOf,
  dropFromLake,
  Lake,
  promoteEnvironment,
  relocateLake,
  restoreLake,
} from '../../packages/limn/dist/lake/index.js'

const [folder = '', mode = '', at = '', verb = '', argument = ''] = process.argv.slice(2)
let index = 0
const steps: Steps = {
  reach(name, edge, detail) {
    if (mode === 'record') appendFileSync(at, `${name}\t${edge}\t${detail}\n`)
    if (mode === 'kill' && index === Number(at)) process.kill(process.pid, 'SIGKILL')
    index++
  },
}

const verbs: Readonly<Record<string, (lake: Lake) => Promise<unknown>>> = {
  run: (lake) => lake.run(),
  fork: (lake) => createEnvironment(lake, 'dev'),
  promote: (lake) => promoteEnvironment(lake, 'dev'),
  'drop-environment': (lake) => dropEnvironmentOf(lake, 'dev'),
  drop: (lake) => dropFromLake(lake, argument),
  relocate: (lake) => relocateLake(lake, argument),
  backup: (lake) => backupLake(lake, argument),
  edit: (lake) => breakGlass(lake, argument, { reason: 'a crash', by: 'nobody' }),
}

if (verb === 'restore') await restoreLake(argument, folder, { steps })
else {
  await using lake = await Lake.open({ cwd: folder, steps })
  await verbs[verb]?.(lake)
}
