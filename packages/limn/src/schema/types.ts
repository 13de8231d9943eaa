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
  | 'string'
  | 'uuid'
  | 'binary'
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
}

export interface Schema {
  readonly schemaId: number
  readonly fields: readonly Field[]
  readonly identifierFieldIds: readonly number[]
}

/**
 * A value of a primitive type.
 * boolean → boolean; int, float, double → number; long → bigint; date → number (days since 1970-01-01);
 * time, timestamp, timestamptz → bigint (microseconds); string, uuid (lower-case, hyphens) → string;
 * decimal → bigint (unscaled); fixed, binary → Uint8Array.
 */
export type Value = boolean | number | bigint | string | Uint8Array
