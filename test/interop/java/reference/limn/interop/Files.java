package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.avro.generic.GenericData;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.MetricsConfig;
import org.apache.iceberg.PartitionKey;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.StructLike;
import org.apache.iceberg.Table;
import org.apache.iceberg.avro.AvroSchemaUtil;
import org.apache.iceberg.data.BaseDeleteLoader;
import org.apache.iceberg.data.InternalRecordWrapper;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.deletes.BaseDVFileWriter;
import org.apache.iceberg.deletes.EqualityDeleteWriter;
import org.apache.iceberg.deletes.PositionDelete;
import org.apache.iceberg.deletes.PositionDeleteWriter;
import org.apache.iceberg.encryption.EncryptedOutputFile;
import org.apache.iceberg.formats.FormatModelRegistry;
import org.apache.iceberg.io.DataWriter;
import org.apache.iceberg.io.DeleteWriteResult;
import org.apache.iceberg.io.OutputFileFactory;
import org.apache.iceberg.mapping.NameMappingParser;
import org.apache.iceberg.parquet.ParquetUtil;
import org.apache.iceberg.util.ContentFileUtil;
import org.apache.parquet.avro.AvroParquetWriter;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.iceberg.types.Types;

/** Data files, delete files and vectors, written by the reference implementation's writers. */
final class Files {
  private static long number = 0;

  /** One file a partition, or `files` of them for equal shares of the rows. */
  static List<DataFile> write(Table table, Schema schema, List<Record> rows, JsonNode step) throws IOException {
    PartitionSpec spec = step.hasNonNull("specId") ? table.specs().get(step.get("specId").asInt()) : table.spec();
    int shares = step.path("files").asInt(1);
    List<DataFile> out = new ArrayList<>();
    for (int share = 0; share < shares; share++) {
      List<Record> part = rows.subList(rows.size() * share / shares, rows.size() * (share + 1) / shares);
      for (Map.Entry<PartitionKey, List<Record>> group : byPartition(spec, schema, part).entrySet()) {
        DataWriter<Record> writer =
            FormatModelRegistry.<Record, Object>dataWriteBuilder(
                    format(step), Record.class, output(table, spec, group.getKey(), format(step)))
                .schema(schema)
                .spec(spec)
                .partition(spec.isPartitioned() ? group.getKey() : null)
                .setAll(table.properties())
                .metricsConfig(MetricsConfig.forTable(table))
                .build();
        try (writer) {
          for (Record row : group.getValue()) writer.write(row);
        }
        out.add(writer.toDataFile());
      }
    }
    return out;
  }

  /** A Parquet file written through Avro, which knows no field ids. */
  static DataFile withoutIds(Table table, List<Record> rows) throws IOException {
    org.apache.avro.Schema avro = AvroSchemaUtil.convert(table.schema(), "row");
    String location = table.locationProvider().newDataLocation("plain-" + ++number + ".parquet");
    Configuration configuration = Tables.configuration();
    try (ParquetWriter<GenericData.Record> writer =
        AvroParquetWriter.<GenericData.Record>builder(new org.apache.hadoop.fs.Path(location))
            .withConf(configuration)
            .withSchema(stripped(avro))
            .build()) {
      for (Record row : rows) {
        GenericData.Record record = new GenericData.Record(stripped(avro));
        for (Types.NestedField field : table.schema().columns()) {
          Object value = row.getField(field.name());
          record.put(field.name(), value instanceof java.time.LocalDate day ? (Object) (int) day.toEpochDay() : value);
        }
        writer.write(record);
      }
    }
    var input = table.io().newInputFile(location);
    return DataFiles.builder(table.spec())
        .withInputFile(input)
        .withFormat(FileFormat.PARQUET)
        .withMetrics(
            ParquetUtil.fileMetrics(
                input,
                MetricsConfig.forTable(table),
                NameMappingParser.fromJson(table.properties().get("schema.name-mapping.default"))))
        .build();
  }

  static List<DeleteFile> positionDeletes(
      Table table, Map<String, FileScanTask> tasks, Map<String, List<Long>> positions, JsonNode step)
      throws IOException {
    // By default one delete file a data file; `granularity: partition` makes one for all files of a partition.
    boolean together = step.path("granularity").asText("file").equals("partition");
    Map<String, List<String>> groups = new LinkedHashMap<>();
    for (String path : positions.keySet()) {
      FileScanTask task = tasks.get(path);
      String key = together ? task.spec().specId() + " " + task.spec().partitionToPath(task.partition()) : path;
      groups.computeIfAbsent(key, one -> new ArrayList<>()).add(path);
    }
    List<DeleteFile> out = new ArrayList<>();
    for (List<String> paths : groups.values()) {
      FileScanTask task = tasks.get(paths.get(0));
      PositionDeleteWriter<Record> writer =
          FormatModelRegistry.<Record>positionDeleteWriteBuilder(
                  format(step), output(table, task.spec(), task.partition(), format(step)))
              .spec(task.spec())
              .partition(task.spec().isPartitioned() ? task.partition() : null)
              .setAll(table.properties())
              .metricsConfig(MetricsConfig.forPositionDelete())
              .build();
      try (writer) {
        PositionDelete<Record> row = PositionDelete.create();
        paths.sort(Canonical::byBytes);
        for (String path : paths) for (long position : positions.get(path)) writer.write(row.set(path, position));
      }
      out.add(writer.toDeleteFile());
    }
    return out;
  }

