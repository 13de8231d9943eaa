import { describe, expect, it } from 'vitest'
import type { Schema } from '../../packages/limn/src/schema/index.ts'
import type { StorePath } from '../../packages/limn/src/storage/index.ts'
import {
  alterRefs,
  alterTable,
  append,
  createTable,
  expireSnapshots,
  pinSnapshot,
  type RewriteDataFilesOptions,
  readPinned,
  rewriteDataFiles,
  rewriteManifests,
  supersededProperty,
} from '../../packages/limn/src/table/index.ts'
import { commitDeletes, deletionVector, equalityDeletes, positionDeletes } from '../support/delete-files.ts'
import {
  dataOf,
  everything,
  fill,
  flat,
  id,
  inventoryNow,
  locationOf,
  make,
  metadataNow,
  rowsAt,
  small,
} from '../support/parted-table.ts'
import { temporaryTables } from '../support/tables.ts'

describe('rewriting data files', () => {
  it.each([2, 3] as const)('joins small files of each partition and keeps rows as they are, version %i', async (v) => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, v)
    await fill(context, 6)
    const before = await everything(context, v === 3)
    const dry = await rewriteDataFiles(context, id, { ...small, dryRun: true })
    expect(dry).toMatchObject({ snapshotIds: [], groups: 0, plan: { files: 12 } })
    expect((await metadataNow(context)).metadata.snapshots).toHaveLength(6)
    const result = await rewriteDataFiles(context, id, small)
    expect(result).toMatchObject({ groups: 2, removed: { files: 12, rows: 60 }, added: { files: 2, rows: 60 } })
    expect(await everything(context, v === 3)).toMatchObject(before)
    const { metadata } = await metadataNow(context)
    expect(metadata.snapshots.at(-1)).toMatchObject({ operation: 'replace', snapshotId: result.snapshotIds[0] })
    const { data } = await inventoryNow(context)
    // What rows keep is the sequence number of the snapshot they were read at.
    expect(data.map((entry) => entry.dataSequenceNumber)).toEqual([6n, 6n])
    expect(data.map((entry) => entry.file.partition[0])).toEqual(expect.arrayContaining([0, 1]))
    expect((await rewriteDataFiles(context, id, small)).snapshotIds).toEqual([])
  })

  it('applies position and equality deletes of every scope, and drops those that reach nothing any more', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2)
    await fill(context, 4)
    const at = locationOf(context)
    const files = await dataOf(context)
    const even = files.filter((file) => file.partition[0] === 0)
    const odd = files.filter((file) => file.partition[0] === 1)
    const [first, second] = even
    if (!first || !second || !odd[0]) throw new Error('there are files')
    await commitDeletes(context, id, [
      await positionDeletes(context, at, [
        { file: first, positions: [0, 2] },
        { file: second, positions: [1] },
      ]),
      await positionDeletes(context, at, [{ file: second, positions: [4] }], true),
    ])
    await commitDeletes(context, id, [
      await equalityDeletes(context, at, odd[0], "SELECT 'row 13' AS text", { text: 3 }),
      await equalityDeletes(context, at, odd[0], 'SELECT 5::BIGINT AS id, 1::INTEGER AS part', { id: 1, part: 2 }),
    ])
    await fill(context, 1, 10, 100)
    const before = await everything(context)
    expect(before.main).toHaveLength(50 - 4 - 2)
    const result = await rewriteDataFiles(context, id, small)
    expect(result).toMatchObject({ removed: { rows: 50 }, added: { files: 2, rows: 44 }, removedDeletes: 4 })
    expect(await everything(context)).toMatchObject(before)
    expect((await inventoryNow(context)).deletes).toEqual([])
  })

  it('applies deletion vectors, and keeps row ids and last-updated numbers of version 3', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 3)
    await fill(context, 3)
    const at = locationOf(context)
    const [first] = await dataOf(context)
    if (!first) throw new Error('there are files')
    await commitDeletes(context, id, [await deletionVector(context, at, first, [0, 3])])
    const before = await everything(context, true)
    expect(before.main).toHaveLength(28)
    await rewriteDataFiles(context, id, small)
    expect(await everything(context, true)).toMatchObject(before)
    expect((await inventoryNow(context)).deletes).toEqual([])
    // Once more: ids now come from the files themselves.
    await fill(context, 2, 10, 200)
    const again = await everything(context, true)
    await rewriteDataFiles(context, id, small)
    expect(await everything(context, true)).toMatchObject(again)
    expect((await dataOf(context)).length).toBe(2)
  })

  it.each(['bin-pack', 'sort', 'z-order'] as const)(
    'cuts what is too large into files of the target size: %s',
    async (kind) => {
      await using made = await temporaryTables()
      const { context } = made
      await make(context, 2)
      // A file is cut between row groups.
      const properties = { 'write.parquet.row-group-row-limit': '10000' }
      await alterTable(context, id, [{ kind: 'set-properties', properties }])
      const sql = `SELECT range AS id, (range % 2)::INTEGER AS part, md5(range::VARCHAR) AS text FROM range(200000)`
      await append(context, id, { sql })
      const before = await everything(context)
      const fields = [
        { sourceId: 1, transform: { kind: 'identity' }, direction: 'asc', nullOrder: 'nulls-first' },
      ] as const
      const strategy =
        kind === 'sort' ? { kind, fields } : kind === 'z-order' ? { kind, columns: ['id', 'text'] } : { kind }
      const [large] = await dataOf(context)
      const targetFileBytes = Math.ceil(Number(large?.fileSizeInBytes) / 4)
      const result = await rewriteDataFiles(context, id, { targetFileBytes, strategy })
      expect(result.added.files).toBeGreaterThanOrEqual(6)
      for (const file of await dataOf(context)) expect(Number(file.fileSizeInBytes)).toBeLessThan(targetFileBytes * 1.8)
      expect(await everything(context)).toMatchObject(before)
      if (kind !== 'z-order')
        expect((await rewriteDataFiles(context, id, { targetFileBytes, strategy })).snapshotIds).toEqual([])
    },
  )

  it('honours deletes that spell paths in another way, and drops none of them too early', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2)
    await fill(context, 3)
    const bare = (await dataOf(context)).map((file) => ({
      ...file,
      path: file.path.replace(/^file:\/\//, '') as StorePath,
    }))
    const [one, two] = bare
    if (!one || !two) throw new Error('there are files')
    const at = locationOf(context)
    await commitDeletes(context, id, [
      await positionDeletes(context, at, [{ file: one, positions: [0] }], true),
      await positionDeletes(context, at, [{ file: two, positions: [1, 2] }]),
    ])
    const before = await everything(context)
    expect(before.main).toHaveLength(27)
    const part = one.partition[0]
    await rewriteDataFiles(context, id, { ...small, filter: `part = ${part === 0 ? 1 : 0}` })
    expect(await everything(context)).toMatchObject(before)
    await rewriteDataFiles(context, id, small)
    expect(await everything(context)).toMatchObject(before)
    expect((await inventoryNow(context)).deletes).toEqual([])
  })

  it('asks for files by their deletes: how many there are, and how many rows they hide', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, flat)
    await fill(context, 2, 100)
    const at = locationOf(context)
    const [first] = await dataOf(context)
    if (!first) throw new Error('there are files')
    const gone = [...Array(9).keys()]
    await commitDeletes(context, id, [await positionDeletes(context, at, [{ file: first, positions: gone }], true)])
    const never = { targetFileBytes: 1_000_000, minFileBytes: 0 }
    expect((await rewriteDataFiles(context, id, never)).groups).toBe(0)
    expect((await rewriteDataFiles(context, id, { ...never, deletesPerFileMin: 2 })).groups).toBe(0)
    const before = await everything(context)
    const result = await rewriteDataFiles(context, id, { ...never, deleteRatioMin: 0.09 })
    expect(result).toMatchObject({ removed: { files: 1, rows: 100 }, added: { files: 1, rows: 91 }, removedDeletes: 1 })
    expect(await everything(context)).toMatchObject(before)
  })

  it('drops a file whose rows are all deleted', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, flat)
    await fill(context, 1)
    const [first] = await dataOf(context)
    if (!first) throw new Error('there is a file')
    const all = [...Array(10).keys()]
    await commitDeletes(context, id, [
      await positionDeletes(context, locationOf(context), [{ file: first, positions: all }], true),
    ])
    const result = await rewriteDataFiles(context, id)
    expect(result).toMatchObject({ removed: { files: 1 }, added: { files: 0 }, removedDeletes: 1 })
    expect(await dataOf(context)).toEqual([])
  })

  it('moves files of an older spec and an older schema to those of the table', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, flat)
    await fill(context, 3)
    await alterTable(context, id, [
      { kind: 'add-partition-field', column: 'part', transform: { kind: 'identity' } },
      { kind: 'rename-column', column: 'text', to: 'note' },
      { kind: 'add-column', name: 'more', type: 'int' },
    ])
    const columns = 'id, part, note, more'
    const at = (await metadataNow(context)).metadata.currentSnapshotId ?? 0n
    const { metadata } = await metadataNow(context)
    const rows = async (snapshotId: bigint) => {
      const pin = { ...pinSnapshot(await metadataNow(context), snapshotId), schemaId: metadata.currentSchemaId }
      await using reading = await readPinned(context, pin)
      await using session = await context.engine.session([reading.bound])
      return (await session.rows(`SELECT ${columns} FROM ${id} ORDER BY ALL`)).rows.map(String)
    }
    const before = await rows(at)
    const result = await rewriteDataFiles(context, id, { ...small, otherSpecs: true })
    expect(result.added.files).toBe(2)
    expect(await rows((await metadataNow(context)).metadata.currentSnapshotId ?? 0n)).toEqual(before)
    for (const file of await dataOf(context)) expect(file.specId).toBe(metadata.defaultSpecId)
  })

  it('leaves alone what a filter cannot reach', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2)
    await fill(context, 3)
    const result = await rewriteDataFiles(context, id, { ...small, filter: 'part = 1' })
    expect(result).toMatchObject({ groups: 1, removed: { files: 3 } })
    expect((await dataOf(context)).map((file) => file.partition[0]).sort()).toEqual([0, 0, 0, 1])
  })
})

