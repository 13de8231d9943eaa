/**
 * Types, fields and schemas, as the Iceberg specification defines them (section "Schemas and Data Types").
 * Primitive types are their spelling on the wire.
 */
export type PrimitiveType =
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  /** Nanoseconds, from format version 3. */
  | 'timestamp_ns'
  | 'timestamptz_ns'
  | 'string'
  | 'uuid'
  | 'binary'
  /** A column whose type nobody has stated yet: all nulls (version 3). */
  | 'unknown'
  /** Semi-structured: no bounds, no partition, no order (version 3). */
  | 'variant'
  | `decimal(${number},${number})`
  | `fixed[${number}]`

export interface StructType {
  readonly type: 'struct'
  readonly fields: readonly Field[]
}
export interface ListType {
  readonly type: 'list'
  readonly elementId: number
  readonly elementRequired: boolean
  readonly element: Type
}
export interface MapType {
  readonly type: 'map'
  readonly keyId: number
  readonly key: Type
  readonly valueId: number
  readonly valueRequired: boolean
  readonly value: Type
}
export type Type = PrimitiveType | StructType | ListType | MapType

export interface Field {
  readonly id: number
  readonly name: string
  readonly required: boolean
  readonly type: Type
  readonly doc?: string
  /** What rows hold that were written before the field was added. Never changes once set. Absent: null. */
  readonly initialDefault?: DefaultValue
  /** What a writer puts where no value is given. Absent: null. */
  readonly writeDefault?: DefaultValue
}

export interface Schema {
  readonly schemaId: number
  readonly fields: readonly Field[]
  readonly identifierFieldIds: readonly number[]
}

/**
 * A value of a primitive type.
 * boolean → boolean; int, float, double → number; long → bigint; date → number (days since 1970-01-01);
 * time, timestamp, timestamptz → bigint (microseconds); timestamp_ns, timestamptz_ns → bigint (nanoseconds);
 * string, uuid (lower-case, hyphens) → string;
 * decimal → bigint (unscaled); fixed, binary → Uint8Array.
 */
export type Value = boolean | number | bigint | string | Uint8Array

/** A default of any type. A struct's default is empty in the specification: its fields have defaults of their own. */
export type DefaultValue =
  | Value
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<number, DefaultValue | null> }
  | { readonly kind: 'list'; readonly elements: readonly (DefaultValue | null)[] }
  | {
      readonly kind: 'map'
      readonly entries: readonly (readonly [DefaultValue, DefaultValue | null])[]
    }
