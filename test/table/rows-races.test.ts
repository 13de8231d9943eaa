import { describe, expect, it } from 'vitest'
import type { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  alterRefs,
  alterTable,
  type ChangeOptions,
  rewriteDataFiles,
  type TableContext,
  truncateTable,
} from '../../packages/limn/src/table/index.ts'
import { applyNaively, applyToTable, type Operation } from '../support/histories.ts'
import { bagOf, type Condition, type NaiveTable } from '../support/naive-table.ts'
import { MeddlingCatalog } from '../support/racing.ts'
import {
  copyOf,
  makeEmpty,
  makeFull,
  type RowShape,
  row,
  rowColumns,
  rowsOf,
  rowTable as table,
} from '../support/row-tables.ts'
import { temporaryTables } from '../support/tables.ts'

const n1: Condition = { is: 'compare', column: 'n', operator: '=', value: 1 }
const anyRow: Condition = { is: 'or', of: [n1, { is: 'not', of: n1 }] }

/** Operations that meet in rows where n is 1, and in ids 1 and 10; whatever their order, each has something to do. */
const operations = {
  append: { kind: 'append', rows: [row(30, 1, 'appended'), row(31, 9, 'appended')] },
  delete: { kind: 'delete', where: n1 },
  update: { kind: 'update', where: n1, set: { s: { to: 'value', value: 'updated' } } },
  merge: {
    kind: 'merge',
    source: [row(1, 1, 'merged'), row(3, 1, 'merged'), row(30, 1, 'merged'), row(40, 1, 'merged')],
    clauses: [
      { when: 'matched', act: 'update', set: { s: { to: 'source', column: 's' } } },
      { when: 'notMatched', act: 'insert' },
    ],
  },
  upsert: { kind: 'upsert', rows: [row(1, 1, 'upserted'), row(10, 8, 'upserted'), row(50, 1, 'upserted')] },
  overwrite: { kind: 'overwrite', where: n1, rows: [row(60, 1, 'written')] },
  truncate: { kind: 'delete', where: anyRow },
  compact: { kind: 'compact' },
} as const satisfies Record<string, Operation>

type Name = keyof typeof operations
const names = Object.keys(operations) as readonly Name[]

async function perform(context: TableContext, name: Name, options: ChangeOptions = {}): Promise<void> {
  if (name === 'truncate') await truncateTable(context, table, options)
  else if (name === 'compact')
    await rewriteDataFiles(context, table, { minInputFiles: 1, branch: options.branch ?? 'main' })
  else await applyToTable(context, table, rowColumns, operations[name], options)
}

function naively(before: NaiveTable, ...order: readonly Name[]): readonly string[] {
  const after = copyOf(before)
  for (const name of order)
    if (name === 'truncate') after.rows = []
    else applyNaively(after, operations[name])
  return bagOf(after.rows)
}

async function setUp(shape: RowShape) {
  const made = await temporaryTables()
  const other = made.another()
  const plain: TableContext = { ...made.context, catalog: other }
  const naive = await makeFull(plain, shape)
  const catalog = new MeddlingCatalog(made.catalog)
  const context: TableContext = { ...made.context, catalog, wait: async () => undefined }
  return {
    naive,
    catalog,
    plain,
    context,
    async [Symbol.asyncDispose]() {
      other.close()
      await made[Symbol.asyncDispose]()
    },
  }
}

const every = process.env.LIMN_ROWS === 'all'

const shapes: readonly RowShape[] = [
  { formatVersion: 2, mode: 'copy-on-write', layout: 'partitioned' },
  { formatVersion: 2, mode: 'merge-on-read', layout: 'unpartitioned' },
  { formatVersion: 3, mode: 'merge-on-read', layout: 'unpartitioned' },
]

/** `LIMN_ROWS=all`: every pair in every kind of table under both levels; else each pair once. */
function levelsOf({ formatVersion }: RowShape): readonly ('serializable' | 'snapshot')[] {
  if (every) return ['serializable', 'snapshot']
  return formatVersion === 3 ? ['serializable'] : []
}

const races = shapes.flatMap((shape) =>
  names.flatMap((late) =>
    levelsOf(shape).map((isolation) => [late, shape.formatVersion, shape.mode, isolation, shape] as const),
  ),
)

describe('a change that another comes before', () => {
  it.each(races)(
    'is as if one had followed the other: %s, version %s, %s, %s',
    async (late, _version, _mode, isolation, shape) => {
      await using made = await setUp(shape)
      for (const early of names) {
        const branch = `after-${early}`
        await alterRefs(made.plain, table, [{ kind: 'create-branch', name: branch }])
        made.catalog.commits = 0
        made.catalog.before = async (number) => {
          if (number === 1) await perform(made.plain, early, { branch })
        }
        await perform(made.context, late, { isolation, branch })
        const rows = bagOf(await rowsOf(made.plain, branch))
        const orders = [naively(made.naive, early, late), naively(made.naive, late, early)]
        const where = `${early}, then ${late}`
        expect([where, orders.some((order) => order.join('\n') === rows.join('\n')), rows]).toEqual([where, true, rows])
        // Serializable: what came first is what it stands on.
        if (isolation === 'serializable') expect([where, rows]).toEqual([where, orders[0]])
      }
    },
  )
})

