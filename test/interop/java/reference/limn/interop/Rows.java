package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.iceberg.AppendFiles;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.FileContent;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.HasTableOperations;
import org.apache.iceberg.MetadataColumns;
import org.apache.iceberg.OverwriteFiles;
import org.apache.iceberg.ReplacePartitions;
import org.apache.iceberg.RewriteFiles;
import org.apache.iceberg.RowDelta;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.SnapshotUpdate;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableScan;
import org.apache.iceberg.data.GenericRecord;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.expressions.Expression;
import org.apache.iceberg.expressions.ExpressionParser;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.util.DataFileSet;
import org.apache.iceberg.util.DeleteFileSet;

/** Changes of rows, as the reference implementation's own engines make them. */
final class Rows {
  /** `{rows: […], format?, branch?, fast?: true, files?: n}`. */
  static void append(Table table, JsonNode step) throws IOException {
    AppendFiles append = step.path("fast").asBoolean(false) ? table.newFastAppend() : table.newAppend();
    for (DataFile file : Files.write(table, table.schema(), given(table, step), step)) append.appendFile(file);
    commit(append, step);
  }

  /** Files as other writers leave them: no field ids; the table's name mapping says what is what. */
  static void appendWithoutIds(Table table, JsonNode step) throws IOException {
    AppendFiles append = table.newAppend();
    append.appendFile(Files.withoutIds(table, given(table, step)));
    commit(append, step);
  }

  /** `{column, in: […], format?}`: position deletes on version 2, deletion vectors on version 3. */
  static void delete(Table table, JsonNode step) throws IOException {
    RowDelta delta = table.newRowDelta();
    deleteMatching(table, step, delta);
    commit(delta, step);
  }

  /** `{column, in: […], set: {name: value}}`: deletes the rows and writes them anew, with their row ids on version 3. */
  static void update(Table table, JsonNode step) throws IOException {
    RowDelta delta = table.newRowDelta();
    List<Record> changed = new ArrayList<>();
    for (Matched one : deleteMatching(table, step, delta)) changed.add(changed(table, one.record, step));
    Schema schema = writeSchema(table);
    for (DataFile file : Files.write(table, schema, changed, step)) delta.addRows(file);
    commit(delta, step);
  }

  /** The same as `update` or, without `set`, as `delete`, by rewriting whole files. */
  static void rewriteRows(Table table, JsonNode step) throws IOException {
    OverwriteFiles overwrite = table.newOverwrite();
    Schema schema = writeSchema(table);
    Predicate<Record> matches = matcher(table, step);
    List<Record> kept = new ArrayList<>();
    for (FileScanTask task : tasks(table, step)) {
      List<Record> rows = new ArrayList<>();
      List<Record> hits = new ArrayList<>();
      Reading.each(table, task, schema, (record, position) -> (matches.test(record) ? hits : rows).add(record));
      if (hits.isEmpty()) continue;
      overwrite.deleteFile(task.file());
      for (Record row : rows) kept.add(copy(schema, row));
      if (step.has("set")) for (Record hit : hits) kept.add(changed(table, hit, step));
    }
    for (DataFile file : Files.write(table, schema, kept, step)) overwrite.addFile(file);
    commit(overwrite, step);
  }

  /** `{columns: […], keys: [[…]], rows?: […]}`: deletes by value, and appends in the same snapshot. */
  static void equalityDelete(Table table, JsonNode step) throws IOException {
    List<Types.NestedField> fields = new ArrayList<>();
    for (JsonNode column : step.get("columns")) fields.add(table.schema().findField(column.asText()));
    Schema keySchema = new Schema(fields);
    List<Record> keys = new ArrayList<>();
    for (JsonNode key : step.get("keys")) keys.add(Canonical.record(keySchema.asStruct(), key));
    RowDelta delta = table.newRowDelta();
    // The rows' full images serve to find the partition of each key.
    List<Record> images = new ArrayList<>();
    if (step.has("images"))
      for (JsonNode image : step.get("images")) images.add(Canonical.record(table.schema().asStruct(), image));
    for (DeleteFile file : Files.equalityDeletes(table, keySchema, keys, images, step)) delta.addDeletes(file);
    if (step.has("rows"))
      for (DataFile file : Files.write(table, table.schema(), given(table, step), step)) delta.addRows(file);
    commit(delta, step);
  }

  /** `{filter: expression}`: drops whole files. */
  static void deleteFiles(Table table, JsonNode step) {
    Expression filter = ExpressionParser.fromJson(step.get("filter").toString(), table.schema());
    commit(table.newDelete().deleteFromRowFilter(filter), step);
  }

  static void replacePartitions(Table table, JsonNode step) throws IOException {
    ReplacePartitions replace = table.newReplacePartitions();
    for (DataFile file : Files.write(table, table.schema(), given(table, step), step)) replace.addFile(file);
    commit(replace, step);
  }

