import type { TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import type { Edge } from '../../dataset/index.ts'
import type { DataFile, LoadedTable, TableCommit } from '../../iceberg/index.ts'
import { quoteText } from '../../sql/index.ts'
import { readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Shape } from '../project/node.ts'
import { type Cell, prepareAppend } from './append.ts'
import {
  type DefinedProducer,
  type Definition,
  definitionContract,
  definitionOfNode,
  definitionTable,
} from './definition.ts'
import type { RunRecordRows } from './ledger-store.ts'
import { pinOwn } from './own-tables.ts'

/** A definition by what names it in the ledger. */
export interface DefinitionKey {
  readonly dataset: TableId
  readonly fingerprint: string
}

export function definitionKey(key: DefinitionKey): string {
  return `${key.dataset} ${key.fingerprint}`
}

/** Prepares the rows for definitions that a record uses and the lake does not know yet; null when there are none. */
export async function prepareDefinitions(
  context: PipelineContext,
  loaded: LoadedTable | null,
  record: RunRecordRows,
): Promise<{ readonly commit: TableCommit; readonly files: readonly DataFile[] } | null> {
  const used = new Set(record.rows.filter((row) => row.fingerprint !== '').map((row) => row.dataset))
  if (used.size === 0) return null
  const known = await knownDefinitions(context, loaded)
  const cells: (readonly Cell[])[] = []
  for (const id of context.project.order) {
    const node = used.has(id) ? context.project.nodes.get(id) : undefined
    if (!node || known.has(`${id} ${node.fingerprint} ${node.checksHash}`)) continue
    const one = definitionOfNode(node)
    cells.push([
      one.dataset,
      one.fingerprint,
      one.checksHash,
      one.sql,
      one.tree,
      JSON.stringify(one.contract),
      JSON.stringify(one.producer),
      JSON.stringify(one.shape),
      JSON.stringify(one.edges),
      one.file,
      record.run,
      BigInt(record.judgedAtMs) * 1000n,
      context.version,
    ])
  }
  return cells.length === 0 ? null : prepareAppend(context, definitionContract, loaded, cells, 'defined_at')
}

/** Which definitions a state of `limn.definition` holds: `dataset fingerprint checks_hash`. */
async function knownDefinitions(context: PipelineContext, loaded: LoadedTable | null): Promise<ReadonlySet<string>> {
  const pin = pinOwn(context, definitionContract, loaded)
  if (!pin || pin.snapshotId === null) return new Set()
  const key = `definitions ${pin.metadata.tableUuid} ${pin.snapshotId}`
  const remembered = context.runs.fact(key)
  if (remembered !== null) return new Set(JSON.parse(remembered) as string[])
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound], { signal: context.signal })
  const { rows } = await session.rows(
    `SELECT DISTINCT dataset || ' ' || fingerprint || ' ' || checks_hash FROM ${definitionTable} ORDER BY 1`,
  )
  const found = rows.map((row) => String(row[0]))
  context.runs.rememberFact(key, JSON.stringify(found))
  return new Set(found)
}

/**
 * The definitions of some fingerprints, by `definitionKey`; with several checks, the latest. A fingerprint of before
 * definitions were remembered is absent.
 */
export async function definitionsOf(
  context: PipelineContext,
  wanted: readonly DefinitionKey[],
): Promise<ReadonlyMap<string, Definition>> {
  const out = new Map<string, Definition>()
  if (wanted.length === 0) return out
  const tables = await context.catalog.loadTables([definitionTable], { signal: context.signal })
  const loaded = tables.get(definitionTable) ?? null
  const pin = pinOwn(context, definitionContract, loaded)
  if (!pin || pin.snapshotId === null) return out
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound], { signal: context.signal })
  const keys = [...new Set(wanted.map(definitionKey))].sort().map(quoteText)
  const { rows } = await session.rows(
    `SELECT dataset, fingerprint, checks_hash, sql, sql_tree, contract, producer, shape, edges, file, run_id,
       epoch_ms(defined_at), limn_version
     FROM ${definitionTable} WHERE dataset || ' ' || fingerprint IN (${keys.join(', ')}) ORDER BY defined_at, run_id`,
  )
  for (const row of rows) {
    const text = (i: number) => String(row[i] ?? '')
    const definition: Definition = {
      dataset: text(0) as TableId,
      fingerprint: text(1),
      checksHash: text(2),
      sql: text(3),
      tree: text(4),
      contract: JSON.parse(text(5)) as Contract,
      producer: JSON.parse(text(6)) as DefinedProducer,
      shape: JSON.parse(text(7)) as Shape,
      edges: JSON.parse(text(8)) as Record<string, Edge>,
      file: text(9),
      run: text(10),
      definedAtMs: Number(row[11]),
      version: text(12),
    }
    out.set(definitionKey(definition), definition)
  }
  return out
}

/** What a dataset was defined as when it had a fingerprint; null when the lake does not remember. */
export async function definitionOf(
  context: PipelineContext,
  dataset: TableId,
  fingerprint: string,
): Promise<Definition | null> {
  const key = { dataset, fingerprint }
  return (await definitionsOf(context, [key])).get(definitionKey(key)) ?? null
}
