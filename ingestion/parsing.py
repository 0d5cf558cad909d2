"""Files into rows: what DuckDB reads for each format, many files in one statement."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.csv_files import parse_csv
from ingestion.inspection import Numbered
from ingestion.json_lines import parse_json_lines
from ingestion.landing import Landing
from ingestion.line_chunks import chunks
from ingestion.parquet_files import parse_parquet
from ingestion.taking import Sink


def parse(sink: Sink, landing: Landing, files: Sequence[Numbered]) -> None:
    """Read these files of one entity, in bounded chunks."""
    if sink.contract.format == "jsonl":
        strangers = dict.fromkeys(name for file in files for name in file.inspected.strangers)
        for chunk in chunks(landing, sink.contract, files):
            parse_json_lines(sink, chunk, tuple(strangers))
    else:
        read = parse_csv if sink.contract.format == "csv" else parse_parquet
        for group in _alike(files):
            read(sink, landing, group)


def _alike(files: Sequence[Numbered]) -> list[list[Numbered]]:
    """Files with the same columns, which one statement can read."""
    groups: dict[tuple[tuple[str, ...], str], list[Numbered]] = {}
    for file in files:
        if not file.inspected.is_empty:
            key = (file.inspected.header, file.inspected.schema)
            groups.setdefault(key, []).append(file)
    return list(groups.values())
