"""CSV: many files in one statement; a file whose lines are not simply rows goes one by one."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.csv_records import CsvRecord, csv_records, lines_of
from ingestion.inspection import Numbered
from ingestion.landing import Landing
from ingestion.ledger import registered
from ingestion.taking import Reading, Sink
from ingestion.validation import PARSED, from_header
from warehouse.connection import literal


def parse_csv(sink: Sink, landing: Landing, group: Sequence[Numbered]) -> None:
    """DuckDB reads the files at once; those whose lines it does not find again go record by record.

    A file whose rows and header are as many as its lines has one row on each line, so that the
    number of a row gives its line.
    """
    connection, contract = sink.connection, sink.contract
    header = group[0].inspected.header
    mixed = [file for file in group if file.inspected.has_mixed_ends]
    group = [file for file in group if not file.inspected.has_mixed_ends]
    found = _read(connection, landing, contract, group) if group else {}
    plain = {n: f for n, f in enumerate(group) if found.get(n, (0, 0))[1] + 1 == _lines(f)}
    if plain:
        table = pa.table(
            {
                "number": pa.array(list(plain), pa.int64()),
                "batch_id": pa.array([f.batch_id for f in plain.values()], pa.int64()),
                "path": pa.array([f.path for f in plain.values()], pa.string()),
                "first_row": pa.array([found.get(n, (1, 0))[0] for n in plain], pa.int64()),
            }
        )
        fields = from_header(contract, header, [f"f{n}" for n in range(len(header))])
        paths = {file.path for file in plain.values()}
        with registered(connection, "sluice_files", table):
            sink.take(
                Reading(
                    lambda scope: (
                        f"""
                    select *, null::varchar as content, 0 as structure, {fields}
                    from (
                        select batch_id, path as file, ordinal - first_row + 2 as row_number,
                            sluice_fields.* exclude (number, ordinal)
                        from sluice_fields join sluice_files using (number)
                        where {scope.batches}
                    ) where {scope.rows}
                    """
                    ),
                    {file.batch_id: _lines(file) - 1 for file in plain.values()},
                    complete=lambda: _add_lines(connection, landing, paths),
                )
            )
    for file in [*mixed, *(file for number, file in enumerate(group) if number not in plain)]:
        for records in csv_records(landing, file.inspected):
            parse_csv_records(sink, header, file.batch_id, file.path, records)
    connection.execute("drop table if exists sluice_fields")


def _lines(file: Numbered) -> int:
    return file.inspected.line_count


def _read(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    group: Sequence[Numbered],
) -> dict[int, tuple[int, int]]:
    """By file: the number of its first row among all, and how many it has."""
    header = group[0].inspected.header
    fields = ", ".join(f"'f{n}': 'VARCHAR'" for n in range(len(header)))
    files = [landing.readable_by(connection, file.path) for file in group]
    try:
        connection.execute(
            f"""
            create or replace temp table sluice_fields as
            select file_index::bigint as number, row_number() over () as ordinal, *
            from read_csv(
                $files, columns = {{{fields}}}, header = true, auto_detect = false,
                delim = {literal(contract.delimiter)}, quote = '"', escape = '"',
                null_padding = false, ignore_errors = true,
                max_line_size = {contract.max_line_bytes + 2}
            )
            """,
            {"files": files},
        )
    except duckdb.InvalidInputException:
        # Line ends of two kinds, for instance: every file of the group goes record by record.
        return {}
    rows = connection.execute(
        "select number, min(ordinal), count(*) from sluice_fields group by number"
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def parse_csv_records(
    sink: Sink,
    header: tuple[str, ...],
    batch_id: int,
    path: str,
    records: Sequence[CsvRecord],
) -> None:
    """Records that were read one by one."""
    columns = {
        "row_number": pa.array([r.row_number for r in records], pa.int64()),
        "content": pa.array([r.content for r in records], pa.string()),
        "structure": pa.array([r.structure for r in records], pa.int32()),
    }
    for number in range(len(header)):
        values = [r.fields[number] or None if r.fields else None for r in records]
        columns[f"f{number}"] = pa.array(values, pa.string())
    fields = from_header(sink.contract, header, [f"f{n}" for n in range(len(header))])
    with registered(sink.connection, "sluice_records", pa.table(columns)):
        sink.take(
            Reading(
                lambda scope: (
                    f"""
                select *, {fields}
                from (
                    select *, {batch_id}::bigint as batch_id, {literal(path)} as file
                    from sluice_records
                ) where {scope.rows}
                """
                ),
                {batch_id: len(records)},
            )
        )


def _add_lines(connection: duckdb.DuckDBPyConnection, landing: Landing, paths: set[str]) -> None:
    """The faulty rows as they were received."""
    wanted: dict[str, set[int]] = {}
    for path, row in connection.execute(
        f"select file, row_number from {PARSED} where fault > 0 and content is null"
    ).fetchall():
        wanted.setdefault(path, set()).add(row)
    found = [
        (path, row, line)
        for path, rows in wanted.items()
        if path in paths
        for row, line in lines_of(landing, path, rows)
    ]
    if not found:
        return
    table = pa.table(
        {
            "path": pa.array([path for path, _, _ in found], pa.string()),
            "row": pa.array([row for _, row, _ in found], pa.int64()),
            "line": pa.array([line for _, _, line in found], pa.string()),
        }
    )
    with registered(connection, "sluice_lines", table):
        connection.execute(
            f"""update {PARSED} set content = line from sluice_lines
                where file = path and row_number = row"""
        )
