/**
 * JSON that keeps 64-bit integers: on reading, integers beyond 2^53 become bigint; on writing, bigint becomes digits.
 */
const safe = 15

/** Parses JSON; throws `SyntaxError` like `JSON.parse`. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value
    return context.source.length > safe && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
  })
}

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? rawJson(item.toString()) : item))
}
