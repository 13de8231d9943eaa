import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  decodeManifest,
  decodeManifestList,
  decodeMetadata,
  encodeManifest,
  encodeManifestList,
  encodeMetadata,
  type ManifestEntry,
  schemaById,
  snapshotById,
  specById,
} from '../../packages/limn/src/iceberg/index.ts'
import { root } from '../support/lake.ts'

/** Tables that other systems wrote, with what is known of each. */
const shared = process.env.LIMN_SHARED ?? join(root, '..', 'shared')
const corpus = join(shared, 'conformance', 'iceberg')
const present = existsSync(corpus)
if (!present) {
  if (process.env.LIMN_REQUIRE_CONFORMANCE === '1')
    throw new Error(`The conformance corpus is required here and not at ${corpus}.`)
  process.stdout.write(
    'The conformance corpus is not here: this suite is left out. Name its folder with LIMN_SHARED.\n',
  )
}

interface TableCase {
  readonly metadata_file: string
  readonly format_version: number
  readonly data_files?: number
  readonly delete_files?: number
  readonly summary?: Readonly<Record<string, string>>
  readonly prefix_map: Readonly<Record<string, string>>
  readonly missing?: readonly string[]
}

interface CaseFile {
  readonly name: string
  readonly tables: readonly TableCase[]
  readonly expected_row_count?: number
}

const cases: readonly CaseFile[] = present
  ? readdirSync(corpus)
      .filter((name) => existsSync(join(corpus, name, 'case.json')))
      .sort()
      .map((name) => ({ ...(JSON.parse(readFileSync(join(corpus, name, 'case.json'), 'utf8')) as CaseFile), name }))
  : []

/** What limn says it does not read yet, by the words of its error. Anything else is a failure. */
const refusals = [
  /format version 3/,
  /uses the type /,
  /partitioned by .* which limn does not know/,
  /lists its manifests inline/,
]

function localPath(one: TableCase, folder: string, path: string): string {
  const prefix = Object.keys(one.prefix_map)
    .sort((a, b) => b.length - a.length)
    .find((candidate) => path.startsWith(candidate))
  return prefix === undefined
    ? join(folder, path)
    : join(folder, one.prefix_map[prefix] ?? '', path.slice(prefix.length))
}

/** Live entries of the current snapshot, read through manifest list and manifests, each written again and read back. */
function readEntries(one: TableCase, folder: string): readonly ManifestEntry[] {
  const metadata = decodeMetadata(readFileSync(join(folder, one.metadata_file)))
  expect(decodeMetadata(encodeMetadata({ ...metadata, formatVersion: 2 }))).toEqual({ ...metadata, formatVersion: 2 })
  if (metadata.currentSnapshotId === null) return []
  const snapshot = snapshotById(metadata, metadata.currentSnapshotId)
  if (!snapshot) throw new Error('the current snapshot is not in the metadata')
  const manifests = decodeManifestList(readFileSync(localPath(one, folder, snapshot.manifestList)))
  const { snapshotId, parentSnapshotId, sequenceNumber } = snapshot
  expect(decodeManifestList(encodeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests }))).toEqual(
    manifests,
  )
  return manifests.flatMap((manifest) => {
    const { entries, schema, spec } = decodeManifest(readFileSync(localPath(one, folder, manifest.path)), manifest)
    const own = {
      schema: schema ?? schemaById(metadata, metadata.currentSchemaId),
      spec: specById(metadata, manifest.specId),
    }
    if (spec)
      expect(spec.fields.map((field) => field.transform)).toEqual(own.spec.fields.map((field) => field.transform))
    const again = decodeManifest(
      encodeManifest({ ...own, content: manifest.content, snapshotId: manifest.addedSnapshotId, entries }),
      manifest,
    )
    expect(again.entries).toEqual(entries)
    return entries.filter((entry) => entry.status !== 2)
  })
}

describe.runIf(present)('Iceberg tables that other systems wrote', () => {
  const refused: string[] = []
  let read = 0

  for (const each of cases) {
    it(`${each.name}: metadata and manifests are read, written again and read back`, () => {
      const folder = join(corpus, each.name)
      for (const one of each.tables) {
        try {
          const entries = readEntries(one, folder)
          const data = entries.filter((entry) => entry.file.content === 0)
          const deletes = entries.filter((entry) => entry.file.content !== 0)
          if (one.data_files !== undefined)
            expect([each.name, data.length, deletes.length]).toEqual([each.name, one.data_files, one.delete_files ?? 0])
          const rows = Number(data.reduce((sum, entry) => sum + entry.file.recordCount, 0n))
          if (deletes.length === 0 && each.expected_row_count !== undefined && each.tables.length === 1)
            expect(rows).toBe(each.expected_row_count)
          if (deletes.length === 0 && one.summary?.['total-records'] !== undefined)
            expect(rows).toBe(Number(one.summary['total-records']))
          read++
        } catch (error) {
          if (!(error instanceof LimnError) || !refusals.some((words) => words.test(error.message))) throw error
          refused.push(`${each.name}: ${error.message}`)
        }
      }
    })
  }

  it('refuses only what it names', () => {
    process.stdout.write(
      `${read} tables read, ${refused.length} refused by name:\n${refused.map((line) => `  ${line}\n`).join('')}`,
    )
    expect(read).toBeGreaterThan(refused.length)
  })
})