describe('rewriting other tables than the plainest', () => {
  it('rewrites a branch and leaves main and tags where they are', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2)
    await fill(context, 2)
    await alterRefs(context, id, [
      { kind: 'create-tag', name: 'kept' },
      { kind: 'create-branch', name: 'dev' },
    ])
    const sql = 'SELECT range AS id, 1::INTEGER AS part, NULL::VARCHAR AS text FROM range(500, 505)'
    await append(context, id, { sql }, { branch: 'dev' })
    const refs = async () => (await metadataNow(context)).metadata.refs
    const before = { refs: await refs(), rows: await everything(context) }
    const result = await rewriteDataFiles(context, id, { ...small, branch: 'dev' })
    expect(result).toMatchObject({ removed: { files: 5, rows: 25 }, added: { files: 2, rows: 25 } })
    const after = await refs()
    expect([after.main, after.kept]).toEqual([before.refs.main, before.refs.kept])
    expect(after.dev?.snapshotId).toBe(result.snapshotIds[0])
    const rows = await everything(context)
    expect(rows).toMatchObject(before.rows)
    expect(rows[String(after.dev?.snapshotId)]).toEqual(before.rows[String(before.refs.dev?.snapshotId)])
  })

  it.each([2, 3] as const)('keeps nested values, empty lists and nulls in them, version %i', async (formatVersion) => {
    await using made = await temporaryTables()
    const { context } = made
    const nested: Schema = {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 'id', required: true, type: 'long' },
        {
          id: 2,
          name: 'at',
          required: false,
          type: {
            type: 'struct',
            fields: [
              { id: 3, name: 'x', required: false, type: 'int' },
              { id: 4, name: 'on', required: false, type: 'timestamptz' },
            ],
          },
        },
        {
          id: 5,
          name: 'tags',
          required: false,
          type: { type: 'list', elementId: 6, element: 'string', elementRequired: false },
        },
        {
          id: 7,
          name: 'by',
          required: false,
          type: { type: 'map', keyId: 8, key: 'string', valueId: 9, value: 'decimal(9,2)', valueRequired: false },
        },
      ],
    }
    await createTable(context, id, { location: locationOf(context), schema: nested, spec: flat, formatVersion })
    for (const low of [0, 10])
      await append(context, id, {
        sql: `SELECT range AS id, CASE WHEN range % 3 = 0 THEN NULL ELSE {x: range::INTEGER, 'on': TIMESTAMPTZ '2026-01-01 00:00:00+00'} END AS at,
          CASE range % 4 WHEN 0 THEN NULL WHEN 1 THEN [] ELSE ['a', NULL, 'b' || range] END AS tags,
          CASE range % 2 WHEN 0 THEN MAP {'k': 1.25} ELSE MAP {} END AS by FROM range(${low}, ${low + 10})`,
      })
    const now = async () => (await metadataNow(context)).metadata.currentSnapshotId ?? 0n
    const before = await rowsAt(context, await now(), 'id, "at", tags, "by"')
    const result = await rewriteDataFiles(context, id, small)
    expect(result).toMatchObject({ removed: { files: 2 }, added: { files: 1, rows: 20 } })
    expect(await rowsAt(context, await now(), 'id, "at", tags, "by"')).toEqual(before)
  })
})

