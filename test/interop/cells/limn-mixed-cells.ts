import { schemaFromJson } from '../../../packages/limn/src/schema/index.ts'
import { replaceTable, rewriteDataFiles } from '../../../packages/limn/src/table/index.ts'
import {
  each,
  inMode,
  type LimnCell,
  modes,
  more,
  people,
  person,
  some,
  start,
  type Version,
  without,
} from './limn-cell.ts'
import type { LimnWriter } from './limn-writer.ts'
import { columnsOfEdges, edges, nestedRows, nestedType, newTypes, type Row, schemaOf, variants } from './values.ts'

const onRead = inMode('merge-on-read')
const compact = (writer: LimnWriter) => rewriteDataFiles(writer.context, writer.table, { all: true })

/** Rows that change before, between and after changes of the table's shape. */
const evolved: readonly LimnCell[] = [
  ...modes.flatMap((mode) =>
    each(`columns of every change between deletes and updates in ${mode}`, async (writer, version) => {
      const schema = schemaOf({ id: 'long', n: 'int', x: 'float', price: 'decimal(9, 2)', name: 'string' }, ['id'])
      await writer.create(schema, { version, properties: inMode(mode) })
      await writer.append([
        ['1', '10', '3fc00000', '1.00', 'one'],
        ['2', null, null, null, null],
        ['3', '30', 'bf000000', '-2.50', 'three'],
        ['4', '40', '00000000', '4.00', 'four'],
      ])
      await writer.delete('n = 30', 1)
      await writer.update('id = 4', { price: '4.4' }, 1)
      await writer.alter(
        { kind: 'rename-column', column: 'name', to: 'label' },
        { kind: 'change-type', column: 'n', type: 'long' },
        { kind: 'change-type', column: 'x', type: 'double' },
        { kind: 'change-type', column: 'price', type: 'decimal(18,2)' },
        { kind: 'add-column', name: 'note', type: 'string', position: { at: 'after', column: 'id' } },
        { kind: 'make-optional', column: 'id' },
      )
      await writer.update("label = 'one'", { n: '9007199254740993', note: "'wide'", price: '1234567890.12' }, 1)
      await writer.alter(
        { kind: 'drop-column', column: 'label' },
        { kind: 'add-column', name: 'label', type: 'long' },
        { kind: 'move-column', column: 'price', position: { at: 'first' } },
      )
      await writer.update('id = 2', { label: '2', x: '0.5' }, 1)
      await writer.append([['5.00', null, 'null id', '5', null, '5']])
      await compact(writer)
      await writer.delete('id IS NULL', 1)
      writer.ends([
        ['1234567890.12', '1', 'wide', '9007199254740993', '3ff8000000000000', null],
        [null, '2', null, null, '3fe0000000000000', '2'],
        ['4.40', '4', null, '40', '0000000000000000', null],
      ])
    }),
  ),
  ...each('keys of upserts renamed, promoted and dropped since', async (writer, version) => {
    await writer.create(schemaOf({ id: 'int', name: 'string', n: 'long' }), { version, properties: onRead })
    await writer.append([
      ['1', 'one', '1'],
      ['2', 'two', '2'],
      ['3', 'three', '3'],
      ['4', null, '4'],
      ['5', 'five', '5'],
    ])
    // The first of the past states, which Spark reads: in the next ones it compares keys of the present type with rows of
    // the past one, and finds none equal.
    await writer.delete('id = 5', 1)
    await writer.upsert(
      [
        ['1', 'one', '10'],
        ['4', null, '40'],
      ],
      ['id', 'name'],
    )
    await writer.alter(
      { kind: 'rename-column', column: 'name', to: 'label' },
      { kind: 'change-type', column: 'id', type: 'long' },
    )
    await writer.upsert([['2', 'two', '20']], ['id', 'label'])
    await writer.alter({ kind: 'drop-column', column: 'label' })
    await writer.upsert([['3', '30']], ['id'])
    await writer.alter({ kind: 'drop-column', column: 'id' })
    await writer.append([['5']])
    writer.ends([['10'], ['20'], ['30'], ['40'], ['5']])
  }),
  ...modes.flatMap((mode) =>
    each(`nested fields of every change between updates in ${mode}`, async (writer, version) => {
      await writer.create(schemaOf(nestedType), { version, properties: inMode(mode) })
      await writer.append(nestedRows)
      await writer.update('id = 1', { 'place.city': "'Aalborg N'" }, 1)
      await writer.alter(
        { kind: 'rename-column', column: 'place.city', to: 'town' },
        { kind: 'add-column', parent: 'place.at', name: 'height', type: 'int' },
        { kind: 'add-column', parent: 'stops.element', name: 'note', type: 'string' },
        { kind: 'rename-column', column: 'stops.element.day', to: 'date' },
        { kind: 'change-type', column: 'stops.element.n', type: 'long' },
        { kind: 'change-type', column: 'prices.value', type: 'decimal(18,2)' },
      )
      await writer.update('id IN (1, 4)', { 'place.at.height': '7' }, 2)
      await writer.delete('id = 3', 1)
      await writer.alter({ kind: 'drop-column', column: 'place.at.lat' }, { kind: 'drop-column', column: 'deep' })
      await writer.update("place.town = 'Ribe'", { tags: "['later']" }, 1)
      await compact(writer)
      await writer.update('id = 2', { prices: "MAP {'nok': 1234567890.12}" }, 1)
    }),
  ),
  ...modes.flatMap((mode) =>
    each(`specs of every change between deletes and merges in ${mode}`, async (writer, version) => {
      await start(writer, { version, partition: [[3, 'day', 'day_day']], properties: inMode(mode) })
      await writer.delete('id = 1', 1)
      await writer.alter(
        { kind: 'replace-partition-field', field: { name: 'day_day' }, column: 'day', transform: { kind: 'month' } },
        { kind: 'add-partition-field', column: 'name', transform: { kind: 'truncate', width: 1 }, name: 'letter' },
      )
      await writer.update('id IN (2, 5)', { amount: 'id * 10' }, 2)
      await writer.alter(
        { kind: 'rename-partition-field', name: 'letter', to: 'initial' },
        { kind: 'set-sort-order', fields: [{ column: 'name', direction: 'desc' }, { column: 'id' }] },
      )
      await writer.merge(
        [person(2, 'zoe', 20100, '2.00'), person(8, 'new', 20000, '8.00')],
        'target.id = source.id',
        [
          { when: 'matched', action: { kind: 'updateAll' } },
          { when: 'notMatched', action: { kind: 'insertAll' } },
          { when: 'notMatchedBySource', and: 'target.id = 3', action: { kind: 'delete' } },
        ],
        3,
      )
      await writer.alter({ kind: 'remove-partition-field', field: { name: 'initial' } })
      await writer.upsert([person(6, 'fay', 20002, '66.00')], ['id', 'name', 'day'])
      await writer.overwritePartitions([person(9, 'same month', 20000, '9.00')])
      await writer.delete('id = 7', 1)
    }),
  ),
  ...each('a sort order set, changed and taken away under updates', async (writer, version) => {
    await start(writer, { version, partition: [], properties: onRead })
    await writer.alter({ kind: 'set-sort-order', fields: [{ column: 'day', nullOrder: 'nulls-last' }] })
    await writer.update('id IN (1, 4, 7)', { name: "'sorted'" }, 3)
    await writer.alter({
      kind: 'set-sort-order',
      fields: [
        { column: 'id', transform: { kind: 'bucket', count: 3 } },
        { column: 'name', direction: 'desc' },
      ],
    })
    await writer.append([person(9, 'x', 3, null), person(8, 'y', 2, null)])
    await writer.alter({ kind: 'set-sort-order', fields: [] })
    await writer.append([person(11, 'x', 3, null), person(10, 'y', 2, null)])
  }),
  ...each('the source column of a former partition field dropped', async (writer, version) => {
    await start(writer, { version, partition: [[3, 'identity', 'day_part']], properties: onRead })
    await writer.delete('id = 1', 1)
    await writer.alter({ kind: 'remove-partition-field', field: { name: 'day_part' } })
    await writer.alter({ kind: 'drop-column', column: 'day' })
    await writer.delete('id = 5', 1)
    await writer.append([['8', 'new', null]])
    await rewriteDataFiles(writer.context, writer.table, { all: true, otherSpecs: true })
  }),
]

