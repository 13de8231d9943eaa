import { expect } from 'vitest'
import { limn } from './lake.ts'

/** What `limn why --against --json` says, as far as tests look at it. */
export interface WhyJson {
  readonly numbers: {
    readonly total: { readonly before: string; readonly after: string; readonly delta: string }
    readonly intervals: readonly { readonly interval: { readonly start: string } }[]
    readonly also: readonly { readonly measure: string; readonly delta: string }[]
    readonly groups: readonly { readonly values: readonly string[]; readonly delta: string }[]
  }
  readonly moved: {
    readonly added: number
    readonly changed: number
    readonly columns: readonly { readonly name: string; readonly rows: number }[]
  } | null
  readonly findings: readonly FindingJson[]
  readonly unknown: readonly string[]
  readonly wider: readonly string[]
  readonly steps: readonly { readonly dataset: string; readonly rows: number | null; readonly verdict: string }[]
}

export interface FindingJson {
  readonly kind: string
  readonly dataset: string
  readonly column: string | null
  readonly sentence: string
  readonly rows: number
  readonly origin: {
    readonly kind: string
    readonly path?: string
    readonly source?: string
    readonly input?: string
    readonly also?: readonly { readonly path: string }[]
    readonly changes?: readonly { readonly part: string; readonly before: string; readonly after: string }[]
  }
  readonly intervals: readonly { readonly start: string; readonly end: string }[]
  readonly evidence: { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }
}

export async function runLake(folder: string, ...args: readonly string[]): Promise<string> {
  const ended = await limn(folder, 'run', '--json', ...args)
  expect([ended.code, ended.stderr.slice(0, 400)]).toEqual([0, ''])
  return (JSON.parse(ended.stdout) as { run: string }).run
}

export async function whyOf(
  folder: string,
  table: string,
  against: string,
  ...args: readonly string[]
): Promise<WhyJson> {
  const ended = await limn(folder, 'why', table, '--against', against, '--json', ...args)
  expect([ended.code, ended.stderr]).toEqual([0, ''])
  return JSON.parse(ended.stdout) as WhyJson
}

/** The present snapshot of a table. */
export async function headOf(folder: string, table: string): Promise<string> {
  const shown = await limn(folder, 'table', 'history', table, '--json')
  return String((JSON.parse(shown.stdout) as readonly { snapshotId: string }[])[0]?.snapshotId)
}

/** Kind, dataset and column of each finding, in order of kind. */
export const named = ({ findings }: WhyJson) => findings.map((one) => [one.kind, one.dataset, one.column]).sort()

/** All the deliveries that a finding names. */
export const pathsOf = ({ origin }: FindingJson): readonly string[] =>
  [origin.path ?? '', ...(origin.also ?? []).map((one) => one.path)].sort()
