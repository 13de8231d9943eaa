import { glob, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode, type TableId } from '../../base/index.ts'
import {
  globOfTemplate,
  type Interval,
  IntervalSet,
  intervalOfPath,
  type SealFacts,
  type SealMarker,
} from '../../dataset/index.ts'
import type { PipelineContext } from '../context.ts'

/**
 * Looks which markers are there, for every dataset that states a seal. A manifest counts when each file it lists is there
 * and as long as it says. Watermarks are not looked for here: the tables have them.
 */
export async function probeSeals(context: PipelineContext, nowMs: number): Promise<ReadonlyMap<TableId, SealFacts>> {
  const out = new Map<TableId, SealFacts>()
  for (const id of context.project.order) {
    const seal = context.project.nodes.get(id)?.timing.seal
    if (!seal) continue
    out.set(id, { nowMs, watermark: null, ...(await probeMarker(context.folder, seal.marker)) })
  }
  return out
}

async function probeMarker(folder: string, marker: SealMarker): Promise<Pick<SealFacts, 'marked' | 'incomplete'>> {
  const marked: Interval[] = []
  const incomplete = new Map<number, string>()
  if (marker.kind === 'file' || marker.kind === 'manifest') {
    const { template } = marker
    for await (const found of glob(globOfTemplate(template), { cwd: folder })) {
      const path = found.replaceAll('\\', '/')
      const interval = intervalOfPath(template, path)
      if (!interval) continue
      const lacks = marker.kind === 'manifest' ? await lackOf(folder, path) : null
      if (lacks === null) marked.push(interval)
      else incomplete.set(interval.start, lacks)
    }
  }
  return { marked: IntervalSet.of(marked), incomplete }
}

/** What a manifest lists that is not there; null when nothing is wanting. */
async function lackOf(folder: string, path: string): Promise<string | null> {
  let listed: readonly { readonly path: string; readonly bytes: number | null }[]
  try {
    listed = filesListed(JSON.parse(await readFile(join(folder, path), 'utf8')))
  } catch (error) {
    if (!(error instanceof SyntaxError) && systemCode(error) === undefined) throw error
    return `${path}, which cannot be read as a list of files`
  }
  if (listed.length === 0) return `${path}, which lists no files`
  for (const file of listed) {
    const bytes = await sizeOf(join(folder, file.path))
    if (bytes === null) return `${file.path}, which ${path} lists`
    if (file.bytes !== null && bytes !== file.bytes)
      return `${file.path} in full: ${path} says ${file.bytes} bytes, there are ${bytes}`
  }
  return null
}

function filesListed(value: unknown): readonly { readonly path: string; readonly bytes: number | null }[] {
  const files = typeof value === 'object' && value !== null && 'files' in value ? value.files : null
  if (!Array.isArray(files)) return []
  return files.map((file: unknown) => {
    if (typeof file === 'string') return { path: file, bytes: null }
    if (typeof file === 'object' && file !== null && 'path' in file && typeof file.path === 'string') {
      return { path: file.path, bytes: 'bytes' in file && typeof file.bytes === 'number' ? file.bytes : null }
    }
    throw new SyntaxError('an entry without a path')
  })
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Whether any file matches a glob. */
export async function filesAreThere(folder: string, pattern: string): Promise<boolean> {
  for await (const _found of glob(pattern, { cwd: folder })) return true
  return false
}
