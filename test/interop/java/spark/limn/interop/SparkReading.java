package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Table;
import org.apache.iceberg.spark.Spark3Util;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.util.SnapshotUtil;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.unsafe.types.VariantVal;
import scala.jdk.javaapi.CollectionConverters;

/** A table at one snapshot as Spark sees it: metadata through its catalog, rows through SQL. */
final class SparkReading {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /** `{alias, table, snapshot?: id, ref?: name, lineage?: true}`; rows as {@link Canonical} spells them, sorted. */
  static ObjectNode read(SparkSession session, JsonNode request) throws Exception {
    String name = request.get("alias").asText() + "." + request.get("table").asText();
    Table table = Spark3Util.loadIcebergTable(session, name);
    Schema schema = table.schema();
    String version = "";
    if (request.hasNonNull("snapshot")) {
      schema = SnapshotUtil.schemaFor(table, Long.parseLong(request.get("snapshot").asText()));
      version = " VERSION AS OF " + request.get("snapshot").asText();
    } else if (request.hasNonNull("ref")) {
      schema = SnapshotUtil.schemaFor(table, request.get("ref").asText());
      version = " VERSION AS OF '" + request.get("ref").asText() + "'";
    }
    boolean lineage = request.path("lineage").asBoolean(false);
    String more = lineage ? ", _row_id, _last_updated_sequence_number" : "";
    List<Row> found = session.sql("SELECT *" + more + " FROM " + name + version).collectAsList();
    List<String> rows = new ArrayList<>();
    for (Row row : found) rows.add(struct(row).toString());
    rows.sort(Canonical::byBytes);
    ObjectNode out = Describing.describe(table, schema);
    ArrayNode list = out.putArray("rows");
    for (String row : rows) list.add(row);
    return out;
  }

  private static ArrayNode struct(Row row) {
    ArrayNode out = NODES.arrayNode();
    for (int i = 0; i < row.size(); i++) out.add(value(row.get(i)));
    return out;
  }

  private static JsonNode value(Object value) {
    if (value == null) return NODES.nullNode();
    if (value instanceof Boolean) return NODES.booleanNode((Boolean) value);
    if (value instanceof Float) return Canonical.value(Types.FloatType.get(), value);
    if (value instanceof Double) return Canonical.value(Types.DoubleType.get(), value);
    if (value instanceof BigDecimal) return NODES.textNode(((BigDecimal) value).toPlainString());
    if (value instanceof LocalDate) return Canonical.value(Types.DateType.get(), value);
    if (value instanceof LocalTime) return Canonical.value(Types.TimeType.get(), value);
    if (value instanceof LocalDateTime) return Canonical.value(Types.TimestampType.withoutZone(), value);
    if (value instanceof Instant)
      return Canonical.value(Types.TimestampType.withZone(), ((Instant) value).atOffset(ZoneOffset.UTC));
    if (value instanceof byte[]) return NODES.textNode(Canonical.hex(value));
    if (value instanceof VariantVal)
      return NODES.objectNode().put("json", ((VariantVal) value).toJson(ZoneOffset.UTC));
    if (value instanceof Row) return struct((Row) value);
    if (value instanceof scala.collection.Map) {
      Map<String, ArrayNode> pairs = new TreeMap<>();
      CollectionConverters.asJava((scala.collection.Map<?, ?>) value)
          .forEach(
              (key, item) -> {
                JsonNode one = value(key);
                pairs.put(one.toString(), NODES.arrayNode().add(one).add(value(item)));
              });
      ArrayNode map = NODES.arrayNode();
      pairs.values().forEach(map::add);
      return map;
    }
    if (value instanceof scala.collection.Seq) {
      ArrayNode list = NODES.arrayNode();
      for (Object item : CollectionConverters.asJava((scala.collection.Seq<?>) value)) list.add(value(item));
      return list;
    }
    return NODES.textNode(value.toString());
  }

  private SparkReading() {}
}
