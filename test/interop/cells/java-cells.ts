import type { CanonicalValue } from '../../support/seen.ts'
import {
  columnsOfEdges,
  edges,
  type JsonSchema,
  nestedRows,
  nestedType,
  newTypes,
  type Row,
  schemaOf,
  variants,
} from './values.ts'

/** One table that the reference implementation writes, step by step, for limn to read. */
export interface JavaCell {
  readonly name: string
  readonly steps: readonly Step[]
  /** Conditions that limn answers with pruning and without: the rows must be the same. */
  readonly filters?: readonly string[]
}

export type Step = { readonly do: string } & Readonly<Record<string, unknown>>

type Version = 1 | 2 | 3
const since2: readonly Version[] = [2, 3]
const all: readonly Version[] = [1, 2, 3]

function create(version: Version, schema: JsonSchema, more: Readonly<Record<string, unknown>> = {}): Step {
  return { do: 'create', version, schema, ...more }
}

function specOf(...fields: readonly (readonly [number, string, string])[]) {
  return {
    spec: {
      'spec-id': 0,
      fields: fields.map(([source, transform, name], i) => ({
        'source-id': source,
        transform,
        name,
        'field-id': 1000 + i,
      })),
    },
  }
}

const people = schemaOf({ id: 'long', name: 'string', day: 'date', amount: 'decimal(9, 2)' })
const person = (id: number, name: string | null, day: number | null, amount: string | null): Row => [
  String(id),
  name,
  day === null ? null : String(day),
  amount,
]
const some: readonly Row[] = [
  person(1, 'ada', 20000, '1.00'),
  person(2, 'bob', 20000, null),
  person(3, null, 20001, '-3.50'),
  person(4, 'dan', null, '4.00'),
]
const more: readonly Row[] = [
  person(5, 'eve', 20001, '5.00'),
  person(6, 'fay', 20002, '6.25'),
  person(7, '', -1, '0.00'),
]
const byDay = specOf([3, 'day', 'day_day'])
const ids = (...list: readonly number[]): readonly CanonicalValue[] => list.map(String)
const personFilters = ['id > 3', "name = 'bob'", "day >= DATE '2024-10-05'", 'amount < 0', 'name IS NULL', 'id = 99']

const typesTable = columnsOfEdges(edges)
const typesTable3 = columnsOfEdges({ ...edges, ...newTypes })
const variantTable = columnsOfEdges({ id: edges.id ?? ['long', []], ...variants })

function cells(versions: readonly Version[], make: (version: Version) => Omit<JavaCell, 'name'>, name: string) {
  return versions.map((version): JavaCell => ({ name: `v${version} ${name}`, ...make(version) }))
}

const plain: readonly JavaCell[] = [
  ...cells(all, (v) => ({ steps: [create(v, people)] }), 'a table without a snapshot'),
  ...cells(
    all,
    (v) => ({ steps: [create(v, typesTable.schema), { do: 'append', rows: typesTable.rows, files: 2 }] }),
    'every type of version 2 in Parquet',
  ),
  ...cells(
    all,
    (v) => ({ steps: [create(v, typesTable.schema), { do: 'append', rows: typesTable.rows, format: 'avro' }] }),
    'every type of version 2 in Avro',
  ),
  ...(['parquet', 'avro'] as const).flatMap((format) =>
    cells(
      [3],
      (v) => ({ steps: [create(v, typesTable3.schema), { do: 'append', rows: typesTable3.rows, format }] }),
      `nanoseconds in ${format}`,
    ),
  ),
  ...(['parquet', 'avro'] as const).flatMap((format) =>
    cells(
      [3],
      (v) => ({ steps: [create(v, variantTable.schema), { do: 'append', rows: variantTable.rows, format }] }),
      `variants in ${format}`,
    ),
  ),
  ...cells(
    [3],
    (v) => ({
      steps: [
        create(v, variantTable.schema, { properties: { 'write.parquet.shred-variants': 'true' } }),
        { do: 'append', rows: variantTable.rows },
      ],
    }),
    'variants with shredding asked for',
  ),
  ...(['parquet', 'avro'] as const).flatMap((format) =>
    cells(
      all,
      (v) => ({
        steps: [create(v, schemaOf(nestedType)), { do: 'append', rows: nestedRows, format }],
        filters: ['id = 2', "place.city = 'Ribe'", 'place IS NULL', 'len(tags) = 0'],
      }),
      `nested types in ${format}`,
    ),
  ),
  ...cells(
    all,
    (v) => ({
      steps: [
        create(v, people),
        { do: 'append', rows: some },
        { do: 'append', rows: more, fast: true },
        { do: 'append', rows: some, format: 'avro' },
      ],
      filters: personFilters,
    }),
    'appends, merged and fast, Parquet and Avro',
  ),
  ...['zstd', 'gzip', 'snappy', 'uncompressed', 'lz4_raw'].flatMap((codec) =>
    cells(
      [2],
      (v) => ({
        steps: [
          create(v, people, {
            properties: { 'write.parquet.compression-codec': codec, 'write.metadata.compression-codec': 'gzip' },
          }),
          { do: 'append', rows: some },
        ],
      }),
      `Parquet in ${codec} under gzipped metadata`,
    ),
  ),
  ...['zstd', 'gzip', 'snappy', 'uncompressed'].flatMap((codec) =>
    cells(
      [2],
      (v) => ({
        steps: [
          create(v, people, {
            properties: { 'write.avro.compression-codec': codec, 'write.delete.avro.compression-codec': codec },
          }),
          { do: 'append', rows: some, format: 'avro' },
          { do: 'delete', column: 'id', in: ids(2), format: 'avro' },
        ],
      }),
      `Avro data and deletes in ${codec}`,
    ),
  ),
  ...['none', 'counts', 'truncate(2)', 'full'].flatMap((mode) =>
    cells(
      [2],
      (v) => ({
        steps: [
          create(v, typesTable.schema, { properties: { 'write.metadata.metrics.default': mode } }),
          { do: 'append', rows: typesTable.rows, files: 6 },
        ],
        filters: ["text > 'a'", 'i = 34', 'd > 0', 'f IS NULL', "bytes = '\\x00'::BLOB", "day < DATE '1970-01-01'"],
      }),
      `metrics ${mode}`,
    ),
  ),
]

