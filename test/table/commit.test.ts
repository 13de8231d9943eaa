import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import {
  append,
  createTable,
  overwrite,
  pinRef,
  readPinned,
  type TableContext,
  transaction,
} from '../../packages/limn/src/table/index.ts'
import { MeddlingCatalog } from '../support/racing.ts'
import { temporaryTables } from '../support/tables.ts'

const a = tableId('silver.a')
const b = tableId('silver.b')
const schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' as const },
    { id: 2, name: 'day', required: false, type: 'int' as const },
  ],
}
const spec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'day', transform: { kind: 'identity' as const } }],
}
const rows = (...of: readonly (readonly [number, number])[]) => ({
  sql: `SELECT * FROM (VALUES ${of.map(([id, day]) => `(${id}::BIGINT, ${day}::INTEGER)`).join(', ')}) v(id, day)`,
})
const nothing = { sql: 'SELECT 1::BIGINT AS id, 1::INTEGER AS day WHERE FALSE' }

async function setUp(capabilities = {}) {
  const made = await temporaryTables()
  const waits: number[] = []
  const other = made.another()
  const plain: TableContext = { ...made.context, catalog: other }
  const catalog = new MeddlingCatalog(made.catalog, capabilities)
  const wait = async (ms: number) => void waits.push(ms)
  const context: TableContext = { ...made.context, catalog, wait }
  for (const id of [a, b])
    await createTable(plain, id, { location: `${made.store.root}/${id.replace('.', '/')}`, schema, spec })
  return {
    ...made,
    context,
    catalog,
    plain,
    waits,
    async [Symbol.asyncDispose]() {
      other.close()
      await made[Symbol.asyncDispose]()
    },
  }
}

async function idsOf(context: TableContext, id = a, branch = 'main'): Promise<readonly number[]> {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  const pin = loaded && pinRef(loaded, branch)
  if (!pin) return []
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound])
  return (await session.rows(`SELECT id FROM ${id} ORDER BY id`)).rows.map((row) => Number(row[0]))
}

async function filesOf(made: { readonly store: TableContext['store'] }): Promise<readonly string[]> {
  const out: string[] = []
  for await (const one of made.store.list(made.store.root)) out.push(one.path)
  return out.filter((path) => /\.(parquet|avro)$/.test(path))
}

async function snapshotsOf(context: TableContext, id = a): Promise<number> {
  return (await context.catalog.loadTables([id])).get(id)?.metadata.snapshots.length ?? 0
}

