import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LimnError, systemCode, type TableId } from '../../base/index.ts'
import type { FileSource } from '../../dataset/index.ts'
import type { PipelineContext } from '../context.ts'
import type { DatasetLedger } from '../ledger/ledger.ts'
import type { DeliveryCandidate, Probe } from './plan.ts'

/** A file's identity for the hash cache: a changed stamp means the file is hashed again. */
export async function fileStamp(path: string): Promise<{ readonly stamp: string; readonly bytes: number }> {
  const info = await stat(path, { bigint: true })
  return { stamp: `${info.size}:${info.ino}:${info.mtimeNs}:${info.ctimeNs}`, bytes: Number(info.size) }
}

/**
 * Lists and hashes the files of a source and compares them with the latest published delivery of each path. A file is a
 * delivery when its hash differs from that one. Throws `source/missing` when nothing matches and nothing ever was
 * delivered, `source/vanished` when a delivered path is gone and the source does not say what that means.
 */
export async function probeFiles(
  context: PipelineContext,
  dataset: TableId,
  source: FileSource,
  ledger: DatasetLedger,
): Promise<Probe> {
  const paths: string[] = []
  for await (const path of glob(source.glob, { cwd: context.folder })) paths.push(path.replaceAll('\\', '/'))
  paths.sort()
  const live = [...ledger.latest.values()].filter((delivery) => delivery.sha256 !== null)
  if (paths.length === 0 && live.length === 0) {
    throw new LimnError('source/missing', {
      message: `No file matches ${source.glob}, the source of ${dataset}.`,
      notDone: 'Nothing was run: a source that is missing is not an empty one.',
      remedy: `Put the files under ${context.folder}, or correct the glob.`,
      context: { dataset, glob: source.glob },
    })
  }
  const present = new Set(paths)
  const gone = live.filter((delivery) => !present.has(delivery.path)).map((delivery) => delivery.path)
  if (gone.length > 0 && source.withdrawn === 'error') {
    throw new LimnError('source/vanished', {
      message: `${gone.join(', ')}, delivered to ${dataset} before, ${gone.length === 1 ? 'is' : 'are'} gone.`,
      notDone: 'Nothing was run: limn does not guess whether its rows still count.',
      remedy: "Put the file back, or state withdrawn: 'keep' or 'remove' in the source.",
      context: { dataset, paths: gone },
    })
  }
  const candidates: DeliveryCandidate[] = []
  const hashed: { path: string; stamp: string; sha256: string }[] = []
  for (const path of paths) {
    const full = join(context.folder, path)
    const { stamp, bytes } = await readable(full, () => fileStamp(full))
    const remembered = context.runs.fileHash(full, stamp)
    const sha = remembered ?? (await readable(full, () => hashFile(full, context.signal)))
    if (remembered === null) hashed.push({ path: full, stamp, sha256: sha })
    const latest = ledger.latest.get(path)
    if (latest?.sha256 === sha) continue
    candidates.push({ path, sha256: sha, bytes, change: latest ? 'changed' : 'new' })
  }
  context.runs.rememberFileHashes(hashed)
  return { candidates, withdrawn: source.withdrawn === 'remove' ? gone : [] }
}

async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(chunk as Uint8Array)
  return hash.digest('hex')
}

async function readable<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (cause) {
    const code = systemCode(cause)
    if (code === undefined || code === 'ABORT_ERR') throw cause
    throw new LimnError('source/unreadable', {
      message: `${path} cannot be read (${code}).`,
      notDone: 'Nothing was run.',
      remedy: 'Check that the file exists and may be read by this user.',
      cause,
    })
  }
}
