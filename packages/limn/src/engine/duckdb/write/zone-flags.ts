import { open } from 'node:fs/promises'
import { footerBytes, Walk } from './footer-walk.ts'

/**
 * DuckDB has no type for nanoseconds with a zone: it writes them as a zoneless timestamp, and reads a file's as
 * microseconds. In a Parquet footer (Thrift's compact protocol) whether a timestamp is adjusted to UTC is one byte, so it
 * is set in its place. Returns how many columns of nanoseconds were set.
 */
export async function setZones(
  local: string,
  zones: { readonly of: (fieldId: number | null) => boolean; readonly utc: boolean },
): Promise<number> {
  await using file = await open(local, 'r+')
  const { footer, at: start } = await footerBytes(file)
  const flags = zoneFlags(footer, zones.of)
  // The field's header holds its value: type 1 is true, 2 is false.
  for (const at of flags) footer[at] = ((footer[at] ?? 0) & 0xf0) | (zones.utc ? 1 : 2)
  if (flags.length > 0) await file.write(footer, 0, footer.length, start)
  return flags.length
}

/** Where in a footer the headers of `isAdjustedToUTC` of such columns of nanoseconds stand. */
function zoneFlags(footer: Buffer, of: (fieldId: number | null) => boolean): readonly number[] {
  const out: number[] = []
  const walk = new Walk(footer)
  walk.struct((id, type) => {
    // FileMetaData.schema
    if (id !== 2) return walk.skip(type)
    return walk.list(() => {
      let fieldId: number | null = null
      let flag: number | null = null
      let nanos = false
      walk.struct((member, memberType) => {
        if (member === 9) fieldId = walk.varint()
        else if (member === 10)
          walk.struct((logical, logicalType) => {
            if (logical !== 8) return walk.skip(logicalType)
            return walk.struct((part, partType, at) => {
              if (part === 1) flag = at
              // TimeUnit: 1 milliseconds, 2 microseconds, 3 nanoseconds.
              if (part !== 2) return walk.skip(partType)
              return walk.struct((unit, unitType) => {
                nanos = unit === 3
                walk.skip(unitType)
              })
            })
          })
        else walk.skip(memberType)
      })
      if (flag !== null && nanos && of(fieldId)) out.push(flag)
    })
  })
  return out
}
