/**
 * A statement as a tree. Every node says where it stands (`at`: its first character). Expressions and queries are
 * DuckDB's and stay text (`SqlText`): limn finds where they end and which tables they read at another time, and DuckDB
 * reads the rest.
 */

/** Where something begins: the offset counts from 0 in UTF-16 units, line and column from 1. */
export interface Position {
  readonly offset: number
  readonly line: number
  readonly column: number
}

/** A name without its quotes, as written. */
export interface Name {
  readonly at: Position
  readonly text: string
}

/** A dotted name: of a table (namespace first), or of a column and the path within it. At least one part. */
export interface Path {
  readonly at: Position
  readonly parts: readonly string[]
}

/** Which version of a table a query reads. */
export type Version =
  | { readonly kind: 'snapshot'; readonly snapshotId: bigint }
  /** A branch, a tag, or a snapshot id in quotes. */
  | { readonly kind: 'ref'; readonly ref: string }
  /** The table as it was at a time: an SQL expression without columns, or seconds since 1970 as a whole number. */
  | { readonly kind: 'time'; readonly expression: string }

/** A table read at a version. Offsets count from the start of the text it stands in; `end` is exclusive. */
export interface Travel {
  readonly table: readonly string[]
  readonly version: Version
  readonly start: number
  /** Where the name ends and the clause begins. */
  readonly nameEnd: number
  readonly end: number
}

/** An expression or query of DuckDB, as written. */
export interface SqlText {
  readonly at: Position
  readonly text: string
  /** Tables within it that are read at a version, in order. */
  readonly travels: readonly Travel[]
}

export type PrimitiveName =
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'timestamp_ns'
  | 'timestamptz_ns'
  | 'string'
  | 'uuid'
  | 'binary'
  | 'unknown'
  | 'variant'

export type TypeNode =
  | { readonly kind: 'primitive'; readonly at: Position; readonly name: PrimitiveName }
  | { readonly kind: 'decimal'; readonly at: Position; readonly precision: number; readonly scale: number }
  | { readonly kind: 'fixed'; readonly at: Position; readonly length: number }
  | { readonly kind: 'struct'; readonly at: Position; readonly fields: readonly StructField[] }
  | { readonly kind: 'list'; readonly at: Position; readonly element: TypeNode }
  | { readonly kind: 'map'; readonly at: Position; readonly key: TypeNode; readonly value: TypeNode }

export interface StructField {
  readonly name: Name
  readonly type: TypeNode
  readonly required: boolean
  readonly comment: string | null
}

export interface ColumnDefinition {
  readonly name: Name
  readonly type: TypeNode
  readonly required: boolean
  readonly defaultValue: SqlText | null
  readonly comment: string | null
}

export interface Property {
  readonly at: Position
  readonly key: string
  readonly value: string
}

/** A transform of a column, as in `PARTITIONED BY`. */
export interface Term {
  readonly at: Position
  readonly transform: 'identity' | 'void' | 'year' | 'month' | 'day' | 'hour' | 'bucket' | 'truncate'
  /** Buckets of `bucket`, width of `truncate`; null otherwise. */
  readonly argument: number | null
  readonly column: Path
}

export interface SortTerm {
  readonly term: Term
  readonly direction: 'asc' | 'desc'
  readonly nulls: 'first' | 'last'
}

/** `c = expression`; `c = DEFAULT` has no value. */
export interface Assignment {
  readonly column: Path
  readonly value: SqlText | null
}

export interface Query {
  readonly kind: 'query'
  readonly at: Position
  readonly query: SqlText
}

export interface Insert {
  readonly kind: 'insert'
  readonly at: Position
  readonly table: Path
  readonly mode: InsertMode
  /** Columns the query's columns go to, in order. Null: the table's. */
  readonly columns: readonly Path[] | null
  /** `BY NAME`: the query's columns go where their names say. */
  readonly byName: boolean
  /** What stands between `WITH` and `INSERT`, where the statement begins so. */
  readonly with: SqlText | null
  readonly query: SqlText
}

