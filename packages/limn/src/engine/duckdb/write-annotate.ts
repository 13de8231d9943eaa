import { LimnError } from '../../base/index.ts'
import { locateAll, type Schema } from '../../schema/index.ts'
import { setZones } from './zone-flags.ts'

/** Marks in the footer what DuckDB has no type for: nanoseconds with a zone. Nothing is done for other schemas. */
export async function annotateFile(local: string, schema: Schema): Promise<void> {
  const zoned = locateAll(schema.fields).filter(({ field }) => field.type === 'timestamptz_ns')
  if (zoned.length === 0) return
  const ids = new Set(zoned.map(({ field }) => field.id))
  const marked = await setZones(local, { of: (id) => id !== null && ids.has(id), utc: true })
  if (marked === ids.size) return
  throw new LimnError('internal', {
    message: `${marked} of ${ids.size} timestamp columns were found in the footer of ${local}.`,
  })
}
