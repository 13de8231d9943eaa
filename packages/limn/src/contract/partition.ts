/** A partition term as written: a column, a transform's name, and its argument where it has one. */
export interface PartitionTermParts {
  readonly column: string
  readonly transform: 'identity' | 'year' | 'month' | 'day' | 'hour' | 'bucket' | 'truncate'
  /** Of bucket and truncate; 0 otherwise. */
  readonly argument: number
}

/** A partition term taken apart, or null when it is not understood. */
export function parsePartitionTerm(term: string): PartitionTermParts | null {
  const call = /^(\w+)\(\s*(?:(\d+)\s*,\s*)?(\w+)\s*\)$/.exec(term.trim())
  if (!call) return /^\w+$/.test(term.trim()) ? { column: term.trim(), transform: 'identity', argument: 0 } : null
  const [, name, count, column = ''] = call
  switch (name) {
    case 'year':
    case 'month':
    case 'day':
    case 'hour':
      return count === undefined ? { column, transform: name, argument: 0 } : null
    case 'bucket':
    case 'truncate':
      return count === undefined ? null : { column, transform: name, argument: Number(count) }
    default:
      return null
  }
}
