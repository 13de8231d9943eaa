/** Row 8: sources: what a delivered file holds, checked against the contract, bad rows apart. Publishes nothing. */
export * from './delivery.ts'
