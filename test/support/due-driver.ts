/**
 * Runs what is due in a lake at a time, and kills the process at a change of the state database. Started as a process of its own:
 *   node due-driver.ts FOLDER TIME DETAIL    SIGKILLs itself before the first change whose detail ends with DETAIL
 */
import { Lake, runDue } from '../../packages/limn/dist/lake/index.js'

const [folder = '', time = '', at = ''] = process.argv.slice(2)
await using lake = await Lake.open({
  cwd: folder,
  clock: { nowMs: () => Date.parse(time) },
  steps: {
    reach: (name, edge, detail) => {
      if (name === 'state.change' && edge === 'before' && detail.endsWith(at)) process.kill(process.pid, 'SIGKILL')
    },
  },
})
await runDue(lake, { waitMs: 0 })
