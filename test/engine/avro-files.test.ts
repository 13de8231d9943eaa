import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { type AvroSchema, writeAvro } from '../../packages/limn/src/encoding/index.ts'
import { type BoundFile, type BoundTable, openDuckDb } from '../../packages/limn/src/engine/index.ts'
import type { Field, Type } from '../../packages/limn/src/schema/index.ts'

function field(id: number, name: string, type: Type, more: Partial<Field> = {}): Field {
  return { id, name, required: false, type, ...more }
}

function column(id: number | null, name: string, type: AvroSchema): AvroSchema {
  return { name, type: ['null', type], default: null, ...(id === null ? {} : { 'field-id': id }) }
}

const record = (name: string, fields: readonly AvroSchema[]): AvroSchema => ({ type: 'record', name, fields })

async function opened() {
  const folder = mkdtempSync(join(tmpdir(), 'limn-avro-'))
  const engine = await openDuckDb({ threads: 2, memoryLimit: '300MB', temporaryFolder: folder })
  let files = 0
  return {
    folder,
    engine,
    file(schema: AvroSchema, rows: readonly unknown[]): string {
      const local = join(folder, `${files++}.avro`)
      writeFileSync(local, writeAvro(schema, rows, {}))
      return local
    },
    async rows(fields: readonly Field[], bound: readonly BoundFile[], sql: string, more: Partial<BoundTable> = {}) {
      const id = tableId('a.t')
      const schema = { schemaId: 0, identifierFieldIds: [], fields }
      await using session = await engine.session([{ id, schema, files: bound, ...more }])
      return (await session.rows(sql)).rows
    },
    [Symbol.dispose]() {
      engine.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

describe('Avro data files', () => {
  it('hold every type of the specification, nested ones by field id', async () => {
    using one = await opened()
    const inner = record('point', [column(21, 'x', 'int'), column(22, 'was_called', 'string')])
    const pairs = {
      type: 'array',
      logicalType: 'map',
      items: record('k31_v32', [
        { name: 'key', type: 'int', 'field-id': 31 },
        { name: 'value', type: ['null', 'long'], 'field-id': 32 },
      ]),
    }
    const schema = record('row', [
      column(1, 'flag', 'boolean'),
      column(2, 'i', 'int'),
      column(3, 'l', 'long'),
      column(4, 'f', 'float'),
      column(5, 'd', 'double'),
      column(6, 'money', { type: 'fixed', name: 'money', size: 9, logicalType: 'decimal', precision: 20, scale: 2 }),
      column(7, 'day', { type: 'int', logicalType: 'date' }),
      column(8, 'time', { type: 'long', logicalType: 'time-micros' }),
      column(9, 'ts', { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false }),
      column(10, 'tz', { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true }),
      column(11, 'ns', { type: 'long', logicalType: 'timestamp-nanos', 'adjust-to-utc': false }),
      column(12, 'text', 'string'),
      column(13, 'id', { type: 'fixed', name: 'uuid_fixed', size: 16, logicalType: 'uuid' }),
      column(14, 'bytes', 'bytes'),
      column(20, 'point', inner),
      column(30, 'by_number', pairs),
      column(40, 'list', { type: 'array', items: ['null', 'string'], 'element-id': 41 }),
      column(50, 'by_name', { type: 'map', values: 'int', 'key-id': 51, 'value-id': 52 }),
    ])
    const full = {
      flag: true,
      i: -7,
      l: 9_007_199_254_740_993n,
      f: 1.5,
      d: 0.1,
      money: Buffer.from('ffffffffffffffff85', 'hex'),
      day: -1,
      time: 3_723_000_001n,
      ts: -1n,
      tz: 1_700_000_000_000_001n,
      ns: 1_700_000_000_000_000_001n,
      text: 'ĂΩ',
      id: Buffer.from('00112233445566778899aabbccddeeff', 'hex'),
      bytes: Buffer.from([0, 255]),
      point: { x: 3, was_called: 'old name' },
      by_number: [
        { key: 2, value: 20n },
        { key: 1, value: null },
      ],
      list: ['a', null],
      by_name: { k: 5 },
    }
    const local = one.file(schema, [full, Object.fromEntries(Object.keys(full).map((name) => [name, null]))])
    const point: Type = {
      type: 'struct',
      fields: [field(22, 'label', 'string'), field(21, 'x', 'long'), field(23, 'z', 'int', { initialDefault: 9 })],
    }
    const fields = [
      field(1, 'flag', 'boolean'),
      field(2, 'i', 'long'),
      field(3, 'l', 'long'),
      field(4, 'f', 'double'),
      field(5, 'd', 'double'),
      field(6, 'money', 'decimal(22,2)'),
      field(7, 'day', 'date'),
      field(8, 'time', 'time'),
      field(9, 'ts', 'timestamp'),
      field(10, 'tz', 'timestamptz'),
      field(11, 'ns', 'timestamp_ns'),
      field(12, 'text', 'string'),
      field(13, 'id', 'uuid'),
      field(14, 'bytes', 'fixed[2]'),
      field(20, 'point', point),
      field(30, 'by_number', {
        type: 'map',
        keyId: 31,
        key: 'int',
        valueId: 32,
        value: 'long',
        valueRequired: false,
      }),
      field(40, 'list', { type: 'list', elementId: 41, element: 'string', elementRequired: false }),
      field(50, 'by_name', { type: 'map', keyId: 51, key: 'string', valueId: 52, value: 'int', valueRequired: false }),
      field(60, 'later', 'string', { initialDefault: 'new' }),
      field(61, 'nothing', 'unknown'),
    ]
    const text = 'SELECT COLUMNS(*)::VARCHAR FROM a.t'
    const [row, nulls] = await one.rows(fields, [{ local, path: 'a', format: 'avro' }], text)
    expect(row).toEqual([
      'true',
      '-7',
      '9007199254740993',
      '1.5',
      '0.1',
      '-1.23',
      '1969-12-31',
      '01:02:03.000001',
      '1969-12-31 23:59:59.999999',
      '2023-11-14 22:13:20.000001+00',
      '2023-11-14 22:13:20.000000001',
      'ĂΩ',
      '00112233-4455-6677-8899-aabbccddeeff',
      '\\x00\\xFF',
      "{'label': old name, 'x': 3, 'z': 9}",
      '{2=20, 1=NULL}',
      '[a, NULL]',
      '{k=5}',
      'new',
      null,
    ])
    expect(nulls).toEqual([...fields.slice(0, 18).map(() => null), 'new', null])
  })

  it('keep the order of their rows, so that positions and row ids are those of the file', async () => {
    using one = await opened()
    const schema = record('row', [column(1, 'id', 'long')])
    const rows = Array.from({ length: 300_000 }, (_, i) => ({ id: BigInt(i * 7) % 300_007n }))
    const local = one.file(schema, rows)
    const bound = { local, path: 'a', format: 'avro' as const, firstRowId: 1000n, dataSequenceNumber: 4n }
    const found = await one.rows(
      [field(1, 'id', 'long')],
      [bound],
      'SELECT count(*), count(*) FILTER (WHERE id = (_pos * 7) % 300007 AND _row_id = 1000 + _pos), max(_pos), min(_file) FROM a.t',
      { metadataColumns: true },
    )
    expect(found).toEqual([[300_000n, 300_000n, 299_999n, 'a']])
  })

  it('are deleted from by Avro and Parquet delete files alike, and stand beside Parquet files', async () => {
    using one = await opened()
    const schema = record('row', [column(1, 'id', 'long'), column(2, 'name', 'string')])
    const local = one.file(
      schema,
      [0n, 1n, 2n, 3n, 4n].map((id) => ({ id, name: `n${id}` })),
    )
    const positions = one.file(
      record('deletes', [
        { name: 'file_path', type: 'string', 'field-id': 2147483546 },
        { name: 'pos', type: 'long', 'field-id': 2147483545 },
      ]),
      [
        { file_path: 'a', pos: 1n },
        { file_path: 'other', pos: 2n },
      ],
    )
    const keys = one.file(record('keys', [column(2, 'name', 'string')]), [{ name: 'n3' }])
    const found = await one.rows(
      [field(1, 'id', 'long'), field(2, 'title', 'string')],
      [
        {
          local,
          path: 'a',
          format: 'avro',
          dataSequenceNumber: 1n,
          scope: '',
          deletes: [
            { kind: 'positions', local: positions, path: 'p', format: 'avro', recordCount: 1n },
            {
              kind: 'equality',
              local: keys,
              path: 'k',
              format: 'avro',
              recordCount: 1n,
              equalityIds: [2],
              dataSequenceNumber: 2n,
              partition: '',
              scope: null,
            },
          ],
        },
      ],
      'SELECT id, title FROM a.t ORDER BY id',
    )
    expect(found).toEqual([
      [0n, 'n0'],
      [2n, 'n2'],
      [4n, 'n4'],
    ])
  })

  it('without field ids are read by name mapping', async () => {
    using one = await opened()
    const local = one.file(
      record('row', [column(null, 'old', 'long'), column(null, 'point', record('p', [column(null, 'x', 'int')]))]),
      [{ old: 5n, point: { x: 1 } }],
    )
    const point: Type = { type: 'struct', fields: [field(4, 'renamed', 'int')] }
    const found = await one.rows(
      [field(7, 'id', 'long'), field(3, 'point', point)],
      [{ local, path: 'a', format: 'avro' }],
      'SELECT id, point.renamed FROM a.t',
      {
        nameMapping: [
          { fieldId: 7, names: ['id', 'old'], fields: [] },
          { fieldId: 3, names: ['point'], fields: [{ fieldId: 4, names: ['x'], fields: [] }] },
        ],
      },
    )
    expect(found).toEqual([[5n, 1]])
  })

  it('leave nothing behind when the engine closes, and refuse what is no type of a table by name', async () => {
    const one = await opened()
    const local = one.file(record('row', [column(1, 'id', 'long')]), [{ id: 1n }])
    expect(await one.rows([field(1, 'id', 'long')], [{ local, path: 'a', format: 'avro' }], 'FROM a.t')).toEqual([[1n]])
    const odd = one.file(record('row', [{ name: 'id', type: ['int', 'string'], 'field-id': 1 }]), [{ id: 1 }])
    await expect(
      one.rows([field(1, 'id', 'long')], [{ local: odd, path: 'b', format: 'avro' }], 'FROM a.t'),
    ).rejects.toMatchObject({ kind: 'iceberg/unsupported', message: expect.stringMatching(/union of several types/) })
    expect(readdirSync(one.folder).some((name) => name.startsWith('avro-'))).toBe(true)
    one.engine.close()
    expect(readdirSync(one.folder).some((name) => name.startsWith('avro-'))).toBe(false)
    rmSync(one.folder, { recursive: true, force: true })
  })
})
