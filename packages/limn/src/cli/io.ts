import type { Progress } from '../base/index.ts'

/** Results go to standard output, progress and prose to standard error. */
export interface Io {
  readonly json: boolean
  /** Columns of the terminal; unlimited when output is not one. */
  readonly width: number
  out(text: string): void
  err(text: string): void
  readonly paint: Paint
}

/** Colours, or nothing where they are not wanted. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
}

export function makeIo(options: { readonly json: boolean }): Io {
  const colour = process.stderr.isTTY === true && process.env.NO_COLOR === undefined
  return {
    json: options.json,
    width: process.stdout.isTTY ? (process.stdout.columns ?? 120) : Number.POSITIVE_INFINITY,
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    paint: paintWith(colour),
  }
}

function paintWith(colour: boolean): Paint {
  const wrap = (code: number) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  return { bold: wrap(1), dim: wrap(2), red: wrap(31), green: wrap(32), yellow: wrap(33) }
}

/** Progress as one live line per task on a terminal, and as plain lines when a task ends elsewhere. */
export function makeProgress(io: Io): Progress {
  const live = process.stderr.isTTY === true
  const clear = '\r\u001b[2K'
  return {
    note: (text) => io.err(text),
    begin(label) {
      const began = performance.now()
      const line = (detail: string) => `${io.paint.dim('·')} ${label.padEnd(30)} ${detail}`
      if (live) process.stderr.write(line('…'))
      return {
        update: (detail) => {
          if (live) process.stderr.write(`${clear}${line(detail)}`)
        },
        end: (summary = 'done') => {
          const seconds = `${((performance.now() - began) / 1000).toFixed(2)} s`
          const done = `${io.paint.green('✓')} ${label.padEnd(30)} ${seconds.padStart(8)}  ${summary}`
          if (live) process.stderr.write(clear)
          io.err(done)
        },
      }
    },
  }
}
