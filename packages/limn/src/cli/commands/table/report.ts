import { type TableId, tableId } from '../../../base/index.ts'
import { type Lake, liveRunsOf, loadTable } from '../../../lake/index.ts'
import type { Invocation } from '../../main.ts'
import { toJson } from '../../text.ts'
import { openLake, textOption } from '../open.ts'

/** What a verb that maintains one table works with. */
export interface Maintaining {
  readonly lake: Lake
  readonly table: TableId
  readonly dryRun: boolean
  /** Arguments behind the verb and the table's name. */
  readonly rest: readonly string[]
}

/** Opens the lake, checks that the table is there, and does the work. */
export async function onTable(invocation: Invocation, body: (input: Maintaining) => Promise<void>): Promise<number> {
  const [, name = '', ...rest] = invocation.args
  await using lake = await openLake(invocation)
  const table = tableId(name)
  await loadTable(lake, table)
  await body({ lake, table, rest, dryRun: invocation.options.dryRun === true })
  return 0
}

/** Options that all maintenance takes from the lake and the command line. */
export async function maintenanceOf({ lake, table, dryRun }: Maintaining, invocation: Invocation) {
  const context = await lake.context()
  const branch = textOption(invocation, 'branch')
  return {
    context,
    common: { dryRun, progress: context.progress, ...(branch === undefined ? {} : { branch }) },
    live: await liveRunsOf(lake, table),
  }
}

/** Prints JSON, or lines; what a dry run did not do is said. */
export function report(
  invocation: Invocation,
  value: Readonly<Record<string, unknown>>,
  lines: readonly string[],
): void {
  const dryRun = invocation.options.dryRun === true
  if (invocation.io.json) invocation.io.out(toJson({ ...value, dryRun }))
  else invocation.io.out([...lines, ...(dryRun ? ['(dry run: nothing was changed)'] : [])].join('\n'))
}

export function idText(id: bigint | null): string | null {
  return id === null ? null : String(id)
}

/** Members whose value is given. */
export function given<T extends Readonly<Record<string, unknown>>>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
