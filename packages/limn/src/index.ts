/**
 * limn: a lakehouse in one npm install that refuses to publish a wrong number. What a project writes: datasets with
 * their contracts, and the lake they live in.
 */
export { type ErrorKind, env, LimnError } from './base/index.ts'
export type { Additivity, Check, ColumnContract, Contract, MaintainPolicy, Severity } from './contract/index.ts'
export {
  all,
  appendChanges,
  byInterval,
  type CheckBuilder,
  type CronSchedule,
  cron,
  type Dataset,
  earlier,
  files,
  hashKey,
  iceberg,
  ingest,
  manifest,
  mergeByKey,
  model,
  onUpstream,
  type Row,
  ref,
  type Schedule,
  type SealSpec,
  type SourceBatch,
  type SourceContext,
  same,
  shift,
  source,
  sql,
  sqlFile,
  whenFiles,
  whole,
} from './dataset/index.ts'
export {
  defineLake,
  type EngineConfig,
  Lake,
  type LakeConfig,
  type OpenLakeOptions,
  type RunOptions,
} from './lake/index.ts'
export type { LineageConfig } from './observe/index.ts'
export type { Hook, Notify } from './pipeline/index.ts'
export { hashKeyOf } from './schema/index.ts'
