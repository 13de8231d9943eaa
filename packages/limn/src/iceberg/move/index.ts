export * from './moved-files.ts'
