import { LimnError } from '../../base/index.ts'
import { barePath } from '../../iceberg/index.ts'
import { decimalOf, defaultFromJson, defaultToJson, type Type, type Value } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'

/** How Hive spells a partition value that is null. */
export const hiveNull = '__HIVE_DEFAULT_PARTITION__'

/** One `name=value` folder on the way to a file, percent-decoded; null where it stands for null. */
export interface HivePart {
  readonly name: string
  readonly text: string | null
}

/** The `name=value` folders between a folder and a file below it, outermost first; of the whole path when it is null. */
export function hiveParts(path: StorePath, folder: StorePath | null): readonly HivePart[] {
  const bare = barePath(path)
  const within = folder === null ? bare : bare.slice(barePath(folder).replace(/\/+$/, '').length)
  return within
    .split('/')
    .slice(0, -1)
    .flatMap((step) => {
      const at = step.indexOf('=')
      if (at <= 0) return []
      const text = step.slice(at + 1)
      return [{ name: decoded(step.slice(0, at)), text: text === hiveNull ? null : decoded(text) }]
    })
}

/** Bytes spelt `%2F`; a percent sign that begins none stands for itself. */
function decoded(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    const bytes = Buffer.from(run.replaceAll('%', ''), 'hex')
    const plain = bytes.toString('utf8')
    if (Buffer.from(plain).equals(bytes)) return plain
    throw new LimnError('source/schema', {
      message: `The folder name ${text} holds bytes that are no text.`,
      notDone: 'Nothing was added.',
      remedy: 'Rename the folder.',
    })
  })
}

/** The value that a folder name spells for a column; undefined: it spells none of that type. */
export function valueOfPathText(type: Type, text: string): Value | undefined {
  const decimal = decimalOf(type)
  if (decimal) {
    const value = parsed(type, text)
    return typeof value === 'bigint' && String(value).replace('-', '').length <= decimal.precision ? value : undefined
  }
  switch (type) {
    case 'string':
      return text
    case 'boolean':
      return /^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : undefined
    case 'int':
    case 'long': {
      if (!/^-?\d{1,19}$/.test(text)) return undefined
      const value = BigInt(text)
      if (BigInt.asIntN(type === 'int' ? 32 : 64, value) !== value) return undefined
      return type === 'int' ? Number(value) : value
    }
    case 'float':
    case 'double': {
      const value = text.trim() === '' ? Number.NaN : Number(text)
      if (!Number.isFinite(value)) return undefined
      return type === 'float' ? Math.fround(value) : value
    }
    case 'date': {
      const value = /^\d{4}-\d{2}-\d{2}$/.test(text) ? parsed(type, text) : undefined
      // A day that a month does not have would come out as one of the next.
      return value !== undefined && defaultToJson(type, value) === text ? value : undefined
    }
    case 'timestamp':
    case 'timestamp_ns':
      return /[Zz]$|[+-]\d{2}(:?\d{2})?$/.test(text.slice(10)) ? undefined : instant(type, text)
    case 'timestamptz':
    case 'timestamptz_ns':
      return /Z$|[+-]\d{2}(:\d{2})?$/.test(text.slice(10)) ? instant(type, text) : undefined
    case 'uuid':
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined
    default:
      return undefined
  }
}

function instant(type: Type, text: string): Value | undefined {
  const day = text.slice(0, 10)
  if (valueOfPathText('date', day) === undefined) return undefined
  if (text.length === 10) return parsed(type, `${day}T00:00:00`)
  return parsed(type, text.replace(' ', 'T').replace(/([+-]\d{2})$/, '$1:00'))
}

function parsed(type: Type, text: string): Value | undefined {
  try {
    const value = defaultFromJson(type, text)
    return typeof value === 'object' && !(value instanceof Uint8Array) ? undefined : value
  } catch (error) {
    if (error instanceof LimnError) return undefined
    throw error
  }
}

/**
 * The type of a column that only folder names tell of: long, date or timestamp when every value is spelt as one, else
 * string. A number with leading zeros is no number: a code such as `00501` would lose them.
 */
export function typeOfPathTexts(texts: Iterable<string | null>): 'long' | 'date' | 'timestamp' | 'string' {
  const open = new Set<'long' | 'date' | 'timestamp'>(['long', 'date', 'timestamp'])
  let any = false
  for (const text of texts) {
    if (text === null) continue
    any = true
    for (const type of open) if (!isCanonical(type, text)) open.delete(type)
    if (open.size === 0) return 'string'
  }
  if (!any) return 'string'
  const [first = 'string'] = open
  return first
}

function isCanonical(type: 'long' | 'date' | 'timestamp', text: string): boolean {
  if (type === 'timestamp' && text.length <= 10) return false
  const value = valueOfPathText(type, text)
  return value !== undefined && (type !== 'long' || String(value) === text)
}
