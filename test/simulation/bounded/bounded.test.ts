import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { oneValue } from '../../support/hooked.ts'
import { root, temporaryFolder } from '../../support/lake.ts'
import { readingBytes, redefineReading, writeLargeLake } from '../../support/large-lake.ts'
import { start } from '../../support/process.ts'

/** `LIMN_BOUNDED=full`: 5 GB of readings under 512 MB; else half of both. */
const full = process.env.LIMN_BOUNDED === 'full'
const memoryMb = full ? 512 : 256
const lake = { months: 12, rowsPerMonth: full ? 3_300_000 : 1_650_000, memory: `${memoryMb}MB` }
const rows = lake.months * lake.rowsPerMonth

/** What docs/running-in-production.md publishes: the process takes this much beside `engine.memory`. */
const besideMiB = 400
const ceilingMiB = Math.round((memoryMb * 1e6) / 2 ** 20) + besideMiB

const year = ['--from', '2020-01-01', '--to', '2021-01-01']
const compared = full ? year : ['--from', '2020-01-01', '--to', '2020-04-01']

/** Runs a command of limn to its end, which may be that something waits; the kernel's high-water mark of its memory is looked at while it lives. */
async function limn(
  folder: string,
  expected: 'done' | 'waits',
  ...args: readonly string[]
): Promise<{ readonly peakMiB: number; readonly out: string }> {
  const began = performance.now()
  const { child, ended } = start(process.execPath, [join(root, 'packages', 'limn', 'bin', 'limn.js'), ...args], {
    cwd: folder,
  })
  let peakKb = 0
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0))
    } catch {
      // It has ended.
    }
  }, 20)
  const { code, stdout, stderr } = await ended
  clearInterval(timer)
  if (code !== (expected === 'done' ? 0 : 3)) throw new Error(`limn ${args.join(' ')} ended with ${code}: ${stderr}`)
  const peakMiB = Math.round(peakKb / 1024)
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  process.stdout.write(`limn ${args.join(' ')}: ${seconds} s, peak ${peakMiB} MiB of ${ceilingMiB} allowed\n`)
  return { peakMiB, out: stdout }
}

describe.runIf(process.platform === 'linux')('a lake of ten times the memory it may take', () => {
  const kept = temporaryFolder('bounded', { onDisk: true })
  const { folder } = kept

  beforeAll(async () => {
    expect(rows * readingBytes).toBeGreaterThan(10 * memoryMb * 1e6)
    await writeLargeLake(folder, lake)
    return () => kept[Symbol.dispose]()
  })

  it('is built', async () => {
    const { peakMiB } = await limn(folder, 'done', 'run', '--json')
    expect(peakMiB).toBeGreaterThan(100)
    expect(peakMiB).toBeLessThanOrEqual(ceilingMiB)
    // One row in fifty was delivered twice.
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM silver.reading')).toBe((rows / 50) * 49)
    expect(await oneValue(folder, 'SELECT (count(*) = count(DISTINCT device))::VARCHAR FROM gold.device')).toBe('true')
  })

  it('is built again by month, and what is equal keeps its files', async () => {
    const { peakMiB, out } = await limn(
      folder,
      'done',
      'run',
      'silver.reading',
      '--full',
      '--from',
      '2020-01-01',
      '--to',
      '2020-03-01',
      '--json',
    )
    expect(peakMiB).toBeLessThanOrEqual(ceilingMiB)
    const [dataset] = JSON.parse(out).datasets
    expect(dataset.ranges.map((range: { readonly outcome: string }) => range.outcome)).toEqual(['kept', 'kept'])
  })

  it('is backfilled by a corrected definition, compared row by row, and published when approved', async () => {
    redefineReading(folder, 'CASE WHEN a > 989 THEN 989 ELSE a END')
    const wrong = () =>
      oneValue(
        folder,
        `SELECT count(*)::INTEGER FROM silver.reading WHERE a > 989 AND read_at < TIMESTAMP '${compared[3]}'`,
      )
    const before = Number(await wrong())
    expect(before).toBeGreaterThan(10_000)
    const built = await limn(folder, 'waits', 'backfill', 'silver.reading', ...compared, '--diff', '--json')
    expect(built.peakMiB).toBeLessThanOrEqual(ceilingMiB)
    const { backfill, outcome, changes } = JSON.parse(built.out)
    expect({ outcome, changed: changes[0].diff.total.changed }).toEqual({ outcome: 'waiting', changed: before })
    const approved = await limn(folder, 'done', 'backfill', 'approve', backfill, '--json')
    expect(approved.peakMiB).toBeLessThanOrEqual(ceilingMiB)
    expect(await wrong()).toBe(0)
  })

  it('is backfilled with what reads it, approved beforehand', async () => {
    redefineReading(folder, 'a + 1')
    const { peakMiB, out } = await limn(folder, 'done', 'backfill', 'silver.reading+', ...year, '--approve', '--json')
    expect(peakMiB).toBeLessThanOrEqual(ceilingMiB)
    expect(JSON.parse(out).datasets.map((one: { readonly built: number }) => one.built)).toEqual([lake.months, 1])
    expect(await oneValue(folder, 'SELECT min(a)::INTEGER FROM gold.device')).toBe(1)
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM silver.reading')).toBe((rows / 50) * 49)
  })

  it('is compacted, sorted by another column', async () => {
    const { peakMiB } = await limn(
      folder,
      'done',
      'table',
      'compact',
      'silver.reading',
      '--all',
      '--sort',
      'device, id',
      '--json',
    )
    expect(peakMiB).toBeLessThanOrEqual(ceilingMiB)
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM silver.reading')).toBe((rows / 50) * 49)
  })
})
