import { LimnError, type TableId } from '../../base/index.ts'
import type { Project } from '../project/node.ts'

/** What a source delivered is what it delivered: only what is made of it can be made again. Throws `usage/argument`. */
export function requireModels(project: Project, restated: ReadonlySet<TableId>): void {
  for (const id of restated) {
    if (project.nodes.get(id)?.producer.kind !== 'source') continue
    throw new LimnError('usage/argument', {
      message: `${id} is a source: what it delivered cannot be restated.`,
      notDone: 'Nothing was run.',
      remedy: 'Restate the datasets that read it, or deliver corrected files.',
      context: { dataset: id },
    })
  }
}
