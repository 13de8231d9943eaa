/** A tree without positions, and its texts as plain strings. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value !== 'object' || value === null) return value
  if ('travels' in value && 'text' in value) return value.text
  if ('parts' in value && Array.isArray(value.parts)) return value.parts.join('.')
  const rest = Object.entries(value).filter(([key]) => key !== 'at')
  if (rest.length === 1 && rest[0]?.[0] === 'text') return rest[0][1]
  return Object.fromEntries(rest.map(([key, item]) => [key, shapeOf(item)]))
}
