import { LimnError, type Progress, silentProgress, tableId } from '../../base/index.ts'
import type { BoundTable, Cell, Session } from '../../engine/index.ts'
import { specById } from '../../iceberg/index.ts'
import { fieldById } from '../../schema/index.ts'
import { quoteFile, quoteIdentifier } from '../../sql/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { findFiles, type OtherFiles } from '../adopt/folder-files.ts'
import { hiveParts } from '../adopt/hive-path.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from '../context.ts'
import { readPinned } from '../read/read.ts'
import {
  type ComparedColumn,
  changedSql,
  checksumsSql,
  differingRowsSql,
  type Names,
  onlySql,
  type Relation,
  shownSql,
  typeOfUnion,
} from './divergence-sql.ts'

/** One of two places that should hold the same rows. */
export type DivergenceSide =
  | { readonly kind: 'table'; readonly pin: PinnedTable }
  /** Every Parquet file below, by name, with the columns that `name=value` folders tell of. */
  | { readonly kind: 'folder'; readonly folder: StorePath; readonly others?: OtherFiles }

export interface DivergenceOptions {
  /** Columns that tell rows apart: a row of one key on both sides is reported as changed. Default: none. */
  readonly keys?: readonly string[]
  /** Columns by which rows are summed up first. Default: the identity partitions of the left side, else of the right. */
  readonly by?: readonly string[]
  /** How many rows and partitions are shown of each kind. Default 20. */
  readonly limit?: number
  readonly progress?: Progress
}

/** Rows of one partition on one side: how many, and a sum that does not depend on their order. */
export interface RowSum {
  readonly rows: bigint
  /** The sum and the exclusive or of a hash of each row. */
  readonly checksum: string
}

export interface DivergentRow {
  /** As text, in the order of `columns`. */
  readonly values: readonly (string | null)[]
  /** How many more of it there are on its side. */
  readonly times: bigint
}

export interface ChangedRow {
  readonly key: readonly (string | null)[]
  readonly columns: readonly { readonly name: string; readonly left: string | null; readonly right: string | null }[]
}

export interface Divergence {
  /** Same columns of the same types, and the same rows as often. */
  readonly same: boolean
  readonly schema: {
    readonly onlyLeft: readonly { readonly name: string; readonly type: string }[]
    readonly onlyRight: readonly { readonly name: string; readonly type: string }[]
    /** Columns of other types; their rows are compared as `compared`. */
    readonly types: readonly {
      readonly name: string
      readonly left: string
      readonly right: string
      readonly compared: string
    }[]
  }
  /** The columns that both have, by which rows are compared. */
  readonly columns: readonly string[]
  readonly keys: readonly string[]
  readonly by: readonly string[]
  readonly rows: { readonly left: bigint; readonly right: bigint }
  readonly partitions: {
    readonly compared: number
    readonly differing: number
    /** The first that differ. A side without rows of it has none. */
    readonly shown: readonly {
      readonly values: readonly (string | null)[]
      readonly left: RowSum
      readonly right: RowSum
    }[]
  }
  readonly onlyLeft: { readonly rows: bigint; readonly shown: readonly DivergentRow[] }
  readonly onlyRight: { readonly rows: bigint; readonly shown: readonly DivergentRow[] }
  /** Rows of one key that differ elsewhere; null without keys. A key that several differing rows share is in the other two. */
  readonly changed: { readonly rows: bigint; readonly shown: readonly ChangedRow[] } | null
}

const leftId = tableId('divergence.left')
const rightId = tableId('divergence.right')

/**
 * Compares two places that are written at once, as before a move from one to the other: columns, counts, a sum of each
 * partition that does not depend on order, and where sums differ the rows themselves, each as often as it is there. Rows
 * are compared by the columns that both have; zeros of either sign are equal, and so are NaNs. Two sums agree by chance
 * once in 2^64. Reads every row of both. Throws `usage/argument` for columns that are not on both sides.
 */