/** Each transform over each type that it takes. */
const partitioned: readonly JavaCell[] = [
  ...Object.keys(edges).flatMap((name, i) =>
    cells(
      since2,
      (v) => ({
        steps: [
          create(v, typesTable.schema, specOf([i + 1, 'identity', name === 'id' ? 'id_part' : name])),
          { do: 'append', rows: typesTable.rows },
        ],
        filters: [`"${name}" IS NULL`, `"${name}" IS NOT NULL`],
      }),
      `identity of ${name}`,
    ),
  ),
  ...cells(
    since2,
    (v) => ({
      steps: [
        create(
          v,
          typesTable.schema,
          specOf(
            ...['i', 'l', 'small', 'large', 'day', 'clock', 'local', 'instant', 'text', 'key', 'four', 'bytes'].map(
              (name) => [Object.keys(edges).indexOf(name) + 1, 'bucket[7]', `${name}_bucket`] as const,
            ),
          ),
        ),
        { do: 'append', rows: typesTable.rows },
      ],
      filters: [
        'i = 34',
        'l = 9007199254740993',
        "text = 'a'",
        "key = 'f79c3e09-677c-4bbd-a479-3f349cb785e7'",
        'small = 14.20',
      ],
    }),
    'bucket of every type',
  ),
  ...cells(
    since2,
    (v) => ({
      steps: [
        create(
          v,
          typesTable.schema,
          specOf(
            ...['i', 'l', 'small', 'middle', 'large', 'text', 'bytes'].map(
              (name) => [Object.keys(edges).indexOf(name) + 1, 'truncate[3]', `${name}_trunc`] as const,
            ),
          ),
        ),
        { do: 'append', rows: typesTable.rows },
      ],
      filters: ['i < 0', 'l > 0', "text LIKE 'z%'", 'small < 0', 'large > 1'],
    }),
    'truncate of every type',
  ),
  ...(['year', 'month', 'day', 'hour'] as const).flatMap((unit) =>
    cells(
      since2,
      (v) => ({
        steps: [
          create(
            v,
            typesTable.schema,
            specOf(
              ...(unit === 'hour' ? ['local', 'instant'] : ['day', 'local', 'instant']).map(
                (name) => [Object.keys(edges).indexOf(name) + 1, unit, `${name}_${unit}`] as const,
              ),
            ),
          ),
          { do: 'append', rows: typesTable.rows },
        ],
        filters: [
          "local < TIMESTAMP '1970-01-01'",
          "local >= TIMESTAMP '1970-01-01'",
          "day = DATE '1969-12-31'",
          "instant >= TIMESTAMPTZ '2023-11-14 22:13:20+00'",
        ],
      }),
      `${unit} of dates and timestamps`,
    ),
  ),
  ...cells(
    [3],
    (v) => ({
      steps: [
        create(
          v,
          typesTable3.schema,
          specOf(
            [Object.keys(edges).length + 1, 'day', 'local_day'],
            [Object.keys(edges).length + 2, 'bucket[5]', 'instant_bucket'],
            [Object.keys(edges).length + 1, 'identity', 'local_ns_id'],
          ),
        ),
        { do: 'append', rows: typesTable3.rows },
      ],
      filters: ["localNs < TIMESTAMP_NS '1970-01-01'", 'localNs IS NULL'],
    }),
    'transforms of nanoseconds',
  ),
]

