package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.Schema;
import org.apache.iceberg.SchemaParser;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.view.BaseView;
import org.apache.iceberg.view.SQLViewRepresentation;
import org.apache.iceberg.view.View;
import org.apache.iceberg.view.ViewBuilder;
import org.apache.iceberg.view.ViewMetadata;
import org.apache.iceberg.view.ViewMetadataParser;

/** Views by catalog and name, as the reference implementation reads and changes them. */
final class Views {
  /** `{catalog, view}`: the metadata as Java writes it down again, and what its interface says. */
  static ObjectNode read(JsonNode request) {
    View view = Tables.catalog(request.get("catalog")).loadView(name(request));
    return seen(view);
  }

  /** `{json}`: a metadata file's text, read and written down again. */
  static ObjectNode parse(JsonNode request) {
    ViewMetadata metadata = ViewMetadataParser.fromJson(request.get("json").asText());
    metadata.currentVersion();
    metadata.schema();
    return Lines.JSON.createObjectNode().put("json", ViewMetadataParser.toJson(metadata));
  }

  static ObjectNode list(JsonNode request) {
    JdbcCatalog catalog = Tables.catalog(request.get("catalog"));
    ArrayNode names = Lines.JSON.createArrayNode();
    for (Namespace namespace : catalog.listNamespaces()) {
      for (TableIdentifier view : catalog.listViews(namespace)) names.add(view.toString());
    }
    return Lines.JSON.createObjectNode().set("views", names);
  }

  /** `{catalog, view, action: create | replace | createOrReplace, schema, queries, namespace, properties}`. */
  static ObjectNode write(JsonNode request) {
    Schema schema = SchemaParser.fromJson(request.get("schema").toString());
    Map<String, String> properties = new HashMap<>();
    request.path("properties").properties().forEach(one -> properties.put(one.getKey(), one.getValue().asText()));
    ViewBuilder builder =
        Tables.catalog(request.get("catalog"))
            .buildView(name(request))
            .withSchema(schema)
            .withDefaultNamespace(Namespace.of(request.get("namespace").asText()))
            .withProperties(properties);
    request.get("queries").properties().forEach(one -> builder.withQuery(one.getKey(), one.getValue().asText()));
    switch (request.get("action").asText()) {
      case "create":
        return seen(builder.create());
      case "replace":
        return seen(builder.replace());
      default:
        return seen(builder.createOrReplace());
    }
  }

  /** `{catalog, view, set, to, drop}`: sets properties, renames, drops, as far as each is there. */
  static ObjectNode alter(JsonNode request) {
    JdbcCatalog catalog = Tables.catalog(request.get("catalog"));
    if (request.has("set")) {
      var update = catalog.loadView(name(request)).updateProperties();
      request.get("set").properties().forEach(one -> update.set(one.getKey(), one.getValue().asText()));
      update.commit();
    }
    if (request.hasNonNull("to"))
      catalog.renameView(name(request), Tables.identifier(request.get("to").asText()));
    if (request.path("drop").asBoolean()) catalog.dropView(name(request));
    return list(request);
  }

  private static TableIdentifier name(JsonNode request) {
    return Tables.identifier(request.get("view").asText());
  }

  private static ObjectNode seen(View view) {
    ObjectNode out = Lines.JSON.createObjectNode();
    out.put("json", ViewMetadataParser.toJson(((BaseView) view).operations().current()));
    out.put("uuid", view.uuid().toString());
    out.put("version", view.currentVersion().versionId());
    out.put("namespace", view.currentVersion().defaultNamespace().toString());
    SQLViewRepresentation duckdb = view.sqlFor("duckdb");
    if (duckdb != null) out.put("sql", duckdb.sql());
    return out;
  }

  private Views() {}
}