const replaced: readonly LimnCell[] = [
  ...each('a table replaced by one of another shape, twice', async (writer, version) => {
    await start(writer, { version, partition: [[3, 'day', 'day_day']], properties: onRead })
    await writer.delete('id = 1', 1)
    await writer.refs({ kind: 'create-tag', name: 'before' })
    const replace = (schema: Parameters<typeof schemaFromJson>[0], sql: string) =>
      replaceTable(
        writer.context,
        writer.table,
        { schema: schemaFromJson(schema), spec: { specId: 0, fields: [] }, properties: { note: 'replaced' } },
        { sql },
      )
    await replace(
      schemaOf({ name: 'string', id: 'long', extra: 'int' }),
      "SELECT 'a' AS name, 1::BIGINT AS id, 2 AS extra",
    )
    await writer.append([['b', '2', null]])
    await replace(
      people,
      "SELECT 1::BIGINT AS id, 'ada' AS name, DATE '2024-10-04' AS day, 1.00::DECIMAL(9, 2) AS amount",
    )
    await writer.update('id = 1', { amount: '2' }, 1)
    writer.ends([person(1, 'ada', 20000, '2.00')])
  }),
]

/** Defaults of version 3, read from files that lack the column and written where a row states no value. */
const defaults: readonly LimnCell[] = modes.map((mode) => ({
  name: `v3 defaults between deletes, updates, merges and compaction in ${mode}`,
  write: async (writer: LimnWriter) => {
    await start(writer, { version: 3, partition: [[1, 'bucket[2]', 'id_bucket']], properties: inMode(mode) })
    await writer.delete('id = 1', 1)
    await writer.alter(
      { kind: 'add-column', name: 'flag', type: 'boolean', default: true, required: true },
      { kind: 'add-column', name: 'l', type: 'long', default: 7n },
      { kind: 'add-column', name: 'text', type: 'string', default: 'as it was' },
    )
    await writer.update('id = 2', { l: 'l + 1' }, 1)
    await writer.alter({ kind: 'set-write-default', column: 'text', value: 'as it is' })
    await writer.merge(
      [['8', 'new', null, null, false, null, null]],
      'target.id = source.id',
      [
        { when: 'notMatched', action: { kind: 'insert', values: { id: 'source.id', flag: 'source.flag' } } },
        {
          when: 'notMatchedBySource',
          and: 'target.id = 3',
          action: { kind: 'update', set: { flag: 'NOT target.flag' } },
        },
      ],
      2,
    )
    await compact(writer)
    await writer.alter({ kind: 'rename-column', column: 'text', to: 'words' })
    await writer.update('id = 4', { words: "words || '!'" }, 1)
    const told = (row: Row | undefined, ...values: Row): Row => [...(row ?? []), ...values]
    writer.ends([
      told(some[1], true, '8', 'as it was'),
      told(some[2], false, '7', 'as it was'),
      told(some[3], true, '7', 'as it was!'),
      ...more.map((row) => told(row, true, '7', 'as it was')),
      told(person(8, null, null, null), false, '7', 'as it is'),
    ])
  },
}))

