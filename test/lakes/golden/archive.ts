import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'

/** A folder as one compressed file: a line of JSON per file, its content in base64. The same files give the same bytes. */
export function pack(folder: string): Uint8Array {
  const lines = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => JSON.stringify({ path: relative(folder, path), content: readFileSync(path).toString('base64') }))
  return brotliCompressSync(lines.join('\n'))
}

export function unpack(bytes: Uint8Array, folder: string): void {
  for (const line of brotliDecompressSync(bytes).toString().split('\n')) {
    const { path, content } = JSON.parse(line) as { path: string; content: string }
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), Buffer.from(content, 'base64'))
  }
}