export type InsertMode =
  | { readonly kind: 'append' }
  /** Replaces the partitions named, or where none is, those that the new rows fall into. */
  | { readonly kind: 'overwrite'; readonly partition: readonly PartitionValue[] }
  | { readonly kind: 'replaceWhere'; readonly condition: SqlText }

/** `p = value` is static; `p` alone is dynamic. */
export interface PartitionValue {
  readonly column: Path
  readonly value: SqlText | null
}

export interface Update {
  readonly kind: 'update'
  readonly at: Position
  readonly table: Path
  readonly alias: Name | null
  readonly set: readonly Assignment[]
  readonly where: SqlText | null
}

export interface Delete {
  readonly kind: 'delete'
  readonly at: Position
  readonly table: Path
  readonly alias: Name | null
  readonly where: SqlText | null
}

export interface Truncate {
  readonly kind: 'truncate'
  readonly at: Position
  readonly table: Path
}

export interface Merge {
  readonly kind: 'merge'
  readonly at: Position
  readonly table: Path
  readonly alias: Name | null
  readonly source: MergeSource
  readonly on: SqlText
  readonly clauses: readonly MergeClause[]
}

export interface MergeSource {
  /** A query, or `FROM` nothing but a table: its text, version clause included. */
  readonly kind: 'query' | 'table'
  readonly from: SqlText
  readonly alias: Name | null
  /** Names given to the columns after the alias. Empty: their own. */
  readonly columns: readonly Name[]
}

export interface MergeClause {
  readonly at: Position
  readonly when: 'matched' | 'notMatched' | 'notMatchedBySource'
  readonly condition: SqlText | null
  readonly action: MergeAction
}

export type MergeAction =
  | { readonly kind: 'delete' }
  | { readonly kind: 'update'; readonly set: readonly Assignment[] }
  | { readonly kind: 'updateAll' }
  /** A value is null where the statement says DEFAULT. `columns` null: the table's. */
  | {
      readonly kind: 'insert'
      readonly columns: readonly Path[] | null
      readonly values: readonly (SqlText | null)[]
    }
  | { readonly kind: 'insertAll' }

export interface CreateTable {
  readonly kind: 'createTable'
  readonly at: Position
  readonly create: 'create' | 'createOrReplace' | 'replace'
  readonly ifNotExists: boolean
  readonly table: Path
  readonly columns: readonly ColumnDefinition[]
  readonly partitionedBy: readonly Term[]
  readonly location: string | null
  readonly comment: string | null
  readonly properties: readonly Property[]
  readonly query: SqlText | null
}

export interface DropTable {
  readonly kind: 'dropTable'
  readonly at: Position
  readonly table: Path
  readonly ifExists: boolean
  readonly purge: boolean
}

export interface CreateView {
  readonly kind: 'createView'
  readonly at: Position
  readonly create: 'create' | 'createOrReplace'
  readonly ifNotExists: boolean
  readonly view: Path
  readonly columns: readonly { readonly name: Name; readonly comment: string | null }[]
  readonly comment: string | null
  readonly properties: readonly Property[]
  readonly query: SqlText
}

export interface DropView {
  readonly kind: 'dropView'
  readonly at: Position
  readonly view: Path
  readonly ifExists: boolean
}

export interface AlterView {
  readonly kind: 'alterView'
  readonly at: Position
  readonly view: Path
  readonly action:
    | { readonly kind: 'setProperties'; readonly properties: readonly Property[] }
    | { readonly kind: 'unsetProperties'; readonly keys: readonly string[]; readonly ifExists: boolean }
    | { readonly kind: 'rename'; readonly to: Path }
    | { readonly kind: 'replaceQuery'; readonly query: SqlText }
}

export interface AlterTable {
  readonly kind: 'alterTable'
  readonly at: Position
  readonly table: Path
  readonly action: AlterAction
}

