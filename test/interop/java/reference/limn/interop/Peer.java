package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** The reference implementation behind {@link Lines}. */
public final class Peer {
  public static void main(String[] args) throws Exception {
    Lines.serve(Peer::answer);
  }

  private static ObjectNode answer(JsonNode request) throws Exception {
    String op = request.get("op").asText();
    switch (op) {
      case "version":
        return Lines.JSON.createObjectNode().put("version", org.apache.iceberg.IcebergBuild.version());
      case "read":
        return Reading.read(Tables.open(request), request);
      case "write":
        return Writing.write(request);
      case "statistics":
        return Statistics.read(Tables.open(request), request);
      case "bloom":
        return BloomFilters.probe(request);
      case "list":
        return Tables.list(request);
      case "readView":
        return Views.read(request);
      case "parseView":
        return Views.parse(request);
      case "listViews":
        return Views.list(request);
      case "writeView":
        return Views.write(request);
      case "alterView":
        return Views.alter(request);
      default:
        throw new IllegalArgumentException("unknown request: " + op);
    }
  }

  private Peer() {}
}