/** Rows deleted and changed in every way a writer can. */
const changed: readonly JavaCell[] = (['flat', 'partitioned'] as const).flatMap((layout) => {
  const spec = layout === 'flat' ? {} : byDay
  const start = (v: Version) => [create(v, people, spec), { do: 'append', rows: some }, { do: 'append', rows: more }]
  const named = (what: string) => `${what}, ${layout}`
  return [
    ...cells(
      since2,
      (v) => ({ steps: [...start(v), { do: 'delete', column: 'id', in: ids(2, 5) }], filters: personFilters }),
      named('deletes by position'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [
          ...start(v),
          { do: 'delete', column: 'id', in: ids(2, 5) },
          { do: 'delete', column: 'id', in: ids(1) },
          { do: 'append', rows: [person(2, 'again', 20000, '2.00')] },
        ],
      }),
      named('deletes by position twice in one file, and the key back'),
    ),
    ...cells(
      [2],
      (v) => ({
        steps: [
          ...start(v),
          { do: 'delete', column: 'id', in: ids(1, 3, 6), granularity: 'partition', format: 'avro' },
        ],
      }),
      named('deletes by position in Avro, one file for several data files'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [...start(v), { do: 'update', column: 'id', in: ids(1, 6), set: { name: 'changed', amount: null } }],
        filters: personFilters,
      }),
      named('updates on read'),
    ),
    ...cells(
      all,
      (v) => ({
        steps: [
          ...start(v),
          { do: 'rewriteRows', column: 'id', in: ids(1, 6), set: { name: 'changed' } },
          { do: 'rewriteRows', column: 'id', in: ids(3) },
        ],
        filters: personFilters,
      }),
      named('updates and deletes by rewriting files'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [
          ...start(v),
          { do: 'equalityDelete', columns: ['id'], keys: [['2'], ['6']], images: [some[1], more[1]] },
          { do: 'append', rows: [person(2, 'later than the delete', 20000, '2.00')] },
        ],
        filters: personFilters,
      }),
      named('deletes by value'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [
          ...start(v),
          {
            do: 'equalityDelete',
            columns: ['name', 'day'],
            keys: [
              [null, '20001'],
              ['dan', null],
              ['', '-1'],
            ],
            images: [some[2], some[3], more[2]],
            rows: [person(3, 'set', 20001, '3.00')],
            format: 'avro',
          },
        ],
      }),
      named('deletes by two values with nulls, in Avro, with rows in the same snapshot'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [
          ...start(v),
          { do: 'equalityDelete', columns: ['id'], keys: [['1']], images: [some[0]] },
          { do: 'delete', column: 'id', in: ids(2) },
          { do: 'equalityDelete', columns: ['name'], keys: [['eve']], images: [more[0]] },
          { do: 'update', column: 'id', in: ids(3), set: { name: 'three' } },
        ],
      }),
      named('deletes of every kind over one another'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [...start(v), { do: 'delete', column: 'id', in: ids(2, 5) }, { do: 'compact' }],
      }),
      named('files rewritten into one after deletes'),
    ),
    ...cells(
      since2,
      (v) => ({
        steps: [
          ...start(v),
          { do: 'equalityDelete', columns: ['id'], keys: [['4']], images: [some[3]] },
          { do: 'compact' },
          { do: 'update', column: 'id', in: ids(5), set: { name: 'after' } },
        ],
      }),
      named('files rewritten after deletes by value, then changed'),
    ),
  ]
})

const filesAndPartitions: readonly JavaCell[] = [
  ...cells(
    all,
    (v) => ({
      steps: [
        create(v, people, byDay),
        { do: 'append', rows: some },
        { do: 'append', rows: more },
        { do: 'replacePartitions', rows: [person(8, 'new', 20000, '8.00'), person(9, 'new', null, '9.00')] },
      ],
      filters: personFilters,
    }),
    'partitions replaced',
  ),
  ...cells(
    all,
    (v) => ({
      steps: [
        create(v, people, specOf([3, 'identity', 'day'])),
        { do: 'append', rows: some },
        { do: 'append', rows: more },
        { do: 'deleteFiles', filter: { type: 'eq', term: 'day', value: '2024-10-04' } },
      ],
      filters: personFilters,
    }),
    'whole files deleted by filter',
  ),
  ...cells(
    since2,
    (v) => ({
      steps: [
        create(v, people, byDay),
        { do: 'append', rows: some },
        { do: 'append', rows: more },
        { do: 'delete', column: 'id', in: ids(2) },
        { do: 'rewriteManifests' },
        { do: 'append', rows: [person(8, 'after', 20005, null)] },
      ],
    }),
    'manifests rewritten',
  ),
]

export const dataCells: readonly JavaCell[] = [...plain, ...partitioned, ...changed, ...filesAndPartitions]
