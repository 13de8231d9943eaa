import { type Branded, isTableId, LimnError, type TableId, tableId } from '../base/index.ts'

/** The name of an environment other than production. */
export type EnvironmentName = Branded<'EnvironmentName'>

/** The lake's own tables, under their own names. */
export const production = 'prod'

const form = /^[a-z][a-z0-9]*$/

/**
 * The only maker of an `EnvironmentName`: lower-case letters and digits, no underscore, so that the prefix of one is never
 * that of another. Throws `usage/argument`.
 */
export function environmentName(text: string): EnvironmentName {
  if (form.test(text) && text !== production) return text as EnvironmentName
  throw new LimnError('usage/argument', {
    message:
      text === production
        ? `${production} is the lake itself, not an environment of it.`
        : `"${text}" is no name of an environment.`,
    notDone: 'Nothing was run.',
    remedy: 'Use lower-case letters and digits, for example dev.',
  })
}

/** What stands before the namespaces of an environment's tables in the catalog. */
export function environmentPrefix(name: EnvironmentName): string {
  return `${name}__`
}

/** The name in the catalog of an environment's table: `silver.flight` in `dev` is `dev__silver.flight`. */
export function nameIn(environment: EnvironmentName, table: TableId): TableId {
  return tableId(`${environmentPrefix(environment)}${table}`)
}

/** What a table of the catalog is called within an environment; null: it is not one of its tables. */
export function nameOutOf(environment: EnvironmentName, table: TableId): TableId | null {
  const prefix = environmentPrefix(environment)
  const rest = table.startsWith(prefix) ? table.slice(prefix.length) : ''
  return isTableId(rest) ? rest : null
}
