import { quoteIdentifier } from '../../sql/index.ts'

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
