import type { Migration, StateDatabase } from '../../state/index.ts'

/** Where schedules and notifications stand. Not recovery state: lost, it is found again from the ledger, or begins anew. */
export const scheduleMigration: Omit<Migration, 'id'> = {
  name: 'last ticks, notifications',
  sql: `
    CREATE TABLE schedule_mark (
      name TEXT PRIMARY KEY, value INTEGER NOT NULL, at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE notification (
      id TEXT PRIMARY KEY, payload TEXT NOT NULL, created_ms INTEGER NOT NULL, delivered_ms INTEGER,
      tried_ms INTEGER, attempts INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT ''
    ) STRICT;`,
}

/** Named marks: the last tick done of a schedule, the ledger row a trigger was last run for. */
export class ScheduleMarks {
  private readonly state: StateDatabase

  constructor(state: StateDatabase) {
    this.state = state
  }

  /** Null when there is none. */
  get(name: string): number | null {
    const row = this.state.read((tx) =>
      tx.get<{ value: number }>('SELECT value FROM schedule_mark WHERE name = ?', [name]),
    )
    return row ? Number(row.value) : null
  }

  /** When a mark was last set, in milliseconds since the epoch, or null. */
  setAtMs(name: string): number | null {
    const row = this.state.read((tx) =>
      tx.get<{ at_ms: number }>('SELECT at_ms FROM schedule_mark WHERE name = ?', [name]),
    )
    return row ? Number(row.at_ms) : null
  }

  /** Sets a mark; it never goes back. */
  async advance(name: string, value: number, atMs: number): Promise<void> {
    await this.state.change(`mark ${name}`, (tx) =>
      tx.run(
        'INSERT INTO schedule_mark (name, value, at_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value), at_ms = excluded.at_ms',
        [name, value, atMs],
      ),
    )
  }
}

/** The mark of a schedule's last tick. */
export function tickMark(name: string): string {
  return `tick ${name}`
}

/** The mark of the ledger row up to which a triggered dataset was run. */
export function triggerMark(name: string): string {
  return `trigger ${name}`
}

/** The mark of how often a triggered dataset has failed since it was triggered by a ledger row. */
export function triesMark(name: string, seq: number): string {
  return `tries ${name} ${seq}`
}

/** The mark of a schedule's last tick whose run published, or found nothing to do. */
export function metMark(name: string): string {
  return `met ${name}`
}
