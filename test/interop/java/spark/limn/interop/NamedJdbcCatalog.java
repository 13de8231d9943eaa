package limn.interop;

import java.util.Map;
import org.apache.iceberg.jdbc.JdbcCatalog;

/** Spark gives a catalog the alias as its name; the rows in the database carry the name that limn gave. */
public final class NamedJdbcCatalog extends JdbcCatalog {
  @Override
  public void initialize(String alias, Map<String, String> properties) {
    super.initialize(properties.get("catalog-name"), properties);
  }
}
