import { LimnError, randomUuid, type TableId } from '../../base/index.ts'
import {
  currentSchema,
  type Evolution,
  type EvolveOptions,
  evolveTable,
  type LoadedTable,
  type TableChange,
} from '../../iceberg/index.ts'
import { committed } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { requireUsableProperties } from '../write/write.ts'

/** Changes of metadata are tried this often; each attempt judges them anew by the table as it then is. */
const attemptsMax = 10

export interface Altered {
  readonly loaded: LoadedTable
  /** False when the table was already as wanted: nothing was committed. */
  readonly changed: boolean
}

/**
 * Changes a table's shape in one commit: columns, partitioning, order, properties, location, format version. No data file
 * is read or written, and rows stay readable as they are. All changes happen or none; when another commit changed the
 * shape meanwhile they are judged anew. Throws `schema/unsafe-change`, `schema/invalid-change`, `usage/argument`,
 * `usage/unknown-table`, `catalog/conflict`.
 */
export function alterTable(
  context: TableContext,
  table: TableId,
  changes: readonly TableChange[],
  options: Omit<EvolveOptions, 'tableUuid'> = {},
): Promise<Altered> {
  const tableUuid = randomUuid(context.randomness)
  return changeMetadata(context, table, ({ metadata }) => {
    for (const change of changes)
      if (change.kind === 'set-properties') requireUsableProperties(currentSchema(metadata), change.properties)
    return evolveTable(metadata, changes, { ...options, tableUuid })
  })
}

/** Loads, decides and commits until no other commit comes between. A decision without updates commits nothing. */
export async function changeMetadata(
  context: TableContext,
  table: TableId,
  decide: (loaded: LoadedTable) => Evolution,
): Promise<Altered> {
  const { catalog, clock, signal } = context
  for (let attempt = 1; ; attempt++) {
    const loaded = await loadTable(context, table)
    const { requirements, updates } = decide(loaded)
    if (updates.length === 0) return { loaded, changed: false }
    const outcome = await catalog.commit([{ table, requirements, updates }], { timestampMs: clock.nowMs(), signal })
    if (outcome.kind === 'conflict' && attempt < attemptsMax) continue
    return { loaded: committed(outcome, table).get(table) ?? loaded, changed: true }
  }
}

/** Throws `usage/unknown-table` when there is none. */
export async function loadTable(context: TableContext, table: TableId): Promise<LoadedTable> {
  const loaded = (await context.catalog.loadTables([table], { signal: context.signal })).get(table)
  if (loaded) return loaded
  throw new LimnError('usage/unknown-table', {
    message: `There is no table ${table}.`,
    notDone: 'Nothing was changed.',
    remedy: 'List the tables with: limn table ls',
  })
}
