import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { backupsIn } from '../../packages/limn/src/lake/index.ts'
import { oneValue } from '../support/hooked.ts'
import { limn, temporaryFolder } from '../support/lake.ts'
import { bronzeEvent, deliver, silverEvent, writeLake } from '../support/small-lake.ts'

const region = `import { files, ingest } from 'limn'
import { columns } from '../../shared/columns.ts'
export const region = ingest('bronze.region', {
  doc: 'Regions.', owner: 'test', from: files('seeds/region.csv', { format: 'csv' }), columns,
})
`
const total = `import { model, sqlFile, whole } from 'limn'
export const total = model('gold.total', {
  doc: 'Total per region.', owner: 'test', grain: ['region'], keys: ['region'],
  columns: { region: { type: 'string', doc: 'Region.' }, amount: { type: 'long', doc: 'Sum.' } },
  build: whole(() => sqlFile('total.sql')),
})
`

/** A lake whose datasets need modules, SQL files and seeds beside them, and whose folder has much that it does not need. */
function project() {
  const outer = temporaryFolder('project')
  const folder = join(outer.folder, 'lake')
  writeLake(folder, {
    'limn.config.ts':
      "import { defineLake } from 'limn'\nexport default defineLake({ name: 'whole', catalog: 'db/catalog.db', state: 'db/state.db' })\n",
    'package.json': '{ "name": "whole", "private": true, "type": "module" }\n',
    'shared/columns.ts':
      "export const columns = { id: { type: 'long', doc: 'Id.' }, region: { type: 'string', doc: 'Name.' } } as const\n",
    'datasets/bronze/event.ts': bronzeEvent,
    'datasets/bronze/region.ts': region,
    'datasets/silver/event.ts': silverEvent,
    'datasets/gold/total.ts': total,
    'datasets/gold/total.sql':
      'SELECT region, sum(amount)::BIGINT AS amount FROM silver.event JOIN bronze.region USING (id) GROUP BY ALL\n',
    'seeds/region.csv': 'id,region\n1,north\n2,south\n3,north\n',
    'hooks/late.sh': '#!/bin/sh\n',
    '.env': 'PG_URL=postgres://me:secret@host/db\n',
    '.git/config': '[core]\n',
    'node_modules/x/index.js': 'export {}\n',
    'copy/limn.config.ts': 'export default {}\n',
    'datasets/tests/probe.txt': 'x\n',
  })
  chmodSync(join(folder, 'hooks/late.sh'), 0o755)
  deliver(folder, 'a', [
    ['1', '2026-01-01 08:00:00', '10'],
    ['2', '2026-01-02 08:00:00', '20'],
    ['3', '2026-01-03 08:00:00', '30'],
  ])
  return { folder, outer: outer.folder, [Symbol.dispose]: () => outer[Symbol.dispose]() }
}

const listed = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !/^(warehouse|db|\.limn)\//.test(path))
    .sort()

const totals = "SELECT string_agg(region || ' ' || amount, ', ' ORDER BY region) FROM gold.total"

