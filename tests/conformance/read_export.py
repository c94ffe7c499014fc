"""Reads an export as DuckDB and as pandas do, and prints each row of each as JSON.

read_export.py duckdb|pandas DIR
"""
import glob
import json
import struct
import sys

COLUMNS = "node host metric kind unit labels value value_int state quality reason collector day".split()


def with_duckdb(folder):
    import duckdb

    columns = ", ".join(c if c != "day" else "CAST(day AS VARCHAR) AS day" for c in COLUMNS)
    query = f"SELECT epoch_us(time) AS time, {columns} FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    # labels are JSON to whoever asks for one of them
    counted = duckdb.sql(
        f"SELECT count(*) FROM read_parquet('{folder}/**/*.parquet') WHERE labels->>'system.device' IS NULL"
    ).fetchall()
    assert counted == [(0,)], counted
    return duckdb.sql(query).fetchall()


def with_pandas(folder):
    import pandas

    table = pandas.read_parquet(folder, dtype_backend="pyarrow")
    assert str(table["time"].dt.tz) == "UTC", table.dtypes
    one = pandas.read_parquet(folder, filters=[("collector", "=", "disk")])
    assert 0 < len(one) < len(table)
    table["time"] = table["time"].astype("int64[pyarrow]")
    columns = [
        [None if gap else cell for cell, gap in zip(table[name].tolist(), table[name].isna())]
        for name in ["time", *COLUMNS]
    ]
    return list(zip(*columns))


def exact(name, cell):
    """Numbers as whole numbers: the bits of a double, so that nothing is rounded on the way."""
    if name == "value" and cell is not None:
        return struct.unpack("<Q", struct.pack("<d", cell))[0]
    return str(cell) if name == "day" else cell


def main():
    reader, folder = sys.argv[1:]
    assert glob.glob(f"{folder}/day=*/collector=*/part-0.parquet"), "nothing to read"
    read = {"duckdb": with_duckdb, "pandas": with_pandas}[reader]
    for row in read(folder):
        print(json.dumps([exact(*cell) for cell in zip(["time", *COLUMNS], row)]))


main()
