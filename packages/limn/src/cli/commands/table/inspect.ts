import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LimnError } from '../../../base/index.ts'
import { layOpen } from '../../../iceberg/index.ts'
import { parseCount } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatTable, type TextCell, toJson } from '../../text.ts'
import { textOption } from '../open.ts'

/** Rows of Avro files and entries of manifests that are shown unless more are asked for. */
const limitDefault = 20

/** Lays open one file, wherever it is; no lake is needed. */
export default async function inspect(invocation: Invocation): Promise<number> {
  const [, name = ''] = invocation.args
  const limit = parseCount('limit', textOption(invocation, 'limit'), 0) ?? limitDefault
  const path = name.startsWith('file:') ? fileURLToPath(name) : resolve(name)
  const file = await open(path, 'r').catch((cause) => {
    throw noFile(`${name} could not be opened`, cause)
  })
  try {
    const status = await file.stat()
    if (status.isDirectory()) throw noFile(`${name} is a folder`)
    const { size } = status
    const read = async (start: number, end: number) => {
      const bytes = new Uint8Array(Math.max(0, end - start))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, start)
      return bytes.subarray(0, bytesRead)
    }
    const found = await layOpen(read, size)
    if (invocation.io.json) {
      invocation.io.out(toJson({ file: path, bytes: size, ...found }))
      return 0
    }
    invocation.io.out(`${path}\n${found.kind}, ${size} bytes\n`)
    const facts = Object.entries(found.facts).map(([key, value]) => [key, cell(value)])
    invocation.io.out(formatTable(['what', 'value'], facts, invocation.io.width))
    for (const { name: title, rows } of found.tables) {
      const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
      const shown = rows.slice(0, limit).map((row) => columns.map((column) => cell(row[column])))
      const more = rows.length > limit ? `, the first ${limit} (--limit)` : ''
      invocation.io.out(`\n${title}: ${rows.length}${more}`)
      if (shown.length > 0) invocation.io.out(formatTable(columns, shown, invocation.io.width))
    }
    return 0
  } finally {
    await file.close()
  }
}

function noFile(what: string, cause?: unknown): LimnError {
  return new LimnError('usage/argument', {
    message: `${what}.`,
    notDone: 'Nothing was read.',
    remedy: 'Name a file. Those of a table: limn table files NAME',
    cause,
  })
}

function cell(value: unknown): TextCell {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return value
  return value instanceof Uint8Array ? value : toJson(value)
}
