import { LimnError } from '../../../base/index.ts'
import { type LoadedTable, type RefChange, type Retention, snapshotById } from '../../../iceberg/index.ts'
import { loadTable, parseAt } from '../../../lake/index.ts'
import { rehearsal, requireFree } from '../../../query/index.ts'
import { alterRefs, cherryPickSnapshot, type TableContext } from '../../../table/index.ts'
import { parseAge, parseCount, parseSnapshotId } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatTable, toJson } from '../../text.ts'
import { textOption } from '../open.ts'
import { given, type Maintaining, onTable, report } from './report.ts'

/** `branch`, `tag`, `rollback`, `cherry-pick`. */
export default function refs(invocation: Invocation): Promise<number> {
  const [verb] = invocation.args
  return onTable(invocation, async (input) => {
    switch (verb) {
      case 'rollback':
        return rollback(input, invocation)
      case 'cherry-pick':
        return pick(input, invocation)
      default:
        return input.rest[0] === undefined ? list(input, invocation) : change(input, invocation)
    }
  })
}

/** On a dry run everything is judged and nothing is kept. */
async function contextOf({ lake, dryRun }: Maintaining): Promise<TableContext> {
  const context = await lake.context()
  return dryRun ? rehearsal(context) : context
}

/** What a dataset's runs publish moves by runs alone; other branches of its table are free. */
async function requireFreeBranch({ lake, table }: Maintaining, branch: string): Promise<void> {
  if (branch === 'main' || branch.startsWith('run/')) requireFree(table, await lake.owners())
}

async function rollback(input: Maintaining, invocation: Invocation): Promise<void> {
  const branch = textOption(invocation, 'branch') ?? 'main'
  await requireFreeBranch(input, branch)
  const at = parseAt(input.rest[0])
  const loaded = await loadTable(input.lake, input.table)
  await move(input, invocation, [
    at.kind === 'time'
      ? { kind: 'rollback-to-time', branch, timestampMs: at.timestampMs }
      : { kind: 'rollback', branch, snapshotId: snapshotOf(loaded, input.rest[0] ?? '') },
  ])
}

async function pick(input: Maintaining, invocation: Invocation): Promise<void> {
  const branch = textOption(invocation, 'branch') ?? 'main'
  await requireFreeBranch(input, branch)
  const picked = parseSnapshotId(input.rest[0] ?? '')
  const done = await cherryPickSnapshot(await contextOf(input), input.table, picked, { branch })
  const snapshotId = String(done.snapshotId)
  const how = done.kind === 'moved' ? 'moved to' : `repeats ${picked} as`
  report(invocation, { table: input.table, branch, kind: done.kind, snapshotId }, [
    `${input.table}: ${branch} ${how} ${snapshotId}`,
  ])
}

async function change(input: Maintaining, invocation: Invocation): Promise<void> {
  const [verb] = invocation.args
  const [name = ''] = input.rest
  const type = verb === 'tag' ? 'tag' : 'branch'
  const { options } = invocation
  if (type === 'branch') await requireFreeBranch(input, name)
  const loaded = await loadTable(input.lake, input.table)
  const at = textOption(invocation, 'at')
  const to = textOption(invocation, 'fastForward')
  const rename = textOption(invocation, 'rename')
  const retention = retentionOf(invocation)
  const known = loaded.metadata.refs[name] !== undefined
  const changes: RefChange[] = []
  if (options.drop === true) changes.push({ kind: `drop-${type}`, name })
  else if (to !== undefined) changes.push({ kind: 'fast-forward', branch: name, to })
  else if (rename !== undefined) changes.push({ kind: 'rename-ref', name, to: rename })
  else if (known && at === undefined && options.replace !== true && Object.keys(retention).length > 0)
    changes.push({ kind: 'set-retention', name, retention })
  else
    changes.push({
      kind: `create-${type}`,
      name,
      ...(at === undefined ? {} : { snapshotId: snapshotOf(loaded, at) }),
      ...(options.replace === true ? { ifExists: 'replace' } : {}),
      ...(Object.keys(retention).length > 0 ? { retention } : {}),
    })
  await move(input, invocation, changes)
}

function retentionOf(invocation: Invocation): Retention {
  return given({
    minSnapshotsToKeep: parseCount('keep', textOption(invocation, 'keep')),
    maxSnapshotAgeMs: parseAge(textOption(invocation, 'snapshotAge')),
    maxRefAgeMs: parseAge(textOption(invocation, 'maxAge')),
  })
}

async function move(input: Maintaining, invocation: Invocation, changes: readonly RefChange[]): Promise<void> {
  const { refs } = await alterRefs(await contextOf(input), input.table, changes)
  const text = (one: (typeof refs)[number]['before']) => (one === null ? null : String(one.snapshotId))
  const value = {
    table: input.table,
    refs: refs.map((one) => ({ name: one.name, before: text(one.before), after: text(one.after) })),
  }
  const lines = value.refs.map(
    (one) => `${input.table}: ${one.name} ${one.before ?? 'was not there'} → ${one.after ?? 'dropped'}`,
  )
  report(invocation, value, lines.length > 0 ? lines : [`${input.table}: it was so already`])
}

async function list(input: Maintaining, invocation: Invocation): Promise<void> {
  const { metadata } = await loadTable(input.lake, input.table)
  const type = invocation.args[0] === 'tag' ? 'tag' : 'branch'
  const rows = Object.entries(metadata.refs)
    .filter(([, ref]) => ref.type === type)
    .map(([name, ref]) => ({
      name,
      snapshotId: String(ref.snapshotId),
      made: new Date(snapshotById(metadata, ref.snapshotId)?.timestampMs ?? 0).toISOString(),
      keepsMs: ref.maxSnapshotAgeMs ?? null,
      keeps: ref.minSnapshotsToKeep ?? null,
      maxAgeMs: ref.maxRefAgeMs ?? null,
    }))
  if (invocation.io.json) {
    invocation.io.out(toJson(rows))
    return
  }
  const cells = rows.map((one) => [one.name, one.snapshotId, one.made.replace('T', ' ').slice(0, 19)])
  invocation.io.out(formatTable([type, 'snapshot', 'made (UTC)'], cells, invocation.io.width))
}

/** A snapshot by its id, a branch or a tag. */
function snapshotOf({ table, metadata }: LoadedTable, text: string): bigint {
  if (/^\d+$/.test(text)) return BigInt(text)
  const ref = metadata.refs[text]
  if (ref) return ref.snapshotId
  throw new LimnError('usage/unknown-ref', {
    message: `${table} has no branch or tag ${text}.`,
    notDone: 'Nothing was changed.',
    remedy: `It has: ${Object.keys(metadata.refs).join(', ') || 'none'}. A snapshot is named by its id.`,
  })
}
