"""Parquet: DuckDB reads files of one schema at once; values keep their types until judged."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.inspection import Numbered
from ingestion.landing import Landing
from ingestion.ledger import registered
from ingestion.sql_text import literal, quoted
from ingestion.validation import from_header, parse_into_temp


def parse_parquet(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    group: Sequence[Numbered],
) -> None:
    header = group[0].inspected.header
    files = pa.table(
        {
            "number": pa.array(range(len(group)), pa.int64()),
            "batch_id": pa.array([f.batch_id for f in group], pa.int64()),
            "path": pa.array([f.path for f in group], pa.string()),
        }
    )
    fields = [f"p.{quoted(name)}" for name in header]
    place = ", ".join(literal(landing.readable_by(connection, f.path)) for f in group)
    texts = f"""
        select batch_id, path as file, file_row_number + 1 as row_number, 0 as structure,
            struct_pack({", ".join(f"{quoted(n)} := p.{quoted(n)}" for n in header)}) as content,
            {from_header(contract, header, fields)}
        from read_parquet([{place}], file_row_number = true) as p
        join sluice_files on number = p.file_index
        """
    with registered(connection, "sluice_files", files):
        parse_into_temp(
            connection, contract, texts, content="to_json(content)::varchar", has_types=True
        )
