import { type FileHandle, open, rename } from 'node:fs/promises'
import { LimnError } from '../../../base/index.ts'
import { withoutLengths } from './fixed-pages.ts'
import {
  applyEdits,
  type Edit,
  footerBytes,
  footerWithTail,
  restated,
  type Stated,
  stated,
  Walk,
  zigzag,
} from './footer-walk.ts'

/**
 * DuckDB writes bytes as BYTE_ARRAY, each with its length before it, where Iceberg's `fixed[L]` is Parquet's
 * FIXED_LEN_BYTE_ARRAY, which has none. The pages of such columns are written anew without the lengths; all others are
 * copied, and the footer's offsets follow:
 *
 *   PAR1 │ chunk │ fixed chunk │ chunk │ … │ footer │ length │ PAR1
 *                  header page   ▲ moved by what the pages before became shorter
 *
 * Pages that hold places in a dictionary stay as they are; the dictionary itself is a page of values.
 */
export async function fixLengths(local: string, lengths: ReadonlyMap<number, number>): Promise<void> {
  const rebuilt = `${local}.fixed`
  {
    await using from = await open(local)
    await using to = await open(rebuilt, 'w')
    const { footer, at: end } = await footerBytes(from)
    const facts = factsOf(footer, lengths)
    if (facts.leaves.filter((leaf) => leaf.length !== null).length !== lengths.size) {
      throw new LimnError('internal', { message: `Not every fixed column was found in the footer of ${local}.` })
    }
    const moves: Move[] = []
    let done = 0
    for (const chunk of facts.chunks.toSorted((a, b) => a.start - b.start)) {
      if (chunk.leaf.length === null) continue
      await copyRange(from, to, done, chunk.start)
      const bytes = await readRange(from, chunk.start, chunk.start + chunk.size)
      const fresh = withoutLengths(bytes, { ...chunk.leaf, length: chunk.leaf.length, codec: chunk.codec })
      await put(to, fresh.bytes)
      done = chunk.start + chunk.size
      moves.push({ chunk, by: fresh.bytes.length - chunk.size, plainBy: fresh.plainBy, pages: fresh.pages })
    }
    await copyRange(from, to, done, end)
    await put(to, footerWithTail(applyEdits(footer, [...facts.edits, ...moved(facts, moves)])))
  }
  await rename(rebuilt, local)
}

interface Leaf {
  /** Of its values; null: of another type. */
  readonly length: number | null
  readonly repeats: boolean
  readonly nullable: boolean
}

interface Chunk {
  readonly leaf: Leaf
  readonly group: number
  readonly codec: number
  readonly start: number
  readonly size: number
  readonly plainSize: Stated
  readonly storedSize: Stated
}

interface Facts {
  readonly leaves: readonly Leaf[]
  readonly chunks: readonly Chunk[]
  /** Offsets into the file. */
  readonly offsets: readonly Stated[]
  /** Sizes of row groups: as stored, and uncompressed. */
  readonly groups: readonly { readonly plain: Stated | null; readonly stored: Stated | null }[]
  /** What makes the types fixed. */
  readonly edits: readonly Edit[]
}

interface Move {
  readonly chunk: Chunk
  readonly by: number
  /** Before compression. */
  readonly plainBy: number
  /** How far each page moved within the chunk, by its former place there. */
  readonly pages: ReadonlyMap<number, number>
}

const physicalType = { byteArray: 6, fixedLengthByteArray: 7 }

function factsOf(footer: Buffer, lengths: ReadonlyMap<number, number>): Facts {
  const edits: Edit[] = []
  const offsets: Stated[] = []
  const groups: { plain: Stated | null; stored: Stated | null }[] = []
  const chunks: Chunk[] = []
  let leaves: readonly Leaf[] = []
  const walk = new Walk(footer)
  walk.struct((id, type) => {
    // FileMetaData: 2 schema, 4 row groups.
    if (id === 2) leaves = leavesOf(walk, lengths, edits)
    else if (id === 4) walk.list(() => rowGroup())
    else walk.skip(type)
  })
  return { leaves, chunks, offsets, groups, edits }

  function rowGroup() {
    const group: { plain: Stated | null; stored: Stated | null } = { plain: null, stored: null }
    const first = chunks.length
    walk.struct((id, type) => {
      if (id === 1) walk.list(() => columnChunk(chunks.length - first))
      else if (id === 2) group.plain = stated(walk)
      else if (id === 5) offsets.push(stated(walk))
      else if (id === 6) group.stored = stated(walk)
      else walk.skip(type)
    })
    groups.push(group)
  }

  function columnChunk(column: number) {
    walk.struct((id, type) => {
      if (id === 2) offsets.push(stated(walk))
      else if (id === 3) columnMetaData(column)
      // A page index repeats the places of pages, which the moves would make wrong. DuckDB writes none.
      else if (id === 4 || id === 6) throw new LimnError('internal', { message: 'A written file has a page index.' })
      else walk.skip(type)
    })
  }

  function columnMetaData(column: number) {
    const leaf = leaves[column]
    const found = new Map<number, Stated>()
    walk.struct((id, type) => {
      if (![1, 4, 6, 7, 9, 10, 11, 14].includes(id)) return walk.skip(type)
      found.set(id, stated(walk))
    })
    const [physical, codec, plainSize, storedSize, data] = [1, 4, 6, 7, 9].map((id) => found.get(id))
    if (!leaf || !physical || !codec || !plainSize || !storedSize || !data) {
      throw new LimnError('internal', { message: 'A footer misses facts of a column.' })
    }
    for (const id of [9, 10, 11, 14]) {
      const offset = found.get(id)
      if (offset) offsets.push(offset)
    }
    if (leaf.length !== null) edits.push(retyped(physical))
    const start = found.get(11)?.value ?? data.value
    const size = storedSize.value
    chunks.push({ leaf, group: groups.length, codec: codec.value, start, size, plainSize, storedSize })
  }
}

