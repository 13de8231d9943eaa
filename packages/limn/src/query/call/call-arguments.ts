import { LimnError } from '../../base/index.ts'
import { type Call, lexSql, type SqlText, stringValue } from '../../sql/index.ts'
import type { TableContext } from '../../table/index.ts'
import { duckText } from '../rewrite.ts'

/** The arguments of a CALL, by the names of the procedure's parameters. */
export class Arguments {
  private readonly context: TableContext
  private readonly values = new Map<string, SqlText>()
  private readonly procedure: string

  /** Arguments without a name go to the parameters in order. Throws `usage/argument` for one that there is not. */
  constructor(context: TableContext, call: Call, procedure: string, parameters: readonly string[]) {
    this.context = context
    this.procedure = procedure
    for (const [i, { name, value }] of call.arguments.entries()) {
      const wanted = name === null ? parameters[i] : parameters.find((one) => one === name.text.toLowerCase())
      if (wanted === undefined || this.values.has(wanted))
        throw this.wrong(
          name === null
            ? `takes at most ${parameters.length} arguments`
            : wanted === undefined
              ? `has no parameter ${name.text}`
              : `is given ${wanted} twice`,
          `Its parameters are: ${parameters.join(', ')}.`,
        )
      this.values.set(wanted, value)
    }
  }

  has(name: string): boolean {
    return this.values.has(name)
  }

  async text(name: string): Promise<string | undefined> {
    const value = await this.scalar(name, 'VARCHAR')
    return value === undefined ? undefined : String(value)
  }

  async long(name: string): Promise<bigint | undefined> {
    const value = await this.scalar(name, 'BIGINT')
    return value === undefined ? undefined : BigInt(String(value))
  }

  async count(name: string): Promise<number | undefined> {
    const value = await this.long(name)
    if (value === undefined) return undefined
    if (value >= 0n && value <= 2n ** 31n - 1n) return Number(value)
    throw this.wrong(`is given ${name} = ${value}`, 'Write a whole number that is not below zero.')
  }

  async flag(name: string): Promise<boolean | undefined> {
    const value = await this.scalar(name, 'BOOLEAN')
    return value === undefined ? undefined : value === true
  }

  /** A time in milliseconds since 1970; without a zone it is UTC. */
  async time(name: string): Promise<number | undefined> {
    const value = this.values.get(name)
    if (!value) return undefined
    return Number(await this.cell(name, `epoch_ms(CAST((${duckText(value.text)}\n) AS TIMESTAMPTZ))`))
  }

  /** `array(1, 2)` or `[1, 2]`. */
  async longs(name: string): Promise<readonly bigint[] | undefined> {
    const value = this.values.get(name)
    if (!value) return undefined
    const inside = insideOf(value.text, 'array')
    const list = inside === null ? duckText(value.text) : `[${inside}]`
    const joined = await this.cell(name, `array_to_string(CAST((${list}\n) AS BIGINT[]), ',')`)
    return String(joined)
      .split(',')
      .filter((one) => one !== '')
      .map(BigInt)
  }

  /** `array('a', 'b')` or `['a', 'b']`. */
  async texts(name: string): Promise<readonly string[] | undefined> {
    const value = this.values.get(name)
    if (!value) return undefined
    const inside = insideOf(value.text, 'array')
    const list = inside === null ? duckText(value.text) : `[${inside}]`
    const json: unknown = JSON.parse(String(await this.cell(name, `to_json(CAST((${list}\n) AS VARCHAR[]))::VARCHAR`)))
    return Array.isArray(json) ? json.filter((one) => one !== null).map(String) : []
  }

  /** `map('key', 'value', …)` of texts; `known` null: of any keys. */
  options(name: string, known: readonly string[] | null): ReadonlyMap<string, string> {
    const out = new Map<string, string>()
    const value = this.values.get(name)
    if (!value) return out
    const inside = insideOf(value.text, 'map')
    if (inside === null) throw this.wrong(`takes ${name} as a map`, `Write ${name} => map('key', 'value').`)
    const texts = [...lexSql(inside)]
      .map(({ start, end }) => inside.slice(start, end))
      .filter((raw) => raw !== ',')
      .map((raw) => stringValue(raw))
    for (let i = 0; i < texts.length; i += 2) {
      const [key = null, item = null] = texts.slice(i, i + 2)
      if (key === null || item === null)
        throw this.wrong(`takes ${name} as pairs of texts`, `Write ${name} => map('key', 'value').`)
      if (known && !known.includes(key))
        throw this.wrong(`has no option ${key}`, `Its options are: ${known.join(', ')}.`)
      out.set(key, item)
    }
    return out
  }

  required<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value
    throw this.wrong(`needs ${name}`, `Write CALL system.${this.procedure}(…, ${name} => …).`)
  }

  wrong(what: string, remedy: string): LimnError {
    return new LimnError('usage/argument', {
      message: `The procedure ${this.procedure} ${what}.`,
      notDone: 'Nothing was run.',
      remedy,
    })
  }

  private scalar(name: string, type: string): Promise<unknown> {
    const value = this.values.get(name)
    return value ? this.cell(name, `CAST((${duckText(value.text)}\n) AS ${type})`) : Promise.resolve(undefined)
  }

  private async cell(name: string, sql: string): Promise<unknown> {
    await using session = await this.context.engine.session([], { signal: this.context.signal })
    const { rows } = await session.rows(`SELECT ${sql}`).catch((error: unknown) => {
      if (!(error instanceof LimnError) || error.kind === 'interrupted') throw error
      const given = this.values.get(name)?.text ?? ''
      throw this.wrong(`is given ${name} => ${given}`, `${error.message} Write a value of the parameter's type.`)
    })
    const cell = rows[0]?.[0]
    if (cell === null || cell === undefined) throw this.wrong(`is given null for ${name}`, 'Write a value.')
    return cell
  }
}

/** What stands between the parentheses of `word(…)`; null where it is something else. */
function insideOf(text: string, word: string): string | null {
  const tokens = [...lexSql(text)]
  const raw = (at: number) => text.slice(tokens[at]?.start, tokens[at]?.end)
  const last = tokens.at(-1)
  if (tokens.length < 3 || raw(0).toLowerCase() !== word || raw(1) !== '(' || raw(tokens.length - 1) !== ')')
    return null
  return text.slice(tokens[1]?.end, last?.start)
}
