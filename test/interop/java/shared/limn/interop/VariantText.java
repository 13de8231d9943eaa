package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeSet;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.variants.PhysicalType;
import org.apache.iceberg.variants.ShreddedObject;
import org.apache.iceberg.variants.ValueArray;
import org.apache.iceberg.variants.Variant;
import org.apache.iceberg.variants.VariantMetadata;
import org.apache.iceberg.variants.VariantValue;
import org.apache.iceberg.variants.Variants;

/** Variants from their canonical form; integers take the narrowest width. */
final class VariantText {
  static Variant parse(JsonNode node) {
    TreeSet<String> names = new TreeSet<>();
    collect(node, names);
    VariantMetadata metadata = Variants.metadata(names);
    VariantValue value = value(node, metadata);
    // Serialized and read again, so that what a writer gets is a plain buffer.
    ByteBuffer buffer = ByteBuffer.allocate(value.sizeInBytes()).order(ByteOrder.LITTLE_ENDIAN);
    value.writeTo(buffer, 0);
    return Variant.of(metadata, Variants.value(metadata, buffer));
  }

  private static void collect(JsonNode node, TreeSet<String> names) {
    Map.Entry<String, JsonNode> only = node.properties().iterator().next();
    if (only.getKey().equals("object")) {
      for (Map.Entry<String, JsonNode> field : only.getValue().properties()) {
        names.add(field.getKey());
        collect(field.getValue(), names);
      }
    } else if (only.getKey().equals("array")) {
      for (JsonNode item : only.getValue()) collect(item, names);
    }
  }

  private static VariantValue value(JsonNode node, VariantMetadata metadata) {
    Map.Entry<String, JsonNode> only = node.properties().iterator().next();
    JsonNode inner = only.getValue();
    switch (only.getKey()) {
      case "object":
        ShreddedObject object = Variants.object(metadata);
        for (Map.Entry<String, JsonNode> field : inner.properties())
          object.put(field.getKey(), value(field.getValue(), metadata));
        return object;
      case "array":
        ValueArray array = Variants.array();
        for (JsonNode item : inner) array.add(value(item, metadata));
        return array;
      case "null":
        return Variants.ofNull();
      case "boolean":
        return Variants.of(inner.asBoolean());
      case "int":
        long number = Long.parseLong(inner.asText());
        if (number == (byte) number) return Variants.of((byte) number);
        if (number == (short) number) return Variants.of((short) number);
        if (number == (int) number) return Variants.of((int) number);
        return Variants.of(number);
      case "decimal":
        return Variants.of(new BigDecimal(inner.asText()));
      case "double":
        return Variants.of((Double) Canonical.parse(Types.DoubleType.get(), inner));
      case "string":
        return Variants.of(inner.asText());
      case "binary":
        return Variants.of(ByteBuffer.wrap(HexFormat.of().parseHex(inner.asText())));
      case "date":
        return Variants.of(PhysicalType.DATE, Integer.parseInt(inner.asText()));
      case "timestamptz":
        return Variants.of(PhysicalType.TIMESTAMPTZ, Long.parseLong(inner.asText()));
      default:
        throw new IllegalArgumentException("no variant of kind " + only.getKey());
    }
  }

  private VariantText() {}
}
