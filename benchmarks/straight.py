"""What the same work costs without us: the same files and the same SQL, straight into DuckDB.

Called as a process of its own, so that its CPU is told apart: `python -m benchmarks.straight
load|build|nothing <from data dir> <to workshop>`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb

from catalog.catalog import Catalog, Dataset, from_manifest

FORMATS = {"jsonl": "read_json", "csv": "read_csv", "parquet": "read_parquet"}


def load(data_dir: Path, workshop: Path) -> None:
    """Each entity's files, read with the contract's types by one statement."""
    catalog = _catalog(data_dir)
    connection = _open(workshop)
    for dataset in catalog.layer("raw"):
        folder = data_dir / "landing" / dataset.source / dataset.name
        if not folder.exists():
            continue
        connection.execute(f"create schema if not exists {dataset.schema}")
        connection.execute(
            f"create table {dataset.relation} as select * from {_reader(dataset, folder)}"
        )
    connection.close()


def build(data_dir: Path, workshop: Path) -> None:
    """The SQL that dbt compiled, in dbt's order, in one process."""
    catalog = _catalog(data_dir)
    connection = _open(workshop)
    for dataset in _in_order(catalog):
        path = data_dir / "dbt" / "compiled" / "sluice" / dataset.path
        kind = "view" if dataset.materialized == "view" else "table"
        connection.execute(f"create schema if not exists {dataset.schema}")
        connection.execute(f"create or replace {kind} {dataset.relation} as {path.read_text()}")
    connection.close()


def nothing(data_dir: Path, workshop: Path) -> None:
    """What both cost before they have done anything."""
    _catalog(data_dir)
    _open(workshop).close()


def _open(workshop: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(workshop))
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _catalog(data_dir: Path) -> Catalog:
    manifest: dict[str, Any] = json.loads((data_dir / "dbt" / "manifest.json").read_text())
    return from_manifest(manifest)


def _in_order(catalog: Catalog) -> Iterator[Dataset]:
    graph = {key: each.parents for key, each in catalog.datasets.items()}
    for key in TopologicalSorter(graph).static_order():
        if catalog[key].layer in ("staging", "curated", "marts", "metrics"):
            yield catalog[key]


def _reader(dataset: Dataset, folder: Path) -> str:
    reader = FORMATS[str(dataset.meta["format"])]
    columns = ", ".join(f"'{each.name}': '{each.data_type}'" for each in dataset.columns)
    files = f"'{folder}/*/*'"
    if reader == "read_json":
        return (
            f"read_json({files}, format = 'newline_delimited', ignore_errors = true, "
            f"columns = {{{columns}}}, maximum_object_size = 33554432)"
        )
    if reader == "read_csv":
        return (
            f"read_csv({files}, header = true, auto_detect = false, delim = ',', quote = '\"', "
            f"escape = '\"', ignore_errors = true, columns = {{{columns}}})"
        )
    return f"read_parquet({files}, union_by_name = true)"


if __name__ == "__main__":
    {"load": load, "build": build, "nothing": nothing}[sys.argv[1]](
        Path(sys.argv[2]), Path(sys.argv[3])
    )
