import type { ColumnContract } from '../contract/index.ts'
import type { QueryLineage, Uses } from '../sql/index.ts'
import { type DatasetName, nameOfPlace } from './naming.ts'

/** Where the specification of each facet stands that limn sends, in the version it is sent in. */
const specification = 'https://openlineage.io/spec'
const versions = {
  schema: '1-2-0/SchemaDatasetFacet',
  dataSource: '1-0-1/DatasourceDatasetFacet',
  columnLineage: '1-2-0/ColumnLineageDatasetFacet',
  version: '1-0-1/DatasetVersionDatasetFacet',
  documentation: '1-1-0/DocumentationDatasetFacet',
  ownership: '1-0-1/OwnershipDatasetFacet',
  symlinks: '1-0-1/SymlinksDatasetFacet',
  outputStatistics: '1-0-2/OutputStatisticsOutputDatasetFacet',
  parent: '1-2-0/ParentRunFacet',
  nominalTime: '1-0-1/NominalTimeRunFacet',
  errorMessage: '1-0-1/ErrorMessageRunFacet',
  processing_engine: '1-1-1/ProcessingEngineRunFacet',
  jobDocumentation: '1-1-0/DocumentationJobFacet',
  sql: '1-1-0/SQLJobFacet',
  jobType: '2-0-4/JobTypeJobFacet',
} as const

export const eventSchema = `${specification}/2-0-2/OpenLineage.json#/$defs/RunEvent`

export interface Facet {
  readonly _producer: string
  readonly _schemaURL: string
  readonly [member: string]: unknown
}
export type Facets = Readonly<Record<string, Facet>>

/** Makes facets of one producer. Only what the specification knows has a name here; limn's own are made by `own`. */
export class FacetMaker {
  readonly producer: string

  constructor(version: string) {
    this.producer = `https://www.npmjs.com/package/limn/v/${version}`
  }

  of(name: keyof typeof versions, members: Readonly<Record<string, unknown>>): Facet {
    const [version, title] = versions[name].split('/')
    return {
      _producer: this.producer,
      _schemaURL: `${specification}/facets/${version}/${title}.json#/$defs/${title}`,
      ...members,
    }
  }

  /** A facet of limn's, which the specification has no name for: any facet's schema holds for it. */
  own(members: Readonly<Record<string, unknown>>): Facet {
    return {
      _producer: this.producer,
      _schemaURL: `${specification}/2-0-2/OpenLineage.json#/$defs/BaseFacet`,
      ...members,
    }
  }

  /** What is known of a table whatever a run did to it. */
  table(table: TableFacts): Facets {
    const { namespace, name } = nameOfPlace(table.location)
    return {
      schema: this.of('schema', {
        fields: Object.entries(table.columns).map(([column, { type, doc }], i) => ({
          name: column,
          type,
          ordinal_position: i + 1,
          ...(doc === undefined ? {} : { description: doc }),
        })),
      }),
      dataSource: this.of('dataSource', {
        name: table.lake,
        uri: `${namespace}${namespace.includes('://') ? '/' : '://'}${name}`,
      }),
      symlinks: this.of('symlinks', { identifiers: [{ namespace: table.lake, name: table.id, type: 'TABLE' }] }),
      ...(table.doc === undefined ? {} : { documentation: this.of('documentation', { description: table.doc }) }),
      ...(table.owner === undefined ? {} : { ownership: this.of('ownership', { owners: [{ name: table.owner }] }) }),
      ...(table.snapshotId === null
        ? {}
        : { version: this.of('version', { datasetVersion: String(table.snapshotId) }) }),
    }
  }

  /** Null where the query is not understood well enough to name columns. */
  columnLineage(lineage: QueryLineage, places: ReadonlyMap<string, TableFacts>): Facet | null {
    if (lineage.open) return null
    const fields: Record<string, { readonly inputFields: readonly unknown[] }> = {}
    for (const column of lineage.columns) {
      const direct = inputFields(column.uses, places, { type: 'DIRECT', subtype: 'TRANSFORMATION' })
      if (direct === null) return null
      fields[column.name] = { inputFields: direct }
    }
    const indirect = inputFields(lineage.rows.uses, places, { type: 'INDIRECT', subtype: 'FILTER' })
    return this.of('columnLineage', { fields, ...(indirect && indirect.length > 0 ? { dataset: indirect } : {}) })
  }
}

/** A table of the lake as events tell it. */
export interface TableFacts {
  readonly lake: string
  readonly id: string
  readonly location: string
  readonly columns: Readonly<Record<string, ColumnContract>>
  readonly doc?: string
  readonly owner?: string
  readonly snapshotId: bigint | null
}

/** Null where it cannot be told which columns are used. */
function inputFields(
  uses: Uses,
  places: ReadonlyMap<string, TableFacts>,
  transformation: { readonly type: string; readonly subtype: string },
): readonly (DatasetName & { readonly field: string; readonly transformations: readonly unknown[] })[] | null {
  const out: (DatasetName & { readonly field: string; readonly transformations: readonly unknown[] })[] = []
  for (const [table, columns] of [...uses].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const facts = places.get(table)
    if (columns === 'all' || !facts) return null
    for (const field of [...columns].sort())
      out.push({ ...nameOfPlace(facts.location), field, transformations: [{ ...transformation, masking: false }] })
  }
  return out
}
