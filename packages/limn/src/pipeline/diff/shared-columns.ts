import { LimnError } from '../../base/index.ts'
import type { Session } from '../../engine/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { schemaOfPin } from '../../table/index.ts'
import type { RowDiff, RowSide } from './row-diff.ts'
import type { SharedColumn } from './row-diff-sql.ts'

/** Two sides bound in one session. */
export interface Sides {
  readonly before: RowSide
  readonly after: RowSide
  /** What stands behind FROM; null: nothing is there. */
  readonly left: string | null
  readonly right: string | null
  /** Whether rows of equal files are bound too. */
  readonly equal: boolean
}

/** The columns of both sides, and what they are compared as. */
export async function shapeOf(session: Session, sides: Sides) {
  const columnsOf = async (from: string | null) =>
    from === null
      ? null
      : (await session.rows(`DESCRIBE SELECT * FROM ${from}`)).rows.map((row) => ({
          name: String(row[0]),
          type: String(row[1]),
        }))
  const [left, right] = [await columnsOf(sides.left), await columnsOf(sides.right)]
  const [before, after] = [left ?? right ?? [], right ?? left ?? []]
  const formerNames = formerNamesOf(sides)
  const taken = new Set<string>()
  const columns: SharedColumn[] = []
  const compared: SharedColumn[] = []
  const [added, renamed, retyped]: [
    RowDiff['columns']['added'][number][],
    RowDiff['columns']['renamed'][number][],
    RowDiff['columns']['retyped'][number][],
  ] = [[], [], []]
  for (const { name, type } of after) {
    const former = formerNames === null ? name : formerNames.get(name)
    const old = before.find((one) => one.name === former)
    if (!old) {
      added.push({ name, type })
      columns.push({ name, type, before: null, after: name })
      continue
    }
    taken.add(old.name)
    const common = old.type === type ? type : await unionType(session, old.type, type)
    const one = { name, type: common, before: old.name, after: name }
    columns.push(one)
    compared.push(one)
    if (old.name !== name) renamed.push({ before: old.name, after: name })
    if (old.type !== type) retyped.push({ name, before: old.type, after: type, compared: common })
  }
  const removed = before.filter((one) => !taken.has(one.name))
  for (const { name, type } of removed)
    if (!columns.some((one) => one.name === name)) columns.push({ name, type, before: name, after: null })
  if (compared.length === 0)
    throw new LimnError('usage/argument', {
      message: 'The two sides have no column in common.',
      notDone: 'No row was compared.',
      remedy: 'Name columns alike on both sides.',
    })
  return { columns, compared, added, removed, renamed, retyped }
}

/** Of states of one table: what the fields that have a name now were called before. Null: names are compared. */
function formerNamesOf({ before, after }: Sides): ReadonlyMap<string, string> | null {
  if (before.kind !== 'table' || after.kind !== 'table') return null
  if (before.pin.metadata.tableUuid !== after.pin.metadata.tableUuid) return null
  const known = new Map(schemaOfPin(before.pin).fields.map((field) => [field.id, field.name]))
  return new Map(
    schemaOfPin(after.pin).fields.flatMap((field) => {
      const name = known.get(field.id)
      return name === undefined ? [] : [[field.name, name] as const]
    }),
  )
}

/** The type that values of both go into; text where there is none. */
async function unionType(session: Session, a: string, b: string): Promise<string> {
  try {
    const { rows } = await session.rows(`DESCRIBE SELECT NULL::${a} UNION ALL SELECT NULL::${b}`)
    return String(rows[0]?.[1] ?? 'VARCHAR')
  } catch (error) {
    if (error instanceof LimnError) return 'VARCHAR'
    throw error
  }
}

export function noRows(columns: readonly SharedColumn[]): string {
  const list = columns.map((one) => `NULL::${one.type} AS ${quoteIdentifier(one.before ?? one.name)}`)
  return `(SELECT ${list.join(', ')} WHERE false)`
}
