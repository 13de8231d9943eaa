/** Row 1: sketches, estimates of a set's size from few bytes, in the layout other engines read. Pure. */
export * from './theta.ts'
