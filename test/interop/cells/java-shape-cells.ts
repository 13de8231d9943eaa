import type { JavaCell, Step } from './java-cells.ts'
import { double, type JsonSchema, nestedRows, nestedType, type Row, schemaOf } from './values.ts'

type Version = 1 | 2 | 3

const versions = (list: readonly Version[], name: string, steps: (version: Version) => readonly Step[]) =>
  list.map((version): JavaCell => ({ name: `v${version} ${name}`, steps: steps(version) }))

function create(version: Version, schema: JsonSchema, more: Readonly<Record<string, unknown>> = {}): Step {
  return { do: 'create', version, schema, ...more }
}

const base = schemaOf({ id: 'long', n: 'int', x: 'float', price: 'decimal(9, 2)', name: 'string' })
const rows: readonly Row[] = [
  ['1', '10', '3fc00000', '1.00', 'one'],
  ['2', null, null, null, null],
  ['3', '-7', 'bf000000', '-2.50', 'three'],
]
const all: readonly Version[] = [1, 2, 3]
const since2: readonly Version[] = [2, 3]

/** Schemas, specs and orders that change under data. */
const evolved: readonly JavaCell[] = [
  ...(['parquet', 'avro'] as const).flatMap((format) =>
    versions(all, `columns added, renamed, promoted, moved, dropped and added again, ${format}`, (v) => [
      create(v, base),
      { do: 'append', rows, format },
      {
        do: 'schema',
        changes: [
          { change: 'add', path: 'extra', type: 'string', doc: 'Came later.' },
          { change: 'rename', path: 'name', to: 'label' },
          { change: 'promote', path: 'n', type: 'long' },
          { change: 'promote', path: 'x', type: 'double' },
          { change: 'promote', path: 'price', type: 'decimal(18, 2)' },
        ],
      },
      { do: 'schema', changes: [{ change: 'first', path: 'label' }] },
      { do: 'append', rows: [['four', '4', '9007199254740993', double(0.1), '1234567890.12', 'e']], format },
      { do: 'schema', changes: [{ change: 'drop', path: 'price' }] },
      { do: 'schema', changes: [{ change: 'add', path: 'price', type: 'string' }] },
      { do: 'append', rows: [['five', '5', null, null, 'f', 'a new column with an old name']], format },
    ]),
  ),
  ...(['parquet', 'avro'] as const).flatMap((format) =>
    versions(all, `nested fields added, renamed, promoted, moved, dropped, ${format}`, (v) => [
      create(v, schemaOf(nestedType)),
      { do: 'append', rows: nestedRows, format },
      {
        do: 'schema',
        changes: [
          { change: 'rename', path: 'place.city', to: 'town' },
          { change: 'add', path: 'place.at.height', type: 'int' },
          { change: 'promote', path: 'place.at.lon', type: 'double' },
          { change: 'promote', path: 'stops.element.n', type: 'long' },
          { change: 'rename', path: 'stops.element.day', to: 'date' },
          { change: 'add', path: 'stops.element.note', type: 'string' },
          { change: 'promote', path: 'prices.value', type: 'decimal(18, 2)' },
        ],
      },
      { do: 'schema', changes: [{ change: 'after', path: 'place.town', other: 'place.at' }] },
      {
        do: 'append',
        rows: [
          [
            '5',
            [[double(1), double(2), '3'], 'Skagen'],
            ['t'],
            [['9007199254740993', '1', 'note']],
            [['nok', '1234567890.12']],
            [['9', ['9']]],
          ],
        ],
        format,
      },
      {
        do: 'schema',
        changes: [
          { change: 'drop', path: 'place.at.lat' },
          { change: 'drop', path: 'deep' },
        ],
      },
    ]),
  ),
  ...versions(since2, 'a required column made optional, identifier fields', (v) => [
    create(v, schemaOf({ id: 'long', code: 'string', n: 'int' }, ['id', 'code', 'n'])),
    { do: 'append', rows: [['1', 'a', '1']] },
    {
      do: 'schema',
      changes: [
        { change: 'optional', path: 'n' },
        { change: 'identifier', names: ['id', 'code'] },
        { change: 'doc', path: 'n', doc: 'May be missing.' },
      ],
    },
    { do: 'append', rows: [['2', 'b', null]] },
  ]),
  ...versions(since2, 'deletes under a changed schema', (v) => [
    create(v, base),
    { do: 'append', rows },
    { do: 'equalityDelete', columns: ['n'], keys: [['-7']] },
    {
      do: 'schema',
      changes: [
        { change: 'promote', path: 'n', type: 'long' },
        { change: 'rename', path: 'n', to: 'number' },
      ],
    },
    { do: 'append', rows: [['4', '40', null, null, 'four']] },
    { do: 'delete', column: 'number', in: ['40'] },
    { do: 'append', rows: [['5', '-7', null, null, 'the deleted value, later']] },
  ]),
  ...versions(since2, 'a delete by the value of a column that was dropped since', (v) => [
    create(v, base),
    { do: 'append', rows },
    { do: 'equalityDelete', columns: ['n'], keys: [['10'], [null]] },
    { do: 'schema', changes: [{ change: 'drop', path: 'n' }] },
    { do: 'append', rows: [['4', null, null, 'four']] },
  ]),
  ...versions(all, 'specs that change: added, removed, renamed, every transform', (v) => [
    create(v, schemaOf({ id: 'long', at: 'timestamptz', name: 'string' })),
    { do: 'append', rows: [['1', '1700000000000000', 'one']] },
    {
      do: 'spec',
      changes: [
        { change: 'add', column: 'at', transform: 'month' },
        { change: 'add', column: 'id', transform: 'bucket', n: 4, name: 'shard' },
      ],
    },
    {
      do: 'append',
      rows: [
        ['2', '1700000000000000', 'two'],
        ['3', null, null],
      ],
    },
    {
      do: 'spec',
      changes: [
        { change: 'remove', name: 'at_month' },
        { change: 'add', column: 'at', transform: 'day' },
        { change: 'rename', name: 'shard', to: 'part' },
      ],
    },
    { do: 'append', rows: [['4', '-1', 'four']] },
    {
      do: 'spec',
      changes: [
        { change: 'remove', name: 'at_day' },
        { change: 'remove', name: 'part' },
        { change: 'add', column: 'name', transform: 'truncate', n: 2, name: 'prefix' },
        { change: 'add', column: 'at', transform: 'hour' },
        { change: 'add', column: 'name', transform: 'identity', name: 'name_as_is' },
      ],
    },
    {
      do: 'append',
      rows: [
        ['5', '3600000000', 'five'],
        ['6', null, null],
      ],
    },
  ]),
  ...versions(since2, 'deletes over files of several specs', (v) => [
    create(v, schemaOf({ id: 'long', name: 'string' })),
    {
      do: 'append',
      rows: [
        ['1', 'a'],
        ['2', 'b'],
        ['3', 'c'],
      ],
    },
    { do: 'spec', changes: [{ change: 'add', column: 'name', transform: 'identity' }] },
    {
      do: 'append',
      rows: [
        ['4', 'a'],
        ['5', 'b'],
        ['2', 'b'],
      ],
    },
    { do: 'equalityDelete', columns: ['id'], keys: [['2']], global: true, specId: 0 },
    { do: 'delete', column: 'id', in: ['3', '5'] },
    { do: 'append', rows: [['2', 'b']] },
  ]),
  ...versions(all, 'sort orders and properties', (v) => [
    create(v, base),
    {
      do: 'order',
      fields: [{ column: 'n' }, { column: 'id', transform: 'bucket', n: 3, desc: true, nullsLast: true }],
    },
    { do: 'append', rows },
    { do: 'order', fields: [{ column: 'name', transform: 'truncate', n: 1, desc: true }] },
    { do: 'properties', set: { 'write.delete.mode': 'merge-on-read', owner: 'interop' } },
    { do: 'properties', remove: ['owner'] },
  ]),
  ...versions(all, 'files without field ids under a name mapping', (v) => [
    create(v, base),
    { do: 'nameMapping' },
    {
      do: 'appendWithoutIds',
      rows: rows.map(([id, n, x, , name]) => [id ?? null, n ?? null, x ?? null, null, name ?? null]),
    },
    {
      do: 'schema',
      changes: [
        { change: 'rename', path: 'name', to: 'label' },
        { change: 'add', path: 'late', type: 'int' },
      ],
    },
    { do: 'append', rows: [['4', '4', null, null, 'four', '44']] },
  ]),
  ...versions([3], 'defaults, before and after they change', (v) => [
    create(v, base),
    { do: 'append', rows },
    {
      do: 'schema',
      changes: [
        { change: 'add', path: 'b', type: 'boolean', default: true },
        { change: 'add', path: 'i', type: 'int', default: '7', required: true },
        { change: 'add', path: 'l', type: 'long', default: '9007199254740993' },
        { change: 'add', path: 'd', type: 'double', default: double(0.5) },
        { change: 'add', path: 'money', type: 'decimal(9, 2)', default: '12.50' },
        { change: 'add', path: 'text', type: 'string', default: "it's æ" },
        { change: 'add', path: 'day', type: 'date', default: '-1' },
        { change: 'add', path: 'clock', type: 'time', default: '3600000000' },
        { change: 'add', path: 'ts', type: 'timestamp', default: '1700000000123456' },
        { change: 'add', path: 'tz', type: 'timestamptz', default: '-1' },
        { change: 'add', path: 'ns', type: 'timestamp_ns', default: '1700000000123456789' },
        { change: 'add', path: 'u', type: 'uuid', default: 'f79c3e09-677c-4bbd-a479-3f349cb785e7' },
        { change: 'add', path: 'bin', type: 'binary', default: '00ff' },
      ],
    },
    {
      do: 'append',
      rows: [
        ['4', null, null, null, 'four', false, '8', null, null, null, null, null, null, null, null, null, null, null],
      ],
    },
    { do: 'schema', changes: [{ change: 'writeDefault', path: 'text', type: 'string', value: 'changed' }] },
    {
      do: 'schema',
      changes: [
        { change: 'rename', path: 'i', to: 'seven' },
        { change: 'promote', path: 'i', type: 'long' },
      ],
    },
  ]),
  ...versions([3], 'an unknown column between others', (v) => [
    create(v, schemaOf({ id: 'long', u: 'unknown', name: 'string' })),
    { do: 'append', rows: [['1', null, 'a']] },
    { do: 'append', rows: [['2', null, 'b']], format: 'avro' },
    { do: 'schema', changes: [{ change: 'rename', path: 'u', to: 'nothing' }] },
    { do: 'append', rows: [['3', null, 'c']] },
  ]),
]

