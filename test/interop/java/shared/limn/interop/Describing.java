package limn.interop;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import org.apache.iceberg.HasTableOperations;
import org.apache.iceberg.PartitionField;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.SnapshotRef;
import org.apache.iceberg.SortField;
import org.apache.iceberg.SortOrder;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableMetadata;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.TypeUtil;

/** Everything that a table's metadata says, as the implementation understands it. */
final class Describing {
  /** The table, and the schema that its rows are read in. */
  static ObjectNode describe(Table table, Schema schema) {
    ObjectNode out = describe(table);
    out.set("columns", columns(schema));
    ArrayNode order = out.putArray("order");
    schema.columns().forEach(field -> order.add(field.name()));
    return out;
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

  private Describing() {}
}
