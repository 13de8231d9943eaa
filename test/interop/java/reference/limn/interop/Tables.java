package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.BaseTable;
import org.apache.iceberg.StaticTableOperations;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.hadoop.HadoopFileIO;
import org.apache.iceberg.jdbc.JdbcCatalog;

/** Tables by catalog and name, or by their metadata file alone. */
final class Tables {
  private static final Map<String, JdbcCatalog> CATALOGS = new HashMap<>();

  /** `{catalog: {db, name, warehouse}, table: "a.b"}` or `{metadata: location}`. */
  static Table open(JsonNode request) {
    if (request.hasNonNull("metadata")) {
      HadoopFileIO io = new HadoopFileIO(configuration());
      String location = request.get("metadata").asText();
      return new BaseTable(new StaticTableOperations(location, io), location);
    }
    return catalog(request.get("catalog")).loadTable(identifier(request.get("table").asText()));
  }

  static ObjectNode list(JsonNode request) {
    ArrayNode names = Lines.JSON.createArrayNode();
    JdbcCatalog catalog = catalog(request.get("catalog"));
    for (Namespace namespace : catalog.listNamespaces()) {
      for (TableIdentifier table : catalog.listTables(namespace)) names.add(table.toString());
    }
    return Lines.JSON.createObjectNode().set("tables", names);
  }

  static JdbcCatalog catalog(JsonNode spec) {
    return CATALOGS.computeIfAbsent(
        spec.get("db").asText() + " " + spec.get("name").asText(),
        key -> {
          JdbcCatalog catalog = new JdbcCatalog();
          catalog.setConf(configuration());
          Map<String, String> properties = new HashMap<>();
          properties.put("uri", "jdbc:sqlite:" + spec.get("db").asText());
          properties.put("warehouse", spec.get("warehouse").asText());
          properties.put("jdbc.schema-version", "V1");
          properties.put("clients", "1");
          catalog.initialize(spec.get("name").asText(), properties);
          return catalog;
        });
  }

  static TableIdentifier identifier(String name) {
    return TableIdentifier.parse(name);
  }

  /** Local files as they are, without checksum files beside them. */
  static Configuration configuration() {
    Configuration configuration = new Configuration();
    configuration.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem");
    return configuration;
  }

  private Tables() {}
}
