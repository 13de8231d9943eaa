import { LimnError, type TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import type { Increment, Producer } from '../../dataset/index.ts'
import type { LoadedDataset } from './project.ts'

/** How a dataset is brought up to date, if it is one built whole that says so. */
export function incrementOf(producer: Producer): Increment | null {
  return producer.kind === 'model' && producer.build.kind === 'whole' ? (producer.build.increment ?? null) : null
}

/** Its part of the fingerprint; nothing for others, whose fingerprints stay as they are. */
export function incrementPart(producer: Producer): { readonly increment?: Increment } {
  const increment = incrementOf(producer)
  return increment ? { increment } : {}
}

/** Throws `dataset/invalid` for an increment that names what is not there, or that nothing says the keys of. */
export function requireIncrement(
  one: LoadedDataset,
  contract: Contract,
  contracts: ReadonlyMap<TableId, Contract>,
  inputs: readonly TableId[],
): void {
  const increment = incrementOf(one.dataset.producer)
  if (!increment) return
  const invalid = (message: string, remedy: string) =>
    new LimnError('dataset/invalid', {
      message: `${one.dataset.id} ${message}`,
      notDone: 'Nothing was run.',
      remedy,
      location: { file: one.file },
    })
  const reads = `It reads ${inputs.join(', ') || 'nothing'}.`
  if (increment.kind === 'append') {
    if (inputs.some((input) => input === increment.input)) return
    throw invalid(`appends what came to ${increment.input}, which its SQL does not read.`, reads)
  }
  if (increment.keys.length === 0) throw invalid('is merged by no key.', 'Name the columns that a row is known by.')
  const stranger = increment.keys.find((key) => !(key in contract.columns))
  if (stranger !== undefined)
    throw invalid(`is merged by "${stranger}", which is not a column of it.`, 'Name its columns.')
  const unread = Object.keys(increment.touches).find((name) => !inputs.some((input) => input === name))
  if (unread !== undefined) throw invalid(`says which keys ${unread} touches, which its SQL does not read.`, reads)
  for (const input of inputs) {
    const given = increment.touches[input]
    if (given === undefined) {
      const missing = increment.keys.find((key) => !(key in (contracts.get(input)?.columns ?? {})))
      if (missing === undefined) continue
      throw invalid(
        `is merged by "${missing}", which ${input} has no column of.`,
        `Say which keys a row of it affects: touches: { '${input}': '…' }.`,
      )
    }
    if (given.length !== increment.keys.length)
      throw invalid(
        `is merged by ${increment.keys.length} keys, and says ${given.length} of ${input}.`,
        'Give an expression for each key, in their order.',
      )
  }
}
