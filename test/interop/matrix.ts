import { expect } from 'vitest'
import { type Peer, PeerError } from '../support/peers.ts'
import type { SeenAt } from '../support/seen.ts'
import { type Reader, type Refusal, refusals } from './cells/refusals.ts'

/** What is read: a cell's table at a place in its history, and the summary of the snapshot there. */
export interface State {
  readonly cell: string
  readonly at: SeenAt
  readonly summary: Readonly<Record<string, string>>
}

interface Count {
  readonly cells: Set<string>
  reads: number
  rows: number
  /** Of the rows, those whose row id and sequence number were compared too. */
  lineage: number
  readonly refused: Map<string, { states: number; readonly cells: Set<string> }>
}

/** An answer that is on its way, or the words of a reader that refused. */
export type Asked<T> = Promise<{ readonly seen: T } | { readonly refused: string }>

/** Sends a request without waiting: peers answer in order while limn reads. */
export function ask<T>(peer: Peer, request: object): Asked<T> {
  const asked = peer
    .ask<T>(request)
    .then((seen) => ({ seen }))
    .catch((error: unknown) => {
      if (error instanceof PeerError) return { refused: error.message }
      throw error
    })
  // Awaited later; a comparison that fails first must not leave it unheard.
  asked.catch(() => undefined)
  return asked
}

/** Cells against readers: what each read and refused, counted, so that a cell that nobody read shows. */
export class Matrix {
  private readonly counts = new Map<Reader, Count>()
  private readonly unused = new Set<Refusal>(refusals)

  constructor(readers: readonly Reader[]) {
    for (const reader of readers)
      this.counts.set(reader, { cells: new Set(), reads: 0, rows: 0, lineage: 0, refused: new Map() })
  }

  /** Compares an answer, or holds a refusal to the list: only what is listed may refuse, and it has to. */
  async settle<T extends { readonly rows: readonly string[] }>(
    reader: Reader,
    { cell, at, summary }: State,
    asked: Asked<T>,
    compare: (seen: T) => void,
  ): Promise<void> {
    const count = this.counts.get(reader)
    if (!count) throw new Error(`${reader} is no reader of this matrix`)
    const allowed = refusals.find(
      (one) => one.reader === reader && one.cell.test(cell) && (one.where ?? (() => true))(summary),
    )
    const outcome = await asked
    if ('refused' in outcome) {
      const expected = allowed ? expect.stringMatching(allowed.message) : 'an answer'
      expect([cell, at, reader, outcome.refused]).toEqual([cell, at, reader, expected])
      if (allowed) this.unused.delete(allowed)
      const message = firstLine(outcome.refused)
      const known = count.refused.get(message) ?? { states: 0, cells: new Set() }
      known.states++
      known.cells.add(cell)
      count.refused.set(message, known)
      return
    }
    if (!allowed?.sometimes) expect([cell, at, reader, allowed?.message.source]).toEqual([cell, at, reader, undefined])
    compare(outcome.seen)
    count.cells.add(cell)
    count.reads++
    count.rows += outcome.seen.rows.length
    if (at.lineage) count.lineage += outcome.seen.rows.length
  }

  /** Refusals on the list that did not happen. */
  unusedRefusals(): readonly string[] {
    return [...this.unused].map((one) => `${one.reader}: ${one.cell}: ${one.message}`)
  }

  /** One line a reader, and one for each thing it refuses. */
  text(cells: number): string {
    return [...this.counts]
      .flatMap(([reader, count]) => [
        `  ${reader.padEnd(9)} read ${count.cells.size} of ${cells} cells: ${count.reads} states, ${count.rows} rows` +
          (count.lineage > 0 ? `, ${count.lineage} of them with row lineage` : ''),
        ...[...count.refused].map(
          ([message, one]) => `            refused ${one.states} states of ${one.cells.size} cells: ${message}`,
        ),
      ])
      .join('\n')
  }
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/\d{6,}/g, 'N').slice(0, 160)
}
