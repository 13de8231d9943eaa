package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import org.apache.iceberg.PartitionStatistics;
import org.apache.iceberg.PartitionStatisticsFile;
import org.apache.iceberg.PartitionStatsHandler;
import org.apache.iceberg.Partitioning;
import org.apache.iceberg.StatisticsFile;
import org.apache.iceberg.StructLike;
import org.apache.iceberg.Table;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.puffin.BlobMetadata;
import org.apache.iceberg.puffin.Puffin;
import org.apache.iceberg.puffin.PuffinReader;
import org.apache.iceberg.util.ByteBuffers;
import org.apache.iceberg.util.Pair;

/** Statistics files of a table as the reference implementation reads them, and partition statistics it computes itself. */
final class Statistics {
  static ObjectNode read(Table table, JsonNode request) throws Exception {
    ObjectNode answer = Lines.JSON.createObjectNode();
    ArrayNode blobs = answer.putArray("blobs");
    for (StatisticsFile file : table.statisticsFiles()) {
      try (PuffinReader reader =
          Puffin.read(table.io().newInputFile(file.path()))
              .withFileSize(file.fileSizeInBytes())
              .withFooterSize(file.fileFooterSizeInBytes())
              .build()) {
        for (Pair<BlobMetadata, ByteBuffer> blob : reader.readAll(reader.fileMetadata().blobs())) {
          BlobMetadata metadata = blob.first();
          blobs
              .addObject()
              .put("type", metadata.type())
              .put("field", metadata.inputFields().get(0))
              .put("snapshot", String.valueOf(metadata.snapshotId()))
              .put("ndv", metadata.properties().get("ndv"))
              .put("bytes", hex(ByteBuffers.toByteArray(blob.second())));
        }
      }
    }
    if (request.hasNonNull("compute")) {
      long snapshot = Long.parseLong(request.get("compute").asText());
      PartitionStatisticsFile file = PartitionStatsHandler.computeAndWriteStatsFile(table, snapshot);
      table.updatePartitionStatistics().setPartitionStatistics(file).commit();
    }
    ArrayNode partitions = answer.putArray("partitions");
    if (request.hasNonNull("partitionsOf")) {
      int width = Partitioning.partitionType(table).fields().size();
      long snapshot = Long.parseLong(request.get("partitionsOf").asText());
      try (CloseableIterable<PartitionStatistics> rows =
          table.newPartitionStatisticsScan().useSnapshot(snapshot).scan()) {
        for (PartitionStatistics row : rows) partitions.add(row(row, width));
      }
    }
    return answer;
  }

  private static ArrayNode row(PartitionStatistics row, int width) {
    ArrayNode out = Lines.JSON.createArrayNode();
    StructLike partition = row.partition();
    for (int i = 0; i < width; i++) out.add(text(partition.get(i, Object.class)));
    for (Object value :
        new Object[] {
          row.specId(),
          row.dataRecordCount(),
          row.dataFileCount(),
          row.totalDataFileSizeInBytes(),
          row.positionDeleteRecordCount(),
          row.positionDeleteFileCount(),
          row.equalityDeleteRecordCount(),
          row.equalityDeleteFileCount(),
          row.totalRecords(),
          row.lastUpdatedAt(),
          row.lastUpdatedSnapshotId(),
          row.dvCount()
        }) out.add(text(value));
    return out;
  }

  private static String text(Object value) {
    return value == null ? null : value.toString();
  }

  private static String hex(byte[] bytes) {
    StringBuilder out = new StringBuilder();
    for (byte one : bytes) out.append(String.format("%02x", one));
    return out.toString();
  }

  private Statistics() {}
}
