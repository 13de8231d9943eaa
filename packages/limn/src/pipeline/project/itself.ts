import { LimnError } from '../../base/index.ts'
import { addUnits, type EarlierReads, type Edge } from '../../dataset/index.ts'
import type { Shape } from './node.ts'
import type { LoadedDataset } from './project.ts'

/**
 * How a dataset reads its own table. Throws `dataset/invalid` where that has no meaning: a dataset that is built whole would read
 * what it replaces, one built several intervals at a time would not see those of the same build, and an edge that reads other
 * than earlier intervals would make an interval depend on itself.
 */
export function selfReadOf(one: LoadedDataset, shape: Shape, stated: Edge | undefined): EarlierReads {
  const { id } = one.dataset
  const invalid = (message: string, remedy: string) =>
    new LimnError('dataset/invalid', {
      message: `${id} ${message}`,
      notDone: 'Nothing was run.',
      remedy,
      location: one.query?.origin ?? { file: one.file },
    })
  if (shape.kind !== 'interval')
    throw invalid(
      'reads its own table and is built whole: it would read the rows that the build replaces.',
      'Build it by interval, and each interval reads those before it. To bring a table up to date from what changed in its inputs use mergeByKey or appendChanges.',
    )
  if (shape.batch !== shape.unit)
    throw invalid(
      `reads its own table and is built by ${shape.unit} with batches of one ${shape.batch}: an interval would not see the earlier ones of its batch.`,
      `Leave batch out: its intervals are built one after the other.`,
    )
  if (!stated) return { kind: 'earlier', back: null }
  const { reads, touches } = stated
  if (reads.kind !== 'earlier' || touches !== null)
    throw invalid(
      `reads its own table ${touches === null ? `with reads: ${reads.kind}` : 'by what a row touches'}, and may read rows of its earlier intervals only.`,
      `State: edges: { '${id}': { reads: earlier({ back: '1 ${shape.unit}' }) } }, or reads: earlier() for all before.`,
    )
  const { back } = reads
  const calendar = back?.unit === 'month' || back?.unit === 'year'
  if (back && calendar && shape.unit !== 'month' && shape.unit !== 'year')
    throw invalid(
      `is built by ${shape.unit} and reads its own table ${back.count} ${back.unit} back, which is not the same number of ${shape.unit}s everywhere.`,
      `Say how many ${shape.unit}s: earlier({ back: '${Math.round(addUnits(back.unit, 0, back.count) / (addUnits(shape.unit, 0, 1) || 1))} ${shape.unit}s' }).`,
    )
  return reads
}

/** Reading earlier intervals is of a dataset's own table alone. Throws `dataset/invalid`. */
export function requireNoEarlier(one: LoadedDataset, edges: ReadonlyMap<string, Edge>): void {
  for (const [input, { reads }] of edges) {
    if (reads.kind !== 'earlier') continue
    throw new LimnError('dataset/invalid', {
      message: `${one.dataset.id} reads earlier intervals of ${input}, which is another dataset.`,
      notDone: 'Nothing was run.',
      remedy: "Say how far: reads: shift({ before: '1 day' }), or reads: all.",
      location: { file: one.file },
    })
  }
}
