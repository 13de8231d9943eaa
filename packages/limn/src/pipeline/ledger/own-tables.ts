import type { Contract } from '../../contract/index.ts'
import { currentSchema, type LoadedTable } from '../../iceberg/index.ts'
import { type PinnedTable, pinRef } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { targetOf } from '../stage/staged-table.ts'
import { definitionContract } from './definition.ts'
import { ledgerContract, verdictContract } from './ledger-contracts.ts'

/** limn's own tables, as this release writes them: all that there are in the namespace `limn`. */
export const ownContracts: readonly Contract[] = [ledgerContract, verdictContract, definitionContract]

/** Columns of one of limn's own tables that an earlier release did not have; the next row written adds them. */
export function lackingColumns({ columns }: Contract, { metadata }: LoadedTable): readonly string[] {
  const known = new Set(currentSchema(metadata).fields.map((field) => field.name))
  return Object.keys(columns).filter((name) => !known.has(name))
}

/** Main of one of limn's own tables, with the columns of this release: those that older rows lack are null. */
export function pinOwn(context: PipelineContext, contract: Contract, loaded: LoadedTable | null): PinnedTable | null {
  const pin = loaded && pinRef(loaded)
  if (!pin || lackingColumns(contract, loaded).length === 0) return pin
  const { evolved, layout } = targetOf(context, contract, loaded)
  return { ...pin, metadata: evolved, schemaId: layout.schema.schemaId }
}
