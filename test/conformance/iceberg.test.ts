import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { parseJson } from '../../packages/limn/src/encoding/index.ts'
import {
  decodeManifest,
  decodeManifestList,
  decodeMetadata,
  decodeSingleValue,
  encodeManifest,
  encodeManifestList,
  encodeMetadata,
  inlineManifest,
  type ManifestEntry,
  type ManifestFile,
  type PartitionSpec,
  schemaById,
  snapshotById,
  specById,
  transformResultType,
} from '../../packages/limn/src/iceberg/index.ts'
import { compareValues, fieldById, type Schema } from '../../packages/limn/src/schema/index.ts'
import { loadCases, localPath, type TableCase } from '../support/corpus.ts'

/** Tables that other systems wrote, with what is known of each. */
const cases = loadCases()

/** What limn does not read yet, and the words it says so with. A case that is not here has to be read. */
const refusals: Readonly<Record<string, RegExp>> = {}

const covered = { tables: 0, manifests: 0, entries: 0, bounds: 0, rowsCompared: 0, withDeletes: 0 }

/** Live entries of the current snapshot, read through manifest list and manifests, each written again and read back. */
function readEntries(one: TableCase, folder: string): readonly ManifestEntry[] {
  const bytes = readFileSync(join(folder, one.metadata_file))
  const metadata = decodeMetadata(bytes)
  expect(decodeMetadata(encodeMetadata(metadata))).toEqual(metadata)
  const upgraded = { ...metadata, formatVersion: metadata.formatVersion === 3 ? (3 as const) : (2 as const) }
  expect(decodeMetadata(encodeMetadata(upgraded))).toEqual(upgraded)
  keepsEverything(parseJson(bytes.toString()), parseJson(Buffer.from(encodeMetadata(metadata)).toString()))
  if (metadata.currentSnapshotId === null) return []
  const snapshot = snapshotById(metadata, metadata.currentSnapshotId)
  if (!snapshot) throw new Error('the current snapshot is not in the metadata')
  const { manifestList, snapshotId, parentSnapshotId, sequenceNumber } = snapshot
  const manifests =
    manifestList === null
      ? (snapshot.manifests ?? []).map((path) =>
          inlineManifest(readFileSync(localPath(one, folder, path)), path, snapshotId),
        )
      : decodeManifestList(readFileSync(localPath(one, folder, manifestList)))
  expect(
    decodeManifestList(
      encodeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests, formatVersion: 3 }),
    ),
  ).toEqual(manifests)
  return manifests.flatMap((manifest) => {
    const { entries, schema, spec } = decodeManifest(readFileSync(localPath(one, folder, manifest.path)), manifest)
    const own = {
      schema: schema ?? schemaById(metadata, metadata.currentSchemaId),
      spec: specById(metadata, manifest.specId),
    }
    if (spec)
      expect(spec.fields.map((field) => field.transform)).toEqual(own.spec.fields.map((field) => field.transform))
    const written = encodeManifest({
      ...own,
      content: manifest.content,
      snapshotId: manifest.addedSnapshotId,
      entries,
      formatVersion: 3,
      sequenceNumber: manifest.sequenceNumber,
    })
    const again = decodeManifest(written, manifest)
    expect(again.entries).toEqual(entries)
    countsAgree(manifest, entries)
    boundsHold(manifest, entries, own.schema, own.spec)
    covered.manifests++
    covered.entries += entries.length
    return entries.filter((entry) => entry.status !== 2)
  })
}

/** Nothing that stood in the file is lost when limn writes it again; only defaults may be added. */
function keepsEverything(before: unknown, after: unknown, at = 'metadata'): void {
  if (Array.isArray(before)) {
    expect([at, Array.isArray(after) && after.length]).toEqual([at, before.length])
    for (const [i, item] of before.entries()) keepsEverything(item, (after as unknown[])[i], `${at}[${i}]`)
  } else if (typeof before === 'object' && before !== null) {
    for (const [key, item] of Object.entries(before)) {
      // An empty list and no list say the same of identifier fields.
      if (key === 'identifier-field-ids' && Array.isArray(item) && item.length === 0) continue
      if (item === null) continue
      // Version 1's copies of what `schemas` and `partition-specs` say; writers let them differ in case.
      if (at === 'metadata' && (key === 'schema' || key === 'partition-spec')) continue
      const kept = typeof after === 'object' && after !== null && key in after
      expect([at, key, kept]).toEqual([at, key, true])
      keepsEverything(item, (after as Record<string, unknown>)[key], `${at}.${key}`)
    }
  } else {
    const plain = (value: unknown) => (typeof value === 'string' ? value.replaceAll(' ', '') : value)
    expect([at, plain(after)]).toEqual([at, plain(before)])
  }
}

