"""Parquet: DuckDB reads files of one schema at once; values keep their types until judged."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingestion.inspection import Numbered
from ingestion.landing import Landing
from ingestion.ledger import registered
from ingestion.taking import Reading, Sink
from ingestion.validation import from_header
from warehouse.connection import literal, named


def parse_parquet(sink: Sink, landing: Landing, group: Sequence[Numbered]) -> None:
    connection, contract = sink.connection, sink.contract
    header = group[0].inspected.header
    files = pa.table(
        {
            "number": pa.array(range(len(group)), pa.int64()),
            "batch_id": pa.array([file.batch_id for file in group], pa.int64()),
            "path": pa.array([file.path for file in group], pa.string()),
        }
    )
    fields = from_header(contract, header, [f"content.{named(name)}" for name in header])
    place = ", ".join(literal(landing.readable_by(connection, file.path)) for file in group)
    columns = ", ".join(f"{named(name)} := p.{named(name)}" for name in header)
    with registered(connection, "sluice_files", files):
        sink.take(
            Reading(
                lambda scope: (
                    f"""
                select *, 0 as structure, {fields}
                from (
                    select batch_id, path as file, file_row_number + 1 as row_number,
                        struct_pack({columns}) as content
                    from read_parquet([{place}], file_row_number = true) as p
                    join sluice_files on number = p.file_index
                    where {scope.batches}
                ) where {scope.rows}
                """
                ),
                {file.batch_id: file.inspected.line_count for file in group},
                content="to_json(content)::varchar",
                has_types=True,
            )
        )
