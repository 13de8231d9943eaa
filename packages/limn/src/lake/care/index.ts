/** Care of a lake as a whole: moved, backed up, restored, its state made anew. */
export * from './backup.ts'
export { type BackupRecord, backupsIn } from './backup-record.ts'
export * from './config-file.ts'
export type { LeftOut, ProjectFile } from './project-files.ts'
export * from './rebuild.ts'
export * from './relocate.ts'
export * from './restore.ts'
