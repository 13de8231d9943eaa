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
import org.apache.iceberg.HasTableOperations;
import org.apache.iceberg.MetadataColumns;
import org.apache.iceberg.PartitionField;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.SnapshotRef;
import org.apache.iceberg.SortField;
import org.apache.iceberg.SortOrder;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableMetadata;
import org.apache.iceberg.TableScan;
import org.apache.iceberg.data.GenericDeleteFilter;
import org.apache.iceberg.data.IdentityPartitionConverters;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.formats.FormatModelRegistry;
import org.apache.iceberg.formats.ReadBuilder;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.mapping.NameMapping;
import org.apache.iceberg.mapping.NameMappingParser;
import org.apache.iceberg.types.Type;
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
    ObjectNode out = describe(table);
    out.set("columns", columns(schema));
    ArrayNode order = out.putArray("order");
    schema.columns().forEach(field -> order.add(field.name()));
    out.put("files", files).put("deletes", deletes);
    ArrayNode list = out.putArray("rows");
    for (String row : rows) list.add(row);
    return out;
  }

  /** The live rows of one file with their positions, read as the generic reader does, with name mapping besides. */
  static void each(Table table, FileScanTask task, Schema projection, BiConsumer<Record, Long> consumer)
      throws IOException {
    Schema withPosition = TypeUtil.join(projection, new Schema(MetadataColumns.ROW_POSITION));
    GenericDeleteFilter filter = new GenericDeleteFilter(table.io(), task, everyField(table), withPosition);
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

  /** The table's schema and what it had before: deletes by value may name a column that was dropped since. */
  private static Schema everyField(Table table) {
    List<Types.NestedField> fields = new ArrayList<>(table.schema().columns());
    Set<Integer> known = new HashSet<>(TypeUtil.indexById(table.schema().asStruct()).keySet());
    List<Schema> schemas = new ArrayList<>(table.schemas().values());
    schemas.sort((left, right) -> right.schemaId() - left.schemaId());
    for (Schema schema : schemas) {
      for (Types.NestedField field : schema.columns()) {
        if (field.type().isPrimitiveType() && known.add(field.fieldId()))
          fields.add(Types.NestedField.optional(field.fieldId(), "dropped " + field.fieldId(), field.type()));
      }
    }
    return new Schema(fields);
  }

  private static ObjectNode describe(Table table) {
    TableMetadata metadata = ((HasTableOperations) table).operations().current();
    ObjectNode out = Lines.JSON.createObjectNode();
    out.put("formatVersion", metadata.formatVersion());
    out.put("location", metadata.location());
    out.put("metadata", metadata.metadataFileLocation());
    out.put("uuid", metadata.uuid());
    out.put("lastColumnId", metadata.lastColumnId());
    out.put("lastSequenceNumber", Long.toString(metadata.lastSequenceNumber()));
    out.put("nextRowId", Long.toString(metadata.nextRowId()));
    out.put("schemaId", metadata.currentSchemaId());
    ObjectNode schemas = out.putObject("schemas");
    for (Schema one : metadata.schemas()) schemas.set(Integer.toString(one.schemaId()), columns(one));
    ArrayNode identifiers = out.putArray("identifierFieldIds");
    table.schema().identifierFieldIds().stream().sorted().forEach(identifiers::add);
    out.put("specId", metadata.defaultSpecId());
    ObjectNode specs = out.putObject("specs");
    for (PartitionSpec spec : metadata.specs()) {
      ArrayNode fields = specs.putArray(Integer.toString(spec.specId()));
      for (PartitionField field : spec.fields())
        fields.add(
            Lines.JSON
                .createArrayNode()
                .add(field.sourceId())
                .add(field.fieldId())
                .add(field.name())
                .add(field.transform().toString()));
    }
    out.put("sortOrderId", metadata.defaultSortOrderId());
    ObjectNode orders = out.putObject("sortOrders");
    for (SortOrder order : metadata.sortOrders()) {
      ArrayNode fields = orders.putArray(Integer.toString(order.orderId()));
      for (SortField field : order.fields())
        fields.add(
            Lines.JSON
                .createArrayNode()
                .add(field.sourceId())
                .add(field.transform().toString())
                .add(field.direction().toString().toLowerCase(java.util.Locale.ROOT))
                .add(field.nullOrder().toString().toLowerCase(java.util.Locale.ROOT).replace(' ', '-')));
    }
    out.put("current", table.currentSnapshot() == null ? null : Long.toString(table.currentSnapshot().snapshotId()));
    ArrayNode snapshots = out.putArray("snapshots");
    for (Snapshot snapshot : metadata.snapshots()) snapshots.add(snapshot(snapshot));
    ObjectNode refs = out.putObject("refs");
    for (Map.Entry<String, SnapshotRef> ref : new java.util.TreeMap<>(metadata.refs()).entrySet())
      refs.putArray(ref.getKey())
          .add(ref.getValue().isBranch() ? "branch" : "tag")
          .add(Long.toString(ref.getValue().snapshotId()));
    ObjectNode properties = out.putObject("properties");
    new java.util.TreeMap<>(metadata.properties()).forEach(properties::put);
    out.put("statistics", metadata.statisticsFiles().size());
    return out;
  }

  private static ObjectNode snapshot(Snapshot snapshot) {
    ObjectNode out = Lines.JSON.createObjectNode();
    out.put("id", Long.toString(snapshot.snapshotId()));
    out.put("parent", snapshot.parentId() == null ? null : Long.toString(snapshot.parentId()));
    out.put("sequence", Long.toString(snapshot.sequenceNumber()));
    out.put("timestampMs", Long.toString(snapshot.timestampMillis()));
    out.put("operation", snapshot.operation());
    if (snapshot.schemaId() == null) out.putNull("schemaId");
    else out.put("schemaId", snapshot.schemaId());
    out.put("firstRowId", snapshot.firstRowId() == null ? null : Long.toString(snapshot.firstRowId()));
    out.put("addedRows", snapshot.addedRows() == null ? null : Long.toString(snapshot.addedRows()));
    ObjectNode summary = out.putObject("summary");
    if (snapshot.summary() != null) new java.util.TreeMap<>(snapshot.summary()).forEach(summary::put);
    return out;
  }

  /** Every field, nested ones too: id, full name, type, required, doc, initial default, write default. */
  static ArrayNode columns(Schema schema) {
    ArrayNode out = Lines.JSON.createArrayNode();
    new java.util.TreeMap<>(TypeUtil.indexById(schema.asStruct()))
        .forEach(
            (id, field) -> {
              ArrayNode one = out.addArray();
              one.add(id).add(schema.findColumnName(id)).add(typeText(field.type())).add(field.isRequired());
              one.add(field.doc());
              one.add(field.initialDefault() == null ? null : Canonical.value(field.type(), field.initialDefault()));
              one.add(field.writeDefault() == null ? null : Canonical.value(field.type(), field.writeDefault()));
            });
    return out;
  }

  private static String typeText(Type type) {
    if (type.isPrimitiveType() || type.isVariantType()) return type.toString().replace(" ", "");
    return type.typeId().name().toLowerCase(java.util.Locale.ROOT);
  }

  private Reading() {}
}
