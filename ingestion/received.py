"""A file or JSON lines as a table of texts, read as the loader will read them."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast

import duckdb
import pyarrow as pa

from ingestion.connectors.conversion import Arrived, UnreadableError, arrived, convert
from ingestion.connectors.words import FilesEntity
from ingestion.contracts import MAX_LINE_BYTES, Column, Contract, Format
from ingestion.ledger import registered
from ingestion.naming import is_id, personal_by_name, plain_name
from ingestion.profile import ColumnProfile, Profile, find_key, profile_column
from warehouse.connection import literal, named
from warehouse.errors import WRONG_USE, SluiceError

# Enough to see what a source is like; more would only take longer.
ROWS_AT_MOST: Final = 500_000
_OWN_TYPES: Final[Mapping[str, str]] = {
    "VARCHAR": "varchar", "BOOLEAN": "boolean", "DATE": "date", "TINYINT": "bigint",
    "SMALLINT": "bigint", "INTEGER": "bigint", "BIGINT": "bigint", "UTINYINT": "bigint",
    "USMALLINT": "bigint", "UINTEGER": "bigint", "JSON": "json",
}  # fmt: skip


@dataclass(frozen=True)
class Received:
    """How a file comes in, and what it holds."""

    profile: Profile
    format: Format
    delimiter: str = ","
    declared: FilesEntity = field(default_factory=lambda: FilesEntity(pattern="*"))
    notes: tuple[str, ...] = ()


def look_at_file(path: Path) -> Received:
    """Profile a file of any kind that a drop takes."""
    if not path.is_file():
        raise SluiceError(
            f"There is no file {path}.", remedy="Name a file that exists.", exit_code=WRONG_USE
        )
    try:
        return _looked_at(path)
    except (UnreadableError, OSError, EOFError, csv.Error, duckdb.Error) as error:
        said = " ".join(str(error).split())[:300]
        raise SluiceError(
            f"{path.name} cannot be read: {said}",
            remedy="It must be csv, tsv, json, jsonl, parquet or xlsx, as its ending says; "
            "gz or zst may follow.",
        ) from error


def look_at_lines(lines: Iterable[bytes]) -> Received:
    """Profile rows that came as JSON, from an API or a database."""
    with tempfile.TemporaryDirectory(prefix="sluice-new-") as folder:
        path = Path(folder, "rows.jsonl")
        with path.open("wb") as into:
            into.writelines(lines)
        return _received(path, "jsonl")


def _looked_at(path: Path) -> Received:
    declared = FilesEntity(pattern="*")
    come = arrived(path, path.name.lower(), declared)
    notes: list[str] = []
    if come.format in ("csv", "tsv", "json", "jsonl") and not _is_readable(come):
        declared = FilesEntity(pattern="*", encoding="cp1252")
        come = arrived(path, path.name.lower(), declared)
        notes.append("It is not UTF-8; the contract takes it for cp1252. Ask the sender.")
    format_: Format = "parquet" if come.format == "parquet" else "csv"
    if come.format in ("json", "jsonl"):
        format_ = "jsonl"
    delimiter = _delimiter(come) if come.format == "csv" else ","
    # What is converted keeps its header: this contract has no name of its own.
    contract = Contract("new", "file", "raw_new", format_, (Column("?", "varchar"),), (), "evolve",
                        delimiter)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="sluice-new-") as folder:
        made = Path(folder, f"file.{format_}")
        with made.open("wb") as into:
            convert(come, contract, cast(BinaryIO, into))
        return _received(made, format_, delimiter, declared, notes)


def _is_readable(come: Arrived) -> bool:
    try:
        with come.text() as text:
            while text.read(1 << 20):
                pass
    except UnicodeError:
        return False
    return True


def _delimiter(come: Arrived) -> str:
    """The sign that cuts the header and the next lines into the most, equally many fields."""
    with come.text() as text:
        lines = [line for _, line in zip(range(20), text, strict=False)]

    def fields(sign: str) -> int:
        counts = [len(row) for row in csv.reader(lines, delimiter=sign)]
        alike = Counter(counts).most_common(1)
        return alike[0][0] if alike and counts[0] == alike[0][0] else 0

    return max((",", ";", "\t", "|"), key=fields)


def _received(
    path: Path,
    format_: Format,
    delimiter: str = ",",
    declared: FilesEntity | None = None,
    notes: Iterable[str] = (),
) -> Received:
    with closing(duckdb.connect()) as connection:
        connection.execute("set TimeZone = 'UTC'")
        read = {"csv": _read_csv, "jsonl": _read_lines, "parquet": _read_parquet}[format_]
        columns = read(connection, path, delimiter)
        profile, more = _profile(connection, columns)
    told = (*notes, *more)
    return Received(profile, format_, delimiter, declared or FilesEntity(pattern="*"), told)


def _profile(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]
) -> tuple[Profile, list[str]]:
    """Columns by the sender's name, each with the type that the file says, if it says one."""
    fields = {name: f"f{n}" for n, name in enumerate(columns)}
    found = tuple(
        profile_column(connection, "received", fields[name], name, kind)
        for name, kind in columns.items()
    )
    rows = found[0].rows if found else 0
    if rows == 0:
        raise SluiceError(
            "There are no rows to learn from.", remedy="Give a file, a page or a table with rows."
        )
    distinct = connection.execute("select count(*) from (from received select distinct *)")
    repeated = rows - int(distinct.fetchall()[0][0])
    able = [c for c in found if c.is_full and _tells_apart(c)]
    alone = sorted((c for c in able if c.is_unique), key=_key_rank)
    if alone:
        key: tuple[str, ...] = (alone[0].name,)
    else:
        ordered = [fields[c.name] for c in sorted(able, key=_key_rank)]
        together = find_key(connection, "received", ordered, rows)
        names = {place: name for name, place in fields.items()}
        key = tuple(names[each] for each in together)
    notes = [f"Only the first {rows:,} rows were looked at."] if rows == ROWS_AT_MOST else []
    return Profile(rows, found, key, repeated), notes


