import { relative } from 'node:path'
import type { Plugin } from 'vite'
import { root } from '../support/lake.ts'
import { mutants } from './mutants.ts'

/**
 * Injects one bug into the source while it is loaded: `LIMN_MUTANT` names it. The files on disk stay as they are. Without
 * the variable it does nothing.
 */
export function injectMutant(): Plugin {
  const name = process.env.LIMN_MUTANT
  const mutant = mutants.find((one) => one.name === name)
  if (name !== undefined && !mutant) throw new Error(`There is no mutant ${name}.`)
  return {
    name: 'limn-mutant',
    enforce: 'pre',
    transform(code, id) {
      if (!mutant || relative(root, id.split('?')[0] ?? '') !== mutant.file) return null
      const at = code.indexOf(mutant.find)
      if (at < 0 || code.indexOf(mutant.find, at + 1) >= 0)
        throw new Error(`${mutant.name}: its text does not stand exactly once in ${mutant.file}.`)
      return { code: code.replace(mutant.find, () => mutant.replace), map: null }
    },
  }
}
