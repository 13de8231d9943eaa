import { LimnError } from '../base/index.ts'
import { decimalOf, fixedLengthOf } from './fields.ts'
import { decimalText } from './hash-key.ts'
import type { DefaultValue, Type, Value } from './types.ts'

/** JSON single-value serialisation (specification, appendix D): how default values stand in a schema. */
export function defaultToJson(type: Type, value: DefaultValue): unknown {
  if (typeof type === 'string') return primitiveToJson(type, value as Value)
  if (typeof value !== 'object' || value instanceof Uint8Array) throw malformed(type, value)
  const orNull = (inner: Type, one: DefaultValue | null | undefined) =>
    one === null || one === undefined ? null : defaultToJson(inner, one)
  switch (type.type) {
    case 'struct':
      if (value.kind !== 'struct') throw malformed(type, value)
      return Object.fromEntries(
        type.fields
          .filter((field) => value.fields.has(field.id))
          .map((field) => [String(field.id), orNull(field.type, value.fields.get(field.id))]),
      )
    case 'list':
      if (value.kind !== 'list') throw malformed(type, value)
      return value.elements.map((one) => orNull(type.element, one))
    case 'map':
      if (value.kind !== 'map') throw malformed(type, value)
      return {
        keys: value.entries.map(([key]) => defaultToJson(type.key, key)),
        values: value.entries.map(([, one]) => orNull(type.value, one)),
      }
  }
}

/** The inverse. Throws `iceberg/invalid-metadata` for JSON that is no value of the type. */
export function defaultFromJson(type: Type, json: unknown): DefaultValue {
  if (typeof type === 'string') return primitiveFromJson(type, json)
  const orNull = (inner: Type, one: unknown) => (one === null || one === undefined ? null : defaultFromJson(inner, one))
  if (typeof json !== 'object' || json === null) throw malformed(type, json)
  switch (type.type) {
    case 'struct': {
      const byId = json as Readonly<Record<string, unknown>>
      const present = type.fields.filter((field) => String(field.id) in byId)
      return {
        kind: 'struct',
        fields: new Map(present.map((field) => [field.id, orNull(field.type, byId[String(field.id)])])),
      }
    }
    case 'list':
      if (!Array.isArray(json)) throw malformed(type, json)
      return { kind: 'list', elements: json.map((one) => orNull(type.element, one)) }
    case 'map': {
      const { keys, values } = json as { readonly keys?: unknown; readonly values?: unknown }
      if (!Array.isArray(keys) || !Array.isArray(values) || keys.length !== values.length) throw malformed(type, json)
      return {
        kind: 'map',
        entries: keys.map((key, i) => [defaultFromJson(type.key, key), orNull(type.value, values[i])] as const),
      }
    }
  }
}

function primitiveToJson(type: Type, value: Value): unknown {
  const decimal = decimalOf(type)
  if (decimal) return decimalText(BigInt(value as bigint), decimal.scale)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  switch (type) {
    case 'date':
      return dateText(Number(value))
    case 'time':
      return timeText(BigInt(value as bigint), 1_000_000n)
    case 'timestamp':
      return timestampText(BigInt(value as bigint), 1_000_000n)
    case 'timestamptz':
      return `${timestampText(BigInt(value as bigint), 1_000_000n)}+00:00`
    case 'timestamp_ns':
      return timestampText(BigInt(value as bigint), 1_000_000_000n)
    case 'timestamptz_ns':
      return `${timestampText(BigInt(value as bigint), 1_000_000_000n)}+00:00`
    default:
      return value
  }
}

function primitiveFromJson(type: Type, json: unknown): Value {
  const decimal = decimalOf(type)
  if (decimal) return decimalFromText(type, json, decimal.scale)
  switch (type) {
    case 'boolean':
      if (typeof json === 'boolean') return json
      break
    case 'int':
      if (Number.isInteger(json)) return json as number
      break
    case 'long':
      if (typeof json === 'bigint' || Number.isSafeInteger(json)) return BigInt(json as bigint | number)
      break
    case 'float':
    case 'double':
      if (typeof json === 'number' || typeof json === 'bigint') return Number(json)
      break
    case 'string':
      if (typeof json === 'string') return json
      break
    case 'uuid':
      if (typeof json === 'string') return json.toLowerCase()
      break
    case 'date': {
      const days = typeof json === 'string' ? Date.parse(`${json}T00:00:00Z`) / 86_400_000 : Number.NaN
      if (Number.isInteger(days)) return days
      break
    }
    case 'time':
      return ticksFromText(type, `1970-01-01T${String(json)}`, 1_000_000n)
    case 'timestamp':
    case 'timestamptz':
      return ticksFromText(type, json, 1_000_000n)
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return ticksFromText(type, json, 1_000_000_000n)
    default:
      if (
        (type === 'binary' || fixedLengthOf(type) !== null) &&
        typeof json === 'string' &&
        /^([0-9a-f]{2})*$/i.test(json)
      )
        return new Uint8Array(Buffer.from(json, 'hex'))
  }
  throw malformed(type, json)
}

function decimalFromText(type: Type, json: unknown, scale: number): bigint {
  const match = typeof json === 'string' ? /^(-?)(\d+)(?:\.(\d+))?$/.exec(json) : null
  const fraction = match?.[3] ?? ''
  if (!match || fraction.length > scale) throw malformed(type, json)
  return BigInt(`${match[1]}${match[2]}${fraction.padEnd(scale, '0')}`)
}

/** Ticks since 1970 from ISO text, with any offset; `perSecond` ticks to the second, digits beyond them refused. */
function ticksFromText(type: Type, json: unknown, perSecond: bigint): bigint {
  const text = typeof json === 'string' ? json : ''
  const match = /^([+-]?\d{4,6}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?$/.exec(text)
  const digits = String(perSecond).length - 1
  const fraction = (match?.[2] ?? '').padEnd(digits, '0')
  const seconds = match ? Date.parse(`${match[1]}${match[3] ?? 'Z'}`) / 1000 : Number.NaN
  if (Number.isNaN(seconds) || /[1-9]/.test(fraction.slice(digits))) throw malformed(type, json)
  return BigInt(seconds) * perSecond + BigInt(fraction.slice(0, digits))
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a % b < 0n ? a / b - 1n : a / b
}

function timestampText(ticks: bigint, perSecond: bigint): string {
  const seconds = floorDivide(ticks, perSecond)
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, -5)
  const fraction = String(ticks - seconds * perSecond).padStart(String(perSecond).length - 1, '0')
  return `${text}.${fraction}`
}

function timeText(ticks: bigint, perSecond: bigint): string {
  return timestampText(ticks, perSecond).slice(11)
}

function dateText(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, -14)
}

function malformed(type: Type, json: unknown): LimnError {
  const shown = typeof type === 'string' ? type : type.type
  return new LimnError('iceberg/invalid-metadata', {
    message: `A default value is no ${shown}: ${String(json).slice(0, 100)}.`,
    notDone: 'The table was not read.',
  })
}
