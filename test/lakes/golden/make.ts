import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { root } from '../../support/lake.ts'
import { start } from '../../support/process.ts'
import { bronzeEvent, deliver, goldDay, silverEvent, writeLake } from '../../support/small-lake.ts'
import { pack } from './archive.ts'

/**
 * Writes the lake that the next release has to open: `node test/lakes/golden/make.ts` with this release built. Ledgers tell
 * the host and who changed rows: make it where those are worth telling (`unshare --uts`, then `hostname golden`). Everything a lake
 * has is in it: deliveries, models, deletes of both kinds, a view, an environment that
 * differs, a dropped table, rows changed by hand.
 */
const home = join(tmpdir(), 'limn-golden')
const folder = join(home, 'lake')
rmSync(home, { recursive: true, force: true })
mkdirSync(join(home, 'node_modules'), { recursive: true })
symlinkSync(join(root, 'packages/limn'), join(home, 'node_modules/limn'))

async function limn(...args: readonly string[]): Promise<void> {
  const ended = await start(process.execPath, [join(root, 'packages/limn/bin/limn.js'), ...args], { cwd: folder }).ended
  if (ended.code !== 0) throw new Error(`limn ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}`)
}

writeLake(folder, {
  'limn.config.ts': "import { defineLake } from 'limn'\nexport default defineLake({ name: 'golden' })\n",
  'package.json': '{ "type": "module" }\n',
  'datasets/bronze/event.ts': bronzeEvent,
  'datasets/silver/event.ts': silverEvent,
  'datasets/gold/day.ts': goldDay,
  'datasets/gold/gone.ts': goldDay.replace("model('gold.day'", "model('gold.gone'"),
})
deliver(folder, 'a', [
  ['1', '2026-01-01 08:00:00', '10'],
  ['2', '2026-01-02 08:00:00', '20'],
])
await limn('run')
deliver(folder, 'b', [['3', '2026-01-03 08:00:00', '30']])
await limn('run')
for (const version of ['2', '3']) {
  await limn(
    'sql',
    `CREATE TABLE lab.v${version} (id BIGINT, t STRING) TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read')`,
  )
  await limn('sql', `INSERT INTO lab.v${version} SELECT i, 'x' FROM range(5) t(i)`)
  await limn('sql', `DELETE FROM lab.v${version} WHERE id = 2`)
}
await limn('sql', 'CREATE VIEW lab.total AS SELECT sum(amount) AS total FROM gold.day')
await limn('sql', '--break-glass', '--reason', 'for the record', 'UPDATE silver.event SET amount = 31 WHERE id = 3')
await limn('run')
rmSync(join(folder, 'datasets/gold/gone.ts'))
await limn('drop', 'gold.gone')
await limn('env', 'create', 'dev')
await limn('sql', '--env', 'dev', "INSERT INTO lab.v2 VALUES (9, 'only here')")
await limn('lake', 'backup', join(home, 'backup'))
// Beside the backup: the state database of this release, whole in one file, for the next one to migrate.
using state = new DatabaseSync(join(folder, '.limn/state.db'))
state.exec(`VACUUM INTO '${join(home, 'backup', 'state.db')}'`)
const { version } = JSON.parse(readFileSync(join(root, 'packages/limn/package.json'), 'utf8')) as { version: string }
const file = join(root, 'test/lakes/golden', `lake-${version}.br`)
writeFileSync(file, pack(join(home, 'backup')))
rmSync(home, { recursive: true, force: true })
process.stdout.write(`${file}\n`)
