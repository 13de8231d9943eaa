/**
 * What operating a lake costs, each case in processes of its own, medians; the peers, where `scripts/install-peers.sh` put
 * them, do the same work in turn with limn.
 *
 *   npm run bench:operate [-- --json] [--only overhead,…] [--quick] [--keep FOLDER]
 *
 * `--quick` does a tenth of the work. A case is a script in `operate/` that prints its figures as one line of JSON.
 */
import { parseArgs } from 'node:util'
import { type Case, runCases } from './cases.ts'

const { values: asked } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    keep: { type: 'string' },
  },
})

const scale = asked.quick ? 0.1 : 1
const of = (full: number) => String(full * scale)

const cases: readonly Case[] = [
  {
    name: 'overhead, small models',
    script: 'overhead',
    args: [of(100)],
    how: 'once',
    targets: { per_model_ms: 40 },
    atLeast: { dbt_ratio: 3, sqlmesh_ratio: 3 },
  },
  {
    name: 'plan of 500 datasets, 5,000 days each',
    script: 'plan',
    args: [of(500)],
    how: 'once',
    // 286 MiB are 300 MB.
    targets: { gaps_ms: 2000, ledger_anew_ms: 2000, changed_ms: 2000, peak_mib: 286 },
  },
  {
    name: 'why two numbers part, 3 M rows',
    script: 'why',
    args: [asked.quick ? '10' : '1'],
    how: 'once',
    targets: { slowest_s: 5 },
  },
  {
    name: 'prove a month of flights',
    script: 'prove',
    args: [asked.quick ? '10' : '1'],
    how: 'once',
    targets: { prove_ratio: 2.2 },
  },
]

await runCases('operate', cases, { json: asked.json, only: asked.only?.split(','), keep: asked.keep })
