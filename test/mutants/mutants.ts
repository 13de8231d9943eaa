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

/** Each is a mistake somebody could make; each property and fault suite has to catch five or more. */
export const mutants: readonly Mutant[] = [
  {
    name: 'avro-count-unchecked',
    file: 'packages/limn/src/encoding/avro-rows.ts',
    find: "if (count > most) throw new RangeError('a list claims more items than there are bytes')",
    replace: '',
    suite: 'test/iceberg/hostile.test.ts',
  },
]
