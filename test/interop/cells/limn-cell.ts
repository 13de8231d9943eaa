import type { TableChange } from '../../../packages/limn/src/iceberg/index.ts'
import type { LimnWriter } from './limn-writer.ts'
import { type Row, schemaOf } from './values.ts'

/** One table that limn writes, for every other engine to read. */
export interface LimnCell {
  /** Stable: the list of refusals names cells by it. */
  readonly name: string
  readonly write: (writer: LimnWriter) => Promise<void>
}

export type Version = 2 | 3
export const versions: readonly Version[] = [2, 3]

export const people = schemaOf({ id: 'long', name: 'string', day: 'date', amount: 'decimal(9, 2)' })
export const person = (id: number, name: string | null, day: number | null, amount: string | null): Row => [
  String(id),
  name,
  day === null ? null : String(day),
  amount,
]
export const some: readonly Row[] = [
  person(1, 'ada', 20000, '1.00'),
  person(2, 'bob', 20000, null),
  person(3, null, 20001, '-3.50'),
  person(4, 'dan', null, '4.00'),
]
export const more: readonly Row[] = [
  person(5, 'eve', 20001, '5.00'),
  person(6, 'fay', 20002, '6.25'),
  person(7, '', -1, '0.00'),
]

type Fields = readonly (readonly [number, string, string])[]

/** How a table is laid out when rows of it change: `some` is appended, the spec evolves if it does, `more` is appended. */
export interface Layout {
  readonly partition: Fields
  readonly evolve?: readonly TableChange[]
}

/** The partitionings that every row-level operation is tried under. */
export const layouts: Readonly<Record<string, Layout>> = {
  flat: { partition: [] },
  'by day': { partition: [[3, 'day', 'day_day']] },
  'by bucket and prefix': {
    partition: [
      [1, 'bucket[3]', 'id_bucket'],
      [2, 'truncate[1]', 'name_trunc'],
    ],
  },
  'by a void field and name': {
    partition: [
      [3, 'void', 'day_void'],
      [2, 'identity', 'name_part'],
    ],
  },
  'by day, then by bucket': {
    partition: [[3, 'day', 'day_day']],
    evolve: [
      { kind: 'remove-partition-field', field: { name: 'day_day' } },
      { kind: 'add-partition-field', column: 'id', transform: { kind: 'bucket', count: 2 }, name: 'shard' },
    ],
  },
  'flat, then by year': {
    partition: [],
    evolve: [{ kind: 'add-partition-field', column: 'day', transform: { kind: 'year' } }],
  },
}

export type Mode = 'copy-on-write' | 'merge-on-read'
export const modes: readonly Mode[] = ['copy-on-write', 'merge-on-read']

/** The table properties that make every row-level operation work in a mode. */
export function inMode(mode: Mode): Readonly<Record<string, string>> {
  return Object.fromEntries(['delete', 'update', 'merge'].map((kind) => [`write.${kind}.mode`, mode]))
}

export interface Start extends Layout {
  readonly version: Version
  readonly properties?: Readonly<Record<string, string>>
}

/** A table of seven people in two files or more. */
export async function start(writer: LimnWriter, { evolve = [], ...options }: Start): Promise<void> {
  await writer.create(people, options)
  await writer.append(some)
  if (evolve.length > 0) await writer.alter(...evolve)
  await writer.append(more)
}

export function each(
  name: string,
  write: (writer: LimnWriter, version: Version) => Promise<void>,
): readonly LimnCell[] {
  return versions.map((version) => ({ name: `v${version} ${name}`, write: (writer) => write(writer, version) }))
}

export function eachLayout(
  name: string,
  write: (writer: LimnWriter, start: Start) => Promise<void>,
): readonly LimnCell[] {
  return Object.entries(layouts).flatMap(([layout, of]) =>
    each(`${name}, ${layout}`, (writer, version) => write(writer, { version, ...of })),
  )
}

/** Every layout, copy on write and merge on read. */
export function eachChange(
  name: string,
  write: (writer: LimnWriter, start: Start) => Promise<void>,
): readonly LimnCell[] {
  return modes.flatMap((mode) =>
    eachLayout(`${name} in ${mode}`, (writer, of) => write(writer, { ...of, properties: inMode(mode) })),
  )
}

/** Rows without those of some ids. */
export function without(rows: readonly Row[], ...ids: readonly number[]): readonly Row[] {
  return rows.filter((row) => !ids.map(String).includes(String(row[0])))
}
