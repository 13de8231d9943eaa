import { counted } from '../../../base/index.ts'
import { type Divergence, type DivergenceSide, divergence, pinRef, type TableContext } from '../../../table/index.ts'
import { parseCount } from '../../arguments.ts'
import type { Invocation } from '../../main.ts'
import { formatCount, formatTable, toJson } from '../../text.ts'
import { openLake, textOption } from '../open.ts'
import { given } from './report.ts'
import { sourceOf } from './source.ts'

/** Compares two places that should hold the same rows. Ends with 3 when they do not. */
export default async function diverge(invocation: Invocation): Promise<number> {
  const { io } = invocation
  const [, left = '', right = ''] = invocation.args
  await using lake = await openLake(invocation)
  const context = await lake.context()
  const names = (option: string) =>
    textOption(invocation, option)
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
  const found = await divergence(context, await sideOf(context, left), await sideOf(context, right), {
    progress: context.progress,
    ...given({ keys: names('keys'), by: names('by'), limit: parseCount('limit', textOption(invocation, 'limit')) }),
  })
  io.out(io.json ? toJson({ left, right, ...found }) : divergenceText(found, left, right, io.width).join('\n'))
  return found.same ? 0 : 3
}

async function sideOf(context: TableContext, text: string): Promise<DivergenceSide> {
  const source = await sourceOf(context, text)
  if (source.kind === 'folder') return source
  const pin = pinRef(source.loaded)
  if (!pin) throw new RangeError('main is always there')
  return { kind: 'table', pin }
}

function divergenceText(found: Divergence, left: string, right: string, width: number): readonly string[] {
  const { schema, rows, partitions, onlyLeft, onlyRight, changed, columns, keys, by } = found
  const number = (count: bigint) => formatCount(Number(count))
  const lines = [
    `left  ${left}: ${counted(Number(rows.left), 'row')}`,
    `right ${right}: ${counted(Number(rows.right), 'row')}`,
    ...schema.onlyLeft.map((one) => `column ${one.name} ${one.type} is left only`),
    ...schema.onlyRight.map((one) => `column ${one.name} ${one.type} is right only`),
    ...schema.types.map(
      (one) => `column ${one.name} is ${one.left} left and ${one.right} right, compared as ${one.compared}`,
    ),
  ]
  if (found.same) return [...lines, `the same: ${counted(columns.length, 'column')}, every row as often`]
  if (partitions.differing === 0) return [...lines, 'the rows are the same in the columns that both have']
  const text = (value: string | null) => value ?? 'null'
  const of = (total: bigint, shown: number) =>
    Number(total) > shown ? ` (the first ${shown} of ${number(total)})` : ''
  if (by.length > 0)
    lines.push(
      '',
      `${formatCount(partitions.differing)} of ${counted(partitions.compared, 'partition')} differ`,
      formatTable(
        [...by, 'rows left', 'rows right'],
        partitions.shown.map((one) => [...one.values.map(text), number(one.left.rows), number(one.right.rows)]),
        width,
      ),
    )
  for (const [side, one] of [
    ['left', onlyLeft],
    ['right', onlyRight],
  ] as const)
    if (one.rows > 0n)
      lines.push(
        '',
        `${counted(Number(one.rows), 'row')} ${side} only${of(one.rows, one.shown.length)}`,
        formatTable(
          [...columns, 'times'],
          one.shown.map((row) => [...row.values.map(text), number(row.times)]),
          width,
        ),
      )
  if (changed && changed.rows > 0n)
    lines.push(
      '',
      `${counted(Number(changed.rows), 'row')} changed${of(changed.rows, changed.shown.length)}`,
      formatTable(
        [...keys, 'column', 'left', 'right'],
        changed.shown.flatMap((row) =>
          row.columns.map((one) => [...row.key.map(text), one.name, text(one.left), text(one.right)]),
        ),
        width,
      ),
    )
  return lines
}
