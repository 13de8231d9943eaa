import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AlterAction,
  parseStatement,
  printStatement,
  type SqlText,
  type Statement,
  type Term,
  type TypeNode,
} from '../../packages/limn/src/sql/index.ts'
import { shapeOf } from '../support/statements.ts'

/** Statements made at random; nothing here comes from the parser. Positions are all the same and are not compared. */

const at = { offset: 0, line: 1, column: 1 }
const text = (sql: string): SqlText => ({ at, text: sql, travels: [] })

const word = fc.oneof(
  fc.constantFrom(
    'a',
    'b1',
    '_x',
    'Order',
    'branch',
    'tag',
    'set',
    'first',
    'after',
    'type',
    'values',
    'version',
    'by',
  ),
  fc.constantFrom(
    'select',
    'table',
    'Where',
    'not',
    'end',
    'case',
    'when',
    'if',
    'a b',
    'a.b',
    'a"b',
    'a`b',
    '1a',
    'día',
  ),
  fc.string({ minLength: 1, maxLength: 8 }),
)
const name = word.map((one) => ({ at, text: one }))
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => ({ at, parts }))
/** Names that never collide, for columns of one list. */
const names = (min: number) =>
  fc
    .uniqueArray(word, { minLength: min, maxLength: 4, selector: (one) => one.toLowerCase() })
    .map((all) => all.map((one) => ({ at, text: one })))
const paths = fc
  .uniqueArray(fc.array(word, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 4,
    selector: (parts) => parts.join('\u0000').toLowerCase(),
  })
  .map((all) => all.map((parts) => ({ at, parts })))

const atom = fc.constantFrom(
  '1',
  '-2.5e3',
  "'it''s'",
  '$$do $ it$$',
  't.x',
  '"when"',
  'NULL',
  "DATE '2026-01-01'",
  'x::TIMESTAMP WITH TIME ZONE',
  '[1, 2]',
  "{'a': 1}",
  'x /* set, where */',
)
const expression = fc
  .letrec<{ one: string }>((tie) => ({
    one: fc.oneof(
      { depthSize: 'small' },
      atom,
      tie('one').map((a) => `(${a}\n)`),
      fc.tuple(tie('one'), tie('one')).map(([a, b]) => `f(${a}, ${b})`),
      fc.tuple(tie('one'), tie('one')).map(([a, b]) => `(${a}) IS DISTINCT FROM (${b})`),
      fc.tuple(tie('one'), tie('one')).map(([a, b]) => `CASE WHEN ${a} THEN ${b} END`),
      tie('one').map((a) => `(SELECT ${a} FROM s WHERE b AND c)`),
    ),
  }))
  .one.filter((sql) => !sql.endsWith('*/'))
  .map(text)
const query = expression.map((one) => text(`SELECT ${one.text} FROM s, u WHERE a AND b`))
const comment = fc.option(fc.string({ maxLength: 10 }), { nil: null })
const literal = fc.string({ maxLength: 12 })

const type: fc.Arbitrary<TypeNode> = fc.letrec<{ type: TypeNode }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small' },
    fc
      .constantFrom(
        'boolean',
        'int',
        'long',
        'float',
        'double',
        'date',
        'time',
        'timestamp',
        'timestamptz',
        'timestamp_ns',
        'timestamptz_ns',
        'string',
        'uuid',
        'binary',
        'unknown',
        'variant',
      )
      .map((one): TypeNode => ({ kind: 'primitive', at, name: one })),
    fc
      .tuple(fc.integer({ min: 1, max: 38 }), fc.integer({ min: 0, max: 38 }))
      .map(([precision, scale]): TypeNode => ({ kind: 'decimal', at, precision, scale: Math.min(precision, scale) })),
    fc.integer({ min: 1, max: 4000 }).map((length): TypeNode => ({ kind: 'fixed', at, length })),
    tie('type').map((element): TypeNode => ({ kind: 'list', at, element })),
    fc.tuple(tie('type'), tie('type')).map(([key, value]): TypeNode => ({ kind: 'map', at, key, value })),
    fc
      .array(fc.record({ name, type: tie('type'), required: fc.boolean(), comment }), { minLength: 1, maxLength: 3 })
      .map((fields): TypeNode => ({ kind: 'struct', at, fields })),
  ),
})).type

