"""The same 100,000 rows, half of them updates, into as many million rows in 64 files: delta-rs' MERGE and PyIceberg's upsert.

  upsert_peers.py FOLDER MILLIONS

Prints one line of JSON. Each side has its own process and `SECONDS_MAX` for it; peak memory is the kernel's.
"""

import json
import multiprocessing
import os
import resource
import shutil
import sys
import time

import duckdb

SECONDS_MAX = 600
folder, millions = sys.argv[1], float(sys.argv[2])
count, source_count, files = int(millions * 1_000_000), 100_000, 64
home = os.path.join(folder, 'upsert-peers')
data = os.path.join(home, 'data')


def row_of(key):
    return f"""{key}::BIGINT AS id, (hash({key}) % 1000000)::BIGINT AS customer,
      ((hash({key} + 1) % 1000000) / 100)::DECIMAL(12,2) AS price,
      make_timestamp((1600000000000000 + {key} * 1000000)::BIGINT) AS changed_at,
      ['open', 'paid', 'shipped', 'returned'][1 + (hash({key} + 2) % 4)::INTEGER] AS status"""


# PyIceberg leaves rows alone that are as they were: these differ.
source_sql = f"""SELECT * REPLACE (customer + 1 AS customer) FROM (SELECT {row_of('key')} FROM (
  SELECT CASE WHEN range % 2 = 0 THEN range * {count // source_count} ELSE {count} + range END AS key
  FROM range({source_count})))"""


def make():
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(data)
    connection = duckdb.connect()
    per_file = -(-count // files)
    for i in range(files):
        rows = f'SELECT {row_of("range")} FROM range({i * per_file}, {min(count, (i + 1) * per_file)})'
        connection.execute(f"COPY ({rows}) TO '{data}/{i}.parquet' (FORMAT parquet, COMPRESSION zstd)")


def source():
    return duckdb.connect().execute(source_sql).to_arrow_table()


def delta(out):
    import pyarrow.dataset
    from deltalake import DeltaTable, __version__, write_deltalake

    where = os.path.join(home, 'delta')
    reader = pyarrow.dataset.dataset(data, format='parquet').scanner().to_reader()
    write_deltalake(where, reader, target_file_size=16 * 1024 * 1024)
    table, rows = DeltaTable(where), source()
    began = time.perf_counter()
    merge = table.merge(rows, 'target.id = source.id', source_alias='source', target_alias='target')
    metrics = merge.when_matched_update_all().when_not_matched_insert_all().execute()
    out.put({
        'version': __version__,
        'ms': round((time.perf_counter() - began) * 1000),
        'updated': metrics['num_target_rows_updated'],
        'inserted': metrics['num_target_rows_inserted'],
        'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    })


def pyiceberg(out):
    import pyarrow.parquet
    import pyiceberg
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog('bench', uri=f'sqlite:///{home}/catalog.db', warehouse=f'file://{home}/warehouse')
    catalog.create_namespace('bench')
    table = catalog.create_table('bench.upsert', pyarrow.parquet.read_schema(f'{data}/0.parquet'))
    table.add_files([f'{data}/{i}.parquet' for i in range(files)])
    rows = source()
    began = time.perf_counter()
    result = table.upsert(rows, join_cols=['id'])
    out.put({
        'version': pyiceberg.__version__,
        'ms': round((time.perf_counter() - began) * 1000),
        'updated': result.rows_updated,
        'inserted': result.rows_inserted,
        'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    })


def measured(side):
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=side, args=(out,))
    process.start()
    began = time.monotonic()
    while process.is_alive() and out.empty() and time.monotonic() - began < SECONDS_MAX:
        time.sleep(0.1)
    if out.empty() and process.is_alive():
        process.kill()
        return {'gave_up_after_s': SECONDS_MAX}
    if out.empty():
        return {'exit': process.exitcode}
    result = out.get()
    process.join()
    return result


if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    make()
    figures = {}
    for name, side in (('delta_rs', delta), ('pyiceberg', pyiceberg)):
        figures.update({f'{name}_{key}': value for key, value in measured(side).items()})
    shutil.rmtree(home)
    print(json.dumps(figures))
