/** Row 14: the command line: a thin shell over a lake. Results to standard output, everything else to standard error. */
export { type Invocation, runCli } from './main.ts'
