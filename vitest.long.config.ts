import { defineConfig } from 'vitest/config'
import { injectMutant } from './test/mutants/plugin.ts'

/** The suites that take longer than `npm test` may: each has its own script. */
export default defineConfig({
  plugins: [injectMutant()],
  test: {
    include: [
      'test/conformance/**/*.test.ts',
      'test/interop/**/*.test.ts',
      'test/lakes/**/*.test.ts',
      'test/simulation/*/**/*.test.ts',
      'test/package/**/*.test.ts',
    ],
    // A module kept from another run would be without the bug, or with it.
    fsModuleCache: process.env.LIMN_MUTANT === undefined,
    testTimeout: 3_000_000,
    hookTimeout: 600_000,
    fileParallelism: false,
    server: { deps: { external: [/packages\/limn\/dist/] } },
  },
})