/** The list's counts are those of the manifest, where its writer stated them. */
function countsAgree(manifest: ManifestFile, entries: readonly ManifestEntry[]): void {
  const count = (status: number) => entries.filter((entry) => entry.status === status).length
  expect([manifest.addedFilesCount, manifest.existingFilesCount, manifest.deletedFilesCount]).toEqual([
    count(1),
    count(0),
    count(2),
  ])
}

/** Bounds decode in their column's type, low before high, and partition summaries enclose the partition values. */
function boundsHold(
  manifest: ManifestFile,
  entries: readonly ManifestEntry[],
  schema: Schema,
  spec: PartitionSpec,
): void {
  for (const { file } of entries) {
    for (const [id, low] of file.lowerBounds) {
      const type = fieldById(schema, id)?.type
      const high = file.upperBounds.get(id)
      if (typeof type !== 'string' || high === undefined) continue
      expect(compareValues(type, decodeSingleValue(type, low), decodeSingleValue(type, high))).toBeLessThanOrEqual(0)
      covered.bounds++
    }
  }
  for (const [i, summary] of manifest.partitions.entries()) {
    const field = spec.fields[i]
    const source = field && fieldById(schema, field.sourceId)
    if (!field || !source || summary.lowerBound === null || summary.upperBound === null) continue
    const type = transformResultType(field.transform, source.type)
    const low = decodeSingleValue(type, summary.lowerBound)
    const high = decodeSingleValue(type, summary.upperBound)
    for (const { file } of entries) {
      const value = file.partition[i] ?? null
      if (value === null) expect(summary.containsNull).toBe(true)
      else expect([compareValues(type, low, value) <= 0, compareValues(type, value, high) <= 0]).toEqual([true, true])
      covered.bounds++
    }
  }
}

describe.runIf(cases.length > 0)('Iceberg tables that other systems wrote', () => {
  const refused: string[] = []

  for (const each of cases) {
    const refusal = refusals[each.name]
    const { folder } = each
    if (refusal) {
      it(`${each.name}: is refused by name, not read wrongly`, () => {
        for (const one of each.tables) {
          const error = errorOf(() => readEntries(one, folder))
          expect(error instanceof LimnError && error.kind).toBe('iceberg/unsupported')
          expect(error instanceof LimnError && error.message).toMatch(refusal)
          refused.push(`${each.name}: ${error instanceof LimnError ? error.message : ''}`)
        }
      })
      continue
    }
    it(`${each.name}: metadata and manifests are read, written again and read back`, () => {
      for (const one of each.tables) {
        const entries = readEntries(one, folder)
        const data = entries.filter((entry) => entry.file.content === 0)
        const deletes = entries.filter((entry) => entry.file.content !== 0)
        if (one.data_files !== undefined)
          expect([each.name, data.length, deletes.length]).toEqual([each.name, one.data_files, one.delete_files ?? 0])
        const rows = Number(data.reduce((sum, entry) => sum + entry.file.recordCount, 0n))
        const expected = [
          ...(each.expected_row_count !== undefined && each.tables.length === 1 ? [each.expected_row_count] : []),
          ...(one.summary?.['total-records'] === undefined ? [] : [Number(one.summary['total-records'])]),
        ]
        covered.tables++
        if (deletes.length > 0) covered.withDeletes++
        else for (const count of expected) expect(rows).toBe(count)
        if (deletes.length === 0 && expected.length > 0) covered.rowsCompared++
      }
    })
  }

  it('is covered as far as the corpus goes', () => {
    process.stdout.write(
      `${covered.tables} tables read (${covered.rowsCompared} with a known row count, ${covered.withDeletes} with delete files), ` +
        `${covered.manifests} manifests, ${covered.entries} entries, ${covered.bounds} bounds; ${refused.length} refused by name:\n` +
        refused.map((line) => `  ${line}\n`).join(''),
    )
    const tables = cases.reduce((sum, each) => sum + each.tables.length, 0)
    expect(covered.tables + refused.length).toBe(tables)
    expect(covered.entries).toBeGreaterThan(0)
    expect(covered.bounds).toBeGreaterThan(0)
  })
})

function errorOf(body: () => unknown): unknown {
  try {
    body()
  } catch (error) {
    return error
  }
  return undefined
}