describe('a commit that others come before', () => {
  it('keeps the files it wrote when what it relied on still holds, and waits a little longer each time', async () => {
    await using made = await setUp()
    made.catalog.before = async (number) => {
      if (number <= 3) await append(made.plain, a, rows([number, 1]))
    }
    const done = await append(made.context, a, rows([10, 1]))
    expect(await idsOf(made.plain)).toEqual([1, 2, 3, 10])
    expect(made.catalog.commits).toBe(4)
    expect(made.waits.map((ms, i) => ms >= 50 * 2 ** i && ms <= 100 * 2 ** i)).toEqual([true, true, true])
    const data = (await filesOf(made)).filter((path) => path.endsWith('.parquet'))
    expect(data.length).toBe(4)
    expect(data).toContain(done.added[0]?.path)
    // Three manifests and three lists of superseded attempts are gone: each of four snapshots left one list.
    expect((await filesOf(made)).filter((path) => path.includes('/snap-')).length).toBe(4)
  })

  it('is given up after as many retries as the table says, and leaves no file behind', async () => {
    await using made = await setUp()
    await made.catalog.commit(
      [
        {
          table: a,
          requirements: [],
          updates: [{ action: 'set-properties', updates: { 'commit.retry.num-retries': '1' } }],
        },
      ],
      { timestampMs: 1 },
    )
    made.catalog.commits = 0
    made.catalog.before = async (number) => void (await append(made.plain, a, rows([number, 1])))
    const before = await filesOf(made)
    await expect(append(made.context, a, rows([10, 1]))).rejects.toMatchObject({
      kind: 'catalog/conflict',
      retryable: true,
    })
    expect(made.catalog.commits).toBe(2)
    expect(await idsOf(made.plain)).toEqual([1, 2])
    expect((await filesOf(made)).length - before.length).toBe(2 * 3)
  })

  it('does its work again when rows appeared that it would have seen, or says which file it met', async () => {
    await using made = await setUp()
    await append(made.plain, a, rows([1, 1], [2, 2]))
    const meet = async (number: number) => {
      if (number === 1) await append(made.plain, a, rows([3, 1]))
    }
    made.catalog.before = meet
    await overwrite(made.context, a, 'day = 1', rows([9, 1]))
    expect(await idsOf(made.plain)).toEqual([2, 9])
    made.catalog.commits = 0
    const failing = overwrite(made.context, a, 'day = 1', rows([8, 1]), { onConflict: 'fail' })
    await expect(failing).rejects.toMatchObject({
      kind: 'catalog/conflict',
      message: expect.stringMatching(/day=1 .*parquet/),
    })
    expect(await idsOf(made.plain)).toEqual([2, 3, 9])
    made.catalog.commits = 0
    await overwrite(made.context, a, 'day = 1', rows([7, 1]), { onConflict: 'fail', isolation: 'snapshot' })
    expect(await idsOf(made.plain)).toEqual([2, 3, 7])
  })

  it('does its work again when the schema changed meanwhile', async () => {
    await using made = await setUp()
    made.catalog.before = async (number) => {
      if (number > 1) return
      const wider = {
        ...schema,
        fields: [...schema.fields, { id: 3, name: 'more', required: false, type: 'int' as const }],
      }
      await made.plain.catalog.commit(
        [
          {
            table: a,
            requirements: [],
            updates: [
              { action: 'add-schema', schema: { ...wider, schemaId: 1 } },
              { action: 'set-current-schema', schemaId: -1 },
            ],
          },
        ],
        { timestampMs: 1 },
      )
    }
    const sql = 'SELECT 1::BIGINT AS id, 1::INTEGER AS day, 5::INTEGER AS more'
    await append(made.context, a, { sql })
    const loaded = (await made.plain.catalog.loadTables([a])).get(a)
    expect(loaded?.metadata.snapshots[0]?.schemaId).toBe(1)
    made.catalog.before = async (number) => {
      if (number > 3) return
      await made.plain.catalog.commit(
        [{ table: a, requirements: [], updates: [{ action: 'set-current-schema', schemaId: 0 }] }],
        { timestampMs: 1 },
      )
      await append(made.plain, a, rows([2, 2]))
    }
    await expect(append(made.context, a, { sql }, { onConflict: 'fail' })).rejects.toMatchObject({
      message: expect.stringContaining('schema was changed'),
    })
  })

  it('is settled when its answer is lost, whether it happened, did not happen or happens late', async () => {
    for (const fate of ['lost answer', 'lost request', 'late'] as const) {
      await using made = await setUp()
      made.catalog.fate = (number) => (number === 1 ? fate : 'answered')
      const done = await append(made.context, a, rows([1, 1]))
      expect([fate, await idsOf(made.plain), await snapshotsOf(made.plain)]).toEqual([fate, [1], 1])
      const loaded = (await made.plain.catalog.loadTables([a])).get(a)
      expect(loaded?.metadata.currentSnapshotId).toBe(done.snapshotId)
    }
  })

  it('is settled as lost when others committed in its place, and then tried again', async () => {
    await using made = await setUp()
    made.catalog.fate = (number) => (number === 1 ? 'lost request' : 'answered')
    made.catalog.before = async (number) => {
      if (number === 2) await append(made.plain, a, rows([5, 1]))
    }
    await append(made.context, a, rows([1, 1]))
    expect(await idsOf(made.plain)).toEqual([1, 5])
  })

  it('leaves its files when no answer is to be had', async () => {
    await using made = await setUp()
    made.catalog.fate = () => 'lost request'
    await expect(append(made.context, a, rows([1, 1]))).rejects.toMatchObject({ kind: 'catalog/unknown-outcome' })
    expect((await filesOf(made)).length).toBe(3)
  })

  it('goes to its branch although main moved meanwhile', async () => {
    await using made = await setUp()
    await append(made.plain, a, rows([1, 1]))
    made.catalog.before = async (number) => {
      if (number === 1) await append(made.plain, a, rows([2, 1]))
    }
    await append(made.context, a, rows([3, 1]), { branch: 'try' })
    expect([await idsOf(made.plain), await idsOf(made.plain, a, 'try')]).toEqual([
      [1, 2],
      [1, 3],
    ])
  })
})