describe('a backup of a project', () => {
  it('has all its own files, so that what is restored runs, and says what it left out', async () => {
    using lake = project()
    const { folder, outer } = lake
    expect((await limn(folder, 'run')).code).toBe(0)
    const told = await limn(folder, 'lake', 'backup', 'backup')
    expect(told.code).toBe(0)
    const whys = {
      '.env': 'may hold secrets',
      '.git': 'history of the code',
      '.limn': 'made anew',
      backup: 'the backup itself',
      copy: 'another lake',
      'db/catalog.db': 'the catalog',
      'db/state.db': 'made anew',
      node_modules: 'npm ci',
      warehouse: 'the warehouse',
    }
    for (const [path, why] of Object.entries(whys)) expect(told.stderr).toContain(`left out ${path}: ${why}`)
    const [record] = backupsIn(join(folder, 'backup'))
    expect(record?.project?.map((one) => one.path).sort()).toEqual([
      'datasets/bronze/event.ts',
      'datasets/bronze/region.ts',
      'datasets/gold/total.sql',
      'datasets/gold/total.ts',
      'datasets/silver/event.ts',
      'datasets/tests/probe.txt',
      'hooks/late.sh',
      'inbox/a.csv',
      'limn.config.ts',
      'package.json',
      'seeds/region.csv',
      'shared/columns.ts',
    ])
    expect(readFileSync(join(folder, 'backup', 'backups', `${record?.id}.json`), 'utf8')).not.toContain('secret@')

    const again = join(outer, 'again')
    expect((await limn(outer, 'lake', 'restore', join(folder, 'backup'), again)).code).toBe(0)
    expect(listed(again)).toEqual(record?.project?.map((one) => one.path).sort())
    expect(statSync(join(again, 'hooks/late.sh')).mode & 0o111).toBe(0o111)
    rmSync(folder, { recursive: true })
    expect(JSON.parse((await limn(again, 'run', '--json')).stdout)).toMatchObject({ outcome: 'idle' })
    deliver(again, 'b', [['4', '2026-01-02 09:00:00', '5']])
    writeLake(again, { 'seeds/region.csv': 'id,region\n1,north\n2,south\n3,north\n4,south\n' })
    expect(JSON.parse((await limn(again, 'run', '--json')).stdout)).toMatchObject({ outcome: 'published' })
    expect(await oneValue(again, totals)).toBe('north 40, south 25')
  })

  it('shares files with the one before, and each has its own', async () => {
    using lake = project()
    const { folder, outer } = lake
    const backup = join(outer, 'backup')
    expect((await limn(folder, 'run')).code).toBe(0)
    await limn(folder, 'lake', 'backup', backup)
    writeFileSync(
      join(folder, 'datasets/gold/total.sql'),
      `-- another\n${readFileSync(join(folder, 'datasets/gold/total.sql'), 'utf8')}`,
    )
    const second = JSON.parse((await limn(folder, 'lake', 'backup', backup, '--json')).stdout)
    expect(second.copied.files).toBe(1)
    const [first] = backupsIn(backup)
    await limn(outer, 'lake', 'restore', backup, 'former', '--backup', first?.id ?? '')
    await limn(outer, 'lake', 'restore', backup, 'latest')
    const text = (where: string) => readFileSync(join(outer, where, 'datasets/gold/total.sql'), 'utf8')
    expect([text('former').startsWith('--'), text('latest').startsWith('--')]).toEqual([false, true])

    // A file of it that is not what it was is found before anything is restored.
    const kept = join(backup, 'project', first?.project?.find((one) => one.path === 'seeds/region.csv')?.sha256 ?? '')
    writeFileSync(kept, 'id,region\n1,north\n2,south\n3,NORTH\n')
    const { code, stderr } = await limn(outer, 'lake', 'restore', backup, 'broken')
    expect([code, stderr]).toEqual([1, expect.stringContaining('seeds/region.csv')])
    expect(existsSync(join(outer, 'broken', 'limn.config.ts'))).toBe(false)
  })

  it('leaves deliveries out where it is told to, and lists what the project reads from elsewhere', async () => {
    using lake = project()
    const { folder, outer } = lake
    mkdirSync(join(outer, 'data'))
    writeFileSync(join(outer, 'data', 'columns.ts'), "export { columns } from '../lake/shared/columns.ts'\n")
    writeLake(folder, {
      'datasets/bronze/region.ts': region.replace('../../shared', '../../../data').replace("'seeds/", "'../data/"),
    })
    writeFileSync(join(outer, 'data', 'region.csv'), 'id,region\n1,north\n')
    symlinkSync(join(outer, 'data'), join(folder, 'linked'))
    rmSync(join(folder, 'package.json'))
    expect((await limn(folder, 'run')).code).toBe(0)
    const told = await limn(folder, 'lake', 'backup', join(outer, 'backup'), '--no-deliveries')
    for (const line of [
      'left out inbox/a.csv: a delivery',
      'left out linked: a link to a folder',
      'left out ../../../data/columns.ts: outside the lake’s folder, and datasets/bronze/region.ts imports it',
      'left out ../data/region.csv: a source outside the lake’s folder',
      'left out package.json: the lake’s folder has none',
    ])
      expect(told.stderr).toContain(line)
    const again = join(outer, 'again')
    const restored = await limn(outer, 'lake', 'restore', join(outer, 'backup'), again)
    expect(restored.stderr).toContain('was left out inbox/a.csv: a delivery')
    expect(existsSync(join(again, 'inbox'))).toBe(false)
    expect(existsSync(join(again, 'seeds/region.csv'))).toBe(true)
  })
})
