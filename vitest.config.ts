import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**', 'test/simulation/crash/**', 'test/package/**', '**/node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    server: { deps: { external: [/packages\/limn\/dist/] } },
  },
})
