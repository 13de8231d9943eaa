import type { RunId, TableId } from '../../base/index.ts'
import type { HeldLease, Migration, StateDatabase, Tx } from '../../state/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { scheduleMigration } from '../schedule/marks.ts'
import type { UnpublishedOutcome } from './ledger.ts'

/**
 * What the state database knows of runs. It is a cache and a scratch pad: the truth of what was published is the
 * ledger in the lake. A run goes
 *
 *   running ─► publishing ─► published
 *      │            └──────► (found dead: settled by asking each main) ─► published | abandoned
 *      ├─► refused | failed | cancelled
 *      └─► (found dead) ─► abandoned
 *
 * and nothing leaves an ended phase. Branches and staged pointers of runs that ended unpublished are kept for a week.
 */
export type Phase = 'running' | 'publishing' | 'published' | UnpublishedOutcome | 'idle'

export const livePhases: readonly Phase[] = ['running', 'publishing']

export interface RunRecord {
  readonly id: RunId
  readonly phase: Phase
  readonly host: string
  readonly pid: number
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly message: string
  /** Whether the ledger already has a row for its end. */
  readonly recorded: boolean
}

export const pipelineMigrations: readonly Migration[] = [
  {
    id: 1,
    name: 'runs, staged pointers, refs, caches',
    sql: `
      CREATE TABLE run (
        id TEXT PRIMARY KEY, phase TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
        started_ms INTEGER NOT NULL, ended_ms INTEGER, message TEXT NOT NULL DEFAULT '', recorded INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE TABLE staged_pointer (
        run TEXT NOT NULL, table_id TEXT NOT NULL, metadata_location TEXT NOT NULL, PRIMARY KEY (run, table_id)
      ) STRICT;
      CREATE TABLE run_ref (
        run TEXT NOT NULL, table_id TEXT NOT NULL, ref TEXT NOT NULL, snapshot_id TEXT NOT NULL, PRIMARY KEY (run, table_id, ref)
      ) STRICT;
      CREATE TABLE publish_intent (
        run TEXT NOT NULL, table_id TEXT NOT NULL, snapshot_id TEXT NOT NULL, PRIMARY KEY (run, table_id)
      ) STRICT;
      CREATE TABLE file_hash (
        path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL
      ) STRICT;
      CREATE TABLE fact (
        key TEXT PRIMARY KEY, value TEXT NOT NULL
      ) STRICT;`,
  },
  { id: 2, ...scheduleMigration },
  {
    id: 3,
    name: 'leases of runs, requests to stop, backfills',
    sql: `
      CREATE TABLE run_lease (
        run TEXT NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (run, name)
      ) STRICT;
      INSERT INTO run_lease (run, name, epoch)
        SELECT run.id, lease.name, lease.epoch FROM run, lease
        WHERE lease.name = 'run' AND run.phase IN ('running', 'publishing');
      CREATE TABLE run_cancel (
        run TEXT PRIMARY KEY, asked_ms INTEGER NOT NULL, asked_by TEXT NOT NULL
      ) STRICT;
      ALTER TABLE run ADD COLUMN request TEXT;
      CREATE TABLE staged_work (
        run TEXT NOT NULL, dataset TEXT NOT NULL, work TEXT NOT NULL, PRIMARY KEY (run, dataset)
      ) STRICT;
      CREATE TABLE backfill (
        id TEXT PRIMARY KEY, request TEXT NOT NULL, created_ms INTEGER NOT NULL,
        ended TEXT, ended_ms INTEGER, message TEXT NOT NULL DEFAULT ''
      ) STRICT;`,
  },
]

const isLive = `phase IN (${livePhases.map((phase) => `'${phase}'`).join(', ')})`

interface RunRow {
  readonly id: string
  readonly phase: string
  readonly host: string
  readonly pid: number
  readonly started_ms: number
  readonly ended_ms: number | null
  readonly message: string
  readonly recorded: number
}

/** Reads and writes the pipeline's own tables in the state database. */
export class RunState {
  private readonly state: StateDatabase

  constructor(state: StateDatabase) {
    this.state = state
  }

  begin(run: {
    readonly id: RunId
    readonly host: string
    readonly pid: number
    readonly startedAtMs: number
    /** While all of these are alive, so is the run. */
    readonly leases: readonly HeldLease[]
    /** What it was asked, as JSON; null for one that cannot be asked again. */
    readonly request: string | null
  }): Promise<void> {
    return this.change(`run ${run.id} running`, (tx) => {
      for (const { name, epoch } of run.leases)
        tx.run('INSERT INTO run_lease (run, name, epoch) VALUES (?, ?, ?)', [run.id, name, epoch])
      tx.run('INSERT INTO run (id, phase, host, pid, started_ms, request) VALUES (?, ?, ?, ?, ?, ?)', [
        run.id,
        'running',
        run.host,
        run.pid,
        run.startedAtMs,
        run.request,
      ])
    })
  }

