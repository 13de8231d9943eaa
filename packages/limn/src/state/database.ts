import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  type Clock,
  explainSystemError,
  LimnError,
  makeFolder,
  noSteps,
  type Steps,
  step,
  systemClock,
  systemTicks,
  type Ticks,
} from '../base/index.ts'
import {
  type AcquireOptions,
  acquireLease,
  acquireLeases,
  fenceLeases,
  type HeldLease,
  type Lease,
  type Leases,
  leaseBeats,
  leasesAlive,
  leaseTables,
} from './lease.ts'

/** A change to the database's tables, applied once, in order of `id` (from 1). */
export interface Migration {
  readonly id: number
  readonly name: string
  readonly sql: string
}

/** Statements inside one transaction. The body that gets it never awaits. */
export interface Tx {
  run(sql: string, params?: readonly SQLInputValue[]): void
  get<Row>(sql: string, params?: readonly SQLInputValue[]): Row | undefined
  all<Row>(sql: string, params?: readonly SQLInputValue[]): Row[]
}

export interface StateOptions {
  readonly path: string
  readonly migrations: readonly Migration[]
  readonly clock?: Clock
  readonly ticks?: Ticks
  readonly steps?: Steps
  readonly host?: string
  /** A holder on another host, or a paused one, is dead when it was not heard of for this long. Default 60,000. */
  readonly leaseDeadMs?: number
}

/** Transactions, leases and migrations on SQLite. Changes are durable when they return. */
export class StateDatabase {
  readonly clock: Clock
  readonly ticks: Ticks
  readonly host: string
  readonly leaseDeadMs: number
  private readonly database: DatabaseSync
  private readonly steps: Steps

  constructor(options: StateOptions) {
    this.clock = options.clock ?? systemClock
    this.ticks = options.ticks ?? systemTicks
    this.steps = options.steps ?? noSteps
    this.host = options.host ?? hostname()
    this.leaseDeadMs = options.leaseDeadMs ?? 60_000
    this.database = openSqlite(options.path, 'state')
    this.migrate(options)
  }

  /** One immediate transaction: all of the body or nothing. */
  transact<T>(body: (tx: Tx) => T): T {
    return transact(this.database, body)
  }

  /** `transact` as a named step that fault simulation can interrupt before or after. */
  change<T>(detail: string, body: (tx: Tx) => T): Promise<T> {
    return step(this.steps, 'state.change', detail, () => this.transact(body))
  }

  /**
   * `change` that does not wait for the disk: the end of the process takes nothing back, a power failure may take back the last of these, in order,
   * up to the next durable change. For what nothing outside this database speaks of: waiting blocks the whole process.
   */
  changeSoon<T>(detail: string, body: (tx: Tx) => T): Promise<T> {
    return step(this.steps, 'state.change', detail, () => this.transactSoon(body))
  }

  /** `transact` as `changeSoon` is. */
  transactSoon<T>(body: (tx: Tx) => T): T {
    this.database.exec('PRAGMA synchronous = NORMAL')
    try {
      return transact(this.database, body)
    } finally {
      this.database.exec('PRAGMA synchronous = FULL')
    }
  }

  read<T>(body: (tx: Tx) => T): T {
    return body(txOf(this.database))
  }

  /** Takes a named lease, waiting up to `waitMs`. Throws `lease/held`. */
  acquire(name: string, holder: string, options: AcquireOptions): Promise<Lease> {
    return acquireLease(this, name, holder, options)
  }

  /** Takes several named leases at once, all or none, waiting up to `waitMs`. Throws `lease/held`. */
  acquireAll(names: readonly string[], holder: string, options: AcquireOptions): Promise<Leases> {
    return acquireLeases(this, names, holder, options)
  }

  /** Whether whoever took these leases is still at work. */
  alive(leases: readonly HeldLease[]): boolean {
    return leasesAlive(this, leases)
  }

  /** Takes the leases of a dead holder from it. False when the holder is alive and was left alone. */
  fence(leases: readonly HeldLease[]): Promise<boolean> {
    return fenceLeases(this, leases)
  }

  close(): void {
    this.database.close()
  }