function retyped(physical: Stated): Edit {
  if (physical.value !== physicalType.byteArray) {
    throw new LimnError('internal', { message: `A fixed column is of the physical type ${physical.value}.` })
  }
  return restated(physical, physicalType.fixedLengthByteArray)
}

/** The leaves in their order; `edits` gets what gives fixed ones their type and length. */
function leavesOf(walk: Walk, lengths: ReadonlyMap<number, number>, edits: Edit[]): readonly Leaf[] {
  const elements: { length: number | null; repetition: number; children: number }[] = []
  walk.list(() => {
    let fieldId: number | null = null
    let physical: Stated | null = null
    let after: { id: number; type: number; at: number } | null = null
    let repetition = 0
    let children = 0
    walk.struct((id, type, at) => {
      if (physical && !after) after = { id, type, at }
      if (id === 1) physical = stated(walk)
      else if (id === 3) repetition = walk.varint()
      else if (id === 5) children = walk.varint()
      else if (id === 9) fieldId = walk.varint()
      else walk.skip(type)
    })
    const length = fieldId === null ? null : (lengths.get(fieldId) ?? null)
    elements.push({ length, repetition, children })
    if (length !== null) edits.push(...lengthened(physical, after, length))
  })
  const out: Leaf[] = []
  let next = 1
  const visit = (repeats: boolean, nullable: boolean) => {
    const element = elements[next++]
    if (!element) return
    const within = { repeats: repeats || element.repetition === 2, nullable: nullable || element.repetition !== 0 }
    if (element.children === 0) out.push({ length: element.length, ...within })
    for (let i = 0; i < element.children; i++) visit(within.repeats, within.nullable)
  }
  while (next < elements.length) visit(false, false)
  return out
}

/** The type as fixed, and `type_length`, field 2, put before the field that followed it. */
function lengthened(
  physical: Stated | null,
  after: { readonly id: number; readonly type: number; readonly at: number } | null,
  length: number,
): readonly Edit[] {
  if (!physical || !after || after.id < 3 || after.id > 15) {
    throw new LimnError('internal', { message: 'A footer states a column in an unknown way.' })
  }
  const bytes = Buffer.concat([Uint8Array.of(0x15), zigzag(length), Uint8Array.of(((after.id - 2) << 4) | after.type)])
  return [retyped(physical), { from: after.at, to: after.at + 1, bytes }]
}

/** Sizes and offsets as the moves leave them. */
function moved(facts: Facts, moves: readonly Move[]): readonly Edit[] {
  const edits: Edit[] = []
  for (const { chunk, by, plainBy } of moves) {
    edits.push(restated(chunk.storedSize, chunk.storedSize.value + by))
    edits.push(restated(chunk.plainSize, chunk.plainSize.value + plainBy))
  }
  for (const [i, { plain, stored }] of facts.groups.entries()) {
    const own = moves.filter((move) => move.chunk.group === i)
    if (plain)
      edits.push(
        restated(
          plain,
          own.reduce((sum, move) => sum + move.plainBy, plain.value),
        ),
      )
    if (stored)
      edits.push(
        restated(
          stored,
          own.reduce((sum, move) => sum + move.by, stored.value),
        ),
      )
  }
  for (const offset of facts.offsets) {
    const before = moves.filter(({ chunk }) => chunk.start + chunk.size <= offset.value)
    const inside = moves.find(({ chunk }) => chunk.start < offset.value && offset.value < chunk.start + chunk.size)
    const within = inside?.pages.get(offset.value - inside.chunk.start) ?? 0
    edits.push(restated(offset, before.reduce((sum, move) => sum + move.by, offset.value) + within))
  }
  return edits
}

const copyBytes = 4 * 1024 * 1024

async function readRange(file: FileHandle, start: number, end: number): Promise<Buffer> {
  const buffer = Buffer.alloc(end - start)
  const { bytesRead } = await file.read(buffer, 0, buffer.length, start)
  if (bytesRead === buffer.length) return buffer
  throw new LimnError('internal', { message: 'A file that was just written is cut off.' })
}

async function copyRange(from: FileHandle, to: FileHandle, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += copyBytes)
    await put(to, await readRange(from, at, Math.min(end, at + copyBytes)))
}

async function put(to: FileHandle, bytes: Uint8Array): Promise<void> {
  const { bytesWritten } = await to.write(bytes)
  if (bytesWritten !== bytes.length) throw new LimnError('internal', { message: 'A file was written in part.' })
}
