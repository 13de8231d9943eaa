import { parseMicros } from '../../dataset/index.ts'
import { Lake } from '../../lake/index.ts'
import { parseRange } from '../arguments.ts'
import { makeProgress } from '../io.ts'
import type { Invocation } from '../main.ts'

/** The lake around the working directory, with progress on this terminal. */
export function openLake(invocation: Invocation): Promise<Lake> {
  const { io, signal } = invocation
  return Lake.open({ signal, ...(io.json ? {} : { progress: makeProgress(io) }) })
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
    ...(since === undefined ? {} : { sinceMs: Math.floor(parseMicros(since) / 1000) }),
  }
}
