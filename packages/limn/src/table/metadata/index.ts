/** Metadata tables: snapshots, files, manifests, partitions and the rest of what a table is made of, as rows. */
export {
  bindMetadataTable,
  type MetadataTable,
  type MetadataTableName,
  type MetadataTableOptions,
  metadataTable,
  metadataTableNames,
  showsOneSnapshot,
} from './tables.ts'
