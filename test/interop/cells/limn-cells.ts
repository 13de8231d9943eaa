import type { LimnWriter } from './limn-writer.ts'
import { columnsOfEdges, edges, nestedRows, nestedType, newTypes, type Row, schemaOf } from './values.ts'

/** One table that limn writes, for every other engine to read. */
export interface LimnCell {
  /** Stable: the list of refusals names cells by it. */
  readonly name: string
  readonly write: (writer: LimnWriter) => Promise<void>
}

export type Version = 2 | 3
export const versions: readonly Version[] = [2, 3]

export const people = schemaOf({ id: 'long', name: 'string', day: 'date', amount: 'decimal(9, 2)' })
export const person = (id: number, name: string | null, day: number | null, amount: string | null): Row => [
  String(id),
  name,
  day === null ? null : String(day),
  amount,
]
export const some: readonly Row[] = [
  person(1, 'ada', 20000, '1.00'),
  person(2, 'bob', 20000, null),
  person(3, null, 20001, '-3.50'),
  person(4, 'dan', null, '4.00'),
]
export const more: readonly Row[] = [
  person(5, 'eve', 20001, '5.00'),
  person(6, 'fay', 20002, '6.25'),
  person(7, '', -1, '0.00'),
]

/** The partitionings that every row-level operation is tried under. */
export const layouts: Readonly<Record<string, readonly (readonly [number, string, string])[]>> = {
  flat: [],
  'by day': [[3, 'day', 'day_day']],
  'by bucket and prefix': [
    [1, 'bucket[3]', 'id_bucket'],
    [2, 'truncate[1]', 'name_trunc'],
  ],
}

export function each(
  name: string,
  write: (writer: LimnWriter, version: Version) => Promise<void>,
): readonly LimnCell[] {
  return versions.map((version) => ({ name: `v${version} ${name}`, write: (writer) => write(writer, version) }))
}

export function eachLayout(
  name: string,
  write: (
    writer: LimnWriter,
    options: { readonly version: Version; readonly partition: readonly (readonly [number, string, string])[] },
  ) => Promise<void>,
): readonly LimnCell[] {
  return Object.entries(layouts).flatMap(([layout, partition]) =>
    each(`${name}, ${layout}`, (writer, version) => write(writer, { version, partition })),
  )
}

const types = columnsOfEdges(edges)
const column = (name: string) => Object.keys(edges).indexOf(name) + 1

const typesCells: readonly LimnCell[] = [
  ...each('a table without a snapshot', (writer, version) => writer.create(people, { version })),
  ...each('every type of version 2', async (writer, version) => {
    await writer.create(types.schema, { version })
    await writer.append(types.rows)
  }),
  ...each('nested types', async (writer, version) => {
    await writer.create(schemaOf(nestedType), { version })
    await writer.append(nestedRows)
  }),
  {
    name: 'v3 nanoseconds',
    write: async (writer) => {
      const table = columnsOfEdges({ id: edges.id ?? ['long', []], ...newTypes })
      await writer.create(table.schema, { version: 3 })
      await writer.append(table.rows)
    },
  },
  // A partition's value of type `fixed` is written as Avro says; the reference implementation expects a length before it.
  ...Object.keys(edges)
    .filter((name) => name !== 'f' && name !== 'd' && name !== 'four')
    .flatMap((name) =>
      each(`identity of ${name}`, async (writer, version) => {
        await writer.create(types.schema, { version, partition: [[column(name), 'identity', `${name}_part`]] })
        await writer.append(types.rows)
      }),
    ),
  ...each('bucket of every type', async (writer, version) => {
    const names = ['i', 'l', 'small', 'large', 'day', 'clock', 'local', 'instant', 'text', 'key', 'four', 'bytes']
    await writer.create(types.schema, {
      version,
      partition: names.map((name) => [column(name), 'bucket[7]', `${name}_bucket`]),
    })
    await writer.append(types.rows)
  }),
  ...each('truncate of every type', async (writer, version) => {
    const names = ['i', 'l', 'small', 'middle', 'large', 'text', 'bytes']
    await writer.create(types.schema, {
      version,
      partition: names.map((name) => [column(name), 'truncate[3]', `${name}_trunc`]),
    })
    await writer.append(types.rows)
  }),
  ...(['year', 'month', 'day', 'hour'] as const).flatMap((unit) =>
    each(`${unit} of dates and timestamps`, async (writer, version) => {
      const names = unit === 'hour' ? ['local', 'instant'] : ['day', 'local', 'instant']
      await writer.create(types.schema, {
        version,
        partition: names.map((name) => [column(name), unit, `${name}_${unit}`]),
      })
      await writer.append(types.rows)
    }),
  ),
]

const rowCells: readonly LimnCell[] = [
  ...eachLayout('appends', async (writer, options) => {
    await writer.create(people, options)
    await writer.append(some)
    await writer.append(more, { summary: { note: 'second' } })
  }),
  ...eachLayout('an overwrite by filter', async (writer, options) => {
    await writer.create(people, options)
    await writer.append([...some, ...more])
    await writer.overwrite('id IN (1, 3, 6)', [person(8, 'new', 20000, '8.00')])
    await writer.overwrite("day = DATE '2024-10-04'", [])
  }),
  ...each('a branch apart from main', async (writer, version) => {
    await writer.create(people, { version })
    await writer.append(some)
    await writer.append(more, { branch: 'audit' })
    await writer.append([person(8, 'main', null, null)])
  }),
]

