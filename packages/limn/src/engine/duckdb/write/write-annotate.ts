import { open } from 'node:fs/promises'
import { LimnError } from '../../../base/index.ts'
import { fixedLengthOf, isPrimitive, locateAll, type PrimitiveType, type Schema } from '../../../schema/index.ts'
import { applyEdits, type Edit, footerBytes, footerWithTail, Walk } from './footer-walk.ts'
import { fixLengths } from './write-fixed.ts'
import { setZones } from './zone-flags.ts'

/**
 * Makes a written file say what DuckDB has no type for: nanoseconds with a zone, bytes of a fixed length, and variants
 * inside other types. Nothing is done for other schemas.
 */
export async function annotateFile(local: string, schema: Schema): Promise<void> {
  const ids = (is: (type: PrimitiveType) => boolean, nested = false) =>
    new Set(
      locateAll(schema.fields)
        .filter(({ field }) => isPrimitive(field.type) && is(field.type))
        .map(({ field }) => field.id)
        .filter((id) => !nested || !schema.fields.some((field) => field.id === id)),
    )
  const zoned = ids((type) => type === 'timestamptz_ns')
  if (zoned.size > 0) {
    const marked = await setZones(local, { of: (id) => id !== null && zoned.has(id), utc: true })
    expectAll(marked, zoned, local)
  }
  const variants = ids((type) => type === 'variant', true)
  if (variants.size > 0) expectAll(await markVariants(local, variants), variants, local)
  const lengths = new Map(
    locateAll(schema.fields).flatMap(({ field }): (readonly [number, number])[] => {
      const length = isPrimitive(field.type) ? fixedLengthOf(field.type) : null
      return length === null ? [] : [[field.id, length]]
    }),
  )
  if (lengths.size > 0) await fixLengths(local, lengths)
}

function expectAll(marked: number, ids: ReadonlySet<number>, local: string): void {
  if (marked === ids.size) return
  throw new LimnError('internal', { message: `${marked} of ${ids.size} columns were found in the footer of ${local}.` })
}

/** `logicalType` (field 10 after field 9) with its member 16, VARIANT, of specification version 1. */
const variantMark = Uint8Array.of(0x1c, 0x0c, 0x20, 0x13, 0x01, 0x00, 0x00)

/** Marks groups by field id; returns how many. */
async function markVariants(local: string, ids: ReadonlySet<number>): Promise<number> {
  await using file = await open(local, 'r+')
  const { footer, at: start } = await footerBytes(file)
  const edits: Edit[] = []
  const walk = new Walk(footer)
  walk.struct((id, type) => {
    if (id !== 2) return walk.skip(type)
    return walk.list(() => {
      let fieldId: number | null = null
      let last = 0
      walk.struct((member, memberType) => {
        last = member
        if (member === 9) fieldId = walk.varint()
        else walk.skip(memberType)
      })
      if (fieldId === null || !ids.has(fieldId) || last !== 9) return
      // Before the byte that ends the element.
      edits.push({ from: walk.at - 1, to: walk.at - 1, bytes: variantMark })
    })
  })
  const fresh = footerWithTail(applyEdits(footer, edits))
  await file.write(fresh, 0, fresh.length, start)
  return edits.length
}