def _tells_apart(column: ColumnProfile) -> bool:
    """May it be part of a key? A measure or somebody's name may be unique by chance only."""
    if is_id(plain_name(column.name)):
        return column.data_type in ("varchar", "bigint", "date", "timestamptz")
    if column.pattern or personal_by_name(plain_name(column.name)):
        return False
    is_period = plain_name(column.name) in ("year", "quarter", "month", "week", "day", "hour")
    return is_period or column.data_type in ("varchar", "date", "timestamptz")


def _key_rank(column: ColumnProfile) -> int:
    """Ids first, the shortest name before others; then days, texts, moments."""
    if is_id(plain_name(column.name)):
        return plain_name(column.name).count("_") - 10
    return {"date": 1, "varchar": 2}.get(column.data_type, 3)


def _read_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, delimiter: str
) -> Mapping[str, str]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        header = [name.strip() for name in next(csv.reader(text, delimiter=delimiter), [])]
    if not any(header):
        raise SluiceError("There are no rows to learn from.", remedy="Give a file with a header.")
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise SluiceError(
            f"The header has {', '.join(twice)} more than once.",
            remedy="Ask the sender for names that differ; nobody can tell them apart.",
        )
    kinds = ", ".join(f"'f{n}': 'VARCHAR'" for n in range(len(header)))
    try:
        connection.execute(
            f"""create table received as from read_csv({literal(str(path))},
                columns = {{{kinds}}}, header = true, auto_detect = false,
                delim = {literal(delimiter)}, quote = '"', escape = '"',
                ignore_errors = true) limit {ROWS_AT_MOST}"""
        )
    except duckdb.InvalidInputException:
        # Line ends of two kinds, for instance: record by record, as the loader does.
        with path.open(encoding="utf-8-sig", newline="") as text:
            records = islice(csv.reader(text, delimiter=delimiter), 1, ROWS_AT_MOST)
            rows = [record for record in records if len(record) == len(header)]
        named = {f"f{n}": pa.array([row[n] or None for row in rows], pa.string())
                 for n in range(len(header))}  # fmt: skip
        with registered(connection, "records", pa.table(named)):
            connection.execute("create table received as from records")
    return _without_blank(connection, header)


def _without_blank(connection: duckdb.DuckDBPyConnection, header: list[str]) -> Mapping[str, str]:
    """A column without a name cannot be promised; the loader keeps it in `_extra`."""
    kept = [n for n, name in enumerate(header) if name]
    if len(kept) < len(header):
        listed = ", ".join(f"f{old} as f{new}" for new, old in enumerate(kept))
        connection.execute(f"create or replace table received as select {listed} from received")
    return {header[n]: "" for n in kept}


def _read_lines(
    connection: duckdb.DuckDBPyConnection, path: Path, delimiter: str
) -> Mapping[str, str]:
    connection.execute(
        f"""create table lines as select json from read_ndjson_objects({literal(str(path))},
            ignore_errors = true, maximum_object_size = {MAX_LINE_BYTES})
            where json_type(json) = 'OBJECT' limit {ROWS_AT_MOST}"""
    )
    names = [
        str(row[0])
        for row in connection.execute(
            """select name from (
                    select unnest(names) as name, generate_subscripts(names, 1) as place, line
                    from (select json_keys(json) as names, rowid as line from lines)
                ) group by name order by min(line), min_by(place, line)"""
        ).fetchall()
    ]
    if not names:
        raise SluiceError("No JSON objects are in it.", remedy="Rows must be objects.")
    listed = ", ".join(f"json ->> {literal(_path(name))} as f{n}" for n, name in enumerate(names))
    connection.execute(f"create table received as select {listed} from lines")
    return dict.fromkeys(names, "")


def _path(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, path: Path, delimiter: str
) -> Mapping[str, str]:
    described = connection.execute(f"describe from read_parquet({literal(str(path))})").fetchall()
    types = {str(row[0]): str(row[1]) for row in described}
    listed = ", ".join(_parquet_text(name, kind, n) for n, (name, kind) in enumerate(types.items()))
    connection.execute(
        f"create table received as select {listed} from read_parquet({literal(str(path))}) "
        f"limit {ROWS_AT_MOST}"
    )
    return {name: _own_type(kind) for name, kind in types.items()}


def _parquet_text(name: str, kind: str, number: int) -> str:
    value = f"to_json({named(name)})" if _own_type(kind) == "json" else named(name)
    return f"cast({value} as varchar) as f{number}"


def _own_type(kind: str) -> str:
    """What the file says; nothing for floats, whose digits decide."""
    if kind.startswith("TIMESTAMP"):
        return "timestamptz"
    if kind.startswith("DECIMAL"):
        return kind.lower()
    if kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]"):
        return "json"
    return _OWN_TYPES.get(kind, "")


@contextmanager
def file_alone(path: Path) -> Iterator[Path]:
    """A folder with nothing but this file: a drop of one."""
    with tempfile.TemporaryDirectory(prefix="sluice-new-") as folder:
        shutil.copy2(path, Path(folder, path.name))
        yield Path(folder)
