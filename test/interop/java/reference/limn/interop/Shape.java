package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.iceberg.GenericBlobMetadata;
import org.apache.iceberg.GenericStatisticsFile;
import org.apache.iceberg.ManageSnapshots;
import org.apache.iceberg.NullOrder;
import org.apache.iceberg.PartitionStatsHandler;
import org.apache.iceberg.ReplaceSortOrder;
import org.apache.iceberg.Schema;
import org.apache.iceberg.SchemaParser;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.Table;
import org.apache.iceberg.UpdatePartitionSpec;
import org.apache.iceberg.UpdateProperties;
import org.apache.iceberg.UpdateSchema;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.expressions.Literal;
import org.apache.iceberg.expressions.Term;
import org.apache.iceberg.mapping.MappingUtil;
import org.apache.iceberg.mapping.NameMappingParser;
import org.apache.iceberg.puffin.Blob;
import org.apache.iceberg.puffin.Puffin;
import org.apache.iceberg.puffin.PuffinCompressionCodec;
import org.apache.iceberg.puffin.PuffinWriter;
import org.apache.iceberg.types.Type;

/** Changes of everything but rows: schema, spec, order, properties, refs, manifests, statistics. */
final class Shape {
  static void apply(Table table, JsonNode step) throws Exception {
    switch (step.get("do").asText()) {
      case "schema":
        UpdateSchema schema = table.updateSchema();
        for (JsonNode change : step.get("changes")) evolve(schema, change);
        schema.commit();
        return;
      case "spec":
        UpdatePartitionSpec spec = table.updateSpec();
        for (JsonNode change : step.get("changes")) evolve(spec, change);
        spec.commit();
        return;
      case "order":
        ReplaceSortOrder order = table.replaceSortOrder();
        for (JsonNode field : step.get("fields")) {
          NullOrder nulls = field.path("nullsLast").asBoolean(false) ? NullOrder.NULLS_LAST : NullOrder.NULLS_FIRST;
          if (field.path("desc").asBoolean(false)) order.desc(term(field), nulls);
          else order.asc(term(field), nulls);
        }
        order.commit();
        return;
      case "properties":
        UpdateProperties properties = table.updateProperties();
        step.path("set").properties().forEach(one -> properties.set(one.getKey(), one.getValue().asText()));
        for (JsonNode name : step.path("remove")) properties.remove(name.asText());
        properties.commit();
        return;
      case "nameMapping":
        table
            .updateProperties()
            .set("schema.name-mapping.default", NameMappingParser.toJson(MappingUtil.create(table.schema())))
            .commit();
        return;
      case "refs":
        ManageSnapshots refs = table.manageSnapshots();
        for (JsonNode change : step.get("changes")) evolve(table, refs, change);
        refs.commit();
        return;
      case "rewriteManifests":
        table.rewriteManifests().clusterBy(file -> "all").commit();
        return;
      case "expire":
        table.expireSnapshots().expireOlderThan(System.currentTimeMillis() + 1).retainLast(1).commit();
        return;
      case "statistics":
        statistics(table, step);
        return;
      case "partitionStatistics":
        table
            .updatePartitionStatistics()
            .setPartitionStatistics(PartitionStatsHandler.computeAndWriteStatsFile(table))
            .commit();
        return;
      default:
        throw new IllegalArgumentException("unknown step: " + step.get("do").asText());
    }
  }

  private static void evolve(UpdateSchema update, JsonNode change) {
    String path = change.hasNonNull("path") ? change.get("path").asText() : "";
    int dot = path.lastIndexOf('.');
    String parent = dot < 0 ? null : path.substring(0, dot);
    String name = path.substring(dot + 1);
    switch (change.get("change").asText()) {
      case "add":
        Type type = type(change.get("type"));
        String doc = change.hasNonNull("doc") ? change.get("doc").asText() : null;
        Literal<?> initial = change.has("default") ? literal(type, change.get("default")) : null;
        if (change.path("required").asBoolean(false)) update.addRequiredColumn(parent, name, type, doc, initial);
        else update.addColumn(parent, name, type, doc, initial);
        return;
      case "rename":
        update.renameColumn(path, change.get("to").asText());
        return;
      case "promote":
        update.updateColumn(path, type(change.get("type")).asPrimitiveType());
        return;
      case "doc":
        update.updateColumnDoc(path, change.get("doc").asText());
        return;
      case "writeDefault":
        update.updateColumnDefault(path, literal(type(change.get("type")), change.get("value")));
        return;
      case "optional":
        update.makeColumnOptional(path);
        return;
      case "drop":
        update.deleteColumn(path);
        return;
      case "first":
        update.moveFirst(path);
        return;
      case "after":
        update.moveAfter(path, change.get("other").asText());
        return;
      case "before":
        update.moveBefore(path, change.get("other").asText());
        return;
      case "identifier":
        List<String> names = new ArrayList<>();
        for (JsonNode one : change.get("names")) names.add(one.asText());
        update.setIdentifierFields(names);
        return;
      default:
        throw new IllegalArgumentException("unknown change: " + change);
    }
  }

  private static void evolve(UpdatePartitionSpec update, JsonNode change) {
    switch (change.get("change").asText()) {
      case "add":
        if (change.hasNonNull("name")) update.addField(change.get("name").asText(), term(change));
        else update.addField(term(change));
        return;
      case "remove":
        update.removeField(change.get("name").asText());
        return;
      case "rename":
        update.renameField(change.get("name").asText(), change.get("to").asText());
        return;
      default:
        throw new IllegalArgumentException("unknown change: " + change);
    }
  }

