import { quoteText } from '../../../sql/index.ts'
import type { BoundFile } from '../../bound.ts'

/** What is known of each file of a part, as SQL over `file_index` of what reads it (`x`). */
export interface FileFacts {
  readonly path: string
  readonly spec: string
  /** The id of the file's first row; null where rows have none. */
  readonly rowId: string
  readonly sequence: string
  /** The number of the partition; null where no equality delete is scoped by it. */
  readonly scope: string
}

/** Sets a variable of the connection and returns an expression for it. */
export type SetVariable = (value: string) => string

/** Longer lists are kept in a variable: as text they would be parsed anew by every query. */
const listedMax = 100

/**
 * Looked up in lists, not joined: the planner would take a join with a few files for a few rows, and build its hash tables
 * on the wrong side. A fact that all files share is a constant. `scopes` numbers the partitions that equality deletes name.
 */
export function fileFacts(
  files: readonly BoundFile[],
  scopes: ReadonlyMap<string, number>,
  setVariable: SetVariable,
): FileFacts {
  const lookUp = (type: string, of: (file: BoundFile) => string | null) => {
    const values = files.map((file) => of(file) ?? 'NULL')
    const [first = 'NULL'] = values
    if (values.every((value) => value === first)) return `(${first})::${type}`
    const list = `[${values.join(', ')}]::${type}[]`
    return `(${values.length > listedMax ? setVariable(list) : list})[x.file_index::BIGINT + 1]`
  }
  const numbered = (scope: string | undefined) => (scope === undefined ? undefined : scopes.get(scope))
  const long = (value: bigint | number | undefined) => (value === undefined ? null : String(value))
  return {
    path: lookUp('VARCHAR', (file) => quoteText(file.path ?? file.local)),
    spec: lookUp('INTEGER', (file) => (file.specId === undefined ? null : String(file.specId))),
    rowId: lookUp('BIGINT', (file) => long(file.firstRowId)),
    sequence: lookUp('BIGINT', (file) => long(file.dataSequenceNumber)),
    scope: lookUp('INTEGER', (file) => long(numbered(file.scope))),
  }
}