  private migrate(options: StateOptions): void {
    const all = [leaseTables, ...options.migrations.map((one) => ({ ...one, id: one.id + 1 }))]
    this.transact((tx) => {
      tx.run('CREATE TABLE IF NOT EXISTS state_version (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT')
      tx.run(leaseBeats)
      const done = tx.get<{ id: number | null }>('SELECT max(id) AS id FROM state_version')?.id ?? 0
      const newest = all.at(-1)?.id ?? 0
      if (done > newest) {
        throw new LimnError('config/newer-lake', {
          message: `This lake was written by a newer limn (state version ${done}; this limn knows ${newest}).`,
          notDone: 'Nothing was read or changed.',
          remedy: 'Update limn: npm install limn@latest',
        })
      }
      for (const migration of all) {
        if (migration.id <= done) continue
        for (const statement of migration.sql.split(';')) if (statement.trim() !== '') tx.run(statement)
        tx.run('INSERT INTO state_version (id, name) VALUES (?, ?)', [migration.id, migration.name])
      }
    })
  }
}

/** What a state database has had done to it, and what opening it would do. */
export interface MigrationStanding {
  /** Null: there is no database. */
  readonly version: number | null
  readonly newest: number
  readonly pending: readonly { readonly id: number; readonly name: string }[]
}

/** Looks at a state database without changing it. Throws `storage/corrupt`. */
export function migrationsOf(path: string, migrations: readonly Migration[]): MigrationStanding {
  const all = [leaseTables, ...migrations.map((one) => ({ ...one, id: one.id + 1 }))]
  const newest = all.at(-1)?.id ?? 0
  const listed = (from: number) => all.filter((one) => one.id > from).map(({ id, name }) => ({ id, name }))
  if (!existsSync(path)) return { version: null, newest, pending: listed(0) }
  try {
    const database = new DatabaseSync(path, { readOnly: true })
    try {
      const row = database.prepare('SELECT max(id) AS id FROM state_version').get()
      const version = Number(row?.id ?? 0)
      return { version, newest, pending: listed(version) }
    } finally {
      database.close()
    }
  } catch (error) {
    throw explainSqlite(error, path, 'state')
  }
}

/** Opens a SQLite file durably (WAL, full sync), making its folder. Errors name the file and what it is for. */
export function openSqlite(path: string, what: string): DatabaseSync {
  try {
    makeFolder(dirname(path))
    const database = new DatabaseSync(path, { timeout: 30_000 })
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
    return database
  } catch (error) {
    throw explainSqlite(error, path, what)
  }
}

/** SQLite's errors in limn's words. */
export function explainSqlite(error: unknown, path: string, what: string): unknown {
  if (error instanceof LimnError) return error
  const text = error instanceof Error ? error.message : String(error)
  if (/not a database|malformed/i.test(text)) {
    return new LimnError(what === 'catalog' ? 'catalog/corrupt' : 'storage/corrupt', {
      message: `The ${what} database ${path} is damaged: ${text}.`,
      notDone: 'Nothing was read or changed.',
      remedy: 'Restore it from a backup.',
      cause: error,
    })
  }
  if (/readonly|unable to open/i.test(text)) {
    return new LimnError('storage/not-writable', {
      message: `The ${what} database ${path} cannot be written: ${text}.`,
      notDone: 'Nothing was changed.',
      remedy: 'Let this user write the folder, or choose another place in limn.config.ts.',
      cause: error,
    })
  }
  if (/disk is full|disk I\/O/i.test(text)) {
    return new LimnError('storage/full', {
      message: `The ${what} database ${path} could not be written: ${text}.`,
      notDone: 'The change was not made.',
      remedy: 'Free space and run again.',
      cause: error,
    })
  }
  return explainSystemError(error, path, 'Nothing was changed.')
}

/** One immediate transaction on a database. */
export function transact<T>(database: DatabaseSync, body: (tx: Tx) => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = body(txOf(database))
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Statements of a database, prepared once. */
const prepared = new WeakMap<DatabaseSync, Map<string, StatementSync>>()

/** Texts that are made for one call, with lists of names in them, would fill the memory. */
const preparedMax = 200

function statementOf(database: DatabaseSync, sql: string): StatementSync {
  let known = prepared.get(database)
  if (!known) {
    known = new Map()
    prepared.set(database, known)
  }
  let statement = known.get(sql)
  if (!statement) {
    if (known.size >= preparedMax) known.clear()
    statement = database.prepare(sql)
    known.set(sql, statement)
  }
  return statement
}

function txOf(database: DatabaseSync): Tx {
  return {
    run: (sql, params = []) => {
      statementOf(database, sql).run(...params)
    },
    get: <Row>(sql: string, params: readonly SQLInputValue[] = []) =>
      statementOf(database, sql).get(...params) as Row | undefined,
    all: <Row>(sql: string, params: readonly SQLInputValue[] = []) =>
      statementOf(database, sql).all(...params) as Row[],
  }
}
