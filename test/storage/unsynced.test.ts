import { describe, expect, it } from 'vitest'
import { Unsynced } from '../../packages/limn/src/storage/unsynced.ts'

/** A disk that notes what is synced, and ends a sync when told to. */
function disk() {
  const synced: string[] = []
  const broken = new Set<string>()
  const held: (() => void)[] = []
  let hold = false
  const files = new Unsynced(async (path) => {
    if (hold) await new Promise<void>((done) => held.push(done))
    if (broken.has(path)) throw new Error(`${path} is broken`)
    synced.push(path)
  })
  return {
    files,
    synced,
    broken,
    hold: () => {
      hold = true
    },
    release: () => {
      hold = false
      for (const done of held.splice(0)) done()
    },
  }
}

describe('files that are not synced yet', () => {
  it('are synced with their folders, each once, files before the folders that name them', async () => {
    const { files, synced } = disk()
    for (const path of ['/t/data/a', '/t/data/b', '/t/metadata/c']) files.addFile(path)
    files.addFolder('/t')
    await files.settle()
    expect([synced.slice(0, 3).sort(), synced.slice(3).sort()]).toEqual([
      ['/t/data/a', '/t/data/b', '/t/metadata/c'],
      ['/t', '/t/data', '/t/metadata'],
    ])
    await files.settle()
    expect(synced).toHaveLength(6)
  })

  it('bring their folder again when they come into it while it is synced', async () => {
    const { files, synced, hold, release } = disk()
    files.addFolder('/t')
    hold()
    const earlier = files.settle()
    await new Promise(setImmediate)
    files.addFile('/t/late')
    release()
    await earlier
    await files.settle()
    expect(synced).toEqual(['/t', '/t/late', '/t'])
  })

  it('are synced when a call returns that came after them, whatever was under way', async () => {
    const { files, synced, hold, release } = disk()
    hold()
    files.addFile('/t/first')
    const earlier = files.settle()
    await new Promise(setImmediate)
    files.addFile('/t/second')
    const both = [files.settle(), files.settle()]
    let returned = false
    void Promise.all(both).then(() => {
      returned = true
    })
    await new Promise(setImmediate)
    expect([returned, synced]).toEqual([false, []])
    release()
    await Promise.all([earlier, ...both])
    expect(synced.filter((path) => path !== '/t')).toEqual(['/t/first', '/t/second'])
  })

  it('stay when a sync fails: no later call passes over them', async () => {
    const { files, synced, broken } = disk()
    broken.add('/t/a')
    files.addFile('/t/a')
    await expect(files.settle()).rejects.toThrow('/t/a is broken')
    await expect(files.settle()).rejects.toThrow('/t/a is broken')
    broken.clear()
    await files.settle()
    expect(synced).toEqual(['/t/a', '/t'])
  })

  it('fail one call when others have deleted them, and not every one that follows', async () => {
    const gone = Object.assign(new Error('no such file'), { code: 'ENOENT' })
    const synced: string[] = []
    const files = new Unsynced(async (path) => {
      if (path === '/t/a') throw gone
      synced.push(path)
    })
    files.addFile('/t/a')
    files.addFile('/t/b')
    await expect(files.settle()).rejects.toThrow('no such file')
    await files.settle()
    expect(synced).toEqual(['/t/b', '/t'])
  })

  it('are forgotten when they are deleted', async () => {
    const { files, synced } = disk()
    files.addFile('/t/a')
    files.forget('/t/a')
    await files.settle()
    expect(synced).toEqual(['/t'])
  })
})
