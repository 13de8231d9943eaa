import { each, type LimnCell, people } from './limn-cell.ts'
import { mixedCells } from './limn-mixed-cells.ts'
import { refCells } from './limn-ref-cells.ts'
import { rowCells } from './limn-row-cells.ts'
import { shapeCells } from './limn-shape-cells.ts'
import { upkeepCells } from './limn-upkeep-cells.ts'
import { columnsOfEdges, edges, nestedRows, nestedType, newTypes, schemaOf } from './values.ts'

const types = columnsOfEdges(edges)
const column = (name: string) => Object.keys(edges).indexOf(name) + 1

const typesCells: readonly LimnCell[] = [
  ...each('a table without a snapshot', (writer, version) => writer.create(people, { version })),
  ...each('every type of version 2', async (writer, version) => {
    await writer.create(types.schema, { version })
    await writer.append(types.rows)
  }),
  ...each('nested types', async (writer, version) => {
    await writer.create(schemaOf(nestedType), { version })
    await writer.append(nestedRows)
  }),
  {
    name: 'v3 nanoseconds',
    write: async (writer) => {
      const table = columnsOfEdges({ id: edges.id ?? ['long', []], ...newTypes })
      await writer.create(table.schema, { version: 3 })
      await writer.append(table.rows)
    },
  },
  // A partition's value of type `fixed` is written as Avro says; the reference implementation expects a length before it.
  ...Object.keys(edges)
    .filter((name) => name !== 'f' && name !== 'd' && name !== 'four')
    .flatMap((name) =>
      each(`identity of ${name}`, async (writer, version) => {
        await writer.create(types.schema, { version, partition: [[column(name), 'identity', `${name}_part`]] })
        await writer.append(types.rows)
      }),
    ),
  ...each('bucket of every type', async (writer, version) => {
    const names = ['i', 'l', 'small', 'large', 'day', 'clock', 'local', 'instant', 'text', 'key', 'four', 'bytes']
    await writer.create(types.schema, {
      version,
      partition: names.map((name) => [column(name), 'bucket[7]', `${name}_bucket`]),
    })
    await writer.append(types.rows)
  }),
  ...each('truncate of every type', async (writer, version) => {
    const names = ['i', 'l', 'small', 'middle', 'large', 'text', 'bytes']
    await writer.create(types.schema, {
      version,
      partition: names.map((name) => [column(name), 'truncate[3]', `${name}_trunc`]),
    })
    await writer.append(types.rows)
  }),
  ...(['year', 'month', 'day', 'hour'] as const).flatMap((unit) =>
    each(`${unit} of dates and timestamps`, async (writer, version) => {
      const names = unit === 'hour' ? ['local', 'instant'] : ['day', 'local', 'instant']
      await writer.create(types.schema, {
        version,
        partition: names.map((name) => [column(name), unit, `${name}_${unit}`]),
      })
      await writer.append(types.rows)
    }),
  ),
]

export const limnCells: readonly LimnCell[] = [
  ...typesCells,
  ...rowCells,
  ...shapeCells,
  ...mixedCells,
  ...refCells,
  ...upkeepCells,
]
