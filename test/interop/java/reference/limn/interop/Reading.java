package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.MetadataColumns;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableScan;
import org.apache.iceberg.data.GenericDeleteFilter;
import org.apache.iceberg.data.IdentityPartitionConverters;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.formats.FormatModelRegistry;
import org.apache.iceberg.formats.ReadBuilder;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.mapping.NameMapping;
import org.apache.iceberg.mapping.NameMappingParser;
import org.apache.iceberg.types.TypeUtil;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.util.PartitionUtil;
import org.apache.iceberg.util.SnapshotUtil;

/** Everything that the reference implementation sees in a table at one snapshot. */
final class Reading {
  /** `{snapshot?: id, ref?: name, lineage?: true}`; the rows come sorted by their text. */
  static ObjectNode read(Table table, JsonNode request) throws IOException {
    TableScan scan = table.newScan();
    Schema schema = table.schema();
    if (request.hasNonNull("snapshot")) {
      long snapshot = Long.parseLong(request.get("snapshot").asText());
      scan = scan.useSnapshot(snapshot);
      schema = SnapshotUtil.schemaFor(table, snapshot);
    } else if (request.hasNonNull("ref")) {
      String ref = request.get("ref").asText();
      scan = scan.useRef(ref);
      schema = SnapshotUtil.schemaFor(table, ref);
    }
    boolean lineage = request.path("lineage").asBoolean(false);
    Schema projection = lineage ? MetadataColumns.schemaWithRowLineage(schema) : schema;
    List<String> rows = new ArrayList<>();
    int files = 0;
    int deletes = 0;
    try (CloseableIterable<FileScanTask> tasks = scan.planFiles()) {
      for (FileScanTask task : tasks) {
        files++;
        deletes += task.deletes().size();
        List<Types.NestedField> fields = projection.columns();
        each(table, task, projection, (record, position) -> rows.add(Canonical.row(record, fields).toString()));
      }
    }
    rows.sort(Canonical::byBytes);
    ObjectNode out = Describing.describe(table, schema);
    out.put("files", files).put("deletes", deletes);
    ArrayNode list = out.putArray("rows");
    for (String row : rows) list.add(row);
    return out;
  }

  /** The live rows of one file with their positions, read as the generic reader does, with name mapping besides. */
  static void each(Table table, FileScanTask task, Schema projection, BiConsumer<Record, Long> consumer)
      throws IOException {
    Schema withPosition = TypeUtil.join(projection, new Schema(MetadataColumns.ROW_POSITION));
    GenericDeleteFilter filter = new GenericDeleteFilter(table.io(), task, everyField(table, projection), withPosition);
    Map<Integer, ?> constants = PartitionUtil.constantsMap(task, IdentityPartitionConverters::convertConstant);
    ReadBuilder<Record, ?> builder =
        FormatModelRegistry.<Record, Object>readBuilder(
                task.file().format(), Record.class, table.io().newInputFile(task.file()))
            .project(filter.requiredSchema())
            .idToConstant(constants);
    String mapping = table.properties().get("schema.name-mapping.default");
    if (mapping != null) {
      NameMapping parsed = NameMappingParser.fromJson(mapping);
      builder = builder.withNameMapping(parsed);
    }
    try (CloseableIterable<Record> records = filter.filter(builder.build())) {
      for (Record record : records)
        consumer.accept(record, (Long) record.getField(MetadataColumns.ROW_POSITION.name()));
    }
  }

  /** The schema that is read, and what the table has and had besides: deletes by value may name a column that is not in it. */
  private static Schema everyField(Table table, Schema projection) {
    List<Types.NestedField> fields = new ArrayList<>();
    for (Types.NestedField field : projection.columns())
      if (!MetadataColumns.isMetadataColumn(field.name())) fields.add(field);
    Set<Integer> known = new HashSet<>(TypeUtil.indexById(new Schema(fields).asStruct()).keySet());
    List<Schema> schemas = new ArrayList<>(table.schemas().values());
    schemas.sort((left, right) -> right.schemaId() - left.schemaId());
    for (Schema schema : schemas) {
      for (Types.NestedField field : schema.columns()) {
        if (field.type().isPrimitiveType() && known.add(field.fieldId()))
          fields.add(Types.NestedField.optional(field.fieldId(), "other " + field.fieldId(), field.type()));
      }
    }
    return new Schema(fields);
  }

  private Reading() {}
}
