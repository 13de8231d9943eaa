import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { earlyReturns } from './support/early-returns.ts'
import { root } from './support/lake.ts'

/** The layers: a room imports lower rows only. */
const rows: Readonly<Record<string, number>> = {
  base: 0,
  schema: 1,
  storage: 1,
  state: 1,
  sketch: 1,
  column: 2,
  expr: 2,
  encoding: 3,
  sql: 3,
  iceberg: 4,
  delta: 4,
  contract: 4,
  catalog: 5,
  engine: 5,
  dataset: 5,
  table: 6,
  query: 7,
  stream: 7,
  quality: 8,
  connect: 8,
  dimensional: 9,
  pipeline: 10,
  observe: 11,
  feature: 11,
  advise: 12,
  lake: 13,
  cli: 14,
  server: 14,
  practice: 14,
}

const source = join(root, 'packages', 'limn', 'src')

function filesUnder(folder: string, endings: readonly string[]): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(
      (path) =>
        endings.some((ending) => path.endsWith(ending)) &&
        !/(^|\/)(node_modules|dist|\.lakes|\.peers|warehouse|\.limn)\//.test(path),
    )
    .map((path) => join(folder, path))
    .sort()
}

const sources = filesUnder(source, ['.ts'])
const tests = filesUnder(join(root, 'test'), ['.ts'])
const docs = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...filesUnder(join(root, 'docs'), ['.md']).map((file) => relative(root, file)),
  'examples/flights/README.md',
]
const read = (file: string) => readFileSync(file, 'utf8')
/** What the package publishes, beside the rooms. */
const entries = new Set(['index.ts', 'iceberg.ts'])
const roomOf = (file: string) => relative(source, file).split('/')[0] ?? ''

describe('the repository', () => {
  it('imports lower rows only, never a sibling, and other rooms only through their index', () => {
    const wrong: string[] = []
    for (const file of sources) {
      const room = roomOf(file)
      if (!file.slice(source.length + 1).includes('/')) continue
      for (const [, specifier = ''] of read(file).matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
        const target = resolve(dirname(file), specifier)
        const other = roomOf(target)
        // Text of a template that is no import of ours names a file that is not there.
        if (other === room || !existsSync(target)) continue
        const lower = (rows[other] ?? 99) < (rows[room] ?? -1)
        // The command line starts fast: it takes two small files of base alone.
        const index = target === join(source, other, 'index.ts') || (room === 'cli' && other === 'base')
        if (!lower || !index) wrong.push(`${relative(root, file)} imports ${specifier}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('knows every room, and every room opens with what it promises', () => {
    for (const room of new Set(sources.map(roomOf))) {
      if (entries.has(room)) continue
      expect(Object.keys(rows)).toContain(room)
      expect([
        room,
        read(join(source, room, 'index.ts'))
          .trimStart()
          .startsWith('/**'),
      ]).toEqual([room, true])
    }
  })

  it('has the rooms that ARCHITECTURE.md names, in their rows', () => {
    const named = [...read(join(root, 'ARCHITECTURE.md')).matchAll(/^\| (\d+)\s*\| `(\w+)`\s*\|/gm)].map(
      ([, row, room]) => [room, Number(row)],
    )
    const present = [...new Set(sources.map(roomOf))].filter((room) => !entries.has(room))
    expect(named.map(([room]) => room).sort()).toEqual(present.sort())
    for (const [room, row] of named) expect([room, row]).toEqual([room, rows[String(room)]])
  })

  it('keeps files short and names them by their subject', () => {
    for (const file of sources) {
      expect([relative(root, file), read(file).split('\n').length <= 500]).toEqual([relative(root, file), true])
      expect(file).not.toMatch(/\/(utils?|helpers?|common|manager|misc)(\.ts|\/)/)
    }
  })

  it('mirrors the rooms in its tests', () => {
    const known = new Set([
      ...Object.keys(rows),
      'conformance',
      'simulation',
      'mutants',
      'interop',
      'types',
      'package',
      'support',
      'examples',
      'lakes',
      'tidy.test.ts',
    ])
    for (const file of tests) expect(known).toContain(relative(join(root, 'test'), file).split('/')[0])
  })

  it('has no unfinished marks and no way around the compiler', () => {
    const marks =
      /\b(TODO|FIXME|XXX)\b|@ts-(ignore|nocheck)|\bas any\b|\b(it|test|describe)\.(only|skip|todo)\(|biome-ignore/
    for (const file of [...sources, ...tests.filter((one) => !one.endsWith('tidy.test.ts'))]) {
      expect([relative(root, file), marks.exec(read(file))?.[0]]).toEqual([relative(root, file), undefined])
    }
  })

  it('awaits promises before what they need is given back', () => {
    const cases = join(root, 'test', 'support', 'early-returns.cases.ts')
    const lines = read(cases).split('\n')
    const [told, found] = [earlyReturns([cases]), earlyReturns(sources)]
    const functions = told.map((one) => {
      const before = lines.slice(0, Number(/:(\d+) /.exec(one)?.[1])).join('\n')
      return [...before.matchAll(/function (\w+)/g)].at(-1)?.[1]
    })
    const early = [...lines.join('\n').matchAll(/function (early\w+)/g)].map(([, name]) => name)
    expect(functions).toEqual(early)
    expect(found).toEqual([])
  })

  it('pins every dependency exactly', () => {
    for (const path of ['package.json', 'packages/limn/package.json']) {
      const json = JSON.parse(read(join(root, path))) as Record<string, Record<string, string> | undefined>
      for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
        for (const [name, version] of Object.entries(json[kind] ?? {}))
          expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+/)])
      }
    }
  })

  it('links only to what is there, and speaks of the product alone', () => {
    for (const doc of docs) {
      const text = read(join(root, doc))
      for (const [, target = '', title] of text.matchAll(/\]\(([^)#:\s]+)(?: "([^"]+)")?\)/g)) {
        const file = join(root, dirname(doc), target)
        expect([doc, target, existsSync(file)]).toEqual([doc, target, true])
        // The title of a link to a test is that of one of its cases.
        if (title !== undefined) expect([doc, target, title, read(file).includes(title)]).toContain(true)
      }
    }
    for (const file of [...docs.map((doc) => join(root, doc)), ...sources]) {
      expect([relative(root, file), /registry\.npmjs|\/work\/|\/root\//.exec(read(file))?.[0]]).toEqual([
        relative(root, file),
        undefined,
      ])
    }
  })
})
