import { rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { LimnError } from '../../base/index.ts'
import { parseAt, query, queryToParquet } from '../../lake/index.ts'
import type { Invocation } from '../main.ts'
import { formatCsv, formatResultJson, formatTable } from '../text.ts'
import { openLake, textOption } from './open.ts'

export default async function sql(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const [text = ''] = args
  const at = parseAt(textOption(invocation, 'at'))
  const format = textOption(invocation, 'format') ?? (io.json ? 'json' : 'table')
  const out = textOption(invocation, 'out')
  if (format === 'parquet' && out === undefined) {
    throw new LimnError('usage/argument', {
      message: 'Parquet is not printed.',
      remedy: 'Name a file: --out result.parquet',
    })
  }
  await using lake = await openLake(invocation)
  if (format === 'parquet' && out !== undefined) {
    await queryToParquet(lake, text, at, resolve(out))
    return 0
  }
  const result = await query(lake, text, at)
  const columns = result.columns.map((column) => column.name)
  const printed =
    format === 'json'
      ? formatResultJson(columns, result.rows)
      : format === 'csv'
        ? formatCsv(columns, result.rows)
        : formatTable(columns, result.rows, out === undefined ? io.width : undefined)
  if (out === undefined) {
    io.out(printed)
    return 0
  }
  try {
    await writeFile(out, `${printed}\n`)
  } catch (cause) {
    await rm(out, { force: true }).catch(() => undefined)
    throw new LimnError('storage/not-writable', {
      message: `${out} could not be written.`,
      notDone: 'The result was not saved.',
      remedy: 'Choose another place with --out.',
      cause,
    })
  }
  return 0
}
