"""Files into rows: what DuckDB reads for each format, many files in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import duckdb
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.csv_records import CsvRecord, csv_records, lines_of
from ingestion.inspection import Inspected, unpacked, without_mark
from ingestion.landing import Landing
from ingestion.ledger import registered
from ingestion.validation import NOT_AN_OBJECT, NOT_JSON, PARSED, TOO_LONG, parse_into_temp

_BLOCK: Final = 4 * 1024 * 1024
# Rows of a scanned batch are one unit of DuckDB's parallelism.
_ARROW_BATCH_BYTES: Final = 1024 * 1024
# Of a line that is too long, so much goes to quarantine; landing has the whole.
_HEAD_BYTES: Final = 500
_CHUNK_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Numbered:
    """A file and the batch that it becomes."""

    batch_id: int
    inspected: Inspected

    @property
    def path(self) -> str:
        return self.inspected.file.path


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file."""

    batch_id: int
    path: str
    first_row: int
    content: bytes
    structure: int = 0


def parse(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    files: Sequence[Numbered],
) -> Iterator[None]:
    """Fill the table of parsed rows, chunk by chunk: each step is for the caller to take away."""
    if contract.format == "jsonl":
        pieces = (piece for file in files for piece in _pieces(landing, file))
        for chunk in _chunks(pieces):
            parse_json_lines(connection, contract, chunk)
            yield
    elif contract.format == "csv":
        for group in _alike(files):
            yield from _parse_csv(connection, landing, contract, group)
    else:
        for group in _alike(files):
            _parse_parquet(connection, landing, contract, group)
            yield


def _alike(files: Sequence[Numbered]) -> list[list[Numbered]]:
    """Files with the same columns, which one statement can read."""
    groups: dict[tuple[tuple[str, ...], str], list[Numbered]] = {}
    for file in files:
        if not file.inspected.is_empty:
            key = (file.inspected.header, file.inspected.schema)
            groups.setdefault(key, []).append(file)
    return list(groups.values())


# JSON lines


def _pieces(landing: Landing, file: Numbered) -> Iterator[Piece]:
    if file.inspected.is_empty:
        return
    with unpacked(landing, file.path) as stream:
        if file.inspected.has_long_lines:
            yield from _line_by_line(stream, file, file.inspected.contract.max_line_bytes)
        else:
            yield from _block_by_block(stream, file)


def _block_by_block(stream: BinaryIO, file: Numbered) -> Iterator[Piece]:
    row, rest = 1, b""
    while block := stream.read(_BLOCK):
        content = rest + block
        end = content.rfind(b"\n") + 1
        rest = content[end:]
        if end:
            whole = content[:end]
            yield Piece(file.batch_id, file.path, row, without_mark(whole) if row == 1 else whole)
            row += whole.count(b"\n")
    if rest:
        yield Piece(file.batch_id, file.path, row, without_mark(rest) if row == 1 else rest)


def _line_by_line(stream: BinaryIO, file: Numbered, limit: int) -> Iterator[Piece]:
    """For files with a line that must not be held whole."""
    row = 1
    while line := stream.readline(limit + 1):
        if len(line) > limit and not line.endswith(b"\n"):
            while more := stream.readline(_BLOCK):
                if more.endswith(b"\n"):
                    break
            head = line[:_HEAD_BYTES].decode(errors="ignore").encode()
            yield Piece(file.batch_id, file.path, row, head, TOO_LONG)
        else:
            yield Piece(file.batch_id, file.path, row, without_mark(line) if row == 1 else line)
        row += 1