/** Branches, tags, and what moves them. */
const refs: readonly JavaCell[] = [
  ...versions(all, 'branches and tags, written apart, fast-forwarded', (v) => [
    create(v, base),
    { do: 'append', rows },
    {
      do: 'refs',
      changes: [
        { change: 'branch', name: 'audit' },
        { change: 'tag', name: 'first' },
      ],
    },
    { do: 'append', branch: 'audit', rows: [['4', '4', null, null, 'on the branch']] },
    { do: 'append', branch: 'audit', rows: [['5', '5', null, null, 'on the branch']] },
    { do: 'refs', changes: [{ change: 'fastForward', name: 'main', to: 'audit' }] },
    { do: 'append', rows: [['6', '6', null, null, 'on main']] },
    {
      do: 'refs',
      changes: [{ change: 'retention', name: 'audit', minSnapshots: 2, snapshotAgeMs: 86400000, refAgeMs: 999999999 }],
    },
  ]),
  ...versions(all, 'a staged snapshot cherry-picked, and a rollback', (v) => [
    create(v, base, { properties: { 'write.wap.enabled': 'true' } }),
    { do: 'append', rows },
    { do: 'append', rows: [['4', '4', null, null, 'staged']], stageOnly: true, summary: { 'wap.id': 'one' } },
    { do: 'append', rows: [['5', '5', null, null, 'before the pick']] },
    { do: 'refs', changes: [{ change: 'cherrypick', at: 1 }] },
    { do: 'append', rows: [['6', '6', null, null, 'rolled back']] },
    { do: 'refs', changes: [{ change: 'rollback', at: 2 }] },
  ]),
  ...versions(since2, 'deletes on a branch, main without them', (v) => [
    create(v, base),
    { do: 'append', rows },
    { do: 'refs', changes: [{ change: 'branch', name: 'cut' }] },
    { do: 'delete', column: 'id', in: ['1'], branch: 'cut' },
    { do: 'schema', changes: [{ change: 'add', path: 'late', type: 'int' }] },
    { do: 'append', rows: [['7', null, null, null, 'on main', '7']] },
  ]),
  ...versions(since2, 'snapshots expired under a tag', (v) => [
    create(v, base),
    { do: 'append', rows },
    { do: 'refs', changes: [{ change: 'tag', name: 'kept' }] },
    { do: 'delete', column: 'id', in: ['1'] },
    { do: 'append', rows: [['4', '4', null, null, 'four']] },
    { do: 'compact' },
    { do: 'expire' },
  ]),
  ...versions([2], 'upgraded to version 3 with deletes by position, then vectors', (v) => [
    create(v, base),
    { do: 'append', rows },
    {
      do: 'append',
      rows: [
        ['4', '4', null, null, 'four'],
        ['5', '5', null, null, 'five'],
      ],
    },
    { do: 'delete', column: 'id', in: ['2'] },
    { do: 'properties', set: { 'format-version': '3' } },
    { do: 'delete', column: 'id', in: ['1', '5'] },
    { do: 'append', rows: [['6', '6', null, null, 'six']] },
    { do: 'update', column: 'id', in: ['3', '4'], set: { name: 'new' } },
  ]),
  ...versions([1], 'upgraded to version 2 and then 3', (v) => [
    create(v, base, {
      spec: { 'spec-id': 0, fields: [{ 'source-id': 1, transform: 'bucket[2]', name: 'b', 'field-id': 1000 }] },
    }),
    { do: 'append', rows },
    { do: 'spec', changes: [{ change: 'remove', name: 'b' }] },
    { do: 'append', rows: [['4', '4', null, null, 'four']] },
    { do: 'properties', set: { 'format-version': '2' } },
    { do: 'delete', column: 'id', in: ['1'] },
    { do: 'properties', set: { 'format-version': '3' } },
    { do: 'delete', column: 'id', in: ['3'] },
  ]),
  ...['none', 'zstd'].flatMap((codec) =>
    versions(since2, `statistics of columns (${codec}) and of partitions`, (v) => [
      create(v, base, {
        spec: { 'spec-id': 0, fields: [{ 'source-id': 1, transform: 'bucket[2]', name: 'b', 'field-id': 1000 }] },
      }),
      { do: 'append', rows },
      { do: 'statistics', columns: ['id', 'name'], ...(codec === 'none' ? {} : { codec }) },
      { do: 'partitionStatistics' },
      { do: 'append', rows: [['4', '4', null, null, 'four']] },
    ]),
  ),
]

export const shapeCells: readonly JavaCell[] = [...evolved, ...refs]
