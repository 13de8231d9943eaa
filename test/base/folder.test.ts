import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeFolder } from '../../packages/limn/src/base/index.ts'
import { temporaryFolder } from '../support/lake.ts'

it('makes a folder and those above it, and says which is the uppermost', () => {
  using place = temporaryFolder('folder')
  expect(makeFolder(join(place.folder, 'a/b/c'))).toBe(join(place.folder, 'a'))
  expect(makeFolder(join(place.folder, 'a/b/c'))).toBeUndefined()
  expect(makeFolder(join(place.folder, 'a/b/d'))).toBe(join(place.folder, 'a/b/d'))
  expect(makeFolder('/')).toBeUndefined()
})

it('ends with an error where none can be made', () => {
  using place = temporaryFolder('folder')
  writeFileSync(join(place.folder, 'file'), '')
  const proc = existsSync('/proc/self') ? ['/proc/x', '/proc/x/y/z'] : []
  for (const path of [join(place.folder, 'file'), join(place.folder, 'file/a/b'), ...proc])
    expect(() => makeFolder(path, 'It was not moved.')).toThrow(
      expect.objectContaining({ kind: 'storage/not-writable', notDone: 'It was not moved.' }),
    )
})