describe('a transaction', () => {
  it('commits operations on several tables at once, each seeing those before it', async () => {
    await using made = await setUp()
    const commits = made.catalog.commits
    await transaction(made.context, async (tx) => {
      await append(tx, a, rows([1, 1], [2, 2]))
      await overwrite(tx, a, 'day = 2', rows([3, 2]))
      expect(await idsOf(tx)).toEqual([1, 3])
      expect(await idsOf(made.plain)).toEqual([])
      await append(tx, b, rows([7, 7]))
    })
    expect(made.catalog.commits - commits).toBe(1)
    expect([await idsOf(made.plain), await idsOf(made.plain, b)]).toEqual([[1, 3], [7]])
    expect(await snapshotsOf(made.plain)).toBe(2)
    const loaded = (await made.plain.catalog.loadTables([a])).get(a)
    expect(loaded?.metadata.snapshotLog.length).toBe(1)
  })

  it('creates a table and fills it in one commit', async () => {
    await using made = await setUp()
    const c = tableId('silver.c')
    await transaction(made.context, async (tx) => {
      await createTable(tx, c, { location: `${made.store.root}/silver/c`, schema, spec })
      await append(tx, c, rows([1, 1]))
      expect(await tx.catalog.listTables()).toContain(c)
      expect(await made.plain.catalog.listTables()).not.toContain(c)
    })
    expect(await idsOf(made.plain, c)).toEqual([1])
  })

  it('does nothing at all when one operation fails, and leaves no file behind', async () => {
    await using made = await setUp()
    const before = await filesOf(made)
    const failing = transaction(made.context, async (tx) => {
      await append(tx, a, rows([1, 1]))
      await append(tx, b, { sql: 'SELECT nothing FROM nowhere' })
    })
    await expect(failing).rejects.toMatchObject({ kind: 'sql/unknown-table' })
    expect([await idsOf(made.plain), await filesOf(made)]).toEqual([[], before])
  })

  it('conflicts as a whole when one table moved, and stages anew only what it must', async () => {
    await using made = await setUp()
    await append(made.plain, a, rows([1, 1]))
    made.catalog.before = async (number) => {
      if (number === 1) await append(made.plain, a, rows([2, 2]))
    }
    await transaction(made.context, async (tx) => {
      await overwrite(tx, a, 'day = 1', rows([3, 1]))
      await append(tx, b, rows([7, 7]))
    })
    expect([await idsOf(made.plain), await idsOf(made.plain, b)]).toEqual([[2, 3], [7]])
    made.catalog.commits = 0
    const body = async (tx: TableContext) => {
      await append(tx, b, rows([8, 8]))
      await overwrite(tx, a, 'day = 2', nothing)
    }
    await expect(transaction(made.context, body)).rejects.toMatchObject({ kind: 'catalog/conflict' })
    expect([await idsOf(made.plain), await idsOf(made.plain, b)]).toEqual([[2, 2, 3], [7]])
    made.catalog.commits = 0
    await transaction(made.context, body, { onConflict: 'redo' })
    expect([await idsOf(made.plain), await idsOf(made.plain, b)]).toEqual([[3], [7, 8]])
  })

  it('is settled across tables when its answer is lost', async () => {
    for (const fate of ['lost answer', 'lost request', 'late'] as const) {
      await using made = await setUp()
      made.catalog.fate = (number) => (number === 1 ? fate : 'answered')
      await transaction(made.context, async (tx) => {
        await append(tx, a, rows([1, 1]))
        await append(tx, b, rows([2, 2]))
      })
      expect([fate, await idsOf(made.plain), await idsOf(made.plain, b)]).toEqual([fate, [1], [2]])
      expect(await snapshotsOf(made.plain, b)).toBe(1)
    }
  })

  it('is refused for several tables where the catalog commits them one by one', async () => {
    await using made = await setUp({ atomicCommit: false })
    const several = transaction(made.context, async (tx) => {
      await append(tx, a, rows([1, 1]))
      await append(tx, b, rows([2, 2]))
    })
    await expect(several).rejects.toMatchObject({ kind: 'iceberg/unsupported' })
    expect(await idsOf(made.plain)).toEqual([])
    await transaction(made.context, async (tx) => {
      await append(tx, a, rows([1, 1]))
      await append(tx, a, rows([2, 2]))
    })
    expect(await idsOf(made.plain)).toEqual([1, 2])
  })
})