export type ColumnPlace = { readonly kind: 'first' } | { readonly kind: 'after'; readonly column: Name }

export interface AddedColumn {
  readonly column: Path
  readonly type: TypeNode
  readonly required: boolean
  readonly defaultValue: SqlText | null
  readonly comment: string | null
  readonly place: ColumnPlace | null
}

export type ColumnChange =
  | { readonly kind: 'type'; readonly type: TypeNode }
  | { readonly kind: 'comment'; readonly comment: string }
  | { readonly kind: 'place'; readonly place: ColumnPlace }
  | { readonly kind: 'setNotNull' }
  | { readonly kind: 'dropNotNull' }
  | { readonly kind: 'setDefault'; readonly value: SqlText }
  | { readonly kind: 'dropDefault' }

/** How long a ref is kept: milliseconds, whole minutes. */
export interface RefRetention {
  readonly maxRefAgeMs: number | null
  /** Branches only. */
  readonly minSnapshotsToKeep: number | null
  /** Branches only. */
  readonly maxSnapshotAgeMs: number | null
}

export type AlterAction =
  | { readonly kind: 'rename'; readonly to: Path }
  | { readonly kind: 'addColumns'; readonly columns: readonly AddedColumn[] }
  | { readonly kind: 'renameColumn'; readonly column: Path; readonly to: Name }
  | { readonly kind: 'alterColumn'; readonly column: Path; readonly change: ColumnChange }
  | { readonly kind: 'dropColumns'; readonly columns: readonly Path[]; readonly ifExists: boolean }
  | { readonly kind: 'setProperties'; readonly properties: readonly Property[] }
  | { readonly kind: 'unsetProperties'; readonly keys: readonly string[]; readonly ifExists: boolean }
  | { readonly kind: 'setLocation'; readonly location: string }
  | { readonly kind: 'addPartitionField'; readonly term: Term; readonly name: Name | null }
  /** A bare name is a partition field's name before it is a column's. */
  | { readonly kind: 'dropPartitionField'; readonly term: Term }
  | {
      readonly kind: 'replacePartitionField'
      readonly term: Term
      readonly by: Term
      readonly name: Name | null
    }
  /** `hash`: by partition; `range`: by the order; `none`: each writer for itself. */
  | {
      readonly kind: 'writeOrder'
      readonly distribution: 'none' | 'hash' | 'range'
      readonly order: readonly SortTerm[]
    }
  | { readonly kind: 'setIdentifierFields'; readonly columns: readonly Path[] }
  | { readonly kind: 'dropIdentifierFields'; readonly columns: readonly Path[] }
  | {
      readonly kind: 'createRef'
      readonly type: 'branch' | 'tag'
      readonly create: 'create' | 'createOrReplace' | 'replace'
      readonly ifNotExists: boolean
      readonly name: Name
      /** Null: the current snapshot. */
      readonly snapshotId: bigint | null
      readonly retention: RefRetention
    }
  | { readonly kind: 'dropRef'; readonly type: 'branch' | 'tag'; readonly name: Name; readonly ifExists: boolean }

export interface Show {
  readonly kind: 'show'
  readonly at: Position
  readonly what:
    | { readonly kind: 'tables'; readonly namespace: Name | null }
    | { readonly kind: 'columns'; readonly table: Path }
    | { readonly kind: 'properties'; readonly table: Path }
    | { readonly kind: 'createTable'; readonly table: Path }
    | { readonly kind: 'views'; readonly namespace: Name | null }
    | { readonly kind: 'createView'; readonly view: Path }
}

export interface Call {
  readonly kind: 'call'
  readonly at: Position
  readonly procedure: Path
  readonly arguments: readonly { readonly name: Name | null; readonly value: SqlText }[]
}

export type Statement =
  | Query
  | Insert
  | Update
  | Delete
  | Truncate
  | Merge
  | CreateTable
  | DropTable
  | CreateView
  | DropView
  | AlterView
  | AlterTable
  | Show
  | Call
