import { type Delete, quoteIdentifier, type Truncate, type Update } from '../sql/index.ts'
import { aliasOf, deleteRows, layoutOf, type TableContext, truncateTable, updateRows } from '../table/index.ts'
import { again } from './again.ts'
import { newValues, type SetColumn } from './assignments.ts'
import { Bindings, rowsOf } from './bindings.ts'
import { type OwnerOf, targetOf } from './guard.ts'
import { loadTarget } from './names.ts'
import type { RowsChanged } from './result.ts'
import { readAtOf, type SelectOptions } from './select.ts'
import { changedOf } from './totals.ts'

/** Runs an UPDATE: in one snapshot, values cast to the columns' types. */
export function runUpdate(
  context: TableContext,
  statement: Update,
  owner: OwnerOf,
  options: SelectOptions,
): Promise<RowsChanged> {
  const target = targetOf(statement.table, owner)
  const alias = statement.alias?.text ?? aliasOf(target.table)
  return again(async () => {
    const { schema } = layoutOf((await loadTarget(context, target)).metadata)
    const bindings = new Bindings(context, statement, options)
    const scope = rowsOf(target.table, alias)
    const assignments: SetColumn[] = []
    for (const { column, value } of statement.set)
      assignments.push({ column, sql: value && (await bindings.expression(scope, value, 'value')) })
    const set = newValues(schema, assignments, (field) => `${quoteIdentifier(alias)}.${quoteIdentifier(field.name)}`)
    const filter = statement.where ? await bindings.expression(scope, statement.where, 'condition') : 'TRUE'
    await using open = await bindings.open()
    const input = { filter, set: Object.fromEntries(set), alias, tables: open.bound }
    const change = await updateRows(context, target.table, input, {
      branch: target.branch,
      onConflict: 'fail',
      ...readAtOf(bindings.heads, target),
    })
    return changedOf('update', target, change, { updated: change.updated, copied: change.copied })
  })
}

/** Runs a DELETE; without a condition every row goes, by metadata alone. */
export function runDelete(
  context: TableContext,
  statement: Delete,
  owner: OwnerOf,
  options: SelectOptions,
): Promise<RowsChanged> {
  const target = targetOf(statement.table, owner)
  const alias = statement.alias?.text ?? aliasOf(target.table)
  return again(async () => {
    await loadTarget(context, target)
    const bindings = new Bindings(context, statement, options)
    const { where } = statement
    const filter = where ? await bindings.expression(rowsOf(target.table, alias), where, 'condition') : 'TRUE'
    await using open = await bindings.open()
    const input = { filter, alias, tables: open.bound }
    const change = await deleteRows(context, target.table, input, {
      branch: target.branch,
      onConflict: 'fail',
      ...readAtOf(bindings.heads, target),
    })
    return changedOf('delete', target, change, { deleted: change.deleted, copied: change.copied })
  })
}

/** Runs a TRUNCATE. */
export async function runTruncate(context: TableContext, statement: Truncate, owner: OwnerOf): Promise<RowsChanged> {
  const target = targetOf(statement.table, owner)
  await loadTarget(context, target)
  const change = await truncateTable(context, target.table, { branch: target.branch })
  return changedOf('truncate', target, change, { deleted: change.deleted })
}
