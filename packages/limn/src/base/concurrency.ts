/**
 * Maps items with at most `width` at work at once; results stand in the order of the items. When one fails, no further
 * item begins, those at work are awaited, and the first error in the order of items is thrown.
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  width: number,
  body: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  const errors = new Map<number, unknown>()
  let next = 0
  const worker = async () => {
    while (errors.size === 0 && next < items.length) {
      const index = next++
      try {
        results[index] = await body(items[index] as T, index)
      } catch (error) {
        errors.set(index, error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
  if (errors.size > 0) throw errors.get(Math.min(...errors.keys()))
  return results
}

/** Lets at most `width` bodies work at once; the others wait their turn, first come, first served. */
export function limiter(width: number): <T>(body: () => Promise<T>) => Promise<T> {
  let free = width
  const waiting: (() => void)[] = []
  return async (body) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await body()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
