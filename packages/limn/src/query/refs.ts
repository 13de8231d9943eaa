import type { TableId } from '../base/index.ts'
import type { RefChange, Retention } from '../iceberg/index.ts'
import type { AlterAction, RefRetention } from '../sql/index.ts'
import { alterRefs, type TableContext } from '../table/index.ts'
import { loadTable } from './names.ts'
import type { StatementResult } from './result.ts'

export type RefAction = Extract<AlterAction, { kind: 'createRef' | 'dropRef' }>

/** Runs ALTER TABLE … CREATE, REPLACE or DROP of a BRANCH or TAG. */
export async function runRefAction(
  context: TableContext,
  table: TableId,
  action: RefAction,
): Promise<Extract<StatementResult, { kind: 'altered' }>> {
  const { metadata } = await loadTable(context, table)
  const name = action.name.text
  const there = metadata.refs[name] !== undefined
  const { refs } = await alterRefs(context, table, [changeOf(action, there)])
  const after = refs.find((one) => one.name === name)?.after ?? null
  const change =
    refs.length === 0 ? 'unchanged' : action.kind === 'dropRef' ? 'dropped' : there ? 'replaced' : 'created'
  return {
    kind: 'altered',
    change,
    of: action.type,
    name: `${table}.${action.type}_${name}`,
    snapshotId: after?.snapshotId ?? null,
  }
}

function changeOf(action: RefAction, there: boolean): RefChange {
  const name = action.name.text
  if (action.kind === 'dropRef') return { kind: `drop-${action.type}`, name, ifExists: action.ifExists }
  const { snapshotId } = action
  // REPLACE without a version takes main's, and wants the ref to be there: a set of its retention says so by failing.
  if (action.create === 'replace' && !there) return { kind: 'set-retention', name, retention: {} }
  return {
    kind: `create-${action.type}`,
    name,
    ...(snapshotId === null ? {} : { snapshotId }),
    ifExists: action.create !== 'create' ? 'replace' : action.ifNotExists ? 'keep' : 'fail',
    retention: retentionOf(action.retention),
  }
}

function retentionOf({ maxRefAgeMs, minSnapshotsToKeep, maxSnapshotAgeMs }: RefRetention): Retention {
  return {
    ...(maxRefAgeMs === null ? {} : { maxRefAgeMs }),
    ...(minSnapshotsToKeep === null ? {} : { minSnapshotsToKeep }),
    ...(maxSnapshotAgeMs === null ? {} : { maxSnapshotAgeMs }),
  }
}
