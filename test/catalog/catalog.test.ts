import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { noSteps, seededRandomness, type TableId } from '../../packages/limn/src/base/index.ts'
import { StagedCatalog } from '../../packages/limn/src/catalog/index.ts'
import type { StorePath } from '../../packages/limn/src/storage/index.ts'
import { temporaryTables } from '../support/tables.ts'
import { a, b, catalogSuite, create, setProperty } from './suite.ts'

function stagedOver(made: Awaited<ReturnType<typeof temporaryTables>>) {
  const pointers = new Map<TableId, StorePath>()
  const catalog = new StagedCatalog({
    catalog: made.catalog,
    store: made.store,
    steps: noSteps,
    randomness: seededRandomness('staged'),
    pointers: {
      get: async (table) => {
        const metadataLocation = pointers.get(table)
        return metadataLocation === undefined ? null : { metadataLocation }
      },
      compareAndSet: async (table, expected, next) => {
        if ((pointers.get(table) ?? null) !== expected) return false
        pointers.set(table, next)
        return true
      },
      list: async () => [...pointers.keys()],
    },
  })
  return catalog
}

catalogSuite('the SQLite catalog', async () => {
  const made = await temporaryTables()
  return { catalog: made.catalog, location: made.store.root, [Symbol.asyncDispose]: () => made[Symbol.asyncDispose]() }
})
catalogSuite('a staged catalog over it', async () => {
  const made = await temporaryTables()
  return {
    catalog: stagedOver(made),
    location: made.store.root,
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  }
})

describe('the SQLite catalog', () => {
  const at = { timestampMs: 1_000 }

  it('moves no pointer before the store is settled, and none when it cannot be', async () => {
    await using made = await temporaryTables()
    const told: string[] = []
    let fails = false
    const settle = made.store.settle.bind(made.store)
    made.store.settle = async () => {
      told.push(`settle ${(await made.catalog.listTables()).length}`)
      if (fails) throw new Error('the disk is gone')
      await settle()
    }
    await made.catalog.commit([create(a, made.store.root)], at)
    fails = true
    await expect(made.catalog.commit([create(b, made.store.root)], at)).rejects.toThrow('the disk is gone')
    await expect(stagedOver(made).commit([create(b, made.store.root)], at)).rejects.toThrow('the disk is gone')
    expect([told, await made.catalog.listTables()]).toEqual([['settle 0', 'settle 1', 'settle 1'], [a]])
  })

  it('moves several tables together or none of them', async () => {
    await using made = await temporaryTables()
    await made.catalog.commit([create(a, made.store.root), create(b, made.store.root)], at)
    const failing = {
      ...setProperty(b, 'x', '1'),
      requirements: [{ type: 'assert-table-uuid' as const, uuid: 'other' }],
    }
    expect(await made.catalog.commit([setProperty(a, 'x', '1'), failing], at)).toMatchObject({
      kind: 'conflict',
      table: b,
    })
    expect((await made.catalog.loadTables([a])).get(a)?.metadata.properties).toEqual({})
    expect((await made.catalog.commit([setProperty(a, 'x', '1'), setProperty(b, 'x', '1')], at)).kind).toBe('committed')
  })

  it('loses no update when two writers race, and leaves no debris', async () => {
    await using made = await temporaryTables()
    await made.catalog.commit([create(a, made.store.root)], at)
    const other = made.another()
    const write = async (catalog: typeof made.catalog, who: string) => {
      for (let i = 0; i < 20; i++)
        expect((await catalog.commit([setProperty(a, `${who}${i}`, 'x')], at)).kind).toBe('committed')
    }
    await Promise.all([write(made.catalog, 'x'), write(other, 'y')])
    const loaded = (await other.loadTables([a])).get(a)
    expect(Object.keys(loaded?.metadata.properties ?? {})).toHaveLength(40)
    const files = await Array.fromAsync(made.store.list(made.store.root))
    expect(files.filter((file) => file.path.endsWith('.metadata.json'))).toHaveLength(41)
    other.close()
  })

  it('keeps the old state when it dies between metadata and commit', async () => {
    let armed = false
    await using made = await temporaryTables({
      steps: {
        reach(name, edge) {
          if (armed && name === 'catalog.commit' && edge === 'before') throw new Error('died')
        },
      },
    })
    await made.catalog.commit([create(a, made.store.root)], at)
    armed = true
    await expect(made.catalog.commit([setProperty(a, 'x', '1')], at)).rejects.toThrow('died')
    armed = false
    expect((await made.catalog.loadTables([a])).get(a)?.metadata.properties).toEqual({})
  })

  it('has the tables that Java and Python expect', async () => {
    await using made = await temporaryTables()
    await made.catalog.commit([create(a, made.store.root)], at)
    await made.catalog.commit([setProperty(a, 'x', '1')], at)
    using database = new DatabaseSync(join(made.folder, 'catalog.db'))
    const row = database.prepare('SELECT * FROM iceberg_tables').get()
    expect(Object.keys(row ?? {})).toEqual([
      'catalog_name',
      'table_namespace',
      'table_name',
      'metadata_location',
      'previous_metadata_location',
      'iceberg_type',
    ])
    expect([row?.catalog_name, row?.table_namespace, row?.table_name, row?.iceberg_type]).toEqual([
      'test',
      'silver',
      'a',
      'TABLE',
    ])
    expect(String(row?.metadata_location)).toMatch(/\/00001-.*\.metadata\.json$/)
    expect(
      database
        .prepare('SELECT namespace, property_key FROM iceberg_namespace_properties')
        .all()
        .map((one) => ({ ...one })),
    ).toEqual([{ namespace: 'silver', property_key: 'exists' }])
  })
})

describe('a staged catalog', () => {
  it('shows its own tables to nobody else, and passes commits to registered ones through', async () => {
    await using made = await temporaryTables()
    const staged = stagedOver(made)
    await made.catalog.commit([create(a, made.store.root)], { timestampMs: 1 })
    await staged.commit([create(b, made.store.root)], { timestampMs: 1 })
    expect([await staged.listTables(), await made.catalog.listTables()]).toEqual([[a, b], [a]])
    await staged.commit([setProperty(a, 'x', '1')], { timestampMs: 1 })
    expect((await made.catalog.loadTables([a])).get(a)?.metadata.properties).toEqual({ x: '1' })
    await expect(
      staged.commit([setProperty(a, 'x', '2'), setProperty(b, 'x', '2')], { timestampMs: 1 }),
    ).rejects.toMatchObject({ kind: 'internal' })
  })
})
