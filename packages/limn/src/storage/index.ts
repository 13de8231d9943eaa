/** Row 1: object stores behind one port; the only door to bytes. Durable before any commit can name a file. */
export * from './local.ts'
export * from './store.ts'