  /** Moves a live run on, with what it intends to publish. */
  publishing(id: RunId, expected: ReadonlyMap<TableId, bigint>): Promise<void> {
    return this.change(`run ${id} publishing`, (tx) => {
      tx.run(`UPDATE run SET phase = ? WHERE id = ? AND ${isLive}`, ['publishing', id])
      if (!tx.get(`SELECT 1 FROM run WHERE id = ? AND ${isLive}`, [id])) return
      tx.run('DELETE FROM publish_intent WHERE run = ?', [id])
      for (const [table, snapshot] of expected) {
        tx.run('INSERT INTO publish_intent (run, table_id, snapshot_id) VALUES (?, ?, ?)', [
          id,
          table,
          String(snapshot),
        ])
      }
    })
  }

  /** Ends a run that is live; of one that has ended nothing changes. A published run's staged pointers and refs went with the publish; others keep theirs for a week. */
  end(
    id: RunId,
    phase: Phase,
    at: { readonly endedAtMs: number; readonly message: string; readonly recorded: boolean },
  ): Promise<void> {
    return this.change(`run ${id} ${phase}`, (tx) => {
      // Somebody who took it for dead may have ended it: the first word counts.
      const ended = tx.get<{ phase: string }>(`SELECT phase FROM run WHERE id = ? AND NOT (${isLive})`, [id])
      if (ended) return
      tx.run('UPDATE run SET phase = ?, ended_ms = ?, message = ?, recorded = ? WHERE id = ?', [
        phase,
        at.endedAtMs,
        at.message,
        at.recorded ? 1 : 0,
        id,
      ])
      tx.run('DELETE FROM publish_intent WHERE run = ?', [id])
      tx.run('DELETE FROM run_cancel WHERE run = ?', [id])
      if (phase === 'published' || phase === 'idle') forget(tx, id)
      if (phase === 'idle') tx.run('DELETE FROM run WHERE id = ?', [id])
      if (phase === 'published' || phase === 'idle') tx.run('DELETE FROM run_lease WHERE run = ?', [id])
    })
  }

  /** Notes under which leases a backfill is at work now, in place of those of an earlier process. */
  noteLeases(id: RunId, leases: readonly HeldLease[]): Promise<void> {
    return this.change(`run ${id} leases`, (tx) => {
      tx.run('DELETE FROM run_lease WHERE run = ?', [id])
      for (const { name, epoch } of leases)
        tx.run('INSERT INTO run_lease (run, name, epoch) VALUES (?, ?, ?)', [id, name, epoch])
      tx.run('DELETE FROM run_cancel WHERE run = ?', [id])
    })
  }

  /** The leases a run took when it began. */
  leases(id: RunId): readonly HeldLease[] {
    return this.state.read((tx) =>
      tx.all<HeldLease>('SELECT name, epoch FROM run_lease WHERE run = ? ORDER BY name', [id]),
    )
  }

  /** Whether the process of a run, or of a backfill by its id, is still at work. */
  isAlive(id: RunId): boolean {
    return this.state.alive(this.leases(id))
  }

  /** Takes the leases of a dead run from it, so that it finds out should it wake. False when it is alive. */
  fence(id: RunId): Promise<boolean> {
    return this.state.fence(this.leases(id))
  }

  /** What a run was asked, as JSON; null when that is not known. */
  request(id: RunId): string | null {
    const row = this.state.read((tx) =>
      tx.get<{ request: string | null }>('SELECT request FROM run WHERE id = ?', [id]),
    )
    return row?.request ?? null
  }

  /** Remembers what a run staged of datasets, for a retry. Lost, it is built again: no named step guards it. */
  rememberWorks(run: RunId, works: readonly (readonly [dataset: TableId, work: string])[]): void {
    this.state.transactSoon((tx) => {
      for (const [dataset, work] of works)
        tx.run('INSERT OR REPLACE INTO staged_work (run, dataset, work) VALUES (?, ?, ?)', [run, dataset, work])
    })
  }

  works(run: RunId): readonly string[] {
    return this.state
      .read((tx) => tx.all<{ work: string }>('SELECT work FROM staged_work WHERE run = ? ORDER BY dataset', [run]))
      .map((row) => row.work)
  }

