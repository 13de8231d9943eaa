import type { StateDatabase } from '../../state/index.ts'

/** A notification to one hook: what is told, and to whom. */
export interface Letter {
  /** Incident, owner and place of the hook: each is put in once. */
  readonly id: string
  readonly payload: string
}

/** A letter that could not be delivered is tried again with every run, for this long. */
const keepMs = 7 * 24 * 3_600_000

const pointer = 'notified'

/**
 * Notifications on their way. They are put in, together with how far the ledger was read, before any is delivered, and
 * are out when a hook took them: a process that dies between delivers again, with the same id.
 */
export class Outbox {
  private readonly state: StateDatabase

  constructor(state: StateDatabase) {
    this.state = state
  }

  /** The last ledger row that was read; null before the first. */
  readUpTo(): number | null {
    const row = this.state.read((tx) =>
      tx.get<{ value: number }>('SELECT value FROM schedule_mark WHERE name = ?', [pointer]),
    )
    return row ? Number(row.value) : null
  }

  put(letters: readonly Letter[], readUpTo: number, nowMs: number): Promise<void> {
    return this.state.change('notifications put in', (tx) => {
      for (const letter of letters)
        tx.run('INSERT OR IGNORE INTO notification (id, payload, created_ms) VALUES (?, ?, ?)', [
          letter.id,
          letter.payload,
          nowMs,
        ])
      tx.run(
        'INSERT INTO schedule_mark (name, value, at_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value), at_ms = excluded.at_ms',
        [pointer, readUpTo, nowMs],
      )
      tx.run('DELETE FROM notification WHERE created_ms < ?', [nowMs - keepMs])
    })
  }

  /** What was not delivered yet, oldest first. */
  waiting(): readonly Letter[] {
    return this.state.read((tx) =>
      tx.all<Letter>('SELECT id, payload FROM notification WHERE delivered_ms IS NULL ORDER BY created_ms, rowid'),
    )
  }

  /** All of which `id` begins so, delivered or not. */
  ofKind(prefix: string): readonly Letter[] {
    return this.state.read((tx) =>
      tx.all<Letter>('SELECT id, payload FROM notification WHERE substr(id, 1, ?) = ? ORDER BY created_ms, rowid', [
        prefix.length,
        prefix,
      ]),
    )
  }

  has(id: string): boolean {
    return this.state.read((tx) => tx.get('SELECT 1 FROM notification WHERE id = ?', [id])) !== undefined
  }

  delivered(id: string, nowMs: number): Promise<void> {
    return this.state.change('notification delivered', (tx) =>
      tx.run('UPDATE notification SET delivered_ms = ?, attempts = attempts + 1 WHERE id = ?', [nowMs, id]),
    )
  }

  failed(id: string, message: string): Promise<void> {
    return this.state.change('notification failed', (tx) =>
      tx.run('UPDATE notification SET attempts = attempts + 1, message = ? WHERE id = ?', [message, id]),
    )
  }
}