const shapeCells: readonly LimnCell[] = [
  ...each('columns added, renamed, promoted, moved, dropped', async (writer, version) => {
    await writer.create(schemaOf({ id: 'long', n: 'int', x: 'float', price: 'decimal(9, 2)', name: 'string' }), {
      version,
    })
    await writer.append([
      ['1', '10', '3fc00000', '1.00', 'one'],
      ['2', null, null, null, null],
    ])
    await writer.alter(
      { kind: 'add-column', name: 'extra', type: 'string', doc: 'Came later.' },
      { kind: 'rename-column', column: 'name', to: 'label' },
      { kind: 'change-type', column: 'n', type: 'long' },
      { kind: 'change-type', column: 'x', type: 'double' },
      { kind: 'change-type', column: 'price', type: 'decimal(18,2)' },
      { kind: 'move-column', column: 'label', position: { at: 'first' } },
    )
    await writer.append([['three', '3', '9007199254740993', '3fb999999999999a', '1234567890.12', 'e']])
    await writer.alter({ kind: 'drop-column', column: 'price' })
    await writer.alter({ kind: 'add-column', name: 'price', type: 'string' })
    await writer.append([['four', '4', null, null, 'f', 'a new column with an old name']])
  }),
  ...each('nested fields added, renamed, promoted, moved, dropped', async (writer, version) => {
    await writer.create(schemaOf(nestedType), { version })
    await writer.append(nestedRows)
    await writer.alter(
      { kind: 'rename-column', column: 'place.city', to: 'town' },
      { kind: 'add-column', parent: 'place.at', name: 'height', type: 'int' },
      { kind: 'change-type', column: 'place.at.lon', type: 'double' },
      { kind: 'change-type', column: 'stops.element.n', type: 'long' },
      { kind: 'change-type', column: 'prices.value', type: 'decimal(18,2)' },
      { kind: 'move-column', column: 'place.town', position: { at: 'after', column: 'place.at' } },
    )
    await writer.append([
      [
        '5',
        [['3ff0000000000000', null, '3'], 'Skagen'],
        ['t'],
        [['9007199254740993', '1']],
        [['nok', '1234567890.12']],
        [],
      ],
    ])
    await writer.alter({ kind: 'drop-column', column: 'place.at.lat' }, { kind: 'drop-column', column: 'deep' })
  }),
  ...each('specs that change', async (writer, version) => {
    await writer.create(schemaOf({ id: 'long', at: 'timestamptz', name: 'string' }), { version })
    await writer.append([['1', '1700000000000000', 'one']])
    await writer.alter(
      { kind: 'add-partition-field', column: 'at', transform: { kind: 'month' } },
      { kind: 'add-partition-field', column: 'id', transform: { kind: 'bucket', count: 4 }, name: 'shard' },
    )
    await writer.append([
      ['2', '1700000000000000', 'two'],
      ['3', null, null],
    ])
    await writer.alter(
      { kind: 'remove-partition-field', field: { name: 'at_month' } },
      { kind: 'add-partition-field', column: 'at', transform: { kind: 'day' } },
      { kind: 'rename-partition-field', name: 'shard', to: 'part' },
    )
    await writer.append([['4', '-1', 'four']])
    await writer.overwrite('id = 2', [['2', '0', 'two again']])
  }),
  ...each('sort orders, properties, identifier fields, docs', async (writer, version) => {
    await writer.create(schemaOf({ id: 'long', name: 'string' }, ['id']), { version })
    await writer.alter(
      { kind: 'set-sort-order', fields: [{ column: 'id' }, { column: 'name', direction: 'desc' }] },
      { kind: 'set-properties', properties: { owner: 'interop' } },
      { kind: 'set-identifier-fields', columns: ['id'] },
      { kind: 'set-doc', column: 'name', doc: 'Who it is.' },
    )
    await writer.append([
      ['2', 'b'],
      ['1', null],
    ])
    await writer.alter({ kind: 'unset-properties', names: ['owner'] })
  }),
  {
    name: 'v2 upgraded to version 3',
    write: async (writer) => {
      await writer.create(people, { version: 2 })
      await writer.append(some)
      await writer.alter({ kind: 'upgrade-format', formatVersion: 3 })
      await writer.append(more)
    },
  },
  {
    name: 'v3 defaults',
    write: async (writer) => {
      await writer.create(schemaOf({ id: 'long' }), { version: 3 })
      await writer.append([['1']])
      await writer.alter(
        { kind: 'add-column', name: 'flag', type: 'boolean', default: true },
        { kind: 'add-column', name: 'i', type: 'int', default: 7, required: true },
        { kind: 'add-column', name: 'l', type: 'long', default: 9007199254740993n },
        { kind: 'add-column', name: 'money', type: 'decimal(9,2)', default: 1250n },
        { kind: 'add-column', name: 'text', type: 'string', default: "it's æ" },
        { kind: 'add-column', name: 'day', type: 'date', default: -1 },
        { kind: 'add-column', name: 'at', type: 'timestamptz', default: 1_700_000_000_123_456n },
        { kind: 'add-column', name: 'bin', type: 'binary', default: Uint8Array.of(0, 255) },
      )
      await writer.append([['2', false, '8', null, null, 'x', null, null, null]])
      await writer.alter({ kind: 'set-write-default', column: 'text', value: 'changed' })
    },
  },
]

export const limnCells: readonly LimnCell[] = [...typesCells, ...rowCells, ...shapeCells]
