import type { Session } from '../../engine/index.ts'
import { isInexact, isNumeric } from '../diff/row-diff-sql.ts'

/** How the values of one column became others, over all pairs of old and new. */
export type Pattern =
  | { readonly kind: 'null' }
  /** Every time moved by one offset, or by two that a summer time would give. */
  | { readonly kind: 'shift'; readonly hours: readonly number[] }
  | { readonly kind: 'factor'; readonly factor: number; readonly named: string | null }
  /** To so many digits behind the point; negative: before it. */
  | { readonly kind: 'rounded'; readonly digits: number }
  | { readonly kind: 'none' }

/** Values that a factor or a rounding has to be seen on before it is called one. */
const distinctMin = 3

const quarterHour = 900_000_000

/** A factor, what it does, and what its inverse does. */
const namedFactors: readonly (readonly [number, string, string])[] = [
  [60, 'minutes to seconds', 'seconds to minutes'],
  [3600, 'hours to seconds', 'seconds to hours'],
  [24, 'days to hours', 'hours to days'],
  [1000, 'as kilometres to metres', 'as metres to kilometres'],
  [1_000_000, 'millions to ones', 'ones to millions'],
  [100, 'as euros to cents', 'as cents to euros'],
  [1.609344, 'miles to kilometres', 'kilometres to miles'],
  [1.852, 'nautical miles to kilometres', 'kilometres to nautical miles'],
  [0.3048, 'feet to metres', 'metres to feet'],
  [2.2046226218, 'kilograms to pounds', 'pounds to kilograms'],
]

/** The pattern of the pairs (`o`, `n`) of a temporary table, all of which differ. */
export async function patternOf(session: Session, pairs: string, type: string): Promise<Pattern> {
  const [counts] = (await session.rows(`SELECT count(*), count(o), count(n) FROM ${pairs}`)).rows
  const [all = 0, old = 0, fresh = 0] = (counts ?? []).map(Number)
  if (all === 0) return { kind: 'none' }
  if (old === all && fresh === 0) return { kind: 'null' }
  if (old < all || fresh < all) return { kind: 'none' }
  if (/^(TIMESTAMP|DATE)/.test(type)) return shiftOf(session, pairs)
  if (!isNumeric(type)) return { kind: 'none' }
  return (await roundedOf(session, pairs)) ?? (await factorOf(session, pairs, type)) ?? { kind: 'none' }
}

async function shiftOf(session: Session, pairs: string): Promise<Pattern> {
  const { rows } = await session.rows(
    `SELECT DISTINCT epoch_us(n::TIMESTAMP) - epoch_us(o::TIMESTAMP) AS d FROM ${pairs} ORDER BY d LIMIT 3`,
  )
  const offsets = rows.map((row) => Number(row[0]))
  const zone = offsets.every((one) => one !== 0 && one % quarterHour === 0 && Math.abs(one) <= 104 * quarterHour)
  // Of a zone with a summer time, the offsets are an hour apart.
  const [first = 0, second = first] = offsets
  const seasons = offsets.length === 1 || (offsets.length === 2 && second - first === 4 * quarterHour)
  return zone && seasons ? { kind: 'shift', hours: offsets.map((one) => one / 3_600_000_000) } : { kind: 'none' }
}

async function roundedOf(session: Session, pairs: string): Promise<Pattern | null> {
  for (let digits = 8; digits >= -6; digits--) {
    const rounded = `round(o::DOUBLE, ${digits})`
    const cut = `trunc(o::DOUBLE * 1e${digits}) / 1e${digits}`
    const equal = (sql: string) => `abs(n::DOUBLE - ${sql}) <= 1e-12 * greatest(abs(n::DOUBLE), 1e-6)`
    const { rows } = await session.rows(
      `SELECT bool_and(${equal(rounded)}) OR bool_and(${equal(cut)}), count(DISTINCT o), count(DISTINCT n) FROM ${pairs}`,
    )
    const [fits, distinct, results] = rows[0] ?? []
    if (fits === true && Number(distinct) >= distinctMin && Number(results) > 1) return { kind: 'rounded', digits }
  }
  return null
}

async function factorOf(session: Session, pairs: string, type: string): Promise<Pattern | null> {
  // The largest values tell a factor best where results are whole numbers.
  const { rows } = await session.rows(
    `SELECT median(n::DOUBLE / o::DOUBLE), count(DISTINCT o) FROM (SELECT o, n FROM ${pairs} WHERE o <> 0 ORDER BY abs(o) DESC LIMIT 1000)`,
  )
  const [found = null, distinct = 0] = rows[0] ?? []
  if (found === null || Number(distinct) < distinctMin) return null
  const named = nameOf(Number(found))
  const factor = named?.[0] ?? Number(found)
  if (factor === 0 || factor === 1) return null
  const slack = isInexact(type) ? `1e-9 * abs(n::DOUBLE)` : `greatest(0.500001, 1e-9 * abs(n::DOUBLE))`
  const whole = isInexact(type)
    ? slack
    : slack.replace('0.500001', type.startsWith('DECIMAL') ? '0.0050001' : '0.500001')
  const check = await session.rows(`SELECT bool_and(abs(n::DOUBLE - o::DOUBLE * ${factor}) <= ${whole}) FROM ${pairs}`)
  return check.rows[0]?.[0] === true ? { kind: 'factor', factor, named: named?.[1] ?? null } : null
}

function nameOf(ratio: number): readonly [number, string] | null {
  for (const [factor, name, inverse] of namedFactors) {
    if (Math.abs(ratio / factor - 1) < 1e-3) return [factor, name]
    if (Math.abs(ratio * factor - 1) < 1e-3) return [1 / factor, inverse]
  }
  return null
}

/** A pattern in words, as what became of a column's values. */
export function patternText(pattern: Pattern, column: string): string {
  switch (pattern.kind) {
    case 'null':
      return `${column} became null`
    case 'shift':
      return `${column} moved by ${pattern.hours.map((one) => `${one > 0 ? '+' : '−'}${Math.abs(one)} h`).join(' or ')}`
    case 'factor':
      return `${column} was multiplied by ${Number(pattern.factor.toPrecision(7))}${pattern.named ? ` (${pattern.named})` : ''}`
    case 'rounded':
      return pattern.digits > 0
        ? `${column} was rounded to ${pattern.digits} ${pattern.digits === 1 ? 'digit' : 'digits'}`
        : `${column} was rounded to ${pattern.digits === 0 ? 'whole numbers' : `multiples of ${10 ** -pattern.digits}`}`
    case 'none':
      return `${column} has other values`
  }
}
