import { storePath } from '../../storage/index.ts'
import type { BlobMetadata, PartitionStatisticsFile, StatisticsFile } from './types.ts'
import { id, type Json, list, long, number, object, text } from './wire.ts'

/** Statistics files as table metadata and catalog requests spell them. */
export function statisticsToJson(file: StatisticsFile): Json {
  return {
    'snapshot-id': file.snapshotId,
    'statistics-path': file.statisticsPath,
    'file-size-in-bytes': file.fileSizeInBytes,
    'file-footer-size-in-bytes': file.fileFooterSizeInBytes,
    ...(file.keyMetadata === undefined ? {} : { 'key-metadata': file.keyMetadata }),
    'blob-metadata': file.blobMetadata.map((blob) => ({
      type: blob.type,
      'snapshot-id': blob.snapshotId,
      'sequence-number': blob.sequenceNumber,
      fields: blob.fields,
      ...(blob.properties === undefined ? {} : { properties: blob.properties }),
    })),
  }
}

export function statisticsFromJson(value: unknown): StatisticsFile {
  const json = object(value, 'a statistics file')
  return {
    snapshotId: id(json['snapshot-id']),
    statisticsPath: storePath(text(json['statistics-path'], 'statistics-path')),
    fileSizeInBytes: long(json['file-size-in-bytes'], 'file-size-in-bytes'),
    fileFooterSizeInBytes: long(json['file-footer-size-in-bytes'], 'file-footer-size-in-bytes'),
    ...(typeof json['key-metadata'] === 'string' ? { keyMetadata: json['key-metadata'] } : {}),
    blobMetadata: list(json['blob-metadata'], 'blob-metadata').map(blobFromJson),
  }
}

function blobFromJson(value: unknown): BlobMetadata {
  const json = object(value, 'a blob')
  const properties = json.properties === undefined ? undefined : object(json.properties, 'blob properties')
  return {
    type: text(json.type, 'type'),
    snapshotId: id(json['snapshot-id']),
    sequenceNumber: long(json['sequence-number'], 'sequence-number'),
    fields: list(json.fields, 'fields').map((field) => number(field, 'fields')),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([key, one]) => [key, String(one)])) }),
  }
}

export function partitionStatisticsToJson(file: PartitionStatisticsFile): Json {
  return {
    'snapshot-id': file.snapshotId,
    'statistics-path': file.statisticsPath,
    'file-size-in-bytes': file.fileSizeInBytes,
  }
}

export function partitionStatisticsFromJson(value: unknown): PartitionStatisticsFile {
  const json = object(value, 'a partition statistics file')
  return {
    snapshotId: id(json['snapshot-id']),
    statisticsPath: storePath(text(json['statistics-path'], 'statistics-path')),
    fileSizeInBytes: long(json['file-size-in-bytes'], 'file-size-in-bytes'),
  }
}