def _chunks(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    chunk: list[Piece] = []
    size = 0
    for piece in pieces:
        chunk.append(piece)
        size += len(piece.content)
        if size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pieces_table(pieces: Sequence[Piece]) -> pa.Table:
    batches, start, size = [], 0, 0
    for end, piece in enumerate(pieces, start=1):
        size += len(piece.content)
        if size < _ARROW_BATCH_BYTES and end < len(pieces):
            continue
        part = pieces[start:end]
        batches.append(
            pa.record_batch(
                {
                    "batch_id": pa.array([p.batch_id for p in part], pa.int64()),
                    "file": pa.array([p.path for p in part], pa.string()),
                    "first_row": pa.array([p.first_row for p in part], pa.int64()),
                    "structure": pa.array([p.structure for p in part], pa.int32()),
                    # The inspection has checked that it is UTF-8.
                    "content": pa.array([p.content for p in part], pa.binary()).view(pa.string()),
                }
            )
        )
        start, size = end, 0
    return pa.Table.from_batches(batches)


def parse_json_lines(
    connection: duckdb.DuckDBPyConnection, contract: Contract, pieces: Sequence[Piece]
) -> None:
    types = {c.name: c.data_type for c in contract.columns}
    wanted = {
        name: "JSON" if types[column.name] == "json" else "VARCHAR"
        for column in contract.columns
        for name in column.names
    }
    without_known = json.dumps(dict.fromkeys(wanted))
    values = []
    for number, column in enumerate(contract.columns):
        fields = ", ".join(f"fields.{_quoted(name)}" for name in column.names)
        text = f"coalesce({fields})" if column.aliases else fields
        values.append(f"{text} as t{number}")
    renamed = f"list_intersect(keys, {_names(contract.aliases)})" if contract.aliases else _NO_NAMES
    texts = f"""
        with lines as (
            select batch_id, file, structure,
                first_row + generate_subscripts(rows, 1) - 1 as row_number, unnest(rows) as line
            from (select *, string_split(content, chr(10)) as rows from sluice_pieces)
        ),
        objects as (
            select *, case when is_object then line end as object
            from (
                select *, json_valid(line) as is_json,
                    json_valid(line) and starts_with(ltrim(line, chr(32) || chr(9)), '{{')
                        as is_object
                from lines
                -- Trimming is slow: only the shortest lines are looked at twice.
                where strlen(line) > 1 or trim(line) not in ('', chr(13))
            )
        ),
        fields as (
            select *, json_transform(object, {_literal(json.dumps(wanted))}) as fields,
                json_keys(object) as keys
            from objects
        ),
        strangers as (
            select *, list_filter(keys, lambda name: not list_contains({_names(wanted)}, name))
                as unknown
            from fields
        )
        select batch_id, file, row_number, line as content,
            case when structure > 0 then structure when not is_json then {NOT_JSON}
                when not is_object then {NOT_AN_OBJECT} else 0 end as structure,
            unknown, {renamed} as renamed,
            case when len(unknown) > 0 then json_merge_patch(object, {_literal(without_known)})
                end as extra,
            {", ".join(values)}
        from strangers
        """
    with registered(connection, "sluice_pieces", _pieces_table(pieces)):
        parse_into_temp(connection, contract, texts, content="rtrim(content, chr(13))")


# CSV


def _parse_csv(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    group: Sequence[Numbered],
) -> Iterator[None]:
    """DuckDB reads the files at once; those whose lines it does not find again go record by record.

    A file whose rows and header are as many as its lines has one row on each line, so that the
    number of a row gives its line.
    """
    header = group[0].inspected.header
    firsts = _read_csv(connection, landing, contract, group)
    plain = [f for n, f in enumerate(group) if firsts.get(n, (0, 0))[1] + 1 == _lines(f)]
    if plain:
        numbers = [n for n, f in enumerate(group) if firsts.get(n, (0, 0))[1] + 1 == _lines(f)]
        table = pa.table(
            {
                "number": pa.array(numbers, pa.int64()),
                "batch_id": pa.array([f.batch_id for f in plain], pa.int64()),
                "path": pa.array([f.path for f in plain], pa.string()),
                "first_row": pa.array([firsts.get(n, (1, 0))[0] for n in numbers], pa.int64()),
            }
        )
        fields = [f"f{n}" for n in range(len(header))]
        texts = f"""
            select batch_id, path as file, ordinal - first_row + 2 as row_number,
                null::varchar as content, 0 as structure,
                {_from_header(contract, header, fields)}
            from sluice_fields join sluice_files using (number)
            """
        with registered(connection, "sluice_files", table):
            parse_into_temp(connection, contract, texts)
        _add_lines(connection, landing, {f.path: f for f in plain})
        yield
    for file in group:
        if file not in plain:
            for records in csv_records(landing, file.inspected):
                parse_csv_records(connection, contract, header, file.batch_id, file.path, records)
                yield
    connection.execute("drop table if exists sluice_fields")


def _lines(file: Numbered) -> int:
    return file.inspected.line_count


def _read_csv(
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
                delim = {_literal(contract.delimiter)}, quote = '"', escape = '"',
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
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
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
    fields = [f"f{n}" for n in range(len(header))]
    texts = f"""
        select {batch_id}::bigint as batch_id, {_literal(path)} as file, row_number, content,
            structure, {_from_header(contract, header, fields)}
        from sluice_records
        """
    with registered(connection, "sluice_records", pa.table(columns)):
        parse_into_temp(connection, contract, texts)


def _from_header(contract: Contract, header: tuple[str, ...], fields: list[str]) -> str:
    """The columns' values, what is unknown, and what came under another name."""
    place = dict(zip(header, fields, strict=True))
    values = []
    for number, column in enumerate(contract.columns):
        present = [place[name] for name in column.names if name in place]
        text = f"coalesce({', '.join(present)})" if present else "null::varchar"
        values.append(f"{text} as t{number}")
    unknown = contract.unknown(header)
    extra = "null::json"
    if unknown:
        extra = f"json_object({', '.join(f'{_literal(n)}, {place[n]}' for n in unknown)})"
    renamed = [name for name in contract.aliases if name in place]
    return (
        f"{extra} as extra, {_names(unknown)} as unknown, {_names(renamed)} as renamed, "
        + ", ".join(values)
    )


def _add_lines(
    connection: duckdb.DuckDBPyConnection, landing: Landing, files: dict[str, Numbered]
) -> None:
    """The faulty rows as they were received."""
    wanted: dict[str, set[int]] = {}
    for path, row in connection.execute(
        f"select file, row_number from {PARSED} where fault > 0 and content is null"
    ).fetchall():
        wanted.setdefault(path, set()).add(row)
    found = [
        (path, row, line)
        for path, rows in wanted.items()
        for row, line in lines_of(landing, files[path].path, rows)
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


# Parquet


def _parse_parquet(
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
    fields = [f"p.{_quoted(name)}" for name in header]
    place = ", ".join(_literal(landing.readable_by(connection, f.path)) for f in group)
    texts = f"""
        select batch_id, path as file, file_row_number + 1 as row_number, 0 as structure,
            struct_pack({", ".join(f"{_quoted(n)} := p.{_quoted(n)}" for n in header)}) as content,
            {_from_header(contract, header, fields)}
        from read_parquet([{place}], file_row_number = true) as p
        join sluice_files on number = p.file_index
        """
    with registered(connection, "sluice_files", files):
        parse_into_temp(
            connection, contract, texts, content="to_json(content)::varchar", has_types=True
        )


_NO_NAMES: Final = "[]::varchar[]"


def _names(names: Iterable[str]) -> str:
    listed = ", ".join(_literal(name) for name in names)
    return f"[{listed}]::varchar[]"


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