  /** Rewrites all files into as few as the default spec allows; deletes that they applied go with them. */
  static void compact(Table table, JsonNode step) throws IOException {
    RewriteFiles rewrite = table.newRewrite();
    Schema schema = writeSchema(table);
    List<Record> rows = new ArrayList<>();
    DataFileSet removed = DataFileSet.create();
    DeleteFileSet deletes = DeleteFileSet.create();
    for (FileScanTask task : tasks(table, step)) {
      removed.add(task.file());
      for (DeleteFile delete : task.deletes()) if (Files.appliesToOne(delete)) deletes.add(delete);
      Reading.each(table, task, schema, (record, position) -> rows.add(copy(schema, record)));
    }
    removed.forEach(rewrite::deleteFile);
    deletes.forEach(rewrite::deleteFile);
    for (DataFile file : Files.write(table, schema, rows, step)) rewrite.addFile(file);
    rewrite.dataSequenceNumber(table.currentSnapshot().sequenceNumber());
    rewrite.validateFromSnapshot(table.currentSnapshot().snapshotId());
    commit(rewrite, step);
  }

  private record Matched(FileScanTask task, Record record, long position) {}

  private static List<Matched> deleteMatching(Table table, JsonNode step, RowDelta delta) throws IOException {
    Predicate<Record> matches = matcher(table, step);
    List<Matched> found = new ArrayList<>();
    Map<String, FileScanTask> byPath = new LinkedHashMap<>();
    Map<String, List<Long>> positions = new LinkedHashMap<>();
    for (FileScanTask task : tasks(table, step)) {
      Reading.each(
          table,
          task,
          writeSchema(table),
          (record, position) -> {
            if (!matches.test(record)) return;
            found.add(new Matched(task, copy(writeSchema(table), record), position));
            byPath.put(task.file().location(), task);
            positions.computeIfAbsent(task.file().location(), path -> new ArrayList<>()).add(position);
          });
    }
    if (formatVersion(table) >= 3) {
      var result = Files.vectors(table, byPath, positions);
      result.deleteFiles().forEach(delta::addDeletes);
      result.rewrittenDeleteFiles().forEach(delta::removeDeletes);
    } else {
      for (DeleteFile file : Files.positionDeletes(table, byPath, positions, step)) delta.addDeletes(file);
    }
    Snapshot head = table.snapshot(step.path("branch").asText("main"));
    delta.validateFromSnapshot(head.snapshotId());
    delta.validateDataFilesExist(new ArrayList<>(positions.keySet()));
    return found;
  }

  private static Record changed(Table table, Record row, JsonNode step) {
    Schema schema = writeSchema(table);
    Record out = copy(schema, row);
    for (Map.Entry<String, JsonNode> one : step.get("set").properties())
      out.setField(one.getKey(), Canonical.parse(table.schema().findType(one.getKey()), one.getValue()));
    // A changed row keeps its id; its new sequence number is inherited from the commit.
    if (formatVersion(table) >= 3) out.setField(MetadataColumns.LAST_UPDATED_SEQUENCE_NUMBER.name(), null);
    return out;
  }

  private static Record copy(Schema schema, Record row) {
    Record out = GenericRecord.create(schema);
    for (Types.NestedField field : schema.columns()) out.setField(field.name(), row.getField(field.name()));
    return out;
  }

  private static Schema writeSchema(Table table) {
    return formatVersion(table) >= 3 ? MetadataColumns.schemaWithRowLineage(table.schema()) : table.schema();
  }

  private static Predicate<Record> matcher(Table table, JsonNode step) {
    if (!step.has("column")) return record -> true;
    Types.NestedField field = table.schema().findField(step.get("column").asText());
    Set<String> wanted = new HashSet<>();
    for (JsonNode value : step.get("in")) wanted.add(value.toString());
    return record -> wanted.contains(Canonical.value(field.type(), record.getField(field.name())).toString());
  }

  private static List<FileScanTask> tasks(Table table, JsonNode step) throws IOException {
    TableScan scan = table.newScan();
    if (step.hasNonNull("branch")) scan = scan.useRef(step.get("branch").asText());
    List<FileScanTask> out = new ArrayList<>();
    try (CloseableIterable<FileScanTask> tasks = scan.planFiles()) {
      tasks.forEach(out::add);
    }
    return out;
  }

  private static List<Record> given(Table table, JsonNode step) {
    List<Record> rows = new ArrayList<>();
    for (JsonNode row : step.get("rows")) rows.add(Canonical.record(table.schema().asStruct(), row));
    return rows;
  }

  private static void commit(SnapshotUpdate<?> update, JsonNode step) {
    if (step.hasNonNull("branch")) update.toBranch(step.get("branch").asText());
    if (step.path("stageOnly").asBoolean(false)) update.stageOnly();
    step.path("summary").properties().forEach(one -> update.set(one.getKey(), one.getValue().asText()));
    update.commit();
  }

  static int formatVersion(Table table) {
    return ((HasTableOperations) table).operations().current().formatVersion();
  }

  static Map<String, List<DeleteFile>> positionDeletesOf(Map<String, FileScanTask> tasks) {
    Map<String, List<DeleteFile>> out = new HashMap<>();
    tasks.forEach(
        (path, task) -> {
          for (DeleteFile delete : task.deletes())
            if (delete.content() == FileContent.POSITION_DELETES)
              out.computeIfAbsent(path, key -> new ArrayList<>()).add(delete);
        });
    return out;
  }

  private Rows() {}
}
