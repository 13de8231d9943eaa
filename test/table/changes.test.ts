import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomUuid, tableId } from '../../packages/limn/src/base/index.ts'
import { RoaringPositions, writeAvro, writePuffin } from '../../packages/limn/src/encoding/index.ts'
import { type DataFile, encodeDeletionVector } from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import {
  append,
  type ChangelogOptions,
  type ChangeReading,
  changeTable,
  createTable,
  overwrite,
  pinRef,
  readAppends,
  readChanges,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('silver.t')
const schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' as const },
    { id: 2, name: 'name', required: false, type: 'string' as const },
  ],
}
const values = (...pairs: readonly (readonly [number, string])[]) => ({
  sql: `SELECT * FROM (VALUES ${pairs.map(([key, name]) => `(${key}::BIGINT, '${name}')`).join(', ')}) v(id, name)`,
})

async function make(context: TableContext, formatVersion: 2 | 3 = 2) {
  const location = `${context.store.root}/silver/t`
  await createTable(context, id, { location, schema, spec: { specId: 0, fields: [] }, formatVersion })
}

async function pinned(context: TableContext) {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  const pin = loaded && pinRef(loaded)
  if (!pin) throw new Error('no table')
  return pin
}

async function rowsOf(context: TableContext, reading: ChangeReading, order: string) {
  await using session = await context.engine.session(reading.bound)
  return (await session.rows(`SELECT * FROM (${reading.sql}) ORDER BY ${order}`)).rows
}

/** Change type, ordinal, id and name of each change, in order. */
async function changes(context: TableContext, options: ChangelogOptions) {
  await using reading = await readChanges(context, await pinned(context), options)
  const rows = await rowsOf(context, reading, '_change_ordinal, id, _change_type, name')
  return rows.map(([key, name, type, ordinal]) => `${ordinal} ${type} ${key} ${name}`)
}

function file(context: TableContext, bytes: Uint8Array, more: Partial<DataFile>): DataFile {
  const none = new Map()
  return {
    content: 1,
    path: storePath(`${context.store.root}/silver/t/data/${randomUuid(context.randomness)}.bin`),
    format: 'avro',
    specId: 0,
    partition: [],
    recordCount: 1n,
    fileSizeInBytes: BigInt(bytes.length),
    columnSizes: none,
    valueCounts: none,
    nullValueCounts: none,
    nanValueCounts: none,
    lowerBounds: none,
    upperBounds: none,
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
    ...more,
  }
}

/** Commits a delete file as another engine would. */
async function stage(context: TableContext, bytes: Uint8Array, more: Partial<DataFile>): Promise<DataFile> {
  const one = file(context, bytes, more)
  await context.store.write(one.path, bytes)
  await changeTable(context, id, {}, async () => ({
    change: { operation: 'delete', added: [one], removed: [], written: [one.path] },
    result: {},
  }))
  return one
}

const named = (name: string, type: string, fieldId: number) => ({ name, type, 'field-id': fieldId })

function positionDeletes(path: string, ...positions: bigint[]): Uint8Array {
  const fields = [named('file_path', 'string', 2147483546), named('pos', 'long', 2147483545)]
  return writeAvro(
    { type: 'record', name: 'deletes', fields },
    positions.map((pos) => ({ file_path: path, pos })),
    {},
  )
}

