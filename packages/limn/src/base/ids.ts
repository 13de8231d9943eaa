import { LimnError } from './errors.ts'

/** A string that only its own parser can make. */
export type Branded<Name extends string> = string & { readonly __brand: Name }

/** `namespace.name`, both lower-case identifiers: a dataset and its table carry the same id. */
export type TableId = Branded<'TableId'>

const identifier = /^[a-z_][a-z0-9_]*$/

/** The only maker of a `TableId`. Throws `dataset/invalid` when `text` is not `namespace.name` in lower-case identifiers. */
export function tableId(text: string): TableId {
  const parts = text.split('.')
  if (parts.length !== 2 || !parts.every((part) => identifier.test(part))) {
    throw new LimnError('dataset/invalid', {
      message: `"${text}" is not a dataset name.`,
      remedy: 'Use namespace.name with lower-case letters, digits and underscores, for example silver.flight.',
    })
  }
  return text as TableId
}

export function isTableId(text: string): text is TableId {
  const parts = text.split('.')
  return parts.length === 2 && parts.every((part) => identifier.test(part))
}

export function namespaceOf(id: TableId): string {
  return id.slice(0, id.indexOf('.'))
}

export function nameOf(id: TableId): string {
  return id.slice(id.indexOf('.') + 1)
}

/** Identifies one run: sortable by start time, unique by its random tail. */
export type RunId = Branded<'RunId'>

const runIdForm = /^\d{8}T\d{6}-[0-9a-f]{6}$/

export function isRunId(text: string): text is RunId {
  return runIdForm.test(text)
}

export function runId(text: string): RunId {
  if (!isRunId(text)) {
    throw new LimnError('usage/unknown-run', {
      message: `"${text}" is not a run id.`,
      remedy: 'List the runs with: limn runs ls',
    })
  }
  return text
}

/** A new run id from the start time (milliseconds since the epoch, UTC) and 24 random bits. */
export function newRunId(startedAtMs: number, random24: number): RunId {
  const stamp = new Date(startedAtMs).toISOString().replace(/[-:]/g, '').slice(0, 15)
  return runId(`${stamp}-${(random24 & 0xffffff).toString(16).padStart(6, '0')}`)
}
