import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A version of the change log: its day of arrival and its line. */
export interface Arrival {
  readonly day: string
  readonly line: string
}

/** Puts one delivery into the lake's inbox: the versions that arrived, under the name of their first day. */
export function land(folder: string, header: string, arrivals: readonly Arrival[]): void {
  const [first] = arrivals
  if (!first) return
  mkdirSync(join(folder, 'inbox'), { recursive: true })
  writeFileSync(
    join(folder, 'inbox', `${first.day}.csv`),
    `${[header, ...arrivals.map((one) => one.line)].join('\n')}\n`,
  )
}

/** The change log's header and its lines by day of arrival, in order. */
export function byDay(log: string): {
  readonly header: string
  readonly days: ReadonlyMap<string, readonly Arrival[]>
} {
  const [header = '', ...lines] = log.trimEnd().split(/\r?\n/)
  return {
    header,
    days: Map.groupBy(
      lines.map((line) => ({ day: line.slice(0, 10), line })),
      ({ day }) => day,
    ),
  }
}
