import { each, type LimnCell, more, people, some } from './limn-cell.ts'
import { nestedRows, nestedType, schemaOf } from './values.ts'

/** Schemas, specs, orders and properties that change under rows. */
export const shapeCells: readonly LimnCell[] = [
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
