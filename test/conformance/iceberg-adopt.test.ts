import { afterAll, describe, expect, it } from 'vitest'
import { LimnError, seededRandomness, tableId } from '../../packages/limn/src/base/index.ts'
import { SqliteCatalog } from '../../packages/limn/src/catalog/index.ts'
import { ManifestReader } from '../../packages/limn/src/iceberg/index.ts'
import { type ObjectStore, storePath } from '../../packages/limn/src/storage/index.ts'
import {
  deleteRows,
  divergence,
  openExternal,
  pinRef,
  registerTable,
  snapshotTable,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { loadCases, mappedStore, type TableCase } from '../support/corpus.ts'
import { ask } from '../support/hive-folder.ts'
import { temporaryTables } from '../support/tables.ts'

/** Tables that other systems wrote, registered and copied without their rows, then changed: the copy alone changes. */
const cases = loadCases()
const made = await temporaryTables()
afterAll(() => made[Symbol.asyncDispose]())

/** What limn cannot read at all, which the suites about reading list. */
const refusable = /geometry|geography|encrypt|\borc\b|codec|compress/i

/** Reads the case, writes in a warehouse of our own. */
function storeOver(one: TableCase, folder: string): ObjectStore {
  const [theirs, ours] = [mappedStore(one, folder), made.store]
  const isOurs = (path: string) => path.startsWith(ours.root)
  return {
    root: ours.root,
    read: (path, range, options) => (isOurs(path) ? ours : theirs).read(path, range, options),
    stat: (path, options) => (isOurs(path) ? ours : theirs).stat(path, options),
    list: (prefix, options) => (isOurs(prefix) ? ours : theirs).list(prefix, options),
    async lease(paths, options) {
      const lease = await theirs.lease(
        paths.filter((path) => !isOurs(path)),
        options,
      )
      const own = await ours.lease(paths.filter(isOurs))
      return {
        localOf: (path) => (isOurs(path) ? own : lease).localOf(path),
        pathOf: (local) => own.pathOf(local) ?? lease.pathOf(local),
        [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
      }
    },
    write: (path, bytes, options) => ours.write(path, bytes, options),
    putFile: (local, path, options) => ours.putFile(local, path, options),
    putFiles: (files, options) => ours.putFiles(files, options),
    settle: () => ours.settle(),
    linkFiles: (files, options) => ours.linkFiles(files, options),
    scratch: () => ours.scratch(),
    delete: (paths) => ours.delete(paths),
  }
}

let changed = 0
describe.runIf(cases.length > 0)('a table that another system wrote', () => {
  for (const [i, one] of cases.entries())
    for (const [k, table] of one.tables.entries())
      it(`${one.name}/${table.table} is registered, and copied without its rows`, async () => {
        const store = storeOver(table, one.folder)
        const path = `${made.folder}/catalog-${i}-${k}.db`
        const catalog = new SqliteCatalog({ path, name: 'x', store, randomness: seededRandomness(path) })
        const context: TableContext = { ...made.context, store, catalog, manifests: new ManifestReader(store) }
        const [registered, copied] = [tableId(`their.t${i}_${k}`), tableId(`our.t${i}_${k}`)]
        const location = storePath(`${one.folder}/${table.metadata_file}`)
        try {
          const count = async (id: typeof registered) => (await ask(context, id, 'SELECT count(*) FROM t'))[0]?.[0]
          const { loaded } = await registerTable(context, registered, location, { files: false })
          const rows = await count(registered)
          const external = await openExternal(context, location)
          const copy = await snapshotTable(context, external, copied)
          const [left, right] = [pinRef(loaded), pinRef(copy)]
          if (!left || !right) throw new Error('main is always there')
          expect((await divergence(context, { kind: 'table', pin: left }, { kind: 'table', pin: right })).same).toBe(
            true,
          )
          expect(await count(copied)).toBe(rows)
          if (rows === 0n) return
          const { deleted } = await deleteRows(context, copied, { filter: 'true' })
          expect([BigInt(deleted), await count(copied), await count(registered)]).toEqual([rows, 0n, rows])
          changed++
        } catch (error) {
          if (!(error instanceof LimnError) || !refusable.test(error.message)) throw error
        } finally {
          catalog.close()
        }
      })

  it('was changed in most cases', () => {
    expect(changed).toBeGreaterThan(cases.length / 2)
  })
})