  /** Asks a live run to stop; it finds out within seconds, and at the latest right before it would publish. */
  askToStop(id: RunId, by: string, nowMs: number): Promise<void> {
    return this.change(`run ${id} asked to stop`, (tx) => {
      tx.run('INSERT OR REPLACE INTO run_cancel (run, asked_ms, asked_by) VALUES (?, ?, ?)', [id, nowMs, by])
    })
  }

  /** Who asked a run to stop, or null. */
  stopAskedBy(id: RunId): string | null {
    const row = this.state.read((tx) =>
      tx.get<{ asked_by: string }>('SELECT asked_by FROM run_cancel WHERE run = ?', [id]),
    )
    return row?.asked_by ?? null
  }

  markRecorded(ids: readonly RunId[]): Promise<void> {
    return this.change('runs recorded', (tx) => {
      for (const id of ids) tx.run('UPDATE run SET recorded = 1 WHERE id = ?', [id])
    })
  }

  /** All runs known, latest first. */
  runs(): readonly RunRecord[] {
    return this.state.read((tx) => tx.all<RunRow>('SELECT * FROM run ORDER BY id DESC')).map(recordOf)
  }

  intent(id: RunId): ReadonlyMap<TableId, bigint> {
    const rows = this.state.read((tx) =>
      tx.all<{ table_id: string; snapshot_id: string }>(
        'SELECT table_id, snapshot_id FROM publish_intent WHERE run = ?',
        [id],
      ),
    )
    return new Map(rows.map((row) => [row.table_id as TableId, BigInt(row.snapshot_id)]))
  }

  /**
   * Notes a branch or pin this run is about to make, so that whoever finds it dead can drop it. Of a table that is not `registered` no
   * ref can outlive the run, so that the note need not either.
   */
  noteRef(run: RunId, table: TableId, ref: string, snapshotId: bigint, registered = true): Promise<void> {
    const note = (tx: Tx) => {
      tx.run('INSERT OR REPLACE INTO run_ref (run, table_id, ref, snapshot_id) VALUES (?, ?, ?, ?)', [
        run,
        table,
        ref,
        String(snapshotId),
      ])
    }
    const detail = `run ${run} ref ${table} ${ref}`
    return registered ? this.change(detail, note) : this.changeSoon(detail, note)
  }

  refs(run: RunId): readonly { readonly table: TableId; readonly ref: string; readonly snapshotId: bigint }[] {
    const rows = this.state.read((tx) =>
      tx.all<{ table_id: string; ref: string; snapshot_id: string }>(
        'SELECT * FROM run_ref WHERE run = ? ORDER BY table_id, ref',
        [run],
      ),
    )
    return rows.map((row) => ({ table: row.table_id as TableId, ref: row.ref, snapshotId: BigInt(row.snapshot_id) }))
  }

  dropStaged(run: RunId): Promise<void> {
    return this.change(`run ${run} dropped`, (tx) => forget(tx, run))
  }

  pointer(run: RunId, table: TableId): StorePath | null {
    const row = this.state.read((tx) =>
      tx.get<{ metadata_location: string }>(
        'SELECT metadata_location FROM staged_pointer WHERE run = ? AND table_id = ?',
        [run, table],
      ),
    )
    return row ? (row.metadata_location as StorePath) : null
  }

  pointers(run: RunId): readonly { readonly table: TableId; readonly metadataLocation: StorePath }[] {
    return this.state
      .read((tx) =>
        tx.all<{ table_id: string; metadata_location: string }>(
          'SELECT table_id, metadata_location FROM staged_pointer WHERE run = ? ORDER BY table_id',
          [run],
        ),
      )
      .map((row) => ({ table: row.table_id as TableId, metadataLocation: row.metadata_location as StorePath }))
  }

  /**
   * Moves the pointer of an unregistered table if it still is `expected`. A power failure may take it back: the run died with it, and
   * what it staged of a table that nobody else sees is debris.
   */
  swapPointer(run: RunId, table: TableId, expected: StorePath | null, next: StorePath): Promise<boolean> {
    return this.changeSoon(`run ${run} pointer ${table}`, (tx) => {
      const row = tx.get<{ metadata_location: string }>(
        'SELECT metadata_location FROM staged_pointer WHERE run = ? AND table_id = ?',
        [run, table],
      )
      if ((row?.metadata_location ?? null) !== expected) return false
      tx.run('INSERT OR REPLACE INTO staged_pointer (run, table_id, metadata_location) VALUES (?, ?, ?)', [
        run,
        table,
        next,
      ])
      return true
    })
  }

  /** Forgets an unregistered table staged by a run that stages it anew. */
  dropPointer(run: RunId, table: TableId): Promise<void> {
    return this.change(`run ${run} pointer ${table} dropped`, (tx) => {
      tx.run('DELETE FROM staged_pointer WHERE run = ? AND table_id = ?', [run, table])
    })
  }