describe('changes between snapshots', () => {
  it('leave out rows that a rewrite only carried along, and pair updates by the columns that identify a row', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context)
    const first = await append(context, id, values([1, 'a'], [2, 'b'], [3, 'c']))
    await overwrite(context, id, 'id = 2', values([2, 'B']))
    await append(context, id, values([4, 'd'], [4, 'd']))
    await overwrite(context, id, 'id = 1', { sql: 'SELECT 1::BIGINT AS id, NULL::VARCHAR AS name WHERE FALSE' })
    expect(await changes(context, { from: first.snapshotId })).toEqual([
      '0 DELETE 2 b',
      '0 INSERT 2 B',
      '1 INSERT 4 d',
      '1 INSERT 4 d',
      '2 DELETE 1 a',
    ])
    expect(await changes(context, { from: first.snapshotId, identifiers: ['id'] })).toEqual([
      '0 UPDATE_AFTER 2 B',
      '0 UPDATE_BEFORE 2 b',
      '1 INSERT 4 d',
      '1 INSERT 4 d',
      '2 DELETE 1 a',
    ])
    expect((await changes(context, { from: null }))[0]).toBe('0 INSERT 1 a')
    expect(await changes(context, { from: (await pinned(context)).snapshotId })).toEqual([])
  })

  it('say, when only the net change is asked for, what a row was at first and is at last', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context)
    const first = await append(context, id, values([1, 'a'], [2, 'b']))
    await overwrite(context, id, 'id = 1', values([1, 'a2']))
    await append(context, id, values([3, 'short-lived']))
    await overwrite(context, id, 'id = 1', values([1, 'a3']))
    await overwrite(context, id, 'id = 3', { sql: 'SELECT 1::BIGINT AS id, NULL::VARCHAR AS name WHERE FALSE' })
    expect(await changes(context, { from: first.snapshotId, net: true, identifiers: ['id'] })).toEqual([
      '0 UPDATE_BEFORE 1 a',
      '2 UPDATE_AFTER 1 a3',
    ])
  })

  it('come out of position deletes and equality deletes as out of rewritten files', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context)
    const first = await append(context, id, values([1, 'a'], [2, 'b'], [3, 'c'], [4, 'd']))
    const path = String(first.added[0]?.path)
    await stage(context, positionDeletes(path, 1n), {})
    // The same row once more: no change.
    await stage(context, positionDeletes(path, 1n, 2n), {})
    const keys = { type: 'record', name: 'keys', fields: [named('name', 'string', 2)] }
    await stage(context, writeAvro(keys, [{ name: 'd' }, { name: 'unknown' }], {}), { content: 2, equalityIds: [2] })
    expect(await changes(context, { from: first.snapshotId })).toEqual(['0 DELETE 2 b', '1 DELETE 3 c', '2 DELETE 4 d'])
    expect(await changes(context, { from: first.snapshotId, net: true })).toHaveLength(3)
  })

  it('pair updates by row id in format version 3, over deletion vectors', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 3)
    const first = await append(context, id, values([1, 'a'], [2, 'b'], [3, 'c']))
    const data = first.added[0]
    if (!data) throw new Error('no file')
    const vector = (...positions: bigint[]) => {
      const puffin = writePuffin(
        [
          {
            type: 'deletion-vector-v1',
            fields: [2147483645],
            snapshotId: -1n,
            sequenceNumber: -1n,
            properties: { 'referenced-data-file': data.path, cardinality: String(positions.length) },
            bytes: encodeDeletionVector(RoaringPositions.from(positions)),
          },
        ],
        {},
      )
      const [blob] = puffin.blobs
      return {
        bytes: puffin.bytes,
        more: {
          format: 'puffin' as const,
          recordCount: BigInt(positions.length),
          referencedDataFile: data.path,
          contentOffset: BigInt(blob?.offset ?? 0),
          contentSizeInBytes: BigInt(blob?.length ?? 0),
        },
      }
    }
    const one = vector(1n)
    const replaced = await stage(context, one.bytes, one.more)
    expect(await changes(context, { from: first.snapshotId })).toEqual(['0 DELETE 2 b'])
    // An update: row 0 is deleted where it stood, and stands with its row id in a file of its own.
    const rows = {
      type: 'record',
      name: 'rows',
      fields: [named('id', 'long', 1), named('name', 'string', 2), named('_row_id', 'long', 2147483540)],
    }
    const moved = writeAvro(rows, [{ id: 1n, name: 'A', _row_id: 0n }], {})
    const file1 = file(context, moved, { content: 0 })
    await context.store.write(file1.path, moved)
    const both = vector(0n, 1n)
    const file2 = file(context, both.bytes, both.more)
    await context.store.write(file2.path, both.bytes)
    const before = await pinned(context)
    await changeTable(context, id, {}, async () => ({
      change: { operation: 'overwrite', added: [file1, file2], removed: [replaced], written: [file1.path, file2.path] },
      result: {},
    }))
    expect(await changes(context, { from: before.snapshotId })).toEqual(['0 UPDATE_AFTER 1 A', '0 UPDATE_BEFORE 1 a'])
    expect(await changes(context, { from: before.snapshotId, identifiers: [] })).toEqual([
      '0 DELETE 1 a',
      '0 INSERT 1 A',
    ])
  })

  it('turn the rows of the one snapshot into those of the other, whatever happened between', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), key: fc.nat(3), name: fc.constantFrom('x', 'y') }),
      fc.record({ kind: fc.constant('overwrite' as const), key: fc.nat(3), name: fc.constantFrom('x', 'y') }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), fc.boolean(), async (steps, net) => {
        await using made = await temporaryTables()
        const { context } = made
        await make(context)
        const states: string[][] = [['9 first']]
        const { snapshotId: from } = await append(context, id, values([9, 'first']))
        for (const { kind, key, name } of steps) {
          const last = states.at(-1) ?? []
          if (kind === 'append') await append(context, id, values([key, name], [key, name]))
          else await overwrite(context, id, `id = ${key}`, values([key, name]))
          states.push(
            kind === 'append'
              ? [...last, `${key} ${name}`, `${key} ${name}`]
              : [...last.filter((row) => !row.startsWith(`${key} `)), `${key} ${name}`],
          )
        }
        const rows = [...(states[0] ?? [])]
        const read = await changes(context, { from, net, identifiers: ['id'] })
        const ordinalOf = (line: string) => Number(line.split(' ')[0])
        // Within a commit what goes, goes first.
        const inOrder = [...read].sort(
          (a, b) =>
            (net ? 0 : ordinalOf(a) - ordinalOf(b)) ||
            Number(/ INSERT | UPDATE_AFTER /.test(a)) - Number(/ INSERT | UPDATE_AFTER /.test(b)),
        )
        for (const line of inOrder) {
          const [, type, ...row] = line.split(' ')
          if (type === 'INSERT' || type === 'UPDATE_AFTER') rows.push(row.join(' '))
          else {
            const at = rows.indexOf(row.join(' '))
            expect(at).toBeGreaterThanOrEqual(0)
            rows.splice(at, 1)
          }
        }
        expect(rows.sort()).toEqual([...(states.at(-1) ?? [])].sort())
      }),
      { numRuns: 12, seed: 20260101 },
    )
  }, 60_000)

  it('are refused between snapshots of no one line of history, and by columns that are not there', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context)
    await append(context, id, values([1, 'a']))
    await expect(changes(context, { from: 77n })).rejects.toMatchObject({ kind: 'usage/unknown-snapshot' })
    await expect(changes(context, { from: null, identifiers: ['nope'] })).rejects.toMatchObject({
      kind: 'usage/argument',
      message: expect.stringContaining('no column nope'),
    })
  })
})

describe('appends between snapshots', () => {
  it('are the rows as they were appended; a commit that is no append is refused or skipped', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context)
    const first = await append(context, id, values([1, 'a']))
    const second = await append(context, id, values([2, 'b']))
    const third = await append(context, id, values([3, 'c']))
    const read = async (others?: 'skip') => {
      const options = { from: first.snapshotId, ...(others ? { others } : {}) }
      await using reading = await readAppends(context, await pinned(context), options)
      return rowsOf(context, reading, 'id')
    }
    expect(await read()).toEqual([
      [2n, 'b', second.snapshotId],
      [3n, 'c', third.snapshotId],
    ])
    await overwrite(context, id, 'id = 2', values([2, 'B']))
    await expect(read()).rejects.toMatchObject({
      kind: 'usage/argument',
      message: expect.stringContaining('overwrite'),
    })
    expect((await read('skip')).map((row) => row[1])).toEqual(['b', 'c'])
  })
})
