package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Spark SQL over the same catalogs: statements in, rows out as text that Spark made. */
public final class SparkPeer {
  private static SparkSession spark;

  public static void main(String[] args) throws Exception {
    Lines.serve(SparkPeer::answer);
  }

  private static ObjectNode answer(JsonNode request) throws Exception {
    switch (request.get("op").asText()) {
      case "version":
        return Lines.JSON.createObjectNode().put("version", org.apache.spark.package$.MODULE$.SPARK_VERSION());
      case "catalog":
        return catalog(request);
      case "sql":
        return sql(request);
      case "read":
        return SparkReading.read(session(), request);
      default:
        throw new IllegalArgumentException("unknown request: " + request.get("op").asText());
    }
  }

  /** `{name, db, warehouse, alias}`: the catalog in a database file under an alias. */
  private static ObjectNode catalog(JsonNode request) {
    String key = "spark.sql.catalog." + request.get("alias").asText();
    SparkSession session = session();
    session.conf().set(key, "org.apache.iceberg.spark.SparkCatalog");
    session.conf().set(key + ".catalog-impl", "limn.interop.NamedJdbcCatalog");
    session.conf().set(key + ".catalog-name", request.get("name").asText());
    session.conf().set(key + ".uri", "jdbc:sqlite:" + request.get("db").asText());
    session.conf().set(key + ".warehouse", request.get("warehouse").asText());
    session.conf().set(key + ".jdbc.schema-version", "V1");
    session.conf().set(key + ".clients", "1");
    session.conf().set(key + ".cache-enabled", "false");
    return Lines.JSON.createObjectNode();
  }

  /** `{statements: […]}`: runs them all; the rows are those of the last. */
  private static ObjectNode sql(JsonNode request) {
    List<Row> rows = new ArrayList<>();
    String[] names = {};
    for (JsonNode statement : request.get("statements")) {
      var result = session().sql(statement.asText());
      names = result.columns();
      rows = result.collectAsList();
    }
    ObjectNode out = Lines.JSON.createObjectNode();
    ArrayNode columns = out.putArray("columns");
    for (String name : names) columns.add(name);
    ArrayNode list = out.putArray("rows");
    for (Row row : rows) {
      ArrayNode one = list.addArray();
      for (int i = 0; i < row.size(); i++) one.add(row.isNullAt(i) ? null : row.get(i).toString());
    }
    return out;
  }

  private static SparkSession session() {
    if (spark == null) {
      spark =
          SparkSession.builder()
              .master("local[2]")
              .appName("interop")
              .config("spark.ui.enabled", "false")
              .config("spark.sql.shuffle.partitions", "1")
              // Tables are tiny: making code for each query would take longer than the query.
              .config("spark.sql.codegen.wholeStage", "false")
              .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
              .config("spark.sql.datetime.java8API.enabled", "true")
              .config("spark.sql.session.timeZone", "UTC")
              .config("spark.sql.warehouse.dir", System.getProperty("java.io.tmpdir") + "/spark-warehouse")
              .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
              .getOrCreate();
    }
    return spark;
  }

  private SparkPeer() {}
}
