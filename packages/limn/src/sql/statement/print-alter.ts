import { quoteText } from '../text.ts'
import { printColumnOptions, printName, printPath, printProperties, printTerm, printType } from './print.ts'
import { unitMs } from './refs.ts'
import type { AddedColumn, AlterAction, ColumnChange, ColumnPlace, Path, SortTerm } from './tree.ts'

/** What stands behind `ALTER TABLE t`. */
export function printAlterAction(action: AlterAction): string {
  switch (action.kind) {
    case 'rename':
      return `RENAME TO ${printPath(action.to)}`
    case 'addColumns':
      return `ADD COLUMNS (${action.columns.map(printAdded).join(', ')})`
    case 'renameColumn':
      return `RENAME COLUMN ${printPath(action.column)} TO ${printName(action.to)}`
    case 'alterColumn':
      return `ALTER COLUMN ${printPath(action.column)} ${printChange(action.change)}`
    case 'dropColumns':
      return `DROP COLUMNS ${action.ifExists ? 'IF EXISTS ' : ''}${printPaths(action.columns)}`
    case 'setProperties':
      return `SET TBLPROPERTIES ${printProperties(action.properties)}`
    case 'unsetProperties':
      return `UNSET TBLPROPERTIES ${action.ifExists ? 'IF EXISTS ' : ''}(${action.keys.map(quoteText).join(', ')})`
    case 'setLocation':
      return `SET LOCATION ${quoteText(action.location)}`
    case 'addPartitionField':
      return `ADD PARTITION FIELD ${printTerm(action.term)}${action.name ? ` AS ${printName(action.name)}` : ''}`
    case 'dropPartitionField':
      return `DROP PARTITION FIELD ${printTerm(action.term)}`
    case 'replacePartitionField':
      return `REPLACE PARTITION FIELD ${printTerm(action.term)} WITH ${printTerm(action.by)}${action.name ? ` AS ${printName(action.name)}` : ''}`
    case 'writeOrder':
      return printWrite(action)
    case 'setIdentifierFields':
      return `SET IDENTIFIER FIELDS ${action.columns.map(printPath).join(', ')}`
    case 'dropIdentifierFields':
      return `DROP IDENTIFIER FIELDS ${action.columns.map(printPath).join(', ')}`
    case 'createRef':
      return printRef(action)
    case 'dropRef':
      return `DROP ${action.type.toUpperCase()} ${action.ifExists ? 'IF EXISTS ' : ''}${printName(action.name)}`
  }
}

function printPaths(paths: readonly Path[]): string {
  return `(${paths.map(printPath).join(', ')})`
}

function printAdded(added: AddedColumn): string {
  const place = added.place ? ` ${printPlace(added.place)}` : ''
  return `${printPath(added.column)} ${printType(added.type)}${printColumnOptions(added)}${place}`
}

function printPlace(place: ColumnPlace): string {
  return place.kind === 'first' ? 'FIRST' : `AFTER ${printName(place.column)}`
}

function printChange(change: ColumnChange): string {
  switch (change.kind) {
    case 'type':
      return `TYPE ${printType(change.type)}`
    case 'comment':
      return `COMMENT ${quoteText(change.comment)}`
    case 'place':
      return printPlace(change.place)
    case 'setNotNull':
      return 'SET NOT NULL'
    case 'dropNotNull':
      return 'DROP NOT NULL'
    case 'setDefault':
      return `SET DEFAULT ${change.value.text}`
    case 'dropDefault':
      return 'DROP DEFAULT'
  }
}

function printWrite(action: Extract<AlterAction, { kind: 'writeOrder' }>): string {
  const terms = action.order.map(printSortTerm).join(', ')
  const ordered = terms === '' ? 'UNORDERED' : `ORDERED BY ${terms}`
  switch (action.distribution) {
    case 'hash':
      return `WRITE DISTRIBUTED BY PARTITION ${ordered}`
    case 'range':
      return `WRITE ${ordered}`
    case 'none':
      return terms === '' ? 'WRITE UNORDERED' : `WRITE LOCALLY ${ordered}`
  }
}

export function printSortTerm(sort: SortTerm): string {
  return `${printTerm(sort.term)} ${sort.direction.toUpperCase()} NULLS ${sort.nulls.toUpperCase()}`
}

function printRef(action: Extract<AlterAction, { kind: 'createRef' }>): string {
  const { retention } = action
  const verb = { create: 'CREATE', createOrReplace: 'CREATE OR REPLACE', replace: 'REPLACE' }[action.create]
  const unless = action.ifNotExists ? ' IF NOT EXISTS' : ''
  const version = action.snapshotId === null ? '' : ` AS OF VERSION ${action.snapshotId}`
  const retain = retention.maxRefAgeMs === null ? '' : ` RETAIN ${printDuration(retention.maxRefAgeMs)}`
  const kept = [
    retention.minSnapshotsToKeep === null ? '' : ` ${retention.minSnapshotsToKeep} SNAPSHOTS`,
    retention.maxSnapshotAgeMs === null ? '' : ` ${printDuration(retention.maxSnapshotAgeMs)}`,
  ].join('')
  const snapshots = kept === '' ? '' : ` WITH SNAPSHOT RETENTION${kept}`
  return `${verb} ${action.type.toUpperCase()}${unless} ${printName(action.name)}${version}${retain}${snapshots}`
}

function printDuration(ms: number): string {
  for (const [unit, size] of Object.entries(unitMs)) if (ms % size === 0) return `${ms / size} ${unit}`
  return `${Math.ceil(ms / unitMs.MINUTES)} MINUTES`
}