  /** Takes in what was found of runs in the lake; what is known already stays as it is. */
  adopt(found: {
    readonly runs: readonly Omit<RunRecord, 'pid'>[]
    readonly refs: readonly {
      readonly run: RunId
      readonly table: TableId
      readonly ref: string
      readonly snapshotId: bigint
    }[]
    readonly pointers: readonly { readonly run: RunId; readonly table: TableId; readonly metadataLocation: StorePath }[]
    readonly nowMs: number
  }): Promise<void> {
    return this.change('state rebuilt', (tx) => {
      for (const one of found.runs)
        tx.run(
          'INSERT OR IGNORE INTO run (id, phase, host, pid, started_ms, ended_ms, message, recorded) VALUES (?, ?, ?, 0, ?, ?, ?, ?)',
          [one.id, one.phase, one.host, one.startedAtMs, one.endedAtMs, one.message, one.recorded ? 1 : 0],
        )
      for (const one of found.refs)
        tx.run('INSERT OR IGNORE INTO run_ref (run, table_id, ref, snapshot_id) VALUES (?, ?, ?, ?)', [
          one.run,
          one.table,
          one.ref,
          String(one.snapshotId),
        ])
      for (const one of found.pointers)
        tx.run('INSERT OR IGNORE INTO staged_pointer (run, table_id, metadata_location) VALUES (?, ?, ?)', [
          one.run,
          one.table,
          one.metadataLocation,
        ])
    })
  }

  /** Forgets all tables that runs staged and did not publish: what they stand for has moved. */
  dropPointers(): Promise<void> {
    return this.change('staged pointers dropped', (tx) => tx.run('DELETE FROM staged_pointer'))
  }

  /** What runs noted of a table, under another name of it. */
  renameTable(from: TableId, to: TableId): Promise<void> {
    return this.change(`table ${from} renamed ${to}`, (tx) => {
      for (const table of ['run_ref', 'staged_pointer'])
        tx.run(`UPDATE OR REPLACE ${table} SET table_id = ? WHERE table_id = ?`, [to, from])
    })
  }

  /** The remembered hash of a file, if its stamp (size, inode, times) is unchanged. */
  fileHash(path: string, stamp: string): string | null {
    const row = this.state.read((tx) =>
      tx.get<{ stamp: string; sha256: string }>('SELECT stamp, sha256 FROM file_hash WHERE path = ?', [path]),
    )
    return row?.stamp === stamp ? row.sha256 : null
  }

  /** Caches are not recovery state: no named step guards them. */
  rememberFileHashes(
    entries: readonly { readonly path: string; readonly stamp: string; readonly sha256: string }[],
  ): void {
    if (entries.length === 0) return
    this.state.transact((tx) => {
      for (const entry of entries) {
        tx.run('INSERT OR REPLACE INTO file_hash (path, stamp, sha256) VALUES (?, ?, ?)', [
          entry.path,
          entry.stamp,
          entry.sha256,
        ])
      }
    })
  }

  /** A fact about immutable snapshots, computed before. */
  fact(key: string): string | null {
    return (
      this.state.read((tx) => tx.get<{ value: string }>('SELECT value FROM fact WHERE key = ?', [key]))?.value ?? null
    )
  }

  rememberFact(key: string, value: string): void {
    this.state.transactSoon((tx) => {
      tx.run('INSERT OR REPLACE INTO fact (key, value) VALUES (?, ?)', [key, value])
      tx.run('DELETE FROM fact WHERE rowid <= (SELECT max(rowid) FROM fact) - 5000', [])
    })
  }

  private change<T>(detail: string, body: (tx: Tx) => T): Promise<T> {
    return this.state.change(detail, body)
  }

  private changeSoon<T>(detail: string, body: (tx: Tx) => T): Promise<T> {
    return this.state.changeSoon(detail, body)
  }
}

function forget(tx: Tx, run: RunId): void {
  tx.run('DELETE FROM staged_pointer WHERE run = ?', [run])
  tx.run('DELETE FROM run_ref WHERE run = ?', [run])
  tx.run('DELETE FROM staged_work WHERE run = ?', [run])
}

function recordOf(row: RunRow): RunRecord {
  return {
    id: row.id as RunId,
    phase: row.phase as Phase,
    host: row.host,
    pid: Number(row.pid),
    startedAtMs: Number(row.started_ms),
    endedAtMs: row.ended_ms === null ? null : Number(row.ended_ms),
    message: row.message,
    recorded: Number(row.recorded) === 1,
  }
}