export async function divergence(
  context: TableContext,
  left: DivergenceSide,
  right: DivergenceSide,
  options: DivergenceOptions = {},
): Promise<Divergence> {
  const task = (options.progress ?? silentProgress).begin('compare')
  try {
    await using resources = new AsyncDisposableStack()
    const bound: BoundTable[] = []
    const relations: Relation[] = []
    const parts: (readonly string[])[] = []
    for (const [side, id] of [
      [left, leftId],
      [right, rightId],
    ] as const) {
      if (side.kind === 'table') {
        const reading = resources.use(await readPinned(context, side.pin))
        bound.push({ ...reading.bound, id })
        relations.push({ from: id, told: new Set() })
        parts.push(identityColumns(side.pin))
      } else {
        const found = await findFiles(context, side)
        const lease = resources.use(
          await context.store.lease(
            found.files.map((one) => one.path),
            { signal: context.signal },
          ),
        )
        const told = new Set(found.files.flatMap((one) => hiveParts(one.path, side.folder).map((part) => part.name)))
        const list = found.files.map((one) => quoteFile(lease.localOf(one.path))).join(', ')
        const hive =
          told.size > 0 ? 'hive_partitioning = true, hive_types_autocast = false' : 'hive_partitioning = false'
        relations.push({ from: `read_parquet([${list}], union_by_name = true, ${hive})`, told })
        parts.push([...told])
      }
    }
    const session = resources.use(await context.engine.session(bound, { signal: context.signal }))
    const [a, b] = relations
    if (!a || !b) throw new RangeError('two sides')
    const [byLeft = [], byRight = []] = parts
    return await compare(session, [a, b], [byLeft, byRight], options, (what) => task.update(what))
  } finally {
    task.end()
  }
}

/** Columns whose own values partition a table. */
function identityColumns(pin: PinnedTable): readonly string[] {
  const schema = schemaOfPin(pin)
  return specById(pin.metadata, pin.metadata.defaultSpecId).fields.flatMap((one) => {
    const field = one.transform.kind === 'identity' ? fieldById(schema, one.sourceId) : undefined
    return field && schema.fields.includes(field) ? [field.name] : []
  })
}

