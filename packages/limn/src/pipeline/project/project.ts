import { LimnError, sha256, type TableId, tableId } from '../../base/index.ts'
import { allChecks, type Contract, datasetsOf, fingerprintParts, validateContract } from '../../contract/index.ts'
import {
  addUnits,
  buildGraph,
  type Dataset,
  type Edge,
  floorTo,
  type IntervalBuild,
  intervalParameters,
  type Producer,
  type SqlQuery,
} from '../../dataset/index.ts'
import type { FileEngine } from '../../engine/index.ts'
import { renameTables } from '../../sql/index.ts'
import { incrementOf, incrementPart, requireIncrement } from './increment.ts'
import { requireNoEarlier, selfReadOf } from './itself.ts'
import { allEdges, type ModelQuery, type Node, type Project, type QueryOrigin, type Shape } from './node.ts'
import { columnsOf, readingOf } from './reads.ts'
import { timingOf } from './timing.ts'

/** Raised when the meaning of builds changes in limn itself: everything is then rebuilt. */
const semanticsVersion = 1

/** A definition as loaded: the file it stands in, and its SQL once read. */
export interface LoadedDataset {
  readonly dataset: Dataset
  /** Relative to the lake. */
  readonly file: string
  /** Of a model; `sql-file` already read. */
  readonly query: { readonly text: string; readonly origin: QueryOrigin } | null
}

/** The query of a model with the interval ends as parameters, or null for a source. */
export function queryOf(producer: Producer): SqlQuery | null {
  if (producer.kind === 'source') return null
  return producer.build.kind === 'whole'
    ? producer.build.query()
    : producer.build.query({ interval: intervalParameters })
}

/**
 * Turns definitions into a project: contracts validated, SQL parsed, edges found, graph ordered, fingerprints taken.
 * Throws the first problem as `contract/invalid`, `sql/…`, `dataset/duplicate-name`, `dataset/cycle` or
 * `dataset/unknown-reference`.
 */
export async function analyse(loaded: readonly LoadedDataset[], engine: FileEngine): Promise<Project> {
  buildGraph(loaded.map((one) => ({ id: one.dataset.id, inputs: [], file: one.file })))
  const known = new Set(loaded.map((one) => one.dataset.id))
  const parsed = new Map<
    TableId,
    {
      inputs: readonly TableId[]
      readsItself: boolean
      query: ModelQuery | null
      checkTables: readonly TableId[]
      contract: Contract
    }
  >()
  // All at once, which is one call of the parser; what is wrong is told in order, below.
  const syntaxes = new Map(loaded.map((one) => [one, one.query && engine.parse(one.query.text, one.query.origin)]))
  for (const one of syntaxes.values()) one?.catch(() => undefined)
  for (const one of loaded) {
    const contract = contractOf(one)
    const query = one.query
    const syntax = (await syntaxes.get(one)) ?? null
    const named = syntax ? datasetsIn(syntax.tables, one, known) : []
    const inputs = named.filter((input) => input !== one.dataset.id)
    const checkTables = new Set<TableId>()
    for (const check of contract.checks) {
      for (const id of datasetsOf(check)) checkTables.add(requireKnown(id, one, known))
      if (check.kind === 'sql') {
        const checked = await engine.parse(check.sql, { file: one.file, line: 1, column: 1 })
        for (const id of datasetsIn(checked.tables, one, known)) checkTables.add(id)
      }
    }
    checkTables.delete(one.dataset.id)
    parsed.set(one.dataset.id, {
      inputs,
      readsItself: inputs.length < named.length,
      query: query && syntax ? { ...query, canonical: syntax.canonical } : null,
      checkTables: [...checkTables].sort(),
      contract,
    })
  }
  const graph = buildGraph(
    loaded.map((one) => ({ id: one.dataset.id, inputs: parsed.get(one.dataset.id)?.inputs ?? [], file: one.file })),
  )
  const nodes = new Map<TableId, Node>()
  const firstNames = firstNamesOf(loaded)
  const contracts = new Map([...parsed].map(([id, { contract }]) => [id, contract]))
  const tables = columnsOf(contracts)
  for (const one of loaded) {
    const found = parsed.get(one.dataset.id)
    if (!found) continue
    const { contract, query, inputs, checkTables } = found
    const shape = shapeOf(one, contract)
    const stated = edgesOf(one, found.readsItself ? [...inputs, one.dataset.id] : inputs)
    const self = found.readsItself ? { self: selfReadOf(one, shape, statedToItself(one)) } : {}
    const edges = new Map([...stated].filter(([input]) => input !== one.dataset.id))
    const own = { id: one.dataset.id, edges, ...self }
    requireNoEarlier(one, edges)
    requireDomain(one, shape, edges)
    requireTimes(one, edges, loaded)
    const reading = await readingOf(
      engine,
      allEdges(own),
      query?.canonical ?? null,
      tables,
      incrementOf(one.dataset.producer),
    )
    requireIncrement(one, contract, contracts, inputs)
    nodes.set(one.dataset.id, {
      id: one.dataset.id,
      file: one.file,
      contract,
      producer: one.dataset.producer,
      timing: timingOf(one, shape),
      shape,
      query,
      edges,
      ...self,
      get lineage() {
        return reading.lineage
      },
      get reads() {
        return reading.reads
      },
      fingerprint: fingerprintOf(one, contract, shape, allEdges(own), query, firstNames),
      ...(one.dataset.renamedFrom ? { renamedFrom: one.dataset.renamedFrom } : {}),
      checksHash: sha256(JSON.stringify(allChecks(contract))).slice(0, 16),
      checkInputs: checkTables,
    })
  }
  return { order: graph.order, nodes }
}

