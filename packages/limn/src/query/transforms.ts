import type { Transform } from '../iceberg/index.ts'
import type { Term } from '../sql/index.ts'

/** A term's transform as the format has it. */
export function transformOf(term: Term): Transform {
  switch (term.transform) {
    case 'bucket':
      return { kind: 'bucket', count: term.argument ?? 1 }
    case 'truncate':
      return { kind: 'truncate', width: term.argument ?? 1 }
    default:
      return { kind: term.transform }
  }
}
