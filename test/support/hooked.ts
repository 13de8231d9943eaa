import { Lake } from 'limn'
import type { RunReport } from '../../packages/limn/dist/pipeline/index.js'

type Edge = 'before' | 'after'

/** Runs a lake in this process with a hook at named steps: the hook may write to tables, as another process would. */
export async function runWithHook(
  folder: string,
  hook: (name: string, edge: Edge, detail: string) => void | Promise<void>,
): Promise<RunReport> {
  await using lake = await Lake.open({ cwd: folder, steps: { reach: hook } })
  return await lake.run()
}

/** A direct write to a table, past any run: what another engine or person does. */
export async function writeDirectly(
  folder: string,
  table: string,
  change:
    | { readonly kind: 'append'; readonly sql: string }
    | { readonly kind: 'overwrite'; readonly filter: string; readonly sql: string },
  options: { readonly writeWaitMs?: number } = {},
): Promise<void> {
  const { append, overwrite } = await import('../../packages/limn/dist/table/index.js')
  const { tableId } = await import('../../packages/limn/dist/base/index.js')
  await using lake = await Lake.open({ cwd: folder, ...options })
  const context = await lake.context()
  const id = tableId(table)
  if (change.kind === 'append') await append(context, id, { sql: change.sql })
  else await overwrite(context, id, change.filter, { sql: change.sql })
}

/** One value of a query. */
export async function oneValue(folder: string, sql: string): Promise<unknown> {
  const { parseAt, query } = await import('../../packages/limn/dist/lake/index.js')
  await using lake = await Lake.open({ cwd: folder })
  return (await query(lake, sql, parseAt(undefined))).rows[0]?.[0]
}
