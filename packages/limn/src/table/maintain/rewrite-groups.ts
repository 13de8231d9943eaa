import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { WrittenFile } from '../../engine/index.ts'
import {
  type AddedFile,
  type DataFile,
  deleteKindOf,
  deleteScope,
  fileKey,
  type Inventory,
  type ManifestEntry,
  type PartitionSpec,
  partitionIdentity,
  type RewriteCandidate,
  type RewriteGroup,
  type RewriteStrategy,
  type ScanTask,
  specById,
  zOrderOf,
} from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { PinnedTable, TableContext } from '../context.ts'
import { bindFiles } from '../read/bind.ts'
import { leaseFiles } from '../read/read.ts'
import { type Layout, lineageFields, putFiles, writeLocal } from '../write/write.ts'
import { batchesOf } from './rewrite-batches.ts'
import { zOrderSql } from './z-order-sql.ts'

/** A group that was rewritten, as its files were when they were read. */
export interface RewrittenGroup {
  readonly group: RewriteGroup
  readonly added: readonly AddedFile[]
  /** The snapshot's that was read: what the new files keep. */
  readonly sequenceNumber: bigint
}

export interface SkippedGroup {
  readonly group: RewriteGroup
  readonly why: string
}

interface Input {
  readonly pin: PinnedTable
  readonly layout: Layout
  readonly folder: string
  readonly inventory: Inventory
  readonly groups: readonly RewriteGroup[]
}

/** Rewrites groups one at a time, and keeps what it wrote for as long as the group's files and deletes are the same. */
export class GroupWriter {
  private readonly context: TableContext
  private readonly strategy: RewriteStrategy
  private readonly scale: readonly ManifestEntry[]
  private readonly bytesMax: number
  private readonly onGroups: (done: number) => void
  private readonly kept = new Map<number, RewrittenGroup>()
  private done = 0

  /** `scale`: files whose bounds a z-order is scaled by. `bytesMax`: what one query reads at most. */
  constructor(
    context: TableContext,
    strategy: RewriteStrategy,
    scale: readonly ManifestEntry[],
    bytesMax: number,
    onGroups: (done: number) => void,
  ) {
    this.context = context
    this.strategy = strategy
    this.scale = scale
    this.bytesMax = bytesMax
    this.onGroups = onGroups
  }

  /** Rewrites groups as they are in a pinned table. `stale`: files written earlier that stand for nothing any more. */
  async write(input: Input): Promise<{
    readonly rewritten: readonly RewrittenGroup[]
    readonly skipped: readonly SkippedGroup[]
    readonly stale: readonly StorePath[]
  }> {
    const live = new Map<string, ManifestEntry>(input.inventory.data.map((entry) => [entry.file.path, entry]))
    const scope = deleteScope(input.pin.metadata, input.inventory)
    const rewritten: RewrittenGroup[] = []
    const skipped: SkippedGroup[] = []
    const stale: StorePath[] = []
    const waiting: RewriteGroup[] = []
    for (const planned of input.groups) {
      const files: RewriteCandidate[] = []
      for (const { entry, reasons } of planned.files) {
        const now = live.get(entry.file.path)
        if (now) files.push({ entry: now, deletes: scope.of(now), reasons })
      }
      const kept = this.kept.get(planned.index)
      if (files.length < planned.files.length) {
        stale.push(...this.drop(planned.index))
        const gone = planned.files.length - files.length
        skipped.push({ group: planned, why: `${gone} of its ${planned.files.length} files were replaced meanwhile` })
        continue
      }
      const group = { ...planned, files }
      if (kept && signature(kept.group, kept.sequenceNumber) === signature(group, kept.sequenceNumber)) {
        rewritten.push({ ...kept, group })
        continue
      }
      stale.push(...this.drop(planned.index))
      waiting.push(group)
    }
    const joined = this.strategy.kind === 'bin-pack'
    for (const batch of batchesOf(waiting, input.pin.metadata, { joined, bytesMax: this.bytesMax }))
      rewritten.push(...(await this.rewriteBatch(input, batch)))
    return { rewritten, skipped, stale }
  }

  /** Groups that were committed: their files are the table's now. */
  forget(groups: readonly RewrittenGroup[]): void {
    for (const { group } of groups) this.kept.delete(group.index)
  }

  /** Files written and not committed, which are then nobody's. */
  takeUncommitted(): readonly StorePath[] {
    return [...this.kept.keys()].flatMap((index) => this.drop(index))
  }

  private drop(index: number): readonly StorePath[] {
    const kept = this.kept.get(index)
    this.kept.delete(index)
    return kept?.added.map((file) => file.path) ?? []
  }

  private async rewriteBatch(input: Input, batch: readonly RewriteGroup[]): Promise<readonly RewrittenGroup[]> {
    this.context.signal.throwIfAborted()
    const local = join(input.folder, `group-${batch[0]?.index}`)
    try {
      const [single] = batch
      const made =
        batch.length === 1 && single
          ? [await this.rewrite(input, single, local)]
          : ((await this.rewriteTogether(input, batch, local)) ?? (await this.eachApart(input, batch, local)))
      for (const one of made) this.kept.set(one.group.index, one)
      this.done += made.length
      this.onGroups(this.done)
      return made
    } finally {
      await rm(local, { recursive: true, force: true })
    }
  }

