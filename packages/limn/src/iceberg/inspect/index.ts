/** Files of tables laid open, as they are: for people who look into one. */
export * from './lay-open.ts'
