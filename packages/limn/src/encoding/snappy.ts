/**
 * Snappy's raw block format (google/snappy, format_description.txt), read only: some writers compress Avro with it.
 *
 *   length of the result  varint
 *   then elements, told by the tag's two low bits:
 *     00  literal   upper six bits: length - 1, or 60..63: that many less 59 bytes of it follow; then the bytes
 *     01  copy      length - 4 in bits 2..4, offset: bits 5..7 and one byte
 *     10  copy      length - 1 in the upper six bits, offset: two bytes
 *     11  copy      likewise, offset: four bytes
 *
 * A copy may overlap what it writes, so it runs byte by byte. Little-endian throughout.
 */
export function uncompressSnappy(input: Uint8Array): Uint8Array {
  let at = 0
  const next = (count: number): number => {
    if (at + count > input.length) throw new RangeError('a compressed block is cut off')
    let value = 0
    for (let i = 0; i < count; i++) value += (input[at++] ?? 0) * 2 ** (8 * i)
    return value
  }
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = next(1)
    if (shift > 28) throw new RangeError('a compressed block states no length')
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  // No element of n bytes gives more than 64 per 2 bytes; a longer claim is damage, not a reason to allocate.
  if (length > input.length * 64) throw new RangeError('a compressed block states a length it cannot have')
  const output = new Uint8Array(length)
  let filled = 0
  while (at < input.length) {
    const tag = next(1)
    const kind = tag & 3
    if (kind === 0) {
      const small = tag >> 2
      const count = (small < 60 ? small : next(small - 59)) + 1
      if (at + count > input.length || filled + count > length) throw new RangeError('a literal is cut off')
      output.set(input.subarray(at, at + count), filled)
      at += count
      filled += count
      continue
    }
    const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const offset = kind === 1 ? (tag >> 5) * 256 + next(1) : next(kind === 2 ? 2 : 4)
    if (offset === 0 || offset > filled || filled + count > length) throw new RangeError('a copy reaches outside')
    for (let i = 0; i < count; i++, filled++) output[filled] = output[filled - offset] ?? 0
  }
  if (filled !== length) throw new RangeError('a compressed block is cut off')
  return output
}
