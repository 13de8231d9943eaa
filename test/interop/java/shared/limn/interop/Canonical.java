package limn.interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.iceberg.data.GenericRecord;
import org.apache.iceberg.data.Record;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;
import org.apache.iceberg.variants.Variant;
import org.apache.iceberg.variants.VariantArray;
import org.apache.iceberg.variants.VariantObject;
import org.apache.iceberg.variants.VariantPrimitive;
import org.apache.iceberg.variants.VariantValue;

/**
 * Rows as every engine of the suite spells them, exactly: a struct is the list of its values, a map the list of its
 * pairs in the order of their keys' text; integers, dates (days), times and timestamps (microseconds, or nanoseconds
 * where the type says so) are decimal text; decimals keep their scale; floats are their bits in hexadecimal, or NaN;
 * bytes are hexadecimal; a variant is an object of one kind and its value.
 */
final class Canonical {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final LocalDateTime EPOCH = LocalDateTime.of(1970, 1, 1, 0, 0);

  static ArrayNode row(Record record, List<Types.NestedField> fields) {
    ArrayNode out = NODES.arrayNode();
    for (Types.NestedField field : fields) out.add(value(field.type(), record.getField(field.name())));
    return out;
  }

  static JsonNode value(Type type, Object value) {
    if (value == null) return NODES.nullNode();
    switch (type.typeId()) {
      case BOOLEAN:
        return NODES.booleanNode((Boolean) value);
      case INTEGER:
      case LONG:
        return NODES.textNode(value.toString());
      case FLOAT:
        float single = (Float) value;
        return NODES.textNode(Float.isNaN(single) ? "NaN" : String.format("%08x", Float.floatToRawIntBits(single)));
      case DOUBLE:
        double wide = (Double) value;
        return NODES.textNode(Double.isNaN(wide) ? "NaN" : String.format("%016x", Double.doubleToRawLongBits(wide)));
      case DECIMAL:
        return NODES.textNode(((BigDecimal) value).toPlainString());
      case DATE:
        return text(value instanceof LocalDate ? ((LocalDate) value).toEpochDay() : ((Number) value).longValue());
      case TIME:
        return text(value instanceof LocalTime ? ((LocalTime) value).toNanoOfDay() / 1000 : (Long) value);
      case TIMESTAMP:
        return text(since(value, ChronoUnit.MICROS));
      case TIMESTAMP_NANO:
        return text(since(value, ChronoUnit.NANOS));
      case STRING:
        return NODES.textNode(value.toString());
      case UUID:
        return NODES.textNode(value.toString());
      case FIXED:
      case BINARY:
        return NODES.textNode(hex(value));
      case STRUCT:
        return row((Record) value, type.asStructType().fields());
      case LIST:
        ArrayNode list = NODES.arrayNode();
        for (Object element : (List<?>) value) list.add(value(type.asListType().elementType(), element));
        return list;
      case MAP:
        Map<String, ArrayNode> pairs = new TreeMap<>();
        ((Map<?, ?>) value)
            .forEach(
                (key, item) -> {
                  JsonNode name = value(type.asMapType().keyType(), key);
                  pairs.put(
                      name.toString(), NODES.arrayNode().add(name).add(value(type.asMapType().valueType(), item)));
                });
        ArrayNode map = NODES.arrayNode();
        pairs.values().forEach(map::add);
        return map;
      case VARIANT:
        return variant(((Variant) value).value());
      case UNKNOWN:
        return NODES.nullNode();
      default:
        throw new IllegalArgumentException("no canonical form for " + type);
    }
  }

