import { defineConfig } from 'vitest/config'
import { injectMutant } from './test/mutants/plugin.ts'

export default defineConfig({
  plugins: [injectMutant()],
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/conformance/**',
      'test/interop/**',
      'test/lakes/**',
      'test/simulation/crash/**',
      'test/simulation/concurrency/**',
      'test/simulation/bounded/**',
      'test/package/**',
      '**/node_modules/**',
    ],
    // A module kept from another run would be without the bug, or with it.
    fsModuleCache: process.env.LIMN_MUTANT === undefined,
    testTimeout: 60_000,
    // Every core: the default leaves one idle, which with two is half.
    maxWorkers: '100%',
    hookTimeout: 120_000,
    server: { deps: { external: [/packages\/limn\/dist/] } },
  },
})
