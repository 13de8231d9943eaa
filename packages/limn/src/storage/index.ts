/** Row 1: object stores behind one port; the only door to bytes. */
export * from './store.ts'
