/**
 * Runs a lake with steps that are counted, and kills the process at one of them. Started as a process of its own:
 *   node crash-driver.ts FOLDER record FILE       writes every step reached, one per line
 *   node crash-driver.ts FOLDER kill INDEX        SIGKILLs itself at the step of that index
 */
import { appendFileSync } from 'node:fs'
import { Lake } from 'limn'

const [folder = '', mode = '', argument = ''] = process.argv.slice(2)
let index = 0

await using lake = await Lake.open({
  cwd: folder,
  steps: {
    reach(name, edge, detail) {
      if (mode === 'record') appendFileSync(argument, `${name}\t${edge}\t${detail}\n`)
      if (mode === 'kill' && index === Number(argument)) process.kill(process.pid, 'SIGKILL')
      index++
    },
  },
})
await lake.run()
