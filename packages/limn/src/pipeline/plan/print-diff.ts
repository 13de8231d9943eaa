import type { FileEngine } from '../../engine/index.ts'
import type { DefinitionChange, DefinitionDiff, Shown } from './definition-diff.ts'

/** A difference between two definitions as text. */
export interface PrintedChange {
  readonly kind: DefinitionChange['kind']
  /** The column, the part of the query (`filter`, `join`, …), the part of the contract, or the check. */
  readonly subject: string
  readonly before: string | null
  readonly after: string | null
}

/** The differences as SQL text. */
export async function printDiff(engine: FileEngine, diff: DefinitionDiff): Promise<readonly PrintedChange[]> {
  const text = async (shown: Shown): Promise<string | null> =>
    shown === null || typeof shown === 'string' ? shown : engine.printExpression(shown)
  const out: PrintedChange[] = []
  for (const change of diff.changes) {
    switch (change.kind) {
      case 'column-added':
        out.push({ kind: change.kind, subject: change.column, before: null, after: await text(change.after) })
        break
      case 'column-removed':
        out.push({ kind: change.kind, subject: change.column, before: await text(change.before), after: null })
        break
      case 'column-changed':
      case 'rows-changed':
      case 'contract-changed':
      case 'producer-changed': {
        const subject =
          change.kind === 'column-changed' ? change.column : change.kind === 'rows-changed' ? change.part : change.path
        out.push({ kind: change.kind, subject, before: await text(change.before), after: await text(change.after) })
        break
      }
      case 'check-changed':
        out.push({
          kind: change.kind,
          subject: change.check,
          before: await text(change.before),
          after: await text(change.after),
        })
        break
      case 'respelled':
        out.push({ kind: change.kind, subject: 'the query, in how it is written', before: null, after: null })
        break
      case 'unknown':
        out.push({ kind: change.kind, subject: change.why, before: null, after: null })
        break
    }
  }
  return out
}
