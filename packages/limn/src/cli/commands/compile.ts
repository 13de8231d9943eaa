import { tableId } from '../../base/index.ts'
import { formatMicros } from '../../dataset/index.ts'
import { parseRange } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { toJson } from '../text.ts'
import { openLake, rangeOptionsOf } from './open.ts'

export default async function compile(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  await using lake = await openLake(invocation)
  const [name = ''] = [...(await lake.select(args))]
  const compiled = await lake.compile(tableId(name), parseRange(rangeOptionsOf(invocation)))
  if (io.json) {
    const interval = compiled.interval && {
      start: formatMicros(compiled.interval.start),
      end: formatMicros(compiled.interval.end),
    }
    io.out(toJson({ ...compiled, interval }))
  } else io.out(compiled.sql)
  return 0
}