function contractOf(one: LoadedDataset): Contract {
  const contract = one.dataset.contract()
  const withPartition = { ...contract, partition: partitionOf(one, contract) }
  const [problem] = validateContract(withPartition)
  if (problem) {
    throw new LimnError('contract/invalid', {
      message: `The contract of ${one.dataset.id} is not valid: ${problem.path}: ${problem.message}`,
      notDone: 'Nothing was run.',
      remedy: problem.remedy,
      location: { file: one.file },
    })
  }
  return withPartition
}

/** An interval dataset is partitioned by its interval unless its contract says otherwise. */
function partitionOf(one: LoadedDataset, contract: Contract): readonly string[] {
  const producer = one.dataset.producer
  if (producer.kind !== 'model' || producer.build.kind !== 'interval') return contract.partition
  const { column, unit } = producer.build
  const terms = contract.partition.length > 0 ? contract.partition : [`${unit}(${column})`]
  const units = ['hour', 'day', 'month', 'year'] as const
  const first = terms.find((term) => units.some((one) => term === `${one}(${column})`))
  const termUnit = units.find((one) => first === `${one}(${column})`)
  if (!termUnit || units.indexOf(termUnit) > units.indexOf(unit)) {
    throw new LimnError('contract/invalid', {
      message: `${one.dataset.id} is built by ${unit} of ${column}, but partitioned by ${terms.join(', ')}.`,
      notDone: 'Nothing was run.',
      remedy: `Partition it by ${unit}(${column}) or a finer unit of the same column, so that an interval's files can be replaced alone.`,
      location: { file: one.file },
    })
  }
  return terms
}

function datasetsIn(
  tables: readonly { readonly schema: string | null; readonly name: string; readonly location?: number }[],
  one: LoadedDataset,
  known: ReadonlySet<TableId>,
): readonly TableId[] {
  const found = new Set<TableId>()
  for (const table of tables) {
    if (!table.schema) {
      throw new LimnError('sql/unknown-table', {
        message: `${one.dataset.id} reads "${table.name}", which is not a dataset name.`,
        notDone: 'Nothing was run.',
        remedy: 'Name datasets as namespace.name, for example silver.flight.',
        location: one.query?.origin ?? { file: one.file },
      })
    }
    found.add(requireKnown(tableId(`${table.schema}.${table.name}`), one, known))
  }
  return [...found].sort()
}

function requireKnown(id: TableId, one: LoadedDataset, known: ReadonlySet<TableId>): TableId {
  if (!known.has(id))
    buildGraph([
      ...[...known].map((other) => ({ id: other, inputs: [] })),
      { id: tableId('limn.unknown_reference'), inputs: [id], file: one.file },
    ])
  return id
}

function edgesOf(one: LoadedDataset, inputs: readonly TableId[]): ReadonlyMap<TableId, Edge> {
  const producer = one.dataset.producer
  if (producer.kind === 'source') return new Map()
  for (const name of Object.keys(producer.edges)) {
    if (!inputs.some((input) => input === name)) {
      throw new LimnError('dataset/invalid', {
        message: `${one.dataset.id} states an edge to ${name}, which its SQL does not read.`,
        notDone: 'Nothing was run.',
        remedy: `It reads ${inputs.join(', ') || 'nothing'}. Correct or remove the edge.`,
        location: { file: one.file },
      })
    }
  }
  return new Map(inputs.map((input) => [input, producer.edges[input] ?? { reads: { kind: 'all' }, touches: null }]))
}

