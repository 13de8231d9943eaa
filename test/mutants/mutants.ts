/** A bug to be injected, and the suite that has to catch it. */
export interface Mutant {
  readonly name: string
  /** From the root of the repository. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** The test file that must fail. */
  readonly suite: string
}

const source = 'packages/limn/src'
const histories = 'test/simulation/histories.test.ts'
const faults = 'test/simulation/faults.test.ts'
const statements = 'test/query/histories.test.ts'
const hostile = 'test/iceberg/hostile.test.ts'
const rowDiff = 'test/pipeline/diff/row-diff.test.ts'
const hostileFiles = 'test/engine/hostile-parquet.test.ts'

/** Each is a mistake somebody could make; each property and fault suite has to catch five or more. */
export const mutants: readonly Mutant[] = [
  {
    name: 'equality deletes reach rows of their own commit',
    file: `${source}/engine/duckdb/read/equality.ts`,
    find: '.q > ${facts.sequence}',
    replace: '.q >= ${facts.sequence}',
    suite: histories,
  },
  {
    name: 'position deletes miss the rows of their own commit and before',
    file: `${source}/iceberg/scan/deletes.ts`,
    find: 'sequence <= entry.dataSequenceNumber',
    replace: 'sequence === entry.dataSequenceNumber',
    suite: histories,
  },
  {
    name: 'a new deletion vector forgets the one before',
    file: `${source}/table/write/write-deletes.ts`,
    find: 'vector: own.union(before.get(task.file.path) ?? RoaringPositions.empty)',
    replace: 'vector: own',
    suite: histories,
  },
  {
    name: 'rewritten files count as new to equality deletes',
    file: `${source}/table/maintain/rewrite-groups.ts`,
    find: '({ ...file, dataSequenceNumber: sequenceNumber })',
    replace: '({ ...file })',
    suite: 'test/table/rows-races.test.ts',
  },
  {
    name: 'the bits of deleted rows stand from the lowest of a byte up',
    file: `${source}/engine/duckdb/read/deleted-bits.ts`,
    find: '0x80 >> (at & 7)',
    replace: '1 << (at & 7)',
    suite: 'test/table/deleted-bits.test.ts',
  },
  {
    name: 'a clause whose condition is null applies',
    file: `${source}/table/rows/merge-rows.ts`,
    find: "WHEN (${one.and ?? 'TRUE'}) THEN ${i}`",
    replace: "WHEN coalesce((${one.and ?? 'TRUE'}), TRUE) THEN ${i}`",
    suite: histories,
  },
  {
    name: 'columns added with a default are null in older rows',
    file: `${source}/engine/duckdb/read/project.ts`,
    find: "return field.initialDefault === undefined || field.type === 'unknown'",
    replace: "return field.initialDefault !== undefined || field.type === 'unknown'",
    suite: histories,
  },
  {
    name: 'a lost answer is taken for success',
    file: `${source}/table/commit/commit-loop.ts`,
    find: 'const found = await lookForOurs(context, tables)',
    replace: "const found = { kind: 'committed', metadata: present(await loadAll(context, tables)) } as Look",
    suite: faults,
  },
  {
    name: 'what was committed is not known again',
    file: `${source}/table/commit/commit-loop.ts`,
    find: 'if (!metadata) return false',
    replace: 'if (metadata) return false',
    suite: faults,
  },
  {
    name: 'what happened meanwhile is not looked at',
    file: `${source}/table/commit/commit-pending.ts`,
    find: 'if (conflict) return conflictText(conflict)',
    replace: 'if (conflict && conflict.kind === null) return conflictText(conflict)',
    suite: faults,
  },
  {
    name: 'a commit does not require the branch to be where it was',
    file: `${source}/iceberg/commit/stage-snapshot.ts`,
    find: "{ type: 'assert-ref-snapshot-id', ref: input.ref, snapshotId: snapshotOfRef(base, input.ref) },",
    replace: '',
    suite: faults,
  },
  {
    name: 'files of a commit with an unknown outcome are deleted',
    file: `${source}/table/commit/commit-loop.ts`,
    find: '  throw unknownOutcome(commits[0]?.table, cause)',
    replace: '  await deleteDebris(context, stagedFiles(tables))\n  throw unknownOutcome(commits[0]?.table, cause)',
    suite: 'test/table/commit.test.ts',
  },
  {
    name: 'new rows of others do not stand in the way of a merge',
    file: `${source}/iceberg/commit/validate.ts`,
    find: "return find(input, 'data-added', addsRows, 'added', (file)",
    replace: "return find(input, 'data-added', () => false, 'added', (file)",
    suite: faults,
  },
  {
    name: 'orphan removal takes files of the present',
    file: `${source}/iceberg/maintain/orphans.ts`,
    find: 'if (reachable.has(locationKey(info.path))) continue',
    replace: "if (reachable.has(locationKey(info.path)) && !info.path.endsWith('.parquet')) continue",
    suite: faults,
  },
  {
    name: 'a block may inflate without end',
    file: `${source}/encoding/avro.ts`,
    find: 'const blockBytesMax = 256 * 1024 * 1024',
    replace: 'const blockBytesMax = 2 ** 31',
    suite: hostile,
  },
  {
    name: 'a union may name a branch it does not have',
    file: `${source}/encoding/avro-rows.ts`,
    find: "if (!compiled) throw new RangeError('a union names a branch it does not have')",
    replace: 'if (!compiled) return branches[0] as Compiled',
    suite: hostile,
  },
  {
    name: 'what breaks a reader of Avro comes out as it is',
    file: `${source}/encoding/avro.ts`,
    find: 'throw damaged(cause instanceof Error ? cause.message : String(cause), cause)',
    replace: 'throw cause',
    suite: hostile,
  },
  {
    name: 'what breaks a reader of manifests comes out as it is',
    file: `${source}/iceberg/spec/manifest.ts`,
    find: 'if (cause instanceof LimnError) throw cause',
    replace: 'throw cause',
    suite: hostile,
  },
  {
    name: 'what breaks a reader of metadata comes out as it is',
    file: `${source}/iceberg/spec/metadata-json.ts`,
    find: 'throw invalid(cause instanceof Error ? cause.message : String(cause), cause)',
    replace: 'throw cause',
    suite: hostile,
  },
  {
    name: 'columns given by name are taken by position',
    file: `${source}/query/insert.ts`,
    find: '? assignByName(open, output, table)',
    replace: '? assignByPosition(open, output, table)',
    suite: statements,
  },
  {
    name: 'a condition of UPDATE is left out',
    file: `${source}/query/change-rows.ts`,
    find: "const filter = statement.where ? await bindings.expression(scope, statement.where, 'condition') : 'TRUE'",
    replace: "const filter = 'TRUE'",
    suite: statements,
  },
  {
    name: 'a dry run runs',
    file: `${source}/query/execute.ts`,
    find: 'options.dryRun ? rehearsal(context) : context',
    replace: 'options.dryRun === null ? rehearsal(context) : context',
    suite: statements,
  },
  {
    name: 'values of a listed insert go to the columns in another order',
    file: `${source}/query/merge.ts`,
    find: 'const value = action.values[i] ?? null',
    replace: 'const value = action.values.at(-1 - i) ?? null',
    suite: statements,
  },
  {
    name: 'the condition of a clause is left out',
    file: `${source}/query/merge.ts`,
    find: "const and = condition ? { and: await bind(condition, 'condition') } : {}",
    replace: 'const and = {}',
    suite: statements,
  },
  {
    name: 'a chunk right behind a shortened one keeps its place',
    file: `${source}/engine/duckdb/write/write-fixed.ts`,
    find: 'chunk.start + chunk.size <= offset.value',
    replace: 'chunk.start + chunk.size < offset.value',
    suite: 'test/engine/write-fixed.test.ts',
  },
  {
    name: 'a dictionary is taken to begin with levels',
    file: `${source}/engine/duckdb/write/fixed-pages.ts`,
    find: 'const start = dictionary ? 0 : levelsEnd(plain, of)',
    replace: 'const start = levelsEnd(plain, of)',
    suite: 'test/engine/write-fixed.test.ts',
  },
  {
    name: 'values of another length are found where pages are written anew, not where they are given',
    file: `${source}/engine/duckdb/write/write-columns.ts`,
    find: 'WHEN octet_length(${bytes}) <> ${length} THEN',
    replace: 'WHEN octet_length(${bytes}) < 0 THEN',
    suite: 'test/engine/write-fixed.test.ts',
  },
  {
    name: 'a Bloom filter denies zeros of the other sign',
    file: `${source}/engine/duckdb/write/write-bloom.ts`,
    find: 'if (floating) for (const equal of equalsOf(value)) hashes.add(equal)',
    replace: '',
    suite: 'test/engine/write-bloom.test.ts',
  },
  {
    name: 'all Bloom filters are said to be the first',
    file: `${source}/engine/duckdb/write/write-bloom.ts`,
    find: 'offset: end, length: filter.length',
    replace: 'offset: start, length: filter.length',
    suite: 'test/engine/write-bloom.test.ts',
  },
  {
    name: 'promoted floats are compared as floats',
    file: `${source}/engine/duckdb/read/project.ts`,
    find: "  BIGINT: ['TINYINT',",
    replace: "  DOUBLE: ['FLOAT'],\n  BIGINT: ['TINYINT',",
    suite: 'test/table/bloom-filters.test.ts',
  },
  {
    name: 'distinct values are counted in the first batch alone',
    file: `${source}/table/statistics/table-statistics.ts`,
    find: 'if (rows.length < batchRows) break',
    replace: 'if (at >= 0) break',
    suite: 'test/table/statistics.test.ts',
  },
  {
    name: 'statistics of an ancestor pass for current ones',
    file: `${source}/iceberg/maintain/health.ts`,
    find: 'isCurrent: file.snapshotId === snapshotId',
    replace: 'isCurrent: file.snapshotId !== null',
    suite: 'test/table/statistics.test.ts',
  },
  {
    name: 'an engine that gave itself up is asked again',
    file: `${source}/engine/duckdb/duckdb.ts`,
    find: 'this.instance = await this.make()',
    replace: 'this.instance = former',
    suite: hostileFiles,
  },
  {
    name: 'the first file is blamed',
    file: `${source}/engine/duckdb/read/damage.ts`,
    find: 'const named = files.find((file) => found.message.includes(file.local))',
    replace: 'const named = files.at(0)',
    suite: hostileFiles,
  },
  {
    name: 'a fixed value of another length is taken',
    file: `${source}/encoding/avro-rows.ts`,
    find: 'if (prefixed && readInteger(cursor) !== size)',
    replace: 'if (prefixed && readInteger(cursor) < 0)',
    suite: 'test/encoding/avro.test.ts',
  },
  {
    name: 'a changed row with a null key counts for no column',
    file: `${source}/pipeline/diff/row-diff-sql.ts`,
    find: 'const on = keys.map((name) => `limn_l.${quoteIdentifier(name)} IS NOT DISTINCT FROM limn_r.${quoteIdentifier(name)}`)',
    replace: 'const on = keys.map((name) => `limn_l.${quoteIdentifier(name)} = limn_r.${quoteIdentifier(name)}`)',
    suite: rowDiff,
  },
  {
    name: 'rows that moved to another interval are one row changed',
    file: `${source}/pipeline/diff/diff-rows.ts`,
    find: 'keys: keys.length > 0 && byInterval ? [intervalColumn, ...keys] : keys,',
    replace: 'keys,',
    suite: rowDiff,
  },
  {
    name: 'sums are of files that differ alone',
    file: `${source}/pipeline/diff/diff-rows.ts`,
    find: 'return time === null ? times.length > 0 : touched.overlaps(time)',
    replace: 'return time === null && touched.isEmpty',
    suite: 'test/pipeline/diff/row-diff-tables.test.ts',
  },
  {
    name: 'rows of an interval that only one side has are not counted',
    file: `${source}/pipeline/diff/row-diff-sql.ts`,
    find: "`FULL JOIN ${one('after')} AS limn_r",
    replace: "`JOIN ${one('after')} AS limn_r",
    suite: rowDiff,
  },
  {
    name: 'a row repeated is one row',
    file: `${source}/pipeline/diff/row-diff-sql.ts`,
    find: 'coalesce(-sum(limn_more) FILTER (limn_more < 0 AND NOT limn_changed), 0)::HUGEINT',
    replace: 'count(*) FILTER (limn_more < 0 AND NOT limn_changed)',
    suite: rowDiff,
  },
  {
    name: 'columns are known again by name',
    file: `${source}/pipeline/diff/shared-columns.ts`,
    find: 'if (before.pin.metadata.tableUuid !== after.pin.metadata.tableUuid) return null',
    replace: 'if (before.pin.metadata.tableUuid === after.pin.metadata.tableUuid) return null',
    suite: 'test/pipeline/diff/row-diff-tables.test.ts',
  },
  {
    name: 'a file with other deletes is the same file',
    file: `${source}/table/compare/diff.ts`,
    find: 'JSON.stringify([task.file.path, ...task.deletes.map((one) => fileKey(one.file)).sort()])',
    replace: 'JSON.stringify([task.file.path, ...task.deletes.map((one) => fileKey(one.file)).slice(0, 0)])',
    suite: 'test/pipeline/diff/row-diff-tables.test.ts',
  },
  {
    name: 'a factor need not hold for every value',
    file: `${source}/pipeline/why/pattern.ts`,
    find: '`SELECT bool_and(abs(n::DOUBLE',
    replace: '`SELECT bool_or(abs(n::DOUBLE',
    suite: 'test/pipeline/why/pattern.test.ts',
  },
  {
    name: 'an order by something is an order',
    file: `${source}/sql/nondeterminism.ts`,
    find: "return { kind: listOf(node.orders).length === 0 ? 'order' : 'ties', what }",
    replace: "return { kind: 'ties', what }",
    suite: 'test/sql/query-parts.test.ts',
  },
]
