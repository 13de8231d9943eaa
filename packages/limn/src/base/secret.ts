import { LimnError } from './errors.ts'

/** A value that stands in the environment, not in the project. Resolved when it is used, and told to nobody. */
export interface Secret {
  readonly kind: 'env'
  readonly name: string
}

/** `env('PG_URL')`: the value of an environment variable, when it is needed. */
export function env(name: string): Secret {
  return { kind: 'env', name }
}

/** The text itself, or the variable's value. Throws `config/invalid` when the variable is not set. */
export function reveal(value: string | Secret, variables: Readonly<Record<string, string | undefined>>): string {
  if (typeof value === 'string') return value
  const found = variables[value.name]
  if (found !== undefined && found !== '') return found
  throw new LimnError('config/invalid', {
    message: `The environment variable ${value.name} is not set.`,
    notDone: 'What needs it was not done.',
    remedy: `Set it: ${value.name}=… limn …`,
  })
}

/** A text without the values of secrets, nor the parts of an address that tell them: `[PG_URL]` stands in their place. */
export function redact(
  text: string,
  secrets: readonly (string | Secret)[],
  variables: Readonly<Record<string, string | undefined>>,
): string {
  let out = text
  for (const secret of secrets) {
    if (typeof secret === 'string') continue
    const value = variables[secret.name]
    if (value === undefined || value === '') continue
    for (const part of [value, encodeURIComponent(value), ...partsOf(value)])
      if (part.length >= 4) out = out.replaceAll(part, `[${secret.name}]`)
  }
  return out
}

/** An address's password, path and query, which say as much as the whole. */
function partsOf(value: string): readonly string[] {
  if (!URL.canParse(value)) return []
  const url = new URL(value)
  return [url.href, url.password, `${url.pathname}${url.search}`, url.search, url.pathname, url.host]
}