const wide = columnsOfEdges(edges)
/** Without times, which Spark does not know, so that settings are tried on every reader. */
const common = columnsOfEdges(Object.fromEntries(Object.entries(edges).filter(([name]) => name !== 'clock')))
const variantTable = columnsOfEdges({ id: edges.id ?? ['long', []], ...variants })
const nanoTable = columnsOfEdges({ id: edges.id ?? ['long', []], ...newTypes })
const unknownTable = schemaOf({ id: 'long', nothing: 'unknown' })

/** Values of every type through changes of rows, which read them and write them again. */
const valued: readonly LimnCell[] = [
  ...modes.flatMap((mode) =>
    each(`every type of version 2 through updates, merges and compaction in ${mode}`, async (writer, version) => {
      await writer.create(wide.schema, { version, properties: inMode(mode) })
      await writer.append(wide.rows)
      await writer.update('id < 4', { id: 'id + 100' }, 3)
      await writer.merge(
        wide.rows.slice(3),
        'target.id = source.id',
        [
          { when: 'matched', and: 'source.id = 4', action: { kind: 'updateAll' } },
          { when: 'matched', action: { kind: 'update', set: { id: 'target.id + 200' } } },
        ],
        3,
      )
      await compact(writer)
      await writer.delete('id = 101', 1)
      const renamed = wide.rows.map((row, i): Row => [String([101, 102, 103, 4, 205, 206][i]), ...row.slice(1)])
      writer.ends(renamed.slice(1))
    }),
  ),
  ...each('upserts by a key of every type', async (writer, version) => {
    await writer.create(wide.schema, { version, properties: onRead })
    await writer.append(wide.rows)
    // Floats cannot be keys. Of `fixed` ones the reference implementation's reader keeps the last in place of each.
    const keyless = ['f', 'd', 'four']
    const names = wide.schema.fields.map((field) => field.name).filter((name) => !keyless.includes(name))
    await writer.upsert(wide.rows.slice(0, 4), names, { deleteWhen: 'id = 2' })
    writer.ends(without(wide.rows, 2))
  }),
  ...modes.flatMap((mode): readonly LimnCell[] => [
    {
      name: `v3 variants through updates and compaction in ${mode}`,
      write: async (writer) => {
        // Spark's vectorized reader knows no shredded variants, which DuckDB writes.
        const properties = { ...inMode(mode), 'read.parquet.vectorization.enabled': 'false' }
        await writer.create(variantTable.schema, { version: 3, properties })
        await writer.append(variantTable.rows)
        await writer.delete('id = 1', 1)
        await writer.update('id > 4', { id: 'id + 10' }, 2)
        await writer.update('id = 3', { v: "{'a': 1, 'b': ['x']}::VARIANT" }, 1)
        await compact(writer)
      },
    },
    {
      name: `v3 nanoseconds through updates and compaction in ${mode}`,
      write: async (writer) => {
        const partition = [[2, 'day', 'local_day'] as const, [3, 'bucket[3]', 'instant_bucket'] as const]
        await writer.create(nanoTable.schema, { version: 3, partition, properties: inMode(mode) })
        await writer.append(nanoTable.rows)
        await writer.delete('id = 1', 1)
        await writer.update('id = 2', { localNs: "TIMESTAMP_NS '2024-01-01 00:00:00.123456789'" }, 1)
        await compact(writer)
        writer.ends([['2', '1704067200123456789', '0'], ...without(nanoTable.rows, 1, 2)])
      },
    },
    {
      name: `v3 a column of unknown type in ${mode}`,
      write: async (writer) => {
        await writer.create(unknownTable, { version: 3, properties: inMode(mode) })
        await writer.append([
          ['1', null],
          ['2', null],
        ])
        await writer.update('id = 1', { id: '3' }, 1)
        await writer.alter({ kind: 'add-column', name: 'more', type: 'unknown' })
        await writer.append([['4', null, null]])
        await compact(writer)
        writer.ends([
          ['2', null, null],
          ['3', null, null],
          ['4', null, null],
        ])
      },
    },
  ]),
]

