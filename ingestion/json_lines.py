"""JSON lines: whole lines are handed to DuckDB in bounded pieces, however large the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.inspection import Numbered, unpacked
from ingestion.landing import Landing
from ingestion.ledger import registered
from ingestion.plain_json import has_nul
from ingestion.sql_text import names
from ingestion.taking import Reading, Scope, Sink
from ingestion.text_scan import count_lines, without_mark
from ingestion.validation import NOT_AN_OBJECT, NOT_JSON, NUL, TOO_LONG
from warehouse.connection import literal, named

_BLOCK: Final = 4 * 1024 * 1024
# Rows of a scanned batch are one unit of DuckDB's parallelism.
_ARROW_BATCH_BYTES: Final = 256 * 1024
# Of a line that is too long, so much goes to quarantine; landing has the whole.
_HEAD_BYTES: Final = 500
# Half as much costs a quarter more CPU and twice the disk, for DuckDB writes parts of row groups
# (122,880 rows) twice; twice as much costs a fifth more memory and saves nothing.
_CHUNK_BYTES: Final = 128 * 1024 * 1024


# Each costs a little for every row; more at a time are no change of a contract.
_FORESEEN: Final = 8


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file."""

    batch_id: int
    path: str
    first_row: int
    line_count: int
    content: bytes
    structure: int = 0


def pieces_of(landing: Landing, file: Numbered) -> Iterator[Piece]:
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
            is_all = row == 1 and end == file.inspected.file.size
            lines = file.inspected.line_count if is_all else count_lines(whole)
            yield _piece(file, row, lines, whole)
            row += lines
    if rest:
        yield _piece(file, row, 1, rest)


def _piece(file: Numbered, row: int, lines: int, content: bytes) -> Piece:
    text = without_mark(content) if row == 1 else content
    return Piece(file.batch_id, file.path, row, lines, text)


def _line_by_line(stream: BinaryIO, file: Numbered, limit: int) -> Iterator[Piece]:
    """For files with a line that must not be held whole."""
    row = 1
    while line := stream.readline(limit + 1):
        if len(line) > limit and not line.endswith(b"\n"):
            while more := stream.readline(_BLOCK):
                if more.endswith(b"\n"):
                    break
            head = line[:_HEAD_BYTES].decode(errors="ignore").encode()
            yield Piece(file.batch_id, file.path, row, 1, head, TOO_LONG)
        else:
            yield _piece(file, row, 1, line)
        row += 1


def chunks(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
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
                    "content": _content(part),
                }
            )
        )
        start, size = end, 0
    return pa.Table.from_batches(batches)


def _content(pieces: Sequence[Piece]) -> pa.Array:
    """As texts without a second look: the inspection has checked that they are UTF-8."""
    if len(pieces) > 1:
        return pa.array([piece.content for piece in pieces], pa.binary()).view(pa.string())
    content = pieces[0].content
    offsets = pa.array([0, len(content)], pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(content)])


def parse_json_lines(sink: Sink, pieces: Sequence[Piece], strangers: Sequence[str] = ()) -> None:
    """Whole lines, all in one statement; names that the contract does not have may be foreseen."""
    contract = sink.contract
    row_counts: dict[int, int] = {}
    for piece in pieces:
        row_counts[piece.batch_id] = row_counts.get(piece.batch_id, 0) + piece.line_count
    with registered(sink.connection, "sluice_pieces", _pieces_table(pieces)):
        sink.take(
            Reading(
                lambda scope: _texts(contract, scope, strangers[:_FORESEEN]),
                row_counts,
                content="rtrim(content, chr(13))",
            )
        )
        if contract.aliases:
            sink.note_renamed(
                f"""with {_LINES.format(batches="true")},
                    keys as (
                        select batch_id, json_keys(case when json_valid(line) then line end) as keys
                        from lines
                    )
                    select distinct batch_id, list_intersect(keys, {names(contract.aliases)})
                    from keys"""
            )


