/**
 * Iceberg tables against DuckDB on the same files, each case in processes of its own, both sides in one run, medians.
 *
 * delta-rs and PyIceberg, where `scripts/install-peers.sh` put them, do the upsert beside.
 *
 *   npm run bench:iceberg [-- --json] [--only scan,plan,append,merge,upsert_peers,compact] [--quick] [--keep FOLDER]
 *
 * `--quick` makes tables a tenth as large. Peak memory is the kernel's high-water mark of a process in which only limn works;
 * `growth` is that of a case against the same at a tenth of its size.
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
const growth = 1.2
const cases: readonly Case[] = [
  { name: 'scan of a tenth', script: 'scan', args: ['none', of(5)], targets: {} },
  { name: 'scan', script: 'scan', args: ['none', of(50)], targets: { ratio: 1.1, growth }, tenth: 'scan of a tenth' },
  ...['positions', 'vectors', 'equality'].flatMap((kind): readonly Case[] => [
    { name: `scan, ${kind}, of a tenth`, script: 'scan', args: [kind, of(5)], targets: {} },
    {
      name: `scan, ${kind}`,
      script: 'scan',
      args: [kind, of(50)],
      targets: { ratio: 1.5, growth },
      tenth: `scan, ${kind}, of a tenth`,
    },
  ]),
  { name: 'plan of a tenth', script: 'plan', args: [of(10_000)], targets: {} },
  {
    name: 'plan',
    script: 'plan',
    args: [of(100_000)],
    targets: { partition_filter_ms: 200, every_manifest_ms: 2000, peak_mib: 400 },
    tenth: 'plan of a tenth',
  },
  { name: 'append, 100 snapshots', script: 'append', args: ['100'], targets: { warm_p50_ms: 25 } },
  { name: 'append, 10,000 snapshots', script: 'append', args: ['10000'], targets: { warm_p50_ms: 100, cold_ms: 300 } },
  { name: 'merge on read, v2', script: 'merge', args: ['m', of(10), '2'], targets: { own_ms: 3000 } },
  { name: 'merge on read, v3, of a tenth', script: 'merge', args: ['m', of(1), '3'], targets: {} },
  {
    name: 'merge on read, v3',
    script: 'merge',
    args: ['m', of(10), '3'],
    targets: { own_ms: 3000, growth },
    tenth: 'merge on read, v3, of a tenth',
  },
  { name: 'copy on write of a tenth', script: 'merge', args: ['c', of(1), '2'], targets: {} },
  {
    name: 'copy on write',
    script: 'merge',
    args: ['c', of(10), '2'],
    targets: { ratio: 2, growth },
    tenth: 'copy on write of a tenth',
  },
  { name: 'the upsert by others', script: 'upsert_peers', args: [of(10)], targets: {}, how: 'peer' },
  { name: 'bin-pack of a tenth of the files', script: 'compact', args: [of(1000), '1000'], targets: {} },
  { name: 'bin-pack of a tenth of the rows', script: 'compact', args: [of(10_000), '100'], targets: {} },
  {
    name: 'bin-pack',
    script: 'compact',
    args: [of(10_000), '1000'],
    targets: { ratio: 1.5, growth },
    tenth: 'bin-pack of a tenth of the files',
  },
]

await runCases('iceberg', cases, { json: asked.json, only: asked.only?.split(','), keep: asked.keep })
