/** How `limn maintain` keeps a dataset's table in order. What is left out has the default. */
export interface MaintainPolicy {
  /** Size that data files are brought to, in bytes. Default: the table's `write.target-file-size-bytes`, else 512 MiB. */
  readonly targetFileBytes?: number
  /** When files are rewritten; false: never. */
  readonly compact?:
    | false
    | {
        /** More than this share of small files (below 75 % of the target). 0…1; default 0.3. */
        readonly smallShareMax?: number
        /** And at least this many of them. Default 5. */
        readonly smallFilesMin?: number
        /** More than this share of rows deleted and read around. 0…1; default 0.05. */
        readonly deleteRatioMax?: number
      }
  /** Days after which snapshots expire; false: never. Default: the table's `history.expire.max-snapshot-age-ms`, else 5. */
  readonly expireAfterDays?: number | false
  /** Latest snapshots of a branch that stay whatever their age. Default 1. */
  readonly keepSnapshots?: number
  /** Days after which a file that nothing leads to is deleted; false: never. Default 3, at least an hour. */
  readonly orphansAfterDays?: number | false
}

/** What is wrong with a policy: where and what; empty when nothing is. */
export function maintainProblems(
  policy: MaintainPolicy,
): readonly { readonly path: string; readonly message: string }[] {
  const problems: { path: string; message: string }[] = []
  const check = (path: string, value: number | false | undefined, min: number, max = Infinity, whole = false) => {
    if (value === undefined || value === false) return
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) return
    const range = max === Infinity ? `${min} or more` : `from ${min} to ${max}`
    problems.push({ path: `maintain.${path}`, message: `is not ${whole ? 'a whole number' : 'a number'}, ${range}.` })
  }
  check('targetFileBytes', policy.targetFileBytes, 1, Infinity, true)
  if (policy.compact) {
    check('compact.smallShareMax', policy.compact.smallShareMax, 0, 1)
    check('compact.smallFilesMin', policy.compact.smallFilesMin, 1, Infinity, true)
    check('compact.deleteRatioMax', policy.compact.deleteRatioMax, 0, 1)
  }
  check('expireAfterDays', policy.expireAfterDays, 0)
  check('keepSnapshots', policy.keepSnapshots, 1, Infinity, true)
  check('orphansAfterDays', policy.orphansAfterDays, 1 / 24)
  return problems
}
