"""Reads every table of a lake with PyIceberg and prints what it found as JSON."""
import json
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog

folder, snapshots = sys.argv[1], json.loads(sys.argv[2])
catalog = SqlCatalog("flights", uri=f"sqlite:///{folder}/.limn/catalog.db", warehouse=f"file://{folder}/warehouse")


def sums(rows: pa.Table) -> dict:
    out = {}
    for field in rows.schema:
        column = rows[field.name]
        if pa.types.is_integer(field.type):
            out[field.name] = str(pc.sum(column.cast(pa.int64()).cast(pa.decimal128(38, 0))).as_py() or 0)
        elif pa.types.is_timestamp(field.type) and len(rows):
            out[field.name] = [str(pc.min(column).as_py()), str(pc.max(column).as_py())]
    return out


found = {}
for namespace in catalog.list_namespaces():
    for identifier in catalog.list_tables(namespace):
        name = ".".join(identifier)
        table = catalog.load_table(identifier)
        rows = table.scan().to_arrow()
        found[name] = {
            "rows": len(rows),
            "sums": sums(rows),
            "columns": [[f.field_id, f.name, str(f.field_type), f.required] for f in table.schema().fields],
            "spec": [[f.name, str(f.transform)] for f in table.spec().fields],
            "snapshot": str(table.current_snapshot().snapshot_id),
            "files": sum(1 for _ in table.scan().plan_files()),
            "earlier": len(table.scan(snapshot_id=int(snapshots[name])).to_arrow()) if name in snapshots else None,
        }
print(json.dumps(found, default=lambda value: str(value) if isinstance(value, Decimal) else repr(value)))