  /** A value written canonically, as generic records hold it. */
  static Object parse(Type type, JsonNode node) {
    if (node == null || node.isNull()) return null;
    switch (type.typeId()) {
      case BOOLEAN:
        return node.asBoolean();
      case INTEGER:
        return Integer.parseInt(node.asText());
      case LONG:
        return Long.parseLong(node.asText());
      case FLOAT:
        return node.asText().equals("NaN")
            ? Float.NaN
            : Float.intBitsToFloat(Integer.parseUnsignedInt(node.asText(), 16));
      case DOUBLE:
        return node.asText().equals("NaN")
            ? Double.NaN
            : Double.longBitsToDouble(Long.parseUnsignedLong(node.asText(), 16));
      case DECIMAL:
        return new BigDecimal(node.asText());
      case DATE:
        return LocalDate.ofEpochDay(Long.parseLong(node.asText()));
      case TIME:
        return LocalTime.ofNanoOfDay(Long.parseLong(node.asText()) * 1000);
      case TIMESTAMP:
        LocalDateTime micros = EPOCH.plus(Long.parseLong(node.asText()), ChronoUnit.MICROS);
        return ((Types.TimestampType) type).shouldAdjustToUTC() ? micros.atOffset(ZoneOffset.UTC) : micros;
      case TIMESTAMP_NANO:
        LocalDateTime nanos = EPOCH.plus(Long.parseLong(node.asText()), ChronoUnit.NANOS);
        return ((Types.TimestampNanoType) type).shouldAdjustToUTC() ? nanos.atOffset(ZoneOffset.UTC) : nanos;
      case STRING:
        return node.asText();
      case UUID:
        return UUID.fromString(node.asText());
      case FIXED:
        return HexFormat.of().parseHex(node.asText());
      case BINARY:
        return ByteBuffer.wrap(HexFormat.of().parseHex(node.asText()));
      case STRUCT:
        return record(type.asStructType(), node);
      case LIST:
        List<Object> list = new ArrayList<>();
        for (JsonNode element : node) list.add(parse(type.asListType().elementType(), element));
        return list;
      case MAP:
        Map<Object, Object> map = new LinkedHashMap<>();
        for (JsonNode pair : node)
          map.put(parse(type.asMapType().keyType(), pair.get(0)), parse(type.asMapType().valueType(), pair.get(1)));
        return map;
      case VARIANT:
        return VariantText.parse(node);
      default:
        throw new IllegalArgumentException("no value of " + type + " can be given");
    }
  }

  static Record record(Types.StructType struct, JsonNode node) {
    GenericRecord record = GenericRecord.create(struct);
    List<Types.NestedField> fields = struct.fields();
    if (node.size() != fields.size())
      throw new IllegalArgumentException("a row of " + node.size() + " values for " + fields.size() + " fields");
    for (int i = 0; i < fields.size(); i++) record.set(i, parse(fields.get(i).type(), node.get(i)));
    return record;
  }

  static String hex(Object value) {
    if (value instanceof byte[]) return HexFormat.of().formatHex((byte[]) value);
    ByteBuffer buffer = ((ByteBuffer) value).duplicate();
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  private static JsonNode variant(VariantValue value) {
    ObjectNode out = NODES.objectNode();
    switch (value.type()) {
      case OBJECT:
        VariantObject object = value.asObject();
        TreeMap<String, JsonNode> fields = new TreeMap<>();
        for (String name : object.fieldNames()) fields.put(name, variant(object.get(name)));
        return out.set("object", NODES.objectNode().setAll(fields));
      case ARRAY:
        VariantArray array = value.asArray();
        ArrayNode items = NODES.arrayNode();
        for (int i = 0; i < array.numElements(); i++) items.add(variant(array.get(i)));
        return out.set("array", items);
      case NULL:
        return out.putNull("null");
      case BOOLEAN_TRUE:
        return out.put("boolean", true);
      case BOOLEAN_FALSE:
        return out.put("boolean", false);
      default:
        return primitive(out, value.asPrimitive());
    }
  }

  private static JsonNode primitive(ObjectNode out, VariantPrimitive<?> value) {
    Object inner = value.get();
    switch (value.type()) {
      case INT8:
      case INT16:
      case INT32:
      case INT64:
        return out.put("int", inner.toString());
      case DECIMAL4:
      case DECIMAL8:
      case DECIMAL16:
        return out.put("decimal", ((BigDecimal) inner).toPlainString());
      case FLOAT:
        return out.set("float", value(Types.FloatType.get(), inner));
      case DOUBLE:
        return out.set("double", value(Types.DoubleType.get(), inner));
      case BINARY:
        return out.put("binary", hex(inner));
      default:
        return out.put(value.type().name().toLowerCase(java.util.Locale.ROOT), inner.toString());
    }
  }

  private static JsonNode text(long value) {
    return NODES.textNode(Long.toString(value));
  }

  private static long since(Object value, ChronoUnit unit) {
    if (value instanceof OffsetDateTime)
      return unit.between(EPOCH, ((OffsetDateTime) value).withOffsetSameInstant(ZoneOffset.UTC).toLocalDateTime());
    if (value instanceof LocalDateTime) return unit.between(EPOCH, (LocalDateTime) value);
    return (Long) value;
  }

  /** Order of texts that all sides share: by UTF-8 bytes. */
  static int byBytes(String left, String right) {
    return java.util.Arrays.compareUnsigned(
        left.getBytes(StandardCharsets.UTF_8), right.getBytes(StandardCharsets.UTF_8));
  }

  private Canonical() {}
}
