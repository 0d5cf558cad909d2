"""Files into rows: what DuckDB reads for each format, many files in one statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from ingestion.contracts import Contract
from ingestion.csv_files import parse_csv
from ingestion.inspection import Numbered
from ingestion.json_lines import chunks, parse_json_lines, pieces_of
from ingestion.landing import Landing
from ingestion.parquet_files import parse_parquet


def parse(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    files: Sequence[Numbered],
) -> Iterator[None]:
    """Fill the table of parsed rows, chunk by chunk: each step is for the caller to take away."""
    if contract.format == "jsonl":
        pieces = (piece for file in files for piece in pieces_of(landing, file))
        for chunk in chunks(pieces):
            parse_json_lines(connection, contract, chunk)
            yield
    elif contract.format == "csv":
        for group in _alike(files):
            yield from parse_csv(connection, landing, contract, group)
    else:
        for group in _alike(files):
            parse_parquet(connection, landing, contract, group)
            yield


def _alike(files: Sequence[Numbered]) -> list[list[Numbered]]:
    """Files with the same columns, which one statement can read."""
    groups: dict[tuple[tuple[str, ...], str], list[Numbered]] = {}
    for file in files:
        if not file.inspected.is_empty:
            key = (file.inspected.header, file.inspected.schema)
            groups.setdefault(key, []).append(file)
    return list(groups.values())