const term: fc.Arbitrary<Term> = fc.oneof(
  fc.record({
    at: fc.constant(at),
    transform: fc.constantFrom('identity' as const, 'void' as const, 'year' as const, 'month' as const, 'day' as const),
    argument: fc.constant(null),
    column: path,
  }),
  fc.record({
    at: fc.constant(at),
    transform: fc.constantFrom('bucket' as const, 'truncate' as const),
    argument: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    column: path,
  }),
)

const properties = fc
  .uniqueArray(literal, { maxLength: 3 })
  .chain((keys) => fc.tuple(...keys.map((key) => literal.map((value) => ({ at, key, value })))))
const someProperties = properties.filter((list) => list.length > 0)
const assignments = paths.chain((columns) =>
  fc.tuple(...columns.map((column) => fc.option(expression, { nil: null }).map((value) => ({ column, value })))),
)
const options = { required: fc.boolean(), defaultValue: fc.option(expression, { nil: null }), comment }
const columns = (min: number) =>
  names(min).chain((all) => fc.tuple(...all.map((one) => fc.record({ name: fc.constant(one), type, ...options }))))
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const where = optional(expression)
const create = fc.constantFrom('create' as const, 'createOrReplace' as const, 'replace' as const)
const minutes = fc.integer({ min: 1, max: 100_000 }).map((count) => count * 60_000)
const place = fc.oneof(
  fc.constant({ kind: 'first' as const }),
  name.map((column) => ({ kind: 'after' as const, column })),
)