  static DeleteWriteResult vectors(Table table, Map<String, FileScanTask> tasks, Map<String, List<Long>> positions)
      throws IOException {
    Map<String, List<DeleteFile>> earlier = Rows.positionDeletesOf(tasks);
    BaseDeleteLoader loader = new BaseDeleteLoader(file -> table.io().newInputFile(file));
    BaseDVFileWriter writer =
        new BaseDVFileWriter(
            OutputFileFactory.builderFor(table, 1, ++number).format(FileFormat.PUFFIN).build(),
            path -> earlier.containsKey(path) ? loader.loadPositionDeletes(earlier.get(path), path) : null);
    try (writer) {
      positions.forEach(
          (path, list) -> {
            FileScanTask task = tasks.get(path);
            for (long position : list) writer.delete(path, position, task.spec(), task.partition());
          });
    }
    return writer.result();
  }

  /** Where the table is partitioned, `images` are full rows, one a key, that tell the partitions. */
  static List<DeleteFile> equalityDeletes(
      Table table, Schema keySchema, List<Record> keys, List<Record> images, JsonNode step) throws IOException {
    PartitionSpec spec =
        step.path("global").asBoolean(false) ? table.specs().get(step.get("specId").asInt()) : table.spec();
    Map<PartitionKey, List<Record>> groups = new LinkedHashMap<>();
    for (int i = 0; i < keys.size(); i++) {
      PartitionKey key = new PartitionKey(spec, table.schema());
      if (spec.isPartitioned()) key.partition(new InternalRecordWrapper(table.schema().asStruct()).wrap(images.get(i)));
      groups.computeIfAbsent(key, one -> new ArrayList<>()).add(keys.get(i));
    }
    List<DeleteFile> out = new ArrayList<>();
    for (Map.Entry<PartitionKey, List<Record>> group : groups.entrySet()) {
      EqualityDeleteWriter<Record> writer =
          FormatModelRegistry.<Record, Object>equalityDeleteWriteBuilder(
                  format(step), Record.class, output(table, spec, group.getKey(), format(step)))
              .schema(keySchema)
              .equalityFieldIds(keySchema.columns().stream().map(Types.NestedField::fieldId).toList())
              .spec(spec)
              .partition(spec.isPartitioned() ? group.getKey() : null)
              .setAll(table.properties())
              .metricsConfig(MetricsConfig.forTable(table))
              .build();
      try (writer) {
        for (Record key : group.getValue()) writer.write(key);
      }
      out.add(writer.toDeleteFile());
    }
    return out;
  }

  static boolean appliesToOne(DeleteFile delete) {
    return ContentFileUtil.isFileScoped(delete);
  }

  private static Map<PartitionKey, List<Record>> byPartition(PartitionSpec spec, Schema schema, List<Record> rows) {
    Map<PartitionKey, List<Record>> groups = new LinkedHashMap<>();
    PartitionKey key = new PartitionKey(spec, schema);
    InternalRecordWrapper wrapper = new InternalRecordWrapper(schema.asStruct());
    for (Record row : rows) {
      key.partition(wrapper.wrap(row));
      groups.computeIfAbsent(key.copy(), one -> new ArrayList<>()).add(row);
    }
    return groups;
  }

  private static EncryptedOutputFile output(Table table, PartitionSpec spec, StructLike partition, FileFormat format) {
    OutputFileFactory factory = OutputFileFactory.builderFor(table, 1, ++number).format(format).build();
    return spec.isPartitioned() ? factory.newOutputFile(spec, partition) : factory.newOutputFile();
  }

  private static FileFormat format(JsonNode step) {
    return FileFormat.valueOf(step.path("format").asText("parquet").toUpperCase(Locale.ROOT));
  }

  private static org.apache.avro.Schema stripped(org.apache.avro.Schema schema) {
    List<org.apache.avro.Schema.Field> fields = new ArrayList<>();
    for (org.apache.avro.Schema.Field field : schema.getFields())
      fields.add(new org.apache.avro.Schema.Field(field.name(), field.schema(), null, field.defaultVal()));
    return org.apache.avro.Schema.createRecord("row", null, null, false, fields);
  }

  private Files() {}
}
