/**
 * limn: a lakehouse in one npm install that refuses to publish a wrong number. What a project writes: datasets with
 * their contracts, and the lake they live in.
 */
export { type ErrorKind, LimnError } from './base/index.ts'
export type { Additivity, Check, ColumnContract, Contract, MaintainPolicy, Severity } from './contract/index.ts'
export {
  all,
  byInterval,
  type CheckBuilder,
  type Dataset,
  files,
  hashKey,
  iceberg,
  ingest,
  model,
  type Row,
  ref,
  type SourceBatch,
  type SourceContext,
  same,
  shift,
  source,
  sql,
  sqlFile,
  whole,
} from './dataset/index.ts'
export { defineLake, Lake, type LakeConfig, type OpenLakeOptions, type RunOptions } from './lake/index.ts'
export { hashKeyOf } from './schema/index.ts'
