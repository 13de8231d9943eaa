import type { RunId } from '../base/index.ts'
import type { Look } from '../pipeline/index.ts'
import type { Io } from './io.ts'

/** The command that shows what a query finds in an unpublished run, ready for a POSIX shell. */
function lookCommand(run: RunId | string, { sql }: Look): string {
  return `limn sql --at run/${run} '${sql.replaceAll("'", `'\\''`)}'`
}

export function commandsOf(run: RunId | string, looks: readonly Look[]): readonly string[] {
  return looks.map((look) => lookCommand(run, look))
}

/** Prints how to look at what an unpublished run staged. */
export function printQueries(run: RunId | string, looks: readonly Look[], io: Io): void {
  for (const look of looks) {
    io.out(`Rows of ${look.dataset} ${look.shows}:`)
    io.out(`  ${lookCommand(run, look)}`)
  }
}

/** The same, and what can be done with it. */
export function printLooks(run: RunId | string, looks: readonly Look[], io: Io): void {
  printQueries(run, looks, io)
  if (looks.length > 0) io.out(`Mended? Go on with what still holds: limn runs retry ${run}`)
}
