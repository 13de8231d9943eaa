import { LimnError } from '../../base/index.ts'
import type { ParquetFooter } from '../../encoding/index.ts'
import {
  type DataFile,
  type MetricsMode,
  metricsModes,
  type NameMapping,
  nameMappingOf,
  type PartitionSpec,
  parquetMetrics,
  type ShapeField,
  schemaById,
  shapeOf,
  specById,
  type TableMetadata,
  usableNameMapping,
} from '../../iceberg/index.ts'
import { type Field, isPrimitive, locateAll, type Schema, type Value } from '../../schema/index.ts'
import type { ObjectInfo, StorePath } from '../../storage/index.ts'
import { type Fit, fitOf } from './file-fit.ts'
import { partitionOf, valuesOf } from './file-partition.ts'
import { hiveParts, valueOfPathText } from './hive-path.ts'

/** The table that files are held against. */
export interface Against {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly formatVersion: TableMetadata['formatVersion']
  readonly mapping: NameMapping
  readonly mode: (fieldId: number) => MetricsMode
}

export function against(metadata: TableMetadata): Against {
  const schema = schemaById(metadata, metadata.currentSchemaId)
  const order = metadata.sortOrders.find((one) => one.orderId === metadata.defaultSortOrderId)
  return {
    schema,
    spec: specById(metadata, metadata.defaultSpecId),
    formatVersion: metadata.formatVersion,
    mapping: usableNameMapping(metadata, schema) ?? nameMappingOf(schema.fields),
    mode: metricsModes(metadata.properties, schema, order?.fields.map((field) => field.sourceId) ?? []),
  }
}

/** What a file comes to. */
export type Judged =
  | { readonly kind: 'fits'; readonly file: DataFile; readonly hasIds: boolean; readonly extra: readonly string[] }
  | { readonly kind: 'empty'; readonly path: StorePath }
  | { readonly kind: 'misfit'; readonly path: StorePath; readonly why: readonly string[] }

/** Judges files against one table. Files of one shape are held against the schema once. */
export class Judge {
  private readonly table: Against
  private readonly base: StorePath | null
  private readonly extraColumns: 'refuse' | 'ignore'
  private readonly fits = new Map<string, Fit>()
  private readonly ids: ReadonlyMap<number, Field>

  constructor(
    table: Against,
    options: { readonly base: StorePath | null; readonly extraColumns: 'refuse' | 'ignore' },
  ) {
    this.table = table
    this.base = options.base
    this.extraColumns = options.extraColumns
    this.ids = new Map(locateAll(table.schema.fields).map((one) => [one.field.id, one.field]))
  }

  judge(footer: ParquetFooter, info: ObjectInfo): Judged {
    const { path } = info
    const { schema, spec } = this.table
    const told = this.told(path)
    const fit = this.fit(shapeOf(footer), new Set(told.values.keys()))
    const why = [...told.misfits, ...fit.misfits]
    if (why.length > 0) return { kind: 'misfit', path, why }
    if (footer.rowCount === 0n) return { kind: 'empty', path }
    const own: Schema = { ...schema, fields: fit.fields }
    const metrics = parquetMetrics(footer, own, { match: 'name', mode: this.table.mode })
    // Bounds that a manifest keeps may be cut short; what is decided here needs them whole.
    const decided =
      fit.mustBeFull.length > 0 ||
      spec.fields.some((one) => !told.values.has(one.sourceId)) ||
      [...told.values.keys()].some((id) => fit.present.has(id))
    const whole = decided ? parquetMetrics(footer, own, { match: 'name', mode: () => ({ kind: 'full' }) }) : metrics
    const partition = partitionOf({
      spec,
      schema,
      told: told.values,
      has: (id) => whole.columnSizes.has(id),
      metrics: whole,
    })
    if (typeof partition === 'string') why.push(partition)
    for (const [id, value] of told.values) {
      const field = this.ids.get(id)
      if (!field || !fit.present.has(id)) continue
      const inside = valuesOf(whole, id, field.type)
      if (inside.kind !== 'one' || inside.value !== value)
        why.push(
          `its path says ${field.name} = ${value}, and its rows ${inside.kind === 'one' ? `say ${inside.value}` : 'need not'}`,
        )
    }
    for (const { column, leaves } of fit.mustBeFull)
      if (!leaves.some((id) => whole.nullValueCounts.get(id) === 0n))
        why.push(`${column} may hold null, and the table requires a value`)
    if (typeof partition === 'string' || why.length > 0) return { kind: 'misfit', path, why }
    const file: DataFile = {
      content: 0,
      path,
      format: 'parquet',
      specId: spec.specId,
      partition,
      fileSizeInBytes: BigInt(info.bytes),
      ...metrics,
      equalityIds: [],
      sortOrderId: null,
    }
    return { kind: 'fits', file, hasIds: fit.hasIds, extra: fit.extra }
  }

  private fit(shapes: readonly ShapeField[], told: ReadonlySet<number>): Fit {
    const key = `${[...told].join()} ${JSON.stringify(shapes, (name, value) => (name === 'column' ? undefined : value))}`
    const known = this.fits.get(key)
    if (known) return known
    const { schema, formatVersion, mapping } = this.table
    const fit = fitOf(shapes, schema.fields, { formatVersion, mapping, told, extraColumns: this.extraColumns })
    this.fits.set(key, fit)
    return fit
  }

  /** By column: what the folders on the way to a file say. */
  private told(path: StorePath): {
    readonly values: ReadonlyMap<number, Value | null>
    readonly misfits: readonly string[]
  } {
    const { schema, spec, mapping } = this.table
    const values = new Map<number, Value | null>()
    const misfits: string[] = []
    for (const { name, text } of hiveParts(path, this.base)) {
      const byName = mapping.find((one) => one.names.includes(name))?.fieldId
      const partField = spec.fields.find(
        (one) => one.transform.kind === 'identity' && (one.sourceId === byName || one.name === name),
      )
      const field = partField && schema.fields.find((one) => one.id === partField.sourceId)
      if (!field || !isPrimitive(field.type)) {
        // Iceberg's own folders of other transforms: the file's bounds have to tell.
        if (spec.fields.some((one) => one.name === name)) continue
        if (byName !== undefined && byName !== null)
          misfits.push(`its path tells of ${name}, by which the table is not partitioned`)
        else if (this.extraColumns === 'refuse')
          misfits.push(`its path tells of ${name}, a column that the table lacks`)
        continue
      }
      const value = text === null ? null : valueOfPathText(field.type, text)
      if (value === undefined) misfits.push(`its path says ${name}=${text}, which is no ${field.type}`)
      else if (value === null && field.required)
        misfits.push(`its path says that ${name} is null, and the table requires it`)
      else values.set(field.id, value)
    }
    return { values, misfits }
  }
}

const misfitsShown = 3

/** Throws `source/schema` when files do not fit, naming the first few and why. */
export function requireFits(judged: readonly Judged[], what: string): void {
  const misfits = judged.filter((one) => one.kind === 'misfit')
  if (misfits.length === 0) return
  const shown = misfits.slice(0, misfitsShown).map((one) => `${one.path}: ${one.why.join('; ')}`)
  const more = misfits.length > misfitsShown ? `\n(and ${misfits.length - misfitsShown} more)` : ''
  throw new LimnError('source/schema', {
    message: `${misfits.length} of ${judged.length} files do not fit ${what}.\n${shown.join('\n')}${more}`,
    notDone: 'Nothing was added.',
    remedy: 'Change the table to fit (ALTER TABLE), leave the files out, or ignore columns that it lacks.',
    context: { misfits: misfits.length },
  })
}
