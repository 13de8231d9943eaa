import { LimnError, type TableId } from '../../base/index.ts'
import { stringifyJson } from '../../encoding/index.ts'
import { columnsNamed, lineageOf, pushedDown, quoteIdentifier, quoteText, rootOf } from '../../sql/index.ts'
import { shapesOf } from '../project/check.ts'
import type { Code, WhyBook } from './book.ts'
import { expressionText } from './code-change.ts'
import { serialized } from './variant.ts'

/** Quoted names of a condition, those inside of texts left out. */
export function namesIn(condition: string): readonly string[] {
  return [...condition.replaceAll(/'(?:[^']|'')*'/g, '').matchAll(/"((?:[^"]|"")*)"/g)].map((one) => one[1] ?? '')
}

/** A condition with its quoted names put in the words of an input. */
export function renamedCondition(condition: string, through: ReadonlyMap<string, string>): string {
  return condition.replaceAll(/'(?:[^']|'')*'|"((?:[^"]|"")*)"/g, (token, name: string | undefined) =>
    name === undefined ? token : quoteIdentifier(through.get(name) ?? name),
  )
}

/** A condition of a dataset in the words of one of its inputs, or why it is none of that input. */
export type HandedDown =
  | { readonly from: string; readonly to: string }
  | { readonly from: string; readonly to: null; readonly why: string }

/**
 * Conditions that whoever looks for the cause of some rows may put to an input, by what its reader's definitions (one, or a
 * former and a present one, which must agree) do with it: rows that do not satisfy them made none of the rows asked about.
 */
export async function conditionsFor(
  book: WhyBook,
  input: TableId,
  codes: readonly Code[],
  conditions: readonly string[],
): Promise<readonly HandedDown[]> {
  if (conditions.length === 0) return []
  await using session = await book.context.engine.session([], { signal: book.context.signal })
  const template = await serialized(session, 'SELECT 1')
  const columns = columnsOf(book)
  const out: HandedDown[] = []
  for (const from of conditions) {
    const tree = rootOf(await serialized(session, `SELECT 1 WHERE (${from}\n)`))?.where_clause
    const said = new Set<string>()
    let why = codes.length === 0 ? 'its definition is not remembered' : null
    for (const code of codes) {
      const lineage = lineageOf(stringifyJson(code.tree), columns)
      const usesOf = (name: string) => lineage.columns.find((one) => one.name === name)?.uses ?? null
      const pushed = pushedDown(code.tree, tree, input, usesOf)
      if (pushed.kind === 'kept') why ??= pushed.why
      else said.add(await expressionText(session, pushed.condition, template))
    }
    const [to] = said
    if (why === null && said.size > 1) why = 'its definition has changed'
    if (why === null && to !== undefined && !(await holds(book, input, to))) why = `${input} has not these columns`
    out.push(why === null && to !== undefined ? { from, to } : { from, to: null, why: why ?? 'it has no condition' })
  }
  return out
}

/** The columns that a condition names. */
export async function columnsAsked(book: WhyBook, condition: string): Promise<readonly string[]> {
  await using session = await book.context.engine.session([], { signal: book.context.signal })
  const tree = rootOf(await serialized(session, `SELECT 1 WHERE (${condition}\n)`))?.where_clause
  return columnsNamed(tree).map((path) => path.at(-1) ?? '')
}

/** Whether a condition speaks of an input's columns alone. */
export async function holds(book: WhyBook, input: TableId, condition: string): Promise<boolean> {
  try {
    await book.context.engine.describe(`SELECT 1 FROM ${input} WHERE ${condition}`, shapesOf(book.context.project))
    return true
  } catch (error) {
    if (error instanceof LimnError) return false
    throw error
  }
}

/** That columns have some values, which are given as text; null is a value. */
export function oneOf(columns: readonly string[], values: readonly (readonly (string | null)[])[]): string {
  const row = (list: readonly (string | null)[]) =>
    columns
      .map((name, i) => {
        const value = list[i] ?? null
        return value === null
          ? `${quoteIdentifier(name)} IS NULL`
          : `${quoteIdentifier(name)}::VARCHAR = ${quoteText(value)}`
      })
      .join(' AND ')
  return values.map((one) => `(${row(one)})`).join(' OR ')
}

function columnsOf(book: WhyBook): ReadonlyMap<string, readonly string[]> {
  return new Map([...book.context.project.nodes].map(([id, node]) => [id, Object.keys(node.contract.columns)]))
}