describe.each(shapes.slice(every ? 0 : -1).map((shape) => [shape.formatVersion, shape.mode, shape] as const))(
  'changes of rows of version %s, %s',
  (_version, mode, shape) => {
    it('are in the way of each other as the isolation level says', async () => {
      await using made = await setUp(shape)
      let count = 0
      const meets = async (early: Name, late: Name, isolation: 'serializable' | 'snapshot') => {
        const branch = `b${count++}`
        await alterRefs(made.plain, table, [{ kind: 'create-branch', name: branch }])
        made.catalog.commits = 0
        made.catalog.before = async (number) => {
          if (number === 1) await perform(made.plain, early, { branch })
        }
        const error = await perform(made.context, late, { onConflict: 'fail', isolation, branch }).then(
          () => null,
          (failed: LimnError) => failed,
        )
        if (error === null) return 'passes'
        expect(error).toMatchObject({ kind: 'catalog/conflict', retryable: true })
        expect(bagOf(await rowsOf(made.plain, branch))).toEqual(naively(made.naive, early))
        return 'fails'
      }
      expect(await meets('append', 'delete', 'serializable')).toBe('fails')
      expect(await meets('append', 'update', 'serializable')).toBe('fails')
      expect(await meets('append', 'merge', 'serializable')).toBe('fails')
      expect(await meets('append', 'delete', 'snapshot')).toBe('passes')
      expect(await meets('append', 'update', 'snapshot')).toBe('passes')
      expect(await meets('append', 'merge', 'snapshot')).toBe('passes')
      expect(await meets('delete', 'append', 'serializable')).toBe('passes')
      expect(await meets('delete', 'upsert', 'serializable')).toBe('passes')
      // A row that another deletes cannot be updated as if it were there.
      expect(await meets('delete', 'update', 'snapshot')).toBe('fails')
      expect(await meets('update', 'merge', 'snapshot')).toBe('fails')
      expect(await meets('truncate', 'update', 'snapshot')).toBe('fails')
      expect(await meets('compact', 'update', 'snapshot')).toBe('fails')
      expect(await meets('upsert', 'update', 'snapshot')).toBe('fails')
      // The same rows deleted twice are gone once: in version 2 one position may be named in two files.
      const twice = mode === 'merge-on-read' && shape.formatVersion === 2 ? 'passes' : 'fails'
      expect(await meets('delete', 'delete', 'snapshot')).toBe(twice)
    })

    it('happen once when the answer is lost, whether they happened, did not, or happen late', async () => {
      await using made = await setUp(shape)
      for (const late of names) {
        for (const fate of ['lost answer', 'lost request', 'late'] as const) {
          const branch = `${late}-${fate.replace(' ', '-')}`
          await alterRefs(made.plain, table, [{ kind: 'create-branch', name: branch }])
          made.catalog.commits = 0
          made.catalog.fate = (number) => (number === 1 ? fate : 'answered')
          await perform(made.context, late, { branch })
          const rows = bagOf(await rowsOf(made.plain, branch))
          expect([late, fate, rows]).toEqual([late, fate, naively(made.naive, late)])
        }
      }
    })
  },
)

describe('an upsert that another change comes before', () => {
  it('deletes the keys that appeared in a table that it saw empty', async () => {
    await using made = await temporaryTables()
    const other = made.another()
    const plain: TableContext = { ...made.context, catalog: other }
    await makeEmpty(plain, { formatVersion: 2, mode: 'merge-on-read', layout: 'partitioned' })
    const catalog = new MeddlingCatalog(made.catalog)
    catalog.before = async (number) => {
      if (number === 1) await perform(plain, 'upsert')
    }
    await perform({ ...made.context, catalog, wait: async () => undefined }, 'upsert')
    expect(bagOf(await rowsOf(plain))).toEqual(bagOf(operations.upsert.rows))
    other.close()
  })

  it.each(['append', 'compact'] as const)('reaches rows that came under a spec it did not know: %s', async (how) => {
    await using made = await setUp({ formatVersion: 2, mode: 'merge-on-read', layout: 'partitioned' })
    made.catalog.before = async (number) => {
      if (number !== 1) return
      await alterTable(made.plain, table, [
        { kind: 'remove-partition-field', field: { name: 'id_bucket' } },
        { kind: 'add-partition-field', column: 'id', transform: { kind: 'truncate', width: 4 } },
      ])
      await perform(made.plain, how)
    }
    const operation: Operation = { kind: 'upsert', rows: [row(1, 1, 'upserted'), row(30, 1, 'upserted')] }
    await applyToTable(made.context, table, rowColumns, operation)
    const expected = copyOf(made.naive)
    applyNaively(expected, operations[how])
    applyNaively(expected, operation)
    expect(bagOf(await rowsOf(made.plain))).toEqual(bagOf(expected.rows))
  })
})
