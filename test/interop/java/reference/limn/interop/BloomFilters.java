package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Paths;
import java.util.HexFormat;
import org.apache.parquet.column.values.bloomfilter.BloomFilter;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.api.Binary;

/** Bloom filters of a Parquet file, asked for values: per row group true where one may be there, null without a filter. */
final class BloomFilters {
  static ObjectNode probe(JsonNode request) throws Exception {
    ObjectNode answer = Lines.JSON.createObjectNode();
    ArrayNode groups = answer.putArray("groups");
    try (ParquetFileReader reader =
        ParquetFileReader.open(new LocalInputFile(Paths.get(request.get("file").asText())))) {
      for (BlockMetaData block : reader.getFooter().getBlocks()) {
        for (ColumnChunkMetaData column : block.getColumns()) {
          if (!column.getPath().toDotString().equals(request.get("column").asText())) continue;
          BloomFilter filter = reader.readBloomFilter(column);
          ArrayNode found = groups.addArray();
          for (JsonNode value : request.get("values"))
            if (filter == null) found.addNull();
            else found.add(filter.findHash(hash(filter, request.get("type").asText(), value.asText())));
        }
      }
    }
    return answer;
  }

  private static long hash(BloomFilter filter, String type, String value) {
    switch (type) {
      case "int":
        return filter.hash(Integer.parseInt(value));
      case "long":
        return filter.hash(Long.parseLong(value));
      case "double":
        return filter.hash(Double.parseDouble(value));
      case "string":
        return filter.hash(Binary.fromString(value));
      default:
        return filter.hash(Binary.fromConstantByteArray(HexFormat.of().parseHex(value)));
    }
  }

  private BloomFilters() {}
}
