import type { TableId } from '../../base/index.ts'
import type { Node } from '../project/node.ts'
import { type DefinitionDiff, edgePath } from './definition-diff.ts'
import type { PlanFacts } from './plan.ts'

/** What becomes of intervals that an earlier definition built, where a change is for new ones only. */

type Facts = Pick<PlanFacts, 'diffs' | 'request' | 'since'>

/** Whether a definition that differs makes its intervals stale, or stands for later ones only. */
export function counts(node: Node, facts: Facts, fingerprint: string): boolean {
  if (facts.since && !facts.since.redefined.has(node.id)) return false
  return facts.request.forwardOnly !== true || divides(diffOf(node, facts, fingerprint))
}

/**
 * Whether rows that a definition built are let stand although the present one reads an input which that one did not read. One
 * that the lake does not remember may have read anything.
 */
export function standsWithout(node: Node, facts: Facts, fingerprint: string, input: TableId): boolean {
  if (facts.request.forwardOnly !== true || fingerprint === node.fingerprint) return false
  if (counts(node, facts, fingerprint)) return false
  const path = edgePath(input)
  const changes = diffOf(node, facts, fingerprint)?.changes ?? []
  return changes.some((one) => one.kind === 'producer-changed' && one.path === path && one.before === null)
}

/** Whether rows are divided into other intervals than before: what was built is then no interval of the present definition. */
function divides(diff: DefinitionDiff | undefined): boolean {
  const parts = ['interval kind', 'interval unit', 'interval column', 'interval columnType']
  return diff?.changes.some((change) => change.kind === 'producer-changed' && parts.includes(change.path)) ?? false
}

function diffOf(node: Node, facts: Facts, fingerprint: string): DefinitionDiff | undefined {
  return facts.diffs?.get(`${node.id} ${fingerprint}`)
}
