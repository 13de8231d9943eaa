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

/** Tries that follow each other run by run; later ones wait, twice as long each time, up to an hour. */
const promptTries = 3
const patienceMs = 60_000
const patienceMaxMs = 3_600_000

/** Whether a letter is to be tried now. */
function isDue(letter: { readonly attempts: number; readonly tried_ms: number | null }, nowMs: number): boolean {
  if (letter.tried_ms === null || letter.attempts < promptTries) return true
  const wait = Math.min(patienceMaxMs, patienceMs * 2 ** (letter.attempts - promptTries))
  // A clock that went back makes nobody wait.
  return nowMs >= letter.tried_ms + wait || nowMs < letter.tried_ms
}

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

  /** What is to be delivered now, oldest first. */
  waiting(nowMs: number): readonly Letter[] {
    return this.state
      .read((tx) =>
        tx.all<Letter & { readonly attempts: number; readonly tried_ms: number | null }>(
          'SELECT id, payload, attempts, tried_ms FROM notification WHERE delivered_ms IS NULL ORDER BY created_ms, rowid',
        ),
      )
      .filter((letter) => isDue(letter, nowMs))
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

  delivered(id: string, nowMs: number): Promise<void> {
    return this.state.change('notification delivered', (tx) =>
      tx.run('UPDATE notification SET delivered_ms = ?, attempts = attempts + 1 WHERE id = ?', [nowMs, id]),
    )
  }

  failed(id: string, message: string, nowMs: number): Promise<void> {
    return this.state.change('notification failed', (tx) =>
      tx.run('UPDATE notification SET attempts = attempts + 1, tried_ms = ?, message = ? WHERE id = ?', [
        nowMs,
        message,
        id,
      ]),
    )
  }
}
