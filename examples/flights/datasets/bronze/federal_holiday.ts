import { ingest, source } from 'limn'

/** The statutory public holidays of 5 U.S.C. 6103 as they stood in 2001. */
const fixed = [
  ["New Year's Day", 1, 1],
  ['Independence Day', 7, 4],
  ['Veterans Day', 11, 11],
  ['Christmas Day', 12, 25],
] as const
/** Name, month, weekday (0 is Sunday), and which one of the month; -1 is the last. */
const floating = [
  ['Birthday of Martin Luther King, Jr.', 1, 1, 3],
  ["Washington's Birthday", 2, 1, 3],
  ['Memorial Day', 5, 1, -1],
  ['Labor Day', 9, 1, 1],
  ['Columbus Day', 10, 1, 2],
  ['Thanksgiving Day', 11, 4, 4],
] as const

const first = 2000
const last = 2002

function iso(year: number, month: number, day: number): string {
  return new Date(Date.UTC(year, month - 1, day)).toISOString().slice(0, 10)
}

function nthWeekday(year: number, month: number, weekday: number, nth: number): string {
  if (nth < 0) {
    const end = new Date(Date.UTC(year, month, 0))
    return iso(year, month, end.getUTCDate() - ((end.getUTCDay() - weekday + 7) % 7))
  }
  const start = new Date(Date.UTC(year, month - 1, 1)).getUTCDay()
  return iso(year, month, 1 + ((weekday - start + 7) % 7) + 7 * (nth - 1))
}

/** A holiday on Saturday is observed on Friday, one on Sunday on Monday. */
function observed(date: string): string {
  const at = new Date(`${date}T00:00:00Z`)
  const shift = at.getUTCDay() === 6 ? -1 : at.getUTCDay() === 0 ? 1 : 0
  return new Date(at.getTime() + shift * 86_400_000).toISOString().slice(0, 10)
}

function holidaysOf(year: number) {
  const dates = [
    ...fixed.map(([name, month, day]) => ({ name, date: iso(year, month, day) })),
    ...floating.map(([name, month, weekday, nth]) => ({ name, date: nthWeekday(year, month, weekday, nth) })),
  ]
  return dates.map((one) => ({ ...one, observed_date: observed(one.date) })).sort((a, b) => (a.date < b.date ? -1 : 1))
}

export const federalHoliday = ingest('bronze.federal_holiday', {
  doc: 'One row per US federal holiday and year, by the statute.',
  owner: 'calendar',
  from: source(async function* ({ cursor, signal }) {
    for (let year = typeof cursor === 'number' ? cursor + 1 : first; year <= last; year++) {
      signal.throwIfAborted()
      yield { rows: holidaysOf(year), cursor: year }
    }
  }),
  columns: {
    name: { type: 'string', doc: 'Name in the statute.' },
    date: { type: 'date', doc: 'The day itself.' },
    observed_date: { type: 'date', doc: 'The weekday on which federal offices close.' },
  },
})