  private async eachApart(input: Input, batch: readonly RewriteGroup[], local: string) {
    const out: RewrittenGroup[] = []
    for (const group of batch) out.push(await this.rewrite(input, group, join(local, String(group.index))))
    return out
  }

  private async rewrite(input: Input, group: RewriteGroup, local: string): Promise<RewrittenGroup> {
    const { pin, layout } = input
    const first = group.files[0]?.entry.file
    // Rows of one partition stay in it: they need no partitioning, and their partition values no computing.
    const own = group.partition !== null && first ? specById(pin.metadata, first.specId) : null
    const spec = own ? { specId: own.specId, fields: [] } : layout.spec
    const written = await this.writeRows(input, group.files, { spec, fileBytes: group.outputFileBytes, local })
    const placed = own ? written.map((file) => ({ ...file, partition: group.partition ?? [] })) : written
    const put = await putFiles(this.context, { ...layout, spec: own ?? layout.spec }, placed)
    return rewrittenOf(group, put, input)
  }

  /** Several partitions in one query; null when its files do not turn out to be of those partitions. */
  private async rewriteTogether(
    input: Input,
    batch: readonly RewriteGroup[],
    local: string,
  ): Promise<readonly RewrittenGroup[] | null> {
    const { layout } = input
    const files = batch.flatMap((group) => group.files)
    const written = await this.writeRows(input, files, {
      spec: layout.spec,
      fileBytes: batch.reduce((max, group) => Math.max(max, group.outputFileBytes), 0),
      local: join(local, 'together'),
    })
    const { specId } = layout.spec
    const identity = (partition: WrittenFile['partition']) => partitionIdentity({ specId, partition })
    const byPartition = Map.groupBy(written, (file) => identity(file.partition))
    const known = new Set(batch.map((group) => identity(group.partition ?? [])))
    if ([...byPartition.keys()].some((key) => !known.has(key))) return null
    const put = await putFiles(this.context, layout, written)
    const putBy = Map.groupBy(put, (file) => identity(file.partition))
    return batch.map((group) => rewrittenOf(group, putBy.get(identity(group.partition ?? [])) ?? [], input))
  }

  private async writeRows(
    { pin, layout }: Input,
    files: readonly RewriteCandidate[],
    to: { readonly spec: PartitionSpec; readonly fileBytes: number; readonly local: string },
  ): Promise<readonly WrittenFile[]> {
    const { context, strategy } = this
    const tasks = files.map(taskOf)
    const hasLineage = pin.metadata.formatVersion >= 3
    const fields = hasLineage ? [...layout.schema.fields, ...lineageFields] : layout.schema.fields
    const { sortOrder: _own, ...unsorted } = layout
    // Rows that are parted anew are not z-ordered: they are where a later rewrite finds them.
    const z = strategy.kind === 'z-order' && to.spec.fields.length === 0 ? this.zOrder(layout, strategy.columns) : null
    const target: Layout = {
      ...unsorted,
      ...(strategy.kind === 'sort' ? { sortOrder: strategy.order } : {}),
      ...(z ? { orderBy: z.orderBy } : {}),
      schema: { ...layout.schema, fields },
      spec: to.spec,
      properties: { ...layout.properties, 'write.target-file-size-bytes': String(Math.max(1, to.fileBytes)) },
    }
    await using lease = await leaseFiles(context, tasks)
    const bound = bindFiles(pin, tasks, lease, { metadataColumns: hasLineage })
    await using session = await context.engine.session([bound], { signal: context.signal })
    const columns = fields.map((field) => quoteIdentifier(field.name))
    const rows = `SELECT ${[...columns, ...(z ? [z.computed] : [])].join(', ')} FROM ${pin.id}`
    return await writeLocal(session, rows, target, to.local)
  }

  private zOrder(layout: Layout, columns: readonly string[]) {
    return zOrderSql(
      zOrderOf(
        layout.schema,
        columns,
        this.scale.map((entry) => entry.file),
      ),
    )
  }
}

function rewrittenOf(group: RewriteGroup, put: readonly DataFile[], { inventory }: Input): RewrittenGroup {
  const { sequenceNumber } = inventory
  return { group, added: put.map((file) => ({ ...file, dataSequenceNumber: sequenceNumber })), sequenceNumber }
}

function taskOf({ entry, deletes }: RewriteCandidate): ScanTask {
  const { file, dataSequenceNumber, fileSequenceNumber } = entry
  return { file, dataSequenceNumber, fileSequenceNumber, deletes }
}

/** What a group's rows depend on. Later equality deletes aside: they apply to its new files as to the old. */
function signature(group: RewriteGroup, sequenceNumber: bigint): string {
  return JSON.stringify(
    group.files.map(({ entry, deletes }) => [
      entry.file.path,
      ...deletes
        .filter((one) => deleteKindOf(one.file) !== 'equality' || one.dataSequenceNumber <= sequenceNumber)
        .map((one) => fileKey(one.file)),
    ]),
  )
}
