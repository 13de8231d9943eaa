import { LimnError } from '../base/index.ts'

const attemptsMax = 5

/**
 * Runs a statement anew, tables read anew, when another writer changed what it relied on. Changing the table again on rows
 * read before would bring back what was.
 */
export async function again<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof LimnError) || error.kind !== 'catalog/conflict' || attempt === attemptsMax) throw error
    }
  }
}
