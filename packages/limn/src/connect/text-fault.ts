import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'

/** What is wrong with the bytes of a delivered text, and in which line as far as that can be said. */
export interface Fault {
  readonly why: string
  readonly line: number | null
}

/** By the ends of names that DuckDB goes by too. */
function decompressor(path: string): Transform | null {
  if (/\.gz$/i.test(path)) return createGunzip()
  if (/\.zst$/i.test(path)) return createZstdDecompress()
  return null
}

/**
 * Whether a compressed file ends as its format asks, with the checksum of its contents: DuckDB reads what there is of one that was cut
 * off, and the rest would be missing without a word. Null: it is whole, or not compressed.
 */
export async function compressionFault(local: string, signal: AbortSignal): Promise<Fault | null> {
  const whole = decompressor(local)
  if (!whole) return null
  try {
    await pipeline(createReadStream(local), whole, async (source: AsyncIterable<Buffer>) => drained(source), { signal })
    return null
  } catch (error) {
    signal.throwIfAborted()
    const { code } = error as { readonly code?: unknown }
    const why = code === 'Z_BUF_ERROR' ? 'it ends before its end' : `it is damaged (${(error as Error).message})`
    return { why: `the compressed file is not whole: ${why}`, line: null }
  }
}

async function drained(source: AsyncIterable<Buffer>): Promise<void> {
  for await (const _chunk of source);
}

const signatures: readonly (readonly [bytes: readonly number[], why: string])[] = [
  [[0xff, 0xfe], 'it is UTF-16; limn reads UTF-8'],
  [[0xfe, 0xff], 'it is UTF-16; limn reads UTF-8'],
  [[0x1f, 0x8b], 'it is compressed by gzip, and its name does not end in .gz'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'it is compressed by zstd, and its name does not end in .zst'],
  [[0x50, 0x4b, 0x03, 0x04], 'it is a ZIP archive or a spreadsheet'],
  [[0x50, 0x41, 0x52, 0x31], 'it is a Parquet file'],
]

const headBytes = 256

/** What the first bytes of a file say that is no UTF-8 text; null: they could be text. */
export async function headFault(local: string): Promise<Fault | null> {
  if (decompressor(local)) return null
  const parts: Buffer[] = []
  for await (const chunk of createReadStream(local, { end: headBytes - 1 })) parts.push(chunk as Buffer)
  const head = Buffer.concat(parts)
  const known = signatures.find(([bytes]) => bytes.every((byte, i) => head[i] === byte))
  if (known) return { why: known[1], line: 1 }
  // Latin text in UTF-16 has a zero for every other byte.
  const zeros = head.reduce((sum, byte) => sum + (byte === 0 ? 1 : 0), 0)
  return zeros * 3 > head.length ? { why: 'it is UTF-16 or no text; limn reads UTF-8', line: 1 } : null
}

type LineEnd = 'LF' | 'CR' | 'CRLF'

/** Reads a text to the first thing that is wrong with it: an encoding that is not UTF-8, or a line that ends unlike the first one. */
export async function textFault(local: string, quote: string, signal: AbortSignal): Promise<Fault | null> {
  const source = createReadStream(local)
  const whole = decompressor(local)
  if (whole) source.on('error', (error) => whole.destroy(error)).pipe(whole)
  const scanner = new LineScanner(quote.charCodeAt(0))
  try {
    for await (const chunk of (whole ?? source) as Readable) {
      signal.throwIfAborted()
      const found = scanner.take(chunk as Buffer)
      if (found) return found
    }
  } catch (error) {
    signal.throwIfAborted()
    return { why: `it cannot be read further (${(error as Error).message})`, line: scanner.line }
  } finally {
    source.destroy()
  }
  return scanner.end()
}

const [lf, cr] = [10, 13]

/** Lines of bytes: an end within quotes is part of a value, and may be any. */
class LineScanner {
  line = 1
  private readonly quote: number
  private quoted = false
  private first: LineEnd | null = null
  /** The last byte was a CR outside quotes whose next is not known yet. */
  private open = false
  private rest: Buffer = Buffer.alloc(0)

  constructor(quote: number) {
    this.quote = quote
  }

  take(chunk: Buffer): Fault | null {
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk
    let from = 0
    for (let at = this.rest.length; at < bytes.length; at++) {
      const byte = bytes[at]
      if (this.open) {
        this.open = false
        const end = byte === lf ? 'CRLF' : 'CR'
        const found = this.close(bytes.subarray(from, at), end)
        if (found) return found
        from = end === 'CRLF' ? at + 1 : at
        if (end === 'CRLF') continue
      }
      if (byte === this.quote) this.quoted = !this.quoted
      else if (byte === cr && !this.quoted) this.open = true
      else if (byte === lf) {
        const found = this.quoted ? this.within(bytes.subarray(from, at)) : this.close(bytes.subarray(from, at), 'LF')
        if (found) return found
        from = at + 1
      }
    }
    this.rest = bytes.subarray(from)
    return null
  }

  end(): Fault | null {
    if (this.open) {
      const found = this.close(this.rest, 'CR')
      if (found) return found
    } else if (!isUtf8(this.rest)) return this.notText()
    return this.quoted ? { why: 'a quote that opens is never closed', line: null } : null
  }

  private close(text: Buffer, end: LineEnd): Fault | null {
    if (!isUtf8(text)) return this.notText()
    this.first ??= end
    if (end !== this.first)
      return { why: `line ${this.line} ends in ${end}, the first line in ${this.first}`, line: this.line }
    this.line++
    return null
  }

  private within(text: Buffer): Fault | null {
    if (!isUtf8(text)) return this.notText()
    this.line++
    return null
  }

  private notText(): Fault {
    return { why: `line ${this.line} is not UTF-8`, line: this.line }
  }
}
