import { LimnError } from '../base/index.ts'
import { addUnits, type Interval, type IntervalUnit } from './interval.ts'

/**
 * Paths that name a time: `inbox/%Y-%m-%d/_SUCCESS`, with the fields of `strftime`. Times are microseconds as intervals have
 * them, without a zone.
 */

const fields = {
  '%Y': { unit: 'year', digits: 4 },
  '%m': { unit: 'month', digits: 2 },
  '%d': { unit: 'day', digits: 2 },
  '%H': { unit: 'hour', digits: 2 },
} as const satisfies Readonly<Record<string, { unit: IntervalUnit; digits: number }>>

type Field = keyof typeof fields
const order: readonly IntervalUnit[] = ['year', 'month', 'day', 'hour']
const anyField = /%[A-Za-z]/g

/** The unit whose intervals a template names one path each: that of its finest field. Throws `dataset/invalid`. */
export function unitOfTemplate(template: string): IntervalUnit {
  const found = [...template.matchAll(anyField)].map(([text]) => {
    if (isField(text)) return fields[text].unit
    throw invalid(`"${template}" has ${text}, which means nothing here.`)
  })
  const finest = order.findLast((unit) => found.includes(unit))
  if (!finest) throw invalid(`"${template}" names no time.`)
  const missing = order.slice(0, order.indexOf(finest)).find((unit) => !found.includes(unit))
  if (missing) throw invalid(`"${template}" names the ${finest}, but not the ${missing} it is of.`)
  return finest
}

/** The path of a time: fields filled in. */
export function pathAt(template: string, at: number): string {
  const text = new Date(Math.floor(at / 1000)).toISOString()
  const values: Readonly<Record<Field, string>> = {
    '%Y': text.slice(0, 4),
    '%m': text.slice(5, 7),
    '%d': text.slice(8, 10),
    '%H': text.slice(11, 13),
  }
  return template.replaceAll(anyField, (field) => (isField(field) ? values[field] : field))
}

/** A glob that matches the paths of all times, and others. */
export function globOfTemplate(template: string): string {
  return template.replaceAll(anyField, '*')
}

/** The interval a path names by its template, or null when it is not one of the template's. */
export function intervalOfPath(template: string, path: string): Interval | null {
  const seen = new Set<string>()
  const form = template.split(/(%[A-Za-z])/).map((part) => {
    if (!isField(part)) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    const name = fields[part].unit
    if (seen.has(name)) return `\\k<${name}>`
    seen.add(name)
    return `(?<${name}>\\d{${fields[part].digits}})`
  })
  const groups = new RegExp(`^${form.join('')}$`).exec(path)?.groups
  if (!groups) return null
  const millis = Date.UTC(
    Number(groups.year),
    Number(groups.month ?? '1') - 1,
    Number(groups.day ?? '1'),
    Number(groups.hour ?? '0'),
  )
  const start = millis * 1000
  // 2026-02-31 is no day: the calendar would read it as one of March.
  if (pathAt(template, start) !== path) return null
  return { start, end: addUnits(unitOfTemplate(template), start, 1) }
}

function isField(text: string): text is Field {
  return text in fields
}

function invalid(message: string): LimnError {
  return new LimnError('dataset/invalid', {
    message,
    notDone: 'Nothing was run.',
    remedy: 'Write %Y, %m, %d and %H for year, month, day and hour: inbox/%Y-%m-%d/_SUCCESS.',
  })
}
