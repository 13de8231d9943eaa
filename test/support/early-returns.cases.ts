/** What `earlyReturns` has to tell apart: functions named `early…` return a promise too early, others do not. */

const thing: Disposable & AsyncDisposable = {
  [Symbol.dispose]: () => undefined,
  [Symbol.asyncDispose]: () => Promise.resolve(),
}
const work = (): Promise<number> => Promise.resolve(1)

export async function earlyOfAwaitUsing(): Promise<number> {
  await using _held = thing
  return work()
}

export function earlyOfUsing(): Promise<number> {
  using _held = thing
  return work()
}

export async function earlyInABranch(deep: boolean): Promise<number | null> {
  await using _held = thing
  if (deep) return deep ? work() : null
  return null
}

export async function earlyOfLoop(): Promise<number> {
  for (await using _held of [thing]) return work()
  return 0
}

export function earlyOfTry(): Promise<number> {
  try {
    return work()
  } finally {
    thing[Symbol.dispose]()
  }
}

export async function awaited(): Promise<number> {
  await using _held = thing
  return await work()
}

export async function before(): Promise<number> {
  if (thing === null) return work()
  await using _held = thing
  return 1
}

export async function inside(): Promise<number> {
  {
    await using _held = thing
  }
  return work()
}

export async function another(): Promise<readonly number[]> {
  await using _held = thing
  return await Promise.all([1, 2].map(() => work()))
}

export async function closure(): Promise<() => Promise<number>> {
  await using _held = thing
  return () => {
    return work()
  }
}
