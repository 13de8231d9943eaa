import { production } from '../../catalog/index.ts'
import { parseMicros } from '../../dataset/index.ts'
import { Lake, type OpenLakeOptions } from '../../lake/index.ts'
import { parseRange } from '../arguments.ts'
import { makeProgress } from '../io.ts'
import type { Invocation } from '../main.ts'

/** The lake around the working directory, with progress on this terminal. */
export function openLake(
  invocation: Invocation,
  options: Pick<OpenLakeOptions, 'environment' | 'makeEnvironment'> = {},
): Promise<Lake> {
  const { io, signal } = invocation
  const environment = options.environment ?? environmentOption(invocation)
  return Lake.open({
    signal,
    ...options,
    ...(environment === undefined ? {} : { environment }),
    ...(io.json ? {} : { progress: makeProgress(io) }),
  })
}

/** What `--env` says, else `LIMN_ENV`; undefined: what the lake's configuration says. */
export function environmentOption(invocation: Invocation): string | undefined {
  const asked = textOption(invocation, 'env') ?? process.env.LIMN_ENV
  return asked === '' ? undefined : asked
}

/** The lake itself, for verbs that are of all its environments. */
export function openProduction(invocation: Invocation): Promise<Lake> {
  return openLake(invocation, { environment: production })
}

/** An option's text, or undefined. */
export function textOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name]
  return typeof value === 'string' ? value : undefined
}

/** Range options as commander gives them, absent ones left out. */
export function rangeOptionsOf(invocation: Invocation) {
  const from = textOption(invocation, 'from')
  const to = textOption(invocation, 'to')
  const date = textOption(invocation, 'date')
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(date === undefined ? {} : { date }),
  }
}

/** What a run or plan was asked for, by its options. Throws `usage/argument`. */
export function runOptionsOf(invocation: Invocation) {
  const { args, options } = invocation
  const since = textOption(invocation, 'since')
  const restate = Array.isArray(options.restate) ? options.restate.map(String) : []
  return {
    select: args,
    range: parseRange(rangeOptionsOf(invocation)),
    full: options.full === true,
    restate,
    forwardOnly: options.forwardOnly === true,
    unsealed: options.unsealed === true,
    ...(since === undefined ? {} : { sinceMs: Math.floor(parseMicros(since) / 1000) }),
  }
}
