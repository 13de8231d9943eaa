/** A small check that limn works on the Node that runs this: builds the one-month lake and asks it something. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { landAirports, landMonth } from '../examples/flights/land.ts'
import { copyFlights, root, temporaryFolder } from '../test/support/lake.ts'

const lake = temporaryFolder('smoke')
try {
  copyFlights(lake.folder)
  landAirports(lake.folder)
  await landMonth(lake.folder, '2001-01', 100)
  for (const args of [['run'], ['run'], ['sql', '--json', 'SELECT sum(flights)::BIGINT FROM gold.airport_day']]) {
    const ended = spawnSync(process.execPath, [join(root, 'packages', 'limn', 'bin', 'limn.js'), ...args], {
      cwd: lake.folder,
      encoding: 'utf8',
    })
    process.stdout.write(ended.stdout)
    if (ended.status !== 0) throw new Error(`limn ${args.join(' ')} ended with ${ended.status}: ${ended.stderr}`)
  }
  process.stdout.write(`limn works on Node ${process.version}\n`)
} finally {
  lake[Symbol.dispose]()
}