describe('what a snapshot says of deliveries', () => {
  it('is said again by every snapshot that keeps rows as they are, so that it outlives the first', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2)
    await fill(context, 2)
    const summary = { [supersededProperty]: '1-3,5' }
    await append(context, id, { sql: 'SELECT 77::BIGINT AS id, 0 AS part, NULL AS text' }, { summary })
    const said = async () => (await metadataNow(context)).metadata.snapshots.at(-1)?.summary[supersededProperty]
    await rewriteManifests(context, id)
    expect((await metadataNow(context)).metadata.snapshots.at(-1)?.operation).toBe('replace')
    expect(await said()).toBe('1-3,5')
    await rewriteDataFiles(context, id, small)
    await expireSnapshots({ ...context, clock: { ...context.clock, nowMs: () => Date.now() + 10 ** 10 } }, id)
    expect((await metadataNow(context)).metadata.snapshots).toHaveLength(1)
    expect(await said()).toBe('1-3,5')
  })
})

describe('the order of rewritten rows', () => {
  const shuffled = (seed: number) =>
    `SELECT (range * 7919 + ${seed}) % 5000 AS id, 0::INTEGER AS part, 'r' || (range * 31 + ${seed}) % 97 AS text FROM range(2000)`

  it('is the sort order, whose id files then carry', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2)
    for (const seed of [1, 2, 3]) await append(context, id, { sql: shuffled(seed) })
    const before = await everything(context)
    const fields = [
      { sourceId: 3, transform: { kind: 'identity' }, direction: 'desc', nullOrder: 'nulls-last' },
      { sourceId: 1, transform: { kind: 'identity' }, direction: 'asc', nullOrder: 'nulls-first' },
    ] as const
    const options: RewriteDataFilesOptions = { ...small, strategy: { kind: 'sort', fields } }
    await rewriteDataFiles(context, id, options)
    expect(await everything(context)).toMatchObject(before)
    const { metadata } = await metadataNow(context)
    expect(metadata.sortOrders.at(-1)?.fields).toEqual(fields)
    expect((await dataOf(context)).map((file) => file.sortOrderId)).toEqual([metadata.sortOrders.at(-1)?.orderId])
    await using reading = await readPinned(
      context,
      pinSnapshot(await metadataNow(context), metadata.currentSnapshotId ?? 0n),
      { metadataColumns: true },
    )
    await using session = await context.engine.session([reading.bound])
    const positions = await session.rows(`SELECT _pos FROM ${id} ORDER BY text DESC, id, _pos`)
    expect(positions.rows.map(([pos]) => Number(pos))).toEqual([...Array(6000).keys()])
    // In the order asked for, it has nothing left to do.
    expect((await rewriteDataFiles(context, id, options)).snapshotIds).toEqual([])
  })

  it('is the interleaved bits of a z-order, as the oracle computes them', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, flat)
    await append(context, id, {
      sql: 'SELECT range // 64 AS id, (range % 64)::INTEGER AS part, NULL::VARCHAR AS text FROM range(4096)',
    })
    await append(context, id, { sql: 'SELECT NULL::BIGINT AS id, 3::INTEGER AS part, NULL::VARCHAR AS text' })
    const before = await everything(context)
    await rewriteDataFiles(context, id, { ...small, strategy: { kind: 'z-order', columns: ['id', 'part'] } })
    expect(await everything(context)).toMatchObject(before)
    const { metadata } = await metadataNow(context)
    await using reading = await readPinned(
      context,
      pinSnapshot(await metadataNow(context), metadata.currentSnapshotId ?? 0n),
      { metadataColumns: true },
    )
    await using session = await context.engine.session([reading.bound])
    const { rows } = await session.rows(`SELECT id, part FROM ${id} ORDER BY _pos`)
    const ordinal = (value: unknown) =>
      value === null ? 0n : BigInt(1 + Math.floor((Number(value) / 63) * (2 ** 24 - 2)))
    const zValue = (a: bigint, b: bigint) => {
      const bits = (one: bigint) => one.toString(2).padStart(24, '0')
      return BigInt(`0b${[...bits(a)].map((bit, i) => `${bit}${bits(b)[i]}`).join('')}`)
    }
    const values = rows.map(([a, b]) => zValue(ordinal(a), ordinal(b)))
    expect(values).toEqual(values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)))
    // A square of an eighth of each side lies in few stretches of the file, where a plain sort would scatter it.
    const inSquare = rows.flatMap(([a, b], i) => (Number(a) < 8 && a !== null && Number(b) < 8 ? [i] : []))
    expect((inSquare.at(-1) ?? 0) - (inSquare[0] ?? 0)).toBeLessThan(200)
  })

  it('interleaves texts, dates, decimals and booleans', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const types = ['string', 'date', 'decimal(9,2)', 'boolean', 'timestamptz', 'uuid', 'double', 'binary'] as const
    const fields = types.map((type, i) => ({ id: i + 1, name: `c${i}`, required: false, type }))
    await createTable(context, id, {
      location: locationOf(context),
      schema: { schemaId: 0, identifierFieldIds: [], fields },
      spec: flat,
    })
    const values = `'prefix-' || range, DATE '1960-01-01' + range::INTEGER * 37, (range * 1.25 - 90)::DECIMAL(9,2), range % 2 = 0,
      TIMESTAMPTZ '2001-01-01 00:00:00+00' + INTERVAL (range) HOUR, md5(range::VARCHAR)::UUID,
      CASE WHEN range = 5 THEN 'NaN'::DOUBLE WHEN range = 6 THEN '-inf'::DOUBLE ELSE range / 3 END, ('b' || range)::BLOB`
    const sql = `SELECT ${values} FROM range(300)`
    const named = `SELECT * FROM (${sql}) v(${fields.map((field) => field.name).join(', ')})`
    for (let i = 0; i < 2; i++) await append(context, id, { sql: named })
    const columns = fields.map((field) => field.name)
    const snapshot = async () => (await metadataNow(context)).metadata.currentSnapshotId ?? 0n
    const before = await rowsAt(context, await snapshot(), columns.join(', '))
    const result = await rewriteDataFiles(context, id, { ...small, strategy: { kind: 'z-order', columns } })
    expect(result.added).toMatchObject({ files: 1, rows: 600 })
    expect(await rowsAt(context, await snapshot(), columns.join(', '))).toEqual(before)
  })
})
