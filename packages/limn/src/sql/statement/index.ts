export { parseStatement, parseType } from './parse.ts'
export { printColumn, printPath, printProperties, printStatement, printTerm, printType } from './print.ts'
export type * from './tree.ts'
export { stringValue } from './words.ts'