# A statement about sluice_pieces may start with it.
_LINES: Final = """lines as (
            select batch_id, file, structure,
                first_row + generate_subscripts(rows, 1) - 1 as row_number, unnest(rows) as line
            from (
                select *, string_split(content, chr(10)) as rows
                from sluice_pieces where {batches}
            )
        )"""


def _texts(contract: Contract, scope: Scope, strangers: Sequence[str]) -> str:
    types = {c.name: c.data_type for c in contract.columns}
    strangers = [s for s in strangers if s.lower() not in map(str.lower, contract.known_names)]
    strangers = list(_apart(dict.fromkeys(strangers, "JSON")))
    wanted = {
        name: "JSON" if types[column.name] == "json" else "VARCHAR"
        for column in contract.columns
        for name in column.names
    }
    without_known = json.dumps(dict.fromkeys(wanted))
    apart = _apart(wanted)
    layout = json.dumps(apart | dict.fromkeys(strangers, "JSON"))
    place = {
        name: f"fields.{named(name)}" if name in apart else _sought(name, wanted[name])
        for name in wanted
    }
    found = [f"({place[name]} is not null)::integer" for name in wanted]
    # One stranger that was foreseen is in its place already; to look for others is slow.
    one = [f"stranger_count = 1 and fields.{named(name)} is not null" for name in strangers]
    its_name = _cases(one, [names([name]) for name in strangers])
    its_value = _cases(
        one, [f"json_object({literal(name)}, fields.{named(name)})" for name in strangers]
    )
    values = []
    for number, column in enumerate(contract.columns):
        fields = ", ".join(place[name] for name in column.names)
        text = f"coalesce({fields})" if column.aliases else fields
        values.append(f"{text} as t{number}")
    return f"""
        with {_LINES.format(batches=scope.batches)},
        objects as (
            select *, case when is_object then line end as object
            from (
                select *, json_valid(line) as is_json,
                    json_valid(line) and case when starts_with(line, '{{') then true
                        else starts_with(ltrim(line, chr(32) || chr(9)), '{{') end as is_object
                from lines
                -- Trimming is slow, and an `or` here would trim every line.
                where {scope.rows} and case when strlen(line) > 16 then true
                    else trim(line) not in ('', chr(13)) end
            )
        ),
        fields as (
            select *, json_transform(object, {literal(layout)}) as fields,
                json_keys(object) as keys
            from objects
        ),
        counted as (
            -- As many keys as values that were found: none of them is unknown.
            select *, len(keys) - ({" + ".join(found)}) as stranger_count from fields
        ),
        strangers as (
            select *, case when stranger_count > 0 then case {its_name} else
                    list_filter(keys, lambda name: not list_contains({names(wanted)}, name))
                end end as unknown
            from counted
        )
        select batch_id, file, row_number, line as content,
            case when structure > 0 then structure when not is_json then {NOT_JSON}
                when not is_object then {NOT_AN_OBJECT} when {has_nul("line")} then {NUL}
                else 0 end as structure,
            unknown,
            case when len(unknown) > 0 then case {its_value} else
                    json_merge_patch(object, {literal(without_known)})
                end end as extra,
            {", ".join(values)}
        from strangers
        """


def _apart(names: Mapping[str, str]) -> dict[str, str]:
    """Of names that differ in case only, a struct can hold but the first."""
    seen: dict[str, str] = {}
    for name in names:
        seen.setdefault(name.lower(), name)
    return {name: names[name] for name in seen.values()}


def _sought(name: str, kind: str) -> str:
    """A value outside of the struct: slower, one at a time."""
    path = literal(f"$.{json.dumps(name, ensure_ascii=False)}")
    value = f"nullif(object -> {path}, 'null'::json)"
    return value if kind == "JSON" else f"(object ->> {path})"


def _cases(conditions: Sequence[str], results: Sequence[str]) -> str:
    pairs = zip(conditions, results, strict=True)
    return " ".join(f"when {when} then {then}" for when, then in pairs) or "when false then null"