const alterAction: fc.Arbitrary<AlterAction> = fc.oneof(
  fc.record({ kind: fc.constant('rename' as const), to: path }),
  fc.record({
    kind: fc.constant('addColumns' as const),
    columns: fc.array(fc.record({ column: path, type, ...options, place: optional(place) }), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  fc.record({ kind: fc.constant('renameColumn' as const), column: path, to: name }),
  fc.record({
    kind: fc.constant('alterColumn' as const),
    column: path,
    change: fc.oneof(
      type.map((one) => ({ kind: 'type' as const, type: one })),
      literal.map((one) => ({ kind: 'comment' as const, comment: one })),
      place.map((one) => ({ kind: 'place' as const, place: one })),
      expression.map((value) => ({ kind: 'setDefault' as const, value })),
      fc.constantFrom(
        { kind: 'setNotNull' as const },
        { kind: 'dropNotNull' as const },
        { kind: 'dropDefault' as const },
      ),
    ),
  }),
  fc.record({ kind: fc.constant('dropColumns' as const), columns: paths, ifExists: fc.boolean() }),
  fc.record({ kind: fc.constant('setProperties' as const), properties: someProperties }),
  fc.record({
    kind: fc.constant('unsetProperties' as const),
    keys: fc.array(literal, { minLength: 1, maxLength: 3 }),
    ifExists: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('setLocation' as const), location: literal }),
  fc.record({ kind: fc.constant('addPartitionField' as const), term, name: optional(name) }),
  fc.record({ kind: fc.constant('dropPartitionField' as const), term }),
  fc.record({ kind: fc.constant('replacePartitionField' as const), term, by: term, name: optional(name) }),
  fc
    .record({
      distribution: fc.constantFrom('none' as const, 'hash' as const, 'range' as const),
      order: fc.array(
        fc.record({
          term,
          direction: fc.constantFrom('asc' as const, 'desc' as const),
          nulls: fc.constantFrom('first' as const, 'last' as const),
        }),
        { maxLength: 3 },
      ),
    })
    .filter((one) => one.distribution !== 'range' || one.order.length > 0)
    .map((one) => ({ kind: 'writeOrder' as const, ...one })),
  fc.record({
    kind: fc.constantFrom('setIdentifierFields' as const, 'dropIdentifierFields' as const),
    columns: paths,
  }),
  fc
    .record({
      type: fc.constantFrom('branch' as const, 'tag' as const),
      create,
      ifNotExists: fc.boolean(),
      name,
      snapshotId: optional(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
      maxRefAgeMs: optional(minutes),
      minSnapshotsToKeep: optional(fc.integer({ min: 1, max: 100 })),
      maxSnapshotAgeMs: optional(minutes),
    })
    .map(({ maxRefAgeMs, minSnapshotsToKeep, maxSnapshotAgeMs, ...ref }) => ({
      kind: 'createRef' as const,
      ...ref,
      ifNotExists: ref.ifNotExists && ref.create === 'create',
      retention:
        ref.type === 'tag'
          ? { maxRefAgeMs, minSnapshotsToKeep: null, maxSnapshotAgeMs: null }
          : { maxRefAgeMs, minSnapshotsToKeep, maxSnapshotAgeMs },
    })),
  fc.record({
    kind: fc.constant('dropRef' as const),
    type: fc.constantFrom('branch' as const, 'tag' as const),
    name,
    ifExists: fc.boolean(),
  }),
)

const common = { at: fc.constant(at), table: path }
const insertAction = fc.oneof(
  fc.constant({ kind: 'insertAll' as const }),
  paths.chain((all) =>
    fc.record({
      kind: fc.constant('insert' as const),
      columns: fc.constant(all),
      values: fc.array(optional(expression), { minLength: all.length, maxLength: all.length }),
    }),
  ),
)
const matchedAction = fc.oneof(
  fc.constantFrom({ kind: 'delete' as const }, { kind: 'updateAll' as const }),
  assignments.map((set) => ({ kind: 'update' as const, set })),
)
const bySourceAction = fc.oneof(
  fc.constant({ kind: 'delete' as const }),
  assignments.map((set) => ({ kind: 'update' as const, set })),
)
const clauses = fc
  .tuple(
    fc.array(fc.record({ action: matchedAction, condition: expression }), { maxLength: 2 }),
    fc.array(fc.record({ action: insertAction, condition: expression }), { maxLength: 2 }),
    fc.array(fc.record({ action: bySourceAction, condition: expression }), { maxLength: 2 }),
    fc.boolean(),
  )
  .map(([matched, inserted, bySource, open]) => [
    ...matched.map((one) => ({ at, when: 'matched' as const, ...one })),
    ...inserted.map((one) => ({ at, when: 'notMatched' as const, ...one })),
    ...bySource.map((one, i) => ({
      at,
      when: 'notMatchedBySource' as const,
      action: one.action,
      condition: open && i === bySource.length - 1 ? null : one.condition,
    })),
  ])
  .filter((all) => all.length > 0)

const statement: fc.Arbitrary<Statement> = fc.oneof(
  fc.record({ kind: fc.constant('query' as const), at: fc.constant(at), query }),
  fc.record({
    kind: fc.constant('insert' as const),
    ...common,
    mode: fc.oneof(
      fc.constant({ kind: 'append' as const }),
      fc
        .array(fc.record({ column: path, value: where }), { maxLength: 3 })
        .map((partition) => ({ kind: 'overwrite' as const, partition })),
      expression.map((condition) => ({ kind: 'replaceWhere' as const, condition })),
    ),
    columns: fc.constant(null),
    byName: fc.boolean(),
    with: optional(query.map((one) => text(`c AS (${one.text})`))),
    query,
  }),
  paths.chain((all) =>
    fc.record({
      kind: fc.constant('insert' as const),
      ...common,
      mode: fc.constant({ kind: 'append' as const }),
      columns: fc.constant(all),
      byName: fc.constant(false),
      with: fc.constant(null),
      query,
    }),
  ),
  fc.record({ kind: fc.constant('update' as const), ...common, alias: optional(name), set: assignments, where }),
  fc.record({ kind: fc.constant('delete' as const), ...common, alias: optional(name), where }),
  fc.record({ kind: fc.constant('truncate' as const), ...common }),
  fc.record({
    kind: fc.constant('merge' as const),
    ...common,
    alias: optional(name),
    source: fc.oneof(
      fc.record({ kind: fc.constant('query' as const), from: query, alias: name, columns: names(0) }),
      fc.record({
        kind: fc.constant('table' as const),
        from: fc.constantFrom('b.s', '"b c".s').map(text),
        alias: optional(name),
        columns: fc.constant([]),
      }),
    ),
    on: expression,
    clauses,
  }),
  fc
    .record({
      ...common,
      create,
      ifNotExists: fc.boolean(),
      columns: columns(1),
      partitionedBy: fc.array(term, { maxLength: 3 }),
      location: comment,
      comment,
      properties,
      query: optional(query),
    })
    .map((one) => ({
      kind: 'createTable' as const,
      ...one,
      columns: one.query ? [] : one.columns,
      ifNotExists: one.ifNotExists && one.create === 'create',
    })),
  fc.record({ kind: fc.constant('dropTable' as const), ...common, ifExists: fc.boolean(), purge: fc.boolean() }),
  fc
    .record({
      at: fc.constant(at),
      create: fc.constantFrom('create' as const, 'createOrReplace' as const),
      ifNotExists: fc.boolean(),
      view: path,
      columns: fc.array(fc.record({ name, comment }), { maxLength: 3 }),
      comment,
      properties,
      query,
    })
    .map((one) => ({ kind: 'createView' as const, ...one, ifNotExists: one.ifNotExists && one.create === 'create' })),
  fc.record({ kind: fc.constant('dropView' as const), at: fc.constant(at), view: path, ifExists: fc.boolean() }),
  fc.record({
    kind: fc.constant('alterView' as const),
    at: fc.constant(at),
    view: path,
    action: fc.oneof(
      fc.record({ kind: fc.constant('setProperties' as const), properties: someProperties }),
      query.map((one) => ({ kind: 'replaceQuery' as const, query: one })),
      path.map((to) => ({ kind: 'rename' as const, to })),
    ),
  }),
  fc.record({ kind: fc.constant('alterTable' as const), ...common, action: alterAction }),
  fc.record({
    kind: fc.constant('show' as const),
    at: fc.constant(at),
    what: fc.oneof(
      fc.record({ kind: fc.constantFrom('tables' as const, 'views' as const), namespace: optional(name) }),
      fc.record({ kind: fc.constant('createView' as const), view: path }),
      fc.record({
        kind: fc.constantFrom('columns' as const, 'properties' as const, 'createTable' as const),
        table: path,
      }),
    ),
  }),
  fc.record({
    kind: fc.constant('call' as const),
    at: fc.constant(at),
    procedure: path,
    arguments: fc.array(fc.record({ name: optional(name), value: expression }), { maxLength: 3 }),
  }),
)

describe('a statement printed', () => {
  it('reads back as the same tree', () => {
    fc.assert(
      fc.property(statement, (tree) => {
        const printed = printStatement(tree)
        expect(shapeOf(parseStatement(printed)), printed).toEqual(shapeOf(tree))
      }),
      { numRuns: 3000 },
    )
  })

  it('reads back the same with comments and blanks between its words', () => {
    const gap = fc.constantFrom(' ', '\n', '\t ', ' /* a /* b */ c */ ', ' -- where set\n')
    fc.assert(
      fc.property(alterAction, gap, (action, between) => {
        const tree: Statement = { kind: 'alterTable', at, table: { at, parts: ['a', 't'] }, action }
        const printed = printStatement(tree).replace(
          'ALTER TABLE a.t ',
          `ALTER${between}TABLE${between}a${between}.t${between}`,
        )
        expect(shapeOf(parseStatement(printed)), printed).toEqual(shapeOf(tree))
      }),
      { numRuns: 500 },
    )
  })
})
