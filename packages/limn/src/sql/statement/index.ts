export { parseStatement } from './parse.ts'
export { printStatement, printType } from './print.ts'
export type * from './tree.ts'
