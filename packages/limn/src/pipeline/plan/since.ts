import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { TableId } from '../../base/index.ts'
import type { Interval } from '../../dataset/index.ts'
import { isAncestorOf, type LoadedTable, snapshotById } from '../../iceberg/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node } from '../project/node.ts'
import { domainOf } from './facts.ts'
import type { Probe, Since } from './plan.ts'

/**
 * What was so already at a time before: the snapshot that main of each table had, the domains over those, and which
 * definitions and delivered files were last changed after it (by the times of their files).
 */
export class SinceFacts implements Since {
  readonly domains = new Map<TableId, Interval | null>()
  readonly redefined: ReadonlySet<TableId>
  private readonly context: PipelineContext
  private readonly mains: ReadonlyMap<TableId, LoadedTable | null>
  private readonly atMs: number

  private constructor(
    context: PipelineContext,
    atMs: number,
    mains: ReadonlyMap<TableId, LoadedTable | null>,
    redefined: ReadonlySet<TableId>,
  ) {
    this.context = context
    this.atMs = atMs
    this.mains = mains
    this.redefined = redefined
  }

  static async open(
    context: PipelineContext,
    atMs: number,
    mains: ReadonlyMap<TableId, LoadedTable | null>,
  ): Promise<SinceFacts> {
    const redefined = new Set<TableId>()
    for (const [id, node] of context.project.nodes) {
      const files = new Set([node.file, ...(node.query ? [node.query.origin.file] : [])])
      for (const file of files) if ((await changedMs(resolve(context.folder, file))) > atMs) redefined.add(id)
    }
    return new SinceFacts(context, atMs, mains, redefined)
  }

  inputThen(input: TableId, before: bigint | null): bigint | null {
    const metadata = this.mains.get(input)?.metadata
    const then = this.snapshotThen(input)
    if (!metadata || then === null || then === before) return before
    return before === null || isAncestorOf(metadata, before, then) ? then : before
  }

  private snapshotThen(input: TableId): bigint | null {
    const log = this.mains.get(input)?.metadata.snapshotLog ?? []
    return log.findLast((entry) => entry.timestampMs <= this.atMs)?.snapshotId ?? null
  }

  async gather(node: Node, pinOf: (input: TableId) => PinnedTable | null): Promise<void> {
    if (node.shape.kind !== 'interval' || this.domains.has(node.id)) return
    const pinThen = (input: TableId): PinnedTable | null => {
      const pin = pinOf(input)
      const snapshotId = this.snapshotThen(input)
      const snapshot = pin && snapshotId !== null ? snapshotById(pin.metadata, snapshotId) : undefined
      return pin && snapshot ? { ...pin, snapshotId, schemaId: snapshot.schemaId ?? pin.schemaId } : null
    }
    this.domains.set(node.id, await domainOf(this.context, node, pinThen))
  }

  /** Of a probe, what was handed over after. */
  async probeOf(dataset: TableId, probe: Probe): Promise<Probe> {
    const producer = this.context.project.nodes.get(dataset)?.producer
    if (producer?.kind !== 'source' || producer.input.kind !== 'files') return probe
    const changed = await Promise.all(probe.candidates.map((one) => changedMs(resolve(this.context.folder, one.path))))
    return { ...probe, candidates: probe.candidates.filter((_, i) => (changed[i] ?? 0) > this.atMs) }
  }
}

async function changedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs
  } catch {
    // A file that cannot be asked counts as changed, so that nothing is left out because of it.
    return Number.POSITIVE_INFINITY
  }
}