  private static void evolve(Table table, ManageSnapshots update, JsonNode change) {
    String name = change.hasNonNull("name") ? change.get("name").asText() : null;
    switch (change.get("change").asText()) {
      case "branch":
        update.createBranch(name, snapshot(table, change));
        return;
      case "tag":
        update.createTag(name, snapshot(table, change));
        return;
      case "removeBranch":
        update.removeBranch(name);
        return;
      case "removeTag":
        update.removeTag(name);
        return;
      case "fastForward":
        update.fastForwardBranch(name, change.get("to").asText());
        return;
      case "cherrypick":
        update.cherrypick(snapshot(table, change));
        return;
      case "rollback":
        update.rollbackTo(snapshot(table, change));
        return;
      case "setCurrent":
        update.setCurrentSnapshot(snapshot(table, change));
        return;
      case "retention":
        if (change.has("minSnapshots")) update.setMinSnapshotsToKeep(name, change.get("minSnapshots").asInt());
        if (change.has("snapshotAgeMs")) update.setMaxSnapshotAgeMs(name, change.get("snapshotAgeMs").asLong());
        if (change.has("refAgeMs")) update.setMaxRefAgeMs(name, change.get("refAgeMs").asLong());
        return;
      default:
        throw new IllegalArgumentException("unknown change: " + change);
    }
  }

  /** `at`: the place of a snapshot in the table's list, from 0; negative from the end. */
  private static long snapshot(Table table, JsonNode change) {
    List<Snapshot> all = new ArrayList<>();
    table.snapshots().forEach(all::add);
    int at = change.path("at").asInt(-1);
    return all.get(at < 0 ? all.size() + at : at).snapshotId();
  }

  private static Term term(JsonNode field) {
    String column = field.get("column").asText();
    String transform = field.path("transform").asText("identity");
    int parameter = field.path("n").asInt(0);
    switch (transform) {
      case "identity":
        return Expressions.ref(column);
      case "bucket":
        return Expressions.bucket(column, parameter);
      case "truncate":
        return Expressions.truncate(column, parameter);
      case "year":
        return Expressions.year(column);
      case "month":
        return Expressions.month(column);
      case "day":
        return Expressions.day(column);
      case "hour":
        return Expressions.hour(column);
      default:
        throw new IllegalArgumentException("unknown transform: " + transform);
    }
  }

  private static Type type(JsonNode json) {
    var field = Lines.JSON.createObjectNode().put("id", 1).put("name", "x").put("required", false).set("type", json);
    var schema = Lines.JSON.createObjectNode().put("type", "struct").put("schema-id", 0);
    schema.putArray("fields").add(field);
    Schema parsed = SchemaParser.fromJson(schema.toString());
    return parsed.findType("x");
  }

  private static Literal<?> literal(Type type, JsonNode value) {
    Object given = Canonical.parse(type, value);
    switch (type.typeId()) {
      case BOOLEAN:
        return Literal.of((Boolean) given);
      case INTEGER:
        return Literal.of((Integer) given);
      case LONG:
        return Literal.of((Long) given);
      case FLOAT:
        return Literal.of((Float) given);
      case DOUBLE:
        return Literal.of((Double) given);
      case DECIMAL:
        return Literal.of((java.math.BigDecimal) given);
      case STRING:
        return Literal.of((String) given);
      case UUID:
        return Literal.of((java.util.UUID) given);
      case FIXED:
        return Literal.of((byte[]) given);
      case BINARY:
        return Literal.of((ByteBuffer) given);
      case DATE:
        return Literal.of(Integer.parseInt(value.asText())).to(type);
      case TIMESTAMP:
        return Expressions.micros(Long.parseLong(value.asText())).to(type);
      case TIMESTAMP_NANO:
        return Expressions.nanos(Long.parseLong(value.asText())).to(type);
      default:
        return Literal.of(Long.parseLong(value.asText())).to(type);
    }
  }

  /** A Puffin file with one blob a column, compressed as asked. */
  private static void statistics(Table table, JsonNode step) throws IOException {
    long snapshot = table.currentSnapshot().snapshotId();
    long sequence = table.currentSnapshot().sequenceNumber();
    String location = table.location() + "/metadata/statistics-" + snapshot + ".puffin";
    var codec = PuffinCompressionCodec.forName(step.hasNonNull("codec") ? step.get("codec").asText() : null);
    PuffinWriter writer = Puffin.write(table.io().newOutputFile(location)).createdBy("interop").build();
    List<org.apache.iceberg.BlobMetadata> blobs = new ArrayList<>();
    try (writer) {
      for (JsonNode column : step.get("columns")) {
        int id = table.schema().findField(column.asText()).fieldId();
        ByteBuffer body = ByteBuffer.wrap(("sketch of " + column.asText()).repeat(20).getBytes());
        var blob =
            new Blob("apache-datasketches-theta-v1", List.of(id), snapshot, sequence, body, codec, Map.of("ndv", "3"));
        writer.add(blob);
      }
      writer.finish();
      for (var blob : writer.writtenBlobsMetadata()) blobs.add(GenericBlobMetadata.from(blob));
    }
    table
        .updateStatistics()
        .setStatistics(new GenericStatisticsFile(snapshot, location, writer.fileSize(), writer.footerSize(), blobs))
        .commit();
  }

  private Shape() {}
}
