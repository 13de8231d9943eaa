import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { alterTable, rewriteDataFiles } from '../../packages/limn/src/table/index.ts'
import { commitDeletes, equalityDeletes, positionDeletes } from '../support/delete-files.ts'
import { dataOf, everything, fill, id, locationOf, make, small } from '../support/parted-table.ts'
import { MeddlingCatalog } from '../support/racing.ts'
import { temporaryTables } from '../support/tables.ts'

describe('rewriting while others write', () => {
  async function racing(made: Awaited<ReturnType<typeof temporaryTables>>, before: (commit: number) => Promise<void>) {
    const catalog = new MeddlingCatalog(made.context.catalog)
    catalog.before = before
    return { ...made.context, catalog, wait: async () => undefined }
  }

  it('keeps its work when rows are appended, and deleted by equality, meanwhile', async () => {
    await using made = await temporaryTables()
    await make(made.context, 2)
    await fill(made.context, 3)
    const [first] = await dataOf(made.context)
    if (!first) throw new Error('there are files')
    const context = await racing(made, async (commit) => {
      if (commit !== 1) return
      await fill(made.context, 1, 10, 100)
      const at = locationOf(made.context)
      const values = `SELECT 'row ${first.partition[0] === 0 ? 4 : 5}' AS text`
      await commitDeletes(made.context, id, [await equalityDeletes(made.context, at, first, values, { text: 3 })])
    })
    const result = await rewriteDataFiles(context, id, small)
    expect(context.catalog.commits).toBe(2)
    expect(result).toMatchObject({ groups: 2, removed: { files: 6 }, added: { rows: 30 }, skipped: [] })
    const rows = (await everything(made.context)).main ?? []
    expect(rows).toHaveLength(39)
    expect(rows).not.toContain(`${first.partition[0] === 0 ? '4 0 row 4' : '5 1 row 5'}`)
  })

  it('reads a group again when rows of its files are deleted meanwhile, and no other', async () => {
    await using made = await temporaryTables()
    await make(made.context, 2)
    await fill(made.context, 3)
    const [first] = await dataOf(made.context)
    if (!first) throw new Error('there are files')
    const written: string[] = []
    const context = await racing(made, async (commit) => {
      if (commit !== 1) return
      const at = locationOf(made.context)
      await commitDeletes(made.context, id, [
        await positionDeletes(made.context, at, [{ file: first, positions: [0] }]),
      ])
    })
    const put = context.store.putFiles.bind(context.store)
    const store = Object.create(context.store) as typeof context.store
    store.putFiles = (files, options) => {
      written.push(...files.map((file) => file.path))
      return put(files, options)
    }
    const result = await rewriteDataFiles({ ...context, store }, id, small)
    expect(written).toHaveLength(3)
    expect(result).toMatchObject({ groups: 2, added: { rows: 29 }, skipped: [] })
    expect((await everything(made.context)).main).toHaveLength(29)
    const live = new Set<string>((await dataOf(made.context)).map((file) => file.path))
    // What the first attempt wrote of that group is gone.
    for (const path of written) expect(existsSync(new URL(path))).toBe(live.has(path))
  })

  it('skips a group whose files are gone, and says so', async () => {
    await using made = await temporaryTables()
    await make(made.context, 2)
    await fill(made.context, 3)
    const context = await racing(made, async (commit) => {
      if (commit === 1) await rewriteDataFiles(made.context, id, { ...small, filter: 'part = 0' })
    })
    const result = await rewriteDataFiles(context, id, small)
    expect(result).toMatchObject({ groups: 1, added: { files: 1, rows: 15 } })
    expect(result.skipped.map((one) => one.why)).toEqual(['3 of its 3 files were replaced meanwhile'])
    expect((await everything(made.context)).main).toHaveLength(30)
  })

  it('commits as it goes when asked, and keeps what it committed when a later commit fails', async () => {
    await using made = await temporaryTables()
    await make(made.context, 2)
    await fill(made.context, 3)
    await alterTable(made.context, id, [{ kind: 'set-properties', properties: { 'commit.retry.num-retries': '0' } }])
    const context = await racing(made, async (commit) => {
      if (commit === 2) await fill(made.context, 1, 10, 100)
    })
    const result = await rewriteDataFiles(context, id, { ...small, commitsMax: 2 })
    expect(result).toMatchObject({ groups: 1, removed: { files: 3 } })
    expect(result.snapshotIds).toHaveLength(1)
    expect(result.skipped).toHaveLength(1)
    expect((await everything(made.context)).main).toHaveLength(40)
  })

  it('leaves nothing behind when it fails', async () => {
    await using made = await temporaryTables()
    await make(made.context, 2)
    await fill(made.context, 3)
    await alterTable(made.context, id, [{ kind: 'set-properties', properties: { 'commit.retry.num-retries': '0' } }])
    const context = await racing(made, async () => fill(made.context, 1, 10, 100))
    const on = async () => {
      const out: string[] = []
      for await (const info of made.store.list(made.store.root)) out.push(info.path)
      return out.filter((path) => path.endsWith('.parquet'))
    }
    await expect(rewriteDataFiles(context, id, small)).rejects.toMatchObject({ kind: 'catalog/conflict' })
    expect((await on()).sort()).toEqual((await dataOf(made.context)).map((file) => String(file.path)).sort())
  })
})
