import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { LocalStore, storePath } from '../../packages/limn/src/storage/index.ts'

const folders: string[] = []
function store() {
  const folder = mkdtempSync(join(tmpdir(), 'limn store é%20 '))
  folders.push(folder)
  return { folder, store: new LocalStore(folder), at: (name: string) => storePath(`file://${folder}/${name}`) }
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

describe('the local store', () => {
  it('writes, reads, ranges, lists and deletes, whatever the names', async () => {
    const { store: s, at } = store()
    expect(await s.write(at('b/x y%.txt'), Buffer.from('hello'))).toBe('written')
    await s.write(at('a/ü.txt'), Buffer.from('1'))
    expect(Buffer.from(await s.read(at('b/x y%.txt'), { start: 1, end: 3 })).toString()).toBe('el')
    expect((await Array.fromAsync(s.list(at('')))).map((one) => one.bytes)).toEqual([1, 5])
    expect((await s.stat(at('a/ü.txt')))?.bytes).toBe(1)
    await s.delete([at('a/ü.txt'), at('never')])
    expect(await s.stat(at('a/ü.txt'))).toBeNull()
  })

  it('writes once when asked to, and leaves no temporary file', async () => {
    const { folder, store: s, at } = store()
    expect([
      await s.write(at('x'), Buffer.from('1'), { ifAbsent: true }),
      await s.write(at('x'), Buffer.from('2'), { ifAbsent: true }),
    ]).toEqual(['written', 'exists'])
    expect(readFileSync(join(folder, 'x'), 'utf8')).toBe('1')
    expect(readdirSync(folder)).toEqual(['x'])
  })

  it('puts scratch files into place, and removes the scratch of dead processes only', async () => {
    const { folder, store: s, at } = store()
    {
      await using scratch = await s.scratch()
      writeFileSync(join(scratch.folder, 'f'), 'data')
      await s.putFiles([{ local: join(scratch.folder, 'f'), path: at('deep/er/f') }])
      mkdirSync(join(folder, '.scratch', '999999999-dead'))
      await s.sweepScratch()
      expect(existsSync(scratch.folder)).toBe(true)
    }
    expect([readFileSync(join(folder, 'deep/er/f'), 'utf8'), readdirSync(join(folder, '.scratch'))]).toEqual([
      'data',
      [],
    ])
  })

  it('changes nothing outside its folder, and says what is missing', async () => {
    const { store: s, at } = store()
    await expect(s.write(at('../evil'), Buffer.from('x'))).rejects.toMatchObject({ kind: 'storage/failed' })
    await expect(s.delete([storePath('file:///etc/hostname')])).rejects.toMatchObject({ kind: 'storage/failed' })
    await expect(s.read(at('none'))).rejects.toMatchObject({ kind: 'storage/missing' })
    await expect(s.lease([at('none')])).rejects.toMatchObject({ kind: 'storage/missing' })
  })

  it('works below a symlinked root', async () => {
    const { folder } = store()
    mkdirSync(join(folder, 'real'))
    symlinkSync(join(folder, 'real'), join(folder, 'link'))
    const s = new LocalStore(join(folder, 'link'))
    await s.write(storePath(`${s.root}/x`), Buffer.from('1'))
    expect(execFileSync('cat', [join(folder, 'real', 'x')]).toString()).toBe('1')
  })
})