async function compare(
  session: Session,
  [a, b]: readonly [Relation, Relation],
  [byLeft, byRight]: readonly [readonly string[], readonly string[]],
  options: DivergenceOptions,
  tell: (what: string) => void,
): Promise<Divergence> {
  const limit = options.limit ?? 20
  const columnsOf = async ({ from }: Relation) =>
    new Map((await session.rows(`DESCRIBE SELECT * FROM ${from}`)).rows.map((row) => [String(row[0]), String(row[1])]))
  const [inLeft, inRight] = [await columnsOf(a), await columnsOf(b)]
  const shared: ComparedColumn[] = []
  const types: Divergence['schema']['types'][number][] = []
  for (const [name, type] of inLeft) {
    const other = inRight.get(name)
    if (other === undefined) continue
    // A folder's name has no type of its own: it is read as the other side's.
    const told = a.told.has(name) ? other : b.told.has(name) ? type : null
    const one = told ?? (type === other ? type : await typeOfUnion(session, [a, b], name))
    shared.push({ name, type: one })
    if (type !== other && told === null) types.push({ name, left: type, right: other, compared: one })
  }
  const both = new Set(shared.map((one) => one.name))
  const keys = requireShared(options.keys ?? [], both, 'key')
  const given = options.by ? requireShared(options.by, both, 'partition column') : undefined
  const by = given ?? (byLeft.length > 0 ? byLeft : byRight).filter((name) => both.has(name))
  if (shared.length === 0) throw nothingShared()
  const names: Names = { columns: shared, by, keys }
  tell('sums of rows')
  await session.exec(checksumsSql([a, b], names))
  const [totals = []] = (
    await session.rows(
      'SELECT count(*), count(*) FILTER (limn_differs), coalesce(sum(limn_left_rows), 0)::HUGEINT, coalesce(sum(limn_right_rows), 0)::HUGEINT FROM limn_sums',
    )
  ).rows
  const [compared = 0n, differing = 0n, leftRows = 0n, rightRows = 0n] = totals.map((cell) => BigInt(String(cell)))
  const base = {
    schema: {
      onlyLeft: without(inLeft, both),
      onlyRight: without(inRight, both),
      types,
    },
    columns: [...both],
    keys,
    by,
    rows: { left: leftRows, right: rightRows },
  }
  const sameColumns = Object.values(base.schema).every((list) => list.length === 0)
  const none = { rows: 0n, shown: [] }
  if (differing === 0n)
    return {
      same: sameColumns,
      ...base,
      partitions: { compared: Number(compared), differing: 0, shown: [] },
      onlyLeft: none,
      onlyRight: none,
      changed: keys.length > 0 ? none : null,
    }
  tell(`rows of ${differing} partitions that differ`)
  const partitions = await session.rows(shownSql(names, limit))
  for (const sql of differingRowsSql([a, b], names)) await session.exec(sql)
  const only = async (side: 'left' | 'right') => {
    const count = await session.rows(onlySql(names, side, null))
    const shown = await session.rows(onlySql(names, side, limit))
    return {
      rows: BigInt(String(count.rows[0]?.[0] ?? 0)),
      shown: shown.rows.map((row) => ({ values: texts(row.slice(1)), times: BigInt(String(row[0])) })),
    }
  }
  return {
    same: false,
    ...base,
    partitions: {
      compared: Number(compared),
      differing: Number(differing),
      shown: partitions.rows.map((row) => ({
        values: texts(row.slice(4)),
        left: { rows: BigInt(String(row[0])), checksum: String(row[1]) },
        right: { rows: BigInt(String(row[2])), checksum: String(row[3]) },
      })),
    },
    onlyLeft: await only('left'),
    onlyRight: await only('right'),
    changed: keys.length === 0 ? null : await changedRows(session, names, limit),
  }
}

async function changedRows(session: Session, names: Names, limit: number): Promise<Divergence['changed']> {
  const count = await session.rows(changedSql(names, null))
  const { rows } = await session.rows(changedSql(names, limit))
  const rest = names.columns.filter((one) => !names.keys.includes(one.name))
  return {
    rows: BigInt(String(count.rows[0]?.[0] ?? 0)),
    shown: rows.map((row) => {
      const values = texts(row)
      const at = names.keys.length
      return {
        key: values.slice(0, at),
        columns: rest.flatMap(({ name }, i) => {
          const [left = null, right = null, differs] = values.slice(at + 3 * i, at + 3 * i + 3)
          return differs === 'true' ? [{ name, left, right }] : []
        }),
      }
    }),
  }
}

function texts(cells: readonly Cell[]): readonly (string | null)[] {
  return cells.map((cell) => (cell === null ? null : String(cell)))
}

function without(columns: ReadonlyMap<string, string>, shared: ReadonlySet<string>) {
  return [...columns].flatMap(([name, type]) => (shared.has(name) ? [] : [{ name, type }]))
}

function requireShared(names: readonly string[], shared: ReadonlySet<string>, what: string): readonly string[] {
  const missing = names.find((name) => !shared.has(name))
  if (missing === undefined) return names
  throw new LimnError('usage/argument', {
    message: `The ${what} ${quoteIdentifier(missing)} is not a column of both sides.`,
    notDone: 'Nothing was compared.',
    remedy: `Both have: ${[...shared].join(', ')}.`,
  })
}

function nothingShared(): LimnError {
  return new LimnError('usage/argument', {
    message: 'The two sides have no column in common.',
    notDone: 'No row was compared.',
    remedy: 'Names of columns are told by case; rename them on one side.',
  })
}
