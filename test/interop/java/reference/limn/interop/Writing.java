package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.PartitionSpecParser;
import org.apache.iceberg.Schema;
import org.apache.iceberg.SchemaParser;
import org.apache.iceberg.SortOrder;
import org.apache.iceberg.SortOrderParser;
import org.apache.iceberg.Table;
import org.apache.iceberg.jdbc.JdbcCatalog;

/** Plays a list of steps against a table of a catalog, one commit a step. */
final class Writing {
  /** `{catalog, table, steps: [{do: …}]}`; answers the metadata file that the last step left. */
  static ObjectNode write(JsonNode request) throws Exception {
    JdbcCatalog catalog = Tables.catalog(request.get("catalog"));
    String name = request.get("table").asText();
    Table table = null;
    int number = 0;
    for (JsonNode step : request.get("steps")) {
      number++;
      try {
        if (step.get("do").asText().equals("create")) {
          table = create(catalog, name, step);
        } else {
          if (table == null) table = catalog.loadTable(Tables.identifier(name));
          apply(table, step);
        }
        table.refresh();
      } catch (Exception error) {
        throw new IllegalStateException("step " + number + " (" + step.get("do").asText() + ")", error);
      }
    }
    ObjectNode out = Lines.JSON.createObjectNode();
    out.put("snapshot", table.currentSnapshot() == null ? null : Long.toString(table.currentSnapshot().snapshotId()));
    return out;
  }

  private static Table create(JdbcCatalog catalog, String name, JsonNode step) {
    var identifier = Tables.identifier(name);
    if (!catalog.namespaceExists(identifier.namespace())) catalog.createNamespace(identifier.namespace());
    Schema schema = SchemaParser.fromJson(step.get("schema").toString());
    PartitionSpec spec =
        step.hasNonNull("spec")
            ? PartitionSpecParser.fromJson(schema, step.get("spec").toString())
            : PartitionSpec.unpartitioned();
    SortOrder order =
        step.hasNonNull("order") ? SortOrderParser.fromJson(schema, step.get("order").toString()) : SortOrder.unsorted();
    Map<String, String> properties = new HashMap<>();
    properties.put("format-version", step.get("version").asText());
    step.path("properties").properties().forEach(one -> properties.put(one.getKey(), one.getValue().asText()));
    return catalog
        .buildTable(identifier, schema)
        .withPartitionSpec(spec)
        .withSortOrder(order)
        .withProperties(properties)
        .create();
  }

  private static void apply(Table table, JsonNode step) throws Exception {
    switch (step.get("do").asText()) {
      case "append":
        Rows.append(table, step);
        return;
      case "appendWithoutIds":
        Rows.appendWithoutIds(table, step);
        return;
      case "delete":
        Rows.delete(table, step);
        return;
      case "update":
        Rows.update(table, step);
        return;
      case "rewriteRows":
        Rows.rewriteRows(table, step);
        return;
      case "equalityDelete":
        Rows.equalityDelete(table, step);
        return;
      case "deleteFiles":
        Rows.deleteFiles(table, step);
        return;
      case "replacePartitions":
        Rows.replacePartitions(table, step);
        return;
      case "compact":
        Rows.compact(table, step);
        return;
      default:
        Shape.apply(table, step);
    }
  }

  private Writing() {}
}