function shapeOf(one: LoadedDataset, contract: Contract): Shape {
  const producer = one.dataset.producer
  if (producer.kind === 'source') return { kind: producer.input.kind }
  if (producer.build.kind === 'whole') return { kind: 'whole' }
  const build: IntervalBuild = producer.build
  const columnType = contract.columns[build.column]?.type
  if (columnType !== 'timestamp' && columnType !== 'timestamptz' && columnType !== 'date') {
    throw new LimnError('contract/invalid', {
      message: `${one.dataset.id} is built by ${build.unit} of ${build.column}, which is ${columnType ?? 'not a column'}.`,
      notDone: 'Nothing was run.',
      remedy: 'The interval column is a timestamp, timestamptz or date of the contract.',
      location: { file: one.file },
    })
  }
  for (const bound of [build.start, build.end]) {
    if (bound !== null && floorTo(build.unit, bound) !== bound) {
      throw new LimnError('dataset/invalid', {
        message: `The domain of ${one.dataset.id} does not begin or end with a whole ${build.unit}.`,
        remedy: 'State start and end as boundaries of the unit.',
        location: { file: one.file },
      })
    }
  }
  const { column, unit, batch, start, end } = build
  if (floorTo(unit, floorTo(batch, 0)) !== floorTo(batch, 0) || addUnits(batch, 0, 1) < addUnits(unit, 0, 1)) {
    throw new LimnError('dataset/invalid', {
      message: `${one.dataset.id} is built by ${unit} with batches of one ${batch}, which is less.`,
      remedy: `State batch as ${unit} or a larger unit.`,
      location: { file: one.file },
    })
  }
  return { kind: 'interval', column, columnType, unit, batch, start, end }
}

function requireDomain(one: LoadedDataset, shape: Shape, edges: ReadonlyMap<TableId, Edge>): void {
  if (shape.kind !== 'interval' || (shape.start !== null && shape.end !== null)) return
  const reaching = [...edges.values()].some((edge) => edge.touches !== null || edge.reads.kind !== 'all')
  if (reaching) return
  throw new LimnError('dataset/invalid', {
    message: `Nothing says which intervals ${one.dataset.id} consists of.`,
    notDone: 'Nothing was run.',
    remedy: 'Give one edge `touches` or `reads: same`, or state start and end of the domain.',
    location: { file: one.file },
  })
}

/** What a definition states of the edge to itself, if anything. */
function statedToItself({ dataset: { id, producer } }: LoadedDataset): Edge | undefined {
  return producer.kind === 'model' ? producer.edges[id] : undefined
}

/** `same` and `shift` speak of the input's time: it has an interval column, or the edge says what a row touches. */
function requireTimes(one: LoadedDataset, edges: ReadonlyMap<TableId, Edge>, loaded: readonly LoadedDataset[]): void {
  for (const [input, edge] of edges) {
    if (edge.reads.kind === 'all' || edge.touches !== null) continue
    const producer = loaded.find((other) => other.dataset.id === input)?.dataset.producer
    if (producer?.kind === 'model' && producer.build.kind === 'interval') continue
    throw new LimnError('dataset/invalid', {
      message: `The edge of ${one.dataset.id} to ${input} reads by time, but ${input} is not built by interval.`,
      notDone: 'Nothing was run.',
      remedy: 'Say with `touches` which time a row of it affects, or state reads: all.',
      location: { file: one.file },
    })
  }
}

/**
 * What renamed datasets were called first, by present name: a fingerprint goes by that one, so that a rename changes none.
 * Throws `dataset/invalid` where a former name is another dataset's present or former one.
 */
function firstNamesOf(loaded: readonly LoadedDataset[]): ReadonlyMap<TableId, TableId> {
  const takenBy = new Map(loaded.map((one) => [one.dataset.id, one]))
  const out = new Map<TableId, TableId>()
  for (const one of loaded) {
    const former = one.dataset.renamedFrom ?? []
    for (const id of former) {
      const other = takenBy.get(id)
      if (other)
        throw new LimnError('dataset/invalid', {
          message: `${one.dataset.id} says it was ${id} before, which is the name of ${other === one ? 'itself' : other.dataset.id} too.`,
          notDone: 'Nothing was run.',
          remedy: 'A table goes to one dataset: correct renamedFrom.',
          location: { file: one.file },
        })
      takenBy.set(id, one)
    }
    const first = former.at(-1)
    if (first !== undefined) out.set(one.dataset.id, first)
  }
  return out
}

function fingerprintOf(
  one: LoadedDataset,
  contract: Contract,
  shape: Shape,
  edges: ReadonlyMap<TableId, Edge>,
  query: ModelQuery | null,
  firstNames: ReadonlyMap<TableId, TableId>,
): string {
  const first = (id: TableId) => firstNames.get(id) ?? id
  const producer = one.dataset.producer
  const source = producer.kind === 'source' ? producer.input : null
  const made =
    source?.kind === 'files'
      ? {
          glob: source.glob,
          format: source.format,
          withdrawn: source.withdrawn,
          csv: source.format === 'csv' ? source.csv : null,
        }
      : source?.kind === 'iceberg'
        ? { table: source.table, ref: source.ref }
        : source
          ? { version: source.version }
          : {
              query: query && renameTables(query.canonical, firstNames),
              edges: [...edges].map(([id, edge]) => [first(id), edge]),
              ...incrementPart(producer),
            }
  return sha256(
    JSON.stringify({ semanticsVersion, id: first(one.dataset.id), contract: fingerprintParts(contract), shape, made }),
  ).slice(0, 32)
}
