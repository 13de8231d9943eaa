import { LimnError } from '../../base/index.ts'
import type { Timing } from '../../dataset/index.ts'
import type { Shape } from './node.ts'
import type { LoadedDataset } from './project.ts'

/** What a dataset states of time. Throws `dataset/invalid` where that cannot be, or cannot be of a dataset of its shape. */
export function timingOf(one: LoadedDataset, shape: Shape): Timing {
  const invalid = (message: string, remedy: string, cause?: unknown) =>
    new LimnError('dataset/invalid', {
      message: `${one.dataset.id}: ${message}`,
      notDone: 'Nothing was run.',
      remedy,
      location: { file: one.file },
      cause,
    })
  let timing: Timing
  try {
    timing = one.dataset.timing()
  } catch (cause) {
    if (!(cause instanceof LimnError)) throw cause
    throw invalid(cause.message, cause.remedy ?? 'Correct it.', cause)
  }
  if (timing.seal && shape.kind === 'whole') {
    throw invalid(
      'it is built whole and states a seal.',
      'State the seal where the intervals are: in its source, or with byInterval.',
    )
  }
  if (timing.seal?.marker.kind === 'watermark' && shape.kind !== 'function') {
    throw invalid(
      'only a source that hands over a watermark can be sealed by one.',
      'Yield a watermark from source(…).',
    )
  }
  if (timing.schedule?.kind === 'upstream' && one.dataset.producer.kind === 'source')
    throw invalid('a source has no input to be run after.', 'Give it a schedule of times.')
  return timing
}