const written = async (writer: LimnWriter, version: Version, properties: Readonly<Record<string, string>>) => {
  await writer.create(common.schema, { version, partition: [[1, 'truncate[4]', 'id_trunc']], properties })
  await writer.append(common.rows)
  await writer.delete('id = 2', 1)
  await writer.append(common.rows)
}

/** How files are written, which readers have to take as it comes. */
const settings: readonly LimnCell[] = [
  ...['none', 'counts', 'truncate(2)', 'full'].flatMap((mode) =>
    each(`metrics ${mode}, one column otherwise`, (writer, version) =>
      written(writer, version, {
        ...onRead,
        'write.metadata.metrics.default': mode,
        'write.metadata.metrics.column.text': 'truncate(1)',
        'write.metadata.metrics.column.l': 'none',
      }),
    ),
  ),
  ...['zstd', 'gzip', 'snappy', 'uncompressed', 'lz4_raw'].flatMap((codec) =>
    each(`Parquet in ${codec}`, (writer, version) =>
      written(writer, version, { ...onRead, 'write.parquet.compression-codec': codec }),
    ),
  ),
  ...each('bloom filters and another place for data', (writer, version) =>
    written(writer, version, {
      ...onRead,
      'write.parquet.bloom-filter-enabled.column.text': 'true',
      'write.data.path': `${writer.context.store.root}/elsewhere/${writer.table}`,
    }),
  ),
]

/** Changes of rows and of shape together, and values through both. */
export const mixedCells: readonly LimnCell[] = [...evolved, ...replaced, ...defaults, ...valued, ...settings]
