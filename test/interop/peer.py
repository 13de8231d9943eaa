"""PyIceberg and DuckDB's Iceberg extension for the interop suite: requests on standard input, answers on standard
output, one JSON object a line. Rows are spelled as test/interop/java/reference/limn/interop/Canonical.java says."""
import glob
import json
import math
import os
import struct
import sys

import duckdb
import pyarrow as pa
import pyiceberg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import index_by_id, index_name_by_id
from pyiceberg.table import StaticTable
from pyiceberg.types import ListType, MapType, StructType

answers = sys.stdout
sys.stdout = sys.stderr


def canonical(scalar: pa.Scalar):
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if isinstance(kind, pa.BaseExtensionType):
        return str(scalar.as_py()) if kind.extension_name == "arrow.uuid" else canonical(scalar.value)
    if pa.types.is_boolean(kind):
        return scalar.as_py()
    if pa.types.is_integer(kind):
        return str(scalar.as_py())
    if pa.types.is_floating(kind):
        value = scalar.as_py()
        if math.isnan(value):
            return "NaN"
        return struct.pack(">f" if pa.types.is_float32(kind) else ">d", value).hex()
    if pa.types.is_decimal(kind):
        return format(scalar.as_py(), "f")
    if pa.types.is_temporal(kind):
        return str(scalar.value)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return scalar.as_py()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return scalar.as_py().hex()
    if pa.types.is_struct(kind):
        return [canonical(scalar[i]) for i in range(kind.num_fields)]
    if pa.types.is_map(kind):
        pairs = [[canonical(item["key"]), canonical(item["value"])] for item in entries(scalar)]
        return sorted(pairs, key=lambda pair: compact(pair[0]))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [canonical(item) for item in scalar.values]
    if pa.types.is_null(kind):
        return None
    raise ValueError(f"no canonical form for {kind}")


def entries(scalar: pa.MapScalar):
    return scalar.values


def compact(value) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def rows_of(table: pa.Table):
    columns = [[canonical(value) for chunk in column.chunks for value in chunk] for column in table.columns]
    texts = [compact([column[i] for column in columns]) for i in range(len(table))]
    return sorted(texts, key=lambda text: text.encode())


def type_text(kind) -> str:
    if isinstance(kind, StructType):
        return "struct"
    if isinstance(kind, ListType):
        return "list"
    if isinstance(kind, MapType):
        return "map"
    return str(kind).replace(" ", "")


def columns_of(schema):
    names = index_name_by_id(schema)
    return [
        [field_id, names[field_id], type_text(field.field_type), field.required, field.doc]
        for field_id, field in sorted(index_by_id(schema).items())
    ]


def open_table(request):
    if "metadata" in request:
        return StaticTable.from_metadata(request["metadata"])
    spec = request["catalog"]
    catalog = SqlCatalog(spec["name"], uri=f"sqlite:///{spec['db']}", warehouse=spec["warehouse"])
    return catalog.load_table(request["table"])


def read_pyiceberg(request):
    table = open_table(request)
    metadata = table.metadata
    snapshot = int(request["snapshot"]) if request.get("snapshot") else None
    if request.get("ref"):
        scan = table.scan().use_ref(request["ref"])
        schema = scan.projection()
    else:
        scan = table.scan(snapshot_id=snapshot) if snapshot else table.scan()
        schema = scan.projection()
    out = {
        "formatVersion": metadata.format_version,
        "schemaId": metadata.current_schema_id,
        "schemas": {str(one.schema_id): columns_of(one) for one in metadata.schemas},
        "columns": columns_of(schema),
        "order": [field.name for field in schema.fields],
        "identifierFieldIds": sorted(table.schema().identifier_field_ids),
        "specId": metadata.default_spec_id,
        "specs": {
            str(spec.spec_id): [[f.source_id, f.field_id, f.name, str(f.transform)] for f in spec.fields]
            for spec in metadata.partition_specs
        },
        "current": None if metadata.current_snapshot_id is None else str(metadata.current_snapshot_id),
        "snapshots": [
            {
                "id": str(one.snapshot_id),
                "parent": None if one.parent_snapshot_id is None else str(one.parent_snapshot_id),
                "sequence": str(one.sequence_number or 0),
                "operation": one.summary.operation.value if one.summary else None,
            }
            for one in metadata.snapshots
        ],
        "refs": {name: [ref.snapshot_ref_type.value, str(ref.snapshot_id)] for name, ref in sorted(metadata.refs.items())},
    }
    out["rows"] = rows_of(scan.to_arrow())
    return out


database = None


def duck():
    global database
    if database is None:
        folder = os.path.join(os.path.dirname(duckdb.__file__), "..")
        database = duckdb.connect()
        for name in ("avro", "iceberg"):
            found = glob.glob(f"{folder}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")
            if not found:
                raise RuntimeError(f"DuckDB's {name} extension is not installed")
            database.execute(f"LOAD '{found[0]}'")
        database.execute("SET TimeZone = 'UTC'")
    return database


def read_duckdb(request):
    metadata = request["metadata"]
    global database
    try:
        return scan_duckdb(metadata, request)
    except (duckdb.InternalException, duckdb.FatalException):
        database = None  # it is of no use to anybody after such an error
        raise


def json_values(row, indexes):
    return [{"json": value} if i in indexes and value is not None else value for i, value in enumerate(row)]


def scan_duckdb(metadata, request):
    options = f", snapshot_from_id => {int(request['snapshot'])}" if request.get("snapshot") else ""
    source = f"iceberg_scan('{metadata}'{options})"
    described = duck().execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    names = [one[0] for one in described]
    variants = [i for i, one in enumerate(described) if one[1] == "VARIANT"]
    # Arrow has no variants.
    columns = [f'"{name}"::JSON::VARCHAR' if i in variants else f'"{name}"' for i, name in enumerate(names)]
    rows = rows_of(duck().execute(f"SELECT {', '.join(columns)} FROM {source}").to_arrow_table())
    if variants:
        rows = [compact(json_values(json.loads(row), variants)) for row in rows]
    found = f"SELECT snapshot_id::VARCHAR, sequence_number::VARCHAR FROM iceberg_snapshots('{metadata}')"
    snapshots = sorted(duck().execute(found).fetchall(), key=lambda one: int(one[1]))
    return {"names": names, "rows": rows, "snapshots": [{"id": one[0], "sequence": one[1]} for one in snapshots]}


def answer(request):
    op = request["op"]
    if op == "version":
        return {"pyiceberg": pyiceberg.__version__, "duckdb": duckdb.__version__, "pyarrow": pa.__version__}
    if op == "read":
        return read_duckdb(request) if request["engine"] == "duckdb" else read_pyiceberg(request)
    raise ValueError(f"unknown request: {op}")


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:  # whatever a library raises is the answer
        reply = {"error": f"{type(error).__name__}: {error}"}
    answers.write(compact(reply) + "\n")
    answers.flush()
